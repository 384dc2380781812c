/**
 * Just enough CBOR (RFC 8949) to speak as the Java SDK's generator does: maps and lists of indefinite length, definite text
 * and byte strings, times as tag 1 with whole milliseconds. Written apart from the server's own, so that both can't be wrong together.
 */
export type CborValue =
  | string
  | number
  | boolean
  | null
  | Uint8Array
  | Date
  | readonly CborValue[]
  | { readonly [name: string]: CborValue };

const BREAK = Buffer.from([0xff]);

function head(majorType: number, value: number): Buffer {
  const type = majorType << 5;
  if (value < 24) return Buffer.from([type | value]);
  if (value < 0x100) return Buffer.from([type | 24, value]);
  if (value < 0x1_0000) return Buffer.from([type | 25, value >> 8, value & 0xff]);
  const bytes = Buffer.alloc(value < 0x1_0000_0000 ? 5 : 9);
  bytes[0] = type | (bytes.length === 5 ? 26 : 27);
  if (bytes.length === 5) bytes.writeUInt32BE(value, 1);
  else bytes.writeBigUInt64BE(BigInt(value), 1);
  return bytes;
}

export function encodeCbor(value: CborValue): Buffer {
  if (value === null) return Buffer.from([0xf6]);
  if (typeof value === "boolean") return Buffer.from([value ? 0xf5 : 0xf4]);
  if (typeof value === "number") return value < 0 ? head(1, -1 - value) : head(0, value);
  if (typeof value === "string") return Buffer.concat([head(3, Buffer.byteLength(value)), Buffer.from(value, "utf8")]);
  if (value instanceof Uint8Array) return Buffer.concat([head(2, value.length), value]);
  if (value instanceof Date) return Buffer.concat([head(6, 1), head(0, value.getTime())]);
  if (isList(value)) return Buffer.concat([Buffer.from([0x9f]), ...value.map((item) => encodeCbor(item)), BREAK]);
  const members = Object.entries(value).flatMap(([name, member]) => [encodeCbor(name), encodeCbor(member)]);
  return Buffer.concat([Buffer.from([0xbf]), ...members, BREAK]);
}

const isList = (value: unknown): value is readonly CborValue[] => Array.isArray(value);

/** A decoded item; tags are kept, so that a test can tell how a time was written. */
export type Decoded =
  | string
  | number
  | boolean
  | null
  | Buffer
  | { readonly tag: number; readonly value: Decoded; readonly float: boolean }
  | readonly Decoded[]
  | { readonly [name: string]: Decoded };

/** Decodes one item; throws when bytes are missing or left over. */
export function decodeCbor(bytes: Buffer): Decoded {
  let at = 0;
  const take = (count: number): Buffer => {
    if (at + count > bytes.length) throw new Error("CBOR ends too early");
    at += count;
    return bytes.subarray(at - count, at);
  };
  const argument = (info: number): number => {
    if (info < 24) return info;
    if (info === 24) return take(1).readUInt8();
    if (info === 25) return take(2).readUInt16BE();
    if (info === 26) return take(4).readUInt32BE();
    if (info === 27) return Number(take(8).readBigUInt64BE());
    throw new Error(`CBOR argument ${info}`);
  };
  /** Tells, before each item of a list or map, whether another one follows. */
  const items = (info: number): (() => boolean) => {
    let left = info === 31 ? Number.POSITIVE_INFINITY : argument(info);
    return () => {
      if (left !== Number.POSITIVE_INFINITY) return left-- > 0;
      if (bytes[at] !== 0xff) return true;
      at += 1;
      return false;
    };
  };
  const item = (): Decoded => {
    const initial = take(1).readUInt8();
    const [major, info] = [initial >> 5, initial & 31];
    switch (major) {
      case 0:
        return argument(info);
      case 1:
        return -1 - argument(info);
      case 2:
        return Buffer.from(take(argument(info)));
      case 3:
        return take(argument(info)).toString("utf8");
      case 4: {
        const list: Decoded[] = [];
        for (const more = items(info); more();) list.push(item());
        return list;
      }
      case 5: {
        const map: Record<string, Decoded> = {};
        for (const more = items(info); more();) {
          const name = item();
          if (typeof name !== "string") throw new Error("CBOR map with a key that is not text");
          map[name] = item();
        }
        return map;
      }
      case 6: {
        const tag = argument(info);
        const float = (bytes[at] ?? 0) >> 5 === 7;
        return { tag, value: item(), float };
      }
      default:
        if (info === 20 || info === 21) return info === 21;
        if (info === 22 || info === 23) return null;
        if (info === 26) return take(4).readFloatBE();
        if (info === 27) return take(8).readDoubleBE();
        throw new Error(`CBOR simple value ${info}`);
    }
  };
  const decoded = item();
  if (at !== bytes.length) throw new Error("CBOR has bytes left over");
  return decoded;
}
