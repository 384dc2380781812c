import { asBuffer } from "../base/bytes.ts";

/** Deepest nesting of a JSON body. What is nested deeper than a service's shapes is dropped anyway. */
export const JSON_DEPTH_MAX = 1024;
/**
 * Most marks of structure in a JSON body: opening brackets, commas and colons outside of strings. One of them stands
 * before every value but the outermost. PutRecords of 500 records, the largest request, has some 2,500.
 */
export const JSON_MARKS_MAX = 50_000;

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const COLON = 0x3a;
const OPEN_BRACKET = 0x5b;
const CLOSE_BRACKET = 0x5d;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;

/**
 * Whether a body keeps within the two limits above. JSON.parse has none: ten megabytes of `[` would cost it close to a
 * gigabyte, and what is made of a million small values costs seconds. Bodies with few marks, inside of strings or out, need
 * no exact look, and counting those is a native search: Base64, the bulk of large bodies, holds none.
 */
export function jsonWithinBounds(body: Uint8Array): boolean {
  const bytes = asBuffer(body);
  let bracketsLeft = JSON_DEPTH_MAX;
  bracketsLeft -= countUpTo(bytes, OPEN_BRACE, bracketsLeft);
  bracketsLeft -= countUpTo(bytes, OPEN_BRACKET, bracketsLeft);
  if (bracketsLeft === 0) return exactlyWithinBounds(bytes);
  let marksLeft = JSON_MARKS_MAX - JSON_DEPTH_MAX;
  marksLeft -= countUpTo(bytes, COMMA, marksLeft);
  marksLeft -= countUpTo(bytes, COLON, marksLeft);
  return marksLeft > 0 || exactlyWithinBounds(bytes);
}

function countUpTo(bytes: Buffer, byte: number, countMax: number): number {
  let count = 0;
  for (let at = bytes.indexOf(byte); at !== -1 && count < countMax; at = bytes.indexOf(byte, at + 1)) count += 1;
  return count;
}

function exactlyWithinBounds(bytes: Buffer): boolean {
  let depth = 0;
  let marks = 0;
  for (let at = 0; at < bytes.length; at += 1) {
    const byte = bytes[at];
    if (byte === QUOTE) {
      at = endOfString(bytes, at + 1);
    } else if (byte === OPEN_BRACE || byte === OPEN_BRACKET) {
      depth += 1;
      marks += 1;
      if (depth > JSON_DEPTH_MAX || marks > JSON_MARKS_MAX) return false;
    } else if (byte === COMMA || byte === COLON) {
      marks += 1;
      if (marks > JSON_MARKS_MAX) return false;
    } else if (byte === CLOSE_BRACE || byte === CLOSE_BRACKET) {
      depth -= 1;
    }
  }
  return true;
}

/** Index of the closing quote, or the length when there is none. */
function endOfString(bytes: Buffer, start: number): number {
  let at = start;
  while (at < bytes.length && bytes[at] !== QUOTE) at += bytes[at] === BACKSLASH ? 2 : 1;
  return at;
}
