import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";
import { HOME_REGION, OTHER_REGION, TWO_REGIONS } from "../conformance/kms/samples.ts";
import { run } from "../support/processes.ts";
import { removeDirectory, serverForAll, temporaryDirectory } from "../support/server.ts";

const SCRIPT = fileURLToPath(new URL("kms.py", import.meta.url));
const server = serverForAll({ args: TWO_REGIONS });
const files = temporaryDirectory();
afterAll(() => removeDirectory(files));

let env: Record<string, string> = {};
beforeAll(async () => {
  env = {
    ...(await server().env()),
    AWS_ENDPOINT_URL: server().endpoint,
    AWS_REGION: HOME_REGION,
    AWS_DEFAULT_REGION: HOME_REGION,
    AWS_CONFIG_FILE: "/dev/null",
    AWS_SHARED_CREDENTIALS_FILE: "/dev/null",
    AWS_EC2_METADATA_DISABLED: "true",
    AWS_PAGER: "",
    OTHER_REGION,
  };
});

/** Custom key stores are not served: six operations that only refuse. */
const REFUSING = 6;

test("boto3 calls every operation that it knows, and those that are served work", async () => {
  const { code, stdout, stderr } = await run("python3", [SCRIPT], { env });
  expect(code, stderr).toBe(0);
  const { known, worked } = JSON.parse(stdout) as { known: number; worked: number };
  expect(worked).toBe(known - REFUSING);
});

/** Runs the stock command line; its answer's JSON. */
async function aws(...args: readonly string[]): Promise<Record<string, unknown>> {
  const all = ["--endpoint-url", server().endpoint, "--output", "json", "kms", ...args];
  const { code, stdout, stderr } = await run("aws", all, { env });
  expect(code, `aws kms ${args[0]}: ${stderr}`).toBe(0);
  return stdout.trim() === "" ? {} : (JSON.parse(stdout) as Record<string, unknown>);
}
const blob = (name: string, bytes: Uint8Array | string): string => {
  writeFileSync(join(files, name), bytes);
  return `fileb://${join(files, name)}`;
};

test("the AWS command line signs, grants, rotates and encrypts with RSA", async () => {
  const keyOf = async (...args: readonly string[]): Promise<string> => {
    const { KeyMetadata } = await aws("create-key", ...args);
    return (KeyMetadata as Record<string, string>)["KeyId"] ?? "";
  };
  const signing = await keyOf("--key-spec", "ECC_NIST_P384", "--key-usage", "SIGN_VERIFY");
  const message = ["--key-id", signing, "--message", blob("message", "text"), "--signing-algorithm", "ECDSA_SHA_384"];
  const { Signature } = await aws("sign", ...message);
  const signature = blob("signature", Buffer.from(String(Signature), "base64"));
  expect(await aws("verify", ...message, "--signature", signature)).toMatchObject({ SignatureValid: true });

  const rsa = await keyOf("--key-spec", "RSA_2048", "--key-usage", "ENCRYPT_DECRYPT");
  const with256 = ["--key-id", rsa, "--encryption-algorithm", "RSAES_OAEP_SHA_256"];
  const sealed = await aws("encrypt", ...with256, "--plaintext", blob("plain", "plain"));
  const ciphertext = blob("sealed", Buffer.from(String(sealed["CiphertextBlob"]), "base64"));
  const opened = await aws("decrypt", ...with256, "--ciphertext-blob", ciphertext);
  expect(Buffer.from(String(opened["Plaintext"]), "base64").toString()).toBe("plain");

  const key = await keyOf("--multi-region");
  await aws("enable-key-rotation", "--key-id", key, "--rotation-period-in-days", "180");
  expect(await aws("get-key-rotation-status", "--key-id", key)).toMatchObject({ RotationPeriodInDays: 180 });
  const root = `arn:aws:iam::${server().accountId}:root`;
  const { GrantId } = await aws(
    "create-grant",
    "--key-id",
    key,
    "--grantee-principal",
    root,
    "--operations",
    "Decrypt",
  );
  expect(await aws("list-grants", "--key-id", key)).toMatchObject({ Grants: [{ GrantId }] });
  await aws("revoke-grant", "--key-id", key, "--grant-id", String(GrantId));
  await aws("replicate-key", "--key-id", key, "--replica-region", OTHER_REGION);
  expect(await aws("describe-key", "--key-id", key, "--region", OTHER_REGION)).toMatchObject({
    KeyMetadata: { KeyId: key, MultiRegion: true },
  });
});
