import {
  AttachUserPolicyCommand,
  CreateAccessKeyCommand,
  CreatePolicyCommand,
  CreateUserCommand,
  DeleteAccessKeyCommand,
  DeleteUserCommand,
  DeleteUserPolicyCommand,
  DetachUserPolicyCommand,
  GetUserCommand,
  GetUserPolicyCommand,
  ListAccessKeysCommand,
  ListAttachedUserPoliciesCommand,
  ListUserPoliciesCommand,
  ListUsersCommand,
  PutUserPolicyCommand,
  UpdateAccessKeyCommand,
} from "@aws-sdk/client-iam";
import { ListKeysCommand } from "@aws-sdk/client-kms";
import { GetCallerIdentityCommand } from "@aws-sdk/client-sts";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Clients, clientsFor, createUser, policyDocument, refusal, rootClients } from "../support/clients.ts";
import { serverForAll } from "../support/server.ts";

const server = serverForAll();
let root: Clients;
beforeAll(async () => {
  root = await rootClients(server());
});
afterAll(() => root.destroy());

const listKeys = async (who: Clients): Promise<string> => refusal(who.kms.send(new ListKeysCommand({})));

test("a user is made, described, listed and deleted", async () => {
  const { User } = await root.iam.send(new CreateUserCommand({ UserName: "ann" }));
  expect(User).toMatchObject({ UserName: "ann", Path: "/", Arn: `arn:aws:iam::${server().accountId}:user/ann` });
  expect(User?.UserId).toMatch(/^AIDA[A-Z0-9]{16,}$/);
  await expect(root.iam.send(new CreateUserCommand({ UserName: "ann" }))).rejects.toMatchObject({
    name: "EntityAlreadyExistsException",
    $metadata: { httpStatusCode: 409 },
  });
  expect((await root.iam.send(new GetUserCommand({ UserName: "ann" }))).User?.UserId).toBe(User?.UserId);
  expect((await root.iam.send(new ListUsersCommand({}))).Users?.map((user) => user.UserName)).toContain("ann");
  await root.iam.send(new DeleteUserCommand({ UserName: "ann" }));
  await expect(root.iam.send(new GetUserCommand({ UserName: "ann" }))).rejects.toMatchObject({
    name: "NoSuchEntityException",
    $metadata: { httpStatusCode: 404 },
  });
});

test("an access key works while it is active and exists", async () => {
  const { User } = await root.iam.send(new CreateUserCommand({ UserName: "bea" }));
  const { AccessKey } = await root.iam.send(new CreateAccessKeyCommand({ UserName: "bea" }));
  const accessKeyId = AccessKey?.AccessKeyId ?? "";
  expect(accessKeyId).toMatch(/^AKIA[A-Z0-9]{16}$/);
  const bea = await clientsFor(server(), { accessKeyId, secretAccessKey: AccessKey?.SecretAccessKey ?? "" });
  const whoAmI = async (): Promise<string> => refusal(bea.sts.send(new GetCallerIdentityCommand({})));

  const identity = await bea.sts.send(new GetCallerIdentityCommand({}));
  expect(identity).toMatchObject({ Arn: User?.Arn, UserId: User?.UserId });
  const { AccessKeyMetadata } = await root.iam.send(new ListAccessKeysCommand({ UserName: "bea" }));
  expect(AccessKeyMetadata).toMatchObject([{ AccessKeyId: accessKeyId, Status: "Active" }]);
  expect(JSON.stringify(AccessKeyMetadata)).not.toContain(AccessKey?.SecretAccessKey);

  await root.iam.send(new UpdateAccessKeyCommand({ UserName: "bea", AccessKeyId: accessKeyId, Status: "Inactive" }));
  expect(await whoAmI()).toMatch(/InvalidClientTokenId/);
  await root.iam.send(new UpdateAccessKeyCommand({ UserName: "bea", AccessKeyId: accessKeyId, Status: "Active" }));
  expect(await whoAmI()).toBe("succeeded");
  await root.iam.send(new DeleteAccessKeyCommand({ UserName: "bea", AccessKeyId: accessKeyId }));
  expect(await whoAmI()).toMatch(/InvalidClientTokenId/);
  bea.destroy();
});

