import {
  AttachUserPolicyCommand,
  CreatePolicyCommand,
  CreateRoleCommand,
  DeletePolicyCommand,
  GetPolicyCommand,
  PutUserPermissionsBoundaryCommand,
  PutUserPolicyCommand,
} from "@aws-sdk/client-iam";
import { DescribeStreamSummaryCommand, PutRecordCommand } from "@aws-sdk/client-kinesis";
import {
  CreateAliasCommand,
  CreateGrantCommand,
  CreateKeyCommand,
  DecryptCommand,
  DescribeKeyCommand,
  EncryptCommand,
  GetKeyPolicyCommand,
  ListGrantsCommand,
  PutKeyPolicyCommand,
  ReEncryptCommand,
  ScheduleKeyDeletionCommand,
} from "@aws-sdk/client-kms";
import {
  AttachPolicyCommand,
  CreateAccountCommand,
  CreatePolicyCommand as CreateServiceControlPolicyCommand,
  DescribeOrganizationCommand,
  DetachPolicyCommand,
  EnablePolicyTypeCommand,
  ListRootsCommand,
  OrganizationsClient,
} from "@aws-sdk/client-organizations";
import { AssumeRoleCommand, GetCallerIdentityCommand } from "@aws-sdk/client-sts";
import { afterAll, beforeAll, expect, test } from "vitest";
import {
  type Clients,
  clientsFor,
  createUser,
  policyDocument,
  refusal,
  rootClients,
  type User,
} from "../support/clients.ts";
import { waxsealOk } from "../support/processes.ts";
import { type Credentials, serverForAll } from "../support/server.ts";
import { createStream } from "../support/streams.ts";

/** Two accounts of one deployment: what one of them has, the other does not reach by knowing its name. */
const server = serverForAll();
const EVERYTHING = { Effect: "Allow", Action: "*", Resource: "*" } as const;
const plaintext = Buffer.from("secret");

/** The account that owns everything below. */
let owner: Clients;
/** The other account's root, and a user of it who may do everything there. */
let strangerRoot: Clients;
let stranger: User;
let strangerAccount = "";
let keyArn = "";
let aliasArn = "";
let ciphertext: Uint8Array = new Uint8Array();

beforeAll(async () => {
  owner = await rootClients(server());
  const made = JSON.parse(
    await waxsealOk(["account", "create", "--data-dir", server().dataDir, "--name", "other", "--json"]),
  ) as Credentials & { readonly accountId: string };
  strangerAccount = made.accountId;
  const { accessKeyId, secretAccessKey } = made;
  strangerRoot = await clientsFor(server(), { accessKeyId, secretAccessKey });
  stranger = await createUser(server(), strangerRoot, "mallory", [EVERYTHING]);
  const { KeyMetadata } = await owner.kms.send(new CreateKeyCommand({}));
  keyArn = KeyMetadata?.Arn ?? "";
  aliasArn = keyArn.replace(/key\/.*/, "alias/owned");
  await owner.kms.send(new CreateAliasCommand({ AliasName: "alias/owned", TargetKeyId: keyArn }));
  const encrypted = await owner.kms.send(new EncryptCommand({ KeyId: keyArn, Plaintext: plaintext }));
  ciphertext = encrypted.CiphertextBlob ?? ciphertext;
  await createStream(owner.kinesis, "owned");
});
afterAll(() => {
  for (const clients of [owner, strangerRoot, stranger]) clients.destroy();
});

test("a key, by its ARN, its alias' ARN, or a ciphertext of it: for every operation, users and root", async () => {
  for (const { kms } of [stranger, strangerRoot]) {
    for (const KeyId of [keyArn, aliasArn]) {
      expect(await refusal(kms.send(new EncryptCommand({ KeyId, Plaintext: plaintext })))).toBe(
        "AccessDeniedException",
      );
      expect(await refusal(kms.send(new DescribeKeyCommand({ KeyId })))).toBe("AccessDeniedException");
    }
    for (const call of [
      kms.send(new DecryptCommand({ CiphertextBlob: ciphertext })),
      kms.send(new DecryptCommand({ CiphertextBlob: ciphertext, KeyId: keyArn })),
      kms.send(new ListGrantsCommand({ KeyId: keyArn })),
      kms.send(new CreateGrantCommand({ KeyId: keyArn, GranteePrincipal: stranger.arn, Operations: ["Decrypt"] })),
    ])
      expect(await refusal(call)).toBe("AccessDeniedException");
    // These take keys of one's own account alone (KMS developer guide, "Cross-account use: No").
    for (const call of [
      kms.send(new GetKeyPolicyCommand({ KeyId: keyArn, PolicyName: "default" })),
      kms.send(new PutKeyPolicyCommand({ KeyId: keyArn, Policy: policyDocument(EVERYTHING) })),
      kms.send(new ScheduleKeyDeletionCommand({ KeyId: keyArn })),
    ])
      expect(await refusal(call)).toMatch(/^(AccessDeniedException|NotFoundException|InvalidArnException)$/);
  }
  expect(await refusal(owner.kms.send(new DecryptCommand({ CiphertextBlob: ciphertext })))).toBe("succeeded");
});

