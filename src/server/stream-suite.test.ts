import { expect, test } from "vitest";
import { ServiceError } from "../base/errors.ts";
import { streamKey, streams } from "../services/kinesis/records.ts";
import { ACCOUNT, REGION, TestKinesis } from "../services/kinesis/testing/harness.ts";
import { streamSuiteRoutes } from "./stream-suite.ts";

async function routed(): Promise<{
  readonly choose: (body: Record<string, unknown>) => Promise<unknown>;
  readonly stored: () => Promise<string | null | undefined>;
}> {
  const kinesis = new TestKinesis();
  await kinesis.stream();
  const { metadata: store, clock } = kinesis;
  const route = streamSuiteRoutes({ store, clock, chosen: { accountId: ACCOUNT, region: REGION } });
  const key = streamKey({ accountId: ACCOUNT, region: REGION, name: "orders" });
  return {
    choose: async (body) => await route["POST /streams/suite"]?.(body),
    stored: async () => (await kinesis.reader.get(streams, key))?.suite,
  };
}

test("sets a stream's suite and takes it back, in the deployment's account and Region unless told otherwise", async () => {
  const { choose, stored } = await routed();
  await choose({ stream: "orders", suite: "xchacha" });
  expect(await stored()).toBe("xchacha");
  await choose({ stream: "orders", suite: "aes", accountId: ACCOUNT, region: REGION });
  expect(await stored()).toBe("aes");
  await choose({ stream: "orders", suite: "default" });
  expect(await stored()).toBeNull();
});

test.each([
  [{ stream: "orders", suite: "rot13" }, "ValidationException"],
  [{ stream: "orders", suite: "toString" }, "ValidationException"],
  [{ stream: "orders" }, "ValidationException"],
  [{ stream: "../orders", suite: "aes" }, "ValidationException"],
  [{ stream: ["orders"], suite: "aes" }, "ValidationException"],
  [{ stream: "orders", suite: "aes", accountId: 1 }, "ValidationException"],
  [{ stream: "orders", suite: "aes", region: "a b" }, "ValidationException"],
  [{ stream: "nobody", suite: "aes" }, "ResourceNotFoundException"],
  [{ stream: "orders", suite: "aes", accountId: "999988887777" }, "ResourceNotFoundException"],
])("refuses %j", async (body, code) => {
  const { choose, stored } = await routed();
  const refused = await choose(body).catch((error: unknown) => error);
  expect(refused instanceof ServiceError && refused.code).toBe(code);
  expect(await stored()).toBeUndefined();
});
