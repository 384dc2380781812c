import type { MovableClock } from "../base/clock.ts";
import { ServiceError } from "../base/errors.ts";
import { accountRoutes } from "./account-routes.ts";
import type { AccountAdministration } from "./accounts.ts";
import type { AdminRoutes } from "./admin-socket.ts";
import { streamRoutes } from "./stream-routes.ts";
import type { StreamAdministration } from "./streams.ts";
import type { WhyAnswer } from "./why.ts";

/** What whoever owns the data directory may ask of the running server. */
export interface Administered {
  readonly status: () => Promise<Record<string, unknown>>;
  readonly seal: () => Promise<void>;
  /** Opens a sealed server; does nothing to an open one. `passphrase` is null when none was given. */
  readonly unseal: (passphrase: string | null) => Promise<void>;
  /** The denials of a request or event; without an id the latest. */
  readonly why: (question: Readonly<Record<string, unknown>>) => Promise<WhyAnswer>;
  readonly accounts: AccountAdministration;
  readonly streams: StreamAdministration;
  readonly isSealed: () => boolean;
  /** Null without test hooks. */
  readonly testClock: MovableClock | null;
}

/** Two years: periodic work in between runs as often as it would have. */
const CLOCK_ADVANCE_MS_MAX = 2 * 366 * 24 * 60 * 60 * 1000;

/** The admin socket's routes. */
export function adminRoutes(administered: Administered): AdminRoutes {
  const { status, seal, unseal, why, testClock } = administered;
  return {
    ...accountRoutes(administered.accounts, administered.isSealed),
    ...streamRoutes(administered.streams, administered.isSealed),
    "GET /status": status,
    "POST /seal": async () => {
      await seal();
      return await status();
    },
    "POST /unseal": async (body) => {
      await unseal(typeof body["passphrase"] === "string" ? body["passphrase"] : null);
      return await status();
    },
    "POST /why": async (body) => ({ ...(await why(body)) }),
    "POST /test/clock": (body) => Promise.resolve({ nowMs: advance(testClock, body["advanceMs"]) }),
  };
}

function advance(testClock: MovableClock | null, advanceMs: unknown): number {
  if (testClock === null)
    throw new ServiceError("TestHooksOff", "This server runs without --test-hooks: its clock cannot be moved.");
  if (
    typeof advanceMs !== "number" ||
    !Number.isInteger(advanceMs) ||
    advanceMs < 0 ||
    advanceMs > CLOCK_ADVANCE_MS_MAX
  ) {
    throw new ServiceError(
      "ValidationException",
      `advanceMs must be a whole number from 0 to ${CLOCK_ADVANCE_MS_MAX}.`,
    );
  }
  testClock.advance(advanceMs);
  return testClock.wallMs();
}
