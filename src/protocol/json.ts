import { serializationError } from "../base/errors.ts";
import type { ServiceError } from "../base/errors.ts";
import { BlobArena } from "./base64.ts";
import type { CompiledModel } from "./compiled-model.ts";
import { eventStreamEncoder } from "./event-stream.ts";
import { jsonWithinBounds } from "./json-bounds.ts";
import { JsonWriter } from "./json-writer.ts";
import type { Codec, WireResponse } from "./wire.ts";

const EMPTY = new Uint8Array(0);

export const JSON_CONTENT_TYPE = "application/x-amz-json-1.1";

/** The content type of a JSON model's answers. */
const contentTypeOf = (compiled: CompiledModel): string =>
  compiled.model.protocol === "awsJson1.0" ? "application/x-amz-json-1.0" : JSON_CONTENT_TYPE;

/** The codec of one operation in AWS's JSON protocols. It holds nothing of a request, so one serves all. */
export function jsonCodec(compiled: CompiledModel, operation: string): Codec {
  const { input, output } = compiled.operation(operation);
  const contentType = contentTypeOf(compiled);
  const eventFormat = { contentType, encode: (name: string, value: unknown) => encodeJson(compiled, name, value) };
  const encodeEvents = output === null ? null : eventStreamEncoder(compiled, output, eventFormat);
  return {
    decode(body) {
      return input.decode("json", parseJson(body), new BlobArena(body.byteLength));
    },
    encode(value, requestId) {
      if (encodeEvents !== null) return encodeEvents(value, jsonHeaders(compiled.model.name, contentType, requestId));
      // An operation without output answers with no body at all.
      const body = output === null ? EMPTY : encodeJson(compiled, output, value);
      return { status: 200, headers: jsonHeaders(compiled.model.name, contentType, requestId), body };
    },
    encodeError: (error, requestId) => encodeJsonError(error, requestId, contentType, compiled.model.name),
  };
}

/**
 * Parses a body. What does not parse is a SerializationException without a message: the parser's own messages quote
 * the body.
 */
function parseJson(body: Uint8Array): unknown {
  if (!jsonWithinBounds(body)) throw serializationError("");
  let value: unknown;
  try {
    value = JSON.parse(Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString("utf8"));
  } catch {
    throw serializationError("");
  }
  if (value === null) throw serializationError("");
  return value;
}

export function encodeJson(compiled: CompiledModel, shapeName: string, value: unknown): Uint8Array {
  const writer = new JsonWriter();
  compiled.jsonEncoder(shapeName)(value, writer);
  return writer.finish();
}

/** What an error says, in JSON and in CBOR: `{"__type": code, "message": ...}`, and the members of its own shape. */
export function errorMembers(error: ServiceError): Readonly<Record<string, string>> {
  // SerializationException spells it with a capital (recorded from Kinesis); everything else does not.
  const name = error.code === "SerializationException" ? "Message" : "message";
  return { __type: error.code, ...(error.message === "" ? {} : { [name]: error.message }), ...error.members };
}

/** Status from the error. `serviceName` decides on headers of a single service. */
export function encodeJsonError(
  error: ServiceError,
  requestId: string,
  contentType: string = JSON_CONTENT_TYPE,
  serviceName = "",
): WireResponse {
  return {
    status: error.status,
    headers: errorHeaders(error, serviceName, contentType, requestId),
    body: Buffer.from(JSON.stringify(errorMembers(error)), "utf8"),
  };
}

/** The headers of an answer. Kinesis alone adds a second, longer identifier. */
export function jsonHeaders(serviceName: string, contentType: string, requestId: string): Record<string, string> {
  const headers: Record<string, string> = { "content-type": contentType, "x-amzn-RequestId": requestId };
  // 72 bytes in Base64, as AWS sends; opaque to clients, so the request id twice will do.
  if (serviceName === "kinesis") headers["x-amz-id-2"] = Buffer.from(requestId + requestId).toString("base64");
  return headers;
}

/** The Java and Go SDKs read the error's name from a header. */
export const errorHeaders = (
  error: ServiceError,
  serviceName: string,
  contentType: string,
  requestId: string,
): Record<string, string> => ({
  ...jsonHeaders(serviceName, contentType, requestId),
  "x-amzn-errortype": error.code,
});
