import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { fileSystemRefusal } from "../base/operator-error.ts";
import { dataDirectory } from "../config.ts";
import { CommandError } from "./command-error.ts";

interface DebugRecordOptions {
  readonly dataDir?: string;
  readonly region?: string;
  readonly stream: string;
  readonly sequenceNumber: string;
  readonly out?: string;
  readonly replace?: string;
  readonly json?: boolean;
}

/** Reads or replaces one record as it lies in the store: sealed, without any key. */
export async function debugRecord(options: DebugRecordOptions): Promise<void> {
  const { storedRecord } = await import("../offline.ts");
  const dataDir = dataDirectory(options.dataDir);
  if (!existsSync(dataDir))
    throw new CommandError(`${dataDir} does not exist: name the data directory with --data-dir.`, 1);
  const replacement = options.replace === undefined ? null : orRefused(options.replace, (path) => readFileSync(path));
  const record = {
    dataDir,
    region: options.region ?? null,
    streamName: options.stream,
    sequenceNumber: options.sequenceNumber,
  };
  const bytes = await storedRecord(record, replacement).catch((error: unknown) => {
    throw new CommandError(error instanceof Error ? error.message : String(error), 1);
  });
  if (options.out !== undefined) orRefused(options.out, (path) => writeFileSync(path, bytes, { mode: 0o600 }));
  const answer = { sequenceNumber: options.sequenceNumber, sizeBytes: bytes.length, replaced: replacement !== null };
  if (options.json) process.stdout.write(`${JSON.stringify(answer)}\n`);
  else if (options.out === undefined && replacement === null)
    process.stdout.write(`${Buffer.from(bytes).toString("hex")}\n`);
  else
    process.stdout.write(
      `${bytes.length} bytes ${replacement === null ? "written to the file" : "stored in the record's place"}.\n`,
    );
}

function orRefused<T>(path: string, access: (path: string) => T): T {
  try {
    return access(path);
  } catch (error) {
    throw fileSystemRefusal(error) ?? error;
  }
}
