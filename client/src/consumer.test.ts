import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { expect, it, onTestFinished } from "vitest";
import { createConsumer } from "./consumer.ts";

const SHARD = "shardId-000000000000";

/** A server of one shard. What it is asked for; and leases are given when it is said. */
async function server(): Promise<{ readonly endpoint: string; readonly asked: string[]; readonly give: () => void }> {
  const asked: string[] = [];
  let give = (): void => {};
  const given = new Promise<void>((done) => (give = done));
  const answers: Readonly<Record<string, object>> = {
    ListShards: { Shards: [{ ShardId: SHARD }] },
    TakeLease: { Taken: true, Lease: { ShardId: SHARD, Counter: 1, Ended: false } },
  };
  const http = createServer((request, response) => {
    const operation = String(request.headers["x-amz-target"]).split(".")[1] ?? "";
    asked.push(operation);
    request.resume();
    const answer = async (): Promise<void> => {
      if (operation === "TakeLease") await given;
      response.end(JSON.stringify(answers[operation] ?? {}));
    };
    void answer();
  });
  await new Promise<void>((done) => http.listen(0, "127.0.0.1", done));
  onTestFinished(() => void http.close());
  return { endpoint: `http://127.0.0.1:${(http.address() as AddressInfo).port}`, asked, give };
}

it("hands back a lease that was on its way when it was stopped", async () => {
  const { endpoint, asked, give } = await server();
  const errors: unknown[] = [];
  const consumer = createConsumer({
    endpoint,
    region: "us-east-1",
    credentials: { accessKeyId: "AKIA", secretAccessKey: "secret" },
    stream: "orders",
    application: "billing",
    process: () => undefined,
    onError: (error) => errors.push(error),
  });
  await consumer.start();
  await expect.poll(() => asked).toContain("TakeLease");
  const stopping = consumer.stop();
  give();
  await stopping;
  await consumer.stopped;
  expect(asked.at(-1)).toBe("ReleaseLease");
  expect(errors).toEqual([]);
});
