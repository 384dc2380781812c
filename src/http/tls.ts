import { createPrivateKey, X509Certificate } from "node:crypto";
import { chmod, mkdir, open, readFile, rename } from "node:fs/promises";
import { hostname, type NetworkInterfaceInfo, networkInterfaces } from "node:os";
import { isIP } from "node:net";
import { join } from "node:path";
import type { Clock } from "../base/clock.ts";
import { OperatorError } from "../base/operator-error.ts";
import { issueCertificate } from "./certificate.ts";

const DAY_MS = 24 * 60 * 60_000;

/** Browsers take no longer-lived certificate. */
const LEAF_LIFETIME_MS = 398 * DAY_MS;
const RENEW_BEFORE_MS = 30 * DAY_MS;
/** For clients whose clock is behind. */
const BACKDATED_MS = 60 * 60_000;

const CA_NAME = "Waxseal local CA";

export interface ServerCertificate {
  /** PEM, for `createHttpServer`. */
  readonly cert: string;
  readonly key: string;
  /** Of the certificate that clients have to trust; null when the operator gave a certificate without saying. */
  readonly caFile: string | null;
  readonly expiresAtMs: number;
  /** Why it was made just now: every client has to take the new `ca.pem`. Null when it was there. */
  readonly issuedBecause: "first start" | "close to expiry" | "hosts changed" | null;
}

type NetworkInterface = Pick<NetworkInterfaceInfo, "address" | "family" | "internal">;

export interface CertificateOptions {
  /** `DIR/private/tls`; made when absent. */
  readonly directory: string;
  /**
   * Names and addresses under which clients reach the server, besides localhost and the machine's own name. One that listens
   * on everything (0.0.0.0, ::) stands for the addresses of this machine's interfaces.
   */
  readonly hosts: readonly string[];
  readonly clock: Pick<Clock, "wallMs">;
  /** The machine's network interfaces, unless a test has others. */
  readonly interfaces?: NodeJS.Dict<readonly NetworkInterface[]>;
  /** The operator's own files. They are used as they are. */
  readonly provided?: { readonly certificateFile: string; readonly keyFile: string; readonly caFile: string | null };
}

/**
 * The certificate to serve with: the operator's, or one of our own that is made at the first start. Its CA signs once and its
 * private key is then forgotten, so that trusting `ca.pem` means trusting this one certificate; hence a renewal, at a start
 * within 30 days of the expiry or when a host is new, comes with a new CA. Files in `directory` that this CA did not issue
 * are the operator's and are never replaced. Throws when files are missing or do not belong together.
 */
export async function loadOrCreateCertificate(options: CertificateOptions): Promise<ServerCertificate> {
  if (options.provided !== undefined) {
    const { certificateFile, keyFile, caFile } = options.provided;
    return inspect(await readFile(certificateFile, "utf8"), await readFile(keyFile, "utf8"), caFile);
  }
  const files = {
    ca: join(options.directory, "ca.pem"),
    cert: join(options.directory, "cert.pem"),
    key: join(options.directory, "key.pem"),
  };
  const { lasting, passing } = options.hosts.some(isWildcard)
    ? interfaceAddresses(options.interfaces ?? networkInterfaces())
    : { lasting: [], passing: [] };
  const hosts = [...new Set(["localhost", "127.0.0.1", "::1", hostname(), ...options.hosts, ...lasting])].filter(
    (host) => !isWildcard(host),
  );
  const [cert, key, ca] = await Promise.all([readIfThere(files.cert), readIfThere(files.key), readIfThere(files.ca)]);
  let reason: ServerCertificate["issuedBecause"] = "first start";
  if (cert !== null && key !== null) {
    const found = inspect(cert, key, ca === null ? null : files.ca);
    reason = renewalReason(new X509Certificate(cert), hosts, options.clock.wallMs());
    if (reason === null) return found;
  }
  const nowMs = options.clock.wallMs();
  const issued = issueCertificate({
    caName: CA_NAME,
    hosts: [...hosts, ...passing.filter((address) => !hosts.includes(address))],
    notBeforeMs: nowMs - BACKDATED_MS,
    notAfterMs: nowMs + LEAF_LIFETIME_MS - BACKDATED_MS,
  });
  await mkdir(options.directory, { recursive: true, mode: 0o700 });
  // The certificate comes last: without it the set counts as absent, and the next start makes all of it again.
  await writeSecret(files.ca, issued.ca);
  await writeSecret(files.key, issued.key);
  await writeSecret(files.cert, issued.cert);
  return { ...inspect(issued.cert, issued.key, files.ca), issuedBecause: reason };
}

/** Addresses to listen on that nobody connects to. */
const isWildcard = (host: string): boolean => host === "" || host === "0.0.0.0" || host === "::";

/** A machine with more is a router or runs many containers; its certificate names the first. */
const INTERFACE_ADDRESSES_MAX = 64;

/**
 * The addresses under which other machines reach this one. IPv6 addresses may be temporary (RFC 8981): a new one is no reason
 * to make a new certificate, which every client would have to trust anew. Link-local ones are left out: clients need a zone
 * with them, and that stands in no certificate.
 */
function interfaceAddresses(interfaces: NodeJS.Dict<readonly NetworkInterface[]>): {
  readonly lasting: readonly string[];
  readonly passing: readonly string[];
} {
  const found = Object.values(interfaces)
    .flatMap((addresses) => addresses ?? [])
    .filter(({ internal, address }) => !internal && !/^(fe[89ab]|169\.254\.)/i.test(address))
    .slice(0, INTERFACE_ADDRESSES_MAX);
  const of = (family: string): readonly string[] =>
    found.filter((one) => one.family === family).map((one) => one.address);
  return of("IPv4").length > 0 ? { lasting: of("IPv4"), passing: of("IPv6") } : { lasting: of("IPv6"), passing: [] };
}

function inspect(cert: string, key: string, caFile: string | null): ServerCertificate {
  const leaf = new X509Certificate(cert);
  if (!leaf.checkPrivateKey(createPrivateKey(key)))
    throw new OperatorError(
      "The TLS key does not belong to the TLS certificate: name the two that were made together.",
    );
  return { cert, key, caFile, expiresAtMs: Date.parse(leaf.validTo), issuedBecause: null };
}

function renewalReason(
  leaf: X509Certificate,
  hosts: readonly string[],
  nowMs: number,
): ServerCertificate["issuedBecause"] {
  if (!leaf.issuer.split("\n").includes(`CN=${CA_NAME}`)) return null;
  if (Date.parse(leaf.validTo) - nowMs < RENEW_BEFORE_MS) return "close to expiry";
  const covers = (host: string): boolean =>
    (isIP(host) === 0 ? leaf.checkHost(host) : leaf.checkIP(host)) !== undefined;
  return hosts.every((host) => covers(host)) ? null : "hosts changed";
}

async function readIfThere(path: string): Promise<string | null> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return null;
    throw error;
  }
}

/** Written aside, synced and renamed, readable by its owner only. */
async function writeSecret(path: string, text: string): Promise<void> {
  const aside = `${path}.new`;
  const file = await open(aside, "w", 0o600);
  try {
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
  // The mode above counts only for a file that was not left behind by an earlier attempt.
  await chmod(aside, 0o600);
  await rename(aside, path);
}
