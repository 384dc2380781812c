/** Key policies and grants mean the users and roles that were there when they were made, not whoever has their names later. */
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { keyTable, type KeyRecord } from "./records.ts";
import type { Principal } from "../../gateway/contract.ts";
import {
  type AuthorizedRoom,
  authorizedRoom,
  DELEGATE,
  ROOT,
  roleArnOf,
  sessionOf,
  userOf,
} from "./testing/authorized-room.ts";
import { ACCOUNT, OTHER_REGION, REGION } from "./testing/harness.ts";

const ANN = userOf("ann");
/** Who has her name after she was deleted. */
const NEW_ANN: Principal = { ...ANN, userId: `${ANN.userId}X` };
const APP = roleArnOf("app");
const SESSION = sessionOf("app", "s");
const NEW_SESSION: Principal = {
  ...SESSION,
  userId: "AROAAPPX:s",
  session: { ...(SESSION.session as NonNullable<Principal["session"]>), issuerId: "AROAAPPX" },
};
const GHOST = userOf("ghost").arn;

let room: AuthorizedRoom;
beforeEach(async () => {
  room = await authorizedRoom();
  room.harness.principals.remove(GHOST);
});
afterEach(() => room.harness.close());

const remake = (arn: string): void => {
  room.harness.principals.remove(arn);
  room.harness.principals.make(arn);
};
const keyId = (arn: string): string => arn.split("/").at(-1) ?? "";
const recordOf = async (arn: string): Promise<KeyRecord> => {
  const record = await room.harness.reader.get(keyTable, [ACCOUNT, REGION, keyId(arn)]);
  if (record === null) throw new Error("no key");
  return record;
};
const policyOf = (...principals: readonly object[]): string =>
  JSON.stringify({
    Version: "2012-10-17",
    Statement: principals.map((Principal) => ({ Effect: "Allow", Principal, Action: "kms:*", Resource: "*" })),
  });
const failure = async (principal: Principal, operation: string, input: object): Promise<string> => {
  try {
    await room.run(principal, operation, input);
    return "none";
  } catch (error) {
    return `${(error as { code: string }).code}: ${(error as Error).message}`;
  }
};

