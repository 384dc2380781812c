import { readFileSync } from "node:fs";
import { homedir } from "node:os";
import { join, resolve } from "node:path";
import { fileSystemRefusal, OperatorError } from "./base/operator-error.ts";

/** The region of a new deployment when none is given. */
export const DEFAULT_REGION = "us-east-1";

/** How the root key is kept: what `--seal` says. */
export type SealChoice = { readonly kind: "file"; readonly path: string | null } | { readonly kind: "passphrase" };

/** Everything that `waxseal serve` can be told. */
export interface ServerConfig {
  readonly dataDir: string;
  /** Plain HTTP on the loopback address; 0 takes a free port. */
  readonly port: number;
  /** Address of plain HTTP: 127.0.0.1 unless `--insecure-http-host` names another. */
  readonly httpHost: string;
  readonly httpsPort: number | null;
  readonly host: string;
  readonly certificate: {
    readonly certificateFile: string;
    readonly keyFile: string;
    readonly caFile: string | null;
  } | null;
  /** The default first; null: those of the deployment. Not empty. */
  readonly regions: readonly string[] | null;
  readonly accountId: string | null;
  /** Null: the one chosen at init; for a new directory a key file inside it. */
  readonly seal: SealChoice | null;
  /** Whether a source of a passphrase was named. */
  readonly isPassphraseGiven: boolean;
  /** How often KMS may be called: as AWS allows, or the operator's own figures by quota code or name. */
  readonly kmsQuotas: "none" | "aws" | QuotaFile;
  /** Cipher suite of new stream records, where their stream names no other. */
  readonly streamSuite: "aes" | "xchacha";
  /** Whether shards and requests to streams have AWS's limits. */
  readonly streamLimits: "none" | "aws";
  /** Hosts of identity providers that may be asked: names, or `*.` and a name. Null: all. */
  readonly oidcHosts: readonly string[] | null;
  readonly testHooks: boolean;
  /** Front-end processes; 0: one process does everything. */
  readonly workers: number;
}

/** An operator's own figures, by quota code or name, and where they were read: whoever has to mend them is told. */
interface QuotaFile {
  readonly path: string;
  readonly figures: Readonly<Record<string, number>>;
}

/** The data directory: the option, else WAXSEAL_DATA_DIR, else ~/.waxseal. */
export function dataDirectory(option: string | undefined): string {
  const chosen = option ?? process.env["WAXSEAL_DATA_DIR"] ?? join(homedir(), ".waxseal");
  return resolve(chosen);
}

/** `file`, `file:PATH` or `passphrase`; null for anything else. */
export function parseSealChoice(text: string): SealChoice | null {
  if (text === "passphrase") return { kind: "passphrase" };
  if (text === "file") return { kind: "file", path: null };
  if (text.startsWith("file:") && text.length > 5) return { kind: "file", path: resolve(text.slice(5)) };
  return null;
}

/** A name, an IPv4 address, or `*.` and a name; or an IPv6 address. */
const HOST = /^(?:\*\.)?[a-z0-9_-]+(?:\.[a-z0-9_-]+)*$|^[0-9a-f]*:[0-9a-f:.]*$/;

/** Hosts with commas between, in lower case; null if one of them is something else, such as a URL or a host with a port. */
export function parseHosts(list: string): readonly string[] | null {
  const hosts = list
    .toLowerCase()
    .split(",")
    .map((host) => host.trim());
  return hosts.every((host) => HOST.test(host)) ? hosts : null;
}

/** Service Quotas' own bound (model: QuotaValue). */
const QUOTA_MAX = 10_000_000_000;
const QUOTA_FILE_BYTES_MAX = 65_536;

/** `none`, `aws`, or a JSON file of figures by quota code or name. Throws OperatorError for a file that is something else. */
export function readQuotaProfile(text: string): ServerConfig["kmsQuotas"] {
  if (text === "none" || text === "aws") return text;
  const path = resolve(text);
  const figures = parsedJson(path);
  if (figures === null || typeof figures !== "object" || Array.isArray(figures)) {
    throw new OperatorError(`${path} must hold one JSON object, such as {"CreateKey request rate": 10}.`);
  }
  for (const [name, value] of Object.entries(figures)) {
    if (typeof value !== "number" || !(value >= 0 && value <= QUOTA_MAX)) {
      throw new OperatorError(
        `${path}: the figure of ${JSON.stringify(name)} must be a number from 0 to ${QUOTA_MAX}.`,
      );
    }
  }
  return { path, figures: figures as Readonly<Record<string, number>> };
}

function parsedJson(path: string): unknown {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    throw fileSystemRefusal(error) ?? error;
  }
  if (text.length > QUOTA_FILE_BYTES_MAX) throw new OperatorError(`${path} is too long for a file of quotas.`);
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new OperatorError(`${path} is not JSON: ${error instanceof Error ? error.message : "it cannot be read"}`);
  }
}
