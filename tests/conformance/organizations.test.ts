import { LookupEventsCommand } from "@aws-sdk/client-cloudtrail";
import { CreateUserCommand, ListUsersCommand } from "@aws-sdk/client-iam";
import { CreateKeyCommand, ListKeysCommand } from "@aws-sdk/client-kms";
import {
  AttachPolicyCommand,
  CloseAccountCommand,
  CreateAccountCommand,
  CreateOrganizationalUnitCommand,
  CreateOrganizationCommand,
  CreatePolicyCommand,
  DeletePolicyCommand,
  DescribeAccountCommand,
  DescribeCreateAccountStatusCommand,
  DescribeOrganizationCommand,
  DetachPolicyCommand,
  ListAccountsCommand,
  ListAccountsForParentCommand,
  ListChildrenCommand,
  ListParentsCommand,
  ListPoliciesForTargetCommand,
  ListRootsCommand,
  ListTargetsForPolicyCommand,
  MoveAccountCommand,
  OrganizationsClient,
  TagResourceCommand,
} from "@aws-sdk/client-organizations";
import { AssumeRoleCommand, GetCallerIdentityCommand } from "@aws-sdk/client-sts";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { type Clients, clientsFor, createUser, policyDocument, refusal, rootClients } from "../support/clients.ts";
import { run, waxseal, waxsealOk } from "../support/processes.ts";
import { type Credentials, removeDirectory, serverForAll, startServer, temporaryDirectory } from "../support/server.ts";

interface RootKey extends Credentials {
  readonly accountId: string;
}

const server = serverForAll();
let root: Clients;
let organizations: OrganizationsClient;

const organizationsOf = (credentials: Credentials): OrganizationsClient =>
  new OrganizationsClient({ endpoint: server().endpoint, region: "us-east-1", credentials, maxAttempts: 1 });

/** A new account of its own for a test, made by the command line beside the running server. */
async function newAccount(name: string): Promise<RootKey> {
  const printed = await waxsealOk(["account", "create", "--data-dir", server().dataDir, "--name", name, "--json"]);
  return JSON.parse(printed) as RootKey;
}

/** The clients of an account's root, until the test ends. */
async function rootOf(key: RootKey): Promise<Clients> {
  const clients = await clientsFor(server(), key);
  onTestFinished(() => clients.destroy());
  return clients;
}

async function newPolicy(name: string, effect: "Allow" | "Deny", action: string): Promise<string> {
  const { Policy } = await organizations.send(
    new CreatePolicyCommand({
      Name: name,
      Description: "",
      Type: "SERVICE_CONTROL_POLICY",
      Content: policyDocument({ Effect: effect, Action: action, Resource: "*" }),
    }),
  );
  return Policy?.PolicySummary?.Id ?? "";
}

async function rootId(): Promise<string> {
  return (await organizations.send(new ListRootsCommand({}))).Roots?.[0]?.Id ?? "";
}

beforeAll(async () => {
  root = await rootClients(server());
  organizations = organizationsOf(root.credentials);
});
afterAll(() => {
  root.destroy();
  organizations.destroy();
});

