import {
  CreateRoleCommand,
  CreateUserCommand,
  DeleteAccessKeyCommand,
  DeleteRoleCommand,
  DeleteUserCommand,
  DeleteUserPolicyCommand,
  GetRoleCommand,
  UpdateAssumeRolePolicyCommand,
  UpdateUserCommand,
} from "@aws-sdk/client-iam";
import {
  CreateGrantCommand,
  CreateKeyCommand,
  DescribeKeyCommand,
  EncryptCommand,
  GetKeyPolicyCommand,
  ListGrantsCommand,
  PutKeyPolicyCommand,
} from "@aws-sdk/client-kms";
import { AssumeRoleCommand, GetCallerIdentityCommand } from "@aws-sdk/client-sts";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Clients, clientsFor, createUser, refusal, rootClients, type User } from "../support/clients.ts";
import { waxsealOk } from "../support/processes.ts";
import { type Credentials, serverForAll } from "../support/server.ts";
import { allEvents } from "../support/trail.ts";
import { utf8 } from "../support/streams.ts";

/** Policies and grants mean the users and roles that were there when they were made, not whoever has their names later. */
const server = serverForAll();
const opened: Clients[] = [];
let root: Clients;
beforeAll(async () => {
  root = await rootClients(server());
  opened.push(root);
});
afterAll(() => {
  for (const clients of opened) clients.destroy();
});

const rootArn = (): string => `arn:aws:iam::${server().accountId}:root`;
const ASSUME = [{ Effect: "Allow", Action: "sts:AssumeRole", Resource: "*" }] as const;
const user = async (name: string, statements: Parameters<typeof createUser>[3] = []): Promise<User> => {
  const made = await createUser(server(), root, name, statements);
  opened.push(made);
  return made;
};
const idOf = async (who: Clients): Promise<string> =>
  (await who.sts.send(new GetCallerIdentityCommand({}))).UserId ?? "";

/** Deletes a user that `createUser` made with or without statements. */
async function remove(who: User, UserName: string): Promise<void> {
  const { accessKeyId: AccessKeyId } = who.credentials;
  await root.iam.send(new DeleteAccessKeyCommand({ UserName, AccessKeyId }));
  await root.iam.send(new DeleteUserPolicyCommand({ UserName, PolicyName: "main" })).catch(() => undefined);
  await root.iam.send(new DeleteUserCommand({ UserName }));
}

const keyPolicy = (...names: readonly string[]): string =>
  JSON.stringify({
    Version: "2012-10-17",
    Statement: names.map((AWS) => ({ Effect: "Allow", Principal: { AWS }, Action: "kms:*", Resource: "*" })),
  });
const key = async (...names: readonly string[]): Promise<string> =>
  (await root.kms.send(new CreateKeyCommand({ Policy: keyPolicy(rootArn(), ...names) }))).KeyMetadata?.Arn ?? "";
const use = (who: Clients, KeyId: string): Promise<string> => refusal(who.kms.send(new DescribeKeyCommand({ KeyId })));
const principalsOf = async (KeyId: string): Promise<readonly string[]> => {
  const { Policy } = await root.kms.send(new GetKeyPolicyCommand({ KeyId }));
  const { Statement } = JSON.parse(Policy ?? "") as { Statement: { Principal: { AWS: string } }[] };
  return Statement.map(({ Principal }) => Principal.AWS);
};
const trusting = (AWS: string): string =>
  JSON.stringify({
    Version: "2012-10-17",
    Statement: [{ Effect: "Allow", Principal: { AWS }, Action: "sts:AssumeRole" }],
  });
const role = async (RoleName: string, trusted: string): Promise<{ readonly arn: string; readonly id: string }> => {
  const made = await root.iam.send(new CreateRoleCommand({ RoleName, AssumeRolePolicyDocument: trusting(trusted) }));
  return { arn: made.Role?.Arn ?? "", id: made.Role?.RoleId ?? "" };
};
const sessionOf = async (who: Clients, RoleArn: string): Promise<Clients> => {
  const { Credentials: given } = await who.sts.send(new AssumeRoleCommand({ RoleArn, RoleSessionName: "test" }));
  const clients = await clientsFor(server(), {
    accessKeyId: given?.AccessKeyId ?? "",
    secretAccessKey: given?.SecretAccessKey ?? "",
    sessionToken: given?.SessionToken ?? "",
  } as Credentials);
  opened.push(clients);
  return clients;
};

test("a user that is made again under its name has neither the key nor the grant of the one before", async () => {
  const ann = await user("ann");
  const id = await idOf(ann);
  const byPolicy = await key(ann.arn);
  const byGrant = await key();
  const grant = new CreateGrantCommand({ KeyId: byGrant, GranteePrincipal: ann.arn, Operations: ["DescribeKey"] });
  await root.kms.send(grant);
  for (const KeyId of [byPolicy, byGrant]) expect(await use(ann, KeyId)).toBe("succeeded");
  await remove(ann, "ann");
  expect(await principalsOf(byPolicy)).toEqual([rootArn(), id]);
  const namesake = await user("ann");
  for (const KeyId of [byPolicy, byGrant]) expect(await use(namesake, KeyId)).toBe("AccessDeniedException");
  expect(await principalsOf(byPolicy)).toEqual([rootArn(), id]);
  const { Grants } = await root.kms.send(new ListGrantsCommand({ KeyId: byGrant }));
  expect(Grants).toMatchObject([{ GranteePrincipal: id }]);
  // Said again, both mean the new user.
  await root.kms.send(new PutKeyPolicyCommand({ KeyId: byPolicy, Policy: keyPolicy(rootArn(), namesake.arn) }));
  await root.kms.send(grant);
  for (const KeyId of [byPolicy, byGrant]) expect(await use(namesake, KeyId)).toBe("succeeded");
});