test("a name without an account is looked for at home", async () => {
  const keyId = keyArn.split("/").at(-1) ?? "";
  for (const KeyId of [keyId, "alias/owned"]) {
    expect(await refusal(stranger.kms.send(new DescribeKeyCommand({ KeyId })))).toBe("NotFoundException");
    expect(await refusal(stranger.kms.send(new EncryptCommand({ KeyId, Plaintext: plaintext })))).toBe(
      "NotFoundException",
    );
  }
  const own = (await stranger.kms.send(new CreateKeyCommand({}))).KeyMetadata?.KeyId ?? "";
  const reencrypt = new ReEncryptCommand({ CiphertextBlob: ciphertext, DestinationKeyId: own });
  expect(await refusal(stranger.kms.send(reencrypt))).toBe("AccessDeniedException");
  const name = new DescribeStreamSummaryCommand({ StreamName: "owned" });
  expect(await refusal(stranger.kinesis.send(name))).toBe("ResourceNotFoundException");
});

test("a key policy that names the other account is half of it: its own policies are the other half", async () => {
  const poor = await createUser(server(), strangerRoot, "poor", []);
  const { KeyMetadata } = await owner.kms.send(new CreateKeyCommand({}));
  const KeyId = KeyMetadata?.Arn ?? "";
  const encrypting = async (who: Clients): Promise<string> =>
    refusal(who.kms.send(new EncryptCommand({ KeyId, Plaintext: plaintext })));
  const key = (Sid: string, AWS: string, Action: string): object => ({
    Sid,
    Effect: "Allow",
    Principal: { AWS },
    Action,
    Resource: "*",
  });
  const Policy = JSON.stringify({
    Version: "2012-10-17",
    Statement: [
      key("own", `arn:aws:iam::${server().accountId}:root`, "kms:*"),
      key("other", `arn:aws:iam::${strangerAccount}:root`, "kms:Encrypt"),
    ],
  });
  expect(await encrypting(stranger)).toBe("AccessDeniedException");
  await owner.kms.send(new PutKeyPolicyCommand({ KeyId, Policy }));
  expect(await encrypting(poor)).toBe("AccessDeniedException");
  expect(await encrypting(stranger)).toBe("succeeded");
  expect(await refusal(stranger.kms.send(new DescribeKeyCommand({ KeyId })))).toBe("AccessDeniedException");
  poor.destroy();
});

test("a stream", async () => {
  const StreamARN = `arn:aws:kinesis:${server().region}:${server().accountId}:stream/owned`;
  for (const { kinesis } of [stranger, strangerRoot]) {
    for (const call of [
      kinesis.send(new DescribeStreamSummaryCommand({ StreamARN })),
      kinesis.send(new PutRecordCommand({ StreamARN, PartitionKey: "k", Data: plaintext })),
    ])
      expect(await refusal(call)).toMatch(
        /^(AccessDeniedException|ResourceNotFoundException|InvalidArgumentException)$/,
      );
  }
});

test("a managed policy: not read, not attached, not used as a boundary, not deleted", async () => {
  const created = await owner.iam.send(
    new CreatePolicyCommand({ PolicyName: "owned", PolicyDocument: policyDocument(EVERYTHING) }),
  );
  const PolicyArn = created.Policy?.Arn ?? "";
  const { iam } = stranger;
  for (const call of [
    iam.send(new GetPolicyCommand({ PolicyArn })),
    iam.send(new DeletePolicyCommand({ PolicyArn })),
    iam.send(new AttachUserPolicyCommand({ UserName: "mallory", PolicyArn })),
    iam.send(new PutUserPermissionsBoundaryCommand({ UserName: "mallory", PermissionsBoundary: PolicyArn })),
  ])
    expect(await refusal(call)).toMatch(/^(AccessDenied|NoSuchEntityException|InvalidInputException)$/);
  expect(await refusal(owner.iam.send(new GetPolicyCommand({ PolicyArn })))).toBe("succeeded");
});

