import { spawn } from "node:child_process";
import { once } from "node:events";
import { connect, createServer, type AddressInfo } from "node:net";
import { stopProcess, type Target } from "./server-process.ts";

const START_MS_MAX = 30_000;
const TRY_EVERY_MS = 100;

/** moto_server of the machine, in memory, for comparison. Null when it is not installed. */
export async function startMoto(): Promise<(Target & { readonly pid: number }) | null> {
  const port = await freePort();
  const child = spawn("python3", ["-m", "moto.server", "-H", "127.0.0.1", "-p", String(port)], { stdio: "ignore" });
  const failed = new Promise<"failed">((done) => {
    child.once("error", () => done("failed"));
    child.once("exit", () => done("failed"));
  });
  if ((await Promise.race([failed, untilListening(port)])) === "failed") return null;
  return {
    endpoint: new URL(`http://127.0.0.1:${port}`),
    // It looks at no signature.
    credentials: { accessKeyId: "AKIAIOSFODNN7EXAMPLE", secretAccessKey: "benchmark", region: "us-east-1" },
    pid: child.pid ?? Number.NaN,
    dataDir: null,
    stop: () => stopProcess(child),
  };
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}

async function untilListening(port: number): Promise<"listening"> {
  for (let waitedMs = 0; waitedMs < START_MS_MAX; waitedMs += TRY_EVERY_MS) {
    const isListening = await new Promise<boolean>((done) => {
      const socket = connect(port, "127.0.0.1", () => done(true));
      socket.once("error", () => done(false));
      socket.once("connect", () => socket.destroy());
    });
    if (isListening) return "listening";
    await new Promise((done) => setTimeout(done, TRY_EVERY_MS));
  }
  throw new Error("moto_server does not answer");
}