describe("the organization", () => {
  test("is there from the start, managed by the first account", async () => {
    const { Organization } = await organizations.send(new DescribeOrganizationCommand({}));
    expect(Organization).toMatchObject({ FeatureSet: "ALL", MasterAccountId: server().accountId });
    expect(Organization?.Id).toMatch(/^o-[a-z0-9]{10}$/);
    expect(await refusal(organizations.send(new CreateOrganizationCommand({ FeatureSet: "ALL" })))).toBe(
      "AlreadyInOrganizationException",
    );
    const { Roots } = await organizations.send(new ListRootsCommand({}));
    expect(Roots).toMatchObject([{ PolicyTypes: [{ Type: "SERVICE_CONTROL_POLICY", Status: "ENABLED" }] }]);
  });

  test("makes an account, tells its state, moves it into a unit and lists it there", async () => {
    const { CreateAccountStatus } = await organizations.send(
      new CreateAccountCommand({ AccountName: "Data", Email: "data@example.com" }),
    );
    const asked = await organizations.send(
      new DescribeCreateAccountStatusCommand({ CreateAccountRequestId: CreateAccountStatus?.Id }),
    );
    expect(asked.CreateAccountStatus?.State).toBe("SUCCEEDED");
    const AccountId = asked.CreateAccountStatus?.AccountId ?? "";
    const SourceParentId = await rootId();
    const { OrganizationalUnit } = await organizations.send(
      new CreateOrganizationalUnitCommand({ ParentId: SourceParentId, Name: "Data units" }),
    );
    const DestinationParentId = OrganizationalUnit?.Id ?? "";
    await organizations.send(new MoveAccountCommand({ AccountId, SourceParentId, DestinationParentId }));
    const { Accounts } = await organizations.send(new ListAccountsForParentCommand({ ParentId: DestinationParentId }));
    expect(Accounts).toMatchObject([{ Id: AccountId, Name: "Data", Email: "data@example.com", Status: "ACTIVE" }]);
    expect(Accounts?.[0]?.JoinedTimestamp?.getTime()).toBeGreaterThan(Date.UTC(2020, 0));
    const { Parents } = await organizations.send(new ListParentsCommand({ ChildId: AccountId }));
    expect(Parents).toEqual([{ Id: DestinationParentId, Type: "ORGANIZATIONAL_UNIT" }]);
    const { Children } = await organizations.send(
      new ListChildrenCommand({ ParentId: SourceParentId, ChildType: "ORGANIZATIONAL_UNIT" }),
    );
    expect(Children).toContainEqual({ Id: DestinationParentId, Type: "ORGANIZATIONAL_UNIT" });
  });

  test("lets the management account in by the role that a new account has", async () => {
    const { CreateAccountStatus } = await organizations.send(
      new CreateAccountCommand({ AccountName: "Entered", Email: "entered@example.com" }),
    );
    const accountId = CreateAccountStatus?.AccountId ?? "";
    const RoleArn = `arn:aws:iam::${accountId}:role/OrganizationAccountAccessRole`;
    const user = await createUser(server(), root, "enters", [
      { Effect: "Allow", Action: "sts:AssumeRole", Resource: RoleArn },
    ]);
    onTestFinished(() => user.destroy());
    const { Credentials } = await user.sts.send(new AssumeRoleCommand({ RoleArn, RoleSessionName: "visit" }));
    const visit = {
      accessKeyId: Credentials?.AccessKeyId ?? "",
      secretAccessKey: Credentials?.SecretAccessKey ?? "",
      sessionToken: Credentials?.SessionToken ?? "",
    };
    const session = await clientsFor(server(), visit);
    onTestFinished(() => session.destroy());
    expect(await session.sts.send(new GetCallerIdentityCommand({}))).toMatchObject({ Account: accountId });
    await session.iam.send(new CreateUserCommand({ UserName: "made-by-visitor" }));

    // Nobody works in an account that is closed, not even whose session began before.
    await organizations.send(new CloseAccountCommand({ AccountId: accountId }));
    expect(await refusal(session.sts.send(new GetCallerIdentityCommand({})))).toMatch(/InvalidClientTokenId/);
  });

  test("is closed to member accounts but for its description", async () => {
    const member = await newAccount("Curious");
    const client = organizationsOf(member);
    onTestFinished(() => client.destroy());
    const { Organization } = await client.send(new DescribeOrganizationCommand({}));
    expect(Organization?.MasterAccountId).toBe(server().accountId);
    const refused = [
      client.send(new ListAccountsCommand({})),
      client.send(new DescribeAccountCommand({ AccountId: member.accountId })),
      client.send(new CreateAccountCommand({ AccountName: "x", Email: "x@example.com" })),
      client.send(new DetachPolicyCommand({ PolicyId: "p-FullAWSAccess", TargetId: member.accountId })),
    ];
    for (const call of refused) expect(await refusal(call)).toBe("AccessDeniedException");
  });

  test("asks users of the management account for permission, on the resource", async () => {
    const member = await newAccount("Guarded");
    const user = await createUser(server(), root, "tagger", [
      {
        Effect: "Allow",
        Action: "organizations:TagResource",
        Resource: `arn:aws:organizations::${server().accountId}:account/o-*/${member.accountId}`,
        Condition: { StringEquals: { "aws:RequestTag/team": "a" } },
      },
    ]);
    const client = organizationsOf(user.credentials);
    onTestFinished(() => {
      user.destroy();
      client.destroy();
    });
    const tag = async (ResourceId: string, Value: string): Promise<string> =>
      refusal(client.send(new TagResourceCommand({ ResourceId, Tags: [{ Key: "team", Value }] })));
    expect(await tag(member.accountId, "a")).toBe("succeeded");
    expect(await tag(member.accountId, "b")).toBe("AccessDeniedException");
    expect(await tag(server().accountId, "a")).toBe("AccessDeniedException");
    expect(await refusal(client.send(new ListAccountsCommand({})))).toBe("AccessDeniedException");
  });
});

