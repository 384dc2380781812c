/**
 * Event streams (`application/vnd.amazon.eventstream`): an answer that is one message after the other. A message:
 *
 *   length of all (4) | length of the headers (4) | CRC-32 of these 8 bytes (4) | headers | payload | CRC-32 of all before (4)
 *
 * and a header: length of the name (1) | name | type 7, a string (1) | length of the value (2) | value. Numbers are big-endian
 * (Smithy 2.0, "Event stream specification"; facts recorded from Kinesis).
 */
import { crc32 } from "node:zlib";
import { ServiceError } from "../base/errors.ts";
import type { CompiledModel } from "./compiled-model.ts";
import type { StructureShape } from "./model.ts";
import type { WireResponse } from "./wire.ts";

export const EVENT_STREAM_CONTENT_TYPE = "application/vnd.amazon.eventstream";

const PRELUDE_BYTES = 12;
const CRC_BYTES = 4;
const STRING_TYPE = 7;
/** A header's value is this long at most (its length has two bytes, of which the sign stays free). */
const HEADER_VALUE_BYTES_MAX = 32_767;

/** What a stream ends with when something fails that its model has no name for. */
const FAILURE_CODE = "InternalFailureException";

function encodeHeaders(headers: readonly (readonly [name: string, value: string])[]): Buffer {
  return Buffer.concat(
    headers.flatMap(([name, value]) => {
      const nameBytes = Buffer.from(name, "latin1");
      const valueBytes = Buffer.from(value, "utf8").subarray(0, HEADER_VALUE_BYTES_MAX);
      const lengths = Buffer.from([STRING_TYPE, valueBytes.length >>> 8, valueBytes.length & 0xff]);
      return [Buffer.from([nameBytes.length]), nameBytes, lengths, valueBytes];
    }),
  );
}

/** One message as it is sent. */
export function eventMessage(
  headers: readonly (readonly [name: string, value: string])[],
  payload: Uint8Array,
): Uint8Array {
  const encoded = encodeHeaders(headers);
  const bytes = PRELUDE_BYTES + encoded.length + payload.length + CRC_BYTES;
  const message = Buffer.allocUnsafeSlow(bytes);
  message.writeUInt32BE(bytes, 0);
  message.writeUInt32BE(encoded.length, 4);
  message.writeUInt32BE(crc32(message.subarray(0, 8)), 8);
  message.set(encoded, PRELUDE_BYTES);
  message.set(payload, PRELUDE_BYTES + encoded.length);
  message.writeUInt32BE(crc32(message.subarray(0, bytes - CRC_BYTES)), bytes - CRC_BYTES);
  return message;
}

/** How the values in a stream are encoded: the format that the request spoke. */
export interface EventFormat {
  readonly contentType: string;
  encode(shapeName: string, value: unknown): Uint8Array;
}

/** The member of an output that is an event stream, and its shape; null where there is none. */
export function eventStreamOf(
  { model }: CompiledModel,
  outputShape: string | null,
): { readonly member: string; readonly union: StructureShape } | null {
  const output = outputShape === null ? undefined : model.shapes[outputShape];
  if (output?.type !== "structure") return null;
  for (const [member, target] of Object.entries(output.members)) {
    const shape = model.shapes[target];
    if (shape?.type === "structure" && shape.eventStream === true) return { member, union: shape };
  }
  return null;
}

type Output = Readonly<Record<string, unknown>>;

/** Encodes the answers of an operation whose output has an event stream. The output's other members come in the first message. */
export function eventStreamEncoder(
  compiled: CompiledModel,
  outputShape: string,
  format: EventFormat,
): ((output: Output, headers: WireResponse["headers"]) => WireResponse) | null {
  const found = eventStreamOf(compiled, outputShape);
  if (found === null) return null;
  const { member, union } = found;
  return (output, headers) => {
    const { [member]: events, ...others } = output;
    const first = (): Uint8Array =>
      messageOf("event", [":event-type", "initial-response"], format, format.encode(outputShape, others));
    return {
      status: 200,
      headers: { ...headers, "content-type": EVENT_STREAM_CONTENT_TYPE },
      body: new Uint8Array(0),
      stream: encodedEvents(first, events as AsyncIterable<Output>, union, format),
    };
  };
}

function messageOf(
  type: "event" | "exception",
  name: readonly [string, string],
  { contentType }: EventFormat,
  payload: Uint8Array,
): Uint8Array {
  const message = eventMessage([name, [":content-type", contentType], [":message-type", type]], payload);
  // The message holds a copy: records need not lie about twice.
  payload.fill(0);
  return message;
}

/** Not a generator: its `return()` would wait for the `next()` under way, which may be waiting for a record. */
function encodedEvents(
  first: () => Uint8Array,
  events: AsyncIterable<Output>,
  union: StructureShape,
  format: EventFormat,
): AsyncIterable<Uint8Array> {
  return {
    [Symbol.asyncIterator]() {
      const source = events[Symbol.asyncIterator]();
      let isBegun = false;
      let isOver = false;
      return {
        async next() {
          if (isOver) return { done: true, value: undefined };
          if (!isBegun) {
            isBegun = true;
            return { done: false, value: first() };
          }
          try {
            const { done, value } = await source.next();
            if (done !== true) return { done: false, value: encodeEvent(value, union, format) };
            isOver = true;
            return { done: true, value: undefined };
          } catch (error) {
            isOver = true;
            await source.return?.();
            return { done: false, value: encodeFailure(error, union, format) };
          }
        },
        async return() {
          isOver = true;
          await source.return?.();
          return { done: true, value: undefined };
        },
      };
    },
  };
}

/** One value of the union: the member that is there says which event it is. */
function encodeEvent(event: Output, union: StructureShape, format: EventFormat): Uint8Array {
  const [name, value] = Object.entries(event)[0] ?? [];
  const target = name === undefined ? undefined : union.members[name];
  if (name === undefined || target === undefined) throw new Error("an event that the stream's model does not know");
  return messageOf("event", [":event-type", name], format, format.encode(target, value));
}

/**
 * The last message of a stream that fails. What the model lists is an exception of that name; what it does not (a permission
 * that was taken away) is an error message, which clients report by its code all the same.
 */
function encodeFailure(error: unknown, union: StructureShape, format: EventFormat): Uint8Array {
  const refusal = error instanceof ServiceError ? error : null;
  // Whatever the failure is called elsewhere (a server that was sealed meanwhile, say).
  const isFailure = refusal === null || (refusal.status >= 500 && union.members[refusal.code] === undefined);
  const code = isFailure ? FAILURE_CODE : refusal.code;
  const text = refusal === null ? "Internal service failure." : refusal.message;
  const target = union.members[code];
  if (target !== undefined)
    return messageOf("exception", [":exception-type", code], format, format.encode(target, { message: text }));
  return eventMessage(
    [
      [":error-code", code],
      [":error-message", text],
      [":message-type", "error"],
    ],
    new Uint8Array(0),
  );
}
