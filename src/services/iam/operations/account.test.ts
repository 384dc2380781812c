import { describe, expect, test } from "vitest";
import type { Principal } from "../../../gateway/contract.ts";
import { systemRandom } from "../../../base/random.ts";
import { newAccount } from "../accounts.ts";
import type { GetAccountAuthorizationDetailsResponse } from "../shapes.generated.ts";
import { ACCOUNT, iamRoom, plainBox, policyText } from "../testing/iam-room.ts";
import type { IamRoom } from "../testing/iam-room.ts";

const OTHER = "444455556666";
const READ_ONLY = "arn:aws:iam::aws:policy/ReadOnlyAccess";
const HOUR_MS = 3_600_000;

async function otherRoot(room: IamRoom): Promise<Principal> {
  const input = { accountId: OTHER, name: "other", random: systemRandom(), secretBox: plainBox, nowMs: 0 };
  await room.store.commit({ expect: [], writes: newAccount(input).writes });
  return { type: "Root", arn: `arn:aws:iam::${OTHER}:root`, accountId: OTHER, userId: OTHER };
}

describe("account aliases", () => {
  const aliasesOf = async (room: IamRoom, principal?: Principal) =>
    (await room.run("ListAccountAliases", {}, principal)).AccountAliases;

  test("an account has one, a new one takes its place, and the old one is free", async () => {
    const room = await iamRoom();
    const other = await otherRoot(room);
    expect(await aliasesOf(room)).toEqual([]);
    await room.run("CreateAccountAlias", { AccountAlias: "first" });
    await room.run("CreateAccountAlias", { AccountAlias: "second" });
    expect(await aliasesOf(room)).toEqual(["second"]);
    await room.run("CreateAccountAlias", { AccountAlias: "first" }, other);
    expect(await aliasesOf(room, other)).toEqual(["first"]);
  });

  test("no two accounts share one, and only its own account deletes it", async () => {
    const room = await iamRoom();
    const other = await otherRoot(room);
    await room.run("CreateAccountAlias", { AccountAlias: "mine" });
    expect(await room.failure("CreateAccountAlias", { AccountAlias: "mine" }, other)).toBe(
      "EntityAlreadyExists 409: The account alias mine already exists.",
    );
    expect(await room.failure("DeleteAccountAlias", { AccountAlias: "mine" }, other)).toContain("NoSuchEntity 404");
    await room.run("DeleteAccountAlias", { AccountAlias: "mine" });
    expect(await aliasesOf(room)).toEqual([]);
    expect(await room.failure("CreateAccountAlias", { AccountAlias: "mine" }, other)).toBe("no error");
  });
});

describe("the account summary", () => {
  test("counts what there is, and has every key that AWS has", async () => {
    const room = await iamRoom();
    await room.run("CreateUser", { UserName: "ann" });
    await room.run("CreateRole", { RoleName: "r", AssumeRolePolicyDocument: policyText("Allow", "sts:AssumeRole") });
    await room.run("AttachUserPolicy", { UserName: "ann", PolicyArn: READ_ONLY });
    await room.run("AttachRolePolicy", { RoleName: "r", PolicyArn: READ_ONLY });
    const { SummaryMap } = await room.run("GetAccountSummary", {});
    expect(SummaryMap).toMatchObject({ Users: 1, Roles: 1, Groups: 0, Policies: 0, PolicyVersionsInUse: 1 });
    expect(SummaryMap).toMatchObject({
      AccountAccessKeysPresent: 1,
      AssumeRolePolicySizeQuota: 2048,
      RolesQuota: 1000,
    });
    // AWS's answer for an account has these 34.
    expect(Object.keys(SummaryMap ?? {})).toHaveLength(34);
  });
});

/** Something of everything. */
async function populate(room: IamRoom): Promise<void> {
  const PolicyDocument = policyText("Allow", "kms:Encrypt");
  await room.run("CreatePolicy", { PolicyName: "Own", PolicyDocument, Description: "ours" });
  const PolicyArn = `arn:aws:iam::${ACCOUNT}:policy/Own`;
  await room.run("CreatePolicyVersion", { PolicyArn, PolicyDocument: policyText("Deny", "*"), SetAsDefault: true });
  for (const UserName of ["ann", "bob", "cid"]) await room.run("CreateUser", { UserName });
  await room.run("CreateGroup", { GroupName: "Devs" });
  await room.run("AddUserToGroup", { GroupName: "Devs", UserName: "ann" });
  await room.run("PutUserPolicy", { UserName: "ann", PolicyName: "in", PolicyDocument });
  await room.run("AttachUserPolicy", { UserName: "ann", PolicyArn });
  await room.run("TagUser", { UserName: "ann", Tags: [{ Key: "k", Value: "v" }] });
  await room.run("PutGroupPolicy", { GroupName: "Devs", PolicyName: "g", PolicyDocument });
  await room.run("AttachGroupPolicy", { GroupName: "Devs", PolicyArn: READ_ONLY });
  await room.run("CreateRole", { RoleName: "app", AssumeRolePolicyDocument: policyText("Allow", "sts:AssumeRole") });
  await room.run("PutRolePolicy", { RoleName: "app", PolicyName: "r", PolicyDocument });
  await room.run("PutRolePermissionsBoundary", { RoleName: "app", PermissionsBoundary: PolicyArn });
  await room.run("CreateInstanceProfile", { InstanceProfileName: "web" });
  await room.run("AddRoleToInstanceProfile", { InstanceProfileName: "web", RoleName: "app" });
}

