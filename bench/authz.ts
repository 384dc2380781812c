import { createAuthenticator } from "../src/authn/authenticator.ts";
import type { Credential } from "../src/authn/credentials.ts";
import { systemClock } from "../src/base/clock.ts";
import { decisionCases } from "./authz-cases.ts";
import { prepareRequests, type UserRequest, type UserRequests } from "./authz-requests.ts";
import { Connections, median, runSlice } from "./support/load.ts";
import { number, tableText } from "./support/report.ts";
import { cpuTimeUs, type Target } from "./support/server-process.ts";
import type { BenchOptions } from "./streams.ts";

const CONNECTIONS = 16;
const WARM_UP_MS = 1500;
/** In each round. */
const DECISIONS = 10_000;
const SIGNATURES = 3_000;
/** The case whose policies the server has. */
const SERVER_CASE = "conditions, allow";

interface Row {
  readonly name: string;
  readonly cpuUs: number;
}

interface ShareRow {
  readonly name: string;
  /** NaN where the server's CPU time cannot be seen. */
  readonly serverCpuUs: number;
  readonly decisionShare: number;
  readonly signatureShare: number;
}

/**
 * What a decision and a check of a signature cost by themselves, and of whole requests to a server that makes one of each. All
 * of it in the same rounds, because machines change their speed over minutes.
 */
export async function benchAuthz(target: Target, options: BenchOptions): Promise<Readonly<Record<string, unknown>>> {
  const connections = new Connections(target.endpoint, CONNECTIONS);
  try {
    const user = await prepareRequests(target, connections);
    const decisions = decisionCases();
    const checks = user.requests.map((request) => ({
      name: `signature of ${request.name}`,
      check: signatureCheck(user, request),
    }));
    const send = async ({ signed }: UserRequest, durationMs: number): Promise<number> => {
      const slice = await runSlice(CONNECTIONS, durationMs, async () => {
        await connections.call(signed);
        return 1;
      });
      return slice.records;
    };
    for (const { run } of decisions) await timed(DECISIONS, run);
    for (const { check } of checks) await timed(SIGNATURES, check);
    for (const request of user.requests) await send(request, WARM_UP_MS);

    const measured = new Map<string, number[]>();
    const note = (name: string, cpuUs: number): void => void measured.set(name, [...(measured.get(name) ?? []), cpuUs]);
    for (let round = 0; round < options.rounds; round++) {
      for (const { name, run } of decisions) note(name, await timed(DECISIONS, run));
      for (const { name, check } of checks) note(name, await timed(SIGNATURES, check));
      for (const request of user.requests) {
        const before = serverCpuUs(target);
        const count = await send(request, options.seconds * 1000);
        note(request.name, (serverCpuUs(target) - before) / Math.max(1, count));
      }
      options.progress(`round ${round + 1} of ${options.rounds}`);
    }
    return resultOf(measured, user.requests);
  } finally {
    connections.close();
  }
}

function resultOf(
  measured: ReadonlyMap<string, readonly number[]>,
  requests: readonly UserRequest[],
): Readonly<Record<string, unknown>> {
  const us = (name: string): number => median(measured.get(name) ?? []);
  const rows = (names: readonly string[]): readonly Row[] => names.map((name) => ({ name, cpuUs: us(name) }));
  const shares: readonly ShareRow[] = requests.map(({ name }) => ({
    name,
    serverCpuUs: us(name),
    decisionShare: us(SERVER_CASE) / us(name),
    signatureShare: us(`signature of ${name}`) / us(name),
  }));
  return {
    suite: "authz",
    decisions: rows(decisionCases().map(({ name }) => name)),
    signatures: rows(requests.map(({ name }) => `signature of ${name}`)),
    requests: shares,
  };
}

const serverCpuUs = ({ pid }: Target): number => (pid === null ? Number.NaN : cpuTimeUs(pid));

/** CPU time of one run, in microseconds, of all threads: what is left to the collector counts. */
async function timed(count: number, run: () => unknown): Promise<number> {
  const before = process.cpuUsage();
  for (let index = 0; index < count; index++) {
    const answer = run();
    // Waiting for what is there already would be measured, too.
    if (answer instanceof Promise) await answer;
  }
  const used = process.cpuUsage(before);
  return (used.user + used.system) / count;
}

/** The server's own check of a request, with the signing key at hand as it is from the second request on. */
function signatureCheck({ credentials }: UserRequests, { service, signed }: UserRequest): () => Promise<unknown> {
  const credential: Credential = {
    accessKeyId: credentials.accessKeyId,
    openSecret: () => new Uint8Array(Buffer.from(credentials.secretAccessKey, "utf8")),
    active: true,
    principal: { type: "User", arn: "arn:aws:iam::111122223333:user/ann", accountId: "111122223333", userId: "AIDA" },
    version: "1",
  };
  const authenticator = createAuthenticator({
    credentials: { find: async () => credential },
    signatureClock: systemClock(),
    regions: [credentials.region],
  });
  const request = {
    method: "POST",
    target: signed.path,
    headers: Object.entries(signed.headers),
    body: signed.body,
    sourceIp: "127.0.0.1",
    secureTransport: false,
  };
  return () => authenticator.authenticate(request, { signingName: service, protocol: "awsJson1.1" });
}

/** The result as text for people. */
export function authzText(result: Readonly<Record<string, unknown>>): string {
  const decisions = result["decisions"] as readonly Row[];
  const signatures = result["signatures"] as readonly Row[];
  const requests = result["requests"] as readonly ShareRow[];
  const cells = ({ name, cpuUs }: Row): readonly string[] => [name, number(cpuUs, 2)];
  const percent = (share: number): string => `${number(share * 100)} %`;
  return [
    "Decisions: four statements in the caller's policy and four in the key's; medians over rounds",
    tableText(["case", "CPU us"], decisions.map(cells)),
    "",
    "Checks of a signature, body of 1.4 KB",
    tableText(["case", "CPU us"], signatures.map(cells)),
    "",
    `Their shares in whole requests of ${CONNECTIONS} connections, by a user with the policies of "${SERVER_CASE}"`,
    tableText(
      ["request", "server CPU us/request", "decision", "signature"],
      requests.map((row) => [
        row.name,
        number(row.serverCpuUs, 0),
        percent(row.decisionShare),
        percent(row.signatureShare),
      ]),
    ),
  ].join("\n");
}
