import {
  buildAwsKmsMrkAwareDiscoveryMultiKeyringNode,
  buildAwsKmsMrkAwareStrictMultiKeyringNode,
  AwsKmsMrkAwareSymmetricDiscoveryKeyringNode,
  AwsKmsMrkAwareSymmetricKeyringNode,
  buildClient,
  CommitmentPolicy,
  getLocalCryptographicMaterialsCache,
  type KeyringNode,
  KmsKeyringNode,
  NodeCachingMaterialsManager,
} from "@aws-crypto/client-node";
import { KMS } from "@aws-sdk/client-kms";
import { beforeAll, describe, expect, test } from "vitest";
import { eventually } from "../../support/wait.ts";
import { eventsNamed } from "../../support/trail.ts";
import { HOME_REGION, OTHER_REGION, TWO_REGIONS } from "./samples.ts";
import { given, kmsSuite } from "./suite.ts";

/**
 * The AWS Encryption SDK with its KMS keyrings. Its hierarchical keyring keeps branch keys in DynamoDB, which is not served,
 * so it is not here.
 */
const suite = kmsSuite({ args: TWO_REGIONS });
const { kms } = suite;
const { encrypt, decrypt } = buildClient(CommitmentPolicy.REQUIRE_ENCRYPT_REQUIRE_DECRYPT);
const PLAIN = Buffer.from("what the application keeps");
const context = { purpose: "conformance" };

let one = "";
let two = "";
let away = "";
let related = { home: "", other: "" };
beforeAll(async () => {
  const arn = async (client: KMS, input = {}): Promise<string> =>
    given((await client.createKey(input)).KeyMetadata?.Arn);
  one = await arn(kms());
  two = await arn(kms());
  away = await arn(suite.inRegion(OTHER_REGION));
  const home = await arn(kms(), { MultiRegion: true });
  const replica = await kms().replicateKey({ KeyId: home, ReplicaRegion: OTHER_REGION });
  related = { home, other: given(replica.ReplicaKeyMetadata?.Arn) };
  await eventually(async () => {
    const { KeyMetadata } = await suite.inRegion(OTHER_REGION).describeKey({ KeyId: related.other });
    return KeyMetadata?.KeyState === "Enabled" ? KeyMetadata : null;
  });
});

/** What the keyrings call a client of KMS: version 3's is one but for `exactOptionalPropertyTypes`. */
type KeyringClient = ConstructorParameters<typeof AwsKmsMrkAwareSymmetricKeyringNode>[0]["client"];
/** A client of our endpoint for the Region that is asked for. */
const clientProvider = (region: string): KeyringClient => {
  const { credentials } = suite.others();
  const client = new KMS({ endpoint: suite.server().endpoint, region, credentials, maxAttempts: 1 });
  return client as unknown as KeyringClient;
};

/** Encrypts with one keyring and decrypts with each of the others. */
async function expectRoundTrip(sealing: KeyringNode, ...opening: readonly KeyringNode[]): Promise<void> {
  const { result } = await encrypt(sealing, PLAIN, { encryptionContext: context });
  expect(result.includes(PLAIN)).toBe(false);
  for (const keyring of [sealing, ...opening]) {
    const { plaintext, messageHeader } = await decrypt(keyring, result);
    expect(plaintext).toEqual(PLAIN);
    expect(messageHeader.encryptionContext).toMatchObject(context);
  }
}
const filter = (): { accountID: string; partition: string } => ({
  accountID: suite.server().accountId,
  partition: "aws",
});

