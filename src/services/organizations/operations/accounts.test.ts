import { describe, expect, test } from "vitest";
import { creations } from "../records.ts";
import { MANAGEMENT, organizationsRoom } from "../testing/organizations-room.ts";

describe("an account", () => {
  test("is made by the management account, in the root, and can be asked for by its request", async () => {
    const room = await organizationsRoom();
    const { CreateAccountStatus } = await room.run("CreateAccount", {
      AccountName: "Billing",
      Email: "billing@example.com",
      RoleName: "Entry",
      Tags: [{ Key: "team", Value: "money" }],
    });
    expect(CreateAccountStatus).toMatchObject({ State: "SUCCEEDED", AccountName: "Billing" });
    expect(CreateAccountStatus?.Id).toMatch(/^car-[a-z0-9]{32}$/);
    expect(room.asked).toEqual(["open Billing Entry"]);
    const AccountId = CreateAccountStatus?.AccountId ?? "";
    const { Account } = await room.run("DescribeAccount", { AccountId });
    const { Organization } = await room.run("DescribeOrganization", {});
    expect(Account).toEqual({
      Id: AccountId,
      Arn: `arn:aws:organizations::${MANAGEMENT}:account/${Organization?.Id}/${AccountId}`,
      Email: "billing@example.com",
      Name: "Billing",
      Status: "ACTIVE",
      State: "ACTIVE",
      Paths: [`${Organization?.Id}/${room.rootId}/${AccountId}/`],
      JoinedMethod: "CREATED",
      JoinedTimestamp: room.clock.wallMs(),
    });
    expect(await room.run("ListParents", { ChildId: AccountId })).toEqual({
      Parents: [{ Id: room.rootId, Type: "ROOT" }],
    });
    const asked = await room.run("DescribeCreateAccountStatus", {
      CreateAccountRequestId: CreateAccountStatus?.Id ?? "",
    });
    expect(asked.CreateAccountStatus).toEqual(CreateAccountStatus);
  });

  test("fails for an address that is taken, whatever its case, and leaves nothing but the request", async () => {
    const room = await organizationsRoom();
    await room.account("one");
    const { CreateAccountStatus } = await room.run("CreateAccount", {
      AccountName: "again",
      Email: "ONE@example.com",
    });
    expect(CreateAccountStatus).toMatchObject({ State: "FAILED", FailureReason: "EMAIL_ALREADY_EXISTS" });
    expect((await room.run("ListAccounts", {})).Accounts).toHaveLength(2);
    const failed = await room.run("ListCreateAccountStatus", { States: ["FAILED"] });
    expect(failed.CreateAccountStatuses).toEqual([CreateAccountStatus]);
    expect(await room.reader.list(creations, { prefix: [], limit: 10 })).toHaveLength(2);
  });

  test("leaves no name and no address in the trail", async () => {
    const room = await organizationsRoom();
    const { audit } = await room.outcome("CreateAccount", { AccountName: "Secret plan", Email: "plan@example.com" });
    expect(JSON.stringify(audit)).toContain("car-");
    expect(JSON.stringify(audit)).not.toMatch(/Secret plan|plan@example/);
  });

  test("is not made with the name of a service's role, or with tags of the system", async () => {
    const room = await organizationsRoom();
    const input = { AccountName: "a", Email: "a@example.com" };
    expect(await room.failure("CreateAccount", { ...input, RoleName: "AWSServiceRoleForX" })).toContain(
      "InvalidInputException: INVALID_ROLE_NAME",
    );
    expect(await room.failure("CreateAccount", { ...input, Tags: [{ Key: "aws:x", Value: "" }] })).toContain(
      "INVALID_SYSTEM_TAGS_PARAMETER",
    );
    expect(room.asked).toEqual([]);
  });

  test("that is closed is suspended once, stays in the list, and cannot be the management account", async () => {
    const room = await organizationsRoom();
    const AccountId = await room.account("gone");
    await room.run("CloseAccount", { AccountId });
    expect(room.asked.at(-1)).toBe(`suspend ${AccountId}`);
    const { Account } = await room.run("DescribeAccount", { AccountId });
    expect(Account).toMatchObject({ Status: "SUSPENDED", State: "CLOSED" });
    expect(await room.failure("CloseAccount", { AccountId })).toContain("AccountAlreadyClosedException");
    expect(await room.failure("CloseAccount", { AccountId: MANAGEMENT })).toContain("CANNOT_CLOSE_MANAGEMENT_ACCOUNT");
    expect(await room.failure("CloseAccount", { AccountId: "999999999999" })).toContain("AccountNotFoundException");
  });

  test("moves between units, from where it is to where it is not", async () => {
    const room = await organizationsRoom();
    const AccountId = await room.account("mover");
    const unitId = await room.unit(room.rootId, "unit");
    const move = (SourceParentId: string, DestinationParentId: string) => ({
      AccountId,
      SourceParentId,
      DestinationParentId,
    });
    expect(await room.failure("MoveAccount", move(unitId, room.rootId))).toContain("DuplicateAccountException");
    expect(await room.failure("MoveAccount", move(room.rootId, `${unitId}x`))).toContain(
      "DestinationParentNotFoundException",
    );
    await room.run("MoveAccount", move(room.rootId, unitId));
    expect((await room.run("ListAccountsForParent", { ParentId: unitId })).Accounts).toMatchObject([{ Id: AccountId }]);
    const left = await room.run("ListChildren", { ParentId: room.rootId, ChildType: "ACCOUNT" });
    expect(left.Children).toEqual([{ Id: MANAGEMENT, Type: "ACCOUNT" }]);
    const other = await room.unit(room.rootId, "other");
    expect(await room.failure("MoveAccount", move(room.rootId, other))).toContain("SourceParentNotFoundException");
  });

  test("is listed page by page, and units do not come into the list", async () => {
    const room = await organizationsRoom();
    for (let at = 0; at < 24; at++) await room.account(`account-${at}`);
    await room.unit(room.rootId, "unit");
    const first = await room.run("ListAccounts", {});
    expect(first.Accounts).toHaveLength(20);
    const second = await room.run("ListAccounts", { NextToken: first.NextToken });
    expect(second.Accounts).toHaveLength(5);
    expect(second.NextToken).toBeUndefined();
    expect(await room.failure("ListAccounts", { NextToken: "AAAA" })).toContain("INVALID_NEXT_TOKEN");
    expect(
      await room.failure("ListChildren", { ParentId: room.rootId, ChildType: "ACCOUNT", NextToken: first.NextToken }),
    ).toContain("INVALID_NEXT_TOKEN");
  });
});

