/** Condition keys that are the resource's owner's to tell, where a caller of another account asks. */
import { expect, test } from "vitest";
import { compilePolicy } from "../authz/compile.ts";
import type { CompiledPolicy } from "../authz/types.ts";
import type { AccessCheck, AnyOperation } from "./contract.ts";
import { gatewayRoom, keyArn, refusalOf, type Statement } from "./testing/room.ts";

const OTHER = "444455556666";
const REQUEST = "00000000-0000-4000-8000-000000000001";
const TAG = "aws:ResourceTag/env";

const keyPolicy = (...statements: readonly Statement[]): CompiledPolicy =>
  compilePolicy(
    JSON.stringify({
      Version: "2012-10-17",
      Statement: statements.map((one) => ({ Effect: "Allow", Principal: "*", Action: "*", Resource: "*", ...one })),
    }),
    { id: "key policy", kind: "key", lengthMax: 10_000 },
  );

/** A use of another account's key that is tagged `env` = `prod`. */
const use = (check: Partial<AccessCheck>): AnyOperation => ({
  event: "management",
  readOnly: true,
  access: async () => ({
    checks: [
      {
        action: "kms:Use",
        resource: keyArn("k1"),
        resourceAccountId: OTHER,
        resourcePolicyMode: "required",
        ownersContext: { [TAG]: "prod" },
        ...check,
      },
    ],
    target: null,
  }),
  handle: async () => ({ output: {} }),
});

const grants = async () => [{ grantId: "grant-1", match: "exact" as const }];
/** Lets in whoever does not know how the key is tagged. */
const UNLESS_PROD = { Condition: { StringNotEquals: { [TAG]: "prod" } } };
const NEVER_PROD = { Effect: "Deny", Condition: { StringEquals: { [TAG]: "prod" } } };

test("a deny of the key's policy by its tags wins over a grant, whatever the policy seems to allow without them", async () => {
  const run = async (check: Partial<AccessCheck>) => {
    const room = await gatewayRoom({ Use: use({ grants, ...check }) });
    return room.operations.run(room.callOf("Use"), () => ({}));
  };
  expect(await refusalOf(run({ resourcePolicy: keyPolicy(UNLESS_PROD, NEVER_PROD) }))).toBe("AccessDeniedException");
  expect(await refusalOf(run({ resourcePolicy: keyPolicy(NEVER_PROD) }))).toBe("AccessDeniedException");
  expect(await run({ resourcePolicy: keyPolicy(UNLESS_PROD) })).toEqual({});
});

test("the caller's own denies by the key's tags hold whom a grant lets in, also with an organization's", async () => {
  const deny = (condition: object) => [{}, { Effect: "Deny", Condition: condition }];
  const run = async (statements: readonly Statement[], resourcePolicy: CompiledPolicy | null) => {
    const place = { id: "o-1", path: "o-1/r-1/" };
    const room = await gatewayRoom(
      { Use: use({ grants, resourcePolicy }) },
      { organizationOf: async (accountId) => (accountId === OTHER ? place : null) },
    );
    await room.putUser("ann", statements);
    return room.operations.run(room.callOf("Use"), () => ({}));
  };
  for (const policy of [null, keyPolicy(UNLESS_PROD)]) {
    const both = deny({ StringEquals: { [TAG]: "prod", "aws:ResourceOrgID": "o-1" } });
    expect(await refusalOf(run(both, policy))).toBe("AccessDeniedException");
    expect(await refusalOf(run(deny({ StringEquals: { [TAG]: "prod" } }), policy))).toBe("AccessDeniedException");
    const elsewhere = deny({ StringEquals: { [TAG]: "prod", "aws:ResourceOrgID": "o-2" } });
    expect(await run(elsewhere, policy)).toEqual({});
  }
});

test("a deny of all but the tagged does not hold whom a grant lets in, and everybody else who is not trusted", async () => {
  const onlyProd = { Effect: "Deny", Condition: { StringNotEquals: { [TAG]: "prod" } } };
  const run = async (check: Partial<AccessCheck>, statements: readonly Statement[]) => {
    const room = await gatewayRoom({ Use: use(check) });
    await room.putUser("ann", statements);
    return room.operations.run(room.callOf("Use"), () => ({}));
  };
  expect(await run({ grants, resourcePolicy: keyPolicy(onlyProd) }, [{}])).toEqual({});
  expect(await run({ grants, resourcePolicy: null }, [{}, onlyProd])).toEqual({});
  const nobody = async () => [];
  expect(await refusalOf(run({ grants: nobody, resourcePolicy: keyPolicy(onlyProd) }, [{}]))).toBe(
    "AccessDeniedException",
  );
  const always = [{}, onlyProd, { Effect: "Deny" }];
  expect(await refusalOf(run({ grants, resourcePolicy: null }, always))).toBe("AccessDeniedException");
});

test("a policy that refuses by the tags is among those that were looked at", async () => {
  const room = await gatewayRoom({ Use: use({ resourcePolicy: keyPolicy(UNLESS_PROD) }) });
  expect(await refusalOf(room.operations.run(room.callOf("Use"), () => ({})))).toBe("AccessDeniedException");
  const [denial] = await room.denials.find(REQUEST);
  expect(denial?.decision).toMatchObject({ kind: "resource", reason: "implicit", statement: null });
  expect(denial?.policies).toContainEqual({ kind: "resource", ids: ["key policy"] });
});
