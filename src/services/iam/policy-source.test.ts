import { describe, expect, test } from "vitest";
import type { PolicyHolder, SessionLimits } from "../../authz/policy-source.ts";
import type { StopReason } from "../../authz/types.ts";
import type { Reader } from "../../store/table.ts";
import { createPolicySource } from "./policy-source.ts";
import type { UnusablePolicy } from "./policy-source.ts";
import { groups, users } from "./records.ts";
import type { UserRecord } from "./records.ts";
import { ACCOUNT, iamRoom, policyText, rootPrincipal, tinyCompile, userPrincipal } from "./testing/iam-room.ts";

async function sourceRoom() {
  const room = await iamRoom();
  const { User } = await room.run("CreateUser", { UserName: "ann" });
  const ann: PolicyHolder = { ...userPrincipal("ann"), userId: User?.UserId ?? "" };
  const compiled: string[] = [];
  const problems: UnusablePolicy[] = [];
  const reads: string[] = [];
  /** What happens just before a table is read. */
  const meanwhile: Record<string, () => Promise<void>> = {};
  const reader: Reader = {
    async get(from, id) {
      reads.push(from.name);
      await meanwhile[from.name]?.();
      return room.reader.get(from, id);
    },
    list: () => Promise.reject(new Error("decisions may not read ranges")),
  };
  const compile = (document: string, id: string) => {
    compiled.push(id);
    return tinyCompile(document, id);
  };
  const source = createPolicySource({
    reader,
    compilePolicy: compile,
    compileSessionPolicy: compile,
    onUnusablePolicy: (problem) => problems.push(problem),
  });
  return { room, source, ann, compiled, problems, reads, meanwhile };
}

type Policies = Awaited<ReturnType<ReturnType<typeof createPolicySource>["policiesOf"]>>;

const ids = (policies: Policies) => policies.identityPolicies.map(({ id }) => id);

/** Denied everything, explicitly. */
function expectNothing({ identityPolicies }: Policies, stop?: StopReason): void {
  expect(identityPolicies).toHaveLength(1);
  if (stop !== undefined) expect(identityPolicies[0]?.stop).toBe(stop);
  expect(identityPolicies[0]?.statements[0]).toMatchObject({ effect: "Deny", sid: "UnusablePolicy" });
}

