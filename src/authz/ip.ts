/** IP addresses and networks of the IpAddress operators. */

/** An address as eight 16-bit groups; IPv4 in the last two, marked by `version`. */
export interface IpAddress {
  readonly version: 4 | 6;
  readonly groups: readonly number[];
}

export interface IpNetwork {
  readonly address: IpAddress;
  /** Of the 128 bits; an IPv4 network's prefix is counted from bit 96. */
  readonly prefixBits: number;
}

const GROUP_COUNT = 8;
const GROUP_BITS = 16;
const ADDRESS_BITS = 128;
/** Where an IPv4 address begins inside the 128 bits. */
const IPV4_OFFSET_BITS = 96;
const MAPPED_PREFIX: readonly number[] = [0, 0, 0, 0, 0, 0xffff];
const DOT = ".".charCodeAt(0);
const ZERO = "0".charCodeAt(0);
/** The longest written form, with an IPv4 tail. */
const ADDRESS_LENGTH_MAX = 45;

/**
 * Null when the text is no address. An IPv4 address mapped into IPv6 (`::ffff:192.0.2.1`, what a socket for both families
 * reports) is that IPv4 address, so that a policy on IPv4 networks cannot be walked around.
 */
export function parseAddress(text: string): IpAddress | null {
  const zoneAt = text.indexOf("%");
  const bare = zoneAt < 0 ? text : text.slice(0, zoneAt);
  if (bare.length > ADDRESS_LENGTH_MAX) return null;
  if (!bare.includes(":")) {
    const tail = parseIpv4(bare);
    return tail === null || zoneAt >= 0 ? null : { version: 4, groups: [0, 0, 0, 0, 0, 0, ...tail] };
  }
  const groups = parseIpv6(bare);
  if (groups === null) return null;
  if (MAPPED_PREFIX.some((group, at) => groups[at] !== group)) return { version: 6, groups };
  return { version: 4, groups: [0, 0, 0, 0, 0, 0, ...groups.slice(6)] };
}

/** An address, or an address with a prefix length. Bits beyond the prefix are not regarded. */
export function parseNetwork(text: string): IpNetwork | null {
  const slashAt = text.indexOf("/");
  const written = slashAt < 0 ? text : text.slice(0, slashAt);
  const address = written.includes("%") ? null : parseAddress(written);
  if (address === null) return null;
  if (slashAt < 0) return { address, prefixBits: ADDRESS_BITS };
  const suffix = text.slice(slashAt + 1);
  if (!/^(0|[1-9]\d{0,2})$/.test(suffix)) return null;
  const prefixBits = Number(suffix) + (written.includes(":") ? 0 : IPV4_OFFSET_BITS);
  if (prefixBits > ADDRESS_BITS) return null;
  // A mapped network that reaches beyond the IPv4 addresses has no meaning for either family.
  if (address.version === 4 && prefixBits < IPV4_OFFSET_BITS) return null;
  return { address, prefixBits };
}

export function networkContains(network: IpNetwork, address: IpAddress): boolean {
  if (network.address.version !== address.version) return false;
  let bitsLeft = network.prefixBits;
  for (let at = 0; at < GROUP_COUNT && bitsLeft > 0; at++, bitsLeft -= GROUP_BITS) {
    const shift = Math.max(0, GROUP_BITS - bitsLeft);
    if ((network.address.groups[at] ?? 0) >> shift !== (address.groups[at] ?? 0) >> shift) return false;
  }
  return true;
}

/** Four decimal octets without leading zeros (some readers take those for octal). Runs at every question about an address. */
function parseIpv4(text: string): readonly [number, number] | null {
  let octetCount = 0;
  let high = 0;
  let low = 0;
  for (let at = 0; at <= text.length; octetCount++, at++) {
    const start = at;
    let octet = 0;
    for (; at < text.length && text.charCodeAt(at) !== DOT; at++) {
      const digit = text.charCodeAt(at) - ZERO;
      if (digit < 0 || digit > 9) return null;
      octet = octet * 10 + digit;
    }
    if (at === start || at - start > 3 || octet > 255 || octetCount > 3) return null;
    if (at - start > 1 && text.charCodeAt(start) === ZERO) return null;
    if (octetCount < 2) high = (high << 8) | octet;
    else low = (low << 8) | octet;
  }
  return octetCount === 4 ? [high, low] : null;
}

function parseIpv6(text: string): readonly number[] | null {
  const halves = text.split("::");
  if (halves.length > 2) return null;
  const [head, tail] = halves.map((half, at) => parseGroups(half, at === halves.length - 1));
  if (head === undefined || head === null || tail === null) return null;
  if (tail === undefined) return head.length === GROUP_COUNT ? head : null;
  const missing = GROUP_COUNT - head.length - tail.length;
  return missing < 1 ? null : [...head, ...Array<number>(missing).fill(0), ...tail];
}

/** The groups between colons; the very last one may be an IPv4 address. */
function parseGroups(text: string, last: boolean): readonly number[] | null {
  if (text === "") return [];
  const groups: number[] = [];
  const parts = text.split(":");
  for (const [at, part] of parts.entries()) {
    if (/^[0-9a-fA-F]{1,4}$/.test(part)) groups.push(Number.parseInt(part, 16));
    else {
      const ipv4 = last && at === parts.length - 1 ? parseIpv4(part) : null;
      if (ipv4 === null) return null;
      groups.push(...ipv4);
    }
  }
  return groups;
}