test("a key's policy goes with a user that is renamed, and not to who gets the name", async () => {
  const carl = await user("carl");
  const arn = await key(carl.arn);
  await root.iam.send(new UpdateUserCommand({ UserName: "carl", NewUserName: "charles" }));
  const namesake = await user("carl");
  expect(await use(carl, arn)).toBe("succeeded");
  expect(await use(namesake, arn)).toBe("AccessDeniedException");
  expect(await principalsOf(arn)).toEqual([rootArn(), carl.arn.replace(/carl$/, "charles")]);
});

test("a role that is made again has no key of the one before, and who is made again is not trusted by a role", async () => {
  const eve = await user("eve", ASSUME);
  const app = await role("app", eve.arn);
  const arn = await key(app.arn);
  expect(await use(await sessionOf(eve, app.arn), arn)).toBe("succeeded");
  await root.iam.send(new DeleteRoleCommand({ RoleName: "app" }));
  const again = await role("app", eve.arn);
  expect(await use(await sessionOf(eve, again.arn), arn)).toBe("AccessDeniedException");
  expect(await principalsOf(arn)).toEqual([rootArn(), app.id]);

  const id = await idOf(eve);
  await remove(eve, "eve");
  const { Role } = await root.iam.send(new GetRoleCommand({ RoleName: "app" }));
  expect(decodeURIComponent(Role?.AssumeRolePolicyDocument ?? "")).toBe(trusting(id));
  const namesake = await user("eve", ASSUME);
  const assume = new AssumeRoleCommand({ RoleArn: again.arn, RoleSessionName: "test" });
  expect(await refusal(namesake.sts.send(assume))).toMatch(/^AccessDenied/);
  const trust = { RoleName: "app", PolicyDocument: trusting(namesake.arn) };
  await root.iam.send(new UpdateAssumeRolePolicyCommand(trust));
  expect(await refusal(namesake.sts.send(assume))).toBe("succeeded");
});

test("who is not there cannot be named", async () => {
  const KeyId = await key();
  for (const name of [
    `arn:aws:iam::${server().accountId}:user/nobody`,
    `arn:aws:iam::${server().accountId}:role/nothing`,
    `arn:aws:sts::${server().accountId}:assumed-role/nothing/test`,
  ]) {
    const put = root.kms.send(new PutKeyPolicyCommand({ KeyId, Policy: keyPolicy(rootArn(), name) }));
    await expect(put, name).rejects.toMatchObject({
      name: "MalformedPolicyDocumentException",
      message: "Policy contains a statement with one or more invalid principals.",
    });
    await expect(role("never", name), name).rejects.toMatchObject({
      name: "MalformedPolicyDocumentException",
      message: `Invalid principal in policy: "AWS":"${name}"`,
    });
    const grant = new CreateGrantCommand({ KeyId, GranteePrincipal: name, Operations: ["Encrypt"] });
    expect(await refusal(root.kms.send(grant)), name).toBe("InvalidArnException");
  }
});

test("the use of another account's key stands in the trails of both accounts, told apart and tied together", async () => {
  const other = JSON.parse(
    await waxsealOk(["account", "create", "--data-dir", server().dataDir, "--name", "other", "--json"]),
  ) as Credentials & { readonly accountId: string };
  const strangers = await clientsFor(server(), other);
  opened.push(strangers);
  const { User: made } = await strangers.iam.send(new CreateUserCommand({ UserName: "unrelated" }));
  expect(made?.Arn).toContain(other.accountId);
  const arn = await key(`arn:aws:iam::${other.accountId}:root`);
  await strangers.kms.send(new EncryptCommand({ KeyId: arn, Plaintext: utf8("x") }));
  expect(await refusal(strangers.kms.send(new DescribeKeyCommand({ KeyId: await key() })))).toBe(
    "AccessDeniedException",
  );

  interface Shared {
    readonly eventID: string;
    readonly sharedEventID?: string;
    readonly recipientAccountId: string;
    readonly userIdentity: object;
  }
  const events = async (who: Clients, name: string): Promise<readonly Shared[]> =>
    (await allEvents(who.cloudtrail)).filter(({ eventName }) => eventName === name) as unknown as Shared[];
  const [theirs] = await events(strangers, "Encrypt");
  const ours = (await events(root, "Encrypt")).find((event) => event.sharedEventID === theirs?.sharedEventID);
  expect(theirs).toMatchObject({ recipientAccountId: other.accountId, userIdentity: { type: "Root" } });
  expect(ours).toMatchObject({
    recipientAccountId: server().accountId,
    userIdentity: { type: "AWSAccount", accountId: other.accountId, principalId: other.accountId },
    resources: [{ ARN: arn, accountId: server().accountId, type: "AWS::KMS::Key" }],
  });
  expect(theirs?.sharedEventID).toMatch(/^[0-9a-f-]{36}$/);
  expect(ours?.eventID).not.toBe(theirs?.eventID);
  // What was refused is told to the caller alone.
  expect(await events(strangers, "DescribeKey")).toHaveLength(1);
  const told = await events(root, "DescribeKey");
  expect(told.filter((event) => JSON.stringify(event.userIdentity).includes(other.accountId))).toEqual([]);
});