/** The names of all that a page shows, in order. */
const namesIn = (page: GetAccountAuthorizationDetailsResponse): readonly (string | undefined)[] => [
  ...(page.UserDetailList ?? []).map(({ UserName }) => UserName),
  ...(page.GroupDetailList ?? []).map(({ GroupName }) => GroupName),
  ...(page.RoleDetailList ?? []).map(({ RoleName }) => RoleName),
  ...(page.Policies ?? []).map(({ PolicyName }) => PolicyName),
];

describe("authorization details", () => {
  test("show users, groups, roles and the policies that matter, with their documents encoded", async () => {
    const room = await iamRoom();
    await populate(room);
    const all = await room.run("GetAccountAuthorizationDetails", {});
    expect(namesIn(all)).toEqual(["ann", "bob", "cid", "Devs", "app", "Own", "ReadOnlyAccess"]);
    expect(all.IsTruncated).toBe(false);
    const inline = (PolicyName: string) => ({ PolicyName, PolicyDocument: expect.stringMatching(/^%7B%22Version%22/) });
    expect(all.UserDetailList?.[0]).toMatchObject({
      Arn: `arn:aws:iam::${ACCOUNT}:user/ann`,
      GroupList: ["Devs"],
      UserPolicyList: [inline("in")],
      AttachedManagedPolicies: [{ PolicyName: "Own", PolicyArn: `arn:aws:iam::${ACCOUNT}:policy/Own` }],
      Tags: [{ Key: "k", Value: "v" }],
    });
    expect(all.GroupDetailList?.[0]).toMatchObject({
      GroupPolicyList: [inline("g")],
      AttachedManagedPolicies: [{ PolicyName: "ReadOnlyAccess", PolicyArn: READ_ONLY }],
    });
    expect(all.RoleDetailList?.[0]).toMatchObject({
      AssumeRolePolicyDocument: expect.stringContaining("sts%3AAssumeRole"),
      RolePolicyList: [inline("r")],
      PermissionsBoundary: { PermissionsBoundaryArn: `arn:aws:iam::${ACCOUNT}:policy/Own` },
      InstanceProfileList: [{ InstanceProfileName: "web", Roles: [{ RoleName: "app" }] }],
    });
    expect(all.RoleDetailList?.[0]).not.toHaveProperty("MaxSessionDuration");
    expect(all.Policies?.[0]).toMatchObject({
      DefaultVersionId: "v2",
      AttachmentCount: 1,
      PermissionsBoundaryUsageCount: 1,
      Description: "ours",
      PolicyVersionList: [
        { VersionId: "v1", IsDefaultVersion: false, Document: expect.stringContaining("Allow") },
        { VersionId: "v2", IsDefaultVersion: true, Document: expect.stringContaining("Deny") },
      ],
    });
  });

  test.each([
    [["User"], ["ann", "bob", "cid"]],
    [["Group"], ["Devs"]],
    [["Role"], ["app"]],
    [["LocalManagedPolicy"], ["Own"]],
    [["AWSManagedPolicy"], ["ReadOnlyAccess"]],
    [
      ["AWSManagedPolicy", "Role"],
      ["app", "ReadOnlyAccess"],
    ],
  ] as const)("filtered by %j", async (Filter, names) => {
    const room = await iamRoom();
    await populate(room);
    expect(namesIn(await room.run("GetAccountAuthorizationDetails", { Filter }))).toEqual(names);
  });

  test.each([1, 2, 3, 7])("pages of %d hold everything once, and only the last ends the list", async (MaxItems) => {
    const room = await iamRoom();
    await populate(room);
    const seen: (string | undefined)[] = [];
    let Marker: string | undefined;
    do {
      const page = await room.run("GetAccountAuthorizationDetails", { MaxItems, Marker });
      const names = namesIn(page);
      expect(names.length).toBe(Math.min(MaxItems, 7 - seen.length));
      seen.push(...names);
      Marker = page.Marker;
      expect(page.IsTruncated).toBe(Marker !== undefined);
    } while (Marker !== undefined);
    expect(seen).toEqual(["ann", "bob", "cid", "Devs", "app", "Own", "ReadOnlyAccess"]);
  });

  test("a page ends early when its documents are long", async () => {
    const room = await iamRoom();
    for (let number = 0; number < 120; number++) {
      const blanks = " ".repeat(4_000);
      const UserName = `u${String(number).padStart(3, "0")}`;
      await room.run("CreateUser", { UserName });
      const PolicyDocument = policyText("Allow", "*") + blanks;
      await room.run("PutUserPolicy", { UserName, PolicyName: "p", PolicyDocument });
    }
    const first = await room.run("GetAccountAuthorizationDetails", { MaxItems: 1000 });
    expect(first.IsTruncated).toBe(true);
    const rest = await room.run("GetAccountAuthorizationDetails", { MaxItems: 1000, Marker: first.Marker });
    expect([...namesIn(first), ...namesIn(rest)]).toHaveLength(120);
  });

  test("a marker of another list is refused", async () => {
    const room = await iamRoom();
    for (const key of ["user", "9:x", "0:"]) {
      const Marker = Buffer.from(`1:${key}`).toString("base64url");
      expect(await room.failure("GetAccountAuthorizationDetails", { Marker })).toContain("ValidationError 400");
    }
  });
});