describe("key policies", () => {
  const INVALID = "MalformedPolicyDocumentException: Policy contains a statement with one or more invalid principals.";

  test("a policy that names nobody who is there is refused, wherever a policy is given", async () => {
    const Policy = policyOf({ AWS: [ROOT.arn, GHOST] });
    expect(await failure(ROOT, "CreateKey", { Policy })).toBe(INVALID);
    const key = await room.newKey([DELEGATE], { MultiRegion: true });
    expect(await failure(ROOT, "PutKeyPolicy", { KeyId: key, Policy })).toBe(INVALID);
    const bypassing = { KeyId: key, Policy, BypassPolicyLockoutSafetyCheck: true };
    expect(await failure(ROOT, "PutKeyPolicy", bypassing)).toBe(INVALID);
    expect(await failure(ROOT, "ReplicateKey", { KeyId: key, ReplicaRegion: OTHER_REGION, Policy })).toBe(INVALID);
    // In a NotPrincipal it would exempt whoever gets the name.
    const denying = JSON.parse(policyOf({ AWS: ROOT.arn })) as { Statement: object[] };
    denying.Statement.push({ Effect: "Deny", NotPrincipal: { AWS: GHOST }, Action: "kms:Sign", Resource: "*" });
    expect(await failure(ROOT, "PutKeyPolicy", { KeyId: key, Policy: JSON.stringify(denying) })).toBe(INVALID);
    // What is no principal at all is refused in the same words.
    expect(await failure(ROOT, "PutKeyPolicy", { KeyId: key, Policy: policyOf({ AWS: "ann" }) })).toBe(INVALID);
  });

  test("who may not put a policy does not learn who is there", async () => {
    const key = await room.newKey([DELEGATE]);
    const input = { KeyId: key, Policy: policyOf({ AWS: GHOST }) };
    expect(await failure(ANN, "PutKeyPolicy", input)).toMatch(/^AccessDeniedException/);
  });

  test("a user that is made again under its name has nothing of the old one's; GetKeyPolicy shows the id", async () => {
    const key = await room.newKey([DELEGATE, { Principal: { AWS: ANN.arn } }]);
    expect(await room.outcome(ANN, "DescribeKey", { KeyId: key })).toBe("done");
    remake(ANN.arn);
    expect(await room.outcome(NEW_ANN, "DescribeKey", { KeyId: key })).toBe("AccessDeniedException");
    const { Policy } = await room.run(ROOT, "GetKeyPolicy", { KeyId: key });
    expect(JSON.parse(Policy).Statement[1].Principal.AWS).toBe(ANN.userId);
    // Put again as it is shown, it names nobody; with the ARN it means the new user.
    expect(await failure(ROOT, "PutKeyPolicy", { KeyId: key, Policy })).toBe(INVALID);
    await room.run(ROOT, "PutKeyPolicy", { KeyId: key, Policy: policyOf({ AWS: [ROOT.arn, ANN.arn] }) });
    expect(await room.outcome(NEW_ANN, "DescribeKey", { KeyId: key })).toBe("done");
    expect(await room.outcome(ANN, "DescribeKey", { KeyId: key })).toBe("AccessDeniedException");
  });

  test("so it is with roles, for all their sessions and for one", async () => {
    const byRole = await room.newKey([DELEGATE, { Principal: { AWS: APP } }]);
    const bySession = await room.newKey([DELEGATE, { Principal: { AWS: SESSION.arn } }]);
    for (const KeyId of [byRole, bySession]) {
      expect(await room.outcome(SESSION, "DescribeKey", { KeyId })).toBe("done");
      expect(await room.outcome(NEW_SESSION, "DescribeKey", { KeyId })).toBe("AccessDeniedException");
    }
  });

  test("a deny of a user does not outlive it: its namesake is somebody else", async () => {
    const key = await room.newKey([{ Principal: "*" }, { Effect: "Deny", Principal: { AWS: ANN.arn } }]);
    expect(await room.outcome(ANN, "DescribeKey", { KeyId: key })).toBe("AccessDeniedException");
    expect(await room.outcome(NEW_ANN, "DescribeKey", { KeyId: key })).toBe("done");
  });

  test("a replica has the ids of its own policy, not those of its primary", async () => {
    const key = await room.newKey([DELEGATE, { Principal: { AWS: ANN.arn } }], { MultiRegion: true });
    const replicate = async (input: object): Promise<KeyRecord | null> => {
      const ReplicaRegion = "Policy" in input ? "ap-southeast-2" : OTHER_REGION;
      await room.run(ROOT, "ReplicateKey", { KeyId: key, ReplicaRegion, ...input });
      return await room.harness.reader.get(keyTable, [ACCOUNT, ReplicaRegion, keyId(key)]);
    };
    expect((await replicate({}))?.policyPrincipalIds).toEqual({});
    expect((await replicate({ Policy: policyOf({ AWS: [ROOT.arn, APP] }) }))?.policyPrincipalIds).toEqual({
      [APP]: "AROAAPP",
    });
  });

  test("the lock-out check sees the author by its id: who was deleted meanwhile cannot lean on its namesake", async () => {
    const key = await room.newKey([{ Principal: "*" }]);
    remake(ANN.arn);
    const input = { KeyId: key, Policy: policyOf({ AWS: ANN.arn }) };
    expect(await failure(ANN, "PutKeyPolicy", input)).toMatch(/will not allow you to update the key policy/);
    expect(await failure(NEW_ANN, "PutKeyPolicy", input)).toBe("none");
  });

  test("the lock-out check sees a session by its role's id", async () => {
    const key = await room.newKey([{ Principal: "*" }]);
    expect(await failure(SESSION, "PutKeyPolicy", { KeyId: key, Policy: policyOf({ AWS: APP }) })).toBe("none");
  });

  test("a policy of an older build has no ids: it goes by names, and is shown as it was put", async () => {
    const key = await room.newKey([DELEGATE, { Principal: { AWS: ANN.arn } }]);
    const { policyPrincipalIds: _ids, ...old } = await recordOf(key);
    const write = keyTable.put([ACCOUNT, REGION, keyId(key)], old as KeyRecord);
    await room.harness.store.commit({ expect: [], writes: [write] });
    remake(ANN.arn);
    expect(await room.outcome(NEW_ANN, "DescribeKey", { KeyId: key })).toBe("done");
    expect((await room.run(ROOT, "GetKeyPolicy", { KeyId: key })).Policy).toContain(ANN.arn);
  });

  test("using a key looks nobody up", async () => {
    const key = await room.newKey([DELEGATE, { Principal: { AWS: [ANN.arn, APP] } }]);
    const asked: string[] = [];
    const { principals } = room.harness;
    const bind = principals.bind.bind(principals);
    Object.assign(principals, {
      bind: (...given: Parameters<typeof bind>) => {
        asked.push(...given[1]);
        return bind(...given);
      },
    });
    for (const who of [ANN, SESSION]) await room.run(who, "Encrypt", { KeyId: key, Plaintext: Buffer.from("x") });
    expect(asked).toEqual([]);
  });
});