describe("policy source", () => {
  test("reads the user and each attached policy once, and compiles each version once", async () => {
    const { room, source, ann, compiled, reads } = await sourceRoom();
    const { Policy } = await room.run("CreatePolicy", { PolicyName: "p", PolicyDocument: policyText("Allow", "a:B") });
    const PolicyArn = Policy?.Arn ?? "";
    await room.run("AttachUserPolicy", { UserName: "ann", PolicyArn });
    await room.run("PutUserPolicy", {
      UserName: "ann",
      PolicyName: "inline",
      PolicyDocument: policyText("Deny", "a:C"),
    });
    const { identityPolicies } = await source.policiesOf(ann);
    expect(identityPolicies.map(({ id }) => id)).toEqual(["inline:inline", PolicyArn]);
    expect(reads).toEqual(["iam.user", "iam.policy"]);
    await source.policiesOf(ann);
    expect(compiled).toEqual(["inline:inline", PolicyArn]);
    await room.run("CreatePolicyVersion", { PolicyArn, PolicyDocument: policyText("Deny", "*"), SetAsDefault: true });
    const changed = await source.policiesOf(ann);
    expect(changed.identityPolicies.at(-1)?.statements[0]?.effect).toBe("Deny");
    expect(compiled).toEqual(["inline:inline", PolicyArn, PolicyArn]);
  });

  test("an attached deny is there at the next call", async () => {
    const { room, source, ann } = await sourceRoom();
    expect((await source.policiesOf(ann)).identityPolicies).toEqual([]);
    await room.run("PutUserPolicy", { UserName: "ann", PolicyName: "no", PolicyDocument: policyText("Deny", "*") });
    expect((await source.policiesOf(ann)).identityPolicies[0]?.statements[0]?.effect).toBe("Deny");
  });

  test("carries tags and boundary", async () => {
    const { room, source, ann } = await sourceRoom();
    await room.run("TagUser", { UserName: "ann", Tags: [{ Key: "team", Value: "red" }] });
    const PermissionsBoundary = "arn:aws:iam::aws:policy/ReadOnlyAccess";
    await room.run("PutUserPermissionsBoundary", { UserName: "ann", PermissionsBoundary });
    const { boundary, tags } = await source.policiesOf(ann);
    expect(boundary?.id).toBe(PermissionsBoundary);
    expect(tags).toEqual({ team: "red" });
  });

  test("a stored policy that does not compile denies everything and is reported", async () => {
    const { room, source, ann, problems } = await sourceRoom();
    const user = (await room.reader.get(users, [ACCOUNT, "ann"])) as UserRecord;
    const broken: UserRecord = {
      ...user,
      inlinePolicies: [{ name: "broken", document: "{" }],
      attachedPolicyArns: [`arn:aws:iam::${ACCOUNT}:policy/gone`],
    };
    await room.store.commit({ expect: [], writes: [users.put([ACCOUNT, "ann"], broken)] });
    const { identityPolicies } = await source.policiesOf(ann);
    expect(identityPolicies).toHaveLength(2);
    for (const { statements } of identityPolicies) {
      expect(statements[0]).toMatchObject({ effect: "Deny" });
      expect(statements[0]?.matches({} as never)).toBe(true);
    }
    expect(problems.map(({ policyId }) => policyId)).toEqual(["inline:broken", `arn:aws:iam::${ACCOUNT}:policy/gone`]);
  });

  test("a user that is gone, came back elsewhere or is another of the same name may nothing", async () => {
    const { room, source, ann } = await sourceRoom();
    await room.run("UpdateUser", { UserName: "ann", NewPath: "/moved/" });
    expectNothing(await source.policiesOf(ann), "renamed");
    await room.run("UpdateUser", { UserName: "ann", NewPath: "/", NewUserName: "bea" });
    expectNothing(await source.policiesOf(ann), "renamed");
    await room.run("CreateUser", { UserName: "ann" });
    expectNothing(await source.policiesOf(ann), "renamed");
    await room.run("DeleteUser", { UserName: "ann" });
    await room.run("DeleteUser", { UserName: "bea" });
    expectNothing(await source.policiesOf(ann), "deleted");
    await room.run("CreateUser", { UserName: "ann", Path: "/other/" });
    expectNothing(await source.policiesOf(ann), "replaced");
    await room.run("DeleteUser", { UserName: "ann" });
    await room.run("CreateUser", { UserName: "ann" });
    await room.run("AttachUserPolicy", { UserName: "ann", PolicyArn: ADMIN });
    expectNothing(await source.policiesOf(ann));
  });

  test("root has no policies and needs none; a session that nobody issued may nothing", async () => {
    const { source } = await sourceRoom();
    expect((await source.policiesOf(rootPrincipal)).identityPolicies).toEqual([]);
    for (const type of ["AssumedRole", "FederatedUser"] as const) {
      const arn = `arn:aws:sts::${ACCOUNT}:assumed-role/r/s`;
      expectNothing(await source.policiesOf({ type, arn, accountId: ACCOUNT, userId: "AROA:s" }));
    }
  });
});

const ADMIN = "arn:aws:iam::aws:policy/AdministratorAccess";
const READ = "arn:aws:iam::aws:policy/ReadOnlyAccess";

