/**
 * The few forms of DER (ITU-T X.690) that keys are written in. What is written lies in memory of its own, and what is read is
 * a view of what was given: private keys pass through here, and no copy of them may stay behind.
 */

export const SEQUENCE = 0x30;
export const INTEGER = 0x02;
export const BIT_STRING = 0x03;
export const OCTET_STRING = 0x04;

/** Lengths above this are no key of ours. */
const CONTENT_BYTES_MAX = 0xffff;

/** Joins bytes in memory of its own, never in Node's shared pool. */
export function join(...parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const joined = new Uint8Array(new ArrayBuffer(parts.reduce((sum, { byteLength }) => sum + byteLength, 0)));
  let offset = 0;
  for (const part of parts) {
    joined.set(part, offset);
    offset += part.byteLength;
  }
  return joined;
}

/** Tag and length of an element whose content follows. */
function head(tag: number, contentBytes: number): Uint8Array {
  if (contentBytes > CONTENT_BYTES_MAX) throw new RangeError("too long for a key");
  if (contentBytes < 0x80) return Uint8Array.of(tag, contentBytes);
  if (contentBytes < 0x100) return Uint8Array.of(tag, 0x81, contentBytes);
  return Uint8Array.of(tag, 0x82, contentBytes >> 8, contentBytes & 0xff);
}

/** One element around the given contents. Holds secrets if they do. */
export function element(tag: number, ...contents: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  return join(
    head(
      tag,
      contents.reduce((sum, { byteLength }) => sum + byteLength, 0),
    ),
    ...contents,
  );
}

/** A positive integer, most significant byte first, without more zeros than DER wants. */
export function integer(bytes: Uint8Array): Uint8Array {
  let start = 0;
  while (start < bytes.byteLength - 1 && bytes[start] === 0) start += 1;
  const significant = bytes.subarray(start);
  return (significant[0] ?? 0) < 0x80 ? element(INTEGER, significant) : element(INTEGER, Uint8Array.of(0), significant);
}

/** What came from outside is no DER, or not the DER that was looked for. */
export class DerError extends Error {
  override readonly name = "DerError";
}

/** Reads elements one after the other; strict: definite and shortest lengths only. Throws a DerError. */
export class DerReader {
  readonly #bytes: Uint8Array;
  #offset = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  /** The content of the next element, which must have this tag. A view. */
  read(tag: number): Uint8Array {
    if (this.#byte() !== tag) throw new DerError("another element was expected");
    const length = this.#length();
    const content = this.#bytes.subarray(this.#offset, this.#offset + length);
    if (content.byteLength !== length) throw new DerError("an element ends too early");
    this.#offset += length;
    return content;
  }

  /** Where the next element begins. */
  get offset(): number {
    return this.#offset;
  }

  get atEnd(): boolean {
    return this.#offset === this.#bytes.byteLength;
  }

  requireEnd(): void {
    if (!this.atEnd) throw new DerError("more follows than is expected");
  }

  #byte(): number {
    const byte = this.#bytes[this.#offset];
    if (byte === undefined) throw new DerError("an element ends too early");
    this.#offset += 1;
    return byte;
  }

  #length(): number {
    const first = this.#byte();
    if (first < 0x80) return first;
    if (first === 0x81) {
      const length = this.#byte();
      if (length < 0x80) throw new DerError("a length is not in its shortest form");
      return length;
    }
    if (first !== 0x82) throw new DerError("a length is not in a form for keys");
    const length = (this.#byte() << 8) | this.#byte();
    if (length < 0x100) throw new DerError("a length is not in its shortest form");
    return length;
  }
}
