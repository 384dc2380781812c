/** The composition root: the only file that names concrete adapters, and the one that starts and stops everything. */
import { rm } from "node:fs/promises";
import { join, sep } from "node:path";
import { type Clock, type MovableClock, movableClock, systemClock } from "./base/clock.ts";
import { ServiceError } from "./base/errors.ts";
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
import { openAdminSocket } from "./server/admin-socket.ts";
import { adminRoutes } from "./server/administration.ts";
import { type Api, createApi } from "./server/api.ts";
import { requireRegionsKept, requireSame } from "./server/choices.ts";
import { readOrReplaceRecord, type StoredRecord } from "./server/debug-record.ts";
import { type Deployment, openDeployment, readDeployment, rememberRegions } from "./server/deployment.ts";
import { type Listeners, openListeners } from "./server/listeners.ts";
import type { Log } from "./server/log.ts";
import { writePrivateFile } from "./server/private-file.ts";
import { requireKnownQuotas } from "./server/quotas.ts";
import { streamSuiteRoutes } from "./server/stream-suite.ts";
import { streamAdministration } from "./server/streams.ts";
import { answerWhy, type WhyAnswer, type WhyQuestion } from "./server/why.ts";
import { newAccountId } from "./services/iam/accounts.ts";
import { type DataDirectory, openDataDirectory } from "./store/data-directory.ts";
import { DataDirectoryInUseError, lockDataDirectory } from "./store/data-directory-lock.ts";
import { openLmdbMetadataStore } from "./store/lmdb-metadata-store.ts";
import { openLmdbRecordLog } from "./store/lmdb-record-log.ts";
import type { MetadataStore } from "./store/metadata-store.ts";
import type { RecordLog } from "./store/record-log.ts";

/** Asks whoever started the server for the passphrase, or for a new one; null when nobody can be asked. */
export type AskPassphrase = (which: "existing" | "new") => Promise<string | null>;

export interface ServerState {
  readonly sealed: boolean;
  readonly endpoint: string;
  readonly httpsEndpoint: string | null;
  /** The default Region. */
  readonly region: string;
  /** All that are served, the default first. */
  readonly regions: readonly string[];
  readonly accountId: string;
  readonly pid: number;
}

export interface RunningServer {
  describe(): ServerState;
  /** Lets requests in flight finish for so long, then closes everything. */
  close(drainMsMax: number): Promise<void>;
}

