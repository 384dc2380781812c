import { homedir } from "node:os";
import { join, resolve } from "node:path";

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
  /** Null: the one chosen at init. */
  readonly region: string | null;
  readonly accountId: string | null;
  /** Null: the one chosen at init; for a new directory a key file inside it. */
  readonly seal: SealChoice | null;
  /** Whether a source of a passphrase was named. */
  readonly isPassphraseGiven: boolean;
  readonly testHooks: boolean;
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
