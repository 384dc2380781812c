import { asBuffer } from "../base/bytes.ts";
import { serializationError } from "../base/errors.ts";
import type { ServiceError } from "../base/errors.ts";

/** Deepest nesting that is read. */
const DEPTH_MAX = 64;
/** Most values in one body, containers included; PutRecords of 500 has 4,006. */
const VALUE_COUNT_MAX = 50_000;

const INDEFINITE = 31;
const BREAK = 0xff;
const TAG_EPOCH_TIME = 1;

/** A value under tag 1. Kinesis writes whole milliseconds where the standard has seconds; fractions stay seconds. */
export class CborTime {
  readonly ms: number;

  constructor(value: number) {
    this.ms = Number.isInteger(value) ? value : Math.round(value * 1000);
  }
}

/** Malformed CBOR; without a message, as for malformed JSON. */
const malformed = (): ServiceError => serializationError("");

/**
 * Reads one CBOR value that fills the whole body. Maps become objects (text keys only), byte strings become views into
 * the body. Every count is held against the bytes that are left before anything is made for it: a body of five bytes may
 * claim four billion elements.
 */
export function readCbor(body: Uint8Array): unknown {
  const reader = new CborReader(body);
  const value = reader.value(0);
  if (!reader.atEnd) throw malformed();
  return value;
}

class CborReader {
  readonly #bytes: Buffer;
  #at = 0;
  #valuesLeft = VALUE_COUNT_MAX;

  constructor(body: Uint8Array) {
    this.#bytes = asBuffer(body);
  }

  get atEnd(): boolean {
    return this.#at === this.#bytes.length;
  }

  value(depth: number): unknown {
    if (depth > DEPTH_MAX || this.#valuesLeft === 0) throw malformed();
    this.#valuesLeft -= 1;
    const initial = this.#byte();
    const major = initial >> 5;
    const info = initial & 31;
    switch (major) {
      case 0:
        return this.#argument(info);
      case 1:
        return -1 - this.#argument(info);
      case 2:
        return info === INDEFINITE ? this.#chunks(2) : this.#take(this.#argument(info));
      case 3:
        return info === INDEFINITE ? this.#chunks(3).toString("utf8") : this.#text(this.#argument(info));
      case 4:
        return this.#array(info, depth);
      case 5:
        return this.#map(info, depth);
      case 6:
        return this.#tagged(this.#argument(info), depth);
      default:
        return this.#simple(info);
    }
  }

  #byte(): number {
    const byte = this.#bytes[this.#at];
    if (byte === undefined) throw malformed();
    this.#at += 1;
    return byte;
  }

  /** The number that follows an initial byte. Of 64-bit numbers the low bits may be lost; decoders refuse unsafe ones. */
  #argument(info: number): number {
    if (info < 24) return info;
    if (info > 27) throw malformed();
    const at = this.#skip(1 << (info - 24));
    switch (info) {
      case 24:
        return this.#bytes.readUInt8(at);
      case 25:
        return this.#bytes.readUInt16BE(at);
      case 26:
        return this.#bytes.readUInt32BE(at);
      default:
        return this.#bytes.readUInt32BE(at) * 2 ** 32 + this.#bytes.readUInt32BE(at + 4);
    }
  }

  /** Moves past `count` bytes and returns where they began. */
  #skip(count: number): number {
    const start = this.#at;
    if (count > this.#bytes.length - start) throw malformed();
    this.#at = start + count;
    return start;
  }

  #take(count: number): Buffer {
    const start = this.#skip(count);
    return this.#bytes.subarray(start, this.#at);
  }

  #text(count: number): string {
    const start = this.#skip(count);
    return this.#bytes.toString("utf8", start, this.#at);
  }

  /** A string of indefinite length: definite strings of the same kind up to a break. */
  #chunks(major: number): Buffer {
    const chunks: Buffer[] = [];
    for (;;) {
      const initial = this.#byte();
      if (initial === BREAK) return Buffer.concat(chunks);
      if (initial >> 5 !== major || this.#valuesLeft === 0) throw malformed();
      this.#valuesLeft -= 1;
      chunks.push(this.#take(this.#argument(initial & 31)));
    }
  }

  #atBreak(): boolean {
    if (this.#bytes[this.#at] !== BREAK) return false;
    this.#at += 1;
    return true;
  }

  #array(info: number, depth: number): unknown[] {
    const list: unknown[] = [];
    if (info === INDEFINITE) {
      while (!this.#atBreak()) list.push(this.value(depth + 1));
      return list;
    }
    const count = this.#argument(info);
    if (count > this.#bytes.length - this.#at) throw malformed();
    for (let index = 0; index < count; index += 1) list.push(this.value(depth + 1));
    return list;
  }

  #map(info: number, depth: number): Record<string, unknown> {
    const map: Record<string, unknown> = {};
    if (info === INDEFINITE) {
      while (!this.#atBreak()) this.#entry(map, depth);
      return map;
    }
    const count = this.#argument(info);
    if (2 * count > this.#bytes.length - this.#at) throw malformed();
    for (let index = 0; index < count; index += 1) this.#entry(map, depth);
    return map;
  }

  #entry(map: Record<string, unknown>, depth: number): void {
    const key = this.value(depth + 1);
    if (typeof key !== "string") throw malformed();
    const value = this.value(depth + 1);
    // Assigning to this one key would set the object's prototype instead.
    if (key === "__proto__")
      Object.defineProperty(map, key, { value, enumerable: true, configurable: true, writable: true });
    else map[key] = value;
  }

  #tagged(tag: number, depth: number): unknown {
    const value = this.value(depth + 1);
    if (tag !== TAG_EPOCH_TIME) return value;
    if (typeof value !== "number") throw malformed();
    return new CborTime(value);
  }

  #simple(info: number): unknown {
    switch (info) {
      case 20:
        return false;
      case 21:
        return true;
      case 22:
      case 23:
        return null;
      case 25:
        return halfFloat(this.#bytes.readUInt16BE(this.#skip(2)));
      case 26:
        return this.#bytes.readFloatBE(this.#skip(4));
      case 27:
        return this.#bytes.readDoubleBE(this.#skip(8));
      default:
        throw malformed();
    }
  }
}

/** RFC 8949, appendix D. */
function halfFloat(half: number): number {
  const exponent = (half >> 10) & 0x1f;
  const mantissa = half & 0x3ff;
  const sign = half & 0x8000 ? -1 : 1;
  if (exponent === 0) return sign * mantissa * 2 ** -24;
  if (exponent !== 31) return sign * (mantissa + 1024) * 2 ** (exponent - 25);
  return mantissa === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
}
