/** Who may do what by a grant: through the gateway's own walk, with the real evaluator. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Call, Principal, RememberedPermission } from "../../../gateway/contract.ts";
import { ServiceError } from "../../../base/errors.ts";
import {
  type AuthorizedRoom,
  authorizedRoom,
  DELEGATE,
  federatedOf,
  OTHER_ROOT,
  roleArnOf,
  ROOT,
  serviceOf,
  sessionOf,
  type Statement,
  userOf,
} from "../testing/authorized-room.ts";
import { ACCOUNT, OTHER_ACCOUNT, REGION } from "../testing/harness.ts";

let room: AuthorizedRoom;
beforeAll(async () => {
  room = await authorizedRoom();
});
afterAll(() => room.harness.close());

const PLAINTEXT = Buffer.from("text");
const SOURCE = `arn:aws:rds:${REGION}:${ACCOUNT}:db:orders`;

const grant = async (KeyId: string, grantee: string, input: object = {}): Promise<Record<string, string>> => {
  const Operations = ["Encrypt", "Decrypt"];
  return await room.run(ROOT, "CreateGrant", { KeyId, GranteePrincipal: grantee, Operations, ...input });
};

const encrypt = (who: Principal, KeyId: string, EncryptionContext?: object, changes?: Partial<Call>): Promise<string> =>
  room.outcome(
    who,
    "Encrypt",
    { KeyId, Plaintext: PLAINTEXT, ...(EncryptionContext && { EncryptionContext }) },
    changes,
  );

const DENIED = "AccessDeniedException";

describe("a grant", () => {
  test.each([
    ["a user", userOf("ann"), userOf("ann").arn],
    ["a role, in all its sessions", sessionOf("app", "one"), roleArnOf("app")],
    ["one session of a role", sessionOf("app", "two"), sessionOf("app", "two").arn],
    ["a federated user", federatedOf("fay"), federatedOf("fay").arn],
    ["a user of another account", userOf("eve", OTHER_ACCOUNT), userOf("eve", OTHER_ACCOUNT).arn],
    ["the root of another account", OTHER_ROOT, OTHER_ROOT.arn],
  ])("lets %s do its operations, and no others, until it is revoked", async (_who, principal, grantee) => {
    const key = await room.newKey([DELEGATE]);
    expect(await encrypt(principal, key)).toBe(DENIED);
    const { GrantId } = await grant(key, grantee);
    expect(await encrypt(principal, key)).toBe("done");
    expect(await room.outcome(principal, "DescribeKey", { KeyId: key })).toBe(DENIED);
    expect(await room.outcome(principal, "GenerateDataKey", { KeyId: key, NumberOfBytes: 32 })).toBe(DENIED);
    for (const other of [userOf("bob"), sessionOf("other", "one"), userOf("ann", OTHER_ACCOUNT)]) {
      expect(await encrypt(other, key)).toBe(DENIED);
    }
    await room.run(ROOT, "RevokeGrant", { KeyId: key, GrantId });
    expect(await encrypt(principal, key)).toBe(DENIED);
  });

  test("of one session is not the other sessions'", async () => {
    const key = await room.newKey([DELEGATE]);
    await grant(key, sessionOf("app", "two").arn);
    expect(await encrypt(sessionOf("app", "one"), key)).toBe(DENIED);
  });

  test("of an account is for those whom the account's own policies allow it", async () => {
    const key = await room.newKey([DELEGATE]);
    await grant(key, OTHER_ROOT.arn);
    const [trusted, plain] = [userOf("trusted", OTHER_ACCOUNT), userOf("plain", OTHER_ACCOUNT)];
    room.carry(trusted, { identity: [{ Action: "kms:Encrypt" }] });
    expect(await encrypt(trusted, key)).toBe("done");
    expect(await encrypt(plain, key)).toBe(DENIED);
  });

  test("on one key is none on another, and one in a Region none in another", async () => {
    const [one, two] = [await room.newKey([DELEGATE]), await room.newKey([DELEGATE])];
    await grant(one, userOf("ann").arn);
    expect(await encrypt(userOf("ann"), two)).toBe(DENIED);
  });

  test.each<[string, Statement[]]>([
    ["the key's policy", [DELEGATE, { Effect: "Deny", Principal: { AWS: userOf("dan").arn }, Action: "kms:Encrypt" }]],
    [
      "the key's policy, for everyone on a condition",
      [
        DELEGATE,
        {
          Effect: "Deny",
          Principal: "*",
          Action: "kms:Encrypt",
          Condition: { StringEquals: { "aws:username": "dan" } },
        },
      ],
    ],
  ])("gives way to an explicit deny in %s", async (_where, statements) => {
    const key = await room.newKey(statements);
    await grant(key, userOf("dan").arn);
    expect(await encrypt(userOf("dan"), key)).toBe(DENIED);
  });

  test.each(["identity", "boundary", "session", "serviceControl"] as const)(
    "gives way to an explicit deny in a policy of kind %s",
    async (kind) => {
      const key = await room.newKey([DELEGATE]);
      const who = userOf(`denied-${kind.toLowerCase()}`);
      await grant(key, who.arn);
      room.carry(who, { [kind]: [{}] });
      expect(await encrypt(who, key)).toBe("done");
      room.carry(who, { [kind]: [{}, { Effect: "Deny", Action: "kms:Encrypt" }] });
      expect(await encrypt(who, key)).toBe(DENIED);
    },
  );

  test("does nothing that service control policies do not let through", async () => {
    const key = await room.newKey([DELEGATE]);
    await grant(key, userOf("scp").arn);
    room.carry(userOf("scp"), { serviceControl: [{ Action: "kms:Decrypt" }] });
    expect(await encrypt(userOf("scp"), key)).toBe(DENIED);
  });

  test("to a role stays within boundary and session policies; to the session itself it does not", async () => {
    const key = await room.newKey([DELEGATE]);
    const session = sessionOf("bounded", "one");
    await grant(key, roleArnOf("bounded"));
    for (const carried of [{ boundary: [{ Action: "s3:*" }] }, { session: [{ Action: "kms:Decrypt" }] }]) {
      room.carry(session, carried);
      expect(await encrypt(session, key)).toBe(DENIED);
    }
    room.carry(session, { boundary: [{}], session: [{ Action: "kms:Encrypt" }] });
    expect(await encrypt(session, key)).toBe("done");
    await grant(key, session.arn);
    room.carry(session, { boundary: [{ Action: "s3:*" }], session: [{ Action: "kms:Decrypt" }] });
    expect(await encrypt(session, key)).toBe("done");
  });

  test("covers both halves of ReEncrypt where it has both operations", async () => {
    const [from, to] = [await room.newKey([DELEGATE]), await room.newKey([DELEGATE])];
    const { CiphertextBlob } = await room.run(ROOT, "Encrypt", { KeyId: from, Plaintext: PLAINTEXT });
    const ask = (): Promise<string> =>
      room.outcome(userOf("ann"), "ReEncrypt", { CiphertextBlob, DestinationKeyId: to });
    await grant(from, userOf("ann").arn, { Operations: ["ReEncryptFrom"] });
    expect(await ask()).toBe(DENIED);
    await grant(to, userOf("ann").arn, { Operations: ["ReEncryptTo"] });
    expect(await ask()).toBe("done");
  });

  test("lets its grantee decrypt without naming the key", async () => {
    const key = await room.newKey([DELEGATE]);
    const { CiphertextBlob } = await room.run(ROOT, "Encrypt", { KeyId: key, Plaintext: PLAINTEXT });
    expect(await room.outcome(userOf("ann"), "Decrypt", { CiphertextBlob })).toBe(DENIED);
    await grant(key, userOf("ann").arn);
    expect(await room.outcome(userOf("ann"), "Decrypt", { CiphertextBlob })).toBe("done");
  });

  test("allows nothing with a key that is disabled", async () => {
    const key = await room.newKey([DELEGATE]);
    await grant(key, userOf("ann").arn);
    await room.run(ROOT, "DisableKey", { KeyId: key });
    expect(await encrypt(userOf("ann"), key)).toBe("DisabledException");
    expect(
      await room.outcome(ROOT, "CreateGrant", { KeyId: key, GranteePrincipal: ROOT.arn, Operations: ["Encrypt"] }),
    ).toBe("DisabledException");
  });
});

describe("constraints", () => {
  test.each<[string, object, readonly [object | undefined, string][]]>([
    [
      "equals",
      { EncryptionContextEquals: { Department: "IT", b: "2" } },
      [
        [{ Department: "IT", b: "2" }, "done"],
        [{ b: "2", department: "IT" }, "done"],
        [{ Department: "it", b: "2" }, DENIED],
        [{ Department: "IT" }, DENIED],
        [{ Department: "IT", b: "2", c: "3" }, DENIED],
        [undefined, DENIED],
      ],
    ],
    [
      "equals nothing",
      { EncryptionContextEquals: {} },
      [
        [undefined, "done"],
        [{}, "done"],
        [{ a: "b" }, DENIED],
      ],
    ],
    [
      "subset",
      { EncryptionContextSubset: { Department: "IT", b: "2" } },
      [
        [{ Department: "IT", b: "2" }, "done"],
        [{ x: "y", B: "2", DEPARTMENT: "IT" }, "done"],
        [{ Department: "IT", x: "y" }, DENIED],
        [{ Department: "IT", b: "22" }, DENIED],
        [undefined, DENIED],
      ],
    ],
    [
      "subset of nothing",
      { EncryptionContextSubset: {} },
      [
        [undefined, "done"],
        [{ a: "b" }, "done"],
      ],
    ],
  ])("on the encryption context: %s", async (_kind, Constraints, cases) => {
    const key = await room.newKey([DELEGATE]);
    await grant(key, userOf("ann").arn, { Constraints, Operations: ["Encrypt", "DescribeKey", "RetireGrant"] });
    for (const [context, expected] of cases) {
      expect([context, await encrypt(userOf("ann"), key, context)]).toEqual([context, expected]);
    }
    expect(await room.outcome(userOf("ann"), "DescribeKey", { KeyId: key })).toBe("done");
  });

  test("on the source hold for calls that a service makes for that resource alone", async () => {
    const key = await room.newKey([DELEGATE]);
    const rds = serviceOf("rds.amazonaws.com");
    const { GrantId } = await room.run(ROOT, "CreateGrant", {
      KeyId: key,
      GranteeServicePrincipal: rds.arn,
      RetiringServicePrincipal: rds.arn,
      Operations: ["Encrypt", "DescribeKey"],
      Constraints: { SourceArn: SOURCE },
    });
    expect(await encrypt(rds, key, undefined, { sourceArn: SOURCE })).toBe("done");
    expect(await room.outcome(rds, "DescribeKey", { KeyId: key }, { sourceArn: SOURCE })).toBe("done");
    expect(await encrypt(rds, key, undefined, { sourceArn: `${SOURCE}2` })).toBe(DENIED);
    expect(await encrypt(rds, key)).toBe(DENIED);
    expect(await encrypt(serviceOf("s3.amazonaws.com"), key, undefined, { sourceArn: SOURCE })).toBe(DENIED);
    expect(await room.outcome(rds, "RetireGrant", { KeyId: key, GrantId }, { sourceArn: `${SOURCE}2` })).toBe(DENIED);
    expect(await room.outcome(rds, "RetireGrant", { KeyId: key, GrantId }, { sourceArn: SOURCE })).toBe("done");
  });
});

describe("a grant that includes CreateGrant", () => {
  const child = (KeyId: string, Operations: readonly string[], Constraints?: object): object => ({
    KeyId,
    GranteePrincipal: userOf("kid").arn,
    Operations,
    ...(Constraints && { Constraints }),
  });

  test("lets its grantee grant a part of its operations, and nothing else", async () => {
    const key = await room.newKey([DELEGATE]);
    await grant(key, userOf("ann").arn, { Operations: ["Decrypt", "DescribeKey"] });
    expect(await room.outcome(userOf("ann"), "CreateGrant", child(key, ["Decrypt"]))).toBe(DENIED);
    await grant(key, userOf("ann").arn, { Operations: ["CreateGrant", "Encrypt", "RetireGrant"] });
    expect(await room.outcome(userOf("ann"), "CreateGrant", child(key, ["Encrypt"]))).toBe("done");
    expect(
      await room.outcome(userOf("ann"), "CreateGrant", child(key, ["CreateGrant", "Encrypt", "RetireGrant"])),
    ).toBe("done");
    for (const wider of [["Encrypt", "Decrypt"], ["Decrypt"], ["Encrypt", "DescribeKey"]]) {
      expect(await room.outcome(userOf("ann"), "CreateGrant", child(key, wider))).toBe(DENIED);
    }
    expect(await encrypt(userOf("kid"), key)).toBe("done");
    expect(await room.outcome(userOf("ann"), "ListGrants", { KeyId: key })).toBe(DENIED);
  });

  test("finds the parent that fits among many", async () => {
    const key = await room.newKey([DELEGATE]);
    for (const operation of ["Encrypt", "ReEncryptFrom", "ReEncryptTo", "GenerateDataKey", "Decrypt"]) {
      await grant(key, userOf("many").arn, { Operations: ["CreateGrant", operation] });
    }
    expect(await room.outcome(userOf("many"), "CreateGrant", child(key, ["GenerateDataKey"]))).toBe("done");
    expect(await room.outcome(userOf("many"), "CreateGrant", child(key, ["Encrypt", "Decrypt"]))).toBe(DENIED);
  });

  const PARENTS: Readonly<Record<string, object>> = {
    none: {},
    subset: { EncryptionContextSubset: { a: "1" } },
    equals: { EncryptionContextEquals: { a: "1" } },
  };
  test.each<[string, object | undefined, readonly string[]]>([
    ["no constraint", undefined, ["none"]],
    ["the same subset", { EncryptionContextSubset: { A: "1" } }, ["none", "subset"]],
    ["a larger subset", { EncryptionContextSubset: { b: "2", a: "1" } }, ["none", "subset"]],
    ["another subset", { EncryptionContextSubset: { b: "2" } }, ["none"]],
    ["the same context", { EncryptionContextEquals: { a: "1" } }, ["none", "subset", "equals"]],
    ["a larger context", { EncryptionContextEquals: { a: "1", b: "2" } }, ["none", "subset"]],
    ["another context", { EncryptionContextEquals: { a: "2" } }, ["none"]],
    ["a source", { SourceArn: SOURCE }, ["none"]],
  ])("with %s a child is as strict as these parents", async (_child, Constraints, parents) => {
    const able: string[] = [];
    for (const [parent, constraints] of Object.entries(PARENTS)) {
      const key = await room.newKey([DELEGATE]);
      await grant(key, userOf("ann").arn, { Operations: ["CreateGrant", "Encrypt"], Constraints: constraints });
      const outcome = await room.outcome(userOf("ann"), "CreateGrant", child(key, ["Encrypt"], Constraints));
      if (outcome === "done") able.push(parent);
    }
    expect(able).toEqual(parents);
  });
});

describe("RetireGrant is for", () => {
  const retire = (who: Principal, KeyId: string, GrantId: string): Promise<string> =>
    room.outcome(who, "RetireGrant", { KeyId, GrantId, DryRun: true });
  const YES = "DryRunOperationException";
  const POLICY: Statement[] = [DELEGATE, { Principal: { AWS: userOf("named").arn }, Action: "kms:RetireGrant" }];

  let key = "";
  let GrantId = "";
  beforeAll(async () => {
    key = await room.newKey(POLICY);
    ({ GrantId = "" } = await grant(key, userOf("ann").arn, { RetiringPrincipal: roleArnOf("retirer") }));
  });

  test("its retiring principal, the account of the key and whom that lets", async () => {
    expect(await retire(sessionOf("retirer", "one"), key, GrantId)).toBe(YES);
    expect(await retire(ROOT, key, GrantId)).toBe(YES);
    room.carry(userOf("delegate"), { identity: [{ Action: "kms:RetireGrant" }] });
    expect(await retire(userOf("delegate"), key, GrantId)).toBe(YES);
  });

  test("its grantee only when it includes RetireGrant", async () => {
    expect(await retire(userOf("ann"), key, GrantId)).toBe(DENIED);
    const own = await grant(key, userOf("ann").arn, { Operations: ["Encrypt", "RetireGrant"] });
    expect(await retire(userOf("ann"), key, own["GrantId"] ?? "")).toBe(YES);
    // It covers this grant alone.
    expect(await retire(userOf("ann"), key, GrantId)).toBe(DENIED);
  });

  test("nobody whom only the key's policy names, nobody else, and nobody with an explicit deny", async () => {
    expect(await retire(userOf("named"), key, GrantId)).toBe(DENIED);
    expect(await retire(userOf("bob"), key, GrantId)).toBe(DENIED);
    expect(await retire(OTHER_ROOT, key, GrantId)).toBe(DENIED);
    room.carry(sessionOf("retirer", "two"), { identity: [{ Effect: "Deny", Action: "kms:RetireGrant" }] });
    expect(await retire(sessionOf("retirer", "two"), key, GrantId)).toBe(DENIED);
    const guarded = await room.newKey([DELEGATE, { Effect: "Deny", Principal: "*", Action: "kms:RetireGrant" }]);
    const theirs = await grant(guarded, userOf("ann").arn, { RetiringPrincipal: userOf("bob").arn });
    expect(await retire(userOf("bob"), guarded, theirs["GrantId"] ?? "")).toBe(DENIED);
  });

  test("another account that is its retiring principal, and whom that lets; whoever holds a token is nobody by it", async () => {
    const { GrantId: id = "", GrantToken } = await grant(key, userOf("ann").arn, { RetiringPrincipal: OTHER_ROOT.arn });
    expect(await retire(OTHER_ROOT, key, id)).toBe(YES);
    expect(await retire(userOf("eve", OTHER_ACCOUNT), key, id)).toBe(DENIED);
    room.carry(userOf("eve", OTHER_ACCOUNT), { identity: [{ Action: "kms:RetireGrant" }] });
    expect(await retire(userOf("eve", OTHER_ACCOUNT), key, id)).toBe(YES);
    expect(await room.outcome(userOf("bob"), "RetireGrant", { GrantToken })).toBe(DENIED);
    expect(await room.outcome(userOf("eve", OTHER_ACCOUNT), "RetireGrant", { GrantToken })).toBe("done");
  });

  test("grants that are not there look to strangers like ones that are not theirs", async () => {
    expect(await retire(OTHER_ROOT, key, "0".repeat(64))).toBe(DENIED);
    expect(await retire(ROOT, key, "0".repeat(64))).toBe("NotFoundException");
  });
});

describe("a remembered permission", () => {
  test("that rests on a grant ends with it, on the very next request", async () => {
    const key = await room.newKey([DELEGATE]);
    const { GrantId } = await grant(key, userOf("ann").arn, { Operations: ["GenerateDataKey"] });
    const remembered: RememberedPermission = { given: null };
    const call = room.callOf("PutRecord", userOf("ann"), { service: "kinesis" });
    const input = { KeyId: key, NumberOfBytes: 32 };
    const ask = async (): Promise<string> => {
      try {
        await room.operations.authorize(call, "kms", "GenerateDataKey", input, remembered);
        return "done";
      } catch (error) {
        return error instanceof ServiceError ? error.code : String(error);
      }
    };
    expect(await ask()).toBe("done");
    expect(remembered.given).not.toBeNull();
    expect(room.operations.isStillAllowed(call, remembered)).toBe(true);
    // Something else is written: it is asked again, and answered out of memory.
    await room.newKey([DELEGATE]);
    expect(room.operations.isStillAllowed(call, remembered)).toBe(false);
    expect(await ask()).toBe("done");
    await room.run(ROOT, "RevokeGrant", { KeyId: key, GrantId });
    expect(room.operations.isStillAllowed(call, remembered)).toBe(false);
    expect(await ask()).toBe(DENIED);
  });
});

describe("across accounts", () => {
  const eve = userOf("guest", OTHER_ACCOUNT);

  test("both the key's policy and the caller's own must allow", async () => {
    const open = await room.newKey([DELEGATE, { Principal: { AWS: OTHER_ROOT.arn } }]);
    const shut = await room.newKey([DELEGATE]);
    expect(await encrypt(eve, open)).toBe(DENIED);
    room.carry(eve, { identity: [{}] });
    expect(await encrypt(eve, open)).toBe("done");
    expect(await encrypt(eve, shut)).toBe(DENIED);
    room.carry(eve, {});
  });

  test("grants are made, listed, revoked and retired; management is not done", async () => {
    const key = await room.newKey([DELEGATE, { Principal: { AWS: OTHER_ROOT.arn } }]);
    const made = await room.run(OTHER_ROOT, "CreateGrant", {
      KeyId: key,
      GranteePrincipal: userOf("theirs", OTHER_ACCOUNT).arn,
      Operations: ["Encrypt"],
    });
    const { Grants } = await room.run(OTHER_ROOT, "ListGrants", { KeyId: key });
    expect(Grants).toMatchObject([{ GrantId: made["GrantId"], IssuingAccount: OTHER_ROOT.arn }]);
    expect(await encrypt(userOf("theirs", OTHER_ACCOUNT), key)).toBe("done");
    expect(await room.outcome(OTHER_ROOT, "RevokeGrant", { KeyId: key, GrantId: made["GrantId"] })).toBe("done");
    for (const [operation, input] of [
      ["DisableKey", {}],
      ["PutKeyPolicy", { Policy: "{}" }],
      ["GetKeyPolicy", {}],
      ["ScheduleKeyDeletion", {}],
      ["TagResource", { Tags: [] }],
      ["UpdateKeyDescription", { Description: "" }],
      ["ListKeyPolicies", {}],
      ["ListResourceTags", {}],
    ] as const) {
      expect([operation, await room.outcome(OTHER_ROOT, operation, { KeyId: key, ...input })]).toEqual([
        operation,
        DENIED,
      ]);
    }
    for (const operation of ["DescribeKey", "GetKeyRotationStatus"]) {
      expect(await room.outcome(OTHER_ROOT, operation, { KeyId: key })).toBe("done");
    }
  });
});
