import { dataDirectory } from "../config.ts";
import { askServer } from "./admin-client.ts";
import { CommandError } from "./command-error.ts";
import { isPassphraseGiven, type PassphraseOptions, readPassphrase } from "./passphrase.ts";

interface ControlOptions {
  readonly dataDir?: string;
  readonly json?: boolean;
}

/** Exit code of `status` when the server is sealed: scripts wait for 0. */
const EXIT_SEALED = 4;

export async function status(options: ControlOptions): Promise<void> {
  const dataDir = dataDirectory(options.dataDir);
  const answer = await askServer(dataDir, "GET", "/status");
  const https = typeof answer["httpsEndpoint"] === "string" ? `  ${answer["httpsEndpoint"]}` : "";
  print(options, answer, [
    `${answer["sealed"] === true ? "sealed" : "serving"}  ${String(answer["endpoint"])}${https}`,
    `account ${String(answer["accountId"])}, region ${[answer["regions"]].flat().join(", ")}, pid ${String(answer["pid"])}`,
    ...frontEndLines(answer["frontEnds"]),
  ]);
  if (answer["sealed"] === true) process.exitCode = EXIT_SEALED;
}

/** A line for each front-end process; none where one process does everything. */
function frontEndLines(frontEnds: unknown): readonly string[] {
  const all = (Array.isArray(frontEnds) ? frontEnds : []) as readonly Record<string, unknown>[];
  return all.map(
    ({ number, pid, requestsInFlight }) =>
      `front end ${String(number)}: pid ${String(pid)}, requests in flight ${String(requestsInFlight)}`,
  );
}

export async function seal(options: ControlOptions): Promise<void> {
  const answer = await askServer(dataDirectory(options.dataDir), "POST", "/seal");
  print(options, answer, ["Sealed. No key is in memory; the API answers 503 until `npx waxseal unseal`."]);
}

export async function unseal(options: ControlOptions & PassphraseOptions): Promise<void> {
  const dataDir = dataDirectory(options.dataDir);
  const isGiven = isPassphraseGiven(options);
  const state = await askServer(dataDir, "GET", "/status");
  if (state["sealed"] !== true) {
    print(options, state, ["The server is not sealed."]);
    return;
  }
  if (isGiven && state["seal"] !== "passphrase") {
    throw new CommandError(
      `${dataDir} is sealed by a key file, not by a passphrase. Leave --passphrase-file and --passphrase-fd out.`,
      1,
    );
  }
  const body: Record<string, unknown> = {};
  if (state["seal"] === "passphrase") {
    const passphrase = await readPassphrase(options, state["hasRootKey"] === false ? "new" : "existing");
    if (passphrase === null)
      throw new CommandError(
        "This server is sealed with a passphrase: give --passphrase-file or --passphrase-fd, or run this in a terminal.",
        2,
      );
    body["passphrase"] = passphrase;
  }
  const answer = await askServer(dataDir, "POST", "/unseal", body);
  print(options, answer, ["Unsealed."]);
}

export async function advanceClock(options: ControlOptions & { readonly advanceMs: number }): Promise<void> {
  const answer = await askServer(dataDirectory(options.dataDir), "POST", "/test/clock", {
    advanceMs: options.advanceMs,
  });
  print(options, answer, [`The server's clock now says ${new Date(Number(answer["nowMs"])).toISOString()}.`]);
}

function print(options: ControlOptions, answer: Record<string, unknown>, lines: readonly string[]): void {
  process.stdout.write(options.json ? `${JSON.stringify(answer)}\n` : `${lines.join("\n")}\n`);
}
