import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { movableClock } from "../base/clock.ts";
import { memoryMetadataStore } from "../store/memory-metadata-store.ts";
import { createAuditLog, SCANNED_COUNT_MAX } from "./audit-log.ts";
import type { AuditEvent, LookupQuery } from "./event.ts";
import { ACCOUNT, eventIdOf, numberedEvent, REGION } from "./testing/events.ts";

function trail() {
  const store = memoryMetadataStore();
  const clock = movableClock();
  const log = createAuditLog({ store, clock });
  const record = async (event: AuditEvent) => store.commit({ expect: [], writes: log.entry(event) });
  const queryOf = (parts: Partial<LookupQuery> = {}): LookupQuery => ({
    accountId: ACCOUNT,
    region: REGION,
    startMs: 0,
    endMs: clock.wallMs(),
    limit: 50,
    ...parts,
  });
  /** The ids of all pages, and how many pages there were. */
  const all = async (parts: Partial<LookupQuery> = {}) => {
    const ids: string[] = [];
    let pages = 0;
    let cursor: string | null = null;
    do {
      const page = await log.lookup(queryOf({ ...parts, ...(cursor === null ? {} : { cursor }) }));
      ids.push(...page.events.map(({ event }) => event.eventID));
      cursor = page.cursor;
      pages += 1;
    } while (cursor !== null);
    return { ids, pages };
  };
  return { store, clock, log, record, queryOf, all };
}

describe("the audit log", () => {
  test("finds events newest first; those of one millisecond in the reverse of their recording", async () => {
    const { clock, record, all } = trail();
    for (let number = 0; number < 20; number++) {
      await record(numberedEvent(number, clock.wallMs()));
      if (number % 7 === 0) clock.advance(1_500);
    }
    const expected = Array.from({ length: 20 }, (_, number) => eventIdOf(19 - number));
    expect((await all()).ids).toEqual(expected);
    expect((await all({ limit: 3 })).ids).toEqual(expected);
  });

  test("a step back of the wall clock does not reorder the events of one second", async () => {
    let wallMs = 1_700_000_000_900;
    const store = memoryMetadataStore();
    const log = createAuditLog({ store, clock: { ...movableClock(), wallMs: () => wallMs } });
    for (const number of [1, 2, 3]) {
      await store.commit({ expect: [], writes: log.entry(numberedEvent(number, 1_700_000_000_500)) });
      wallMs -= 200;
    }
    const page = await log.lookup({ accountId: ACCOUNT, region: REGION, startMs: 0, endMs: wallMs, limit: 50 });
    expect(page.events.map(({ event }) => event.eventID)).toEqual([3, 2, 1].map(eventIdOf));
  });

  test("a page of any size, from any range, is a slice of the whole", async () => {
    const { clock, record, all } = trail();
    const base = clock.wallMs();
    const times: number[] = [];
    for (let number = 0; number < 40; number++) {
      clock.advance((number * 377) % 2_900);
      times.push(Math.floor(clock.wallMs() / 1000) * 1000);
      await record(numberedEvent(number, clock.wallMs()));
    }
    const range = fc.integer({ min: 0, max: 60_000 });
    await fc.assert(
      fc.asyncProperty(range, range, fc.integer({ min: 1, max: 50 }), async (from, length, limit) => {
        const startMs = base + from;
        const endMs = startMs + length;
        const expected = times
          .map((timeMs, number) => ({ timeMs, id: eventIdOf(number) }))
          .filter(({ timeMs }) => timeMs >= Math.floor(startMs / 1000) * 1000 && timeMs <= endMs)
          .map(({ id }) => id)
          .toReversed();
        expect((await all({ startMs, endMs, limit })).ids).toEqual(expected);
      }),
      { numRuns: 40 },
    );
  });

  test("keeps accounts and Regions apart", async () => {
    const { clock, record, all } = trail();
    await record(numberedEvent(1, clock.wallMs()));
    await record(numberedEvent(2, clock.wallMs(), { recipientAccountId: "999999999999" }));
    await record(numberedEvent(3, clock.wallMs(), { awsRegion: "us-east-1" }));
    expect((await all()).ids).toEqual([eventIdOf(1)]);
    expect((await all({ accountId: "999999999999" })).ids).toEqual([eventIdOf(2)]);
    expect((await all({ region: "us-east-1" })).ids).toEqual([eventIdOf(3)]);
  });

  test("finds an event by each of CloudTrail's attributes, and not by another value", async () => {
    const { clock, record, all } = trail();
    const keyArn = `arn:aws:kms:${REGION}:${ACCOUNT}:key/k1`;
    const resources = [
      { ARN: keyArn, accountId: ACCOUNT, type: "AWS::KMS::Key" },
      { ARN: `arn:aws:kinesis:${REGION}:${ACCOUNT}:stream/orders`, accountId: ACCOUNT, type: "AWS::Kinesis::Stream" },
    ];
    await record(numberedEvent(1, clock.wallMs(), { resources }));
    await record(
      numberedEvent(2, clock.wallMs(), { readOnly: false, eventName: "Other", userIdentity: {}, eventSource: "x" }),
    );
    const attributes: Record<string, readonly string[]> = {
      EventId: [eventIdOf(1)],
      EventName: ["Decrypt"],
      ReadOnly: ["true"],
      Username: ["ann"],
      ResourceType: ["AWS::KMS::Key", "AWS::Kinesis::Stream"],
      ResourceName: [keyArn, "orders", "k1"],
      EventSource: ["kms.amazonaws.com"],
      AccessKeyId: ["AKIAEXAMPLE"],
    };
    for (const [key, values] of Object.entries(attributes)) {
      for (const value of values) expect((await all({ attribute: { key, value } })).ids).toEqual([eventIdOf(1)]);
      expect((await all({ attribute: { key, value: "none-such" } })).ids).toEqual([]);
    }
  });

  test("inspects a bounded number of events a page, and the cursor leads on to the one that matches", async () => {
    const { clock, store, log, record, all } = trail();
    await record(numberedEvent(0, clock.wallMs(), { eventName: "Needle" }));
    for (let number = 1; number <= SCANNED_COUNT_MAX + 10; number += 500) {
      const events = Array.from({ length: 500 }, (_, index) => numberedEvent(number + index, clock.wallMs()));
      await store.commit({ expect: [], writes: events.flatMap((event) => log.entry(event)) });
    }
    const { ids, pages } = await all({ attribute: { key: "EventName", value: "Needle" } });
    expect(ids).toEqual([eventIdOf(0)]);
    expect(pages).toBe(2);
  });

  test("reaches back ninety days", async () => {
    const { clock, record, all } = trail();
    await record(numberedEvent(1, clock.wallMs()));
    clock.advance(89 * 86_400_000);
    expect((await all()).ids).toEqual([eventIdOf(1)]);
    clock.advance(2 * 86_400_000);
    expect((await all()).ids).toEqual([]);
  });

  test("refuses a cursor that it did not make", async () => {
    const { log, queryOf } = trail();
    await expect(log.lookup(queryOf({ cursor: "x" }))).rejects.toThrow(RangeError);
  });
});
