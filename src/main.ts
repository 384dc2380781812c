/** The composition root of a server: the one that starts and stops everything. */
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { type Clock, type MovableClock, movableClock, systemClock } from "./base/clock.ts";
import { ServiceError } from "./base/errors.ts";
import type { ServerConfig } from "./config.ts";
import {
  accountsOf,
  askFor,
  type AskPassphrase,
  forOperator,
  liesBesideData,
  openDataDir,
  type Opened,
  openRecords,
  providerOf,
  sealAll,
} from "./opened.ts";
import { readSealConfiguration } from "./seal/configuration.ts";
import type { SealProvider } from "./seal/provider.ts";
import { openAdminSocket } from "./server/admin-socket.ts";
import { adminRoutes } from "./server/administration.ts";
import { type Api, createApi } from "./server/api.ts";
import { openDeployment } from "./server/deployment.ts";
import { type Listeners, openListeners } from "./server/listeners.ts";
import type { Log } from "./server/log.ts";
import { writePrivateFile } from "./server/private-file.ts";
import { requireKnownQuotas } from "./server/quotas.ts";
import { streamSuiteRoutes } from "./server/stream-suite.ts";
import { streamAdministration } from "./server/streams.ts";
import { answerWhy } from "./server/why.ts";
import type { RecordLog } from "./store/record-log.ts";

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
