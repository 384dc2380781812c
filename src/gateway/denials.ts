import type { Clock } from "../base/clock.ts";
import type { ServiceError } from "../base/errors.ts";
import type { MetadataStore, Write } from "../store/metadata-store.ts";
import { table } from "../store/table.ts";
import type { Table } from "../store/table.ts";
import type { AccessCheck, Call } from "./contract.ts";
import { AccessDenial, type DenialRecord, denialRecord, ownDenialRecord } from "./denial-record.ts";

/** How long a denial can be asked about. */
export const DENIAL_DAYS = 7;
const DAY_MS = 86_400_000;
const KEPT_MS = DENIAL_DAYS * DAY_MS;
/** How many are kept of each account's callers: a flood pushes out its own account's older ones and grows no further. */
export const DENIALS_PER_ACCOUNT_MAX = 2_000;
const PRUNE_INTERVAL_MS = 60 * 60 * 1000;
const CHUNK_COUNT = 100;
/** One request may be denied several times (each of its records in vain); nobody reads more than this. */
const FOUND_COUNT_MAX = 20;
/** How far an error is followed to what caused it. */
const CAUSE_DEPTH_MAX = 4;
/** What services call a denial that is their own. */
const OWN_DENIALS: ReadonlySet<string> = new Set(["AccessDenied", "AccessDeniedException"]);
const TIME_DIGITS = 15;
const ID = /^[0-9a-f-]{36}$/;

/** A denial, or another name for one: the request that passed an inner call's denial on to its own caller. */
type DenialRow =
  | { readonly ids: readonly string[]; readonly denial: DenialRecord }
  | { readonly ids: readonly string[]; readonly of: string };

/** By account and order key. They are lines of a log: nothing that is decided or remembered reads them. */
const denialRows: Table<DenialRow> = table<DenialRow>("gateway.denial");
/** By id (of a request or an event), account and order key. */
const denialIds: Table<null> = table<null>("gateway.denial-id");

const asLine = (write: Write): Write => ({ ...write, isLogLine: true });

/** Which denials are listed. */
export interface DenialFilter {
  /** Part of the caller's ARN, unique id or, for a session, role's ARN. */
  readonly principal?: string;
  /** The caller's or the resource's. */
  readonly accountId?: string;
}

/** Where denials are kept for those who ask why. */
export interface Denials {
  /**
   * The writes that record the denial which a call was refused with, itself or through an inner call; none when it was
   * refused for something else. To be committed with the refusal's audit event. `checks`: what was asked for permission.
   */
  entries(
    call: Call,
    refusal: ServiceError,
    eventId: string,
    checks: readonly AccessCheck[],
  ): Promise<readonly Write[]>;
  /** The denials of a request id or an event id, oldest first. */
  find(id: string): Promise<readonly DenialRecord[]>;
  /** The last denials, newest first, and how many more there are. */
  latest(
    count: number,
    filter?: DenialFilter,
  ): Promise<{ readonly denials: readonly DenialRecord[]; readonly more: number }>;
  /** Forgets what is too old, now and then. The returned function stops that and waits. */
  start(): () => Promise<void>;
}

export interface DenialsDeps {
  readonly store: Pick<MetadataStore, "get" | "range" | "commit">;
  readonly clock: Clock;
  readonly onError: (error: unknown) => void;
}

