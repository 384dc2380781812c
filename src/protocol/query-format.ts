import { serializationError } from "../base/errors.ts";
import type { ServiceError } from "../base/errors.ts";
import type { WireFormat, WireObject } from "./decoder.ts";

const WHOLE_NUMBER = /^[+-]?\d{1,16}$/;
const NUMBER = /^[+-]?(?:\d{1,32}\.?\d{0,32}|\.\d{1,32})(?:[eE][+-]?\d{1,3})?$/;
/** ISO 8601 as SDKs write it: a date and time with an offset. */
const DATE_TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d)$/;
/** A list's or map's index, counted from 1. */
const INDEX = /^[1-9]\d{0,5}$/;

const notA = (target: string): ServiceError => serializationError(`The value can not be converted to ${target}`);

function text(value: unknown, target: string): string {
  if (typeof value !== "string") throw notA(target);
  return value;
}

function whole(value: unknown, max: number, target: string): number {
  const digits = text(value, target);
  const number = WHOLE_NUMBER.test(digits) ? Number(digits) : Number.NaN;
  if (!(number >= -max - 1 && number <= max)) throw notA(target);
  return number + 0;
}

function branch(value: unknown, target: string): WireObject {
  // `Tags=` is how SDKs write an empty list or map.
  if (value === "") return Object.create(null) as WireObject;
  if (typeof value !== "object" || value === null) throw notA(target);
  return value as WireObject;
}

/** The values under `1`, `2`, ... in the order of their numbers; gaps are closed. */
function inOrder(node: WireObject, target: string): readonly unknown[] {
  const indices = Object.keys(node);
  if (!indices.every((index) => INDEX.test(index))) throw notA(target);
  return indices.toSorted((a, b) => Number(a) - Number(b)).map((index) => node[index]);
}

/** Values as `readForm` returns them: every scalar is text. */
export const queryFormat: WireFormat = {
  string: (value) => text(value, "a String"),
  boolean(value) {
    const word = text(value, "a Boolean").toLowerCase();
    if (word !== "true" && word !== "false") throw notA("a Boolean");
    return word === "true";
  },
  integer: (value) => whole(value, 2_147_483_647, "an Integer"),
  long: (value) => whole(value, Number.MAX_SAFE_INTEGER, "a Long"),
  double(value) {
    const number = text(value, "a Double");
    if (!NUMBER.test(number)) throw notA("a Double");
    return Number(number);
  },
  timestampMs(value) {
    const time = text(value, "a timestamp");
    if (NUMBER.test(time)) return Math.round(Number(time) * 1000);
    if (!DATE_TIME.test(time)) throw notA("a timestamp");
    return Date.parse(time);
  },
  blob(value, blobs) {
    const bytes = blobs.decode(text(value, "a Blob"));
    if (!bytes) throw notA("a Blob");
    return bytes;
  },
  list(value, shape) {
    const node = branch(value, "a list");
    if (shape.flattened) return inOrder(node, "a list");
    const members = node[shape.memberName ?? "member"];
    return members === undefined ? inOrder(node, "a list") : inOrder(branch(members, "a list"), "a list");
  },
  map(value) {
    const node = branch(value, "a map");
    const map = Object.create(null) as Record<string, unknown>;
    for (const entry of inOrder(branch(node["entry"] ?? "", "a map"), "a map")) {
      const { key, value: item } = branch(entry, "a map");
      map[text(key, "a map")] = item;
    }
    return map;
  },
  structure: (value) => branch(value, "a structure"),
};
