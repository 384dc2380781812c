import { describe, expect, test } from "vitest";
import { movableClock } from "../base/clock.ts";
import { systemRandom } from "../base/random.ts";
import type { Write } from "../store/metadata-store.ts";
import { auditEvents, createAuditLog } from "./audit-log.ts";
import type { AuditEvent } from "./event.ts";
import { createRefusalCounter, SOURCES_PER_WINDOW_MAX } from "./refusals.ts";

function counter() {
  const clock = movableClock();
  const written: AuditEvent[] = [];
  const errors: unknown[] = [];
  const failing = { now: false };
  const refusals = createRefusalCounter({
    auditLog: createAuditLog({ store: { range: () => Promise.resolve([]) }, clock }),
    async commit(writes: readonly Write[]) {
      if (failing.now) throw new Error("disk full");
      for (const { value } of writes) if (value !== null) written.push(auditEvents.decode(value));
    },
    clock,
    random: systemRandom(),
    accountId: "111122223333",
    region: "eu-central-1",
    onError: (cause) => errors.push(cause),
  });
  const refuse = (sourceIp: string, errorCode = "UnrecognizedClientException") =>
    refusals.recordRefusal({
      sourceIp,
      errorCode,
      eventSource: "kms.amazonaws.com",
      eventName: "Decrypt",
      nowMs: clock.wallMs(),
    });
  const minute = async () => {
    clock.advance(60_000);
    // The summary is written in the background.
    for (let turn = 0; turn < 50; turn++) await Promise.resolve();
  };
  return { refusals, refuse, minute, written, errors, failing };
}

const countOf = (event: AuditEvent | undefined): unknown => event?.additionalEventData?.["furtherRefusalCount"];

describe("refused requests", () => {
  test("the first of a source is on record before it is answered; the rest are one event when the minute ends", async () => {
    const { refuse, minute, written } = counter();
    await refuse("192.0.2.1");
    expect(written).toHaveLength(1);
    expect(written[0]).toMatchObject({
      userIdentity: { type: "Unknown" },
      eventName: "Decrypt",
      errorCode: "UnrecognizedClientException",
      sourceIPAddress: "192.0.2.1",
      recipientAccountId: "111122223333",
    });
    for (let again = 0; again < 41; again++) await refuse("192.0.2.1");
    expect(written).toHaveLength(1);
    await minute();
    expect(written).toHaveLength(2);
    expect(written[1]).toMatchObject({ eventName: "RefusedRequests", eventType: "AwsServiceEvent" });
    expect(countOf(written[1])).toBe(41);
  });

  test("a single refusal has no summary, and the next minute begins anew", async () => {
    const { refuse, minute, written } = counter();
    await refuse("192.0.2.1");
    await minute();
    expect(written).toHaveLength(1);
    await refuse("192.0.2.1");
    expect(written).toHaveLength(2);
  });

  test("sources and errors are told apart", async () => {
    const { refuse, written } = counter();
    await refuse("192.0.2.1");
    await refuse("192.0.2.2");
    await refuse("192.0.2.1", "InvalidSignatureException");
    expect(written.map(({ sourceIPAddress }) => sourceIPAddress)).toEqual(["192.0.2.1", "192.0.2.2", "192.0.2.1"]);
  });

  test("a flood from many addresses writes a bounded number of events, and none is lost from the count", async () => {
    const { refuse, minute, written } = counter();
    const sources = SOURCES_PER_WINDOW_MAX * 3;
    for (let number = 0; number < sources; number++) await refuse(`10.0.${number >> 8}.${number & 255}`);
    await minute();
    expect(written.length).toBeLessThanOrEqual(SOURCES_PER_WINDOW_MAX + 2);
    const summary = written.find((event) => countOf(event) !== undefined);
    expect(summary?.sourceIPAddress).toBe("other-sources");
    // One event each for the sources with a line of their own, one for the shared line, and its count.
    expect(written.length - 1 + Number(countOf(summary))).toBe(sources);
  });

  test("a first refusal that cannot be written fails, and the next one is a first again", async () => {
    const { refuse, written, failing } = counter();
    failing.now = true;
    await expect(refuse("192.0.2.1")).rejects.toThrow("disk full");
    failing.now = false;
    await refuse("192.0.2.1");
    expect(written).toHaveLength(1);
  });

  test("a summary that cannot be written is reported and written a minute later", async () => {
    const { refuse, minute, written, errors, failing } = counter();
    await refuse("192.0.2.1");
    await refuse("192.0.2.1");
    failing.now = true;
    await minute();
    expect(errors).toHaveLength(1);
    failing.now = false;
    await minute();
    expect(countOf(written.at(-1))).toBe(1);
  });

  test("stopping writes what was counted", async () => {
    const { refusals, refuse, written } = counter();
    await refuse("192.0.2.1");
    await refuse("192.0.2.1");
    await refusals.stop();
    expect(countOf(written.at(-1))).toBe(1);
  });
});
