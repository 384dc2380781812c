import { describe, expect, test } from "vitest";
import { KeyWorkersError } from "../../crypto/asymmetric/key-workers-error.ts";
import { lendPrivateKey, offMainThread, pairSpecOf, publicKeyOf } from "./key-pairs.ts";
import { keyTable } from "./records.ts";
import { ACCOUNT, REGION, kmsHarness } from "./testing/harness.ts";

describe("work off the main thread", () => {
  test.each([
    ["busy", { code: "ThrottlingException", status: 400 }],
    ["ended", { code: "ServiceUnavailableException", status: 503 }],
    ["forgotten", { code: "KMSInvalidStateException", status: 400 }],
    ["died", { code: "KMSInternalException", status: 500 }],
    ["failed", { code: "KMSInternalException", status: 500 }],
  ] as const)("that is %s is answered in KMS's words, without the workers' message", async (reason, expected) => {
    const work = offMainThread(Promise.reject(new KeyWorkersError(reason, "from within")));
    await expect(work).rejects.toMatchObject(expected);
    await expect(work).rejects.not.toThrow("from within");
  });

  test("answers what the workers answer, and passes on what is none of their errors", async () => {
    await expect(offMainThread(Promise.resolve(7))).resolves.toBe(7);
    const bug = new TypeError("a bug");
    await expect(offMainThread(Promise.reject(bug))).rejects.toBe(bug);
  });
});

test("a key that is no pair, or lost its material, is an internal error and not an answer", async () => {
  const kms = await kmsHarness();
  const key = await kms.reader.get(keyTable, [ACCOUNT, REGION, await kms.newKey()]);
  if (key === null) throw new Error("no key");
  expect(() => pairSpecOf(key)).toThrow(expect.objectContaining({ code: "KMSInternalException" }) as Error);
  expect(() => publicKeyOf(key)).toThrow(expect.objectContaining({ code: "KMSInternalException" }) as Error);
  const parts = { materials: { lend: () => Promise.resolve(null) } } as unknown as Parameters<typeof lendPrivateKey>[0];
  const context = {} as unknown as Parameters<typeof lendPrivateKey>[1];
  await expect(lendPrivateKey(parts, context, key)).rejects.toMatchObject({ code: "KMSInternalException" });
  await kms.close();
});
