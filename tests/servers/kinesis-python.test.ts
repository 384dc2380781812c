import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { run, waxsealOk } from "../support/processes.ts";
import { type RunningServer, serverForAll } from "../support/server.ts";

const SCRIPT = fileURLToPath(new URL("kinesis.py", import.meta.url));

/** The operations that the script called with success. */
async function worked(server: RunningServer, more: Readonly<Record<string, string>> = {}): Promise<readonly string[]> {
  const made = await waxsealOk(["account", "create", "--data-dir", server.dataDir, "--name", "other", "--json"]);
  const other = JSON.parse(made) as { accountId: string; accessKeyId: string; secretAccessKey: string };
  const env = {
    ...(await server.env()),
    AWS_ENDPOINT_URL: server.endpoint,
    AWS_DEFAULT_REGION: server.region,
    AWS_CONFIG_FILE: "/dev/null",
    AWS_SHARED_CREDENTIALS_FILE: "/dev/null",
    AWS_EC2_METADATA_DISABLED: "true",
    OTHER_ACCOUNT: other.accountId,
    OTHER_KEY_ID: other.accessKeyId,
    OTHER_SECRET: other.secretAccessKey,
    ...more,
  };
  const { code, stdout, stderr } = await run("python3", [SCRIPT], { env });
  expect(code, stderr).toBe(0);
  return (JSON.parse(stdout) as { worked: readonly string[] }).worked;
}

describe("boto3", () => {
  const server = serverForAll();
  test("shares a stream with another account, and sets what a stream and an account have", async () => {
    const operations = await worked(server());
    const expected = ["PutResourcePolicy", "GetRecords", "UpdateMaxRecordSize", "UpdateStreamWarmThroughput"];
    expect(operations).toEqual(expect.arrayContaining(expected.map((name) => `kinesis.${name}`)));
  });
});

describe("boto3 against --stream-limits aws", () => {
  const server = serverForAll({ args: ["--stream-limits", "aws"] });
  test("is throttled record by record, shard by shard and request by request", async () => {
    expect(await worked(server(), { STREAM_LIMITS: "aws" })).toContain("kinesis.PutRecords");
  });
});
