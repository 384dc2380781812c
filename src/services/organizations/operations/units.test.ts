import { describe, expect, test } from "vitest";
import { organizationsRoom } from "../testing/organizations-room.ts";

describe("an organizational unit", () => {
  test("is made, described, renamed, listed and deleted", async () => {
    const room = await organizationsRoom();
    const { OrganizationalUnit } = await room.run("CreateOrganizationalUnit", {
      ParentId: room.rootId,
      Name: "Prod\n\u0001 💾",
    });
    const OrganizationalUnitId = OrganizationalUnit?.Id ?? "";
    expect(OrganizationalUnitId).toMatch(new RegExp(`^ou-${room.rootId.slice(2)}-[a-z0-9]{8}$`));
    expect(await room.run("DescribeOrganizationalUnit", { OrganizationalUnitId })).toEqual({ OrganizationalUnit });
    await room.run("UpdateOrganizationalUnit", { OrganizationalUnitId, Name: "Production" });
    const listed = await room.run("ListOrganizationalUnitsForParent", { ParentId: room.rootId });
    expect(listed.OrganizationalUnits).toMatchObject([{ Id: OrganizationalUnitId, Name: "Production" }]);
    await room.run("DeleteOrganizationalUnit", { OrganizationalUnitId });
    expect(await room.failure("DescribeOrganizationalUnit", { OrganizationalUnitId })).toContain(
      "OrganizationalUnitNotFoundException",
    );
    await room.unit(room.rootId, "Production");
  });

  test("has its name alone among its siblings", async () => {
    const room = await organizationsRoom();
    const a = await room.unit(room.rootId, "a");
    const b = await room.unit(room.rootId, "b");
    const again = { ParentId: room.rootId, Name: "a" };
    expect(await room.failure("CreateOrganizationalUnit", again)).toContain("DuplicateOrganizationalUnitException");
    expect(await room.failure("UpdateOrganizationalUnit", { OrganizationalUnitId: b, Name: "a" })).toContain(
      "DuplicateOrganizationalUnitException",
    );
    await room.run("UpdateOrganizationalUnit", { OrganizationalUnitId: a, Name: "a" });
    await room.unit(a, "a");
  });

  test("is five levels deep at most", async () => {
    const room = await organizationsRoom();
    let parent = room.rootId;
    for (let level = 1; level <= 5; level++) parent = await room.unit(parent, `level ${level}`);
    expect(await room.failure("CreateOrganizationalUnit", { ParentId: parent, Name: "deeper" })).toContain(
      "ConstraintViolationException: OU_DEPTH_LIMIT_EXCEEDED",
    );
  });

  test("is not deleted while anything is in it", async () => {
    const room = await organizationsRoom();
    const OrganizationalUnitId = await room.unit(room.rootId, "unit");
    const AccountId = await room.account("inside");
    const [SourceParentId, DestinationParentId] = [room.rootId, OrganizationalUnitId];
    await room.run("MoveAccount", { AccountId, SourceParentId, DestinationParentId });
    const refused = "OrganizationalUnitNotEmptyException";
    expect(await room.failure("DeleteOrganizationalUnit", { OrganizationalUnitId })).toContain(refused);
    const inner = await room.unit(OrganizationalUnitId, "inner");
    await room.run("MoveAccount", {
      AccountId,
      SourceParentId: OrganizationalUnitId,
      DestinationParentId: room.rootId,
    });
    expect(await room.failure("DeleteOrganizationalUnit", { OrganizationalUnitId })).toContain(refused);
    await room.run("DeleteOrganizationalUnit", { OrganizationalUnitId: inner });
    await room.run("DeleteOrganizationalUnit", { OrganizationalUnitId });
  });
});
