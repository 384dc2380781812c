import { serializationError } from "../base/errors.ts";
import { CborTime } from "./cbor-reader.ts";
import type { WireFormat, WireObject } from "./decoder.ts";
import { containerError, jsonFormat, scalarError } from "./json-format.ts";

const isObject = (value: unknown): value is WireObject =>
  typeof value === "object" && !Array.isArray(value) && !(value instanceof Uint8Array) && !(value instanceof CborTime);

/** Byte strings and times are scalars of CBOR that JSON lacks; elsewhere they are out of place. */
function refuseCborScalars(value: unknown, target: string): void {
  if (value instanceof Uint8Array) throw serializationError(`BYTE_STRING can not be converted to ${target}`);
  if (value instanceof CborTime) throw serializationError(`TIMESTAMP can not be converted to ${target}`);
}

/** Values as `readCbor` returns them. Numbers, strings and booleans are checked and refused as in JSON. */
export const cborFormat: WireFormat = {
  string(value) {
    if (typeof value === "string") return value;
    refuseCborScalars(value, "a String");
    throw scalarError(value, "a String");
  },
  boolean(value) {
    refuseCborScalars(value, "a Boolean");
    return jsonFormat.boolean(value);
  },
  integer(value) {
    refuseCborScalars(value, "an Integer");
    return jsonFormat.integer(value);
  },
  long(value) {
    refuseCborScalars(value, "a Long");
    return jsonFormat.long(value);
  },
  double(value) {
    refuseCborScalars(value, "a Double");
    return jsonFormat.double(value);
  },
  timestampMs(value) {
    if (value instanceof CborTime) return value.ms;
    refuseCborScalars(value, "milliseconds since epoch");
    if (typeof value !== "number") throw scalarError(value, "milliseconds since epoch");
    return new CborTime(value).ms;
  },
  blob(value) {
    if (value instanceof Uint8Array) return value;
    refuseCborScalars(value, "a Blob");
    throw scalarError(value, "a Blob");
  },
  list(value) {
    if (Array.isArray(value)) return value;
    refuseCborScalars(value, "a list");
    throw containerError(value, "Expected list or null");
  },
  map(value) {
    if (isObject(value)) return value;
    refuseCborScalars(value, "a map");
    throw containerError(value, "Expected map or null");
  },
  structure(value) {
    if (isObject(value)) return value;
    refuseCborScalars(value, "a structure");
    throw containerError(value, "Expected null");
  },
};
