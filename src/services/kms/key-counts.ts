import type { Clock } from "../../base/clock.ts";
import type { AnyOperation, Call, QuotaValues } from "../../gateway/contract.ts";
import type { MetadataStore, StoreKey } from "../../store/metadata-store.ts";
import { limitExceeded } from "./errors.ts";
import { KEYS } from "./quotas.ts";
import { type KeyRecord, keyTable } from "./records.ts";

type Owner = Pick<KeyRecord, "accountId" | "region">;

/** Between two batches of the first count, requests get their turn. */
const BATCH = 1_000;

/**
 * How many customer managed keys each account has in each Region, for the quota. In memory: a counter in the store would
 * make all CreateKey calls of an account conflict with each other. Counted once, then kept up by whoever stores or removes
 * keys. Calls that are under way together may go over the quota by their number.
 */
export class KeyCounts {
  readonly #deps: { readonly store: MetadataStore; readonly clock: Clock; readonly quotas: QuotaValues };
  readonly #counts = new Map<string, number>();
  #counted: Promise<void> | null = null;

  constructor(deps: { readonly store: MetadataStore; readonly clock: Clock; readonly quotas: QuotaValues }) {
    this.#deps = deps;
  }

  /** Resolves when the keys that are stored are counted. Keys may be added and removed from then on. */
  counted(): Promise<void> {
    this.#counted ??= this.#countAll().catch((error: unknown) => {
      this.#counted = null;
      throw error;
    });
    return this.#counted;
  }

  /** Throws LimitExceededException when the account may have no further key in the Region. */
  async requireRoom(owner: Owner): Promise<void> {
    await this.counted();
    const countMax = await this.#deps.quotas.valueOf(owner.accountId, owner.region, "kms", KEYS);
    if (this.of(owner) >= countMax) {
      throw limitExceeded(`The account has ${countMax} KMS keys in this Region, which is its quota.`);
    }
  }

  of(owner: Owner): number {
    return this.#counts.get(nameOf(owner)) ?? 0;
  }

  /** Once a customer managed key is stored for good. AWS managed keys don't count. */
  added(owner: Owner): void {
    this.#counts.set(nameOf(owner), this.of(owner) + 1);
  }

  /** Once nothing of it is left. Until then it counts, whatever its state. */
  removed(owner: Owner): void {
    this.#counts.set(nameOf(owner), this.of(owner) - 1);
  }

  async #countAll(): Promise<void> {
    this.#counts.clear();
    const { end } = keyTable.range([]);
    let { start } = keyTable.range([]);
    for (;;) {
      const page = await this.#deps.store.range({ start, end, limit: BATCH });
      // Decoded here and not by the reader, whose cache would be full of keys that nobody asked for.
      for (const key of page.map(({ value }) => keyTable.decode(value)))
        if (key.manager === "CUSTOMER") this.added(key);
      const last = page.at(-1);
      if (page.length < BATCH || last === undefined) return;
      start = `${last.key}\u0000` as StoreKey;
      await new Promise<void>((resume) => void this.#deps.clock.after(0, resume));
    }
  }
}

const nameOf = ({ accountId, region }: Owner): string => `${accountId} ${region}`;

/** The operations with those that make customer managed keys held to the account's quota. */
export function withKeyCounts(
  operations: Readonly<Record<string, AnyOperation>>,
  counts: KeyCounts,
): Readonly<Record<string, AnyOperation>> {
  const { CreateKey, ReplicateKey } = operations;
  return {
    ...operations,
    ...(CreateKey === undefined ? {} : { CreateKey: counted(CreateKey, counts, (call) => call.region) }),
    ...(ReplicateKey === undefined
      ? {}
      : {
          ReplicateKey: counted(ReplicateKey, counts, (_call, input) => input.ReplicaRegion),
        }),
  };
}

const counted = (
  operation: AnyOperation,
  counts: KeyCounts,
  regionOf: (call: Call, input: { readonly ReplicaRegion: string }) => string,
): AnyOperation => ({
  ...operation,
  async check(context, input, target) {
    await operation.check?.(context, input, target);
    const { call } = context;
    await counts.requireRoom({ accountId: call.principal.accountId, region: regionOf(call, input) });
  },
  async handle(context, input, target) {
    const outcome = await operation.handle(context, input, target);
    const { call } = context;
    const owner = { accountId: call.principal.accountId, region: regionOf(call, input) };
    const committed = (eventId: string | null): void => {
      outcome.committed?.(eventId);
      counts.added(owner);
    };
    return { ...outcome, committed };
  },
});