test("accounts that are made at the same time are all made", async () => {
  const names = ["Same 1", "Same 2", "Same 3", "Same 4", "Same 5"];
  const answers = await Promise.all(
    names.map((AccountName, at) =>
      organizations.send(new CreateAccountCommand({ AccountName, Email: `same-${at}@example.com` })),
    ),
  );
  const ids = new Set(answers.map(({ CreateAccountStatus }) => CreateAccountStatus?.AccountId));
  expect(ids.size).toBe(names.length);
  expect(ids).not.toContain(undefined);
});

describe("service control policies", () => {
  test("deny what policies of the account allow, to its users and its root, from the next request on", async () => {
    const key = await newAccount("Limited");
    const memberRoot = await rootOf(key);
    const user = await createUser(server(), memberRoot, "ann", [{ Effect: "Allow", Action: "kms:*", Resource: "*" }]);
    onTestFinished(() => user.destroy());
    const makeKey = async (who: Clients): Promise<string> => refusal(who.kms.send(new CreateKeyCommand({})));
    expect([await makeKey(user), await makeKey(memberRoot)]).toEqual(["succeeded", "succeeded"]);

    const PolicyId = await newPolicy("no new keys", "Deny", "kms:CreateKey");
    await organizations.send(new AttachPolicyCommand({ PolicyId, TargetId: key.accountId }));
    expect([await makeKey(user), await makeKey(memberRoot)]).toEqual([
      "AccessDeniedException",
      "AccessDeniedException",
    ]);
    await expect(user.kms.send(new CreateKeyCommand({}))).rejects.toThrow(
      /is not authorized to perform: kms:CreateKey .*with an explicit deny in a service control policy/,
    );
    expect(await refusal(user.kms.send(new ListKeysCommand({})))).toBe("succeeded");

    await organizations.send(new DetachPolicyCommand({ PolicyId, TargetId: key.accountId }));
    expect(await makeKey(user)).toBe("succeeded");
  });

  test("must allow at every level, and do not touch the management account", async () => {
    const key = await newAccount("Below");
    const memberRoot = await rootOf(key);
    const top = await rootId();
    const { OrganizationalUnit } = await organizations.send(
      new CreateOrganizationalUnitCommand({ ParentId: top, Name: "Only IAM" }),
    );
    const unit = OrganizationalUnit?.Id ?? "";
    const PolicyId = await newPolicy("only iam", "Allow", "iam:*");
    const move = { AccountId: key.accountId, SourceParentId: top, DestinationParentId: unit };
    await organizations.send(new MoveAccountCommand(move));
    await organizations.send(new AttachPolicyCommand({ PolicyId, TargetId: unit }));
    expect(await refusal(memberRoot.kms.send(new ListKeysCommand({})))).toBe("succeeded");
    await organizations.send(new DetachPolicyCommand({ PolicyId: "p-FullAWSAccess", TargetId: unit }));
    expect(await refusal(memberRoot.kms.send(new ListKeysCommand({})))).toBe("AccessDeniedException");
    expect(await refusal(memberRoot.iam.send(new ListUsersCommand({})))).toBe("succeeded");
    expect(await refusal(organizations.send(new DetachPolicyCommand({ PolicyId, TargetId: unit })))).toBe(
      "ConstraintViolationException",
    );
    const { Policies } = await organizations.send(
      new ListPoliciesForTargetCommand({ TargetId: unit, Filter: "SERVICE_CONTROL_POLICY" }),
    );
    expect(Policies).toMatchObject([{ Id: PolicyId, Name: "only iam", AwsManaged: false }]);

    const denyAll = await newPolicy("nothing", "Deny", "*");
    await organizations.send(new AttachPolicyCommand({ PolicyId: denyAll, TargetId: server().accountId }));
    expect(await refusal(root.kms.send(new ListKeysCommand({})))).toBe("succeeded");
    expect(await refusal(organizations.send(new DeletePolicyCommand({ PolicyId: denyAll })))).toBe(
      "PolicyInUseException",
    );
    const { Targets } = await organizations.send(new ListTargetsForPolicyCommand({ PolicyId: denyAll }));
    expect(Targets).toMatchObject([{ TargetId: server().accountId, Type: "ACCOUNT" }]);
  });

  test("do not keep the owner of the data directory from giving out a key", async () => {
    const key = await newAccount("Locked");
    const PolicyId = await newPolicy("locked", "Deny", "*");
    await organizations.send(new AttachPolicyCommand({ PolicyId, TargetId: key.accountId }));
    const memberRoot = await rootOf(key);
    expect(await refusal(memberRoot.iam.send(new ListUsersCommand({})))).toMatch(/^AccessDenied/);
    await waxsealOk(["account", "key", "--data-dir", server().dataDir, "--account", key.accountId, "--json"]);
  });
});

