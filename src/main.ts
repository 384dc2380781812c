/** The composition root: the only file that names concrete adapters, and the one that starts and stops everything. */
import { readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { type Clock, type MovableClock, movableClock, systemClock } from "./base/clock.ts";
import { ServiceError } from "./base/errors.ts";
import { type Random, systemRandom } from "./base/random.ts";
import { DEFAULT_REGION, machineName, type SealChoice, type ServerConfig } from "./config.ts";
import { createHttpServer, type HttpServer } from "./http/server.ts";
import { loadOrCreateCertificate } from "./http/tls.ts";
import { readSealConfiguration } from "./seal/configuration.ts";
import { fileSealProvider } from "./seal/file-provider.ts";
import { Keyring } from "./seal/keyring.ts";
import { passphraseSealProvider } from "./seal/passphrase-provider.ts";
import type { SealProvider } from "./seal/provider.ts";
import { openAdminSocket } from "./server/admin-socket.ts";
import { type Api, createApi } from "./server/api.ts";
import { readOrReplaceRecord, type StoredRecord } from "./server/debug-record.ts";
import { type Deployment, openDeployment, readDeployment } from "./server/deployment.ts";
import type { Log } from "./server/log.ts";
import { writePrivateFile } from "./server/private-file.ts";
import { newAccountId } from "./services/iam/accounts.ts";
import { type DataDirectory, openDataDirectory } from "./store/data-directory.ts";
import { lockDataDirectory } from "./store/data-directory-lock.ts";
import { openLmdbMetadataStore } from "./store/lmdb-metadata-store.ts";
import { openLmdbRecordLog } from "./store/lmdb-record-log.ts";
import type { MetadataStore } from "./store/metadata-store.ts";
import type { RecordLog } from "./store/record-log.ts";

/** Asks whoever started the server for the passphrase; null when nobody can be asked. */
export type AskPassphrase = () => Promise<string | null>;

export interface ServerState {
  readonly sealed: boolean;
  readonly endpoint: string;
  readonly httpsEndpoint: string | null;
  readonly region: string;
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
  readonly chosen: Pick<Deployment, "accountId" | "region" | "rootKeyPath">;
  readonly isNew: boolean;
  release(): Promise<void>;
}

const openMetadata = (directory: DataDirectory): Promise<MetadataStore> =>
  openLmdbMetadataStore(join(directory.storePath, "metadata.mdb"));

const openRecords = (directory: DataDirectory): Promise<RecordLog> =>
  openLmdbRecordLog(join(directory.storePath, "records.mdb"));

type InitConfig = Pick<ServerConfig, "dataDir" | "region" | "accountId" | "seal">;

/** Opens the stores. Of a data directory that exists, nothing is changed. */
async function openDataDir(config: InitConfig, clock: Clock, log: Log): Promise<Opened> {
  const directory = await openDataDirectory(config.dataDir);
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
        region: config.region ?? deployment?.region ?? DEFAULT_REGION,
        rootKeyPath: rootKeyPath ?? deployment?.rootKeyPath ?? null,
      },
      isNew: deployment === null,
      release,
    };
  } catch (error) {
    await release();
    throw error;
  }
}

/** What was chosen at init cannot be chosen differently later. */
function requireSame(config: InitConfig, deployment: Deployment | null, sealKind: SealChoice["kind"] | null): void {
  if (deployment !== null && config.accountId !== null && config.accountId !== deployment.accountId) {
    throw new Error(
      `${config.dataDir} belongs to account ${deployment.accountId}, not ${config.accountId}. ` +
        "Leave --account-id out, or choose another data directory.",
    );
  }
  if (sealKind !== null && config.seal !== null && config.seal.kind !== sealKind) {
    throw new Error(
      `${config.dataDir} is sealed by ${sealKind}, not by ${config.seal.kind}. Leave --seal out, or choose another data directory.`,
    );
  }
}

/** Null when the root key needs a passphrase that is not known yet. */
function providerOf(opened: Opened, passphrase: string | null): SealProvider | null {
  if (opened.sealKind === "file") {
    return fileSealProvider(opened.chosen.rootKeyPath ?? join(opened.directory.privatePath, "root.key"));
  }
  return passphrase === null ? null : passphraseSealProvider(passphrase);
}

export interface InitResult {
  readonly created: boolean;
  readonly accountId: string;
  readonly region: string;
  readonly seal: string;
}

/** Makes a data directory without serving. One that exists stays as it is. */
export async function initialize(config: InitConfig, log: Log, ask: AskPassphrase): Promise<InitResult> {
  const opened = await openDataDir(config, systemClock(), log);
  try {
    const { accountId, region } = opened.chosen;
    if (opened.isNew) {
      const provider = providerOf(opened, opened.sealKind === "passphrase" ? await ask() : null);
      if (provider === null)
        throw new Error(
          "A passphrase is needed: give --passphrase-file or --passphrase-fd, or run this in a terminal.",
        );
      await openDeployment({ ...opened, provider });
      await opened.keyring.seal();
    }
    return { created: opened.isNew, accountId, region, seal: opened.sealKind };
  } finally {
    await opened.release();
  }
}

/**
 * The stored bytes of one record, after they were replaced if a replacement is given. Needs no key, and no server may run
 * on the directory meanwhile.
 */
