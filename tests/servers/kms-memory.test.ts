import { generateKeyPairSync, type KeyObject, randomBytes } from "node:crypto";
import { PutRecordCommand } from "@aws-sdk/client-kinesis";
import { KMS, type KeySpec } from "@aws-sdk/client-kms";
import { afterAll, beforeAll, expect, test } from "vitest";
import { importMaterial } from "../conformance/kms/wrapping.ts";
import { findBelow, findIn } from "../support/canary.ts";
import { type Clients, rootClients } from "../support/clients.ts";
import { collectGarbage } from "../support/inspector.ts";
import { memoryOf } from "../support/memory.ts";
import { waxsealOk } from "../support/processes.ts";
import { removeDirectory, type RunningServer, startServer, temporaryDirectory } from "../support/server.ts";
import { storedDataKeys } from "../support/stored-data-keys.ts";
import { createStream, readStream, utf8 } from "../support/streams.ts";

/**
 * Key material never leaves: known keys, used in every way, are looked for in the files and logs, and after sealing in all
 * of the server's memory.
 */
const dataDir = temporaryDirectory();
let server: RunningServer;
let root: Clients;
let kms: KMS;

/** Secrets by name: whole keys, or the parts of a key pair that give it away. */
const secrets: Record<string, Buffer> = {};
let streamKeyId = "";
let streamArn = "";

const MESSAGE = utf8("message");
const base64url = (text: string | undefined): Buffer => Buffer.from(text ?? "", "base64url");

beforeAll(async () => {
  server = await startServer({ dataDir, nodeArgs: ["--inspect-port=0"] });
  root = await rootClients(server);
  kms = new KMS({
    endpoint: server.endpoint,
    region: server.region,
    credentials: root.credentials,
    maxAttempts: 1,
  });
});
afterAll(async () => {
  kms.destroy();
  root.destroy();
  await server.stop();
  removeDirectory(dataDir);
});

const newKey = async (input: Parameters<KMS["createKey"]>[0]): Promise<string> =>
  (await kms.createKey(input)).KeyMetadata?.KeyId ?? "";

/** Imports a pair of this spec and remembers its secret numbers. */
async function importPair(KeySpec: KeySpec, key: KeyObject): Promise<string> {
  const { d, p, q } = key.export({ format: "jwk" });
  secrets[`${KeySpec} private number`] = base64url(d);
  if (p !== undefined) secrets[`${KeySpec} first prime`] = base64url(p);
  if (q !== undefined) secrets[`${KeySpec} second prime`] = base64url(q);
  const KeyId = await newKey({ KeySpec, KeyUsage: "SIGN_VERIFY", Origin: "EXTERNAL" });
  const der = key.export({ format: "der", type: "pkcs8" });
  await importMaterial(kms, KeyId, der, { algorithm: "RSA_AES_KEY_WRAP_SHA_256" });
  return KeyId;
}

async function useAll(): Promise<void> {
  const symmetric = (secrets["symmetric material"] = randomBytes(32));
  const KeyId = await newKey({ Origin: "EXTERNAL" });
  await importMaterial(kms, KeyId, symmetric);
  for (let index = 0; index < 20; index += 1) {
    const { CiphertextBlob } = await kms.encrypt({ KeyId, Plaintext: MESSAGE });
    await kms.decrypt({ CiphertextBlob });
    await kms.reEncrypt({ CiphertextBlob, DestinationKeyId: KeyId });
    await kms.generateDataKeyWithoutPlaintext({ KeyId, KeySpec: "AES_256" });
  }
  await kms.generateDataKeyPairWithoutPlaintext({ KeyId, KeyPairSpec: "ECC_NIST_P256" });

  const mac = (secrets["HMAC material"] = randomBytes(64));
  const macId = await newKey({ KeySpec: "HMAC_512", KeyUsage: "GENERATE_VERIFY_MAC", Origin: "EXTERNAL" });
  await importMaterial(kms, macId, mac, { algorithm: "RSA_AES_KEY_WRAP_SHA_1" });
  for (let index = 0; index < 20; index += 1) {
    const request = { KeyId: macId, Message: MESSAGE, MacAlgorithm: "HMAC_SHA_512" } as const;
    const { Mac } = await kms.generateMac(request);
    await kms.verifyMac({ ...request, Mac });
  }

  const pairs = [
    ["RSA_2048", "RSASSA_PSS_SHA_256", generateKeyPairSync("rsa", { modulusLength: 2048 })],
    ["ECC_NIST_P256", "ECDSA_SHA_256", generateKeyPairSync("ec", { namedCurve: "P-256" })],
    ["ECC_NIST_EDWARDS25519", "ED25519_SHA_512", generateKeyPairSync("ed25519")],
  ] as const;
  for (const [KeySpec, SigningAlgorithm, pair] of pairs) {
    const id = await importPair(KeySpec, pair.privateKey);
    for (let index = 0; index < 10; index += 1) await kms.sign({ KeyId: id, Message: MESSAGE, SigningAlgorithm });
  }
}

