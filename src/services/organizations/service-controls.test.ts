import { describe, expect, test } from "vitest";
import type { CompiledPolicy } from "../../authz/types.ts";
import type { Reader } from "../../store/table.ts";
import { organizationPlace } from "./place.ts";
import { policies } from "./records.ts";
import { createServiceControls } from "./service-controls.ts";
import { compileControl, control, MANAGEMENT, organizationsRoom } from "./testing/organizations-room.ts";

async function controlsRoom() {
  const room = await organizationsRoom();
  const compiled: string[] = [];
  const problems: string[] = [];
  let reads = 0;
  const reader: Reader = {
    async get(from, id) {
      reads += 1;
      return room.reader.get(from, id);
    },
    list: () => Promise.reject(new Error("decisions may not read ranges")),
  };
  const controlsOf = createServiceControls({
    reader,
    generation: () => room.store.generation(),
    compilePolicy(document, id) {
      compiled.push(id);
      return compileControl(document, id);
    },
    onUnusable: ({ id }) => problems.push(id),
  });
  const ids = async (accountId: string): Promise<readonly (readonly string[])[]> =>
    (await controlsOf(accountId)).map((level) => level.map(({ id }: CompiledPolicy) => id));
  return { room, controlsOf, ids, compiled, problems, reads: () => reads };
}

describe("service control policies in force", () => {
  test("are none for the management account, and none where there is only FullAWSAccess", async () => {
    const { room, controlsOf } = await controlsRoom();
    const member = await room.account("member");
    expect(await controlsOf(member)).toEqual([]);
    const PolicyId = await room.policy("deny", "Deny", "kms:*");
    await room.run("AttachPolicy", { PolicyId, TargetId: MANAGEMENT });
    await room.run("AttachPolicy", { PolicyId, TargetId: room.rootId });
    expect(await controlsOf(MANAGEMENT)).toEqual([]);
    expect(await controlsOf(member)).toHaveLength(1);
  });

  test("stand level by level from the root down to the account", async () => {
    const { room, ids } = await controlsRoom();
    const member = await room.account("member");
    const unit = await room.unit(room.rootId, "unit");
    const inner = await room.unit(unit, "inner");
    const [onRoot, onUnit, onAccount] = [
      await room.policy("root", "Deny", "a:A"),
      await room.policy("unit", "Allow", "a:B"),
      await room.policy("account", "Deny", "a:C"),
    ];
    await room.run("MoveAccount", { AccountId: member, SourceParentId: room.rootId, DestinationParentId: inner });
    await room.run("AttachPolicy", { PolicyId: onRoot, TargetId: room.rootId });
    await room.run("AttachPolicy", { PolicyId: onUnit, TargetId: unit });
    await room.run("DetachPolicy", { PolicyId: "p-FullAWSAccess", TargetId: unit });
    await room.run("AttachPolicy", { PolicyId: onAccount, TargetId: member });
    expect(await ids(member)).toEqual([["p-FullAWSAccess", onRoot], [onUnit], ["p-FullAWSAccess", onAccount]]);
    await room.run("MoveAccount", { AccountId: member, SourceParentId: inner, DestinationParentId: room.rootId });
    expect(await ids(member)).toEqual([
      ["p-FullAWSAccess", onRoot],
      ["p-FullAWSAccess", onAccount],
    ]);
    await room.run("DisablePolicyType", { RootId: room.rootId, PolicyType: "SERVICE_CONTROL_POLICY" });
    expect(await ids(member)).toEqual([]);
  });

  test("are read only after a write, compiled once, and the same object while they are the same", async () => {
    const { room, controlsOf, compiled, reads } = await controlsRoom();
    const member = await room.account("member");
    const PolicyId = await room.policy("deny", "Deny", "kms:*");
    await room.run("AttachPolicy", { PolicyId, TargetId: room.rootId });
    const first = await controlsOf(member);
    const readsBefore = reads();
    expect(controlsOf(member)).toBe(first);
    expect(reads()).toBe(readsBefore);
    // Something else was written: they are read again, and found to be the same.
    await room.account("another");
    expect(await controlsOf(member)).toBe(first);
    expect(reads()).toBeGreaterThan(readsBefore);
    expect(compiled.filter((id) => id === PolicyId)).toHaveLength(1);
    await room.run("UpdatePolicy", { PolicyId, Content: control("Deny", "kms:Decrypt") });
    const changed = await controlsOf(member);
    expect(changed).not.toBe(first);
    expect(changed[0]?.[0]).toBe(first[0]?.[0]);
    expect(compiled.filter((id) => id === PolicyId)).toHaveLength(2);
  });

  test("deny everything when one cannot be read, and for an account that has no place", async () => {
    const { room, controlsOf, problems } = await controlsRoom();
    const member = await room.account("member");
    const PolicyId = await room.policy("deny", "Deny", "kms:*");
    await room.run("AttachPolicy", { PolicyId, TargetId: member });
    const record = await room.reader.get(policies, [PolicyId]);
    if (record === null) throw new Error("the policy is stored");
    await room.store.commit({ expect: [], writes: [policies.put([PolicyId], { ...record, content: "{" })] });
    const unreadable = await controlsOf(member);
    expect(unreadable[0]?.[1]?.statements).toMatchObject([{ effect: "Deny" }]);
    await room.store.commit({ expect: [], writes: [policies.remove([PolicyId])] });
    expect((await controlsOf(member))[0]?.[1]?.statements).toMatchObject([{ effect: "Deny" }]);
    expect((await controlsOf("999999999999"))[0]?.[0]?.statements).toMatchObject([{ effect: "Deny" }]);
    expect(problems).toEqual([PolicyId, PolicyId, "999999999999"]);
  });
});

describe("the place of an account", () => {
  test("is the organization and the path down to its unit, with a slash at the end", async () => {
    const { room } = await controlsRoom();
    const { Organization } = await room.run("DescribeOrganization", {});
    const id = Organization?.Id ?? "";
    const member = await room.account("member");
    const unit = await room.unit(room.rootId, "unit");
    const placeOf = organizationPlace(room.reader);
    expect(await placeOf(member)).toEqual({ id, path: `${id}/${room.rootId}/` });
    await room.run("MoveAccount", { AccountId: member, SourceParentId: room.rootId, DestinationParentId: unit });
    expect(await placeOf(member)).toEqual({ id, path: `${id}/${room.rootId}/${unit}/` });
    expect(await placeOf("999999999999")).toBeNull();
  });
});