describe("the policies of groups", () => {
  test("are found when the group is renamed while a decision reads", async () => {
    const { room, source, ann, meanwhile, problems } = await sourceRoom();
    await room.run("CreateGroup", { GroupName: "Team" });
    await room.run("AttachGroupPolicy", { GroupName: "Team", PolicyArn: READ });
    await room.run("AddUserToGroup", { GroupName: "Team", UserName: "ann" });
    meanwhile["iam.group"] = async () => {
      delete meanwhile["iam.group"];
      await room.run("UpdateGroup", { GroupName: "Team", NewGroupName: "Crew" });
    };
    expect(ids(await source.policiesOf(ann))).toEqual([READ]);
    expect(problems).toEqual([]);
  });

  test("count for each user of the group, from the next call on, and once if attached twice", async () => {
    const { room, source, ann, reads, compiled } = await sourceRoom();
    await room.run("CreateGroup", { GroupName: "Team" });
    const policy = { GroupName: "Team", PolicyName: "p", PolicyDocument: policyText("Allow", "a:B") };
    await room.run("PutGroupPolicy", policy);
    await room.run("AttachGroupPolicy", { GroupName: "Team", PolicyArn: READ });
    expect(ids(await source.policiesOf(ann))).toEqual([]);
    await room.run("AddUserToGroup", { GroupName: "Team", UserName: "ann" });
    await room.run("AttachUserPolicy", { UserName: "ann", PolicyArn: READ });
    reads.length = 0;
    expect(ids(await source.policiesOf(ann))).toEqual(["inline:group/Team/p", READ]);
    expect(reads).toEqual(["iam.user", "iam.group"]);
    await source.policiesOf(ann);
    expect(compiled).toEqual(["inline:group/Team/p", READ]);
    await room.run("RemoveUserFromGroup", { GroupName: "Team", UserName: "ann" });
    expect(ids(await source.policiesOf(ann))).toEqual([READ]);
  });

  test("a group whose record is gone denies its users everything and is reported", async () => {
    const { room, source, ann, problems } = await sourceRoom();
    await room.run("CreateGroup", { GroupName: "Team" });
    await room.run("AddUserToGroup", { GroupName: "Team", UserName: "ann" });
    await room.store.commit({ expect: [], writes: [groups.remove([ACCOUNT, "team"])] });
    expectNothing(await source.policiesOf(ann), "unreadable");
    expect(problems.map(({ policyId }) => policyId)).toEqual(["group/team"]);
  });
});

async function roleRoom() {
  const room = await sourceRoom();
  const created = await room.room.run("CreateRole", {
    RoleName: "reader",
    Path: "/x/",
    AssumeRolePolicyDocument: policyText("Allow", "sts:AssumeRole"),
    Tags: [{ Key: "team", Value: "red" }],
    PermissionsBoundary: READ,
  });
  await room.room.run("PutRolePolicy", {
    RoleName: "reader",
    PolicyName: "p",
    PolicyDocument: policyText("Allow", "a:B"),
  });
  await room.room.run("AttachRolePolicy", { RoleName: "reader", PolicyArn: ADMIN });
  const session = (limits?: SessionLimits | null): PolicyHolder => ({
    type: "AssumedRole",
    arn: `arn:aws:sts::${ACCOUNT}:assumed-role/reader/s`,
    accountId: ACCOUNT,
    userId: `${created.Role.RoleId}:s`,
    session: {
      issuerArn: created.Role.Arn,
      issuerId: created.Role.RoleId,
      ...(limits === undefined ? {} : { limits }),
    },
  });
  return { ...room, session };
}

