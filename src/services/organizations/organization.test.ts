import { expect, test } from "vitest";
import { systemRandom } from "../../base/random.ts";
import { newOrganization } from "./organization.ts";
import { MANAGEMENT, organizationsRoom } from "./testing/organizations-room.ts";

test("an organization begins once: making it again changes nothing", async () => {
  const room = await organizationsRoom();
  const before = await room.run("DescribeOrganization", {});
  const again = newOrganization({ managementAccountId: MANAGEMENT, random: systemRandom(), nowMs: 1 });
  expect(await room.store.commit(again)).toBe("conflict");
  expect(await room.run("DescribeOrganization", {})).toEqual(before);
});
