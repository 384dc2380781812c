import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import type { CloudTrailClient } from "@aws-sdk/client-cloudtrail";
import type { IAMClient } from "@aws-sdk/client-iam";
import type { KinesisClient } from "@aws-sdk/client-kinesis";
import type { KMSClient } from "@aws-sdk/client-kms";
import { CommandError } from "./command-error.ts";
import { environmentOf } from "./env.ts";

export interface Clients {
  readonly kinesis: KinesisClient;
  readonly kms: KMSClient;
  readonly iam: IAMClient;
  readonly cloudtrail: CloudTrailClient;
}

export interface DemoServer {
  readonly endpoint: string;
  readonly region: string;
  readonly accountId: string;
  /** AWS clients with somebody's access key; root's by default. */
  clients(credentials?: { readonly accessKeyId: string; readonly secretAccessKey: string }): Clients;
  untilActive(streamName: string): Promise<void>;
  stop(): Promise<void>;
}

const ACTIVE_POLL_MS = 50;
const ACTIVE_POLLS_MAX = 200;

/** `waxseal serve` in a process of its own, and AWS SDK clients that point at it. */
export async function startDemoServer(dataDir: string): Promise<DemoServer> {
  const sdk = await loadSdk();
  const command = fileURLToPath(new URL("../../../bin/waxseal.js", import.meta.url));
  const child = spawn(process.execPath, [command, "serve", "--data-dir", dataDir, "--port", "0", "--json"], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  const exited = new Promise<number | null>((done) => child.once("exit", (code) => done(code)));
  const ready = await new Promise<Record<string, unknown>>((done, fail) => {
    let out = "";
    let err = "";
    child.stderr.on("data", (chunk: Buffer) => (err += chunk.toString("utf8")));
    child.stdout.on("data", (chunk: Buffer) => {
      out += chunk.toString("utf8");
      if (out.includes("\n")) done(JSON.parse(out.slice(0, out.indexOf("\n"))) as Record<string, unknown>);
    });
    void exited.then((code) => fail(new CommandError(`The server ended with code ${code ?? "none"}: ${err}`, 1)));
  });
  const root = environmentOf(dataDir);
  const opened: { destroy(): void }[] = [];
  const server: DemoServer = {
    endpoint: String(ready["endpoint"]),
    region: String(ready["region"]),
    accountId: String(ready["accountId"]),
    clients(credentials) {
      const config = {
        endpoint: server.endpoint,
        region: server.region,
        maxAttempts: 1,
        credentials: credentials ?? {
          accessKeyId: root["AWS_ACCESS_KEY_ID"] ?? "",
          secretAccessKey: root["AWS_SECRET_ACCESS_KEY"] ?? "",
        },
      };
      const clients = {
        kinesis: new sdk.kinesis.KinesisClient(config),
        kms: new sdk.kms.KMSClient(config),
        iam: new sdk.iam.IAMClient(config),
        cloudtrail: new sdk.cloudtrail.CloudTrailClient(config),
      };
      opened.push(...Object.values(clients));
      return clients;
    },
    async untilActive(streamName) {
      const { kinesis } = server.clients();
      for (let poll = 0; poll < ACTIVE_POLLS_MAX; poll++) {
        const answer = await kinesis.send(new sdk.kinesis.DescribeStreamSummaryCommand({ StreamName: streamName }));
        if (answer.StreamDescriptionSummary?.StreamStatus === "ACTIVE") return;
        await new Promise((done) => setTimeout(done, ACTIVE_POLL_MS));
      }
      throw new CommandError(`The stream ${streamName} did not become ACTIVE.`, 1);
    },
    async stop() {
      for (const client of opened.splice(0)) client.destroy();
      child.kill("SIGTERM");
      await exited;
    },
  };
  return server;
}

/** The AWS SDK is not part of the product: it comes with a clone's development dependencies. */
async function loadSdk() {
  try {
    const [kinesis, kms, iam, cloudtrail] = await Promise.all([
      import("@aws-sdk/client-kinesis"),
      import("@aws-sdk/client-kms"),
      import("@aws-sdk/client-iam"),
      import("@aws-sdk/client-cloudtrail"),
    ]);
    return { kinesis, kms, iam, cloudtrail };
  } catch {
    throw new CommandError(
      "The demo uses the AWS SDK for JavaScript. Run it in a clone after `npm ci`, or: " +
        "npm install @aws-sdk/client-kinesis @aws-sdk/client-kms @aws-sdk/client-iam @aws-sdk/client-cloudtrail",
      1,
    );
  }
}
