import { serializationError } from "../base/errors.ts";
import type { ServiceError } from "../base/errors.ts";
import type { WireFormat, WireObject } from "./decoder.ts";

const INTEGER_MAX = 2_147_483_647;
const INTEGER_MIN = -2_147_483_648;

const LIST_UNEXPECTED = "Start of list found where not expected";
const OBJECT_UNEXPECTED = "Start of structure or map found where not expected.";

/** AWS names the kind of token that it found, never the value. */
function tokenName(value: unknown): string {
  switch (typeof value) {
    case "string":
      return "STRING_VALUE";
    case "boolean":
      return value ? "TRUE_VALUE" : "FALSE_VALUE";
    default:
      return "NUMBER_VALUE";
  }
}

/** The error for a value that is not the scalar it should be; `target` with its article: `a String`. */
export function scalarError(value: unknown, target: string): ServiceError {
  if (Array.isArray(value)) return serializationError(LIST_UNEXPECTED);
  if (typeof value === "object") return serializationError(OBJECT_UNEXPECTED);
  return serializationError(`${tokenName(value)} can not be converted to ${target}`);
}

/** The error for a value that is not the container it should be; `expected` for scalars: `Expected list or null`. */
export function containerError(value: unknown, expected: string): ServiceError {
  if (Array.isArray(value)) return serializationError(LIST_UNEXPECTED);
  return serializationError(typeof value === "object" ? OBJECT_UNEXPECTED : expected);
}

/** Whole part of a number, or the error when it does not fit. */
export function wholeNumber(value: unknown, min: number, max: number, target: string): number {
  if (typeof value !== "number") throw scalarError(value, target);
  const whole = Math.trunc(value);
  if (!(whole >= min && whole <= max)) throw scalarError(value, target);
  // Adding zero turns -0 into 0.
  return whole + 0;
}

const isObject = (value: unknown): value is WireObject => typeof value === "object" && !Array.isArray(value);

/** Values as JSON.parse returns them. Wording as AWS's JSON services have it. */
export const jsonFormat: WireFormat = {
  string(value) {
    // Half of a surrogate pair, which `\ud800` spells, has no UTF-8 form: stored or signed, it would become another text.
    if (typeof value !== "string" || !value.isWellFormed()) throw scalarError(value, "a String");
    return value;
  },
  boolean(value) {
    if (typeof value !== "boolean") throw scalarError(value, "a Boolean");
    return value;
  },
  integer: (value) => wholeNumber(value, INTEGER_MIN, INTEGER_MAX, "an Integer"),
  long: (value) => wholeNumber(value, Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER, "a Long"),
  double(value) {
    if (typeof value !== "number" || !Number.isFinite(value)) throw scalarError(value, "a Double");
    return value;
  },
  /** Seconds since the epoch, with a fraction. */
  timestampMs(value) {
    if (typeof value !== "number") throw scalarError(value, "milliseconds since epoch");
    return Math.round(value * 1000) + 0;
  },
  blob(value, blobs) {
    if (typeof value !== "string") throw scalarError(value, "a Blob");
    const bytes = blobs.decode(value);
    if (!bytes) throw serializationError("STRING_VALUE can not be converted to a Blob: it is not valid Base64");
    return bytes;
  },
  list(value) {
    if (!Array.isArray(value)) throw containerError(value, "Expected list or null");
    return value;
  },
  map(value) {
    if (!isObject(value)) throw containerError(value, "Expected map or null");
    for (const key of Object.keys(value)) if (!key.isWellFormed()) throw scalarError(key, "a String");
    return value;
  },
  structure(value) {
    if (!isObject(value)) throw containerError(value, "Expected null");
    return value;
  },
};
