import type { Clock } from "../base/clock.ts";
import type { MetadataBytes, MetadataStore, StoreKey } from "../store/metadata-store.ts";
import { table } from "../store/table.ts";
import type { Table } from "../store/table.ts";
import { attributesOf, hasAttribute } from "./event-attributes.ts";
import type { AuditEvent, FoundEvent, LookupPage, LookupQuery } from "./event.ts";
import type { AuditLog } from "./log.ts";
import { identityText, storableText } from "./redaction.ts";

/**
 * By recipient account, Region and order key (docs/formats/audit-event.md). Its own encoding is the redacted one: an event
 * cannot be stored in any other.
 */
export const auditEvents: Table<AuditEvent> = table<AuditEvent>("audit.event", (event) => storableText(event));

/** How far back LookupEvents reaches (CloudTrail user guide, event history). Older events stay stored. */
export const LOOKUP_DAYS = 90;
const DAY_MS = 86_400_000;

/** Events that one look-up inspects at most, however few of them match. */
export const SCANNED_COUNT_MAX = 2_000;
/** Events read at a time: an event has up to 100 KB, so this also bounds the memory that a look-up takes. */
const CHUNK_COUNT = 100;

const TIME_DIGITS = 15;
const COUNTER_DIGITS = 6;
const COUNTER_MAX = 10 ** COUNTER_DIGITS - 1;
const ORDER_KEY = /^\d{15}-\d{15}-\d{6}-[0-9a-f-]{36}$/;

const padded = (value: number, digits: number): string => String(Math.max(0, Math.floor(value))).padStart(digits, "0");

/**
 * Names places in the log: events order by their own time, those of one second by when they were recorded. A step back of
 * the wall clock cannot reorder what one process records, because its recording time never falls.
 */
function orderKeys(clock: Clock): (event: AuditEvent) => string {
  let recordedMs = 0;
  let counter = 0;
  // Most events share their second with the one before.
  let lastTime = "";
  let lastTimeText = "";
  const timeText = (eventTime: string): string => {
    if (eventTime === lastTime) return lastTimeText;
    const eventMs = Date.parse(eventTime);
    if (Number.isNaN(eventMs)) throw new RangeError("an audit event has no valid time");
    lastTime = eventTime;
    lastTimeText = padded(eventMs, TIME_DIGITS);
    return lastTimeText;
  };
  return (event) => {
    const nowMs = Math.floor(clock.wallMs());
    if (nowMs > recordedMs) {
      recordedMs = nowMs;
      counter = 0;
    } else if (counter < COUNTER_MAX) {
      counter += 1;
    } else {
      recordedMs += 1;
      counter = 0;
    }
    return `${timeText(event.eventTime)}-${padded(recordedMs, TIME_DIGITS)}-${padded(counter, COUNTER_DIGITS)}-${event.eventID}`;
  };
}

/** The keys of one account's events in one Region begin alike. An order key is made of digits, dashes and an id of our own. */
function keyPrefixes(): (event: AuditEvent) => string {
  let account = "";
  let region = "";
  let prefix = "";
  return ({ recipientAccountId, awsRegion }) => {
    if (prefix === "" || recipientAccountId !== account || awsRegion !== region) {
      prefix = auditEvents.range([recipientAccountId, awsRegion]).start;
      account = recipientAccountId;
      region = awsRegion;
    }
    return prefix;
  };
}

/**
 * The audit log on a metadata store. It reads the store itself rather than a caching reader: events are read once and
 * would push everything else out of the cache.
 */
export function createAuditLog(deps: {
  readonly store: Pick<MetadataStore, "range">;
  readonly clock: Clock;
}): AuditLog {
  const orderKeyOf = orderKeys(deps.clock);
  const prefixOf = keyPrefixes();
  const identityTexts = new WeakMap<AuditEvent["userIdentity"], string>();
  const identityOf = (identity: AuditEvent["userIdentity"]): string => {
    const known = identityTexts.get(identity) ?? identityText(identity);
    identityTexts.set(identity, known);
    return known;
  };
  return {
    entry(event) {
      const text = storableText(event, identityOf(event.userIdentity));
      const value = Buffer.from(text, "utf8") as Uint8Array as MetadataBytes;
      return [{ key: (prefixOf(event) + orderKeyOf(event)) as StoreKey, value, isLogLine: true }];
    },
    lookup: (query) => lookup(deps, query),
  };
}

async function lookup(
  deps: { readonly store: Pick<MetadataStore, "range">; readonly clock: Clock },
  query: LookupQuery,
): Promise<LookupPage> {
  if (query.cursor !== undefined && !ORDER_KEY.test(query.cursor)) throw new RangeError("not a cursor of this log");
  const keyOf = (order: string) => auditEvents.key([query.accountId, query.region, order]);
  const oldestMs = Math.max(query.startMs, deps.clock.wallMs() - LOOKUP_DAYS * DAY_MS);
  // Event times are whole seconds: an event of the second in which the range begins belongs to it.
  const start = keyOf(padded(Math.floor(oldestMs / 1000) * 1000, TIME_DIGITS));
  const newest = keyOf(padded(Math.floor(query.endMs) + 1, TIME_DIGITS));
  const behind = query.cursor === undefined ? newest : keyOf(query.cursor);
  let end = behind < newest ? behind : newest;

  const events: FoundEvent[] = [];
  for (let scanned = 0; scanned < SCANNED_COUNT_MAX && start < end;) {
    const limit = Math.min(CHUNK_COUNT, SCANNED_COUNT_MAX - scanned);
    const entries = await deps.store.range({ start, end, limit, reverse: true });
    for (const { key, value } of entries) {
      const event = auditEvents.decode(value);
      const attributes = attributesOf(event);
      end = key;
      if (query.attribute !== undefined && !hasAttribute(event, attributes, query.attribute)) continue;
      events.push({ event, attributes });
      if (events.length >= query.limit) return { events, cursor: auditEvents.idOf(key).at(-1) ?? null };
    }
    if (entries.length < limit) return { events, cursor: null };
    scanned += entries.length;
  }
  return { events, cursor: start < end ? (auditEvents.idOf(end).at(-1) ?? null) : null };
}
