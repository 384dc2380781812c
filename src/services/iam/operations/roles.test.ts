import { describe, expect, test } from "vitest";
import { compilePolicy } from "../../../authz/compile.ts";
import { requireValidDocument, trustPolicy } from "../policy-document.ts";
import { roles } from "../records.ts";
import { ACCOUNT, iamRoom, policyText } from "../testing/iam-room.ts";

const TRUST = policyText("Allow", "sts:AssumeRole");
const ADMIN = "arn:aws:iam::aws:policy/AdministratorAccess";
const READ = "arn:aws:iam::aws:policy/ReadOnlyAccess";

async function roleRoom() {
  const room = await iamRoom();
  const { Role } = await room.run("CreateRole", { RoleName: "Reader", AssumeRolePolicyDocument: TRUST });
  return { room, Role };
}

/** A document that the tests' compiler takes, of exactly this many counted characters. */
function trustOfSize(size: number): string {
  const filler = (sid: string) =>
    JSON.stringify({ Statement: [{ Effect: "Allow", Action: "sts:AssumeRole", Sid: sid }] });
  return filler("s".repeat(size - filler("").length));
}

describe("roles", () => {
  test("a created role has AWS's kind of id and ARN, and is found again with all that it was given", async () => {
    const room = await iamRoom();
    const { Role } = await room.run("CreateRole", {
      RoleName: "Reader",
      Path: "/team/",
      AssumeRolePolicyDocument: TRUST,
      Description: "reads",
      MaxSessionDuration: 7_200,
      PermissionsBoundary: READ,
      Tags: [{ Key: "dept", Value: "x" }],
    });
    expect(Role).toMatchObject({
      RoleId: expect.stringMatching(/^AROA[A-Z2-7]{17}$/),
      Arn: `arn:aws:iam::${ACCOUNT}:role/team/Reader`,
      Description: "reads",
      MaxSessionDuration: 7_200,
      PermissionsBoundary: { PermissionsBoundaryArn: READ },
      Tags: [{ Key: "dept", Value: "x" }],
    });
    expect(decodeURIComponent(Role.AssumeRolePolicyDocument ?? "")).toBe(TRUST);
    expect(await room.run("GetRole", { RoleName: "Reader" })).toEqual({ Role: { ...Role, RoleLastUsed: {} } });
    const { Roles } = await room.run("ListRoles", { PathPrefix: "/team/" });
    expect(Roles).toHaveLength(1);
    expect(Roles[0]).not.toHaveProperty("Tags");
    expect((await room.run("ListRoles", { PathPrefix: "/other/" })).Roles).toEqual([]);
  });

  test("names are unique without regard to case and found with it", async () => {
    const { room } = await roleRoom();
    expect(await room.failure("CreateRole", { RoleName: "READER", AssumeRolePolicyDocument: TRUST })).toBe(
      "EntityAlreadyExists 409: Role with name READER already exists.",
    );
    expect(await room.failure("GetRole", { RoleName: "reader" })).toBe(
      "NoSuchEntity 404: The role with name reader cannot be found.",
    );
    const [check] = await room.checks("DeleteRole", { RoleName: "nobody" });
    expect(check).toMatchObject({ action: "iam:DeleteRole", resource: `arn:aws:iam::${ACCOUNT}:role/nobody` });
  });

  test("UpdateRole sets duration and description; a duration that is not given is an hour again", async () => {
    const { room } = await roleRoom();
    const role = async () => (await room.run("GetRole", { RoleName: "Reader" })).Role;
    await room.run("UpdateRole", { RoleName: "Reader", MaxSessionDuration: 43_200, Description: "one" });
    expect(await role()).toMatchObject({ MaxSessionDuration: 43_200, Description: "one" });
    await room.run("UpdateRole", { RoleName: "Reader" });
    expect(await role()).toMatchObject({ MaxSessionDuration: 3_600, Description: "one" });
    const { Role } = await room.run("UpdateRoleDescription", { RoleName: "Reader", Description: "two" });
    expect(Role?.Description).toBe("two");
    expect((await role()).Description).toBe("two");
  });

  test("a role that is in use is not deleted, and leaves nothing behind when it is", async () => {
    const { room } = await roleRoom();
    const role = { RoleName: "Reader" };
    await room.run("CreateInstanceProfile", { InstanceProfileName: "machine" });
    await room.run("AddRoleToInstanceProfile", { ...role, InstanceProfileName: "machine" });
    await room.run("AttachRolePolicy", { ...role, PolicyArn: ADMIN });
    await room.run("PutRolePolicy", { ...role, PolicyName: "p", PolicyDocument: policyText("Allow", "*") });
    await room.run("PutRolePermissionsBoundary", { ...role, PermissionsBoundary: READ });
    const refused = () => room.failure("DeleteRole", role);
    expect(await refused()).toBe(
      "DeleteConflict 409: Cannot delete entity, must remove roles from instance profile first.",
    );
    await room.run("RemoveRoleFromInstanceProfile", { ...role, InstanceProfileName: "machine" });
    expect(await refused()).toBe("DeleteConflict 409: Cannot delete entity, must detach all policies first.");
    await room.run("DetachRolePolicy", { ...role, PolicyArn: ADMIN });
    expect(await refused()).toBe("DeleteConflict 409: Cannot delete entity, must delete policies first.");
    await room.run("DeleteRolePolicy", { ...role, PolicyName: "p" });
    expect(await refused()).toBe("no error");
    expect((await room.run("GetPolicy", { PolicyArn: READ })).Policy?.PermissionsBoundaryUsageCount).toBe(0);
    expect((await room.run("GetAccountSummary", {})).SummaryMap?.["Roles"]).toBe(0);
  });

  test("tags of a role are its own, and conditions see them", async () => {
    const { room } = await roleRoom();
    await room.run("TagRole", { RoleName: "Reader", Tags: [{ Key: "dept", Value: "x" }] });
    await room.run("TagRole", { RoleName: "Reader", Tags: [{ Key: "team", Value: "y" }] });
    await room.run("UntagRole", { RoleName: "Reader", TagKeys: ["DEPT"] });
    expect((await room.run("ListRoleTags", { RoleName: "Reader" })).Tags).toEqual([{ Key: "team", Value: "y" }]);
    const [check] = await room.checks("GetRole", { RoleName: "Reader" });
    expect(check?.context).toEqual({ "aws:ResourceTag/team": "y", "iam:ResourceTag/team": "y" });
  });

  test("the last use is that of its sessions, by the role that it was, and survives a restart", async () => {
    const { room, Role } = await roleRoom();
    const used = async () => (await room.run("GetRole", { RoleName: "Reader" })).Role.RoleLastUsed;
    const note = (issuerId: string) =>
      room.accessKeyUse.note({
        accessKeyId: "ASIAAAAAAAAAAAAAAAAA",
        service: "kms",
        region: "eu-west-1",
        nowMs: room.clock.wallMs(),
        principal: {
          type: "AssumedRole",
          session: { issuerArn: Role.Arn, issuerId, name: "s", issuedAtMs: 0, mfa: false, tags: {} },
        },
      });
    note("AROAOTHER");
    expect(await used()).toEqual({});
    await room.accessKeyUse.stop();
    expect(await used()).toEqual({});
    note(Role.RoleId);
    const expected = { LastUsedDate: room.clock.wallMs(), Region: "eu-west-1" };
    expect(await used()).toEqual(expected);
    await room.accessKeyUse.stop();
    expect(await used()).toEqual(expected);
    expect(await room.accessKeyUse.lastUse(room.reader, "ASIAAAAAAAAAAAAAAAAA")).toBeNull();
    room.clock.advance(1_000);
    await room.run("DeleteRole", { RoleName: "Reader" });
    await room.run("CreateRole", { RoleName: "Reader", AssumeRolePolicyDocument: TRUST });
    expect(await used()).toEqual({});
  });
});