test("a role: only if it trusts the other account, and that account's own policies let the user", async () => {
  const trusting = async (RoleName: string, AWS: string): Promise<string> => {
    const AssumeRolePolicyDocument = JSON.stringify({
      Version: "2012-10-17",
      Statement: { Effect: "Allow", Principal: { AWS }, Action: "sts:AssumeRole" },
    });
    const { Role } = await owner.iam.send(new CreateRoleCommand({ RoleName, AssumeRolePolicyDocument }));
    return Role?.Arn ?? "";
  };
  const assuming = async (who: Clients, RoleArn: string): Promise<string> =>
    refusal(who.sts.send(new AssumeRoleCommand({ RoleArn, RoleSessionName: "test" })));
  const own = await trusting("own", server().accountId);
  const shared = await trusting("shared", strangerAccount);
  expect(await assuming(stranger, own)).toBe("AccessDenied");
  expect(await assuming(stranger, shared)).toBe("succeeded");
  const trustee = await createUser(server(), strangerRoot, "trustee", []);
  const personal = await trusting("personal", trustee.arn);
  for (const arn of [own, shared, personal]) expect(await assuming(trustee, arn), arn).toBe("AccessDenied");
  const PolicyDocument = policyDocument({ Effect: "Allow", Action: "sts:AssumeRole", Resource: personal });
  await strangerRoot.iam.send(new PutUserPolicyCommand({ UserName: "trustee", PolicyName: "main", PolicyDocument }));
  expect(await assuming(trustee, personal)).toBe("succeeded");
  expect(await assuming(trustee, shared)).toBe("AccessDenied");
  expect(await assuming(stranger, personal)).toBe("AccessDenied");
  expect(await assuming(strangerRoot, shared)).toBe("AccessDenied");
  trustee.destroy();
});

test("the organization: a member's root neither governs it nor gets out of its service control policies", async () => {
  const organizationsOf = ({ credentials }: Clients): OrganizationsClient =>
    new OrganizationsClient({
      endpoint: server().endpoint,
      region: server().region,
      credentials,
      maxAttempts: 1,
    });
  const [management, member] = [organizationsOf(owner), organizationsOf(strangerRoot)];
  const { Roots } = await management.send(new ListRootsCommand({}));
  const RootId = Roots?.[0]?.Id ?? "";
  if (Roots?.[0]?.PolicyTypes?.length === 0)
    await management.send(new EnablePolicyTypeCommand({ RootId, PolicyType: "SERVICE_CONTROL_POLICY" }));
  const { Policy } = await management.send(
    new CreateServiceControlPolicyCommand({
      Name: "no-keys",
      Description: "",
      Type: "SERVICE_CONTROL_POLICY",
      Content: policyDocument({ Effect: "Deny", Action: "kms:CreateKey", Resource: "*" }),
    }),
  );
  const PolicyId = Policy?.PolicySummary?.Id ?? "";
  const creatingKey = async ({ kms }: Clients): Promise<string> => refusal(kms.send(new CreateKeyCommand({})));
  expect(await creatingKey(strangerRoot)).toBe("succeeded");
  await management.send(new AttachPolicyCommand({ PolicyId, TargetId: strangerAccount }));
  for (const who of [strangerRoot, stranger]) expect(await creatingKey(who)).toBe("AccessDeniedException");
  for (const call of [
    member.send(new DetachPolicyCommand({ PolicyId, TargetId: strangerAccount })),
    member.send(new AttachPolicyCommand({ PolicyId, TargetId: server().accountId })),
    member.send(new CreateAccountCommand({ AccountName: "mine", Email: "mine@example.com" })),
    member.send(new ListRootsCommand({})),
  ])
    expect(await refusal(call)).toBe("AccessDeniedException");
  expect(await refusal(member.send(new DescribeOrganizationCommand({})))).toBe("succeeded");
  expect(await refusal(stranger.sts.send(new GetCallerIdentityCommand({})))).toBe("succeeded");
  expect(await creatingKey(strangerRoot)).toBe("AccessDeniedException");
  expect(await creatingKey(owner)).toBe("succeeded");
  await management.send(new DetachPolicyCommand({ PolicyId, TargetId: strangerAccount }));
  expect(await creatingKey(strangerRoot)).toBe("succeeded");
  for (const client of [management, member]) client.destroy();
});
