import { expect, test } from "vitest";
import { control, MANAGEMENT, type OrganizationsRoom, organizationsRoom } from "../testing/organizations-room.ts";

/** The length of each page, one after the other. */
async function pageLengths(
  room: OrganizationsRoom,
  name: "ListAccounts" | "ListPolicies",
  MaxResults: number,
): Promise<{ readonly lengths: readonly number[]; readonly ids: readonly (string | undefined)[] }> {
  const lengths: number[] = [];
  const ids: (string | undefined)[] = [];
  let token: { readonly NextToken?: string } = {};
  do {
    const page = { MaxResults, ...token };
    const list =
      name === "ListAccounts"
        ? await room.run("ListAccounts", page)
        : await room.run("ListPolicies", { ...page, Filter: "SERVICE_CONTROL_POLICY" });
    const items = "Accounts" in list ? (list.Accounts ?? []) : "Policies" in list ? (list.Policies ?? []) : [];
    lengths.push(items.length);
    ids.push(...items.map(({ Id }) => Id));
    token = list.NextToken === undefined ? {} : { NextToken: list.NextToken };
  } while (token.NextToken !== undefined);
  return { lengths, ids };
}

test("accounts end with a full page, not with an empty one, though units come behind them", async () => {
  const room = await organizationsRoom();
  await room.unit(room.rootId, "unit");
  for (const name of ["a", "b", "c"]) await room.account(name);
  expect((await pageLengths(room, "ListAccounts", 1)).lengths).toEqual([1, 1, 1, 1]);
  expect((await pageLengths(room, "ListAccounts", 3)).lengths).toEqual([3, 1]);
});

test("AWS's own policy counts as one of the page that it stands on", async () => {
  const room = await organizationsRoom();
  for (const name of ["a", "b", "c"]) await room.policy(name, "Allow", "*");
  const single = await pageLengths(room, "ListPolicies", 1);
  expect(single.lengths).toEqual([1, 1, 1, 1]);
  expect(single.ids[0]).toBe("p-FullAWSAccess");
  expect(new Set(single.ids).size).toBe(4);
  for (const [size, lengths] of [
    [2, [2, 2]],
    [3, [3, 1]],
    [4, [4]],
  ] as const) {
    expect(await pageLengths(room, "ListPolicies", size)).toEqual({ lengths, ids: single.ids });
  }
});

test("who makes something with tags must be allowed to tag it, too", async () => {
  const room = await organizationsRoom();
  const organizationId = (await room.run("DescribeOrganization", {})).Organization?.Id ?? "";
  const Tags = [{ Key: "team", Value: "red" }];
  const context = { "aws:RequestTag/team": "red", "aws:TagKeys": ["team"] };
  const Type = "SERVICE_CONTROL_POLICY";
  const cases = [
    ["CreateAccount", { AccountName: "x", Email: "x@example.com" }, "account"],
    ["CreateOrganizationalUnit", { ParentId: room.rootId, Name: "x" }, "ou"],
    ["CreatePolicy", { Name: "x", Description: "", Content: control("Deny", "*"), Type }, "policy"],
  ] as const;
  for (const [name, input, kind] of cases) {
    const rest = kind === "policy" ? "service_control_policy/*" : "*";
    const resource = `arn:aws:organizations::${MANAGEMENT}:${kind}/${organizationId}/${rest}`;
    expect(await room.checks(name, { ...input, Tags }), name).toMatchObject([
      { action: `organizations:${name}`, context },
      { action: "organizations:TagResource", resource, context },
    ]);
    expect(await room.checks(name, input), name).toHaveLength(1);
    expect(await room.checks(name, { ...input, Tags: [] }), name).toHaveLength(1);
  }
});
