/** What commands do with a data directory on which no server runs. */
import { systemClock } from "./base/clock.ts";
import { OperatorError } from "./base/operator-error.ts";
import {
  accountsOf,
  askFor,
  type AskPassphrase,
  forOperator,
  type InitConfig,
  liesBesideData,
  openDataDir,
  openDirectory,
  type Opened,
  openMetadata,
  openRecords,
  requireProvider,
  rootKeyFile,
  sealAll,
} from "./opened.ts";
import type { AccountAdministration } from "./server/accounts.ts";
import { type Api, createApi } from "./server/api.ts";
import { readOrReplaceRecord, type StoredRecord } from "./server/debug-record.ts";
import { openDeployment, rememberRegions } from "./server/deployment.ts";
import type { Log } from "./server/log.ts";
import { answerWhy, type WhyAnswer, type WhyQuestion } from "./server/why.ts";
import { lockDataDirectory } from "./store/data-directory-lock.ts";
import type { MetadataStore } from "./store/metadata-store.ts";
import type { RecordLog } from "./store/record-log.ts";

export interface InitResult {
  readonly created: boolean;
  readonly accountId: string;
  readonly region: string;
  readonly regions: readonly string[];
  readonly seal: string;
  /** Null: there is no such file. */
  readonly rootKeyFile: string | null;
  /** Whether a copy of the data directory holds the root key, too. */
  readonly isKeyBesideData: boolean;
}

/** Makes a data directory without serving. Of one that exists only the further Regions change. Throws OperatorError. */
export async function initialize(config: InitConfig, log: Log, ask: AskPassphrase): Promise<InitResult> {
  try {
    const opened = await openDataDir(config, systemClock(), log);
    try {
      return await initializeOpened(opened, ask);
    } finally {
      await opened.release();
    }
  } catch (error) {
    throw forOperator(error);
  }
}

async function initializeOpened(opened: Opened, ask: AskPassphrase): Promise<InitResult> {
  if (opened.deployment === null) {
    const provider = requireProvider(opened, await askFor(opened, ask));
    await openDeployment({ ...opened, provider });
    await opened.keyring.seal();
  } else {
    await rememberRegions(opened.store, opened.deployment, opened.chosen.regions);
  }
  const { accountId, region, regions } = opened.chosen;
  const inFile = opened.sealKind === "file";
  return {
    created: opened.deployment === null,
    accountId,
    region,
    regions,
    seal: opened.sealKind,
    rootKeyFile: inFile ? rootKeyFile(opened) : null,
    isKeyBesideData: inFile && liesBesideData(opened),
  };
}

/**
 * The stored bytes of one record, after they were replaced if a replacement is given. Needs no key, and no server may run
 * on the directory meanwhile.
 */
export async function storedRecord(record: StoredRecord, replacement: Uint8Array | null): Promise<Uint8Array> {
  const directory = await openDirectory(record.dataDir);
  const lock = await lockDataDirectory(directory);
  let store: MetadataStore | null = null;
  let records: RecordLog | null = null;
  try {
    store = await openMetadata(directory);
    records = await openRecords(directory);
    return await readOrReplaceRecord(store, records, record, replacement);
  } finally {
    await records?.close();
    await store?.close();
    await lock.release();
  }
}

/**
 * What `waxseal account` does when no server runs on the directory: opens it, root key and all, without serving. Throws
 * OperatorError, or what the operation throws.
 */
export async function manageAccounts<T>(
  config: InitConfig,
  log: Log,
  ask: AskPassphrase,
  use: (accounts: AccountAdministration) => Promise<T>,
): Promise<T> {
  try {
    const opened = await openDataDir(config, systemClock(), log);
    let records: RecordLog | null = null;
    let api: Api | null = null;
    try {
      if (opened.deployment === null) {
        throw new OperatorError(`${config.dataDir} has no account yet. Make the first one with: npx waxseal init`);
      }
      const provider = requireProvider(opened, await askFor(opened, ask));
      records = await openRecords(opened.directory);
      const { clock } = opened;
      api = createApi({
        ...opened,
        ...opened.chosen,
        kmsQuotas: "none",
        streamLimits: "none",
        records,
        signatureClock: clock,
        log,
      });
      await openDeployment({ ...opened, provider });
      return await use(accountsOf(opened, api));
    } finally {
      await sealAll(opened, api);
      await records?.close();
      await opened.release();
    }
  } catch (error) {
    throw forOperator(error);
  }
}

/** The denials that are stored, of a request or event; without an id the latest. No server may run on the directory meanwhile. */
export async function storedDenials(dataDir: string, question: WhyQuestion): Promise<WhyAnswer> {
  try {
    const directory = await openDirectory(dataDir);
    const lock = await lockDataDirectory(directory);
    let store: MetadataStore | null = null;
    try {
      store = await openMetadata(directory);
      return await answerWhy({ store, clock: systemClock() }, question);
    } finally {
      await store?.close();
      await lock.release();
    }
  } catch (error) {
    throw forOperator(error);
  }
}
