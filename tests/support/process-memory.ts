import { closeSync, openSync, readFileSync, readSync } from "node:fs";

/** What is looked for is cut into pieces of this length: a copy that was overwritten in part is still a copy. */
const PIECE_BYTES = 16;

/** Every form in which memory may hold a secret: as it is, as OpenSSL keeps numbers (least byte first), and as text. */
function formsOf(secret: Uint8Array): readonly Buffer[] {
  const raw = Buffer.from(secret);
  const texts = [raw.toString("hex"), raw.toString("hex").toUpperCase()];
  for (const alignment of [0, 1, 2]) {
    const shifted = Buffer.concat([Buffer.alloc(alignment), raw]);
    for (const encoding of ["base64", "base64url"] as const) texts.push(shifted.toString(encoding).slice(4, -4));
  }
  return [raw, Buffer.from(raw.toReversed()), ...texts.map((text) => Buffer.from(text))];
}

/** Pieces of secrets, to be found fast: by their first two bytes, then by all of them. */
class Needles {
  readonly #starts = new Uint8Array(0x1_0000);
  readonly #names = new Map<string, string>();

  constructor(secrets: Readonly<Record<string, Uint8Array>>) {
    for (const [name, secret] of Object.entries(secrets)) {
      for (const form of formsOf(secret)) {
        for (let start = 0; start + PIECE_BYTES <= form.byteLength; start += PIECE_BYTES) {
          const piece = form.subarray(start, start + PIECE_BYTES);
          // Runs of one byte are found anywhere.
          if (new Set(piece).size < 6) continue;
          this.#starts[piece.readUInt16LE()] = 1;
          this.#names.set(piece.toString("latin1"), name);
        }
      }
    }
  }

  findIn(memory: Buffer, found: Set<string>): void {
    for (let at = 0; at + PIECE_BYTES <= memory.byteLength; at += 1) {
      if (this.#starts[(memory[at] ?? 0) | ((memory[at + 1] ?? 0) << 8)] !== 1) continue;
      const name = this.#names.get(memory.toString("latin1", at, at + PIECE_BYTES));
      if (name !== undefined) found.add(name);
    }
  }
}

/** Which of these secrets the memory of a process holds, in whole or in part. Linux only; the process must be a child. */
export function findInMemory(pid: number, secrets: Readonly<Record<string, Uint8Array>>): readonly string[] {
  const needles = new Needles(secrets);
  const found = new Set<string>();
  const memory = openSync(`/proc/${pid}/mem`, "r");
  try {
    for (const line of readFileSync(`/proc/${pid}/maps`, "utf8").split("\n")) {
      const region = /^([0-9a-f]+)-([0-9a-f]+) rw/.exec(line);
      if (region === null || /\.(so|node)\b|\[v/.test(line)) continue;
      const [start, end] = [Number.parseInt(region[1] ?? "", 16), Number.parseInt(region[2] ?? "", 16)];
      readRegion(memory, start, end, (part) => needles.findIn(part, found));
    }
  } finally {
    closeSync(memory);
  }
  return [...found].sort();
}

const PART_BYTES = 4 * 1024 * 1024;

function readRegion(memory: number, start: number, end: number, look: (part: Buffer) => void): void {
  for (let at = start; at < end; at += PART_BYTES - PIECE_BYTES) {
    const part = Buffer.alloc(Math.min(PART_BYTES, end - at));
    try {
      look(part.subarray(0, readSync(memory, part, 0, part.byteLength, at)));
    } catch {
      // Reserved, without memory behind it.
    }
  }
}