describe("waxseal account", () => {
  test("works beside a running server, and its calls are in the trail of whose account they are", async () => {
    const key = await newAccount("Traced");
    const memberRoot = await rootOf(key);
    expect(await memberRoot.sts.send(new GetCallerIdentityCommand({}))).toMatchObject({
      Account: key.accountId,
      Arn: `arn:aws:iam::${key.accountId}:root`,
    });
    const events = async (who: Clients, name: string): Promise<string> => {
      const LookupAttributes = [{ AttributeKey: "EventName" as const, AttributeValue: name }];
      const { Events } = await who.cloudtrail.send(new LookupEventsCommand({ LookupAttributes }));
      return Events?.map(({ CloudTrailEvent }) => CloudTrailEvent).join("\n") ?? "";
    };
    const created = await events(root, "CreateAccount");
    expect(created).toContain(key.accountId);
    expect(created).not.toContain("Traced");
    const keyMade = await events(memberRoot, "CreateAccessKey");
    expect(keyMade).toContain(key.accessKeyId);
    expect(keyMade).not.toContain(key.secretAccessKey);
    expect(await events(root, "CreateAccessKey")).not.toContain(key.accessKeyId);
  });

  test("gives out two keys at most, lists them, and deletes one", async () => {
    const { accountId, accessKeyId } = await newAccount("Keys");
    const account = ["--data-dir", server().dataDir, "--account", accountId];
    const second = JSON.parse(await waxsealOk(["account", "key", ...account, "--json"])) as RootKey;
    const third = await waxseal(["account", "key", ...account]);
    expect(third).toMatchObject({ code: 1, stdout: "" });
    expect(third.stderr).toContain("has two access keys");
    const listed = JSON.parse(await waxsealOk(["account", "key", ...account, "--list", "--json"])) as {
      keys: { accessKeyId: string }[];
    };
    expect(listed.keys.map((one) => one.accessKeyId).toSorted()).toEqual([accessKeyId, second.accessKeyId].toSorted());
    await waxsealOk(["account", "key", ...account, "--delete", accessKeyId]);
    const text = await waxsealOk(["account", "key", ...account]);
    expect(text).toContain("shown this once");
  });

  test("refuses what is no account, no name and no address, and says so", async () => {
    const dataDir = ["--data-dir", server().dataDir];
    const unknown = await waxseal(["account", "key", ...dataDir, "--account", "999999999999"]);
    expect(unknown).toMatchObject({ code: 1 });
    expect(unknown.stderr).toContain("account that doesn't exist");
    expect((await waxseal(["account", "create", ...dataDir, "--name", ""])).code).toBe(2);
    expect((await waxseal(["account", "create", ...dataDir, "--name", "a", "--email", "nobody"])).code).toBe(2);
    expect((await waxseal(["account", "create", "--data-dir", "/nowhere/at/all", "--name", "a"])).code).toBe(1);
  });

  test("works without a server, and a passphrase opens what it seals", async () => {
    const parent = temporaryDirectory();
    onTestFinished(() => removeDirectory(parent));
    const dataDir = `${parent}/data`;
    const passphrase = ["--passphrase-fd", "0"];
    const input = "correct horse battery staple\n";
    await waxsealOk(["init", "--data-dir", dataDir, "--seal", "passphrase", ...passphrase], { input });
    const create = ["account", "create", "--data-dir", dataDir, "--name", "Offline", "--json"];
    const unasked = await waxseal(create);
    expect(unasked.code).toBe(1);
    expect(unasked.stderr).toContain("passphrase is needed");
    const key = JSON.parse(await waxsealOk([...create, ...passphrase], { input })) as RootKey;
    expect(await waxsealOk(["account", "list", "--data-dir", dataDir, ...passphrase], { input })).toMatch(
      new RegExp(`${key.accountId}  ACTIVE  .*Offline`),
    );
  });

  test("made without a server, an account is there when one starts", async () => {
    const dataDir = temporaryDirectory();
    onTestFinished(() => removeDirectory(dataDir));
    await waxsealOk(["init", "--data-dir", dataDir]);
    const made = await waxsealOk(["account", "create", "--data-dir", dataDir, "--name", "Early", "--json"]);
    const key = JSON.parse(made) as RootKey;
    const started = await startServer({ dataDir });
    onTestFinished(() => started.kill());
    const member = await clientsFor(started, key);
    onTestFinished(() => member.destroy());
    expect(await member.sts.send(new GetCallerIdentityCommand({}))).toMatchObject({ Account: key.accountId });

    await waxsealOk(["seal", "--data-dir", dataDir]);
    const sealed = await waxseal(["account", "key", "--data-dir", dataDir, "--account", key.accountId]);
    expect(sealed).toMatchObject({ code: 1, stdout: "" });
    expect(sealed.stderr).toContain("npx waxseal unseal");
  });
});

describe("other clients", () => {
  test("the AWS command line makes an account and waits for it, and boto3 pages through the list", async () => {
    const env = {
      AWS_ENDPOINT_URL: server().endpoint,
      AWS_DEFAULT_REGION: server().region,
      AWS_ACCESS_KEY_ID: root.credentials.accessKeyId,
      AWS_SECRET_ACCESS_KEY: root.credentials.secretAccessKey,
    };
    const created = await run(
      "aws",
      ["organizations", "create-account", "--account-name", "Shell", "--email", "shell@example.com"],
      { env },
    );
    expect(created.stderr).toBe("");
    expect(JSON.parse(created.stdout)).toMatchObject({ CreateAccountStatus: { AccountName: "Shell" } });
    const script = `import boto3
names = []
for page in boto3.client("organizations").get_paginator("list_accounts").paginate(PaginationConfig={"PageSize": 2}):
    names += [account["Name"] for account in page["Accounts"]]
print(len(names), "Shell" in names)`;
    const listed = await run("python3", ["-c", script], { env });
    expect(listed.stderr).toBe("");
    expect(listed.stdout).toMatch(/^\d+ True\n$/);
  });
});
