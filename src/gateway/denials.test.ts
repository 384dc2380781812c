import { describe, expect, test } from "vitest";
import { ServiceError } from "../base/errors.ts";
import type { MetadataStore } from "../store/metadata-store.ts";
import type { AccessCheck, AnyOperation } from "./contract.ts";
import { AccessDenial, CONDITIONS_LENGTH_MAX, type DenialRecord } from "./denial-record.ts";
import { decodedDenial } from "./denial-message.ts";
import { createDenials, type Denials, DENIALS_PER_ACCOUNT_MAX } from "./denials.ts";
import { ACCOUNT, type GatewayRoom, gatewayRoom, keyArn, refusalOf } from "./testing/room.ts";

const OTHER = "444455556666";
const REQUEST = "00000000-0000-4000-8000-000000000001";
const DAY_MS = 86_400_000;

const use = (check: Partial<AccessCheck> = {}): AnyOperation => ({
  event: "management",
  readOnly: true,
  access: async () => ({
    checks: [{ action: "kms:Use", resource: keyArn("k1"), resourceAccountId: ACCOUNT, ...check }],
    target: null,
  }),
  handle: async () => ({ output: {} }),
});

const GUARD = {
  Sid: "Guard",
  Effect: "Deny",
  Action: "kms:Us*",
  Condition: { StringEquals: { "kms:Spec": ["A", "B"] } },
};

/** The only denial of an id. */
async function only(denials: Denials, id: string): Promise<DenialRecord> {
  const found = await denials.find(id);
  expect(found).toHaveLength(1);
  if (found[0] === undefined) throw new Error("none");
  return found[0];
}

const refuse = (room: GatewayRoom, operation = "Use", requestId = REQUEST): Promise<string> =>
  refusalOf(room.operations.run(room.callOf(operation, { requestId }), () => ({})));

describe("a denial", () => {
  test("decides on the resource's ARN, and names it to the caller and in the event's message as the request did", async () => {
    const shownResource = keyArn("named");
    const room = await gatewayRoom({ Use: use({ shownResource }) });
    await room.putUser("ann", [{}, { Effect: "Deny", Action: "*", Resource: keyArn("k1") }]);
    const refusal = await room.operations
      .run(room.callOf("Use", { requestId: REQUEST }), () => ({}))
      .then(String, (error: unknown) => String(error));
    expect(refusal).toContain(`on resource: ${shownResource} with an explicit deny`);
    expect(refusal).not.toContain(keyArn("k1"));
    const [event] = await room.events();
    expect(event?.errorMessage).toContain(`on resource: ${shownResource} with an explicit deny`);
    // Who may ask why learns what it was.
    expect(await only(room.denials, REQUEST)).toMatchObject({ resource: keyArn("k1"), message: event?.errorMessage });
  });

  test("is recorded in the commit of its event, under the ids of both, with the statement that denied", async () => {
    const room = await gatewayRoom({ Use: use({ context: { "kms:Spec": "A", "kms:Other": "x" } }) });
    await room.putUser("ann", [{}, GUARD]);
    expect(await refuse(room)).toBe("AccessDeniedException");
    expect(room.batches).toHaveLength(1);
    const [event] = await room.events();
    const denial = await only(room.denials, REQUEST);
    expect(await only(room.denials, event?.eventID ?? "")).toEqual(denial);
    expect(denial).toMatchObject({
      requestId: REQUEST,
      eventId: event?.eventID,
      timeMs: room.clock.wallMs(),
      accountId: ACCOUNT,
      resourceAccountId: ACCOUNT,
      principal: { type: "User", arn: `arn:aws:iam::${ACCOUNT}:user/ann`, id: "AIDAANN" },
      operation: "Use",
      via: null,
      action: "kms:Use",
      resource: keyArn("k1"),
      message: event?.errorMessage,
      decision: {
        kind: "identity",
        reason: "explicit",
        statement: { policyId: "inline:own", sid: "Guard", index: 1 },
      },
      policies: [{ kind: "identity", ids: ["inline:own"] }],
      conditionsLeftOut: 0,
    });
    expect(JSON.parse(denial.decision.statement?.text ?? "")).toEqual({ Resource: "*", ...GUARD });
    expect(denial.conditions[0]).toEqual({ key: "kms:Spec", values: ["A"], asked: true });
    expect(denial.conditions).toContainEqual({ key: "kms:Other", values: ["x"], asked: false });
    expect(denial.conditions).toContainEqual({ key: "aws:SourceIp", values: ["192.0.2.1"], asked: false });
  });

  test("for want of an allow names the kind of policy that lacked it", async () => {
    const room = await gatewayRoom({ Use: use() });
    await room.putUser("ann", []);
    await refuse(room);
    const { decision, policies } = await only(room.denials, REQUEST);
    expect(decision).toEqual({ kind: "identity", reason: "implicit", statement: null });
    expect(policies).toEqual([{ kind: "identity", ids: [] }]);
  });

  test("does not count as a change of state: what was permitted is not asked for again", async () => {
    const room = await gatewayRoom({ Use: use() });
    await room.putUser("ann", []);
    const before = room.store.generation();
    await refuse(room);
    expect(room.store.generation()).toBe(before);
  });

  test("is none when the request was allowed, or refused for another reason", async () => {
    const room = await gatewayRoom({
      Use: use(),
      Fail: { ...use(), handle: () => Promise.reject(new ServiceError("LimitExceededException", "too many")) },
    });
    await room.operations.run(room.callOf("Use"), () => ({}));
    expect(await refuse(room, "Fail")).toBe("LimitExceededException");
    expect(await room.denials.find(REQUEST)).toEqual([]);
    expect((await room.denials.latest(10)).denials).toEqual([]);
  });

  test("of the service itself, whatever policies say, is recorded as such", async () => {
    const message = "kms:Use is not authorized";
    const room = await gatewayRoom({
      Use: { ...use(), handle: () => Promise.reject(new ServiceError("AccessDeniedException", message)) },
    });
    await refuse(room);
    expect(await only(room.denials, REQUEST)).toMatchObject({
      action: "kms:Use",
      resource: keyArn("k1"),
      message,
      decision: { kind: "service", statement: null },
    });
  });

  test("that cannot be recorded is a failure, like one whose event cannot be written", async () => {
    const room = await gatewayRoom({ Use: use() });
    await room.putUser("ann", []);
    room.commitFault = "fail";
    expect(await refuse(room)).toBe("InternalFailure");
  });
});

