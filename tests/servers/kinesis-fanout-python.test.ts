import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { run } from "../support/processes.ts";
import { serverForAll } from "../support/server.ts";

const SCRIPT = fileURLToPath(new URL("kinesis_fanout.py", import.meta.url));
const server = serverForAll({ https: true });

test.each(["HTTP", "HTTPS"] as const)("boto3 subscribes over HTTP/1.1 (%s)", async (transport) => {
  const env = {
    ...(await server().env()),
    AWS_ENDPOINT_URL: (transport === "HTTP" ? server().endpoint : server().httpsEndpoint) ?? "",
    AWS_CONFIG_FILE: "/dev/null",
    AWS_SHARED_CREDENTIALS_FILE: "/dev/null",
    AWS_EC2_METADATA_DISABLED: "true",
  };
  const { code, stdout, stderr } = await run("python3", [SCRIPT], { env });
  expect(code, stderr).toBe(0);
  const { records, slowest_s, continuation } = JSON.parse(stdout) as Record<string, unknown>;
  expect([records, continuation]).toEqual([10, expect.stringMatching(/^\d{56}$/)]);
  // Pushed, not polled for.
  expect(slowest_s).toBeLessThan(0.9);
});
