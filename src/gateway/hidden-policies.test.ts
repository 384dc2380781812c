/** What a caller learns of another account's policy from being refused: nothing, whatever the policy asks for. */
import { describe, expect, test } from "vitest";
import { compilePolicy } from "../authz/compile.ts";
import type { AccessCheck, AnyOperation } from "./contract.ts";
import { decodedDenial } from "./denial-message.ts";
import { ACCOUNT, gatewayRoom, keyArn, refusalOf, type Statement } from "./testing/room.ts";

const OTHER = "444455556666";
const REQUEST = "00000000-0000-4000-8000-000000000001";
const place = { id: "o-1234567890", path: "o-1234567890/r-ab12/" };

const use = (conditions: object | null, check: Partial<AccessCheck>): AnyOperation => {
  const document = JSON.stringify({
    Version: "2012-10-17",
    Statement: {
      Effect: "Allow",
      Principal: "*",
      Action: "*",
      Resource: "*",
      ...(conditions === null ? { Principal: { AWS: OTHER } } : { Condition: conditions }),
    },
  });
  const resourcePolicy = { ...compilePolicy(document, { id: "p", kind: "resource", lengthMax: 10_000 }), document };
  return {
    event: "management",
    readOnly: true,
    access: async () => ({
      checks: [{ action: "kms:Use", resource: keyArn("k1"), resourceAccountId: OTHER, resourcePolicy, ...check }],
      target: null,
    }),
    handle: async () => ({ output: {} }),
  };
};

interface Asked {
  readonly viewer?: string;
  readonly check?: Partial<AccessCheck>;
  readonly own?: readonly Statement[];
}

/** The conditions that are shown when a policy with these conditions refused. */
async function shown(conditions: object | null, { viewer = ACCOUNT, check = {}, own = [{}] }: Asked = {}) {
  const room = await gatewayRoom({ Use: use(conditions, check) }, { organizationOf: async () => place });
  await room.putUser("ann", own);
  await refusalOf(room.operations.run(room.callOf("Use", { requestId: REQUEST }), () => ({})));
  const text = (await decodedDenial(room.denials, viewer, REQUEST)) ?? "";
  const { context } = JSON.parse(text) as { context: { conditions: { items: { key: string; values: object }[] } } };
  return context.conditions.items;
}

const equals = (key: string): object => ({ StringEquals: { [key]: "never" } });
const policies: readonly [string, object][] = [
  ["the user agent", equals("aws:UserAgent")],
  ["the organization", equals("aws:PrincipalOrgID")],
  ["the organization's paths", { "ForAnyValue:StringLike": { "aws:PrincipalOrgPaths": "o-z*" } }],
  ["the resource's organization", equals("aws:ResourceOrgID")],
  ["an external id", equals("sts:ExternalId")],
];

describe.each(policies)("a policy that asks for %s", (_what, conditions) => {
  test("shows its caller what any other would", async () => {
    expect(await shown(conditions)).toEqual(await shown(null));
  });

  test("nor does it show when the caller fills the room that a record has", async () => {
    const context = Object.fromEntries(Array.from({ length: 60 }, (_, n) => [`aws:RequestTag/${n}`, "v".repeat(400)]));
    expect(await shown(conditions, { check: { context } })).toEqual(await shown(null, { check: { context } }));
  });

  test("nor when the caller's own policies speak of the same keys", async () => {
    const own = [{}, { Action: "kms:Never", Condition: conditions }];
    expect(await shown(conditions, { own })).toEqual(await shown(null, { own }));
  });
});

test("the owner of the resource does not see what the caller's policies ask for", async () => {
  const ask = (key: string) => shown(null, { viewer: OTHER, own: [{ Condition: equals(key) }] });
  const plain = await shown(null, { viewer: OTHER });
  for (const key of ["aws:UserAgent", "aws:ResourceOrgID", "sts:ExternalId"]) expect(await ask(key)).toEqual(plain);
});

test("conditions are shown by name", async () => {
  const keys = (await shown(equals("aws:UserAgent"))).map(({ key }) => key.toLowerCase());
  expect(keys.length).toBeGreaterThan(5);
  expect(keys).toEqual(keys.toSorted());
});
