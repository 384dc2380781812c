/** What a denial's record tells of its cause beyond the policies that were looked at. */
import { expect, test } from "vitest";
import { compilePolicy } from "../authz/compile.ts";
import { ServiceError } from "../base/errors.ts";
import type { CompiledPolicy } from "../authz/types.ts";
import { decodedDenial } from "./denial-message.ts";
import type { DenialRecord } from "./denial-record.ts";
import type { AccessCheck, AnyOperation } from "./contract.ts";
import { users } from "../services/iam/records.ts";
import { ACCOUNT, type GatewayRoom, gatewayRoom, keyArn, refusalOf } from "./testing/room.ts";

const OTHER = "444455556666";
const REQUEST = "00000000-0000-4000-8000-000000000001";
const ANN = `arn:aws:iam::${ACCOUNT}:user/ann`;

const use = (check: Partial<AccessCheck> = {}): AnyOperation => ({
  event: "management",
  readOnly: true,
  access: async () => ({
    checks: [{ action: "kms:Use", resource: keyArn("k1"), resourceAccountId: ACCOUNT, ...check }],
    target: null,
  }),
  handle: async () => ({ output: {} }),
});

function ofResource(statement: object, ids: Readonly<Record<string, string>> = {}): CompiledPolicy {
  const whole = { Effect: "Allow", Action: "*", Resource: "*", ...statement };
  const document = JSON.stringify({ Version: "2012-10-17", Statement: [whole] });
  return {
    ...compilePolicy(document, { id: "key policy", kind: "resource", lengthMax: 10_000 }, ids),
    document,
  } as CompiledPolicy;
}

async function denialIn(room: GatewayRoom): Promise<DenialRecord> {
  expect(await refusalOf(room.operations.run(room.callOf("Use"), () => ({})))).toBe("AccessDeniedException");
  const [denial] = await room.denials.find(REQUEST);
  if (denial === undefined) throw new Error("none");
  return denial;
}

async function absentFor(room: GatewayRoom, accountId: string): Promise<readonly string[]> {
  const text = (await decodedDenial(room.denials, accountId, REQUEST)) ?? "";
  const { context } = JSON.parse(text) as {
    context: { conditions: { items: { key: string; values: { items: unknown[] } }[] } };
  };
  return context.conditions.items.filter(({ values }) => values.items.length === 0).map(({ key }) => key);
}

const EXTERNAL = { Principal: "*", Condition: { StringEquals: { "sts:ExternalId": "x" } } };

test("a principal that is deleted while its call waits is denied without a statement, and its record says why", async () => {
  const room = await gatewayRoom({ Use: use() });
  await room.write(users.remove([ACCOUNT, "ann"]));
  const { decision, message } = await denialIn(room);
  expect(decision).toEqual({
    kind: "identity",
    reason: "implicit",
    statement: null,
    stop: { reason: "deleted", policyId: ANN },
  });
  expect(message).not.toContain("explicit");
  expect(await decodedDenial(room.denials, ACCOUNT, REQUEST)).toContain('"explicitDeny":false');
});

test("keys that a policy asked for in vain are listed, in AWS's spelling, with the statement that they stopped", async () => {
  const room = await gatewayRoom({ Use: use() });
  await room.putUser("ann", [{ Sid: "Tagged", Condition: { StringEquals: { "AWS:requesttag/Team": "red" } } }]);
  const { absent, decision } = await denialIn(room);
  expect(absent).toEqual([{ key: "aws:RequestTag/Team", kinds: ["identity"] }]);
  expect(decision.stoppedByAbsence).toEqual([
    { kind: "identity", policyId: "inline:own", sid: "Tagged", index: 0, keys: ["aws:RequestTag/Team"] },
  ]);
  expect(await absentFor(room, ACCOUNT)).toEqual(["aws:RequestTag/Team"]);
});

test("tags of the principal keep their case", async () => {
  const room = await gatewayRoom({ Use: use() });
  await room.putUser("ann", [], { tags: [{ key: "Cost Center", value: "1" }] });
  const { conditions } = await denialIn(room);
  expect(conditions.map(({ key }) => key)).toContain("aws:PrincipalTag/Cost Center");
});

test("what another account's policy asked for in vain is told to that account alone", async () => {
  const room = await gatewayRoom({ Use: use({ resourceAccountId: OTHER, resourcePolicy: ofResource(EXTERNAL) }) });
  const { decision } = await denialIn(room);
  expect(decision).toMatchObject({ kind: "resource", stoppedByAbsence: [{ keys: ["sts:ExternalId"] }] });
  expect(await absentFor(room, OTHER)).toEqual(["sts:ExternalId"]);
  expect(await absentFor(room, ACCOUNT)).toEqual([]);
});

test("a policy that means an earlier principal of the caller's name is told apart from one that does not name it", async () => {
  const named = (ids: Readonly<Record<string, string>>) =>
    gatewayRoom({
      Use: use({ resourcePolicy: ofResource({ Principal: { AWS: ANN } }, ids), resourcePolicyMode: "required" }),
    });
  const { decision } = await denialIn(await named({ [ANN]: "AIDAOLD" }));
  expect(decision).toMatchObject({ kind: "resource", formerPrincipal: { name: ANN, id: "AIDAOLD" } });
  const other = await denialIn(
    await named({ [`${ANN}a`]: "AIDAOLD" }).then(async (room) => {
      await room.putUser("ann", [{ Effect: "Deny" }]);
      return room;
    }),
  );
  expect(other.decision.formerPrincipal).toBeUndefined();
});

test("a service that refuses before it asks for permission can say on what", async () => {
  const refusal = new ServiceError("AccessDeniedException", "never", { details: { resource: keyArn("k9") } });
  const room = await gatewayRoom({ Use: { ...use(), access: () => Promise.reject(refusal) } });
  expect(await denialIn(room)).toMatchObject({ resource: keyArn("k9"), decision: { kind: "service" } });
});

test("the latest can be narrowed to a principal or an account, and say how many more there are", async () => {
  const room = await gatewayRoom({ Use: use({ resourceAccountId: OTHER }) });
  await room.putUser("ann", []);
  for (let n = 0; n < 3; n++) await denialIn(room);
  expect((await room.denials.latest(2)).more).toBe(1);
  expect(await room.denials.latest(2)).toMatchObject({ denials: [{ action: "kms:Use" }, { action: "kms:Use" }] });
  const count = async (filter: object) => (await room.denials.latest(9, filter)).denials.length;
  expect(await count({ principal: "user/ann" })).toBe(3);
  expect(await count({ principal: "AIDAANN" })).toBe(3);
  expect(await count({ principal: "user/bob" })).toBe(0);
  expect(await count({ accountId: OTHER })).toBe(3);
  expect(await count({ accountId: "999999999999" })).toBe(0);
});
