import { closeSync, openSync, readFileSync, readSync } from "node:fs";

/** A readable part of a process's memory. */
interface Mapping {
  readonly from: bigint;
  readonly bytes: number;
  readonly name: string;
}

const PIECE_BYTES = 4 * 1024 * 1024;
const RESERVED_BYTES_MIN = 16 * 1024 * 1024;

/**
 * All of a process's memory that is its own: everything but pages of files that it only reads (Linux, /proc). Pages that
 * cannot be read, or go away in between, are left out.
 */
export function memoryOf(pid: number): readonly { readonly name: string; readonly content: Buffer }[] {
  const memory = openSync(`/proc/${pid}/mem`, "r");
  try {
    return mappingsOf(pid).map(({ from, bytes, name }) => ({ name, content: readAll(memory, from, bytes) }));
  } finally {
    closeSync(memory);
  }
}

function mappingsOf(pid: number): readonly Mapping[] {
  return readFileSync(`/proc/${pid}/maps`, "utf8")
    .split("\n")
    .flatMap((line) => {
      const match = /^([0-9a-f]+)-([0-9a-f]+) (\S{4}) \S+ \S+ (\d+) *(.*)$/.exec(line);
      if (match === null) return [];
      const [, start = "0", end = "0", permissions = "", inode = "0", name = ""] = match;
      if (name === "[vvar]" || name === "[vsyscall]") return [];
      // Shared mappings of files are the files' own bytes: those are searched where they lie.
      if (inode !== "0" && (permissions.endsWith("s") || !permissions.includes("w"))) return [];
      const from = BigInt(`0x${start}`);
      // Address space that was only set aside. Guarded memory may not be read either, but is small.
      if (permissions.startsWith("---") && Number(BigInt(`0x${end}`) - from) > RESERVED_BYTES_MIN) return [];
      return [{ from, bytes: Number(BigInt(`0x${end}`) - from), name }];
    });
}

function readAll(memory: number, from: bigint, bytes: number): Buffer {
  const pieces: Buffer[] = [];
  for (let at = 0; at < bytes; at += PIECE_BYTES) {
    const piece = Buffer.alloc(Math.min(PIECE_BYTES, bytes - at));
    try {
      const read = readSync(memory, piece, 0, piece.length, from + BigInt(at));
      pieces.push(piece.subarray(0, read));
    } catch {
      // Reserved and never touched.
    }
  }
  return Buffer.concat(pieces);
}
