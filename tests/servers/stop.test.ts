import { setTimeout as pause } from "node:timers/promises";
import { KMS } from "@aws-sdk/client-kms";
import { afterEach, beforeEach, expect, test } from "vitest";
import { rootClients } from "../support/clients.ts";
import { waxsealOk } from "../support/processes.ts";
import { removeDirectory, type RunningServer, startServer, temporaryDirectory } from "../support/server.ts";

/** RSA keys take seconds to make, and neither a stop nor a seal may be held up by them. */
let dataDir = "";
let server: RunningServer | null = null;

beforeEach(() => {
  dataDir = temporaryDirectory();
});

afterEach(async () => {
  await server?.kill();
  removeDirectory(dataDir);
});

/** Starts so many generations; how each ended. */
async function generating(count: number): Promise<{ readonly kms: KMS; readonly ends: Promise<readonly unknown[]> }> {
  server = await startServer({ dataDir });
  const { endpoint, region } = server;
  const { credentials } = await rootClients(server);
  const kms = new KMS({ endpoint, region, credentials, maxAttempts: 1 });
  const { KeyMetadata } = await kms.createKey({});
  const requests = Array.from({ length: count }, async () => {
    try {
      await kms.generateDataKeyPairWithoutPlaintext({ KeyId: KeyMetadata?.KeyId, KeyPairSpec: "RSA_4096" });
      return "answered";
    } catch (error) {
      return error instanceof Error ? error.name : "unknown";
    }
  });
  // So that one of them is being made.
  await pause(600);
  return { kms, ends: Promise.all(requests) };
}

test("SIGTERM with RSA keys being made answers their requests with 503, and is done within 10 seconds", async () => {
  const { kms, ends } = await generating(20);
  const { code, ms } = (await server?.stop()) ?? { code: null, ms: 0 };
  const names = await ends;
  kms.destroy();
  expect(code).toBe(0);
  expect(ms).toBeLessThan(10_000);
  expect(names.filter((name) => name === "ServiceUnavailableException").length).toBeGreaterThan(10);
  expect(names.filter((name) => name !== "answered" && name !== "ServiceUnavailableException")).toEqual([]);
}, 60_000);

test("seal does not wait for RSA keys that are being made", async () => {
  const { kms, ends } = await generating(20);
  const beganMs = performance.now();
  await waxsealOk(["seal", "--data-dir", dataDir]);
  const ms = performance.now() - beganMs;
  const names = await ends;
  expect(names.filter((name) => name === "ServiceUnavailableException").length).toBeGreaterThan(10);
  expect(ms).toBeLessThan(4_000);
  await waxsealOk(["unseal", "--data-dir", dataDir]);
  await expect(kms.createKey({ KeySpec: "RSA_2048", KeyUsage: "SIGN_VERIFY" })).resolves.toBeDefined();
  kms.destroy();
  expect(server?.output().stderr).not.toMatch(/failed/);
}, 60_000);