export function createDenials(deps: DenialsDeps): Denials {
  const { clock } = deps;
  const rings = new Map<string, Promise<string[]>>();
  /** The order keys of an account's rows, oldest first. */
  const ringOf = (accountId: string): Promise<string[]> => {
    const known = rings.get(accountId) ?? loadRing(deps, accountId);
    rings.set(accountId, known);
    // A read that failed is tried again with the next denial.
    known.catch(() => rings.delete(accountId));
    return known;
  };

  /** The writes of one row, and of the removal of those that it pushes out. */
  const put = async (accountId: string, order: string, row: DenialRow): Promise<readonly Write[]> => {
    const ring = await ringOf(accountId);
    ring.push(order);
    const pushedOut = ring.splice(0, Math.max(0, ring.length - DENIALS_PER_ACCOUNT_MAX));
    return [
      asLine(denialRows.put([accountId, order], row)),
      ...row.ids.map((id) => asLine(denialIds.put([id, accountId, order], null))),
      ...(await Promise.all(pushedOut.map((old) => removal(deps, accountId, old)))).flat(),
    ];
  };

  return {
    async entries(call, refusal, eventId, checks) {
      const denial = denialBehind(refusal);
      const nowMs = clock.wallMs();
      const order = orderOf(nowMs, eventId);
      if (denial === null) {
        if (!OWN_DENIALS.has(refusal.code)) return [];
        const record = ownDenialRecord(call, checks, refusal, eventId, nowMs);
        return await put(record.accountId, order, { ids: [record.requestId, eventId], denial: record });
      }
      if (denial.recorded === null) {
        const record = denialRecord(denial.denied, eventId, nowMs);
        denial.recorded = { accountId: record.accountId, order, requestId: record.requestId };
        return await put(record.accountId, order, { ids: [record.requestId, eventId], denial: record });
      }
      // Several requests may have waited for one inner call: each is told of its denial under its own id.
      const { accountId, requestId, order: of } = denial.recorded;
      const own = call.via?.requestId ?? call.requestId;
      return await put(accountId, order, { ids: own === requestId ? [eventId] : [own, eventId], of });
    },
    find: (id) => find(deps, id),
    latest: (count, filter = {}) => latest(deps, count, filter),
    start() {
      let running: Promise<void> = Promise.resolve();
      let stopped = false;
      let cancel = (): void => undefined;
      const prune = (): void => {
        running = pruneAll(deps, rings)
          .catch(deps.onError)
          .finally(() => {
            if (!stopped) cancel = clock.after(PRUNE_INTERVAL_MS, prune);
          });
      };
      cancel = clock.after(PRUNE_INTERVAL_MS, prune);
      return async () => {
        stopped = true;
        cancel();
        await running;
      };
    },
  };
}

const orderOf = (timeMs: number, eventId: string): string =>
  `${String(Math.max(0, Math.floor(timeMs))).padStart(TIME_DIGITS, "0")}-${eventId}`;

const oldestOrder = (clock: Clock): string => orderOf(clock.wallMs() - KEPT_MS, "");

function denialBehind(refusal: unknown): AccessDenial | null {
  let error = refusal;
  for (let depth = 0; depth < CAUSE_DEPTH_MAX && error instanceof Error; depth++) {
    if (error instanceof AccessDenial) return error;
    error = error.cause;
  }
  return null;
}

async function loadRing({ store }: DenialsDeps, accountId: string): Promise<string[]> {
  const orders: string[] = [];
  let { start } = denialRows.range([accountId]);
  const { end } = denialRows.range([accountId]);
  for (;;) {
    const entries = await store.range({ start, end, limit: CHUNK_COUNT });
    for (const { key } of entries) orders.push(denialRows.idOf(key)[1] ?? "");
    if (entries.length < CHUNK_COUNT) return orders;
    start = denialRows.range([accountId, orders.at(-1) ?? ""]).start;
  }
}

async function removal(
  { store }: Pick<DenialsDeps, "store">,
  accountId: string,
  order: string,
): Promise<readonly Write[]> {
  const bytes = await store.get(denialRows.key([accountId, order]));
  if (bytes === null) return [];
  const { ids } = denialRows.decode(bytes);
  return [
    asLine(denialRows.remove([accountId, order])),
    ...ids.map((id) => asLine(denialIds.remove([id, accountId, order]))),
  ];
}