/** The data directory, locked and open, and what was decided about it. */
interface Opened {
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

const openMetadata = (directory: DataDirectory): Promise<MetadataStore> =>
  openLmdbMetadataStore(join(directory.storePath, "metadata.mdb"));

const openRecords = (directory: DataDirectory): Promise<RecordLog> =>
  openLmdbRecordLog(join(directory.storePath, "records.mdb"));

type InitConfig = Pick<ServerConfig, "dataDir" | "regions" | "accountId" | "seal" | "isPassphraseGiven">;

/** What the operator can mend, said as such; a bug as it is. */
function forOperator(error: unknown): unknown {
  if (error instanceof SealError || error instanceof DataDirectoryInUseError)
    return new OperatorError(error.message, error);
  return fileSystemRefusal(error) ?? error;
}

/** Whatever keeps a data directory from being opened, others' permissions on it too, is for its operator to mend. */
async function openDirectory(path: string): Promise<DataDirectory> {
  try {
    return await openDataDirectory(path);
  } catch (error) {
    throw fileSystemRefusal(error) ?? new OperatorError(error instanceof Error ? error.message : String(error), error);
  }
}

/** Opens the stores. Of a data directory that exists, nothing is changed. */
async function openDataDir(config: InitConfig, clock: Clock, log: Log): Promise<Opened> {
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
const rootKeyFile = (opened: Opened): string =>
  opened.chosen.rootKeyPath ?? join(opened.directory.privatePath, "root.key");

const liesBesideData = (opened: Opened): boolean => rootKeyFile(opened).startsWith(`${opened.directory.path}${sep}`);

/** Null when the root key needs a passphrase that is not known yet. */
function providerOf(opened: Opened, passphrase: string | null): SealProvider | null {
  if (opened.sealKind === "file") {
    return fileSealProvider(rootKeyFile(opened));
  }
  return passphrase === null ? null : passphraseSealProvider(passphrase);
}

function requireProvider(opened: Opened, passphrase: string | null): SealProvider {
  const provider = providerOf(opened, passphrase);
  if (provider !== null) return provider;
  throw new OperatorError(
    "A passphrase is needed: give --passphrase-file or --passphrase-fd, or run this in a terminal.",
  );
}

async function askFor(opened: Opened, ask: AskPassphrase): Promise<string | null> {
  return opened.sealKind === "passphrase" ? await ask(opened.isSealNew ? "new" : "existing") : null;
}

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

const accountsOf = (opened: Opened, { operatorOperations: operations }: Api): AccountAdministration =>
  accountAdministration({ ...opened, ...opened.chosen, operations, managementAccountId: opened.chosen.accountId });

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

/**
 * Starts a server on a data directory, making the directory if there is none. Resolves when it answers. Throws OperatorError
 * for what the operator can mend; then nothing is left running.
 */
export async function startServer(config: ServerConfig, log: Log, ask: AskPassphrase): Promise<RunningServer> {
  const realClock = systemClock();
  const testClock = config.testHooks ? movableClock(realClock) : null;
  if (testClock !== null) {
    log.warn(
      "TEST HOOKS ARE ON: whoever may use this data directory can move the server's clock. Never do this in production.",
    );
  }
  try {
    requireKnownQuotas(config.kmsQuotas);
    const opened = await openDataDir(config, testClock ?? realClock, log);
    return await startOpened({ config, opened, log, ask, realClock, testClock });
  } catch (error) {
    throw forOperator(error);
  }
}

interface Starting {
  readonly config: ServerConfig;
  readonly opened: Opened;
  readonly log: Log;
  readonly ask: AskPassphrase;
  readonly realClock: Clock;
  readonly testClock: MovableClock | null;
}

async function startOpened({ config, opened, log, ask, realClock, testClock }: Starting): Promise<RunningServer> {
  let records: RecordLog | null = null;
  let api: Api | null = null;
  let listeners: Listeners | null = null;
  try {
    // Asked before the port is open: who waits for the prompt is not served a sealed server meanwhile.
    const provider = providerOf(opened, await askFor(opened, ask));
    records = await openRecords(opened.directory);
    api = createApi({
      ...opened,
      ...opened.chosen,
      kmsQuotas: config.kmsQuotas,
      streamLimits: config.streamLimits,
      oidcHosts: config.oidcHosts,
      streamSuite: config.streamSuite,
      records,
      signatureClock: realClock,
      log,
    });
    if (provider !== null) await unseal(opened, api, provider);
    if (opened.isSealNew && opened.sealKind === "file" && liesBesideData(opened)) log.warn(KEY_BESIDE_DATA);
    listeners = await listen(config, opened, api, realClock, log);
    return await administer({ config, opened, api, records, listeners, testClock });
  } catch (error) {
    await listeners?.close(0);
    await sealAll(opened, api);
    await records?.close();
    await opened.release();
    throw error;
  }
}

/** Said when the directory is made. */
const KEY_BESIDE_DATA =
  "The root key lies in the data directory, beside the data that it protects. That protects a store that is copied without " +
  "private/, and nothing from whoever gets the whole directory. If that matters, make the directory with --seal file:PATH or " +
  "--seal passphrase. Either way keep a copy of the root key elsewhere: without it nothing can be read.";

async function unseal(opened: Opened, api: Api, provider: SealProvider): Promise<void> {
  await openDeployment({ ...opened, provider });
  api.open();
}

/** Overwrites every key, and only then waits for what ran with them: threads, background work, requests. */
async function sealAll(opened: Opened, api: Api | null): Promise<void> {
  const sealed = opened.keyring.seal();
  await Promise.all([sealed, api?.shut()]);
}

function listen(config: ServerConfig, opened: Opened, api: Api, clock: Clock, log: Log): Promise<Listeners> {
  const server = {
    handle: (request: Parameters<Api["answer"]>[0]) => api.answer(request),
    health: () =>
      opened.keyring.isSealed ? { status: 503, body: { status: "sealed" } } : { status: 200, body: { status: "ok" } },
    onError: (error: unknown) => log.error("a request failed outside its operation", error),
    clock,
  };
  return openListeners({ ...config, certificateDirectory: join(opened.directory.privatePath, "tls") }, server, log);
}

interface Running {
  readonly config: ServerConfig;
  readonly opened: Opened;
  readonly api: Api;
  readonly records: RecordLog;
  readonly listeners: Listeners;
  readonly testClock: MovableClock | null;
}

/** Opens the admin socket, writes down where the server is reached, and hands the server out. */
async function administer(running: Running): Promise<RunningServer> {
  const { opened, api, records, listeners, testClock } = running;
  const { endpoint, httpsEndpoint, caFile } = listeners;
  const describe = (): ServerState => ({
    sealed: opened.keyring.isSealed,
    endpoint,
    httpsEndpoint,
    region: opened.chosen.region,
    regions: opened.chosen.regions,
    accountId: opened.chosen.accountId,
    pid: process.pid,
  });
  const status = async (): Promise<Record<string, unknown>> => ({
    ...describe(),
    seal: opened.sealKind,
    frontEnds: listeners.frontEnds(),
    hasRootKey: (await readSealConfiguration(opened.store)) !== null,
  });
  // One after the other: a seal must not cross an unseal.
  let turn: Promise<unknown> = Promise.resolve();
  const inTurn = <T>(run: () => Promise<T>): Promise<T> => {
    const done = turn.then(run, run);
    turn = done.catch(() => undefined);
    return done;
  };
  const routes = {
    ...streamSuiteRoutes(opened),
    ...adminRoutes({
      status,
      testClock,
      why: (question) => answerWhy(opened, question),
      accounts: accountsOf(opened, api),
      streams: streamAdministration({ ...opened, ...opened.chosen, ...api, operations: api.operatorOperations }),
      isSealed: () => opened.keyring.isSealed,
      seal: () => inTurn(() => sealAll(opened, api)).finally(() => listeners.tellHealth()),
      unseal: (passphrase) =>
        inTurn(async () => {
          const provider = providerOf(opened, passphrase);
          if (provider === null)
            throw new ServiceError(
              "PassphraseRequired",
              "This server is sealed with a passphrase, and none was given.",
            );
          if (opened.keyring.isSealed) await unseal(opened, api, provider);
        }).finally(() => listeners.tellHealth()),
    }),
  };
  const admin = await openAdminSocket(opened.directory.runPath, "admin.sock", routes);
  const endpointFile = join(opened.directory.runPath, "endpoint.json");
  await writePrivateFile(endpointFile, { ...describe(), caFile });
  return {
    describe,
    async close(drainMsMax) {
      // First, so that it has the whole time of the drain to come to its end: process.exit() waits for it.
      api.expectStop();
      await rm(endpointFile, { force: true });
      await listeners.close(drainMsMax);
      await admin.close();
      await inTurn(() => sealAll(opened, api));
      await records.close();
      await opened.release();
    },
  };
}
