import { describe, expect, test } from "vitest";
import { movableClock } from "../base/clock.ts";
import { ServiceError } from "../base/errors.ts";
import type { UserRecord } from "../services/iam/records.ts";
import { table } from "../store/table.ts";
import type { AccessCheck, Call, Operation, RememberedPermission } from "./contract.ts";
import {
  ACCOUNT,
  type GatewayRoom,
  gatewayRoom,
  keyArn,
  policyArn,
  principalOf,
  refusalOf,
  type Statement,
} from "./testing/room.ts";

interface Key {
  readonly enabled: boolean;
  readonly deletedFromMs: number | null;
}

const aliases = table<{ readonly keyId: string }>("test.alias");
const keys = table<Key>("test.key");
const locks = table<{ readonly reason: string }>("test.lock");

const ENABLED: Key = { enabled: true, deletedFromMs: null };

/** Uses the key that an alias names, unless a lock lies on it. */
const useKey = (onDecided: () => void): Operation<{ readonly alias: string }, object, Key> => ({
  event: "data",
  readOnly: true,
  async access({ call, read }, { alias }) {
    onDecided();
    const keyId = (await read.get(aliases, [alias]))?.keyId ?? "none";
    const key = await read.get(keys, [keyId]);
    if (key === null) throw new ServiceError("NotFoundException", "no such key");
    if ((await read.get(locks, [keyId])) !== null) throw new ServiceError("LockedException", "locked");
    const context = { "kms:ViaService": `${call.via?.service ?? ""}.${call.region}.amazonaws.com` };
    const checkOf = (action: string): AccessCheck => ({
      action,
      resource: keyArn(keyId),
      resourceAccountId: ACCOUNT,
      context,
    });
    return { checks: [checkOf("kms:Use"), checkOf("kms:UseWith")], target: key };
  },
  check({ call }, _input, key) {
    if (!key.enabled) throw new ServiceError("DisabledException", "disabled");
    if (key.deletedFromMs !== null && call.nowMs >= key.deletedFromMs) throw new ServiceError("GoneException", "gone");
  },
  handle: async () => ({ output: {} }),
});

interface Asking {
  readonly room: GatewayRoom;
  /** What kinesis asks of kms for its caller. */
  ask(changes?: Partial<Call>): Promise<void>;
  /** Whether the answer is known without asking. */
  isKnown(changes?: Partial<Call>): boolean;
  /** How often the permission was decided so far. */
  decisions(): number;
}

async function asking(statements: readonly Statement[] = [{}], parts: Partial<UserRecord> = {}): Promise<Asking> {
  let decided = 0;
  const room = await gatewayRoom({ Use: useKey(() => (decided += 1)) });
  await room.putUser("ann", statements, parts);
  await room.write(aliases.put(["a"], { keyId: "k1" }), keys.put(["k1"], ENABLED), keys.put(["k2"], ENABLED));
  const remembered: RememberedPermission = { given: null };
  // One object, as authentication hands out for one access key.
  const principal = principalOf("ann");
  return {
    room,
    isKnown: (changes = {}) =>
      room.operations.isStillAllowed(
        room.callOf("PutRecord", { service: "kinesis", principal, ...changes }),
        remembered,
      ),
    ask: (changes = {}) =>
      room.operations.authorize(
        room.callOf("PutRecord", { service: "kinesis", principal, ...changes }),
        "kms",
        "Use",
        { alias: "a" },
        remembered,
      ),
    decisions: () => decided,
  };
}