describe("a denial of a call that a service makes for its caller", () => {
  const outer = (inner: () => Promise<unknown>): AnyOperation => ({
    ...use({ action: "kms:Outer" }),
    handle: async () => {
      try {
        await inner();
      } catch (error) {
        throw new ServiceError("KMSAccessDeniedException", "denied", { cause: error });
      }
      return { output: {} };
    },
  });

  test("is found by the request that the caller sent, and by the events of both calls", async () => {
    const room: GatewayRoom = await gatewayRoom({
      Use: use(),
      Put: outer(() => room.operations.run(room.callOf("Put"), "kms", "Use", {})),
    });
    await room.putUser("ann", [{ Action: "kms:Outer" }]);
    expect(await refuse(room, "Put")).toBe("KMSAccessDeniedException");
    const denial = await only(room.denials, REQUEST);
    expect(denial).toMatchObject({ operation: "Use", via: "kms", action: "kms:Use" });
    const events = await room.events();
    expect(events.map(({ eventName }) => eventName)).toEqual(["Use", "Put"]);
    for (const { eventID } of events) expect(await only(room.denials, eventID)).toEqual(denial);
    expect(events[0]?.requestID).not.toBe(REQUEST);
    expect((await room.denials.latest(10)).denials).toEqual([denial]);
  });

  test("is found by every request that waited for it", async () => {
    const room: GatewayRoom = await gatewayRoom({ Use: use(), Put: outer(() => shared) });
    await room.putUser("ann", [{ Action: "kms:Outer" }]);
    const shared = room.operations.run(room.callOf("Put"), "kms", "Use", {});
    const second = "00000000-0000-4000-8000-000000000002";
    await Promise.all([refuse(room, "Put"), refuse(room, "Put", second)]);
    expect(await only(room.denials, second)).toEqual(await only(room.denials, REQUEST));
  });
});

