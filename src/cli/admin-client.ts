import { open } from "node:fs/promises";
import { request } from "node:http";
import { join } from "node:path";
import { socketPath } from "../base/socket-path.ts";
import { CommandError } from "./command-error.ts";
import { quoted } from "./shell.ts";

/** How a command ends when no server runs on the data directory. */
export const EXIT_NO_SERVER = 3;

/** Asks the server that runs on a data directory, through its admin socket. */
export async function askServer(
  dataDir: string,
  method: "GET" | "POST",
  path: string,
  body: Record<string, unknown> = {},
): Promise<Record<string, unknown>> {
  const payload = Buffer.from(JSON.stringify(body), "utf8");
  const { status, text } = await askThrough(join(dataDir, "run"), method, path, payload).catch(
    (error: NodeJS.ErrnoException) => {
      if (error.code === "ENOENT" || error.code === "ECONNREFUSED") throw noServer(dataDir);
      if (error.code === "EACCES")
        throw new CommandError(`Only the owner of ${dataDir} may administer this server.`, 1);
      throw error;
    },
  );
  const answer = JSON.parse(text) as Record<string, unknown>;
  if (status === 200) return answer;
  throw new CommandError(typeof answer["message"] === "string" ? answer["message"] : text, 1);
}

async function askThrough(
  runPath: string,
  method: string,
  path: string,
  payload: Buffer,
): Promise<{ readonly status: number; readonly text: string }> {
  const run = await open(runPath, "r");
  try {
    return await ask(socketPath(runPath, run.fd, "admin.sock"), method, path, payload);
  } finally {
    // It may have held a passphrase.
    payload.fill(0);
    await run.close();
  }
}

function ask(
  socket: string,
  method: string,
  path: string,
  payload: Buffer,
): Promise<{ readonly status: number; readonly text: string }> {
  return new Promise((done, fail) => {
    const call = request(
      {
        socketPath: socket,
        method,
        path,
        headers: { "content-type": "application/json", "content-length": payload.length },
      },
      (response) => {
        const chunks: Buffer[] = [];
        response.on("data", (chunk: Buffer) => chunks.push(chunk));
        response.on("end", () =>
          done({ status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString("utf8") }),
        );
        response.on("error", fail);
      },
    );
    call.on("error", fail);
    call.end(payload);
  });
}

/** No server has this directory open. */
export const noServer = (dataDir: string): CommandError =>
  new CommandError(
    `No server is running on ${dataDir}. Start one with: npx waxseal serve --data-dir ${quoted(dataDir)} --port 8780`,
    EXIT_NO_SERVER,
  );