describe("trust policies", () => {
  test("speak of STS alone, have their quota, and are replaced as a whole", async () => {
    const { room } = await roleRoom();
    const update = (PolicyDocument: string) =>
      room.failure("UpdateAssumeRolePolicy", { RoleName: "Reader", PolicyDocument });
    expect(await update("{")).toBe("MalformedPolicyDocument 400: Syntax errors in policy.");
    for (const action of ["kms:Encrypt", "*"]) {
      expect(await update(policyText("Allow", action))).toBe(
        "MalformedPolicyDocument 400: AssumeRole policy may only specify STS AssumeRole actions.",
      );
    }
    expect(await update(trustOfSize(2_049))).toBe("LimitExceeded 409: Cannot exceed quota for ACLSizePerRole: 2048");
    expect(await update(trustOfSize(2_048))).toBe("no error");
    const { Role } = await room.run("GetRole", { RoleName: "Reader" });
    expect(decodeURIComponent(Role.AssumeRolePolicyDocument ?? "")).toBe(trustOfSize(2_048));
  });

  test("are compiled as such: they name principals and no resource, where identity policies do the reverse", () => {
    const compile = (kind: "identity" | "trust") => (document: string, id: string) =>
      compilePolicy(document, { id, kind, lengthMax: 10_000 });
    const statement = { Effect: "Allow", Action: ["sts:AssumeRole", "sts:TagSession"] };
    const trust = JSON.stringify({
      Version: "2012-10-17",
      Statement: { ...statement, Principal: { AWS: ACCOUNT, Service: "events.amazonaws.com" } },
    });
    const identity = JSON.stringify({ Version: "2012-10-17", Statement: { ...statement, Resource: "*" } });
    expect(trustPolicy(compile("trust"), trust, "arn").statements).toHaveLength(1);
    expect(() => trustPolicy(compile("trust"), identity, "arn")).toThrow(/Principal/);
    expect(() => requireValidDocument(compile("identity"), trust, "arn")).toThrow(/Principal/);
  });
});