async function useStream(): Promise<void> {
  streamKeyId = await newKey({});
  streamArn = (await createStream(root.kinesis, "scanned", { keyId: streamKeyId })).StreamARN ?? "";
  for (let index = 0; index < 20; index += 1)
    await root.kinesis.send(new PutRecordCommand({ StreamName: "scanned", PartitionKey: "k", Data: utf8("value") }));
  expect(await readStream(root.kinesis, "scanned")).toHaveLength(20);
}

/** Where secrets stand in memory: any 16 bytes of either end, as they are or as OpenSSL's big numbers have them. */
function findInMemory(
  memory: ReturnType<typeof memoryOf>,
  wanted: Readonly<Record<string, Buffer>>,
): readonly string[] {
  const needles = Object.entries(wanted).flatMap(([name, secret]) =>
    [secret, Buffer.from(secret.toReversed())].flatMap((form, index) => [
      { name: `${name}${index === 1 ? ", reversed" : ""}: its first bytes`, bytes: form.subarray(0, 16) },
      { name: `${name}${index === 1 ? ", reversed" : ""}: its last bytes`, bytes: form.subarray(-16) },
    ]),
  );
  return memory.flatMap(({ name, content }) =>
    needles
      .filter(({ bytes }) => content.includes(bytes))
      .map((needle) => `${needle.name} in ${name || "anonymous memory"}`),
  );
}

test("known keys are in no file, log or answer; after seal and a collection they are nowhere in memory", async () => {
  await useAll();
  await useStream();
  const described = JSON.stringify(await kms.describeKey({ KeyId: streamKeyId }));

  // The search finds what is there, or the lines below would prove nothing.
  const before = findInMemory(memoryOf(server.pid), secrets);
  for (const name of ["symmetric material", "HMAC material", "RSA_2048 first prime", "ECC_NIST_P256 private number"])
    expect(before.some((found) => found.startsWith(name))).toBe(true);

  await waxsealOk(["seal", "--data-dir", dataDir]);
  await collectGarbage(server);
  const memory = memoryOf(server.pid);
  expect(memory.reduce((total, { content }) => total + content.length, 0)).toBeGreaterThan(20_000_000);

  // The stream's data keys become known only now, and only to this test: the server has been sealed while they were not.
  await waxsealOk(["unseal", "--data-dir", dataDir]);
  const stream = { keyId: streamKeyId, region: server.region, streamArn };
  let count = 0;
  for (const key of await storedDataKeys(root.kms, dataDir, stream)) {
    count += 1;
    secrets[`data key ${count} of the stream`] = key;
  }
  expect(count).toBeGreaterThan(0);

  const found = findInMemory(memory, secrets);
  const { stdout, stderr } = server.output();
  expect(findIn(`${stdout}${stderr}${described}`, secrets)).toEqual([]);
  expect(findBelow(dataDir, secrets)).toEqual([]);
  expect(found).toEqual([]);
});