describe("a member account", () => {
  test("learns its organization and nothing else", async () => {
    const room = await organizationsRoom();
    const member = await room.account("member");
    const { Organization } = await room.run("DescribeOrganization", {}, member);
    expect(Organization).toMatchObject({ MasterAccountId: MANAGEMENT, FeatureSet: "ALL" });
    for (const name of ["ListAccounts", "ListRoots", "ListCreateAccountStatus"] as const) {
      expect(await room.failure(name, {}, member)).toContain("AccessDeniedException");
    }
    expect(await room.failure("CreateAccount", { AccountName: "x", Email: "x@example.com" }, member)).toContain(
      "AccessDeniedException",
    );
    expect(await room.failure("CreateOrganization", {}, member)).toContain("AlreadyInOrganizationException");
  });
});

describe("permission", () => {
  test("is asked for on what the request names, with its tags, there or not", async () => {
    const room = await organizationsRoom();
    const { Organization } = await room.run("DescribeOrganization", {});
    const AccountId = await room.account("tagged");
    await room.run("TagResource", { ResourceId: AccountId, Tags: [{ Key: "team", Value: "a" }] });
    const arn = `arn:aws:organizations::${MANAGEMENT}:account/${Organization?.Id}`;
    expect(await room.checks("CloseAccount", { AccountId })).toEqual([
      {
        action: "organizations:CloseAccount",
        resource: `${arn}/${AccountId}`,
        resourceAccountId: MANAGEMENT,
        context: { "aws:ResourceTag/team": "a" },
      },
    ]);
    expect(await room.checks("DescribeAccount", { AccountId: "999999999999" })).toMatchObject([
      { resource: `${arn}/999999999999` },
    ]);
    const attach = await room.checks("AttachPolicy", { PolicyId: "p-FullAWSAccess", TargetId: AccountId });
    expect(attach.map(({ resource }) => resource)).toEqual([
      "arn:aws:organizations::aws:policy/service_control_policy/p-FullAWSAccess",
      `${arn}/${AccountId}`,
    ]);
    expect(attach[0]?.context).toEqual({ "organizations:PolicyType": "SERVICE_CONTROL_POLICY" });
  });
});
