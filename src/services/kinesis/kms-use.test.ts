import { beforeEach, describe, expect, test } from "vitest";
import { type MovableClock, movableClock } from "../../base/clock.ts";
import { RecordReader } from "../../store/caching-reader.ts";
import { memoryMetadataStore } from "../../store/memory-metadata-store.ts";
import type { MetadataStore } from "../../store/metadata-store.ts";
import { createKmsUse, type KmsUse, kmsUses, metered, usdOf } from "./kms-use.ts";
import { FakeKms, KEY_ARN, principal, REGION } from "./testing/harness.ts";

const STREAM_ARN = `arn:aws:kinesis:${REGION}:111122223333:stream/orders`;
const call = { operation: "Decrypt", streamArn: STREAM_ARN, keyArn: KEY_ARN } as const;
const NOVEMBER_MS = Date.UTC(2026, 10, 30, 23, 59);

let clock: MovableClock;
let store: MetadataStore;
let down: boolean;
let use: KmsUse;
const errors: unknown[] = [];

beforeEach(() => {
  clock = movableClock(undefined, NOVEMBER_MS);
  const inner = memoryMetadataStore();
  down = false;
  store = {
    ...inner,
    get: (key) => inner.get(key),
    range: (query) => inner.range(query),
    generation: () => inner.generation(),
    close: () => inner.close(),
    commit: async (batch) => {
      if (down) throw new Error("down");
      return await inner.commit(batch);
    },
  };
  errors.length = 0;
  use = createKmsUse({ store, clock, onError: (error) => void errors.push(error) });
});

const all = async (): Promise<readonly unknown[]> =>
  (await use.page(new RecordReader(store), undefined, 100)).map(({ id, value }) => [...id, value.calls]);
const storedCalls = async (month: string): Promise<unknown> => {
  const bytes = await store.get(kmsUses.key([month, STREAM_ARN, KEY_ARN]));
  return bytes === null ? null : kmsUses.decode(bytes).calls;
};
const flushed = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe("calls of KMS", () => {
  test("are counted by month, stream, key and operation, and written within a minute", async () => {
    use.note(call);
    use.note(call);
    use.note({ ...call, operation: "GenerateDataKey" });
    expect(await storedCalls("2026-11")).toBeNull();
    clock.advance(60_000);
    await flushed();
    expect(await storedCalls("2026-11")).toEqual({ Decrypt: 2, GenerateDataKey: 1 });
    use.note(call);
    expect(await all()).toEqual([
      ["2026-11", STREAM_ARN, KEY_ARN, { Decrypt: 2, GenerateDataKey: 1 }],
      ["2026-12", STREAM_ARN, KEY_ARN, { Decrypt: 1 }],
    ]);
  });

  test("are added to what others counted meanwhile", async () => {
    const other = createKmsUse({ store, clock, onError: (error) => void errors.push(error) });
    for (let nth = 0; nth < 5; nth++) {
      use.note(call);
      other.note(call);
    }
    await Promise.all([use.stop(), other.stop()]);
    expect(await storedCalls("2026-11")).toEqual({ Decrypt: 10 });
  });

  test("outlast a store that fails", async () => {
    down = true;
    use.note(call);
    clock.advance(60_000);
    await flushed();
    expect(errors).toHaveLength(1);
    down = false;
    use.note(call);
    clock.advance(60_000);
    await flushed();
    expect(await all()).toEqual([["2026-11", STREAM_ARN, KEY_ARN, { Decrypt: 1 }], expect.anything()]);
  });

  test("with keys that no key is called, which stand in a damaged block, count as others", async () => {
    use.note({ ...call, keyArn: "arn\u0001aws" });
    use.note({ ...call, keyArn: "x".repeat(5_000) });
    expect(await all()).toEqual([["2026-11", STREAM_ARN, "(other keys)", { Decrypt: 2 }]]);
  });
});

test("the key service counts what KMS is called for, refused calls too, and not what is only authorized", async () => {
  const kms = new FakeKms();
  const service = metered(kms, use);
  const scope = { keyId: KEY_ARN, resourceId: "s", encryptionContext: { "aws:kinesis:arn": STREAM_ARN } };
  const by = { principal: principal("ann"), nowMs: NOVEMBER_MS } as Parameters<typeof service.decrypt>[0];
  const { ciphertext } = await service.generateDataKey(by, scope);
  await service.decrypt(by, ciphertext, scope);
  await service.authorizeDecrypt(by, ciphertext, scope);
  await service.authorizeGenerate(by, scope);
  kms.refuse("*", "AccessDeniedException", "no");
  await expect(service.decrypt(by, ciphertext, scope)).rejects.toThrow("no");
  await service.generateDataKey(by, { ...scope, encryptionContext: {} }).catch(() => undefined);
  expect(await all()).toEqual([["2026-11", STREAM_ARN, KEY_ARN, { GenerateDataKey: 1, Decrypt: 2 }]]);
});

test("10,000 requests cost 3 cents, and one costs no rounding", () => {
  expect([usdOf(10_000), usdOf(1), usdOf(0), usdOf(123_456_789)]).toEqual([0.03, 0.000003, 0, 370.370367]);
});
