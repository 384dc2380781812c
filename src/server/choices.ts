import { OperatorError } from "../base/operator-error.ts";
import { accounts } from "../services/iam/records.ts";
import { streams } from "../services/kinesis/records.ts";
import { keyTable } from "../services/kms/records.ts";
import { RecordReader } from "../store/caching-reader.ts";
import type { MetadataStore } from "../store/metadata-store.ts";
import type { Deployment } from "./deployment.ts";

type SealKind = "file" | "passphrase";

/** What an operator may choose for a data directory; null: as it is, or the default. */
export interface Choices {
  readonly dataDir: string;
  readonly accountId: string | null;
  /** The default first. Not empty. */
  readonly regions: readonly string[] | null;
  readonly seal: { readonly kind: SealKind } | null;
  readonly isPassphraseGiven: boolean;
}

/** What was chosen at init cannot be chosen differently later; further Regions can be added. Throws OperatorError. */
export function requireSame(choices: Choices, deployment: Deployment | null, sealKind: SealKind | null): void {
  const { dataDir, accountId, regions, seal } = choices;
  if (deployment !== null && accountId !== null && accountId !== deployment.accountId) {
    throw new OperatorError(
      `${dataDir} belongs to account ${deployment.accountId}, not ${accountId}. ` +
        "Leave --account-id out, or choose another data directory.",
    );
  }
  if (deployment !== null && regions !== null && regions[0] !== deployment.region) {
    throw new OperatorError(
      `${dataDir} was made for region ${deployment.region}, not ${regions[0]}: its first --region stays. ` +
        "Name further ones behind it, leave --region out, or choose another data directory.",
    );
  }
  if (sealKind !== null && seal !== null && seal.kind !== sealKind) {
    throw new OperatorError(
      `${dataDir} is sealed by ${sealKind}, not by ${seal.kind}. Leave --seal out, or choose another data directory.`,
    );
  }
  if (choices.isPassphraseGiven && (sealKind ?? seal?.kind ?? "file") === "file") {
    throw new OperatorError(
      sealKind === null
        ? "A passphrase was given, but the root key would be kept in a file. Add --seal passphrase."
        : `${dataDir} is sealed by a key file, not by a passphrase. Leave --passphrase-file and --passphrase-fd out.`,
    );
  }
}

/**
 * A Region can be left out again only while it holds nothing: what lies in it would neither be reachable nor missed. Throws
 * OperatorError.
 */
export async function requireRegionsKept(
  store: MetadataStore,
  choices: Choices,
  deployment: Deployment | null,
): Promise<void> {
  const { dataDir, regions } = choices;
  if (deployment === null || regions === null) return;
  const reader = new RecordReader(store);
  for (const region of deployment.regions) {
    if (regions.includes(region) || !(await holdsResources(reader, region))) continue;
    throw new OperatorError(
      `${dataDir} holds keys or streams in region ${region}. ` +
        `Add --region ${region}, or leave --region out to serve all regions as before.`,
    );
  }
}

/** Whether any account has a key or a stream in the Region. */
async function holdsResources(reader: RecordReader, region: string): Promise<boolean> {
  let after: readonly string[] | undefined;
  for (;;) {
    const [account] = await reader.list(accounts, { prefix: [], after, limit: 1 });
    if (account === undefined) return false;
    const prefix = [account.value.accountId, region];
    if ((await reader.list(keyTable, { prefix, limit: 1 })).length > 0) return true;
    if ((await reader.list(streams, { prefix, limit: 1 })).length > 0) return true;
    after = account.id;
  }
}
