import { beforeEach, describe, expect, test } from "vitest";
import { DAY_MS, TRANSITION_MS } from "../model.ts";
import { ACCOUNT, KEY_ARN, OTHER_KEY_ARN, principal, refusal, TestKinesis } from "../testing/harness.ts";

let kinesis: TestKinesis;
beforeEach(async () => {
  kinesis = new TestKinesis();
  await kinesis.stream();
});

const start = (KeyId: string = KEY_ARN): Promise<unknown> =>
  kinesis.run("StartStreamEncryption", { StreamName: "orders", EncryptionType: "KMS", KeyId });
const stop = (): Promise<unknown> =>
  kinesis.run("StopStreamEncryption", { StreamName: "orders", EncryptionType: "KMS", KeyId: KEY_ARN });
const described = async (): Promise<Record<string, unknown>> => {
  const { StreamDescription } = await kinesis.run("DescribeStream", { StreamName: "orders" });
  return {
    status: StreamDescription.StreamStatus,
    type: StreamDescription.EncryptionType,
    key: StreamDescription.KeyId,
  };
};

describe("StartStreamEncryption", () => {
  test("goes through UPDATING and seals what is put from then on", async () => {
    await kinesis.put("before");
    await start();
    expect(await described()).toEqual({ status: "UPDATING", type: "KMS", key: KEY_ARN });
    expect(await kinesis.put("at once")).toMatchObject({ EncryptionType: "KMS" });
    kinesis.clock.advance(TRANSITION_MS);
    expect(await described()).toMatchObject({ status: "ACTIVE" });
    const { Records } = await kinesis.run("GetRecords", { ShardIterator: await kinesis.iterator() });
    expect(Records.map(({ Data, EncryptionType }) => [Buffer.from(Data).toString(), EncryptionType])).toEqual([
      ["before", "NONE"],
      ["at once", "KMS"],
    ]);
  });

  test("echoes the key as it was given", async () => {
    await start("alias/aws/kinesis");
    expect(await described()).toMatchObject({ key: "alias/aws/kinesis" });
    await kinesis.put("a");
    expect(await kinesis.texts()).toEqual(["a"]);
  });

  test("changes to another key; records under the old one stay readable while it lives", async () => {
    await kinesis.encrypt();
    await kinesis.put("old key");
    await kinesis.encrypt("orders", OTHER_KEY_ARN);
    await kinesis.put("new key");
    expect(await kinesis.texts()).toEqual(["old key", "new key"]);
    kinesis.kms.states.set(KEY_ARN, "Disabled");
    const error = await refusal(kinesis.texts());
    expect([error.code, error.message]).toEqual(["KMSDisabledException", `${KEY_ARN} is disabled.`]);
  });

  test("works on an ACTIVE stream only", async () => {
    await start();
    for (const run of [start(), stop()]) {
      const error = await refusal(run);
      expect([error.code, error.message]).toEqual([
        "ResourceInUseException",
        `Stream orders under account ${ACCOUNT} not ACTIVE, instead in state UPDATING`,
      ]);
    }
    await kinesis.run("CreateStream", { StreamName: "young", ShardCount: 1 });
    const young = kinesis.run("StartStreamEncryption", { StreamName: "young", EncryptionType: "KMS", KeyId: KEY_ARN });
    expect((await refusal(young)).code).toBe("ResourceInUseException");
  });

  test.each([
    ["a key that does not exist", "arn:aws:kms:eu-central-1:111122223333:key/no", "KMSNotFoundException"],
    ["a disabled key", OTHER_KEY_ARN, "KMSDisabledException"],
  ])("refuses %s and leaves the stream as it was", async (_, key, code) => {
    kinesis.kms.states.set(OTHER_KEY_ARN, "Disabled");
    expect((await refusal(start(key))).code).toBe(code);
    expect(await described()).toEqual({ status: "ACTIVE", type: "NONE", key: undefined });
  });

  test("refuses a key on its way out, an asymmetric key, and a caller whom KMS refuses", async () => {
    kinesis.kms.states.set(KEY_ARN, "PendingDeletion");
    const error = await refusal(start());
    expect([error.code, error.message]).toEqual(["KMSInvalidStateException", `${KEY_ARN} is pending deletion.`]);
    kinesis.kms.states.set(KEY_ARN, "Enabled");
    Object.assign(kinesis.kms.spec, { KeySpec: "RSA_2048" });
    expect((await refusal(start())).code).toBe("InvalidArgumentException");
    kinesis.kms.refuse("ann", "AccessDeniedException", "User: ann is not authorized to perform: kms:DescribeKey");
    expect((await refusal(start())).code).toBe("KMSAccessDeniedException");
  });

  test("takes 25 changes in any 24 hours, and as many stops", async () => {
    for (let change = 0; change < 25; change++) {
      await start();
      kinesis.clock.advance(TRANSITION_MS);
      await stop();
      kinesis.clock.advance(TRANSITION_MS);
    }
    expect((await refusal(start())).code).toBe("LimitExceededException");
    expect((await refusal(stop())).code).toBe("LimitExceededException");
    kinesis.clock.advance(DAY_MS);
    await start();
  });
});

describe("StopStreamEncryption", () => {
  test("leaves new records in clear and old ones sealed and readable", async () => {
    await kinesis.encrypt();
    await kinesis.put("sealed");
    await stop();
    expect(await described()).toEqual({ status: "UPDATING", type: "NONE", key: undefined });
    expect(await kinesis.put("clear")).toMatchObject({ EncryptionType: "NONE" });
    expect(await kinesis.texts()).toEqual(["sealed", "clear"]);
  });
});

describe("the data keys of an encrypted stream", () => {
  const producers = ["ann", "bob"].map((name) => principal(name));

  test("are one per principal and 5 minutes, however many records", async () => {
    await kinesis.encrypt();
    const many = Array.from({ length: 500 }, (_, at) => ({ PartitionKey: `${at}`, Data: Buffer.from(`${at}`) }));
    for (let minute = 0; minute < 4; minute++) {
      for (const who of producers) {
        await Promise.all(
          Array.from({ length: 10 }, () => kinesis.run("PutRecords", { StreamName: "orders", Records: many }, who)),
        );
      }
      kinesis.clock.advance(60_000);
    }
    expect(kinesis.kms.generated).toBe(2);
  });

  test("are asked about once per request, not once per record", async () => {
    await kinesis.encrypt();
    await kinesis.put("a");
    kinesis.kms.authorized = 0;
    const Records = Array.from({ length: 100 }, (_, at) => ({ PartitionKey: `${at}`, Data: Buffer.from("x") }));
    await kinesis.run("PutRecords", { StreamName: "orders", Records });
    expect(kinesis.kms.authorized).toBe(1);
    await kinesis.texts();
    kinesis.kms.authorized = 0;
    await kinesis.texts();
    expect([kinesis.kms.authorized, kinesis.kms.decrypted]).toEqual([1, 1]);
  });

  test("of another key are made anew when the stream changes its key", async () => {
    await kinesis.encrypt();
    await kinesis.put("a");
    await kinesis.encrypt("orders", OTHER_KEY_ARN);
    await kinesis.put("b");
    expect(kinesis.kms.generated).toBe(2);
  });
});
