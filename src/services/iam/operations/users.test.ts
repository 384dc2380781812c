import { describe, expect, test } from "vitest";
import { ACCOUNT, iamRoom, policyText, userPrincipal } from "../testing/iam-room.ts";

describe("users", () => {
  test("a created user has AWS's kind of id and ARN, and is found again", async () => {
    const room = await iamRoom();
    const { User } = await room.run("CreateUser", {
      UserName: "Ann",
      Path: "/team/",
      Tags: [{ Key: "dept", Value: "x" }],
    });
    expect(User?.UserId).toMatch(/^AIDA[A-Z2-7]{17}$/);
    expect(User?.Arn).toBe(`arn:aws:iam::${ACCOUNT}:user/team/Ann`);
    expect(await room.run("GetUser", { UserName: "Ann" })).toEqual({ User });
  });

  test("names are unique without regard to case and found with it", async () => {
    const room = await iamRoom();
    await room.run("CreateUser", { UserName: "Ann" });
    expect(await room.failure("CreateUser", { UserName: "ann" })).toBe(
      "EntityAlreadyExists 409: User with name ann already exists.",
    );
    expect(await room.failure("GetUser", { UserName: "ann" })).toBe(
      "NoSuchEntity 404: The user with name ann cannot be found.",
    );
  });

  test("GetUser without a name is about the caller", async () => {
    const room = await iamRoom();
    await room.run("CreateUser", { UserName: "ann" });
    const own = await room.run("GetUser", {}, userPrincipal("ann"));
    expect(own.User.UserName).toBe("ann");
    expect((await room.run("GetUser", {})).User.Arn).toBe(`arn:aws:iam::${ACCOUNT}:root`);
    const [check] = await room.checks("GetUser", {}, userPrincipal("ann"));
    expect(check?.resource).toBe(`arn:aws:iam::${ACCOUNT}:user/ann`);
    const session = {
      type: "AssumedRole",
      arn: "arn:aws:sts::1:assumed-role/r/s",
      accountId: ACCOUNT,
      userId: "A",
    } as const;
    expect(await room.failure("GetUser", {}, session)).toContain("ValidationError 400");
  });

  test("whoever asks for an absent user is checked under the ARN that it would have", async () => {
    const room = await iamRoom();
    const [check] = await room.checks("DeleteUser", { UserName: "nobody" });
    expect(check).toMatchObject({ action: "iam:DeleteUser", resource: `arn:aws:iam::${ACCOUNT}:user/nobody` });
  });

  test("a denial does not tell the path of a user, but to the user itself", async () => {
    const room = await iamRoom();
    await room.run("CreateUser", { UserName: "ann", Path: "/sec/" });
    const real = `arn:aws:iam::${ACCOUNT}:user/sec/ann`;
    const shownResource = `arn:aws:iam::${ACCOUNT}:user/ann`;
    const checks = (input: object, operation: "GetUser" | "UpdateUser" = "GetUser") =>
      room.checks(operation, input, userPrincipal("eve"));
    expect(await checks({ UserName: "ann" })).toMatchObject([{ resource: real, shownResource }]);
    expect(await checks({ UserName: "annx" })).toMatchObject([
      { resource: `${shownResource}x`, shownResource: `${shownResource}x` },
    ]);
    expect(await checks({ UserName: "ann", NewUserName: "bob" }, "UpdateUser")).toMatchObject([
      { resource: real, shownResource },
      { resource: `arn:aws:iam::${ACCOUNT}:user/sec/bob`, shownResource: `arn:aws:iam::${ACCOUNT}:user/bob` },
    ]);
    const [own] = await room.checks("GetUser", { UserName: "ann" }, { ...userPrincipal("ann"), arn: real });
    expect(own).not.toHaveProperty("shownResource");
  });

  test("permission to update a user may depend on its tags, under its old name and its new", async () => {
    const room = await iamRoom();
    await room.run("CreateUser", { UserName: "ann", Tags: [{ Key: "team", Value: "x" }] });
    const checks = await room.checks("UpdateUser", { UserName: "ann", NewPath: "/n/" });
    expect(checks).toMatchObject([
      { context: { "aws:ResourceTag/team": "x" } },
      { context: { "aws:ResourceTag/team": "x" } },
    ]);
  });

  test("a user with keys, attached or inline policies is not deleted", async () => {
    const room = await iamRoom();
    await room.run("CreateUser", { UserName: "ann" });
    const { AccessKey } = await room.run("CreateAccessKey", { UserName: "ann" });
    const admin = "arn:aws:iam::aws:policy/AdministratorAccess";
    await room.run("AttachUserPolicy", { UserName: "ann", PolicyArn: admin });
    await room.run("PutUserPolicy", { UserName: "ann", PolicyName: "p", PolicyDocument: policyText("Allow", "*") });
    const refused = () => room.failure("DeleteUser", { UserName: "ann" });
    expect(await refused()).toBe("DeleteConflict 409: Cannot delete entity, must delete access keys first.");
    await room.run("DeleteAccessKey", { UserName: "ann", AccessKeyId: AccessKey.AccessKeyId });
    expect(await refused()).toBe("DeleteConflict 409: Cannot delete entity, must detach all policies first.");
    await room.run("DetachUserPolicy", { UserName: "ann", PolicyArn: admin });
    expect(await refused()).toBe("DeleteConflict 409: Cannot delete entity, must delete policies first.");
    await room.run("DeleteUserPolicy", { UserName: "ann", PolicyName: "p" });
    expect(await refused()).toBe("no error");
    expect((await room.run("GetAccountSummary", {})).SummaryMap?.["Users"]).toBe(0);
  });

  test("a renamed user keeps id, keys and policies, and the old name is free", async () => {
    const room = await iamRoom();
    await room.run("CreateUser", { UserName: "ann" });
    const { AccessKey } = await room.run("CreateAccessKey", { UserName: "ann" });
    const PolicyArn = "arn:aws:iam::aws:policy/ReadOnlyAccess";
    await room.run("AttachUserPolicy", { UserName: "ann", PolicyArn });
    const before = await room.run("GetUser", { UserName: "ann" });
    const checks = await room.checks("UpdateUser", { UserName: "ann", NewUserName: "eve", NewPath: "/x/" });
    expect(checks.map(({ resource }) => resource)).toEqual([
      `arn:aws:iam::${ACCOUNT}:user/ann`,
      `arn:aws:iam::${ACCOUNT}:user/x/eve`,
    ]);
    await room.run("UpdateUser", { UserName: "ann", NewUserName: "eve", NewPath: "/x/" });
    expect((await room.run("GetUser", { UserName: "eve" })).User.UserId).toBe(before.User.UserId);
    const keys = await room.run("ListAccessKeys", { UserName: "eve" });
    expect(keys.AccessKeyMetadata).toMatchObject([{ AccessKeyId: AccessKey.AccessKeyId, UserName: "eve" }]);
    expect((await room.run("ListEntitiesForPolicy", { PolicyArn })).PolicyUsers).toMatchObject([{ UserName: "eve" }]);
    expect(await room.failure("CreateUser", { UserName: "ann" })).toBe("no error");
    expect(await room.failure("UpdateUser", { UserName: "eve", NewUserName: "ANN" })).toContain(
      "EntityAlreadyExists 409",
    );
  });

  test("the pages of a list hold every user once, filtered by path", async () => {
    const room = await iamRoom();
    for (let number = 0; number < 7; number++) {
      await room.run("CreateUser", { UserName: `user${number}`, Path: number % 2 === 0 ? "/even/" : "/odd/" });
    }
    const names: string[] = [];
    let Marker: string | undefined;
    let pages = 0;
    do {
      const page = await room.run("ListUsers", { MaxItems: 2, PathPrefix: "/even/", Marker });
      names.push(...page.Users.map(({ UserName }) => UserName));
      Marker = page.Marker;
      expect(page.IsTruncated).toBe(Marker !== undefined);
      pages += 1;
    } while (Marker !== undefined);
    expect(names).toEqual(["user0", "user2", "user4", "user6"]);
    expect(pages).toBe(2);
    expect(await room.failure("ListUsers", { Marker: "nonsense" })).toContain("ValidationError 400");
  });

  test("tags: fifty at most, keys without regard to case, none of AWS's own", async () => {
    const room = await iamRoom();
    await room.run("CreateUser", { UserName: "ann" });
    const many = Array.from({ length: 50 }, (_, number) => ({ Key: `k${number}`, Value: "v" }));
    await room.run("TagUser", { UserName: "ann", Tags: many });
    await room.run("TagUser", { UserName: "ann", Tags: [{ Key: "K1", Value: "new" }] });
    expect(await room.failure("TagUser", { UserName: "ann", Tags: [{ Key: "one-more", Value: "" }] })).toContain(
      "LimitExceeded 409",
    );
    const tags = (await room.run("ListUserTags", { UserName: "ann" })).Tags;
    expect(tags).toHaveLength(50);
    expect(tags).toContainEqual({ Key: "k1", Value: "new" });
    const twice = [
      { Key: "a", Value: "" },
      { Key: "A", Value: "" },
    ];
    expect(await room.failure("TagUser", { UserName: "ann", Tags: twice })).toContain("InvalidInput 400");
    expect(await room.failure("TagUser", { UserName: "ann", Tags: [{ Key: "aws:x", Value: "" }] })).toContain(
      "InvalidInput 400",
    );
    await room.run("UntagUser", { UserName: "ann", TagKeys: ["K1"] });
    expect((await room.run("ListUserTags", { UserName: "ann" })).Tags).toHaveLength(49);
    const [check] = await room.checks("TagUser", { UserName: "ann", Tags: [{ Key: "new", Value: "1" }] });
    expect(check?.context).toMatchObject({
      "aws:RequestTag/new": "1",
      "aws:TagKeys": ["new"],
      "aws:ResourceTag/k2": "v",
      "iam:ResourceTag/k2": "v",
    });
  });
});
