import { chmod, open, rm } from "node:fs/promises";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { once } from "node:events";
import { ServiceError } from "../base/errors.ts";
import { socketPath } from "../base/socket-path.ts";

/** Longest request body: a passphrase and little more. */
const BODY_BYTES_MAX = 16_384;

/** What can be asked on the socket: by method and path. Answers are JSON. */
export type AdminRoutes = Readonly<Record<string, (body: Record<string, unknown>) => Promise<Record<string, unknown>>>>;

export interface AdminSocket {
  close(): Promise<void>;
}

/**
 * The door for whoever owns the data directory on this machine: a Unix socket that only its owner may open (mode 0600).
 * It needs no credentials, because reading the directory gives more than the socket does.
 */
export async function openAdminSocket(directoryPath: string, name: string, routes: AdminRoutes): Promise<AdminSocket> {
  const directory = await open(directoryPath, "r");
  const server = createServer((request, response) => {
    serve(routes, request, response).catch(() => response.destroy());
  });
  try {
    const path = socketPath(directoryPath, directory.fd, name);
    await rm(path, { force: true });
    const listening = once(server, "listening");
    server.listen(path);
    await listening;
    await chmod(path, 0o600);
    return {
      async close() {
        server.closeAllConnections();
        await new Promise((done) => server.close(done));
        await rm(path, { force: true });
        await directory.close();
      },
    };
  } catch (error) {
    server.close();
    await directory.close();
    throw error;
  }
}

async function serve(routes: AdminRoutes, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const route = routes[`${request.method ?? ""} ${request.url ?? ""}`];
  const reply = (status: number, body: Record<string, unknown>): void => {
    response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
  };
  if (route === undefined) {
    reply(404, { error: "NotFound", message: "The admin socket has no such path." });
    return;
  }
  try {
    reply(200, await route(await readBody(request)));
  } catch (error) {
    if (error instanceof ServiceError) reply(error.status, { error: error.code, message: error.message });
    else reply(500, { error: "InternalFailure", message: error instanceof Error ? error.message : "unknown" });
  }
}

async function readBody(request: IncomingMessage): Promise<Record<string, unknown>> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > BODY_BYTES_MAX)
      throw new ServiceError("RequestTooLarge", "The request body is too large.", { status: 413 });
    chunks.push(chunk);
  }
  const body = Buffer.concat(chunks);
  try {
    const parsed: unknown = body.length === 0 ? {} : JSON.parse(body.toString("utf8"));
    if (parsed === null || typeof parsed !== "object" || Array.isArray(parsed)) throw new TypeError("not an object");
    return parsed as Record<string, unknown>;
  } catch {
    throw new ServiceError("SerializationException", "The request body is not a JSON object.");
  } finally {
    // It may have held a passphrase.
    for (const chunk of chunks) chunk.fill(0);
    body.fill(0);
  }
}
