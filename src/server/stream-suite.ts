import type { Clock } from "../base/clock.ts";
import { ServiceError } from "../base/errors.ts";
import type { SuiteName } from "../envelope/suite.ts";
import { setStreamSuite } from "../services/kinesis/stream-suite.ts";
import type { MetadataStore } from "../store/metadata-store.ts";
import type { AdminRoutes } from "./admin-socket.ts";
import { choice } from "./stream-routes.ts";

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
      const { suite: wanted } = body;
      if (typeof wanted !== "string" || !Object.hasOwn(SUITES, wanted))
        throw new ServiceError("ValidationException", "suite must be aes, xchacha or default.");
      const { name, accountId: account, region: inRegion } = choice(body);
      const of = { accountId: account ?? chosen.accountId, region: inRegion ?? chosen.region, name };
      await setStreamSuite({ metadata: store, clock }, of, SUITES[wanted] ?? null);
      return { stream: name, accountId: of.accountId, region: of.region, suite: wanted };
    },
  };
}
