import type { StreamAdministration } from "../server/streams.ts";
import { askServer } from "./admin-client.ts";
import {
  chosenStream,
  directoryOf,
  percent,
  progressLine,
  sizeText,
  type StreamOptions,
  tableText,
} from "./stream-choice.ts";

type Page = Awaited<ReturnType<StreamAdministration["report"]>>;
type Share = Page["shares"][number];

const nameOf = ({ keyArn, materialId, suite }: Share): string => JSON.stringify([keyArn, materialId, suite]);

function add(sums: Map<string, Share>, share: Share): void {
  const sum = sums.get(nameOf(share));
  sums.set(
    nameOf(share),
    sum === undefined
      ? share
      : {
          ...sum,
          blocks: sum.blocks + share.blocks,
          records: sum.records + share.records,
          bytes: sum.bytes + share.bytes,
          storedBytes: sum.storedBytes + share.storedBytes,
        },
  );
}

/** Which key and material seals how much of a stream. The server counts step by step, and answers others in between. */
export async function streamReport(options: StreamOptions): Promise<void> {
  const sums = new Map<string, Share>();
  const progress = progressLine();
  let page: Page | null = null;
  let total = 0;
  let counted = 0;
  do {
    const cursor: Page["cursor"] = page?.cursor ?? null;
    page = (await askServer(directoryOf(options), "POST", "/streams/report", {
      ...chosenStream(options),
      cursor,
    })) as unknown as Page;
    total = page.recordsTotal ?? total;
    for (const share of page.shares) {
      add(sums, share);
      counted += share.records;
    }
    progress.say(`${percent(counted, total)} of ${total} records counted`);
  } while (page.cursor !== null);
  progress.end();
  print(
    options,
    page,
    [...sums.values()].toSorted((a, b) => b.records - a.records),
  );
}

function print(options: StreamOptions, { streamArn, keyArn }: Page, shares: readonly Share[]): void {
  const records = shares.reduce((total, share) => total + share.records, 0);
  const bytes = shares.reduce((total, share) => total + share.bytes, 0);
  const keys = shares.map((share) => ({ ...share, isStreamsKey: share.keyArn !== null && share.keyArn === keyArn }));
  if (options.json) {
    process.stdout.write(`${JSON.stringify({ streamArn, keyArn, records, bytes, keys })}\n`);
    return;
  }
  process.stdout.write(`${streamArn}\nkey: ${keyArn ?? "none, new records are stored in clear"}\n\n`);
  if (keys.length === 0) {
    process.stdout.write("No records are retained.\n");
    return;
  }
  const rows = keys.map((share) => [
    String(share.records),
    sizeText(share.bytes),
    sizeText(share.storedBytes),
    share.suite,
    share.materialId?.slice(0, 12) ?? "-",
    `${share.keyArn ?? "-"}${share.isStreamsKey ? " (the stream's)" : ""}`,
  ]);
  const head = ["RECORDS", "CONTENT", "STORED", "SUITE", "MATERIAL", "KEY"];
  process.stdout.write(tableText([head, ...rows], [0, 1, 2]));
}
