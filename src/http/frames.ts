/**
 * How the engine and a front-end process talk over the pipe between them. A frame is
 *
 *   length of the payload (4 bytes, little-endian) | kind (1) | id (4) | payload
 *
 * The id names the request that the frame belongs to; 0 where it belongs to none. Both ends are of the same version, always:
 * one started the other from the same files. Nothing of this is stored.
 */
import type { Writable } from "node:stream";

export const FRAME_KIND = {
  /** To the front-end: settings (JSON), first of all. */
  configure: 1,
  /** From it: it takes connections. */
  ready: 2,
  /** From it: a request. To it: its answer. */
  request: 3,
  answer: 4,
  /** From it: asks for the next part of an answer that goes on; wants no more of it. */
  pull: 5,
  cancel: 6,
  /** To it: that part; the end of the answer; its breaking off. */
  part: 7,
  end: 8,
  broken: 9,
  /** To it: what the health check shall say (JSON). */
  health: 10,
  /** To it: finish in so many milliseconds (JSON). */
  drain: 11,
  /** From it: something went wrong inside (JSON). */
  report: 12,
  /** From it: it has the connection of this id. */
  taken: 13,
} as const;

export interface Frame {
  readonly kind: number;
  readonly id: number;
  /** A view of what was read: not to be changed, except where its sender says that it is the reader's own. */
  readonly payload: Buffer;
}

/** What a frame says about itself cannot be. Whoever sent it is not to be talked to any more. */
export class FrameError extends Error {
  constructor(message: string) {
    super(message);
    this.name = "FrameError";
  }
}

export const FRAME_HEAD_BYTES = 9;

/** Longer ones are written as they are, behind the frame's beginning, rather than copied into it. */
export const COPIED_BYTES_MAX: number = 16 * 1024;

/**
 * A frame with its head filled in and room for `payloadBytes`, which begin at FRAME_HEAD_BYTES; `followingBytes` more of its
 * payload are written behind it.
 */
export function openFrame(kind: number, id: number, payloadBytes: number, followingBytes = 0): Buffer {
  const frame = Buffer.allocUnsafe(FRAME_HEAD_BYTES + payloadBytes);
  frame.writeUInt32LE(payloadBytes + followingBytes, 0);
  frame.writeUInt8(kind, 4);
  frame.writeUInt32LE(id, 5);
  return frame;
}

export function jsonFrame(kind: number, value: unknown): Buffer {
  const text = JSON.stringify(value);
  const frame = openFrame(kind, 0, Buffer.byteLength(text));
  frame.write(text, FRAME_HEAD_BYTES, "utf8");
  return frame;
}

interface Filling {
  readonly kind: number;
  readonly id: number;
  readonly payload: Buffer;
  filledBytes: number;
}

const NO_BYTES: Buffer = Buffer.alloc(0);

/** Takes frames out of what arrives in whatever pieces. */
export class FrameReader {
  readonly #payloadBytesMax: number;
  readonly #take: (frame: Frame) => void;
  /** A frame whose head is known and whose payload is not whole. */
  #filling: Filling | null = null;
  /** The beginning of a head. */
  #headBytes: Buffer = NO_BYTES;

  constructor(payloadBytesMax: number, take: (frame: Frame) => void) {
    this.#payloadBytesMax = payloadBytesMax;
    this.#take = take;
  }

  /** Throws FrameError for a frame that claims too much; what `take` throws passes through. */
  push(chunk: Buffer): void {
    let rest = chunk;
    while (rest.length > 0) rest = this.#filling === null ? this.#begin(rest) : this.#fill(rest, this.#filling);
  }

  #begin(arrived: Buffer): Buffer {
    const rest = this.#headBytes.length === 0 ? arrived : Buffer.concat([this.#headBytes, arrived]);
    this.#headBytes = NO_BYTES;
    if (rest.length < FRAME_HEAD_BYTES) {
      this.#headBytes = Buffer.from(rest);
      return NO_BYTES;
    }
    const payloadBytes = rest.readUInt32LE(0);
    const kind = rest.readUInt8(4);
    const id = rest.readUInt32LE(5);
    if (payloadBytes > this.#payloadBytesMax)
      throw new FrameError(`a frame of kind ${kind} claims ${payloadBytes} bytes, at most ${this.#payloadBytesMax}`);
    const end = FRAME_HEAD_BYTES + payloadBytes;
    if (rest.length >= end) {
      this.#take({ kind, id, payload: rest.subarray(FRAME_HEAD_BYTES, end) });
      return rest.subarray(end);
    }
    // Memory that nobody has written to is not there yet: the claim alone costs the operating system nothing.
    const payload = Buffer.allocUnsafeSlow(payloadBytes);
    this.#filling = { kind, id, payload, filledBytes: rest.copy(payload, 0, FRAME_HEAD_BYTES) };
    return NO_BYTES;
  }

  #fill(rest: Buffer, filling: Filling): Buffer {
    const copiedBytes = rest.copy(filling.payload, filling.filledBytes);
    filling.filledBytes += copiedBytes;
    if (filling.filledBytes === filling.payload.length) {
      this.#filling = null;
      this.#take(filling);
    }
    return rest.subarray(copiedBytes);
  }
}

/** Writes frames to the pipe, all of one turn of the event loop together: what costs is the system call. */
export class FrameWriter {
  readonly #to: Writable;
  readonly #later: (run: () => void) => void;
  #waiting: { readonly bytes: Uint8Array; readonly isWiped: boolean }[] = [];
  #waitingBytes = 0;

  /** `later` says when what was gathered is written: when the turn is over. */
  constructor(to: Writable, later: (run: () => void) => void) {
    this.#to = to;
    this.#later = later;
  }

  /** What is yet to be taken by the other end. */
  get unreadBytes(): number {
    return this.#waitingBytes + this.#to.writableLength;
  }

  /** The pieces must stay as they are until they are written; with `isWiped` they are overwritten then. */
  send(pieces: readonly Uint8Array[], isWiped = false): void {
    if (this.#waiting.length === 0) this.#later(() => this.flush());
    for (const bytes of pieces) {
      this.#waiting.push({ bytes, isWiped });
      this.#waitingBytes += bytes.length;
    }
  }

  flush(): void {
    const pieces = this.#waiting;
    if (pieces.length === 0) return;
    this.#waiting = [];
    this.#waitingBytes = 0;
    if (!this.#to.writable) {
      for (const { bytes, isWiped } of pieces) if (isWiped) bytes.fill(0);
      return;
    }
    this.#to.cork();
    for (const { bytes, isWiped } of pieces) {
      if (isWiped) this.#to.write(bytes, () => bytes.fill(0));
      else this.#to.write(bytes);
    }
    this.#to.uncork();
  }
}
