import { EventStreamCodec } from "@smithy/core/event-streams";
import { describe, expect, test } from "vitest";
import { ServiceError } from "../base/errors.ts";
import { model as kinesis } from "../services/kinesis/shapes.generated.ts";
import { readCbor } from "./cbor-reader.ts";
import { eventMessage } from "./event-stream.ts";
import { createProtocols } from "./route.ts";
import { targetRequest } from "./testing/requests.ts";
import type { WireResponse } from "./wire.ts";

const decoder = new EventStreamCodec(
  (bytes) => (typeof bytes === "string" ? bytes : Buffer.from(bytes).toString("utf8")),
  (text) => new Uint8Array(Buffer.from(text, "utf8")),
);

interface Message {
  readonly headers: Readonly<Record<string, unknown>>;
  readonly body: Uint8Array;
}

/** As the SDK reads it: it checks both checksums. */
function decoded(message: Uint8Array): Message {
  const { headers, body } = decoder.decode(message);
  return { headers: Object.fromEntries(Object.entries(headers).map(([name, { value }]) => [name, value])), body };
}

const CONTENT_TYPES = { json: "application/x-amz-json-1.1", cbor: "application/x-amz-cbor-1.1" } as const;
const protocols = createProtocols([kinesis]);

function answer(format: "json" | "cbor", EventStream: AsyncIterable<unknown>): WireResponse {
  const { codec } = protocols.route(targetRequest("Kinesis_20131202.SubscribeToShard", "", CONTENT_TYPES[format]));
  return codec.encode({ EventStream }, "11111111-2222-4333-8444-555555555555");
}

async function messages(format: "json" | "cbor", EventStream: AsyncIterable<unknown>): Promise<readonly Message[]> {
  const found: Message[] = [];
  for await (const part of answer(format, EventStream).stream ?? []) found.push(decoded(part));
  return found;
}

const event = {
  SubscribeToShardEvent: {
    Records: [
      {
        SequenceNumber: "1",
        ApproximateArrivalTimestamp: 1_700_000_000_123,
        Data: Buffer.from("data"),
        PartitionKey: "k",
        EncryptionType: "KMS",
      },
    ],
    ContinuationSequenceNumber: "1",
    MillisBehindLatest: 0,
  },
};

async function* events(...given: readonly unknown[]): AsyncGenerator {
  for (const one of given) {
    if (one instanceof Error) throw one;
    yield one;
  }
}

test("a message is laid out as specified, byte by byte", () => {
  const message = Buffer.from(eventMessage([[":a", "bc"]], Buffer.from("{}")));
  // 4 + 4 + 4, a header of 1 + 2 + 1 + 2 + 2, the payload, 4.
  const [length, headers] = ["0000001a", "00000008"];
  const body = ["02", "3a61", "07", "0002", "6263", "7b7d"].join("");
  expect(message.toString("hex").slice(0, 16)).toBe(`${length}${headers}`);
  expect(message.toString("hex").slice(24, -8)).toBe(body);
  expect(decoded(message)).toEqual({ headers: { ":a": "bc" }, body: new Uint8Array(Buffer.from("{}")) });
  // Each byte counts: neither half of it can be changed unseen.
  for (let at = 0; at < message.length; at++) {
    const changed = Buffer.from(message);
    changed[at] = (changed[at] ?? 0) ^ 1;
    expect(() => decoder.decode(changed)).toThrow(/./);
  }
});

describe("an answer with an event stream", () => {
  test("says so, and begins with the initial response", async () => {
    const { status, headers, body } = answer("json", events());
    expect([status, headers["content-type"], body.length]).toEqual([200, "application/vnd.amazon.eventstream", 0]);
    const [first, ...rest] = await messages("json", events());
    expect(rest).toEqual([]);
    expect(first?.headers).toEqual({
      ":event-type": "initial-response",
      ":content-type": "application/x-amz-json-1.1",
      ":message-type": "event",
    });
    expect(Buffer.from(first?.body ?? []).toString()).toBe("{}");
  });

  test("carries events in JSON", async () => {
    const [, second] = await messages("json", events(event));
    expect(second?.headers).toMatchObject({ ":event-type": "SubscribeToShardEvent", ":message-type": "event" });
    expect(JSON.parse(Buffer.from(second?.body ?? []).toString())).toEqual({
      ...event.SubscribeToShardEvent,
      Records: [
        { ...event.SubscribeToShardEvent.Records[0], ApproximateArrivalTimestamp: 1_700_000_000.123, Data: "ZGF0YQ==" },
      ],
    });
  });

  test("and in CBOR to who asked in it", async () => {
    const [first, second] = await messages("cbor", events(event));
    expect(first?.headers[":content-type"]).toBe("application/x-amz-cbor-1.1");
    expect(readCbor(first?.body ?? new Uint8Array())).toEqual({});
    const value = readCbor(second?.body ?? new Uint8Array()) as typeof event.SubscribeToShardEvent;
    expect(Buffer.from(value.Records[0]?.Data ?? []).toString()).toBe("data");
    expect(value.Records[0]?.ApproximateArrivalTimestamp).toMatchObject({ ms: 1_700_000_000_123 });
  });

  test("ends with what the model calls an exception, as an exception", async () => {
    const failure = new ServiceError("KMSDisabledException", "The key is disabled.");
    for (const format of ["json", "cbor"] as const) {
      const last = (await messages(format, events(event, failure))).at(-1);
      expect(last?.headers).toEqual({
        ":exception-type": "KMSDisabledException",
        ":content-type": CONTENT_TYPES[format],
        ":message-type": "exception",
      });
      const body = last?.body ?? new Uint8Array();
      const payload = format === "json" ? JSON.parse(Buffer.from(body).toString()) : readCbor(body);
      expect(payload).toEqual({ message: "The key is disabled." });
    }
  });

  test("ends with what it does not, as an error; and says nothing of a failure inside", async () => {
    const denied = (await messages("json", events(new ServiceError("AccessDeniedException", "Not any more.")))).at(-1);
    expect(denied?.headers).toEqual({
      ":message-type": "error",
      ":error-code": "AccessDeniedException",
      ":error-message": "Not any more.",
    });
    const sealed = new ServiceError("ServiceUnavailableException", "Sealed.", { status: 503 });
    const cut = (await messages("json", events(event, sealed))).at(-1);
    expect(cut?.headers[":exception-type"]).toBe("InternalFailureException");
    const failed = (await messages("json", events(new Error("SELECT secret")))).at(-1);
    expect(failed?.headers[":exception-type"]).toBe("InternalFailureException");
    expect(Buffer.from(failed?.body ?? []).toString()).not.toContain("secret");
  });

  test("is ended while it waits, and tells its source", async () => {
    let isReturned = false;
    const source = {
      [Symbol.asyncIterator]: () => source,
      next: () => new Promise<IteratorResult<unknown>>(() => {}),
      return: async () => {
        isReturned = true;
        return { done: true as const, value: undefined };
      },
    };
    const parts = answer("json", source).stream?.[Symbol.asyncIterator]();
    await parts?.next();
    void parts?.next();
    await parts?.return?.();
    expect([isReturned, (await parts?.next())?.done]).toEqual([true, true]);
  });
});
