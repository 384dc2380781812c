/** The data directory, locked and open: the only file that names concrete store adapters. */
import { access } from "node:fs/promises";
import { join, sep } from "node:path";
import type { Clock } from "./base/clock.ts";
import { fileSystemRefusal, OperatorError } from "./base/operator-error.ts";
import { type Random, systemRandom } from "./base/random.ts";
import { DEFAULT_REGION, type SealChoice, type ServerConfig } from "./config.ts";
import { readSealConfiguration } from "./seal/configuration.ts";
import { SealError } from "./seal/errors.ts";
import { fileSealProvider } from "./seal/file-provider.ts";
import { Keyring } from "./seal/keyring.ts";
import { passphraseSealProvider } from "./seal/passphrase-provider.ts";
import type { SealProvider } from "./seal/provider.ts";
import { type AccountAdministration, accountAdministration } from "./server/accounts.ts";
import type { Api } from "./server/api.ts";
import { requireRegionsKept, requireSame } from "./server/choices.ts";
import { type Deployment, readDeployment } from "./server/deployment.ts";
import type { Log } from "./server/log.ts";
import { newAccountId } from "./services/iam/accounts.ts";
import { type DataDirectory, openDataDirectory } from "./store/data-directory.ts";
import { DataDirectoryInUseError, lockDataDirectory } from "./store/data-directory-lock.ts";
import { openLmdbMetadataStore } from "./store/lmdb-metadata-store.ts";
import { openLmdbRecordLog } from "./store/lmdb-record-log.ts";
import type { MetadataStore } from "./store/metadata-store.ts";
import type { RecordLog } from "./store/record-log.ts";

/** Asks whoever started the server for the passphrase, or for a new one; null when nobody can be asked. */
export type AskPassphrase = (which: "existing" | "new") => Promise<string | null>;

/** The data directory, locked and open, and what was decided about it. */
export interface Opened {
  readonly directory: DataDirectory;
  readonly store: MetadataStore;
  readonly clock: Clock;
  readonly random: Random;
  readonly keyring: Keyring;
  readonly sealKind: SealChoice["kind"];
  readonly chosen: Pick<Deployment, "accountId" | "region" | "regions" | "rootKeyPath">;
  /** Null: the directory is yet to be made. */
  readonly deployment: Deployment | null;
  /** Whether the root key is yet to be made. */
  readonly isSealNew: boolean;
  release(): Promise<void>;
}

export const openMetadata = (directory: DataDirectory): Promise<MetadataStore> =>
  openLmdbMetadataStore(join(directory.storePath, "metadata.mdb"));

export const openRecords = (directory: DataDirectory): Promise<RecordLog> =>
  openLmdbRecordLog(join(directory.storePath, "records.mdb"));

export type InitConfig = Pick<ServerConfig, "dataDir" | "regions" | "accountId" | "seal" | "isPassphraseGiven">;

/** What the operator can mend, said as such; a bug as it is. */
export function forOperator(error: unknown): unknown {
  if (error instanceof SealError || error instanceof DataDirectoryInUseError)
    return new OperatorError(error.message, error);
  return fileSystemRefusal(error) ?? error;
}

/** Whatever keeps a data directory from being opened, others' permissions on it too, is for its operator to mend. */
export async function openDirectory(path: string): Promise<DataDirectory> {
  try {
    return await openDataDirectory(path);
  } catch (error) {
    throw fileSystemRefusal(error) ?? new OperatorError(error instanceof Error ? error.message : String(error), error);
  }
}

/**
 * A store without a seal is new, or it was lost and what is beside it was not: then another account would be made in its place,
 * over the old one's credentials. (The seal is stored before credentials are written.)
 */
async function requireNew({ path, storePath, privatePath }: DataDirectory): Promise<void> {
  const credentials = join(privatePath, "root-credentials.json");
  const isThere = await access(credentials).then(
    () => true,
    () => false,
  );
  if (!isThere) return;
  throw new OperatorError(
    `${storePath} is empty, though ${credentials} says that it was in use. Restore it from a backup; or, to begin anew, move ${path} away.`,
  );
}

/** Opens the stores. Of a data directory that exists, nothing is changed. */
export async function openDataDir(config: InitConfig, clock: Clock, log: Log): Promise<Opened> {
  const directory = await openDirectory(config.dataDir);
  const lock = await lockDataDirectory(directory);
  const random = systemRandom();
  let store: MetadataStore | null = null;
  const release = async (): Promise<void> => {
    await store?.close();
    await lock.release();
  };
  try {
    store = await openMetadata(directory);
    const deployment = await readDeployment(store);
    const sealed = await readSealConfiguration(store);
    if (sealed === null) await requireNew(directory);
    requireSame(config, deployment, sealed?.provider.kind ?? null);
    await requireRegionsKept(store, config, deployment);
    const regions = config.regions ?? deployment?.regions ?? [DEFAULT_REGION];
    const rootKeyPath = config.seal?.kind === "file" ? config.seal.path : null;
    const onError = (error: unknown): void => log.error("rotation of domain keys failed; it is tried again", error);
    return {
      directory,
      store,
      clock,
      random,
      keyring: new Keyring({ store, clock, random, onError }),
      sealKind: sealed?.provider.kind ?? config.seal?.kind ?? "file",
      chosen: {
        accountId: deployment?.accountId ?? config.accountId ?? newAccountId(random),
        region: regions[0] ?? DEFAULT_REGION,
        regions,
        rootKeyPath: rootKeyPath ?? deployment?.rootKeyPath ?? null,
      },
      deployment,
      isSealNew: sealed === null,
      release,
    };
  } catch (error) {
    await release();
    throw error;
  }
}

/** Where the root key's file is. */
export const rootKeyFile = (opened: Opened): string =>
  opened.chosen.rootKeyPath ?? join(opened.directory.privatePath, "root.key");

export const liesBesideData = (opened: Opened): boolean =>
  rootKeyFile(opened).startsWith(`${opened.directory.path}${sep}`);

/** Null when the root key needs a passphrase that is not known yet. */
export function providerOf(opened: Opened, passphrase: string | null): SealProvider | null {
  if (opened.sealKind === "file") {
    return fileSealProvider(rootKeyFile(opened));
  }
  return passphrase === null ? null : passphraseSealProvider(passphrase);
}

export function requireProvider(opened: Opened, passphrase: string | null): SealProvider {
  const provider = providerOf(opened, passphrase);
  if (provider !== null) return provider;
  throw new OperatorError(
    "A passphrase is needed: give --passphrase-file or --passphrase-fd, or run this in a terminal.",
  );
}

export async function askFor(opened: Opened, ask: AskPassphrase): Promise<string | null> {
  return opened.sealKind === "passphrase" ? await ask(opened.isSealNew ? "new" : "existing") : null;
}

/** Overwrites every key, and only then waits for what ran with them: threads, background work, requests. */
export async function sealAll(opened: Opened, api: Api | null): Promise<void> {
  const sealed = opened.keyring.seal();
  await Promise.all([sealed, api?.shut()]);
}

export const accountsOf = (opened: Opened, { operatorOperations: operations }: Api): AccountAdministration =>
  accountAdministration({ ...opened, ...opened.chosen, operations, managementAccountId: opened.chosen.accountId });
