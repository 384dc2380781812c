import {
  GetRecordsCommand,
  GetShardIteratorCommand,
  PutRecordCommand,
  PutRecordsCommand,
} from "@aws-sdk/client-kinesis";
import { CreateKeyCommand, EncryptCommand, GenerateDataKeyCommand } from "@aws-sdk/client-kms";
import { expect, test } from "vitest";
import { findBelow, findIn } from "../support/canary.ts";
import { createUser, refusal, rootClients } from "../support/clients.ts";
import { serverForAll } from "../support/server.ts";
import { createStream, readStream, utf8 } from "../support/streams.ts";
import { allEvents } from "../support/trail.ts";
import { type RawResponse, send, sign, targeted } from "../support/wire.ts";

const server = serverForAll({ https: true });

/** Letters only, so that no form of it can turn up by chance. */
const PAYLOAD = "QuietPayloadThatNobodyMayEverFindAnywhereZQ";
const PARTITION_KEY = "QuietPartitionKeyThatNobodyMayFindEitherXJ";
const REFUSED = "QuietRefusedPayloadThatMustNotBeLoggedVW";
const PLAINTEXT = "QuietPlaintextOfAnEncryptCallOfACallerKP";

test("nothing that was put on an encrypted stream is found in files, logs, events or error answers", async () => {
  const root = await rootClients(server());
  const { KeyMetadata } = await root.kms.send(new CreateKeyCommand({}));
  const keyId = KeyMetadata?.KeyId ?? "";
  await createStream(root.kinesis, "quiet", { shards: 2, keyId });
  const answers: RawResponse[] = [];

  // Put and read, one by one and in batches.
  for (let index = 0; index < 20; index += 1) {
    await root.kinesis.send(
      new PutRecordCommand({
        StreamName: "quiet",
        PartitionKey: `${PARTITION_KEY}${index}`,
        Data: utf8(`${"x".repeat(index)}${PAYLOAD}`),
      }),
    );
  }
  const Records = Array.from({ length: 100 }, (_, index) => ({
    PartitionKey: `${PARTITION_KEY}-${index}`,
    Data: utf8(`${PAYLOAD}${index}`),
  }));
  await root.kinesis.send(new PutRecordsCommand({ StreamName: "quiet", Records }));
  expect(await readStream(root.kinesis, "quiet")).toHaveLength(120);

  // Data keys and plaintexts of direct callers.
  const dataKey = await root.kms.send(new GenerateDataKeyCommand({ KeyId: keyId, KeySpec: "AES_256" }));
  await root.kms.send(new EncryptCommand({ KeyId: keyId, Plaintext: utf8(PLAINTEXT) }));

  // Refused: no permission on the key, none at all.
  const stranger = await createUser(server(), root, "stranger", [
    { Effect: "Allow", Action: "kinesis:*", Resource: "*" },
  ]);
  const nobody = await createUser(server(), root, "nobody", []);
  const record = { StreamName: "quiet", PartitionKey: PARTITION_KEY, Data: utf8(REFUSED) };
  expect(await refusal(stranger.kinesis.send(new PutRecordCommand(record)))).toBe("KMSAccessDeniedException");
  expect(await refusal(nobody.kinesis.send(new PutRecordCommand(record)))).toBe("AccessDeniedException");
  expect(await refusal(nobody.kms.send(new EncryptCommand({ KeyId: keyId, Plaintext: utf8(PLAINTEXT) })))).toBe(
    "AccessDeniedException",
  );
  const { ShardIterator } = await stranger.kinesis.send(
    new GetShardIteratorCommand({
      StreamName: "quiet",
      ShardId: "shardId-000000000000",
      ShardIteratorType: "TRIM_HORIZON",
    }),
  );
  expect(await refusal(stranger.kinesis.send(new GetRecordsCommand({ ShardIterator })))).toBe(
    "KMSAccessDeniedException",
  );

  // Malformed: each of these holds a payload or a partition key in a place where a careless error would quote it.
  const base64 = Buffer.from(REFUSED).toString("base64");
  const bodies = [
    `{"StreamName":"quiet","PartitionKey":"${PARTITION_KEY}","Data":"${base64}"`,
    `{"StreamName":"quiet","PartitionKey":"${PARTITION_KEY.repeat(8)}","Data":"${base64}"}`,
    `{"StreamName":"quiet","PartitionKey":["${PARTITION_KEY}"],"Data":"${base64}"}`,
    `{"StreamName":"quiet","PartitionKey":"${PARTITION_KEY}","Data":"${REFUSED}!!"}`,
    `{"StreamName":"quiet","PartitionKey":"${PARTITION_KEY}","Data":{"${REFUSED}":1}}`,
    `{"StreamName":"quiet","PartitionKey":"${PARTITION_KEY}","Data":"${base64}","ExplicitHashKey":"${PARTITION_KEY}"}`,
    `{"StreamName":"nowhere","PartitionKey":"${PARTITION_KEY}","Data":"${base64}"}`,
    `{"StreamName":"quiet","Records":[{"PartitionKey":"${PARTITION_KEY}","Data":"${REFUSED}!"}]}`,
    REFUSED,
  ];
  const signing = {
    endpoint: server().endpoint,
    credentials: root.credentials,
    region: server().region,
    service: "kinesis",
  };
  for (const body of bodies) {
    for (const operation of ["PutRecord", "PutRecords", "NoSuchOperation"]) {
      const request = targeted(`Kinesis_20131202.${operation}`, body);
      const signed = sign(request, signing);
      answers.push(await send(server().endpoint, signed));
      answers.push(await send(server().endpoint, request));
      answers.push(await send(server().endpoint, { ...signed, body: Buffer.from(body.replace("quiet", "QUIET")) }));
      answers.push(await send(server().endpoint, { ...signed, body: Buffer.from(body.slice(0, -1)) }));
      answers.push(
        await send(
          server().endpoint,
          sign({ ...request, headers: { ...request.headers, "content-type": "application/x-amz-cbor-1.1" } }, signing),
        ),
      );
    }
  }
  expect(
    answers.filter((answer) => answer.status < 400 || answer.status >= 500).map((answer) => answer.status),
  ).toEqual([]);

  const secrets = {
    payload: utf8(PAYLOAD),
    "partition key": utf8(PARTITION_KEY),
    "refused payload": utf8(REFUSED),
    "plaintext of Encrypt": utf8(PLAINTEXT),
    "data key": dataKey.Plaintext ?? new Uint8Array(32),
  };
  const trail = await allEvents(root.cloudtrail);
  expect(trail.length).toBeGreaterThan(20);
  expect(findIn(JSON.stringify(trail), secrets)).toEqual([]);
  for (const answer of answers) expect(findIn(answer.body, secrets)).toEqual([]);
  expect(findIn(server().output().stdout, secrets)).toEqual([]);
  expect(findIn(server().output().stderr, secrets)).toEqual([]);
  expect(findBelow(server().dataDir, secrets)).toEqual([]);

  // The search itself finds what is stored in clear, or the lines above would prove nothing.
  await createStream(root.kinesis, "loud");
  await root.kinesis.send(new PutRecordCommand({ StreamName: "loud", PartitionKey: "k", Data: utf8(REFUSED) }));
  expect(findBelow(server().dataDir, secrets)).not.toEqual([]);
});
