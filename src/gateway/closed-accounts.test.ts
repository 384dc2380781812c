import { expect, test } from "vitest";
import type { CompiledPolicy } from "../authz/types.ts";
import { compilePolicy } from "../authz/compile.ts";
import { ServiceError } from "../base/errors.ts";
import type { AccessCheck, AnyOperation } from "./contract.ts";
import { ACCOUNT, gatewayRoom, keyArn } from "./testing/room.ts";

const OTHER = "444455556666";

const openToAll: CompiledPolicy = compilePolicy(
  JSON.stringify({
    Version: "2012-10-17",
    Statement: [{ Effect: "Allow", Principal: "*", Action: "*", Resource: "*" }],
  }),
  { id: "policy", kind: "key", lengthMax: 10_000 },
);

const use = (check: Partial<AccessCheck>): AnyOperation => ({
  event: "management",
  readOnly: true,
  access: async () => ({
    checks: [{ action: "kms:Use", resource: keyArn("k1"), resourceAccountId: OTHER, ...check }],
    target: null,
  }),
  handle: async () => ({ output: {} }),
});

/** How a use of the key of an account ends; `asked`: of which accounts it was asked whether they are closed. */
async function usedKey(check: Partial<AccessCheck>, closed: readonly string[]) {
  const asked: string[] = [];
  const room = await gatewayRoom(
    { Use: use(check) },
    {
      isAccountClosed: async (_read, accountId) => {
        asked.push(accountId);
        return closed.includes(accountId);
      },
    },
  );
  const end = await room.operations
    .run(room.callOf("Use"), () => ({}))
    .then(
      () => null,
      (error: unknown) => (error instanceof ServiceError ? error : null),
    );
  return { end, asked };
}

test("another account's key serves as long as that account is open", async () => {
  expect(await usedKey({ resourcePolicy: openToAll }, [])).toEqual({ end: null, asked: [OTHER] });
});

test("the key of a closed account is denied in the words of a missing permission", async () => {
  const closed = await usedKey({ resourcePolicy: openToAll, resourcePolicyMode: "required" }, [OTHER]);
  const untrusted = await usedKey({ resourcePolicy: null, resourcePolicyMode: "required" }, []);
  expect(closed.end?.code).toBe("AccessDeniedException");
  expect(closed.end?.message).toBe(untrusted.end?.message);
});

test("nor do its grants let anybody in", async () => {
  let looked = 0;
  const grants = async () => {
    looked += 1;
    return [];
  };
  expect((await usedKey({ resourcePolicyMode: "required", grants }, [])).end?.code).toBe("AccessDeniedException");
  expect(looked).toBe(1);
  expect((await usedKey({ resourcePolicyMode: "required", grants }, [OTHER])).end?.code).toBe("AccessDeniedException");
  expect(looked).toBe(1);
});

test("nothing is looked up for what is the caller's own", async () => {
  expect(await usedKey({ resourceAccountId: ACCOUNT }, [ACCOUNT])).toEqual({ end: null, asked: [] });
});