describe("KmsKeyringNode", () => {
  test("a generator key", async () => {
    await expectRoundTrip(new KmsKeyringNode({ generatorKeyId: one, clientProvider }));
  });
  test("a generator and further keys: each of them opens alone", async () => {
    await expectRoundTrip(
      new KmsKeyringNode({ generatorKeyId: one, keyIds: [two, away], clientProvider }),
      new KmsKeyringNode({ keyIds: [one], clientProvider }),
      new KmsKeyringNode({ keyIds: [two], clientProvider }),
      new KmsKeyringNode({ keyIds: [away], clientProvider }),
    );
  });
  test("a generator by its alias ARN", async () => {
    await kms().createAlias({ AliasName: "alias/generator", TargetKeyId: one });
    const generatorKeyId = one.replace(/key\/.*/, "alias/generator");
    const { result } = await encrypt(new KmsKeyringNode({ generatorKeyId, clientProvider }), PLAIN);
    expect((await decrypt(new KmsKeyringNode({ keyIds: [one], clientProvider }), result)).plaintext).toEqual(PLAIN);
  });
  test("discovery, with and without filter", async () => {
    await expectRoundTrip(
      new KmsKeyringNode({ generatorKeyId: one, clientProvider }),
      new KmsKeyringNode({ discovery: true, clientProvider }),
      new KmsKeyringNode({
        discovery: true,
        discoveryFilter: { accountIDs: [filter().accountID], partition: "aws" },
        clientProvider,
      }),
    );
  });
  test("discovery for other accounts opens nothing", async () => {
    const { result } = await encrypt(new KmsKeyringNode({ generatorKeyId: one, clientProvider }), PLAIN);
    const discoveryFilter = { accountIDs: ["999988887777"], partition: "aws" };
    await expect(
      decrypt(new KmsKeyringNode({ discovery: true, discoveryFilter, clientProvider }), result),
    ).rejects.toThrow(/decrypt|key/i);
  });
  test("another key opens nothing", async () => {
    const { result } = await encrypt(new KmsKeyringNode({ generatorKeyId: one, clientProvider }), PLAIN);
    await expect(decrypt(new KmsKeyringNode({ keyIds: [two], clientProvider }), result)).rejects.toThrow(
      /decrypt|key/i,
    );
  });
});

describe("keyrings that know multi-Region keys", () => {
  const mrk = (keyId: string, region: string): KeyringNode =>
    new AwsKmsMrkAwareSymmetricKeyringNode({ keyId, client: clientProvider(region) });

  test("primary and replica open each other's", async () => {
    await expectRoundTrip(mrk(related.home, HOME_REGION), mrk(related.other, OTHER_REGION));
    await expectRoundTrip(mrk(related.other, OTHER_REGION), mrk(related.home, HOME_REGION));
  });
  test("a key of one Region works as well", async () => {
    await expectRoundTrip(mrk(one, HOME_REGION));
  });
  test("discovery in the other Region finds the replica", async () => {
    const { accountID, partition } = filter();
    await expectRoundTrip(
      mrk(related.home, HOME_REGION),
      new AwsKmsMrkAwareSymmetricDiscoveryKeyringNode({
        client: clientProvider(OTHER_REGION),
        discoveryFilter: { accountIDs: [accountID], partition },
      }),
    );
  });
  test("the strict multi-keyring, with keys of two Regions", async () => {
    await expectRoundTrip(
      buildAwsKmsMrkAwareStrictMultiKeyringNode({
        generatorKeyId: related.home,
        keyIds: [one, away],
        clientProvider,
      }),
      mrk(related.other, OTHER_REGION),
      mrk(away, OTHER_REGION),
    );
  });
  test("the discovery multi-keyring, over two Regions", async () => {
    const { accountID, partition } = filter();
    await expectRoundTrip(
      mrk(related.home, HOME_REGION),
      buildAwsKmsMrkAwareDiscoveryMultiKeyringNode({
        regions: [OTHER_REGION],
        discoveryFilter: { accountIDs: [accountID], partition },
        clientProvider,
      }),
    );
  });
});

test("with a cache: many messages, one data key", async () => {
  const backingMaterials = new KmsKeyringNode({ generatorKeyId: one, clientProvider });
  const manager = new NodeCachingMaterialsManager({
    backingMaterials,
    cache: getLocalCryptographicMaterialsCache(10),
    maxAge: 60_000,
    maxMessagesEncrypted: 100,
  });
  const { cloudtrail } = suite.others();
  const calls = async (): Promise<number> => (await eventsNamed(cloudtrail, "GenerateDataKey")).length;
  const before = await calls();
  for (let index = 0; index < 5; index += 1) {
    const { result } = await encrypt(manager, PLAIN, { encryptionContext: context, plaintextLength: PLAIN.length });
    expect((await decrypt(manager, result)).plaintext).toEqual(PLAIN);
  }
  expect((await calls()) - before).toBe(1);
});
