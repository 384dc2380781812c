import {
  AddUserToGroupCommand,
  AttachGroupPolicyCommand,
  AttachRolePolicyCommand,
  CreateGroupCommand,
  CreateRoleCommand,
  DeleteRoleCommand,
  DeleteRolePermissionsBoundaryCommand,
  DeleteRolePolicyCommand,
  DetachRolePolicyCommand,
  GetRoleCommand,
  GetRolePolicyCommand,
  ListEntitiesForPolicyCommand,
  ListRolesCommand,
  ListRoleTagsCommand,
  PutGroupPolicyCommand,
  PutRolePermissionsBoundaryCommand,
  PutRolePolicyCommand,
  TagRoleCommand,
  UpdateAssumeRolePolicyCommand,
  UpdateRoleCommand,
} from "@aws-sdk/client-iam";
import { CreateKeyCommand, ListAliasesCommand, ListKeysCommand } from "@aws-sdk/client-kms";
import { AssumeRoleCommand, GetFederationTokenCommand, GetSessionTokenCommand } from "@aws-sdk/client-sts";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Clients, clientsFor, createUser, policyDocument, refusal, rootClients } from "../support/clients.ts";
import { serverForAll } from "../support/server.ts";

const server = serverForAll();
let root: Clients;
beforeAll(async () => {
  root = await rootClients(server());
});
afterAll(() => root.destroy());

const READ_KEYS = policyDocument({ Effect: "Allow", Action: "kms:List*", Resource: "*" });

/** Who trusts the account leaves it to the account's policies who may assume the role. */
const trustOf = (principal: string): string =>
  JSON.stringify({
    Version: "2012-10-17",
    Statement: [{ Effect: "Allow", Principal: { AWS: principal }, Action: "sts:AssumeRole" }],
  });

interface Issued {
  readonly AccessKeyId?: string | undefined;
  readonly SecretAccessKey?: string | undefined;
  readonly SessionToken?: string | undefined;
}

const sessionClients = ({
  AccessKeyId = "",
  SecretAccessKey = "",
  SessionToken = "",
}: Issued = {}): Promise<Clients> => {
  const credentials = { accessKeyId: AccessKeyId, secretAccessKey: SecretAccessKey, sessionToken: SessionToken };
  return clientsFor(server(), credentials);
};

async function sessionOf(who: Clients, roleName: string, Policy?: string): Promise<Clients> {
  const RoleArn = `arn:aws:iam::${server().accountId}:role/${roleName}`;
  const { Credentials } = await who.sts.send(new AssumeRoleCommand({ RoleArn, RoleSessionName: "test", Policy }));
  return sessionClients(Credentials);
}

const listKeys = async (who: Clients): Promise<string> => refusal(who.kms.send(new ListKeysCommand({})));
const listAliases = async (who: Clients): Promise<string> => refusal(who.kms.send(new ListAliasesCommand({})));

test("a role is made, described, changed, listed and deleted", async () => {
  const { accountId } = server();
  const trust = trustOf(accountId);
  const { Role } = await root.iam.send(
    new CreateRoleCommand({
      RoleName: "Archivist",
      Path: "/archive/",
      AssumeRolePolicyDocument: trust,
      MaxSessionDuration: 7_200,
      Tags: [{ Key: "dept", Value: "records" }],
    }),
  );
  expect(Role?.RoleId).toMatch(/^AROA[A-Z0-9]{16,}$/);
  expect(Role?.Arn).toBe(`arn:aws:iam::${server().accountId}:role/archive/Archivist`);
  // A bare account id is shown as its root.
  const shown = trust.replace(`"${accountId}"`, `"arn:aws:iam::${accountId}:root"`);
  expect(decodeURIComponent(Role?.AssumeRolePolicyDocument ?? "")).toBe(shown);
  const again = root.iam.send(new CreateRoleCommand({ RoleName: "archivist", AssumeRolePolicyDocument: trust }));
  expect(await refusal(again)).toBe("EntityAlreadyExistsException");

  const role = { RoleName: "Archivist" };
  await root.iam.send(new UpdateRoleCommand({ ...role, Description: "keeps", MaxSessionDuration: 3_600 }));
  await root.iam.send(new TagRoleCommand({ ...role, Tags: [{ Key: "team", Value: "a" }] }));
  expect((await root.iam.send(new GetRoleCommand(role))).Role).toMatchObject({
    Description: "keeps",
    MaxSessionDuration: 3_600,
    RoleLastUsed: {},
  });
  expect((await root.iam.send(new ListRoleTagsCommand(role))).Tags).toHaveLength(2);
  const { Roles } = await root.iam.send(new ListRolesCommand({ PathPrefix: "/archive/" }));
  expect(Roles?.map(({ RoleName }) => RoleName)).toEqual(["Archivist"]);
  const tooLong = root.iam.send(new UpdateRoleCommand({ ...role, MaxSessionDuration: 43_201 }));
  expect(await refusal(tooLong)).toMatch(/Validation/);
  for (const document of [READ_KEYS, trustOf(`arn:aws:iam::${server().accountId}:user/nobody`), "{"]) {
    const change = root.iam.send(new UpdateAssumeRolePolicyCommand({ ...role, PolicyDocument: document }));
    expect(await refusal(change)).toBe("MalformedPolicyDocumentException");
  }

  await root.iam.send(new PutRolePolicyCommand({ ...role, PolicyName: "keys", PolicyDocument: READ_KEYS }));
  expect(await refusal(root.iam.send(new DeleteRoleCommand(role)))).toBe("DeleteConflictException");
  const { PolicyDocument } = await root.iam.send(new GetRolePolicyCommand({ ...role, PolicyName: "keys" }));
  expect(decodeURIComponent(PolicyDocument ?? "")).toBe(READ_KEYS);
  await root.iam.send(new DeleteRolePolicyCommand({ ...role, PolicyName: "keys" }));
  await root.iam.send(new DeleteRoleCommand(role));
  expect(await refusal(root.iam.send(new GetRoleCommand(role)))).toBe("NoSuchEntityException");
});

