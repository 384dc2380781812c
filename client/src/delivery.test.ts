import { describe, expect, it } from "vitest";
import { type Delivery, deliverBatch } from "./delivery.ts";
import type { StreamRecord } from "./records.ts";

const recordOf = (text: string): StreamRecord => ({
  shardId: "shardId-000000000000",
  sequenceNumber: text,
  subSequenceNumber: null,
  isLastOfRecord: true,
  partitionKey: "key",
  explicitHashKey: null,
  data: Buffer.from(text),
  arrivedAt: new Date(0),
  encryptionType: "NONE",
});
const BATCH = "abcdefg".split("").map(recordOf);
const textOf = (records: readonly StreamRecord[]): string => records.map(({ data }) => data.toString()).join("");

function room(refuses: (text: string, attempt: number) => boolean, given: Partial<Delivery> = {}) {
  const attempts: string[] = [];
  const dead: string[] = [];
  const taken: string[] = [];
  const delivery: Delivery = {
    retries: 2,
    bisect: true,
    time: { monotonicMs: () => 0, wallMs: () => 0, sleep: () => Promise.resolve() },
    onError: () => undefined,
    async send(records) {
      const text = textOf(records);
      attempts.push(text);
      if (refuses(text, attempts.length)) throw new Error(`not ${text}`);
      taken.push(text);
    },
    async deadLetter(records) {
      dead.push(textOf(records));
    },
    ...given,
  };
  return { delivery, attempts, dead, taken };
}

const never = new AbortController().signal;

describe("batches that drive something", () => {
  it("find the poison record by halves, put it aside alone, and keep the order of the rest", async () => {
    const { delivery, dead, taken, attempts } = room((text) => text.includes("e"));
    await deliverBatch(delivery, BATCH, never);
    expect(dead).toEqual(["e"]);
    expect(taken.join("")).toBe("abcdfg");
    // The batch three times, and so the record alone: a passing failure condemns nothing.
    expect(attempts.filter((text) => text === "abcdefg")).toHaveLength(3);
    expect(attempts.filter((text) => text === "e")).toHaveLength(3);
  });

  it("repeat what failed in passing, and give nothing up", async () => {
    const { delivery, dead, taken } = room((_text, attempt) => attempt <= 2);
    await deliverBatch(delivery, BATCH, never);
    expect(dead).toEqual([]);
    expect(taken).toEqual(["abcdefg"]);
  });

  it("without bisection go to the dead letters as a whole", async () => {
    const { delivery, dead } = room((text) => text.includes("e"), { bisect: false });
    await deliverBatch(delivery, BATCH, never);
    expect(dead).toEqual(["abcdefg"]);
  });

  it("without a place for dead letters reject, so that the shard waits", async () => {
    const { delivery, taken } = room((text) => text.includes("e"), { deadLetter: null });
    await expect(deliverBatch(delivery, BATCH, never)).rejects.toThrow("not e");
    expect(taken.join("")).toBe("abcd");
  });

  it("reject when the dead letters cannot be kept", async () => {
    const failing = { deadLetter: () => Promise.reject(new Error("disk full")) };
    const { delivery } = room((text) => text.includes("e"), failing);
    await expect(deliverBatch(delivery, BATCH, never)).rejects.toThrow("disk full");
  });

  it("put nothing aside once the lease is lost", async () => {
    const lost = new AbortController();
    const { delivery, dead } = room(() => {
      lost.abort();
      return true;
    });
    await expect(deliverBatch(delivery, BATCH, lost.signal)).rejects.toThrow("aborted");
    expect(dead).toEqual([]);
  });
});