describe("the store of denials", () => {
  const denialOf = async (): Promise<{ room: GatewayRoom; denial: AccessDenial }> => {
    const room = await gatewayRoom({ Use: use() });
    await room.putUser("ann", []);
    const denial = await room.operations.run(room.callOf("Use"), () => ({})).catch((error: unknown) => error);
    if (!(denial instanceof AccessDenial)) throw new Error("not denied");
    return { room, denial };
  };
  const uuid = (n: number): string => `00000000-0000-4000-8000-${String(n).padStart(12, "0")}`;
  const rowsOf = async (store: MetadataStore): Promise<number> =>
    (await store.range({ start: "gateway.denial" as never, end: "gateway.denialz" as never, limit: 100_000 })).length;
  const flood = async (room: GatewayRoom, denials: Denials, denial: AccessDenial, from: number, count: number) => {
    for (let n = from; n < from + count; n++) {
      denial.recorded = null;
      const call = { ...denial.denied.call, requestId: uuid(n) };
      const again = new AccessDenial({ model: { protocol: "json" } } as never, { ...denial.denied, call });
      await room.write(...(await denials.entries(call, again, uuid(1_000_000 + n), [])));
    }
  };

  test("does not grow with a flood: the newest of an account push out its oldest, after a start, too", async () => {
    const { room, denial } = await denialOf();
    await flood(room, room.denials, denial, 10, DENIALS_PER_ACCOUNT_MAX + 5);
    // A row and two ids each.
    expect(await rowsOf(room.store)).toBe(3 * DENIALS_PER_ACCOUNT_MAX);
    expect(await room.denials.find(uuid(12))).toEqual([]);
    const restarted = createDenials({ store: room.store, clock: room.clock, onError: () => undefined });
    await flood(room, restarted, denial, 5_000, 7);
    expect(await rowsOf(room.store)).toBe(3 * DENIALS_PER_ACCOUNT_MAX);
    expect(await restarted.find(uuid(5_006))).toHaveLength(1);
    expect(await restarted.find(uuid(20))).toEqual([]);
  });

  test("forgets after a week: at once for who asks, and soon from the store", async () => {
    const { room } = await denialOf();
    const stop = room.denials.start();
    expect(await room.denials.find(REQUEST)).toHaveLength(1);
    room.clock.advance(6.9 * DAY_MS);
    await stop();
    expect(await room.denials.find(REQUEST)).toHaveLength(1);
    room.clock.advance(0.2 * DAY_MS);
    expect(await room.denials.find(REQUEST)).toEqual([]);
    expect((await room.denials.latest(5)).denials).toEqual([]);
    const again = room.denials.start();
    room.clock.advance(DAY_MS / 24);
    await again();
    expect(await rowsOf(room.store)).toBe(0);
  });

  test("lists the latest of all accounts, newest first", async () => {
    const { room } = await denialOf();
    const service = { type: "Service" as const, arn: "events.amazonaws.com", accountId: "", userId: "events" };
    room.clock.advance(1000);
    await refusalOf(room.operations.run(room.callOf("Use", { principal: service, requestId: uuid(7) }), () => ({})));
    const denials = (await room.denials.latest(5)).denials;
    expect(denials.map(({ principal, accountId }) => [principal.type, accountId])).toEqual([
      ["Service", ACCOUNT],
      ["User", ACCOUNT],
    ]);
    expect((await room.denials.latest(1)).denials).toHaveLength(1);
  });

  test.each(["", "x", "../", "\u0001", REQUEST.slice(1), `${REQUEST}0`])("knows no denial called %j", async (id) => {
    const { room } = await denialOf();
    expect(await room.denials.find(id)).toEqual([]);
  });

  test("keeps no more of a request than there is room for: what policies asked for first", async () => {
    const context = Object.fromEntries(
      Array.from({ length: 300 }, (_, n) => [`kms:EncryptionContext:${n}`, "v".repeat(400)]),
    );
    const room = await gatewayRoom({ Use: use({ context: { ...context, "kms:Zeta": "z".repeat(5_000) } }) });
    await room.putUser("ann", [{ Condition: { StringEquals: { "kms:Zeta": "other" } } }]);
    await refuse(room);
    const { conditions, conditionsLeftOut } = await only(room.denials, REQUEST);
    expect(conditions[0]).toMatchObject({ key: "kms:Zeta", asked: true });
    expect(conditions[0]?.values[0]?.length).toBeLessThan(2_000);
    expect(JSON.stringify(conditions).length).toBeLessThan(2 * CONDITIONS_LENGTH_MAX);
    expect(conditionsLeftOut).toBeGreaterThan(200);
  });
});

describe("the decoded message", () => {
  const decode = async (room: GatewayRoom, accountId: string): Promise<Record<string, unknown> | null> => {
    const text = await decodedDenial(room.denials, accountId, REQUEST);
    return text === null ? null : (JSON.parse(text) as Record<string, unknown>);
  };

  test("has AWS's form", async () => {
    const room = await gatewayRoom({ Use: use({ context: { "kms:Spec": "A" } }) });
    await room.putUser("ann", [{}, GUARD]);
    await refuse(room);
    expect(await decode(room, ACCOUNT)).toEqual({
      allowed: false,
      explicitDeny: true,
      matchedStatements: {
        items: [
          {
            statementId: "Guard",
            effect: "DENY",
            principals: { items: [{ value: "AIDAANN" }] },
            principalGroups: { items: [] },
            actions: { items: [{ value: "kms:Us*" }] },
            resources: { items: [{ value: "*" }] },
            conditions: { items: [{ key: "kms:Spec", values: { items: [{ value: "A" }, { value: "B" }] } }] },
          },
        ],
      },
      failures: { items: [] },
      context: {
        principal: { id: "AIDAANN", arn: `arn:aws:iam::${ACCOUNT}:user/ann` },
        action: "kms:Use",
        resource: keyArn("k1"),
        conditions: {
          items: expect.arrayContaining([
            { key: "kms:Spec", values: { items: [{ value: "A" }] } },
            { key: "aws:SecureTransport", values: { items: [{ value: "true" }] } },
          ]) as unknown,
        },
      },
    });
  });

  test("is for the caller's account and the resource's only, and each sees its own policies", async () => {
    const room = await gatewayRoom({ Use: use({ context: { "kms:Spec": "A" }, resourceAccountId: OTHER }) });
    await room.putUser("ann", [{}, GUARD]);
    await refuse(room);
    expect(await decode(room, "999999999999")).toBeNull();
    expect(await decode(room, ACCOUNT)).toMatchObject({ matchedStatements: { items: [{ statementId: "Guard" }] } });
    expect(await decode(room, OTHER)).toMatchObject({ explicitDeny: true, matchedStatements: { items: [] } });
  });
});

