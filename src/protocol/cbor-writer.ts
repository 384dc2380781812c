const START_BYTES = 512;
/** Tag 1, epoch time, as an initial byte. */
const EPOCH_TIME = 0xc1;
const FLOAT64 = 0xfb;
const FALSE = 0xf4;
const TRUE = 0xf5;

/** Writes CBOR of definite lengths into a buffer that doubles when it is full. */
export class CborWriter {
  #bytes: Buffer = Buffer.allocUnsafeSlow(START_BYTES);
  #used = 0;

  /** A view of what was written; the writer must not be used afterwards. */
  finish(): Uint8Array {
    return this.#bytes.subarray(0, this.#used);
  }

  array(count: number): void {
    this.#head(4, count);
  }

  map(count: number): void {
    this.#head(5, count);
  }

  text(text: string): void {
    const sizeBytes = Buffer.byteLength(text);
    this.#head(3, sizeBytes);
    this.#reserve(sizeBytes);
    this.#bytes.write(text, this.#used, sizeBytes, "utf8");
    this.#used += sizeBytes;
  }

  blob(bytes: Uint8Array): void {
    this.#head(2, bytes.byteLength);
    this.raw(bytes);
  }

  /** Bytes that are CBOR already: member names, encoded once. */
  raw(bytes: Uint8Array): void {
    this.#reserve(bytes.byteLength);
    this.#bytes.set(bytes, this.#used);
    this.#used += bytes.byteLength;
  }

  boolean(value: boolean): void {
    this.#reserve(1);
    this.#bytes[this.#used++] = value ? TRUE : FALSE;
  }

  number(value: number): void {
    if (Number.isSafeInteger(value)) {
      if (value < 0) this.#head(1, -1 - value);
      else this.#head(0, value);
      return;
    }
    this.double(value);
  }

  double(value: number): void {
    this.#reserve(9);
    this.#bytes[this.#used] = FLOAT64;
    this.#bytes.writeDoubleBE(value, this.#used + 1);
    this.#used += 9;
  }

  /** Whole milliseconds under tag 1: AWS's own SDKs cannot read the fractions that the standard prescribes. */
  time(ms: number): void {
    this.#reserve(1);
    this.#bytes[this.#used++] = EPOCH_TIME;
    this.number(Math.trunc(ms));
  }

  #head(major: number, argument: number): void {
    this.#reserve(9);
    const type = major << 5;
    if (argument < 24) {
      this.#bytes[this.#used++] = type | argument;
    } else if (argument < 0x100) {
      this.#bytes[this.#used++] = type | 24;
      this.#bytes[this.#used++] = argument;
    } else if (argument < 0x1_0000) {
      this.#bytes[this.#used] = type | 25;
      this.#used = this.#bytes.writeUInt16BE(argument, this.#used + 1);
    } else if (argument < 0x1_0000_0000) {
      this.#bytes[this.#used] = type | 26;
      this.#used = this.#bytes.writeUInt32BE(argument, this.#used + 1);
    } else {
      this.#bytes[this.#used] = type | 27;
      this.#bytes.writeUInt32BE(Math.floor(argument / 2 ** 32), this.#used + 1);
      this.#used = this.#bytes.writeUInt32BE(argument % 2 ** 32, this.#used + 5);
    }
  }

  #reserve(count: number): void {
    if (this.#used + count <= this.#bytes.length) return;
    const larger = Buffer.allocUnsafeSlow(Math.max(this.#bytes.length * 2, this.#used + count));
    larger.set(this.#bytes.subarray(0, this.#used));
    this.#bytes = larger;
  }
}
