import { spawn } from "node:child_process";
import { request as httpRequest } from "node:http";
import { request as httpsRequest } from "node:https";
import type { StreamRecord } from "../../client/src/index.ts";
import { recordJson } from "./stream-client.ts";

/** Takes one batch. Throws where it was not taken. */
export type Target = (records: readonly StreamRecord[], signal: AbortSignal) => Promise<void>;

interface Labels {
  readonly stream: string;
  readonly application: string;
}

/** What ends a command that does not end by itself. */
const KILL_AFTER_MS = 5_000;
const HTTP_TIMEOUT_MS = 300_000;

/** A shell command for each batch: records as lines of JSON on its standard input. Exit code 0: taken. */
export const execTarget =
  (command: string, { stream, application }: Labels): Target =>
  (records, signal) =>
    new Promise((done, fail) => {
      signal.throwIfAborted();
      const env = {
        ...process.env,
        WAXSEAL_STREAM: stream,
        WAXSEAL_APPLICATION: application,
        WAXSEAL_SHARD_ID: records[0]?.shardId ?? "",
      };
      // A group of its own: Ctrl-C at the terminal lets the batch end.
      const child = spawn(command, { shell: true, env, stdio: ["pipe", "inherit", "inherit"], detached: true });
      const kill = (name: NodeJS.Signals): void => {
        try {
          if (child.pid !== undefined) process.kill(-child.pid, name);
        } catch {
          // It has ended meanwhile.
        }
      };
      let killing: NodeJS.Timeout | undefined;
      const end = (): void => {
        kill("SIGTERM");
        killing = setTimeout(() => kill("SIGKILL"), KILL_AFTER_MS);
      };
      signal.addEventListener("abort", end, { once: true });
      child.once("error", (error) => {
        signal.removeEventListener("abort", end);
        fail(error);
      });
      child.once("close", (code, name) => {
        signal.removeEventListener("abort", end);
        clearTimeout(killing);
        if (code === 0) done();
        else fail(new Error(`the command ended with ${code === null ? (name ?? "a signal") : `exit code ${code}`}`));
      });
      // A command need not read what it is given.
      child.stdin.on("error", () => undefined);
      child.stdin.end(records.map((record) => `${recordJson(record)}\n`).join(""));
    });

/** A POST for each batch: `{stream, application, shardId, records}`. Any 2xx: taken. */
export const httpTarget =
  (url: URL, { stream, application }: Labels): Target =>
  (records, signal) =>
    new Promise((done, fail) => {
      const head = JSON.stringify({ stream, application, shardId: records[0]?.shardId ?? "" }).slice(0, -1);
      const body = Buffer.from(`${head},"records":[${records.map(recordJson).join(",")}]}`, "utf8");
      const send = url.protocol === "https:" ? httpsRequest : httpRequest;
      const request = send(
        url,
        {
          method: "POST",
          signal,
          timeout: HTTP_TIMEOUT_MS,
          headers: { "content-type": "application/json", "content-length": body.length },
        },
        (response) => {
          const { statusCode: status = 0 } = response;
          response.on("error", fail);
          response.on("end", () => {
            if (status >= 200 && status < 300) done();
            else fail(new Error(`the hook answered ${status}`));
          });
          response.resume();
        },
      );
      request.on("timeout", () => request.destroy(new Error(`the hook did not answer for ${HTTP_TIMEOUT_MS} ms`)));
      request.on("error", fail);
      request.end(body);
    });
