/** Deepest nesting of a JSON body. What is nested deeper than a service's shapes is dropped anyway. */
export const JSON_DEPTH_MAX = 1024;
/** Most objects and arrays in a JSON body; PutRecords, the largest request, has 502. */
export const JSON_CONTAINERS_MAX = 100_000;

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const OPEN_BRACKET = 0x5b;
const CLOSE_BRACKET = 0x5d;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;

/**
 * Whether a body keeps within the two limits above. JSON.parse has none: ten megabytes of `[` would cost it close to a
 * gigabyte. Bodies with few brackets, inside of strings or out, need no exact look, and counting those is a native search.
 */
export function jsonWithinBounds(body: Uint8Array): boolean {
  const bytes = Buffer.from(body.buffer, body.byteOffset, body.byteLength);
  let left = JSON_DEPTH_MAX;
  left -= countUpTo(bytes, OPEN_BRACE, left);
  left -= countUpTo(bytes, OPEN_BRACKET, left);
  return left > 0 || exactlyWithinBounds(bytes);
}

function countUpTo(bytes: Buffer, byte: number, countMax: number): number {
  let count = 0;
  for (let at = bytes.indexOf(byte); at !== -1 && count < countMax; at = bytes.indexOf(byte, at + 1)) count += 1;
  return count;
}

function exactlyWithinBounds(bytes: Buffer): boolean {
  let depth = 0;
  let containers = 0;
  for (let at = 0; at < bytes.length; at += 1) {
    const byte = bytes[at];
    if (byte === QUOTE) {
      at = endOfString(bytes, at + 1);
    } else if (byte === OPEN_BRACE || byte === OPEN_BRACKET) {
      depth += 1;
      containers += 1;
      if (depth > JSON_DEPTH_MAX || containers > JSON_CONTAINERS_MAX) return false;
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
