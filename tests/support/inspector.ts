import { randomBytes } from "node:crypto";
import { request } from "node:http";
import type { Duplex } from "node:stream";
import type { RunningServer } from "./server.ts";
import { eventually, within } from "./wait.ts";

/**
 * Makes a server collect its garbage, fully and now. It has no hook for that, so node's own inspector is asked, which SIGUSR1
 * starts: the server has to run with `--inspect-port=0`.
 */
export async function collectGarbage(server: RunningServer): Promise<void> {
  process.kill(server.pid, "SIGUSR1");
  const url = await eventually(async () => /ws:\/\/\S+/.exec(server.output().stderr)?.[0] ?? null);
  const socket = await within(5_000, "the connection to the inspector", connect(url));
  try {
    for (let id = 1; id <= 3; id += 1)
      await within(20_000, "a garbage collection", ask(socket, id, "HeapProfiler.collectGarbage"));
  } finally {
    socket.destroy();
  }
}

/** A WebSocket (RFC 6455), as far as one request after the other needs it. */
async function connect(url: string): Promise<Duplex> {
  return new Promise((resolve, reject) => {
    const outgoing = request(url.replace(/^ws/, "http"), {
      headers: {
        connection: "Upgrade",
        upgrade: "websocket",
        "sec-websocket-version": "13",
        "sec-websocket-key": randomBytes(16).toString("base64"),
      },
    });
    outgoing.once("upgrade", (_response, socket) => resolve(socket));
    outgoing.once("error", reject);
    outgoing.end();
  });
}

/** Sends one command and waits until an answer carries its id. */
async function ask(socket: Duplex, id: number, method: string): Promise<void> {
  const payload = Buffer.from(JSON.stringify({ id, method }));
  // A final text frame, masked with zeros, of fewer than 126 bytes.
  const frame = Buffer.concat([Buffer.from([0x81, 0x80 | payload.length, 0, 0, 0, 0]), payload]);
  return new Promise((resolve, reject) => {
    let received = "";
    const read = (chunk: Buffer): void => {
      received += chunk.toString("latin1");
      if (!received.includes(`"id":${id},`)) return;
      socket.off("data", read);
      resolve();
    };
    socket.on("data", read);
    socket.once("error", reject);
    socket.write(frame);
  });
}