test("across accounts the decoded message tells neither side what is the other's", async () => {
  const context = {
    "kms:EncryptionContext:Team": "red",
    "kms:ViaService": "kinesis.eu-central-1.amazonaws.com",
    "aws:RequestTag/cost": "1",
    "aws:ResourceTag/owner": "hidden",
    "kms:ResourceAliases": ["alias/hidden"],
    "kms:KeySpec": "RSA_2048",
  };
  const room = await gatewayRoom({ Use: use({ context, resourceAccountId: OTHER }) });
  await room.putUser("ann", []);
  const claims = { "idp.example.com:sub": "s" };
  const session = {
    issuerArn: "arn:aws:iam::1:role/r",
    issuerId: "AROA",
    name: "s",
    issuedAtMs: 0,
    mfa: true,
    tags: { team: "blue" },
  };
  const { principal } = room.callOf("Use");
  const federated = { ...principal, session: { ...session, federation: { provider: "p", claims } } };
  await refusalOf(room.operations.run(room.callOf("Use", { principal: federated }), () => ({})));
  const keysFor = async (accountId: string): Promise<readonly string[]> => {
    const text = (await decodedDenial(room.denials, accountId, REQUEST)) ?? "";
    const decoded = JSON.parse(text) as { context: { conditions: { items: { key: string }[] } } };
    return decoded.context.conditions.items.map(({ key }) => key);
  };
  const ofRequest = [
    "kms:EncryptionContext:Team",
    "kms:ViaService",
    "aws:RequestTag/cost",
    "aws:SourceIp",
    "aws:userid",
  ];
  const ofResource = ["aws:ResourceTag/owner", "kms:ResourceAliases", "kms:KeySpec"];
  const ofCaller = ["aws:PrincipalTag/team", "aws:MultiFactorAuthPresent", "idp.example.com:sub"];
  const toCaller = await keysFor(ACCOUNT);
  expect(toCaller).toEqual(expect.arrayContaining(ofRequest));
  expect(toCaller).toEqual(expect.arrayContaining(ofCaller.slice(0, 2)));
  expect(toCaller.filter((key) => ofResource.includes(key))).toEqual([]);
  const toOwner = await keysFor(OTHER);
  expect(toOwner).toEqual(expect.arrayContaining([...ofRequest, ...ofResource]));
  expect(toOwner.filter((key) => ofCaller.includes(key))).toEqual([]);
});

describe("organizations", () => {
  const place = { id: "o-1234567890", path: "o-1234567890/r-ab12/" };
  const inOrganization = { Condition: { StringEquals: { "aws:PrincipalOrgID": place.id } } };

  test("are asked for when a policy asks, and the decision is made with the answer", async () => {
    const asked: string[] = [];
    const room = await gatewayRoom(
      { Use: use({ resourceAccountId: ACCOUNT }) },
      {
        organizationOf: async (accountId) => {
          asked.push(accountId);
          return place;
        },
      },
    );
    await room.operations.run(room.callOf("Use"), () => ({}));
    expect(asked).toEqual([]);
    await room.putUser("ann", [inOrganization]);
    await room.operations.run(room.callOf("Use"), () => ({}));
    expect(asked).toEqual([ACCOUNT, ACCOUNT]);
    await room.putUser("ann", [{}, { ...inOrganization, Effect: "Deny" }]);
    expect(await refuse(room)).toBe("AccessDeniedException");
    const { conditions } = await only(room.denials, REQUEST);
    expect(conditions[0]).toEqual({ key: "aws:PrincipalOrgID", values: [place.id], asked: true });
  });

  test("without any, nobody is in one", async () => {
    const room = await gatewayRoom({ Use: use() });
    await room.putUser("ann", [inOrganization]);
    expect(await refuse(room)).toBe("AccessDeniedException");
  });
});