describe("policies of users, groups and roles", () => {
  const kinds = ["User", "Group", "Role"] as const;

  async function threeOfOneName() {
    const { room } = await roleRoom();
    await room.run("CreateUser", { UserName: "Reader", Path: "/people/" });
    await room.run("CreateGroup", { GroupName: "Reader" });
    return room;
  }

  test("inline policies have the quota of their kind", async () => {
    const room = await threeOfOneName();
    for (const [at, sizeMax] of [2_048, 5_120, 10_240].entries()) {
      const label = kinds[at] ?? "User";
      const entity = { UserName: "Reader", GroupName: "Reader", RoleName: "Reader" };
      const put = (size: number) =>
        room.failure(`Put${label}Policy`, { ...entity, PolicyName: "p", PolicyDocument: trustOfSize(size) });
      expect(await put(sizeMax + 1)).toBe(
        `LimitExceeded 409: Maximum policy size of ${sizeMax} bytes exceeded for ${label.toLowerCase()} Reader`,
      );
      expect(await put(sizeMax)).toBe("no error");
      expect(await room.failure(`Get${label}Policy`, { ...entity, PolicyName: "q" })).toBe(
        `NoSuchEntity 404: The ${label.toLowerCase()} policy with name q cannot be found.`,
      );
      expect(await room.run(`Get${label}Policy`, { ...entity, PolicyName: "p" })).toMatchObject({
        [`${label}Name`]: "Reader",
        PolicyName: "p",
      });
      expect((await room.run(`List${label}Policies`, entity)).PolicyNames).toEqual(["p"]);
      await room.run(`Delete${label}Policy`, { ...entity, PolicyName: "p" });
      expect((await room.run(`List${label}Policies`, entity)).PolicyNames).toEqual([]);
    }
  });

  test("white space, which no quota counts, cannot make a record large", async () => {
    const room = await threeOfOneName();
    const put = (PolicyName: string, PolicyDocument: string) =>
      room.failure("PutRolePolicy", { RoleName: "Reader", PolicyName, PolicyDocument });
    const between = JSON.stringify(JSON.parse(policyText("Allow", "*")), null, 10).padEnd(16_000);
    for (let number = 0; number < 20; number++) expect(await put(`p${number}`, between)).toBe("no error");
    const stored = async () => (await room.reader.get(roles, [ACCOUNT, "reader"]))?.inlinePolicies ?? [];
    const length = async () => (await stored()).reduce((sum, { document }) => sum + document.length, 0);
    expect(await length()).toBeLessThan(18_000);
    for (const space of [" ", "\u00A0", "\\u0020"]) {
      const inside = policyText("Allow", "").replace('"Action":""', `"Action":"\\"${space.repeat(10_240)}"`);
      expect(await put("inside", inside)).toContain("LimitExceeded 409");
    }
    expect(await length()).toBeLessThan(18_000);
  });

  test("a long document is kept without the white space between its parts, and otherwise as it was put", async () => {
    const room = await threeOfOneName();
    const text = (space: string) =>
      `{${space}"Statement":${space}[{"Effect":"Allow","Action":"a \\" b","Sid":"\\u0020"}]${space}}`;
    const UserName = "Reader";
    const kept = async (PolicyDocument: string) => {
      await room.run("PutUserPolicy", { UserName, PolicyName: "p", PolicyDocument });
      return decodeURIComponent((await room.run("GetUserPolicy", { UserName, PolicyName: "p" })).PolicyDocument);
    };
    expect(await kept(text(" \n"))).toBe(text(" \n"));
    expect(await kept(text(" \r\n\t".repeat(400)))).toBe(text(""));
  });

  test("ten managed policies at most are attached to each", async () => {
    const room = await threeOfOneName();
    const entity = { UserName: "Reader", GroupName: "Reader", RoleName: "Reader" };
    for (let number = 0; number < 11; number++) {
      await room.run("CreatePolicy", { PolicyName: `p${number}`, PolicyDocument: policyText("Allow", "*") });
      for (const label of kinds) {
        const PolicyArn = `arn:aws:iam::${ACCOUNT}:policy/p${number}`;
        expect(await room.failure(`Attach${label}Policy`, { ...entity, PolicyArn })).toBe(
          number < 10 ? "no error" : `LimitExceeded 409: Cannot exceed quota for PoliciesPer${label}: 10`,
        );
      }
    }
    for (const label of kinds) {
      expect((await room.run(`ListAttached${label}Policies`, entity)).AttachedPolicies).toHaveLength(10);
      const PolicyArn = `arn:aws:iam::${ACCOUNT}:policy/p10`;
      expect(await room.failure(`Detach${label}Policy`, { ...entity, PolicyArn })).toContain("NoSuchEntity 404");
    }
  });

  test("ListEntitiesForPolicy tells the three apart and filters by kind, use and path", async () => {
    const room = await threeOfOneName();
    const PolicyArn = READ;
    await room.run("AttachUserPolicy", { UserName: "Reader", PolicyArn });
    await room.run("AttachGroupPolicy", { GroupName: "Reader", PolicyArn });
    await room.run("PutRolePermissionsBoundary", { RoleName: "Reader", PermissionsBoundary: PolicyArn });
    const list = async (filter: object) => {
      const { PolicyUsers, PolicyGroups, PolicyRoles } = await room.run("ListEntitiesForPolicy", {
        PolicyArn,
        ...filter,
      });
      return [PolicyUsers?.[0]?.UserName, PolicyGroups?.[0]?.GroupName, PolicyRoles?.[0]?.RoleName];
    };
    expect(await list({})).toEqual(["Reader", "Reader", "Reader"]);
    expect(await list({ EntityFilter: "Role" })).toEqual([undefined, undefined, "Reader"]);
    expect(await list({ EntityFilter: "Group" })).toEqual([undefined, "Reader", undefined]);
    expect(await list({ EntityFilter: "AWSManagedPolicy" })).toEqual([undefined, undefined, undefined]);
    expect(await list({ PolicyUsageFilter: "PermissionsPolicy" })).toEqual(["Reader", "Reader", undefined]);
    expect(await list({ PolicyUsageFilter: "PermissionsBoundary" })).toEqual([undefined, undefined, "Reader"]);
    expect(await list({ PathPrefix: "/people/" })).toEqual(["Reader", undefined, undefined]);
    const seen: number[] = [];
    let Marker: string | undefined;
    do {
      const page = await room.run("ListEntitiesForPolicy", { PolicyArn, MaxItems: 1, Marker });
      seen.push(
        [page.PolicyUsers, page.PolicyGroups, page.PolicyRoles].reduce((sum, of) => sum + (of?.length ?? 0), 0),
      );
      Marker = page.Marker;
    } while (Marker !== undefined);
    expect(seen).toEqual([1, 1, 1]);
    const { Policy } = await room.run("GetPolicy", { PolicyArn });
    expect(Policy).toMatchObject({ AttachmentCount: 2, PermissionsBoundaryUsageCount: 1 });
    await room.run("DetachGroupPolicy", { GroupName: "Reader", PolicyArn });
    expect(await list({})).toEqual(["Reader", undefined, "Reader"]);
  });

  test("a user that is renamed stays in its groups", async () => {
    const room = await threeOfOneName();
    await room.run("AddUserToGroup", { GroupName: "Reader", UserName: "Reader" });
    await room.run("UpdateUser", { UserName: "Reader", NewUserName: "eve" });
    expect((await room.run("GetGroup", { GroupName: "Reader" })).Users.map(({ UserName }) => UserName)).toEqual([
      "eve",
    ]);
    expect(await room.failure("DeleteUser", { UserName: "eve" })).toBe(
      "DeleteConflict 409: Cannot delete entity, must remove users from group first.",
    );
  });
});