describe("sessions of roles", () => {
  test("have the role's policies, boundary and tags, and no session policies without limits", async () => {
    const { source, session } = await roleRoom();
    const policies = await source.policiesOf(session());
    expect(ids(policies)).toEqual(["inline:p", ADMIN]);
    expect(policies.boundary?.id).toBe(READ);
    expect(policies.tags).toEqual({ team: "red" });
    expect(policies.sessionPolicies).toBeNull();
    expect((await source.policiesOf(session(null))).sessionPolicies).toBeNull();
  });

  test("die with the role: one made again under the name is another", async () => {
    const { room, source, session } = await roleRoom();
    const role = { RoleName: "reader" };
    await room.run("DetachRolePolicy", { ...role, PolicyArn: ADMIN });
    await room.run("DeleteRolePolicy", { ...role, PolicyName: "p" });
    await room.run("DeleteRole", role);
    expectNothing(await source.policiesOf(session()), "deleted");
    const trust = policyText("Allow", "sts:AssumeRole");
    await room.run("CreateRole", { ...role, Path: "/x/", AssumeRolePolicyDocument: trust });
    await room.run("AttachRolePolicy", { ...role, PolicyArn: ADMIN });
    expectNothing(await source.policiesOf(session()), "replaced");
  });

  test("limits are documents and managed policies, compiled once for each session and the same list while unchanged", async () => {
    const { room, source, session, compiled } = await roleRoom();
    const own = await room.run("CreatePolicy", { PolicyName: "own", PolicyDocument: policyText("Allow", "a:B") });
    const policyArns = [own.Policy?.Arn ?? "", READ];
    const holder = session({ documents: [policyText("Allow", "a:C")], policyArns });
    const { sessionPolicies } = await source.policiesOf(holder);
    expect(sessionPolicies?.map(({ id }) => id)).toEqual(["session:0", ...policyArns]);
    const count = compiled.length;
    expect((await source.policiesOf(holder)).sessionPolicies).toBe(sessionPolicies);
    expect(compiled).toHaveLength(count);
    await room.run("CreatePolicyVersion", {
      PolicyArn: policyArns[0] ?? "",
      PolicyDocument: policyText("Deny", "*"),
      SetAsDefault: true,
    });
    const after = (await source.policiesOf(holder)).sessionPolicies;
    expect(after?.[1]?.statements[0]?.effect).toBe("Deny");
  });

  test("limits that cannot be read deny everything; limits that name nothing allow nothing", async () => {
    const { source, session, problems } = await roleRoom();
    const gone = `arn:aws:iam::${ACCOUNT}:policy/gone`;
    const { sessionPolicies } = await source.policiesOf(session({ documents: ["{"], policyArns: [gone] }));
    expect(sessionPolicies?.map(({ statements }) => statements[0]?.effect)).toEqual(["Deny", "Deny"]);
    expect(problems.map(({ policyId }) => policyId)).toEqual(["session:0", gone]);
    expect((await source.policiesOf(session({ documents: [], policyArns: [] }))).sessionPolicies).toEqual([]);
  });
});

describe("sessions of users", () => {
  const federated = (issuerArn: string, issuerId: string, limits?: SessionLimits): PolicyHolder => ({
    type: "FederatedUser",
    arn: `arn:aws:sts::${ACCOUNT}:federated-user/bob`,
    accountId: ACCOUNT,
    userId: `${ACCOUNT}:bob`,
    session: { issuerArn, issuerId, ...(limits === undefined ? {} : { limits }) },
  });

  test("GetSessionToken's have what the user has, and die with it", async () => {
    const { room, source, ann } = await sourceRoom();
    await room.run("AttachUserPolicy", { UserName: "ann", PolicyArn: READ });
    const session = { ...ann, session: { issuerArn: ann.arn, issuerId: ann.userId } };
    const policies = await source.policiesOf(session);
    expect(ids(policies)).toEqual([READ]);
    expect(policies.sessionPolicies).toBeNull();
    expectNothing(await source.policiesOf({ ...ann, session: { issuerArn: ann.arn, issuerId: "AIDAOTHER" } }));
  });

  test("a federated user has its issuer's policies as far as limits let them through: without limits not at all", async () => {
    const { room, source, ann } = await sourceRoom();
    await room.run("AttachUserPolicy", { UserName: "ann", PolicyArn: READ });
    const bare = await source.policiesOf(federated(ann.arn, ann.userId));
    expect(ids(bare)).toEqual([READ]);
    expect(bare.sessionPolicies).toEqual([]);
    const limited = federated(ann.arn, ann.userId, { documents: [policyText("Allow", "*")], policyArns: [] });
    expect((await source.policiesOf(limited)).sessionPolicies).toHaveLength(1);
    expectNothing(await source.policiesOf(federated(ann.arn, "AIDAOTHER")));
  });

  test("root's federated users begin with everything, another account's root with nothing", async () => {
    const { source } = await sourceRoom();
    const policies = await source.policiesOf(federated(`arn:aws:iam::${ACCOUNT}:root`, ACCOUNT));
    expect(policies.identityPolicies[0]?.statements[0]?.effect).toBe("Allow");
    expect(policies.sessionPolicies).toEqual([]);
    expectNothing(await source.policiesOf(federated("arn:aws:iam::999999999999:root", "999999999999")));
  });
});