describe("a remembered permission", () => {
  test("is repeated without deciding again while nothing has changed", async () => {
    const { room, ask, decisions } = await asking();
    for (let times = 0; times < 3; times++) await ask();
    room.clock.advance(999);
    await ask();
    expect(decisions()).toBe(1);
  });

  const other: Statement = { Action: "kms:Other" };

  test("is not repeated by who does not hand it in", async () => {
    const { room, ask, decisions } = await asking();
    await ask();
    await room.operations.authorize(room.callOf("PutRecord", { service: "kinesis" }), "kms", "Use", { alias: "a" });
    expect(decisions()).toBe(2);
  });

  const forbidden: Statement = { Effect: "Deny", Action: "kms:Use" };
  test.each<[string, (room: GatewayRoom) => Promise<void>, string]>([
    ["the user's inline policy denies", (room) => room.putUser("ann", [{}, forbidden]), "AccessDeniedException"],
    ["the user's inline policy no longer allows", (room) => room.putUser("ann", [other]), "AccessDeniedException"],
    [
      "the key is disabled",
      (room) => room.write(keys.put(["k1"], { ...ENABLED, enabled: false })),
      "DisabledException",
    ],
    ["the key is removed", (room) => room.write(keys.remove(["k1"])), "NotFoundException"],
    ["the alias is removed", (room) => room.write(aliases.remove(["a"])), "NotFoundException"],
    ["a record appears that was absent", (room) => room.write(locks.put(["k1"], { reason: "" })), "LockedException"],
  ])("is refused at once when %s", async (_change, change, code) => {
    const { room, ask, decisions } = await asking();
    await ask();
    await change(room);
    expect(await refusalOf(ask())).toBe(code);
    expect(decisions()).toBe(2);
    // Nor does the yes of before come back.
    expect(await refusalOf(ask())).toBe(code);
  });

  test("is refused at once when the alias names a key that the user may not use", async () => {
    const { room, ask } = await asking([{ Resource: keyArn("k1") }]);
    await ask();
    await room.write(aliases.put(["a"], { keyId: "k2" }));
    expect(await refusalOf(ask())).toBe("AccessDeniedException");
  });

  test("is refused at once when a managed policy changes that is attached to the user", async () => {
    const { room, ask, decisions } = await asking([], { attachedPolicyArns: [policyArn("shared")] });
    await room.putPolicy("shared", [{}]);
    await ask();
    await ask();
    expect(decisions()).toBe(1);
    await room.putPolicy("shared", [other]);
    expect(await refusalOf(ask())).toBe("AccessDeniedException");
  });

  test("is refused at once when the user's boundary changes", async () => {
    const { room, ask, decisions } = await asking([{}], { boundaryArn: policyArn("limit") });
    await room.putPolicy("limit", [{}]);
    await ask();
    await ask();
    expect(decisions()).toBe(1);
    await room.putPolicy("limit", [other]);
    expect(await refusalOf(ask())).toBe("AccessDeniedException");
  });

  test("is refused at once when a tag of the user changes on which a policy depends", async () => {
    const tagged = (value: string): Partial<UserRecord> => ({
      attachedPolicyArns: [policyArn("red")],
      tags: [{ key: "team", value }],
    });
    const { room, ask, decisions } = await asking([], tagged("red"));
    await room.putPolicy("red", [{ Condition: { StringEquals: { "aws:PrincipalTag/team": "red" } } }]);
    await ask();
    await ask();
    expect(decisions()).toBe(1);
    await room.putUser("ann", [], tagged("blue"));
    expect(await refusalOf(ask())).toBe("AccessDeniedException");
  });

  test("holds for no other principal, and not for another object of the same one", async () => {
    const { room, ask, decisions } = await asking();
    await room.putUser("bob", [other]);
    await ask();
    await ask({ principal: principalOf("ann") });
    expect(decisions()).toBe(2);
    expect(await refusalOf(ask({ principal: principalOf("bob") }))).toBe("AccessDeniedException");
  });

  test("holds for no other region", async () => {
    const { ask } = await asking([{ Condition: { StringEquals: { "aws:RequestedRegion": "eu-central-1" } } }]);
    await ask();
    expect(await refusalOf(ask({ region: "us-east-1" }))).toBe("AccessDeniedException");
  });

  test("holds for no other calling service", async () => {
    const { ask } = await asking([{ Condition: { StringLike: { "kms:ViaService": "kinesis.*" } } }]);
    await ask();
    expect(await refusalOf(ask({ service: "dynamodb" }))).toBe("AccessDeniedException");
  });

  test("ends after a second, so that what time alone changes is seen", async () => {
    const { room, ask, decisions } = await asking();
    await room.write(keys.put(["k1"], { ...ENABLED, deletedFromMs: room.clock.wallMs() + 500 }));
    await ask();
    room.clock.advance(999);
    await ask();
    expect(decisions()).toBe(1);
    room.clock.advance(1);
    expect(await refusalOf(ask())).toBe("GoneException");
  });
});