test("a user may do nothing until a policy says so, and nothing again when it is gone", async () => {
  const user = await createUser(server(), root, "cid", []);
  expect(await listKeys(user)).toBe("AccessDeniedException");
  const allow = policyDocument({ Effect: "Allow", Action: "kms:ListKeys", Resource: "*" });
  await root.iam.send(new PutUserPolicyCommand({ UserName: "cid", PolicyName: "keys", PolicyDocument: allow }));
  expect(await listKeys(user)).toBe("succeeded");
  const { PolicyDocument } = await root.iam.send(new GetUserPolicyCommand({ UserName: "cid", PolicyName: "keys" }));
  expect(JSON.parse(decodeURIComponent(PolicyDocument ?? ""))).toEqual(JSON.parse(allow));
  const { PolicyNames } = await root.iam.send(new ListUserPoliciesCommand({ UserName: "cid" }));
  expect(PolicyNames).toEqual(["keys"]);
  await root.iam.send(new DeleteUserPolicyCommand({ UserName: "cid", PolicyName: "keys" }));
  expect(await listKeys(user)).toBe("AccessDeniedException");
  user.destroy();
});

test("a managed policy counts while it is attached", async () => {
  const user = await createUser(server(), root, "dee", []);
  const { Policy } = await root.iam.send(
    new CreatePolicyCommand({
      PolicyName: "list-keys",
      PolicyDocument: policyDocument({ Effect: "Allow", Action: "kms:List*", Resource: "*" }),
    }),
  );
  await root.iam.send(new AttachUserPolicyCommand({ UserName: "dee", PolicyArn: Policy?.Arn }));
  expect(await listKeys(user)).toBe("succeeded");
  const { AttachedPolicies } = await root.iam.send(new ListAttachedUserPoliciesCommand({ UserName: "dee" }));
  expect(AttachedPolicies).toEqual([{ PolicyName: "list-keys", PolicyArn: Policy?.Arn }]);
  await root.iam.send(new DetachUserPolicyCommand({ UserName: "dee", PolicyArn: Policy?.Arn }));
  expect(await listKeys(user)).toBe("AccessDeniedException");
  user.destroy();
});

test("a user may not give itself rights", async () => {
  const user = await createUser(server(), root, "eve", [{ Effect: "Allow", Action: "kms:*", Resource: "*" }]);
  const everything = policyDocument({ Effect: "Allow", Action: "*", Resource: "*" });
  const put = new PutUserPolicyCommand({ UserName: "eve", PolicyName: "more", PolicyDocument: everything });
  expect(await refusal(user.iam.send(put))).toBe("AccessDenied");
  user.destroy();
});

test("a policy that is none is refused", async () => {
  await root.iam.send(new CreateUserCommand({ UserName: "fay" }));
  for (const PolicyDocument of ["{", "[]", '{"Version":"2012-10-17"}', '{"Version":"1999-01-01","Statement":[]}']) {
    const put = new PutUserPolicyCommand({ UserName: "fay", PolicyName: "bad", PolicyDocument });
    expect(await refusal(root.iam.send(put))).toBe("MalformedPolicyDocumentException");
  }
});

test("a denial says who may not do what", async () => {
  const user = await createUser(server(), root, "gus", []);
  await expect(user.kms.send(new ListKeysCommand({}))).rejects.toMatchObject({
    name: "AccessDeniedException",
    message: expect.stringMatching(
      new RegExp(`^User: ${user.arn} is not authorized to perform: kms:ListKeys`),
    ) as unknown,
  });
  user.destroy();
});
