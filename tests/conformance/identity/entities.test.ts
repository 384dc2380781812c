import {
  AddClientIDToOpenIDConnectProviderCommand,
  AddRoleToInstanceProfileCommand,
  AddUserToGroupCommand,
  CreateAccountAliasCommand,
  CreateGroupCommand,
  CreateInstanceProfileCommand,
  CreateOpenIDConnectProviderCommand,
  CreateRoleCommand,
  DeleteGroupCommand,
  DeleteInstanceProfileCommand,
  GenerateCredentialReportCommand,
  GetAccountAuthorizationDetailsCommand,
  GetAccountSummaryCommand,
  GetCredentialReportCommand,
  GetInstanceProfileCommand,
  GetOpenIDConnectProviderCommand,
  ListAccountAliasesCommand,
  ListGroupsForUserCommand,
  ListInstanceProfilesForRoleCommand,
  paginateGetAccountAuthorizationDetails,
  paginateGetGroup,
  PutGroupPolicyCommand,
  RemoveUserFromGroupCommand,
  UpdateGroupCommand,
} from "@aws-sdk/client-iam";
import { ListKeysCommand } from "@aws-sdk/client-kms";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Clients, createUser, policyDocument, refusal, rootClients } from "../../support/clients.ts";
import { serverForAll } from "../../support/server.ts";

const server = serverForAll();
let root: Clients;
beforeAll(async () => {
  root = await rootClients(server());
});
afterAll(() => root.destroy());

test("who is in a group may do what its policies allow, and no longer when they leave", async () => {
  const GroupName = "readers";
  await root.iam.send(new CreateGroupCommand({ GroupName, Path: "/team/" }));
  const PolicyDocument = policyDocument({ Effect: "Allow", Action: "kms:ListKeys", Resource: "*" });
  await root.iam.send(new PutGroupPolicyCommand({ GroupName, PolicyName: "read", PolicyDocument }));
  const ann = await createUser(server(), root, "ann", []);
  const mayList = async (): Promise<string> => refusal(ann.kms.send(new ListKeysCommand({})));
  expect(await mayList()).toBe("AccessDeniedException");
  await root.iam.send(new AddUserToGroupCommand({ GroupName, UserName: "ann" }));
  expect(await mayList()).toBe("succeeded");
  await root.iam.send(new UpdateGroupCommand({ GroupName, NewGroupName: "Lookers" }));
  expect(await mayList()).toBe("succeeded");
  const { Groups } = await root.iam.send(new ListGroupsForUserCommand({ UserName: "ann" }));
  expect(Groups?.map((group) => group.Arn)).toEqual([`arn:aws:iam::${server().accountId}:group/team/Lookers`]);
  expect(await refusal(root.iam.send(new DeleteGroupCommand({ GroupName: "Lookers" })))).toBe(
    "DeleteConflictException",
  );
  await root.iam.send(new RemoveUserFromGroupCommand({ GroupName: "Lookers", UserName: "ann" }));
  expect(await mayList()).toBe("AccessDeniedException");
  ann.destroy();
});

test("the SDK's paginators see every user of a group and every entity once", async () => {
  const GroupName = "many";
  await root.iam.send(new CreateGroupCommand({ GroupName }));
  for (const name of ["p1", "p2", "p3"]) {
    (await createUser(server(), root, name, [])).destroy();
    await root.iam.send(new AddUserToGroupCommand({ GroupName, UserName: name }));
  }
  const members: (string | undefined)[] = [];
  for await (const page of paginateGetGroup({ client: root.iam, pageSize: 2 }, { GroupName })) {
    members.push(...(page.Users ?? []).map(({ UserName }) => UserName));
  }
  expect(members).toEqual(["p1", "p2", "p3"]);
  const seen: (string | undefined)[] = [];
  for await (const page of paginateGetAccountAuthorizationDetails({ client: root.iam, pageSize: 1 }, {})) {
    seen.push(
      ...(page.UserDetailList ?? []).map(({ Arn }) => Arn),
      ...(page.GroupDetailList ?? []).map(({ Arn }) => Arn),
    );
  }
  expect(new Set(seen).size).toBe(seen.length);
  expect(seen).toEqual(
    expect.arrayContaining(["p1", "p2", "p3"].map((name) => expect.stringMatching(`:user/${name}$`))),
  );
});

