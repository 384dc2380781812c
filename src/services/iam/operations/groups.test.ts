import { describe, expect, test } from "vitest";
import { groupMembers, groupSizes, users } from "../records.ts";
import { ACCOUNT, iamRoom, policyText } from "../testing/iam-room.ts";
import type { IamRoom } from "../testing/iam-room.ts";

const READ_ONLY = "arn:aws:iam::aws:policy/ReadOnlyAccess";

async function withMembers(room: IamRoom, GroupName: string, names: readonly string[]): Promise<void> {
  await room.run("CreateGroup", { GroupName });
  for (const UserName of names) {
    await room.run("CreateUser", { UserName });
    await room.run("AddUserToGroup", { GroupName, UserName });
  }
}

const groupsOf = async (room: IamRoom, UserName: string): Promise<readonly string[]> =>
  (await room.run("ListGroupsForUser", { UserName })).Groups.map(({ GroupName }) => GroupName);

const membersOf = async (room: IamRoom, GroupName: string): Promise<readonly string[]> =>
  (await room.run("GetGroup", { GroupName })).Users.map(({ UserName }) => UserName);

describe("groups", () => {
  test("a created group has AWS's kind of id and ARN, is found, listed by path and counted", async () => {
    const room = await iamRoom();
    const { Group } = await room.run("CreateGroup", { GroupName: "Devs", Path: "/team/" });
    expect(Group.GroupId).toMatch(/^AGPA[A-Z2-7]{17}$/);
    expect(Group.Arn).toBe(`arn:aws:iam::${ACCOUNT}:group/team/Devs`);
    await room.run("CreateGroup", { GroupName: "ops" });
    expect(await room.run("GetGroup", { GroupName: "Devs" })).toEqual({ Group, Users: [], IsTruncated: false });
    expect((await room.run("ListGroups", { PathPrefix: "/team/" })).Groups).toEqual([Group]);
    const first = await room.run("ListGroups", { MaxItems: 1 });
    expect(first).toMatchObject({ Groups: [{ GroupName: "Devs" }], IsTruncated: true });
    const second = await room.run("ListGroups", { MaxItems: 1, Marker: first.Marker });
    expect(second).toMatchObject({ Groups: [{ GroupName: "ops" }], IsTruncated: false });
    expect((await room.run("GetAccountSummary", {})).SummaryMap).toMatchObject({ Groups: 2, GroupsQuota: 300 });
  });

  test("names are unique without regard to case and found with it", async () => {
    const room = await iamRoom();
    await room.run("CreateGroup", { GroupName: "Devs" });
    expect(await room.failure("CreateGroup", { GroupName: "devs" })).toBe(
      "EntityAlreadyExists 409: Group with name devs already exists.",
    );
    expect(await room.failure("GetGroup", { GroupName: "devs" })).toBe(
      "NoSuchEntity 404: The group with name devs cannot be found.",
    );
  });

  test("permission is asked for on the group, under both names when it is renamed", async () => {
    const room = await iamRoom();
    const arn = `arn:aws:iam::${ACCOUNT}:group/devs`;
    expect(await room.checks("AddUserToGroup", { GroupName: "devs", UserName: "ann" })).toMatchObject([
      { action: "iam:AddUserToGroup", resource: arn },
    ]);
    const checks = await room.checks("UpdateGroup", { GroupName: "devs", NewGroupName: "x", NewPath: "/a/" });
    expect(checks.map(({ resource }) => resource)).toEqual([arn, `arn:aws:iam::${ACCOUNT}:group/a/x`]);
    expect(await room.checks("ListGroupsForUser", { UserName: "ann" })).toMatchObject([
      { action: "iam:ListGroupsForUser", resource: `arn:aws:iam::${ACCOUNT}:user/ann` },
    ]);
  });

  test("GetGroup pages through the users", async () => {
    const room = await iamRoom();
    await withMembers(room, "devs", ["cid", "Ann", "bob"]);
    const first = await room.run("GetGroup", { GroupName: "devs", MaxItems: 2 });
    expect(first.Users.map(({ UserName }) => UserName)).toEqual(["Ann", "bob"]);
    expect(first.IsTruncated).toBe(true);
    const second = await room.run("GetGroup", { GroupName: "devs", MaxItems: 2, Marker: first.Marker });
    expect(second).toMatchObject({ Users: [{ UserName: "cid" }], IsTruncated: false });
  });

  test("adding twice is no error; removing who is not in it is; both know whether group and user exist", async () => {
    const room = await iamRoom();
    await withMembers(room, "devs", ["ann"]);
    await room.run("AddUserToGroup", { GroupName: "devs", UserName: "ann" });
    expect(await membersOf(room, "devs")).toEqual(["ann"]);
    await room.run("RemoveUserFromGroup", { GroupName: "devs", UserName: "ann" });
    expect(await membersOf(room, "devs")).toEqual([]);
    expect(await groupsOf(room, "ann")).toEqual([]);
    for (const name of ["AddUserToGroup", "RemoveUserFromGroup"] as const) {
      expect(await room.failure(name, { GroupName: "none", UserName: "ann" })).toBe(
        "NoSuchEntity 404: The group with name none cannot be found.",
      );
      expect(await room.failure(name, { GroupName: "devs", UserName: "eve" })).toBe(
        "NoSuchEntity 404: The user with name eve cannot be found.",
      );
    }
    expect(await room.failure("RemoveUserFromGroup", { GroupName: "devs", UserName: "ann" })).toContain(
      "NoSuchEntity 404",
    );
  });

  test("a user is in at most ten groups, an account has at most three hundred", async () => {
    const room = await iamRoom();
    await room.run("CreateUser", { UserName: "ann" });
    for (let number = 0; number < 300; number++) await room.run("CreateGroup", { GroupName: `g${number}` });
    for (let number = 0; number < 10; number++) {
      await room.run("AddUserToGroup", { GroupName: `g${number}`, UserName: "ann" });
    }
    expect(await room.failure("AddUserToGroup", { GroupName: "g10", UserName: "ann" })).toBe(
      "LimitExceeded 409: Cannot exceed quota for GroupsPerUser: 10",
    );
    expect(await room.failure("CreateGroup", { GroupName: "one-more" })).toBe(
      "LimitExceeded 409: Cannot exceed quota for GroupsPerAccount: 300",
    );
  });

  test("a group with users, attached or inline policies is not deleted, nor a user who is in a group", async () => {
    const room = await iamRoom();
    await withMembers(room, "devs", ["ann"]);
    await room.run("AttachGroupPolicy", { GroupName: "devs", PolicyArn: READ_ONLY });
    await room.run("PutGroupPolicy", { GroupName: "devs", PolicyName: "p", PolicyDocument: policyText("Allow", "*") });
    const refused = () => room.failure("DeleteGroup", { GroupName: "devs" });
    const inGroup = "DeleteConflict 409: Cannot delete entity, must remove users from group first.";
    expect(await refused()).toBe(inGroup);
    expect(await room.failure("DeleteUser", { UserName: "ann" })).toBe(inGroup);
    await room.run("RemoveUserFromGroup", { GroupName: "devs", UserName: "ann" });
    expect(await refused()).toBe("DeleteConflict 409: Cannot delete entity, must detach all policies first.");
    await room.run("DetachGroupPolicy", { GroupName: "devs", PolicyArn: READ_ONLY });
    expect(await refused()).toBe("DeleteConflict 409: Cannot delete entity, must delete policies first.");
    await room.run("DeleteGroupPolicy", { GroupName: "devs", PolicyName: "p" });
    expect(await refused()).toBe("no error");
    expect(await room.failure("DeleteUser", { UserName: "ann" })).toBe("no error");
    expect((await room.run("GetAccountSummary", {})).SummaryMap?.["Groups"]).toBe(0);
  });

  test("a renamed group keeps id, users and policies, and leaves nothing under its old name", async () => {
    const room = await iamRoom();
    await withMembers(room, "devs", ["ann", "bob"]);
    await room.run("CreateGroup", { GroupName: "zoo" });
    await room.run("AddUserToGroup", { GroupName: "zoo", UserName: "ann" });
    await room.run("AttachGroupPolicy", { GroupName: "devs", PolicyArn: READ_ONLY });
    const { Group: before } = await room.run("GetGroup", { GroupName: "devs" });
    await room.run("UpdateGroup", { GroupName: "devs", NewGroupName: "Builders", NewPath: "/x/" });
    const { Group: after } = await room.run("GetGroup", { GroupName: "Builders" });
    expect(after).toMatchObject({ GroupId: before.GroupId, Arn: `arn:aws:iam::${ACCOUNT}:group/x/Builders` });
    expect(await membersOf(room, "Builders")).toEqual(["ann", "bob"]);
    expect(await groupsOf(room, "ann")).toEqual(["Builders", "zoo"]);
    expect((await room.run("ListEntitiesForPolicy", { PolicyArn: READ_ONLY })).PolicyGroups).toMatchObject([
      { GroupName: "Builders" },
    ]);
    expect(await room.reader.list(groupMembers, { prefix: [ACCOUNT, "devs"], limit: 10 })).toEqual([]);
    expect(await room.reader.get(groupSizes, [ACCOUNT, "devs"])).toBeNull();
    await room.run("DetachGroupPolicy", { GroupName: "Builders", PolicyArn: READ_ONLY });
    for (const UserName of ["ann", "bob"]) await room.run("RemoveUserFromGroup", { GroupName: "Builders", UserName });
    await room.run("DeleteGroup", { GroupName: "Builders" });
    expect(await room.failure("UpdateGroup", { GroupName: "zoo", NewGroupName: "ZOO" })).toBe("no error");
    expect(await groupsOf(room, "ann")).toEqual(["ZOO"]);
  });

  test("a group does not take the name of another", async () => {
    const room = await iamRoom();
    await room.run("CreateGroup", { GroupName: "a" });
    await room.run("CreateGroup", { GroupName: "b" });
    expect(await room.failure("UpdateGroup", { GroupName: "a", NewGroupName: "B" })).toContain(
      "EntityAlreadyExists 409",
    );
  });

  test("a renamed user stays in its groups", async () => {
    const room = await iamRoom();
    await withMembers(room, "devs", ["ann"]);
    await room.run("UpdateUser", { UserName: "ann", NewUserName: "Eve" });
    expect(await membersOf(room, "devs")).toEqual(["Eve"]);
    await room.run("RemoveUserFromGroup", { GroupName: "devs", UserName: "Eve" });
    expect(await room.failure("DeleteGroup", { GroupName: "devs" })).toBe("no error");
  });

  test("what users and groups say of each other is the same, however they came and went", async () => {
    const room = await iamRoom();
    await withMembers(room, "a", ["u0", "u1", "u2"]);
    await withMembers(room, "b", ["u3"]);
    await room.run("AddUserToGroup", { GroupName: "b", UserName: "u0" });
    await room.run("UpdateGroup", { GroupName: "b", NewGroupName: "0" });
    await room.run("RemoveUserFromGroup", { GroupName: "a", UserName: "u1" });
    await room.run("UpdateUser", { UserName: "u2", NewUserName: "U9" });
    const members = await room.reader.list(groupMembers, { prefix: [ACCOUNT], limit: 100 });
    const fromGroups = members.map(({ id: [, group, user] }) => `${user}:${group}`).sort();
    const all = await room.reader.list(users, { prefix: [ACCOUNT], limit: 100 });
    const fromUsers = all.flatMap(({ id, value }) => (value.groupNames ?? []).map((name) => `${id[1]}:${name}`));
    expect(fromGroups).toEqual(["u0:0", "u0:a", "u3:0", "u9:a"]);
    expect(fromUsers.sort()).toEqual(fromGroups);
    expect(await room.reader.get(groupSizes, [ACCOUNT, "a"])).toEqual({ memberCount: 2 });
    expect(await room.reader.get(groupSizes, [ACCOUNT, "0"])).toEqual({ memberCount: 2 });
  });

  test.each([
    ["DeleteGroup", { GroupName: "devs" }],
    ["UpdateGroup", { GroupName: "devs", NewGroupName: "eng" }],
  ] as const)("%s and a user who joins at the same moment: one of them is told to try again", async (name, input) => {
    const room = await iamRoom();
    await room.run("CreateGroup", { GroupName: "devs" });
    await room.run("CreateUser", { UserName: "ann" });
    const results = await Promise.allSettled([
      room.run("AddUserToGroup", { GroupName: "devs", UserName: "ann" }),
      room.run<"DeleteGroup" | "UpdateGroup">(name, input),
    ]);
    // Both read before either commits. Without a record that both write or expect, both would go through.
    expect(results.map(({ status }) => status).sort()).toEqual(["fulfilled", "rejected"]);
    const members = await room.reader.list(groupMembers, { prefix: [ACCOUNT, "devs"], limit: 10 });
    const joined = results[0].status === "fulfilled";
    expect(members).toHaveLength(joined ? 1 : 0);
    expect(await groupsOf(room, "ann")).toEqual(joined ? ["devs"] : []);
  });
});
