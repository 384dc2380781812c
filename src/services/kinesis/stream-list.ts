import type { Reader } from "../../store/table.ts";
import type { StreamRecord } from "./model.ts";
import { statusOf } from "./model.ts";
import { streams } from "./records.ts";

const PAGE_COUNT = 100;

/** The streams of an account in a Region that exist, by name, behind `afterName`: at most `countMax`. */
export async function listStreamRecords(
  read: Reader,
  of: { readonly accountId: string; readonly region: string },
  nowMs: number,
  afterName: string | undefined,
  countMax: number,
): Promise<readonly StreamRecord[]> {
  const prefix = [of.accountId, of.region];
  const found: StreamRecord[] = [];
  let after = afterName === undefined ? undefined : [...prefix, afterName];
  for (;;) {
    const page = await read.list(streams, { prefix, after, limit: PAGE_COUNT });
    for (const { value } of page) {
      if (found.length === countMax) return found;
      if (statusOf(value, nowMs) !== null) found.push(value);
    }
    if (page.length < PAGE_COUNT) return found;
    after = [...(page.at(-1)?.id ?? [])];
  }
}