describe("the credential report", () => {
  const HEADER =
    "user,arn,user_creation_time,password_enabled,password_last_used,password_last_changed,password_next_rotation," +
    "mfa_active,access_key_1_active,access_key_1_last_rotated,access_key_1_last_used_date," +
    "access_key_1_last_used_region,access_key_1_last_used_service,access_key_2_active,access_key_2_last_rotated," +
    "access_key_2_last_used_date,access_key_2_last_used_region,access_key_2_last_used_service,cert_1_active," +
    "cert_1_last_rotated,cert_2_active,cert_2_last_rotated";

  const textOf = async (room: IamRoom): Promise<string> =>
    Buffer.from((await room.run("GetCredentialReport", {})).Content ?? []).toString("utf8");

  test("has AWS's columns, root first, users by name, keys with status and last use", async () => {
    const room = await iamRoom();
    await room.run("CreateUser", { UserName: "Zoe" });
    await room.run("CreateUser", { UserName: "ann,x", Path: "/a/" });
    const { AccessKey } = await room.run("CreateAccessKey", { UserName: "Zoe" });
    const { AccessKeyId } = AccessKey;
    const nowMs = room.clock.wallMs();
    room.accessKeyUse.note({ accessKeyId: AccessKeyId, service: "kms", region: "eu-west-1", nowMs });
    await room.run("UpdateAccessKey", { UserName: "Zoe", AccessKeyId, Status: "Inactive" });
    expect(await room.run("GenerateCredentialReport", {})).toEqual({
      State: "STARTED",
      Description: "No report exists. Starting a new report generation task",
    });
    const now = new Date(nowMs).toISOString().replace(/\.\d+Z/, "+00:00");
    const none = "false,N/A,N/A,N/A,N/A";
    expect((await textOf(room)).split("\n")).toEqual([
      HEADER,
      `<root_account>,arn:aws:iam::${ACCOUNT}:root,${now},false,N/A,N/A,not_supported,false,` +
        `true,${now},N/A,N/A,N/A,${none},false,N/A,false,N/A`,
      `"ann,x","arn:aws:iam::${ACCOUNT}:user/a/ann,x",${now},false,N/A,N/A,N/A,false,${none},${none},false,N/A,false,N/A`,
      `Zoe,arn:aws:iam::${ACCOUNT}:user/Zoe,${now},false,N/A,N/A,N/A,false,` +
        `false,${now},${now},eu-west-1,kms,${none},false,N/A,false,N/A`,
    ]);
  });

  test("stays as it was made for four hours, then is gone until the next is made", async () => {
    const room = await iamRoom();
    expect(await room.failure("GetCredentialReport", {})).toContain("ReportNotPresent 410");
    await room.run("GenerateCredentialReport", {});
    const madeMs = room.clock.wallMs();
    await room.run("CreateUser", { UserName: "late" });
    room.clock.advance(4 * HOUR_MS);
    expect(await room.run("GenerateCredentialReport", {})).toEqual({ State: "COMPLETE" });
    expect(await room.run("GetCredentialReport", {})).toMatchObject({
      ReportFormat: "text/csv",
      GeneratedTime: madeMs,
    });
    expect(await textOf(room)).not.toContain("late");
    room.clock.advance(1);
    expect(await room.failure("GetCredentialReport", {})).toContain("ReportExpired 410");
    expect(await room.run("GenerateCredentialReport", {})).toEqual({ State: "STARTED" });
    expect(await textOf(room)).toContain("late");
  });

  test("tells nothing of another account", async () => {
    const room = await iamRoom();
    await room.run("CreateUser", { UserName: "ann" });
    await room.run("GenerateCredentialReport", {});
    const other = await otherRoot(room);
    expect(await room.failure("GetCredentialReport", {}, other)).toContain("ReportNotPresent 410");
    await room.run("GenerateCredentialReport", {}, other);
    const { Content } = await room.run("GetCredentialReport", {}, other);
    expect(Buffer.from(Content ?? []).toString()).not.toContain("ann");
  });
});
