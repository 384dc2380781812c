import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Finished, run } from "../support/processes.ts";
import { removeDirectory, serverForAll, temporaryDirectory } from "../support/server.ts";
import { eventually } from "../support/wait.ts";

const STORY = fileURLToPath(new URL("story.py", import.meta.url));
const server = serverForAll({ https: true });

/** The user's own environment as `waxseal env` makes it, and nothing of the machine's AWS configuration. */
async function awsEnvironment(transport: "HTTP" | "HTTPS"): Promise<Record<string, string>> {
  const env = await server().env();
  return {
    ...env,
    AWS_ENDPOINT_URL: (transport === "HTTP" ? server().endpoint : server().httpsEndpoint) ?? "",
    AWS_CONFIG_FILE: "/dev/null",
    AWS_SHARED_CREDENTIALS_FILE: "/dev/null",
    AWS_EC2_METADATA_DISABLED: "true",
    AWS_PAGER: "",
  };
}

describe.each(["HTTP", "HTTPS"] as const)("over %s", (transport) => {
  const files = temporaryDirectory();
  let env: Record<string, string> = {};
  beforeAll(async () => {
    env = await awsEnvironment(transport);
  });
  afterAll(() => removeDirectory(files));

  test("boto3 does the whole story", async () => {
    const { code, stdout, stderr } = await run("python3", [STORY], { env });
    expect(code, stderr).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ account: server().accountId, records: 104 });
  });

  /** Runs the stock command line. The endpoint is named because versions before 2.13 do not read AWS_ENDPOINT_URL. */
  const aws = async (args: readonly string[], credentials: Record<string, string> = {}): Promise<Finished> =>
    run("aws", ["--endpoint-url", env["AWS_ENDPOINT_URL"] ?? "", "--output", "json", ...args], {
      env: { ...env, ...credentials },
    });
  const ok = async (
    args: readonly string[],
    credentials?: Record<string, string>,
  ): Promise<Record<string, unknown>> => {
    const { code, stdout, stderr } = await aws(args, credentials);
    expect(code, `aws ${args.slice(0, 2).join(" ")}: ${stderr}`).toBe(0);
    return stdout.trim() === "" ? {} : (JSON.parse(stdout) as Record<string, unknown>);
  };
  /** Blobs go in from files: the two major versions of the command line read them from arguments differently. */
  const blob = (name: string, bytes: Uint8Array): string => {
    writeFileSync(join(files, name), bytes);
    return `fileb://${join(files, name)}`;
  };

  test("the AWS command line does the whole story", async () => {
    const name = `cli-${transport.toLowerCase()}`;
    const active = async (): Promise<Record<string, unknown>> =>
      eventually(async () => {
        const answer = await ok(["kinesis", "describe-stream", "--stream-name", name]);
        const description = answer["StreamDescription"] as Record<string, unknown>;
        return description["StreamStatus"] === "ACTIVE" ? description : null;
      });
    const put = (key: string, data: string, credentials?: Record<string, string>): Promise<Finished> =>
      aws(
        [
          "kinesis",
          "put-record",
          "--stream-name",
          name,
          "--partition-key",
          key,
          "--data",
          blob("data", Buffer.from(data)),
        ],
        credentials,
      );

    expect(await ok(["sts", "get-caller-identity"])).toMatchObject({ Account: server().accountId });
    const made = await ok(["kms", "create-key", "--description", "cli"]);
    const keyId = String((made["KeyMetadata"] as Record<string, unknown>)["KeyId"]);
    await ok(["kms", "create-alias", "--alias-name", `alias/${name}`, "--target-key-id", keyId]);
    await ok(["kinesis", "create-stream", "--stream-name", name, "--shard-count", "1"]);
    expect((await active())["EncryptionType"]).toBe("NONE");
    expect(JSON.parse((await put("k", "before")).stdout)).toMatchObject({ EncryptionType: "NONE" });
    await ok([
      "kinesis",
      "start-stream-encryption",
      "--stream-name",
      name,
      "--encryption-type",
      "KMS",
      "--key-id",
      `alias/${name}`,
    ]);
    expect((await active())["EncryptionType"]).toBe("KMS");
    expect(JSON.parse((await put("k", "sealed")).stdout)).toMatchObject({ EncryptionType: "KMS" });

    const start = [
      "kinesis",
      "get-shard-iterator",
      "--stream-name",
      name,
      "--shard-id",
      "shardId-000000000000",
      "--shard-iterator-type",
    ];
    const { ShardIterator } = await ok([...start, "TRIM_HORIZON"]);
    const page = await ok(["kinesis", "get-records", "--shard-iterator", String(ShardIterator)]);
    const records = page["Records"] as readonly Record<string, string>[];
    expect(records.map((record) => Buffer.from(record["Data"] ?? "", "base64").toString("utf8"))).toEqual([
      "before",
      "sealed",
    ]);

    await ok(["iam", "create-user", "--user-name", name]);
    const access = (await ok(["iam", "create-access-key", "--user-name", name]))["AccessKey"] as Record<string, string>;
    const policy = '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"kinesis:*","Resource":"*"}]}';
    await ok(["iam", "put-user-policy", "--user-name", name, "--policy-name", "streams", "--policy-document", policy]);
    const theirs = {
      AWS_ACCESS_KEY_ID: access["AccessKeyId"] ?? "",
      AWS_SECRET_ACCESS_KEY: access["SecretAccessKey"] ?? "",
    };
    const refused = await put("k", "theirs", theirs);
    expect(refused.code).not.toBe(0);
    expect(refused.stderr).toContain("KMSAccessDeniedException");

    const plain = Buffer.from("plain \u0000 text");
    const sealed = await ok(["kms", "encrypt", "--key-id", `alias/${name}`, "--plaintext", blob("plain", plain)]);
    const ciphertext = blob("sealed", Buffer.from(String(sealed["CiphertextBlob"]), "base64"));
    const opened = await ok(["kms", "decrypt", "--ciphertext-blob", ciphertext]);
    expect(Buffer.from(String(opened["Plaintext"]), "base64")).toEqual(plain);
    expect(readFileSync(join(files, "sealed")).includes("plain")).toBe(false);

    const trail = await ok([
      "cloudtrail",
      "lookup-events",
      "--lookup-attributes",
      "AttributeKey=EventName,AttributeValue=CreateAlias",
    ]);
    expect(JSON.stringify(trail["Events"])).toContain(`alias/${name}`);
    await ok([
      "kinesis",
      "stop-stream-encryption",
      "--stream-name",
      name,
      "--encryption-type",
      "KMS",
      "--key-id",
      `alias/${name}`,
    ]);
    expect((await active())["EncryptionType"]).toBe("NONE");
    await ok(["kinesis", "delete-stream", "--stream-name", name]);
  });
});
