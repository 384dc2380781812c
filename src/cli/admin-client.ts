import { request } from "node:http";
import { join } from "node:path";
import { CommandError } from "./command-error.ts";

/** Asks the server that runs on a data directory, through its admin socket. */
export async function askServer(
  dataDir: string,
  method: "GET" | "POST",
  path: string,
  body: Record<string, unknown> = {},
): Promise<Record<string, unknown>> {
  const payload = Buffer.from(JSON.stringify(body), "utf8");
  const { status, text } = await new Promise<{ status: number; text: string }>((done, fail) => {
    const call = request(
      {
        socketPath: join(dataDir, "run", "admin.sock"),
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
  }).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT" || error.code === "ECONNREFUSED") throw noServer(dataDir);
    if (error.code === "EACCES") throw new CommandError(`Only the owner of ${dataDir} may administer this server.`, 1);
    throw error;
  });
  payload.fill(0);
  const answer = JSON.parse(text) as Record<string, unknown>;
  if (status === 200) return answer;
  throw new CommandError(typeof answer["message"] === "string" ? answer["message"] : text, 1);
}

/** No server has this directory open. */
export const noServer = (dataDir: string): CommandError =>
  new CommandError(
    `No server is running on ${dataDir}. Start one with: waxseal serve --data-dir ${dataDir} --port 8780`,
    3,
  );
