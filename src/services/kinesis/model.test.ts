import { describe, expect, test } from "vitest";
import { clearNotBeforeMs, mayBeInClear, type StreamRecord, withEncryption, withoutEncryption } from "./model.ts";

const KEY = { keyId: "alias/orders", keyArn: "arn:aws:kms:eu-central-1:111122223333:key/k" };
const GRACE_MS = 5_000;

const stream = { retentionHours: 24, encryption: null, sealedPeriods: [] } as unknown as StreamRecord;

describe("when a record in clear can have been put", () => {
  test("at any time while the stream was never encrypted", () => {
    expect(mayBeInClear(stream, 0)).toBe(true);
    expect(mayBeInClear(stream, 1e15)).toBe(true);
  });

  test("until a few seconds after encryption started, and again from when it stopped", () => {
    const sealed = withEncryption(stream, KEY, 100_000, 0);
    expect(mayBeInClear(sealed, 100_000 + GRACE_MS)).toBe(true);
    expect(mayBeInClear(sealed, 100_001 + GRACE_MS)).toBe(false);
    const stopped = withoutEncryption(sealed, 200_000);
    expect(mayBeInClear(stopped, 199_999)).toBe(false);
    expect(mayBeInClear(stopped, 200_000)).toBe(true);
  });

  test("a change of key neither ends nor shortens the period", () => {
    const first = withEncryption(stream, KEY, 100_000, 0);
    const second = withEncryption(first, { ...KEY, keyId: "other" }, 150_000, 0);
    expect(second.sealedPeriods).toEqual([{ fromMs: 100_000, toMs: null }]);
    expect(second.encryption?.keyId).toBe("other");
  });

  test("a clock that was set back accuses no record that was there before", () => {
    const newestArrivalMs = 3_600_000;
    const sealed = withEncryption(stream, KEY, 100_000, newestArrivalMs);
    expect(mayBeInClear(sealed, newestArrivalMs)).toBe(true);
    const stopped = withoutEncryption(sealed, 50_000);
    expect(mayBeInClear(stopped, clearNotBeforeMs(stopped))).toBe(true);
  });

  test("periods of which no record can be left are forgotten", () => {
    const year = 8760 * 3_600_000;
    const early = withoutEncryption(withEncryption(stream, KEY, 1_000, 0), 2_000);
    const later = withEncryption(early, KEY, 3_000 + year, 0);
    expect(later.sealedPeriods).toEqual([{ fromMs: 3_000 + year, toMs: null }]);
  });
});
