import { setTimeout as sleep } from "node:timers/promises";
import type { StreamAdministration } from "../server/streams.ts";
import { askServer } from "./admin-client.ts";
import { CommandError } from "./command-error.ts";
import { chosenStream, directoryOf, percent, progressLine, sizeText, type StreamOptions } from "./stream-choice.ts";

type Status = Awaited<ReturnType<StreamAdministration["resealStatus"]>>;

interface ResealOptions extends StreamOptions {
  readonly status?: boolean;
  /** False: --no-wait. */
  readonly wait?: boolean;
}

const POLL_MS = 500;

/** Has a stream's retained records sealed again under its present key, and waits until they are. */
export async function streamReseal(options: ResealOptions): Promise<void> {
  const ask = (path: string): Promise<Record<string, unknown>> =>
    askServer(directoryOf(options), "POST", `/streams/${path}`, chosenStream(options));
  if (options.status !== true) await ask("reseal");
  const progress = progressLine();
  for (;;) {
    const status = (await ask("reseal-status")) as unknown as Status;
    if (status.state !== "RUNNING" || options.status === true || options.wait === false) {
      progress.end();
      print(options, status);
      return;
    }
    const trouble = status.trouble === null ? "" : ` - ${status.trouble}`;
    progress.say(`${percent(status.recordsDone, status.recordsTotal)} of ${status.recordsTotal} records${trouble}`);
    await sleep(POLL_MS);
  }
}

function print(options: ResealOptions, status: Status): void {
  if (options.json) process.stdout.write(`${JSON.stringify(status)}\n`);
  else process.stdout.write(textOf(status));
  // Of a status that was only asked for, whatever it says is what was wanted.
  if (status.state !== "STOPPED" || options.status === true) return;
  throw new CommandError(
    `The server stopped: ${status.reason?.message ?? "the reason is not known"} What was sealed again stays so. Mend it ` +
      "and give the command again: it goes on from here.",
    1,
  );
}

function textOf(status: Status): string {
  const { counts, sealedUnder } = status;
  const done = percent(status.recordsDone, status.recordsTotal);
  const lines = [
    `${status.streamArn}: ${status.state.toLowerCase()}, ${done} of ${status.recordsTotal} records`,
    ...(sealedUnder === null ? [] : [`key:            ${sealedUnder.keyArn} (${sealedUnder.suite})`]),
    `sealed again:   ${counts.resealedRecords} records, ${sizeText(counts.resealedBytes)} stored`,
    `as they were:   ${counts.currentRecords} records, which have the key`,
    ...(counts.leftRecords === 0
      ? []
      : [
          `LEFT:           ${counts.leftRecords} records in blocks that are not what was put. They stay under their old key:`,
          ...status.damaged.map(({ shardId, first, last }) => `                ${shardId} ${first} to ${last}`),
        ]),
    ...(status.reason === null ? [] : [`stopped by:     ${status.reason.code}`]),
    ...(status.trouble === null ? [] : [`trouble:        ${status.trouble}`]),
  ];
  return `${lines.join("\n")}\n`;
}
