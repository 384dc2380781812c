/**
 * Where identity providers may lie. An account's administrator names the address and anybody can have it asked: it must not
 * lead to what only the server's own machine can reach, nor to where a cloud hands out the machine's credentials.
 */
import { lookup as systemLookup } from "node:dns";
import { BlockList, isIP } from "node:net";
import type { LookupFunction } from "node:net";

/** "loopback": a provider on this very machine. "network": anywhere else. */
export type Reach = "loopback" | "network";

export interface ProviderRules {
  /** The account of whoever owns the deployment: it alone may have a provider on the server's own machine. Null: nobody may. */
  readonly loopbackAccountId: string | null;
  /** Hosts that may be asked: a name, or `*.` and a name for all below it. Null: all. */
  readonly hosts: readonly string[] | null;
}

type Subnets = readonly (readonly [net: string, prefix: number])[];

function addresses(subnets: Subnets): Pick<BlockList, "check"> {
  const list = new BlockList();
  for (const [net, prefix] of subnets) list.addSubnet(net, prefix, net.includes(":") ? "ipv6" : "ipv4");
  return list;
}

const loopback = addresses([
  ["127.0.0.0", 8],
  ["::1", 128],
]);

/** Private networks are not among them: there most who run their own provider have it (SECURITY.md). */
const refused = addresses([
  ["0.0.0.0", 8],
  ["127.0.0.0", 8],
  // Link-local: 169.254.169.254 is the metadata service of most clouds.
  ["169.254.0.0", 16],
  // Multicast, reserved, broadcast.
  ["224.0.0.0", 3],
  // What Alibaba, Azure and Oracle tell their machines, outside the link-local range.
  ["100.100.100.200", 32],
  ["168.63.129.16", 32],
  ["192.0.0.192", 32],
  // Unspecified, loopback, and IPv4 written in a way that is no longer used (RFC 4291, section 2.5.5.1).
  ["::", 96],
  ["fe80::", 10],
  // Site-local: withdrawn (RFC 3879).
  ["fec0::", 10],
  ["ff00::", 8],
  // IPv4 behind translators and tunnels (RFC 6052, RFC 8215, RFC 3056, RFC 4380): it would need to be looked at like the rest.
  ["64:ff9b::", 96],
  ["64:ff9b:1::", 48],
  ["2002::", 16],
  ["2001::", 32],
  // The metadata services of AWS and of Google Cloud.
  ["fd00:ec2::", 32],
  ["fd20:ce::254", 128],
]);

/** An address as it is connected to, not a name. `BlockList` looks at IPv4 inside `::ffff:0:0/96` by the rules for IPv4. */
export function isAddressAllowed(address: string, reach: Reach): boolean {
  const family = isIP(address);
  if (family === 0) return false;
  // A zone (`fe80::1%eth0`) is only ever a link-local address's.
  if (address.includes("%")) return false;
  const kind = family === 4 ? "ipv4" : "ipv6";
  return reach === "loopback" ? loopback.check(address, kind) : !refused.check(address, kind);
}

const LOOPBACK_HOSTS: ReadonlySet<string> = new Set(["127.0.0.1", "[::1]", "localhost"]);

/** Only what says so itself: any other name must lead to the network. */
export const reachOf = (url: URL): Reach => (LOOPBACK_HOSTS.has(url.hostname) ? "loopback" : "network");

/** Null unless the address is one that may be asked: HTTPS, or HTTP on this very machine. */
export function providerUrl(text: string): URL | null {
  if (!URL.canParse(text)) return null;
  const url = new URL(text);
  if (url.username !== "" || url.password !== "") return null;
  const plain = url.protocol === "http:" && reachOf(url) === "loopback";
  return url.protocol === "https:" || plain ? url : null;
}

/** Why an account's provider may not be asked at this address, for whoever called; null: it may. */
export function refusalOf(rules: ProviderRules, accountId: string, url: URL): string | null {
  const host = hostOf(url);
  if (rules.hosts !== null && !rules.hosts.some((pattern) => isNamedBy(pattern, host))) {
    return `This server does not ask identity providers on ${host}.`;
  }
  if (reachOf(url) === "loopback" && accountId !== rules.loopbackAccountId) {
    return "An identity provider on the server's own machine is for the deployment's first account alone.";
  }
  return null;
}

/** As it is connected to: without the brackets of an IPv6 address. */
export const hostOf = (url: URL): string => url.hostname.replace(/^\[|\]$/g, "");

function isNamedBy(pattern: string, host: string): boolean {
  const wanted = pattern.toLowerCase();
  return wanted.startsWith("*.") ? host.endsWith(wanted.slice(1)) && isIP(host) === 0 : host === wanted;
}

const notAllowed = (): Error => new Error("the identity provider has an address that may not be asked");

/** Throws for a host that is written as an address and may not be asked: such a one is never looked up. */
export function requireHostAllowed(url: URL, reach: Reach): void {
  const host = hostOf(url);
  if (isIP(host) !== 0 && !isAddressAllowed(host, reach)) throw notAllowed();
}

/**
 * A name is looked up for the very connection that is made, and what was found is what is connected to: a name that leads
 * elsewhere the next time gains nothing. One address of several that may not be asked spoils them all.
 */
export const guardedLookup =
  (reach: Reach, lookup: typeof systemLookup = systemLookup): LookupFunction =>
  (host, options, done) => {
    lookup(host, { ...options, all: true }, (error, found) => {
      const [first] = found ?? [];
      if (error !== null) return done(error, "");
      if (first === undefined || !found.every(({ address }) => isAddressAllowed(address, reach))) {
        return done(notAllowed(), "");
      }
      if (options.all === true) return done(null, found);
      done(null, first.address, first.family);
    });
  };
