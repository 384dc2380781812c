import {
  GetRecordsCommand,
  GetShardIteratorCommand,
  IncreaseStreamRetentionPeriodCommand,
  PutRecordCommand,
  PutRecordsCommand,
} from "@aws-sdk/client-kinesis";
import { CreateKeyCommand, ScheduleKeyDeletionCommand } from "@aws-sdk/client-kms";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Clients, createUser, refusal, rootClients, type User } from "../support/clients.ts";
import { advanceClock, serverForAll } from "../support/server.ts";
import { createStream, utf8 } from "../support/streams.ts";
import { eventsNamed } from "../support/trail.ts";

const server = serverForAll({ testHooks: true });
const MINUTE_MS = 60_000;

let root: Clients;
beforeAll(async () => {
  root = await rootClients(server());
  const { KeyMetadata } = await root.kms.send(new CreateKeyCommand({}));
  await createStream(root.kinesis, "busy", { shards: 4, keyId: KeyMetadata?.KeyId ?? "" });
});
afterAll(() => root.destroy());

/** A principal whose data keys nobody has asked for yet. */
const newcomer = async (name: string): Promise<User> =>
  createUser(server(), root, name, [{ Effect: "Allow", Action: ["kinesis:*", "kms:*"], Resource: "*" }]);

const callsOf = async (user: User, operation: string): Promise<number> =>
  (await eventsNamed(root.cloudtrail, operation)).filter((event) => event.userIdentity.arn === user.arn).length;

const put = async (user: User, index: number): Promise<unknown> =>
  user.kinesis.send(
    new PutRecordCommand({ StreamName: "busy", PartitionKey: `k${index}`, Data: utf8(`value ${index}`) }),
  );

test("however many records a principal puts, within five minutes KMS sees one GenerateDataKey", async () => {
  const user = await newcomer("prolific");
  for (let index = 0; index < 60; index += 1) await put(user, index);
  const Records = Array.from({ length: 500 }, (_, index) => ({ PartitionKey: `k${index}`, Data: utf8("batch") }));
  for (let batch = 0; batch < 4; batch += 1)
    await user.kinesis.send(new PutRecordsCommand({ StreamName: "busy", Records }));
  expect(await callsOf(user, "GenerateDataKey")).toBe(1);
  user.destroy();
});

test("50 cold requests of one principal at once make one call, not 50", async () => {
  const user = await newcomer("sudden");
  await Promise.all(Array.from({ length: 50 }, async (_, index) => put(user, index)));
  expect(await callsOf(user, "GenerateDataKey")).toBe(1);
  user.destroy();
});

test("50 cold reads at once ask once for each data key on the way", async () => {
  const writer = await newcomer("writer");
  await createStream(root.kinesis, "read-often", { keyId: "alias/aws/kinesis" });
  await writer.kinesis.send(new PutRecordCommand({ StreamName: "read-often", PartitionKey: "k", Data: utf8("value") }));
  const reader = await newcomer("reader");
  const { ShardIterator } = await reader.kinesis.send(
    new GetShardIteratorCommand({
      StreamName: "read-often",
      ShardId: "shardId-000000000000",
      ShardIteratorType: "TRIM_HORIZON",
    }),
  );
  const pages = await Promise.all(
    Array.from({ length: 50 }, async () => reader.kinesis.send(new GetRecordsCommand({ ShardIterator }))),
  );
  expect(pages.every((page) => page.Records?.length === 1)).toBe(true);
  expect(await callsOf(reader, "Decrypt")).toBe(1);
  writer.destroy();
  reader.destroy();
});

test("two principals never share a data key", async () => {
  const one = await newcomer("one");
  const two = await newcomer("two");
  await put(one, 1);
  await put(two, 2);
  expect([await callsOf(one, "GenerateDataKey"), await callsOf(two, "GenerateDataKey")]).toEqual([1, 1]);
  one.destroy();
  two.destroy();
});

test("a data key that was used once is gone after five minutes", async () => {
  const user = await newcomer("rare");
  await put(user, 1);
  await advanceClock(server(), 4.5 * MINUTE_MS);
  await put(user, 2);
  expect(await callsOf(user, "GenerateDataKey")).toBe(1);
  await advanceClock(server(), 0.6 * MINUTE_MS);
  await put(user, 3);
  expect(await callsOf(user, "GenerateDataKey")).toBe(2);
  user.destroy();
});

test("over an hour of steady puts KMS sees at most 13 calls, use does not prolong a data key", async () => {
  const user = await newcomer("steady");
  for (let minute = 0; minute < 60; minute += 2) {
    await put(user, minute);
    await put(user, minute + 1);
    await advanceClock(server(), 2 * MINUTE_MS);
  }
  const calls = await callsOf(user, "GenerateDataKey");
  expect(calls).toBeLessThanOrEqual(13);
  expect(calls).toBeGreaterThanOrEqual(10);
  user.destroy();
});

test("records under a key that was deleted are refused by that name, not called damaged", async () => {
  const DAY_MS = 24 * 60 * MINUTE_MS;
  const { KeyMetadata } = await root.kms.send(new CreateKeyCommand({}));
  const KeyId = KeyMetadata?.KeyId ?? "";
  await createStream(root.kinesis, "orphaned", { keyId: KeyId });
  await root.kinesis.send(
    new IncreaseStreamRetentionPeriodCommand({ StreamName: "orphaned", RetentionPeriodHours: 720 }),
  );
  await root.kinesis.send(new PutRecordCommand({ StreamName: "orphaned", PartitionKey: "k", Data: utf8("value") }));
  await root.kms.send(new ScheduleKeyDeletionCommand({ KeyId, PendingWindowInDays: 7 }));
  await advanceClock(server(), 7 * DAY_MS + MINUTE_MS);
  const { ShardIterator } = await root.kinesis.send(
    new GetShardIteratorCommand({
      StreamName: "orphaned",
      ShardId: "shardId-000000000000",
      ShardIteratorType: "TRIM_HORIZON",
    }),
  );
  expect(await refusal(root.kinesis.send(new GetRecordsCommand({ ShardIterator })))).toBe("KMSNotFoundException");
});
