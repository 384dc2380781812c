import type { Clock } from "../base/clock.ts";
import { ServiceError } from "../base/errors.ts";
import type { SuiteName } from "../envelope/suite.ts";
import { setStreamSuite } from "../services/kinesis/stream-suite.ts";
import type { MetadataStore } from "../store/metadata-store.ts";
import type { AdminRoutes } from "./admin-socket.ts";

interface StreamSuiteDeps {
  readonly store: MetadataStore;
  readonly clock: Clock;
  readonly chosen: { readonly accountId: string; readonly region: string };
}

const SUITES: Readonly<Record<string, SuiteName | null>> = { aes: "aes", xchacha: "xchacha", default: null };

/** What `waxseal stream suite` asks of a running server. No key is needed, so that a sealed one does it, too. */
export function streamSuiteRoutes({ store, clock, chosen }: StreamSuiteDeps): AdminRoutes {
  return {
    "POST /streams/suite": async (body) => {
      const { stream, suite: wanted } = body;
      if (typeof wanted !== "string" || !Object.hasOwn(SUITES, wanted))
        throw new ServiceError("ValidationException", "suite must be aes, xchacha or default.");
      if (typeof stream !== "string" || !/^[a-zA-Z0-9_.-]{1,128}$/.test(stream))
        throw new ServiceError("ValidationException", "stream must be the name of a stream.");
      const accountId = named(body, "accountId", /^\d{12}$/) ?? chosen.accountId;
      const region = named(body, "region", /^[a-z0-9-]{1,32}$/) ?? chosen.region;
      await setStreamSuite({ metadata: store, clock }, { accountId, region, name: stream }, SUITES[wanted] ?? null);
      return { stream, accountId, region, suite: wanted };
    },
  };
}

function named(body: Readonly<Record<string, unknown>>, field: string, pattern: RegExp): string | null {
  const value = body[field] ?? null;
  if (value === null) return null;
  if (typeof value === "string" && pattern.test(value)) return value;
  throw new ServiceError("ValidationException", `${field} is not one.`);
}