async function find({ store, clock }: DenialsDeps, id: string): Promise<readonly DenialRecord[]> {
  const wanted = id.toLowerCase();
  if (!ID.test(wanted)) return [];
  const entries = await store.range({ ...denialIds.range([wanted]), limit: FOUND_COUNT_MAX });
  const found = new Map<string, DenialRecord>();
  for (const { key } of entries) {
    const [, accountId = "", order = ""] = denialIds.idOf(key);
    const row = await read(store, accountId, order);
    const denial = row !== null && "of" in row ? await read(store, accountId, row.of) : row;
    if (denial !== null && "denial" in denial && isKept(denial.denial, clock)) {
      found.set(denial.denial.eventId, denial.denial);
    }
  }
  return [...found.values()].sort((a, b) => a.timeMs - b.timeMs);
}

async function read(store: DenialsDeps["store"], accountId: string, order: string): Promise<DenialRow | null> {
  const bytes = await store.get(denialRows.key([accountId, order]));
  return bytes === null ? null : denialRows.decode(bytes);
}

const isKept = (record: DenialRecord, clock: Clock): boolean => record.timeMs >= clock.wallMs() - KEPT_MS;

async function latest(
  { store, clock }: DenialsDeps,
  count: number,
  filter: DenialFilter,
): Promise<{ readonly denials: readonly DenialRecord[]; readonly more: number }> {
  let found: DenialRecord[] = [];
  let total = 0;
  for await (const accountId of accounts(store)) {
    const start = denialRows.range([accountId, oldestOrder(clock)]).start;
    let { end } = denialRows.range([accountId]);
    for (;;) {
      const rows = await store.range({ start, end, limit: CHUNK_COUNT, reverse: true });
      for (const { value } of rows) {
        const row = denialRows.decode(value);
        if (!("denial" in row) || !isKept(row.denial, clock) || !passes(row.denial, filter)) continue;
        found.push(row.denial);
        total += 1;
      }
      // No more is held than what is asked for and a chunk.
      found = found.sort((a, b) => b.timeMs - a.timeMs).slice(0, count);
      const last = rows.at(-1);
      if (last === undefined || rows.length < CHUNK_COUNT) break;
      end = last.key;
    }
  }
  return { denials: found, more: total - found.length };
}

function passes(denial: DenialRecord, { principal, accountId }: DenialFilter): boolean {
  if (accountId !== undefined && denial.accountId !== accountId && denial.resourceAccountId !== accountId) return false;
  if (principal === undefined) return true;
  const role = denial.conditions.find(({ key }) => key === "aws:PrincipalArn")?.values ?? [];
  return [denial.principal.arn, denial.principal.id, ...role].some((name) => name.includes(principal));
}

/** The accounts that have rows. */
async function* accounts(store: DenialsDeps["store"]): AsyncGenerator<string> {
  let { start } = denialRows.range([]);
  const { end } = denialRows.range([]);
  for (;;) {
    const [first] = await store.range({ start, end, limit: 1 });
    if (first === undefined) return;
    const accountId = denialRows.idOf(first.key)[0] ?? "";
    yield accountId;
    start = denialRows.range([accountId]).end;
  }
}

async function pruneAll(deps: DenialsDeps, rings: ReadonlyMap<string, Promise<string[]>>): Promise<void> {
  const oldest = oldestOrder(deps.clock);
  for await (const accountId of accounts(deps.store)) {
    const ring = await rings.get(accountId);
    if (ring !== undefined) {
      const firstKept = ring.findIndex((order) => order >= oldest);
      ring.splice(0, firstKept < 0 ? ring.length : firstKept);
    }
    for (;;) {
      const old = await deps.store.range({
        start: denialRows.range([accountId]).start,
        end: denialRows.key([accountId, oldest]),
        limit: CHUNK_COUNT,
      });
      if (old.length === 0) break;
      const writes = old.flatMap(({ key, value }) => [
        asLine({ key, value: null }),
        ...denialRows.decode(value).ids.map((id) => asLine(denialIds.remove([id, ...denialRows.idOf(key)]))),
      ]);
      await deps.store.commit({ expect: [], writes });
    }
  }
}