test("an instance profile holds one role", async () => {
  const named = { InstanceProfileName: "web", RoleName: "app" };
  const AssumeRolePolicyDocument = JSON.stringify({
    Version: "2012-10-17",
    Statement: [{ Effect: "Allow", Principal: { Service: "ec2.amazonaws.com" }, Action: "sts:AssumeRole" }],
  });
  await root.iam.send(new CreateRoleCommand({ RoleName: "app", AssumeRolePolicyDocument }));
  await root.iam.send(new CreateInstanceProfileCommand({ InstanceProfileName: "web" }));
  await root.iam.send(new AddRoleToInstanceProfileCommand(named));
  expect(await refusal(root.iam.send(new AddRoleToInstanceProfileCommand(named)))).toBe("LimitExceededException");
  const { InstanceProfile } = await root.iam.send(new GetInstanceProfileCommand({ InstanceProfileName: "web" }));
  expect(decodeURIComponent(InstanceProfile?.Roles?.[0]?.AssumeRolePolicyDocument ?? "")).toBe(
    AssumeRolePolicyDocument,
  );
  const listed = await root.iam.send(new ListInstanceProfilesForRoleCommand({ RoleName: "app" }));
  expect(listed.InstanceProfiles).toHaveLength(1);
  expect(await refusal(root.iam.send(new DeleteInstanceProfileCommand({ InstanceProfileName: "web" })))).toBe(
    "DeleteConflictException",
  );
  const details = await root.iam.send(new GetAccountAuthorizationDetailsCommand({ Filter: ["Role"] }));
  expect(details.RoleDetailList?.[0]?.InstanceProfileList?.[0]?.InstanceProfileName).toBe("web");
});

test("an OpenID Connect provider is kept as it was given", async () => {
  const { OpenIDConnectProviderArn } = await root.iam.send(
    new CreateOpenIDConnectProviderCommand({ Url: "https://idp.example.com/x", ClientIDList: ["a"] }),
  );
  expect(OpenIDConnectProviderArn).toBe(`arn:aws:iam::${server().accountId}:oidc-provider/idp.example.com/x`);
  await root.iam.send(new AddClientIDToOpenIDConnectProviderCommand({ OpenIDConnectProviderArn, ClientID: "b" }));
  const found = await root.iam.send(new GetOpenIDConnectProviderCommand({ OpenIDConnectProviderArn }));
  expect(found).toMatchObject({ Url: "idp.example.com/x", ClientIDList: ["a", "b"], CreateDate: expect.any(Date) });
  const plain = new CreateOpenIDConnectProviderCommand({ Url: "http://idp.example.com" });
  expect(await refusal(root.iam.send(plain))).toBe("InvalidInputException");
});

test("the account: alias, summary, credential report", async () => {
  await root.iam.send(new CreateAccountAliasCommand({ AccountAlias: "my-company" }));
  expect((await root.iam.send(new ListAccountAliasesCommand({}))).AccountAliases).toEqual(["my-company"]);
  const { SummaryMap } = await root.iam.send(new GetAccountSummaryCommand({}));
  expect(SummaryMap).toMatchObject({ GroupsQuota: 300, InstanceProfiles: 1, AccountAccessKeysPresent: 1 });

  expect(await refusal(root.iam.send(new GetCredentialReportCommand({})))).toBe("CredentialReportNotPresentException");
  expect((await root.iam.send(new GenerateCredentialReportCommand({}))).State).toBe("STARTED");
  expect((await root.iam.send(new GenerateCredentialReportCommand({}))).State).toBe("COMPLETE");
  const { Content, ReportFormat } = await root.iam.send(new GetCredentialReportCommand({}));
  expect(ReportFormat).toBe("text/csv");
  expect(
    Buffer.from(Content ?? [])
      .toString("utf8")
      .split("\n")[1],
  ).toMatch(/^<root_account>,arn:aws:iam::\d{12}:root,/);
});
