import { fileURLToPath } from "node:url";
import { beforeAll, expect, test } from "vitest";
import { run, waxsealOk } from "../support/processes.ts";
import { serverForAll } from "../support/server.ts";

const script = (name: string): string => fileURLToPath(new URL(name, import.meta.url));
const server = serverForAll();

let env: Record<string, string> = {};
beforeAll(async () => {
  const made = await waxsealOk(["account", "create", "--data-dir", server().dataDir, "--name", "other", "--json"]);
  const other = JSON.parse(made) as { accountId: string; accessKeyId: string; secretAccessKey: string };
  env = {
    ...(await server().env()),
    AWS_ENDPOINT_URL: server().endpoint,
    AWS_DEFAULT_REGION: server().region,
    AWS_CONFIG_FILE: "/dev/null",
    AWS_SHARED_CREDENTIALS_FILE: "/dev/null",
    AWS_EC2_METADATA_DISABLED: "true",
    AWS_PAGER: "",
    OTHER_ACCOUNT: other.accountId,
    OTHER_KEY_ID: other.accessKeyId,
    OTHER_SECRET: other.secretAccessKey,
  };
});

/** What a script says that worked, `service.Operation` each. */
async function worked(name: string): Promise<readonly string[]> {
  const { code, stdout, stderr } = await run("python3", [script(name)], { env });
  expect(code, stderr).toBe(0);
  return (JSON.parse(stdout) as { worked: readonly string[] }).worked;
}

test("boto3 drives IAM: users, groups, roles, policies, providers and reports", async () => {
  const operations = await worked("iam.py");
  expect(operations.filter((name) => name.startsWith("iam.")).length).toBe(107);
});

test("boto3 drives STS and Organizations, and a second account uses a key when both sides allow", async () => {
  const operations = await worked("accounts.py");
  expect(operations.filter((name) => name.startsWith("organizations.")).length).toBeGreaterThan(25);
});

async function aws(...args: readonly string[]): Promise<Record<string, unknown>> {
  const all = ["--endpoint-url", server().endpoint, "--output", "json", ...args];
  const { code, stdout, stderr } = await run("aws", all, { env });
  expect(code, `aws ${args.slice(0, 2).join(" ")}: ${stderr}`).toBe(0);
  return stdout.trim() === "" ? {} : (JSON.parse(stdout) as Record<string, unknown>);
}

test("the AWS command line makes a role and works with its session", async () => {
  const trust = JSON.stringify({
    Version: "2012-10-17",
    Statement: [{ Effect: "Allow", Principal: { AWS: server().accountId }, Action: "sts:AssumeRole" }],
  });
  await aws("iam", "create-role", "--role-name", "cli", "--assume-role-policy-document", trust);
  await aws(
    "iam",
    "attach-role-policy",
    "--role-name",
    "cli",
    "--policy-arn",
    "arn:aws:iam::aws:policy/ReadOnlyAccess",
  );
  await aws("iam", "create-user", "--user-name", "cli");
  const admin = "arn:aws:iam::aws:policy/AdministratorAccess";
  await aws("iam", "attach-user-policy", "--user-name", "cli", "--policy-arn", admin);
  const { AccessKey } = await aws("iam", "create-access-key", "--user-name", "cli");
  const key = AccessKey as Record<string, string>;
  const root = env;
  env = { ...root, AWS_ACCESS_KEY_ID: key["AccessKeyId"] ?? "", AWS_SECRET_ACCESS_KEY: key["SecretAccessKey"] ?? "" };
  const arn = `arn:aws:iam::${server().accountId}:role/cli`;
  const { Credentials } = await aws("sts", "assume-role", "--role-arn", arn, "--role-session-name", "cli");
  const session = Credentials as Record<string, string>;
  env = {
    ...root,
    AWS_ACCESS_KEY_ID: session["AccessKeyId"] ?? "",
    AWS_SECRET_ACCESS_KEY: session["SecretAccessKey"] ?? "",
    AWS_SESSION_TOKEN: session["SessionToken"] ?? "",
  };
  expect(await aws("sts", "get-caller-identity")).toMatchObject({
    Arn: `arn:aws:sts::${server().accountId}:assumed-role/cli/cli`,
  });
  expect(await aws("iam", "list-users")).toHaveProperty("Users");
  expect(await aws("kms", "list-keys")).toHaveProperty("Keys");
  env = root;
  expect(await aws("organizations", "list-accounts")).toHaveProperty("Accounts");
});