describe("a permission is decided each time when a policy asked for", () => {
  // Each permission is asked for under two actions: one that may not be remembered is enough.
  test.each([
    ["kms:Use", "kms:UseWith"],
    ["kms:UseWith", "kms:Use"],
  ])("the transport, for %s but not for %s", async (asked, plain) => {
    const { ask, decisions } = await asking([
      { Action: asked, Condition: { Bool: { "aws:SecureTransport": "true" } } },
      { Action: plain },
    ]);
    await ask();
    await ask();
    expect(decisions()).toBe(2);
  });

  test("aws:CurrentTime", async () => {
    // The clock begins at a full second, and the key has seconds only.
    const lastSecond = new Date(movableClock().wallMs()).toISOString();
    const { room, ask } = await asking([{ Condition: { DateLessThanEquals: { "aws:CurrentTime": lastSecond } } }]);
    room.clock.advance(500);
    await ask();
    room.clock.advance(999);
    expect(await refusalOf(ask())).toBe("AccessDeniedException");
  });

  test("aws:SecureTransport", async () => {
    const { ask } = await asking([{ Condition: { Bool: { "aws:SecureTransport": "true" } } }]);
    await ask();
    expect(await refusalOf(ask({ secureTransport: false }))).toBe("AccessDeniedException");
  });

  // The key is not in a call that a service makes; a policy may ask for it all the same.
  test("aws:SourceIp", async () => {
    const { ask, decisions } = await asking([{ Condition: { IpAddressIfExists: { "aws:SourceIp": "192.0.2.0/24" } } }]);
    await ask();
    await ask();
    expect(decisions()).toBe(2);
  });

  test("aws:SourceIp in a Deny that did not apply", async () => {
    const { ask, decisions } = await asking([
      {},
      { Effect: "Deny", Condition: { IpAddress: { "aws:SourceIp": "192.0.2.0/24" } } },
    ]);
    await ask();
    await ask();
    expect(decisions()).toBe(2);
  });
});

describe("a permission that is known without asking", () => {
  test("was given before, and nothing at all was written since", async () => {
    const { room, ask, isKnown } = await asking();
    expect(isKnown()).toBe(false);
    await ask();
    expect(isKnown()).toBe(true);
    // Not even what has nothing to do with it: telling the two apart takes reading, and that is asking.
    await room.write(keys.put(["unrelated"], ENABLED));
    expect(isKnown()).toBe(false);
    await ask();
    expect(isKnown()).toBe(true);
  });

  test("is of the same principal, region and service, and a second old at most", async () => {
    const { room, ask, isKnown } = await asking();
    await ask();
    expect(isKnown({ principal: principalOf("ann") })).toBe(false);
    expect(isKnown({ region: "eu-west-1" })).toBe(false);
    expect(isKnown({ service: "s3" })).toBe(false);
    room.clock.advance(1_000);
    expect(isKnown()).toBe(false);
  });

  test("is never one that was refused after it had been given", async () => {
    const { room, ask, isKnown } = await asking();
    await ask();
    await room.write(keys.put(["k1"], { ...ENABLED, enabled: false }));
    await refusalOf(ask());
    expect(isKnown()).toBe(false);
  });
});
