import { ServiceError } from "../base/errors.ts";
import type { ShardCursor } from "../services/kinesis/shard-walk.ts";
import type { AdminRoutes } from "./admin-socket.ts";
import type { StreamAdministration, StreamChoice } from "./streams.ts";

/** What `waxseal stream` asks of a running server. */
export function streamRoutes(streams: StreamAdministration, isSealed: () => boolean): AdminRoutes {
  return {
    "POST /streams/report": async (body) => ({ ...(await streams.report(choice(body), cursor(body["cursor"]))) }),
    "POST /streams/reseal": async (body) => {
      if (isSealed()) {
        throw new ServiceError("Sealed", "The server is sealed. Open it first, with: npx waxseal unseal", {
          status: 503,
        });
      }
      return { ...(await streams.reseal(choice(body))) };
    },
    "POST /streams/reseal-status": async (body) => ({ ...(await streams.resealStatus(choice(body))) }),
    "POST /streams/cost": async (body) => ({ ...(await streams.cost(idParts(body["after"]))) }),
  };
}

const refused = (what: string): ServiceError => new ServiceError("ValidationException", `Not ${what}.`);

const matching = (value: unknown, pattern: RegExp, what: string): string => {
  if (typeof value !== "string" || !pattern.test(value)) throw refused(what);
  return value;
};

/** Which stream a request is about. Throws ValidationException. */
export const choice = (body: Record<string, unknown>): StreamChoice => ({
  name: matching(body["stream"], /^[a-zA-Z0-9_.-]{1,128}$/, "the name of a stream"),
  accountId: (body["accountId"] ?? null) === null ? null : matching(body["accountId"], /^\d{12}$/, "an account id"),
  region: (body["region"] ?? null) === null ? null : matching(body["region"], /^[a-z0-9-]{1,32}$/, "a Region"),
});

const isIndex = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;

function cursor(value: unknown): ShardCursor | null {
  if (value === undefined || value === null) return null;
  const { shardIndex, index, untilIndex = null } = value as Partial<ShardCursor>;
  if (!isIndex(shardIndex) || !isIndex(index) || (untilIndex !== null && !isIndex(untilIndex))) {
    throw refused("a cursor of this report");
  }
  return { shardIndex, index, untilIndex };
}

function idParts(value: unknown): readonly string[] | null {
  if (value === undefined || value === null) return null;
  if (!Array.isArray(value) || value.length !== 3) throw refused("a place in this listing");
  return value.map((part) => matching(part, /^[\u0020-\u007e]{1,400}$/, "a place in this listing"));
}
