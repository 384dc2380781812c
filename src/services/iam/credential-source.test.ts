import { expect, test } from "vitest";
import type { Principal } from "../../gateway/contract.ts";
import { createCredentialSource } from "./credential-source.ts";
import { ACCOUNT, iamRoom, plainBox, policyText, rootPrincipal, userPrincipal } from "./testing/iam-room.ts";
import { testSessions } from "./testing/sessions.ts";

async function sessionRoom(principal: Principal = userPrincipal("ann")) {
  const room = await iamRoom();
  const source = createCredentialSource({ ...room, secretBox: plainBox, sessions: testSessions });
  const issued = testSessions.issue({ principal, expiresMs: room.clock.wallMs() + 900_000 });
  if (issued === null) throw new Error("does not fit");
  return { room, source, ...issued };
}

test("a temporary key is found by its token alone: the secret, and one principal while it lives", async () => {
  const { source, accessKeyId, secretAccessKey, sessionToken } = await sessionRoom();
  const credential = await source.find(accessKeyId, sessionToken);
  expect(credential).toMatchObject({ accessKeyId, active: true, principal: { userName: "ann", accessKeyId } });
  expect(Buffer.from(credential?.openSecret() ?? []).toString()).toBe(secretAccessKey);
  expect((await source.find(accessKeyId, sessionToken))?.principal).toBe(credential?.principal);
  expect(credential?.session?.tokenMatches(sessionToken)).toBe(true);
  expect(credential?.session?.tokenMatches(`${sessionToken}A`)).toBe(false);
});

test("without a token, with another's or with a changed one, there is no such key", async () => {
  const { room, source, accessKeyId, sessionToken } = await sessionRoom();
  const other = testSessions.issue({ principal: userPrincipal("bob"), expiresMs: room.clock.wallMs() + 900_000 });
  expect(await source.find(accessKeyId)).toBeNull();
  expect(await source.find(accessKeyId, other?.sessionToken ?? "")).toBeNull();
  expect(await source.find(other?.accessKeyId ?? "", sessionToken)).toBeNull();
  expect(await source.find(accessKeyId, sessionToken.slice(4))).toBeNull();
  expect(await source.find(room.account.accessKeyId, sessionToken)).toMatchObject({ principal: { type: "Root" } });
});

test("expiry is asked of the clock at each use, of remembered sessions too", async () => {
  const { room, source, accessKeyId, sessionToken } = await sessionRoom();
  const credential = await source.find(accessKeyId, sessionToken);
  room.clock.advance(899_999);
  expect(credential?.session?.hasExpired()).toBe(false);
  room.clock.advance(1);
  expect(credential?.session?.hasExpired()).toBe(true);
  expect((await source.find(accessKeyId, sessionToken))?.session?.hasExpired()).toBe(true);
});

test("a temporary key's account is read from its id, of accounts that are here", async () => {
  const { room, source, accessKeyId } = await sessionRoom();
  expect(await source.accountOf(accessKeyId)).toBe(ACCOUNT);
  expect(await source.accountOf(room.account.accessKeyId)).toBe(ACCOUNT);
  expect(await source.accountOf("AKIAAAAAAAAAAAAAAAAA")).toBeNull();
  const stranger = testSessions.issue({
    principal: { ...userPrincipal("x"), accountId: "999988887777" },
    expiresMs: 0,
  });
  expect(await source.accountOf(stranger?.accessKeyId ?? "")).toBeNull();
});

test("the session of a user or role ends with it, and is not that of another one with its name", async () => {
  const { room, source } = await sessionRoom();
  const found = async (principal: Principal): Promise<() => Promise<boolean>> => {
    const issued = testSessions.issue({ principal, expiresMs: room.clock.wallMs() + 900_000 });
    return async () => (await source.find(issued?.accessKeyId ?? "", issued?.sessionToken)) !== null;
  };
  const begun = { name: "s", issuedAtMs: 0, mfa: false, tags: {} };
  const roleOf = async (): Promise<Principal> => {
    const trust = { RoleName: "app", AssumeRolePolicyDocument: policyText("Allow", "sts:AssumeRole") };
    const { Role } = await room.run("CreateRole", trust);
    const arn = `arn:aws:sts::${ACCOUNT}:assumed-role/app/s`;
    const session = { ...begun, issuerArn: Role.Arn, issuerId: Role.RoleId };
    return { type: "AssumedRole", arn, accountId: ACCOUNT, userId: `${Role.RoleId}:s`, session };
  };
  const userOf = async (): Promise<Principal> => {
    const { User } = await room.run("CreateUser", { UserName: "ann" });
    const [arn, userId] = [User?.Arn ?? "", User?.UserId ?? ""];
    return { ...userPrincipal("ann"), userId, session: { ...begun, issuerArn: arn, issuerId: userId } };
  };
  const user = await userOf();
  const role = await roleOf();
  const federated: Principal = { ...user, type: "FederatedUser", arn: `arn:aws:sts::${ACCOUNT}:federated-user/f` };
  const before = [await found(user), await found(federated), await found(role)];
  const rootArn = `arn:aws:iam::${ACCOUNT}:root`;
  const ofRoot = await found({ ...rootPrincipal, session: { ...begun, issuerArn: rootArn, issuerId: ACCOUNT } });
  const all = (): Promise<boolean[]> => Promise.all(before.map((one) => one()));
  expect(await all()).toEqual([true, true, true]);
  await room.run("DeleteUser", { UserName: "ann" });
  await room.run("DeleteRole", { RoleName: "app" });
  expect(await all()).toEqual([false, false, false]);
  const again = [await found(await userOf()), await found(await roleOf())];
  expect(await all()).toEqual([false, false, false]);
  expect(await Promise.all(again.map((one) => one()))).toEqual([true, true]);
  expect(await ofRoot()).toBe(true);
});