export async function storedRecord(record: StoredRecord, replacement: Uint8Array | null): Promise<Uint8Array> {
  const directory = await openDataDirectory(record.dataDir);
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

/** Starts a server on a data directory, making the directory if there is none. Resolves when it answers. */
export async function startServer(config: ServerConfig, log: Log, ask: AskPassphrase): Promise<RunningServer> {
  const realClock = systemClock();
  const testClock = config.testHooks ? movableClock(realClock) : null;
  if (testClock !== null) {
    log.warn(
      "TEST HOOKS ARE ON: whoever may use this data directory can move the server's clock. Never do this in production.",
    );
  }
  const opened = await openDataDir(config, testClock ?? realClock, log);
  let records: RecordLog | null = null;
  try {
    // Asked before the port is open: who waits for the prompt is not served a sealed server meanwhile.
    const provider = providerOf(opened, opened.sealKind === "passphrase" ? await ask() : null);
    records = await openRecords(opened.directory);
    const api = createApi({ ...opened, ...opened.chosen, records, signatureClock: realClock, log });
    if (provider !== null) await unseal(opened, api, provider);
    const listeners = await listen(config, opened, api, realClock, log);
    return await administer({ config, opened, api, records, listeners, testClock });
  } catch (error) {
    await opened.keyring.seal();
    await records?.close();
    await opened.release();
    throw error;
  }
}

async function unseal(opened: Opened, api: Api, provider: SealProvider): Promise<void> {
  await openDeployment({ ...opened, provider });
  api.open();
}

interface Listeners {
  readonly http: HttpServer;
  readonly https: HttpServer | null;
  readonly endpoint: string;
  readonly httpsEndpoint: string | null;
  readonly caFile: string | null;
}

async function listen(config: ServerConfig, opened: Opened, api: Api, clock: Clock, log: Log): Promise<Listeners> {
  const options = {
    handle: (request: Parameters<Api["answer"]>[0]) => api.answer(request),
    health: () =>
      opened.keyring.isSealed ? { status: 503, body: { status: "sealed" } } : { status: 200, body: { status: "ok" } },
    onError: (error: unknown) => log.error("a request failed outside its operation", error),
    clock,
  };
  if (config.httpHost !== "127.0.0.1") {
    log.warn(
      `Plain HTTP is open on ${config.httpHost}: payloads and answers can be read on the way. Use --https-port instead.`,
    );
  }
  const http = createHttpServer(options);
  const plain = await http.listen(config.port, config.httpHost);
  const endpoint = `http://${hostInUrl(config.httpHost)}:${plain.port}`;
  if (config.httpsPort === null) return { http, https: null, endpoint, httpsEndpoint: null, caFile: null };

  const certificate = await certificateOf(config, opened, clock);
  const https = createHttpServer({ ...options, tls: certificate });
  const secure = await https.listen(config.httpsPort, config.host);
  return {
    http,
    https,
    endpoint,
    httpsEndpoint: `https://${hostInUrl(config.host)}:${secure.port}`,
    caFile: certificate.caFile,
  };
}

async function certificateOf(
  config: ServerConfig,
  opened: Opened,
  clock: Clock,
): Promise<{ readonly key: string; readonly cert: string; readonly caFile: string | null }> {
  if (config.certificate !== null) {
    const { certificateFile, keyFile, caFile } = config.certificate;
    return { cert: await readFile(certificateFile, "utf8"), key: await readFile(keyFile, "utf8"), caFile };
  }
  const directory = join(opened.directory.privatePath, "tls");
  return await loadOrCreateCertificate({ directory, hosts: [config.host, machineName()], clock });
}

/** An address that listens on everything is reached by the loopback address on this machine. */
function hostInUrl(host: string): string {
  if (host === "0.0.0.0" || host === "::") return "127.0.0.1";
  return host.includes(":") ? `[${host}]` : host;
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
    accountId: opened.chosen.accountId,
    pid: process.pid,
  });
  const status = (): Promise<Record<string, unknown>> => Promise.resolve({ ...describe(), seal: opened.sealKind });
  // One after the other: a seal must not cross an unseal.
  let turn: Promise<unknown> = Promise.resolve();
  const inTurn = <T>(run: () => Promise<T>): Promise<T> => {
    const done = turn.then(run, run);
    turn = done.catch(() => undefined);
    return done;
  };
  const admin = await openAdminSocket(join(opened.directory.runPath, "admin.sock"), {
    "GET /status": status,
    "POST /seal": () =>
      inTurn(async () => {
        await api.shut();
        await opened.keyring.seal();
        return status();
      }),
    "POST /unseal": (body) =>
      inTurn(async () => {
        const passphrase = typeof body["passphrase"] === "string" ? body["passphrase"] : null;
        const provider = providerOf(opened, passphrase);
        if (provider === null)
          throw new ServiceError("PassphraseRequired", "This server is sealed with a passphrase, and none was given.");
        if (opened.keyring.isSealed) await unseal(opened, api, provider);
        return status();
      }),
    "POST /test/clock": (body) => {
      const advanceMs = body["advanceMs"];
      if (testClock === null)
        throw new ServiceError("TestHooksOff", "This server runs without --test-hooks: its clock cannot be moved.");
      if (typeof advanceMs !== "number" || !Number.isSafeInteger(advanceMs) || advanceMs < 0) {
        throw new ServiceError("ValidationException", "advanceMs must be a whole number of at least 0.");
      }
      testClock.advance(advanceMs);
      return Promise.resolve({ nowMs: testClock.wallMs() });
    },
  });
  const endpointFile = join(opened.directory.runPath, "endpoint.json");
  await writePrivateFile(endpointFile, { ...describe(), caFile });
  return {
    describe,
    async close(drainMsMax) {
      await rm(endpointFile, { force: true });
      await Promise.all([listeners.http.close(drainMsMax), listeners.https?.close(drainMsMax)]);
      await admin.close();
      await inTurn(() => api.shut());
      await opened.keyring.seal();
      await records.close();
      await opened.release();
    },
  };
}
