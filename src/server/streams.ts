/**
 * What who owns the data directory may ask about streams: which keys seal what, to have it sealed under the present key, and
 * what KMS was called for. Nothing here gives out a record or a key: what is opened is sealed again in the same step, with
 * the permission of KMS (docs/decisions/0008).
 */
import { accountRootArn } from "../base/arn.ts";
import type { Clock } from "../base/clock.ts";
import { ServiceError } from "../base/errors.ts";
import type { Random } from "../base/random.ts";
import type { Call } from "../gateway/contract.ts";
import type { Operations } from "../gateway/operations.ts";
import type { ReportInput, ReportOutput } from "../services/kinesis/encryption-report.ts";
import { type KmsUse, USD_PER_10_000_REQUESTS, usdOf } from "../services/kinesis/kms-use.ts";
import type { ResealInput, ResealStatus } from "../services/kinesis/operations/reseal.ts";
import type { ShardCursor } from "../services/kinesis/shard-walk.ts";
import type { Reader } from "../store/table.ts";

/** Which stream. Null: the deployment's first account, its default Region. */
export interface StreamChoice {
  readonly name: string;
  readonly accountId: string | null;
  readonly region: string | null;
}

/** Calls of one operation with one key for one stream in one month. */
export interface CostLine {
  /** `2026-11`, UTC. */
  readonly month: string;
  readonly streamArn: string;
  readonly keyArn: string;
  readonly operation: string;
  readonly calls: number;
  readonly usd: number;
}

export interface CostPage {
  readonly lines: readonly CostLine[];
  readonly usdPer10000Requests: number;
  /** What to give for the next page; null: there is none. */
  readonly next: readonly string[] | null;
}

/** What throws is a ServiceError, as a caller of the operation would see it. */
export interface StreamAdministration {
  /** One step of the report. */
  report(stream: StreamChoice, cursor: ShardCursor | null): Promise<ReportOutput>;
  reseal(stream: StreamChoice): Promise<{ readonly resealId: string }>;
  resealStatus(stream: StreamChoice): Promise<ResealStatus>;
  cost(after: readonly string[] | null): Promise<CostPage>;
}

export interface StreamAdministrationDeps {
  readonly operations: Operations;
  readonly kmsUse: KmsUse;
  readonly reader: Reader;
  readonly accountId: string;
  /** The default first. */
  readonly regions: readonly string[];
  readonly clock: Clock;
  readonly random: Random;
}

/** One answer of the socket stays small. */
const COST_PAGE_COUNT = 200;

const usdLine = (
  [month = "", streamArn = "", keyArn = ""]: readonly string[],
  operation: string,
  calls: number,
): CostLine => ({
  month,
  streamArn,
  keyArn,
  operation,
  calls,
  usd: usdOf(calls),
});

export function streamAdministration(deps: StreamAdministrationDeps): StreamAdministration {
  const run = (stream: StreamChoice, operation: string, input: object): Promise<unknown> =>
    deps.operations.run(callOf(deps, stream, operation), () => input);
  return {
    report: async (stream, cursor) =>
      (await run(stream, "ReportStreamEncryption", {
        StreamName: stream.name,
        cursor,
      } satisfies ReportInput)) as ReportOutput,
    reseal: async (stream) =>
      (await run(stream, "ResealStream", { StreamName: stream.name } satisfies ResealInput)) as { resealId: string },
    resealStatus: async (stream) =>
      (await run(stream, "DescribeStreamReseal", { StreamName: stream.name } satisfies ResealInput)) as ResealStatus,
    async cost(after) {
      const page = await deps.kmsUse.page(deps.reader, after ?? undefined, COST_PAGE_COUNT);
      const lines = page.flatMap(({ id, value }) =>
        Object.entries(value.calls).map(([operation, calls]) => usdLine(id, operation, calls)),
      );
      const next = page.length < COST_PAGE_COUNT ? null : (page.at(-1)?.id ?? null);
      return { lines, usdPer10000Requests: USD_PER_10_000_REQUESTS, next };
    },
  };
}

/** As the root of the account that owns the stream, so that the event says in whose name it was done, and by which way. */
function callOf(deps: StreamAdministrationDeps, stream: StreamChoice, operation: string): Call {
  const accountId = stream.accountId ?? deps.accountId;
  const region = stream.region ?? deps.regions[0] ?? "";
  if (!deps.regions.includes(region)) {
    throw new ServiceError("ValidationException", `This server does not serve the Region ${region}.`);
  }
  return {
    requestId: deps.random.uuid(),
    principal: { type: "Root", arn: accountRootArn(accountId), accountId, userId: accountId },
    region,
    service: "kinesis",
    operation,
    nowMs: deps.clock.wallMs(),
    sourceIp: "127.0.0.1",
    userAgent: "waxseal stream",
    secureTransport: true,
  };
}
