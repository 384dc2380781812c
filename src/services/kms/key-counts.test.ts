import { describe, expect, test } from "vitest";
import { movableClock } from "../../base/clock.ts";
import type { QuotaValues } from "../../gateway/contract.ts";
import { memoryMetadataStore } from "../../store/memory-metadata-store.ts";
import { KeyCounts, withKeyCounts } from "./key-counts.ts";
import { type KeyRecord, idOfKey, keyTable } from "./records.ts";
import { ACCOUNT, OTHER_ACCOUNT, REGION, kmsHarness } from "./testing/harness.ts";

const owner = { accountId: ACCOUNT, region: REGION };
const key = (keyId: string, parts: Partial<KeyRecord> = {}): KeyRecord =>
  ({ keyId, ...owner, manager: "CUSTOMER", ...parts }) as KeyRecord;

const atMost = (countMax: number): QuotaValues => ({ valueOf: () => Promise.resolve(countMax) });

async function counts(keys: readonly KeyRecord[], countMax = 3): Promise<KeyCounts> {
  const store = memoryMetadataStore();
  await store.commit({ expect: [], writes: keys.map((one) => keyTable.put(idOfKey(one), one)) });
  return new KeyCounts({ store, clock: movableClock(), quotas: atMost(countMax) });
}

describe("the count of keys", () => {
  test("begins with the customer managed keys that are stored, for each account and Region", async () => {
    const made = await counts([
      key("a"),
      key("b"),
      key("c", { manager: "AWS" }),
      key("d", { region: "us-east-1" }),
      key("e", { accountId: OTHER_ACCOUNT }),
    ]);
    await made.counted();
    expect(made.of(owner)).toBe(2);
    expect(made.of({ ...owner, region: "us-east-1" })).toBe(1);
    expect(made.of({ ...owner, accountId: OTHER_ACCOUNT })).toBe(1);
  });

  test("refuses a key beyond the quota, and takes one again when another is gone", async () => {
    const made = await counts([key("a"), key("b")]);
    await made.requireRoom(owner);
    made.added(owner);
    await expect(made.requireRoom(owner)).rejects.toMatchObject({ code: "LimitExceededException" });
    await made.requireRoom({ ...owner, region: "us-east-1" });
    made.removed(owner);
    await made.requireRoom(owner);
  });

  test("lets other work run between the batches of a long first count", async () => {
    const store = memoryMetadataStore();
    const keys = Array.from({ length: 2_500 }, (_, at) => key(String(at).padStart(6, "0")));
    await store.commit({ expect: [], writes: keys.map((one) => keyTable.put(idOfKey(one), one)) });
    let pauses = 0;
    const clock = { ...movableClock(), after: (_ms: number, run: () => void) => (pauses++, run(), () => undefined) };
    const made = new KeyCounts({ store, clock, quotas: atMost(1) });
    await made.counted();
    expect(made.of(owner)).toBe(2_500);
    expect(pauses).toBe(2);
  });
});

test("CreateKey counts when it is done, and not when it failed; a key counts until it is removed", async () => {
  const kms = await kmsHarness();
  const made = new KeyCounts({ store: kms.store, clock: kms.clock, quotas: atMost(2) });
  const create = withKeyCounts(kms.service.operations, made)["CreateKey"];
  if (create === undefined) throw new Error("no CreateKey");
  const call = { principal: { accountId: ACCOUNT }, region: REGION, nowMs: kms.clock.wallMs() } as never;
  const context = { call, read: kms.reader };
  const run = async (): Promise<void> => {
    const { target } = await create.access(context, {});
    await create.check?.(context, {}, target);
    const outcome = await create.handle(context, {}, target);
    outcome.committed?.(null);
  };
  await expect(create.access(context, { KeySpec: "RSA_2048" })).rejects.toMatchObject({ code: "ValidationException" });
  await run();
  await run();
  expect(made.of(owner)).toBe(2);
  await expect(run()).rejects.toMatchObject({ code: "LimitExceededException" });
  await kms.close();
});
