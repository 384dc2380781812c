import { describe, expect, test } from "vitest";
import type { Credential, CredentialSource } from "../../authn/credentials.ts";
import type { Reader } from "../../store/table.ts";
import { systemRandom } from "../../base/random.ts";
import { isAccountClosed, memberAccounts, ofOpenAccounts } from "./member-accounts.ts";
import { ACCOUNT, iamRoom } from "./testing/iam-room.ts";

const accounts = memberAccounts(systemRandom());

async function memberRoom() {
  const room = await iamRoom();
  const opened = await accounts.open(room.reader, {
    name: "Member",
    roleName: "Entry",
    managementAccountId: ACCOUNT,
    nowMs: 7,
  });
  await room.store.commit({ expect: [], writes: opened.writes });
  const { accountId } = opened;
  const root = { type: "Root", arn: `arn:aws:iam::${accountId}:root`, accountId, userId: accountId } as const;
  return { room, accountId, root };
}

describe("a member account", () => {
  test("has no root key, and a role for the management account that may do everything", async () => {
    const { room, accountId, root } = await memberRoom();
    expect((await room.run("ListAccessKeys", {}, root)).AccessKeyMetadata).toEqual([]);
    const { Role } = await room.run("GetRole", { RoleName: "Entry" }, root);
    expect(Role).toMatchObject({ Arn: `arn:aws:iam::${accountId}:role/Entry`, Path: "/" });
    expect(JSON.parse(decodeURIComponent(Role.AssumeRolePolicyDocument ?? ""))).toMatchObject({
      Statement: [{ Principal: { AWS: `arn:aws:iam::${ACCOUNT}:root` }, Action: "sts:AssumeRole" }],
    });
    const PolicyArn = "arn:aws:iam::aws:policy/AdministratorAccess";
    const entities = await room.run("ListEntitiesForPolicy", { PolicyArn }, root);
    expect(entities.PolicyRoles?.map(({ RoleName }) => RoleName)).toEqual(["Entry"]);
    await room.run("DetachRolePolicy", { RoleName: "Entry", PolicyArn }, root);
    await room.run("DeleteRole", { RoleName: "Entry" }, root);
    expect((await room.run("GetAccountSummary", {}, root)).SummaryMap).toMatchObject({ Roles: 0 });
  });

  test("that is suspended has no credentials, and an open one is asked for once for each change", async () => {
    const { room, accountId, root } = await memberRoom();
    let reads = 0;
    const reader: Reader = {
      get(from, id) {
        reads += 1;
        return room.reader.get(from, id);
      },
      list: () => Promise.reject(new Error("credentials are found without ranges")),
    };
    const credential = { principal: root, active: true } as unknown as Credential;
    const all: CredentialSource = { find: () => Promise.resolve(credential) };
    const source = ofOpenAccounts(all, { reader, generation: () => room.store.generation() });
    for (let at = 0; at < 3; at++) expect(await source.find("AKIA")).toBe(credential);
    expect(reads).toBe(1);
    expect(await isAccountClosed(room.reader, accountId)).toBe(false);
    const writes = await accounts.suspend(room.reader, accountId);
    await room.store.commit({ expect: [], writes });
    expect(await isAccountClosed(room.reader, accountId)).toBe(true);
    // What is in no account that there ever was is not found, which is not for this to say.
    expect(await isAccountClosed(room.reader, "999999999999")).toBe(false);
    expect(await source.find("AKIA")).toBeNull();
    expect(await source.find("AKIA")).toBeNull();
    expect(reads).toBe(2);
  });
});