test("a role's session may what its role may, as far as boundary and session policy let it, and dies with the role", async () => {
  const user = await createUser(server(), root, "una", [{ Effect: "Allow", Action: "sts:AssumeRole", Resource: "*" }]);
  const create = new CreateRoleCommand({ RoleName: "Reader", AssumeRolePolicyDocument: trustOf(server().accountId) });
  await root.iam.send(create);
  const role = { RoleName: "Reader" };
  const session = await sessionOf(user, "Reader");
  expect(await listKeys(session)).toBe("AccessDeniedException");
  await root.iam.send(new PutRolePolicyCommand({ ...role, PolicyName: "keys", PolicyDocument: READ_KEYS }));
  expect(await listKeys(session)).toBe("succeeded");
  expect(await listKeys(user)).toBe("AccessDeniedException");

  const onlyAliases = policyDocument({ Effect: "Allow", Action: "kms:ListAliases", Resource: "*" });
  const limited = await sessionOf(user, "Reader", onlyAliases);
  expect([await listKeys(limited), await listAliases(limited)]).toEqual(["AccessDeniedException", "succeeded"]);

  const PermissionsBoundary = "arn:aws:iam::aws:policy/AmazonKinesisReadOnlyAccess";
  await root.iam.send(new PutRolePermissionsBoundaryCommand({ ...role, PermissionsBoundary }));
  expect(await listKeys(session)).toBe("AccessDeniedException");
  await root.iam.send(new DeleteRolePermissionsBoundaryCommand(role));
  expect(await listKeys(session)).toBe("succeeded");
  const { Role } = await root.iam.send(new GetRoleCommand(role));
  expect(Role?.RoleLastUsed?.Region).toBe(server().region);
  expect(Date.now() - (Role?.RoleLastUsed?.LastUsedDate?.getTime() ?? 0)).toBeLessThan(60_000);

  await root.iam.send(new DeleteRolePolicyCommand({ ...role, PolicyName: "keys" }));
  await root.iam.send(new DeleteRoleCommand(role));
  expect(await listKeys(session)).toBe("UnrecognizedClientException");
  await root.iam.send(create);
  await root.iam.send(new PutRolePolicyCommand({ ...role, PolicyName: "keys", PolicyDocument: READ_KEYS }));
  expect(await listKeys(session)).toBe("UnrecognizedClientException");
  const anew = await sessionOf(user, "Reader");
  expect(await listKeys(anew)).toBe("succeeded");
  for (const who of [user, session, limited, anew]) who.destroy();
});

test("a group's policies are its users', and ListEntitiesForPolicy tells users, groups and roles apart", async () => {
  const user = await createUser(server(), root, "vic", []);
  const group = { GroupName: "Keepers" };
  await root.iam.send(new CreateGroupCommand(group));
  await root.iam.send(new PutGroupPolicyCommand({ ...group, PolicyName: "keys", PolicyDocument: READ_KEYS }));
  expect(await listKeys(user)).toBe("AccessDeniedException");
  await root.iam.send(new AddUserToGroupCommand({ ...group, UserName: "vic" }));
  expect(await listKeys(user)).toBe("succeeded");
  const PolicyArn = "arn:aws:iam::aws:policy/AWSDenyAll";
  const role = { RoleName: "Nobody" };
  await root.iam.send(new CreateRoleCommand({ ...role, AssumeRolePolicyDocument: trustOf(user.arn) }));
  await root.iam.send(new AttachRolePolicyCommand({ ...role, PolicyArn }));
  await root.iam.send(new AttachGroupPolicyCommand({ ...group, PolicyArn }));
  expect(await listKeys(user)).toBe("AccessDeniedException");
  const entities = await root.iam.send(new ListEntitiesForPolicyCommand({ PolicyArn }));
  expect(entities.PolicyGroups?.map(({ GroupName }) => GroupName)).toEqual(["Keepers"]);
  expect(entities.PolicyRoles?.map(({ RoleName }) => RoleName)).toEqual(["Nobody"]);
  expect(entities.PolicyUsers ?? []).toEqual([]);
  await root.iam.send(new DetachRolePolicyCommand({ ...role, PolicyArn }));
  user.destroy();
});

test("a user's sessions have its power, a federated user's only what was handed on", async () => {
  const may = { Effect: "Allow", Action: ["kms:*", "sts:GetFederationToken"], Resource: "*" } as const;
  const user = await createUser(server(), root, "wes", [may]);
  const own = await sessionClients((await user.sts.send(new GetSessionTokenCommand({}))).Credentials);
  const federate = async (Policy?: string) =>
    sessionClients((await user.sts.send(new GetFederationTokenCommand({ Name: "guest", Policy }))).Credentials);
  const [bare, guest] = [await federate(), await federate(READ_KEYS)];
  expect(await listKeys(own)).toBe("succeeded");
  expect(await refusal(own.kms.send(new CreateKeyCommand({})))).toBe("succeeded");
  expect(await listKeys(bare)).toBe("AccessDeniedException");
  expect(await listKeys(guest)).toBe("succeeded");
  expect(await refusal(guest.kms.send(new CreateKeyCommand({})))).toBe("AccessDeniedException");
  for (const who of [user, own, bare, guest]) who.destroy();
});
