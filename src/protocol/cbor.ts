import { serializationError } from "../base/errors.ts";
import type { ServiceError } from "../base/errors.ts";
import { BlobArena } from "./base64.ts";
import { readCbor } from "./cbor-reader.ts";
import { CborWriter } from "./cbor-writer.ts";
import type { CompiledModel } from "./compiled-model.ts";
import { eventStreamEncoder } from "./event-stream.ts";
import { errorHeaders, errorMembers, jsonHeaders } from "./json.ts";
import type { Codec, WireResponse } from "./wire.ts";

const EMPTY = new Uint8Array(0);

export const CBOR_CONTENT_TYPE = "application/x-amz-cbor-1.1";

/** The codec of one operation in the CBOR form of AWS's JSON protocol, which the Java SDKs speak to Kinesis. */
export function cborCodec(compiled: CompiledModel, operation: string): Codec {
  const { input, output } = compiled.operation(operation);
  const eventFormat = {
    contentType: CBOR_CONTENT_TYPE,
    encode: (name: string, value: unknown) => encodeCbor(compiled, name, value),
  };
  const encodeEvents = output === null ? null : eventStreamEncoder(compiled, output, eventFormat);
  return {
    decode(body) {
      const value = readCbor(body);
      if (value === null) throw serializationError("");
      // Byte strings are views into the body: no Base64, no arena.
      return input.decode("cbor", value, new BlobArena(0));
    },
    encode(value, requestId) {
      if (encodeEvents !== null) {
        return encodeEvents(value, jsonHeaders(compiled.model.name, CBOR_CONTENT_TYPE, requestId));
      }
      const body = output === null ? EMPTY : encodeCbor(compiled, output, value);
      return { status: 200, headers: jsonHeaders(compiled.model.name, CBOR_CONTENT_TYPE, requestId), body };
    },
    encodeError: (error, requestId) => encodeCborError(error, requestId, compiled.model.name),
  };
}

export function encodeCbor(compiled: CompiledModel, shapeName: string, value: unknown): Uint8Array {
  const writer = new CborWriter();
  compiled.cborEncoder(shapeName)(value, writer);
  return writer.finish();
}

/** The same members as in JSON. */
export function encodeCborError(error: ServiceError, requestId: string, serviceName = ""): WireResponse {
  const writer = new CborWriter();
  const members = Object.entries(errorMembers(error));
  writer.map(members.length);
  for (const [name, text] of members) {
    writer.text(name);
    writer.text(text);
  }
  return {
    status: error.status,
    headers: errorHeaders(error, serviceName, CBOR_CONTENT_TYPE, requestId),
    body: writer.finish(),
  };
}