describe("grants", () => {
  const KEY = (): Promise<string> => room.newKey([DELEGATE]);
  const grant = (KeyId: string, input: object = {}) =>
    room.run(ROOT, "CreateGrant", { KeyId, GranteePrincipal: ANN.arn, Operations: ["DescribeKey"], ...input });

  test("to somebody who is not there, or to be retired by one, are refused", async () => {
    const KeyId = await KEY();
    const input = { KeyId, GranteePrincipal: ANN.arn, Operations: ["Encrypt"] };
    const refusal = `InvalidArnException: Invalid arn ${GHOST}`;
    expect(await failure(ROOT, "CreateGrant", { ...input, GranteePrincipal: GHOST })).toBe(refusal);
    expect(await failure(ROOT, "CreateGrant", { ...input, RetiringPrincipal: GHOST })).toBe(refusal);
    // Who may not make grants does not learn it.
    expect(await failure(ANN, "CreateGrant", { ...input, GranteePrincipal: GHOST })).toMatch(/^AccessDenied/);
  });

  test("are of no use to a namesake, and are listed by the unique ids of who is gone", async () => {
    const KeyId = await KEY();
    const { GrantId } = await grant(KeyId, { RetiringPrincipal: APP });
    expect(await room.outcome(ANN, "DescribeKey", { KeyId })).toBe("done");
    remake(ANN.arn);
    remake(APP);
    expect(await room.outcome(NEW_ANN, "DescribeKey", { KeyId })).toBe("AccessDeniedException");
    expect(await room.outcome(NEW_SESSION, "RetireGrant", { KeyId, GrantId })).toBe("AccessDeniedException");
    const { Grants } = await room.run(ROOT, "ListGrants", { KeyId });
    expect(Grants).toMatchObject([{ GranteePrincipal: ANN.userId, RetiringPrincipal: "AROAAPP" }]);
    const { Grants: retirable } = await room.run(ROOT, "ListRetirableGrants", { RetiringPrincipal: APP });
    expect(retirable).toMatchObject([{ RetiringPrincipal: "AROAAPP" }]);
    expect(await room.outcome(SESSION, "RetireGrant", { KeyId, GrantId })).toBe("done");
  });

  test("to an earlier user of a name, however many, do not hide those to the one who has it now", async () => {
    const KeyId = await KEY();
    for (let at = 0; at < 12; at++) await grant(KeyId);
    remake(ANN.arn);
    const { GrantId } = await grant(KeyId);
    expect(await room.outcome(NEW_ANN, "DescribeKey", { KeyId })).toBe("done");
    expect(await room.outcome(ANN, "DescribeKey", { KeyId })).toBe("done");
    await room.run(ROOT, "RevokeGrant", { KeyId, GrantId });
    expect(await room.outcome(NEW_ANN, "DescribeKey", { KeyId })).toBe("AccessDeniedException");
  });

  test("with a name are found again for the same grantee, and made anew for its namesake", async () => {
    const KeyId = await KEY();
    const { GrantId } = await grant(KeyId, { Name: "n" });
    expect((await grant(KeyId, { Name: "n" })).GrantId).toBe(GrantId);
    remake(ANN.arn);
    expect((await grant(KeyId, { Name: "n" })).GrantId).not.toBe(GrantId);
    expect(await room.outcome(NEW_ANN, "DescribeKey", { KeyId })).toBe("done");
  });

  test("to a role are for its sessions, and for those of the same role alone", async () => {
    const KeyId = await KEY();
    await grant(KeyId, { GranteePrincipal: APP });
    expect(await room.outcome(SESSION, "DescribeKey", { KeyId })).toBe("done");
    expect(await room.outcome(NEW_SESSION, "DescribeKey", { KeyId })).toBe("AccessDeniedException");
  });
});
