/** Streams shared with another account: what the stream's policy, the other account's own and the key's policy let through. */
import { DeleteAccessKeyCommand, DeleteUserCommand, DeleteUserPolicyCommand } from "@aws-sdk/client-iam";
import {
  DeleteResourcePolicyCommand,
  DeleteStreamCommand,
  DeregisterStreamConsumerCommand,
  DescribeStreamConsumerCommand,
  DescribeStreamSummaryCommand,
  GetRecordsCommand,
  GetResourcePolicyCommand,
  GetShardIteratorCommand,
  ListShardsCommand,
  PutRecordCommand,
  PutRecordsCommand,
  PutResourcePolicyCommand,
  RegisterStreamConsumerCommand,
  StartStreamEncryptionCommand,
  SubscribeToShardCommand,
} from "@aws-sdk/client-kinesis";
import { CreateKeyCommand, PutKeyPolicyCommand } from "@aws-sdk/client-kms";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { type Clients, clientsFor, createUser, refusal, rootClients, type User } from "../support/clients.ts";
import { waxsealOk } from "../support/processes.ts";
import { type Credentials, serverForAll } from "../support/server.ts";
import { createStream, text, utf8, waitUntilActive } from "../support/streams.ts";
import { eventually } from "../support/wait.ts";

const server = serverForAll();
const NAME = "shared";
const DENIED = "AccessDeniedException";

let owner: Clients;
let strangerRoot: Clients;
/** A user of the other account who may do everything there, and one who may do nothing. */
let stranger: User;
let idle: User;
let strangerAccount = "";
let StreamARN = "";
const ShardId = "shardId-000000000000";

const policy = (...statements: readonly object[]): string =>
  JSON.stringify({
    Version: "2012-10-17",
    Statement: statements.map((statement) => ({ Effect: "Allow", Resource: StreamARN, ...statement })),
  });

const putPolicy = (...statements: readonly object[]): Promise<unknown> =>
  owner.kinesis.send(new PutResourcePolicyCommand({ ResourceARN: StreamARN, Policy: policy(...statements) }));

beforeAll(async () => {
  owner = await rootClients(server());
  const made = JSON.parse(
    await waxsealOk(["account", "create", "--data-dir", server().dataDir, "--name", "other", "--json"]),
  ) as Credentials & { readonly accountId: string };
  strangerAccount = made.accountId;
  const { accessKeyId, secretAccessKey } = made;
  strangerRoot = await clientsFor(server(), { accessKeyId, secretAccessKey });
  stranger = await createUser(server(), strangerRoot, "eve", [{ Effect: "Allow", Action: "*", Resource: "*" }]);
  idle = await createUser(server(), strangerRoot, "idle", []);
  StreamARN = (await createStream(owner.kinesis, NAME)).StreamARN ?? "";
});
beforeEach(async () => {
  await owner.kinesis.send(new DeleteResourcePolicyCommand({ ResourceARN: StreamARN })).catch(() => undefined);
});
afterAll(() => {
  for (const clients of [owner, strangerRoot, stranger, idle]) clients.destroy();
});

const put = ({ kinesis }: Clients, data = "x") =>
  kinesis.send(new PutRecordCommand({ StreamARN, PartitionKey: "a", Data: utf8(data) }));
const iterator = async ({ kinesis }: Clients) =>
  (await kinesis.send(new GetShardIteratorCommand({ StreamARN, ShardId, ShardIteratorType: "TRIM_HORIZON" })))
    .ShardIterator;
async function texts(who: Clients, ShardIterator?: string): Promise<readonly string[]> {
  const input = { StreamARN, ShardIterator: ShardIterator ?? (await iterator(who)) };
  const { Records = [] } = await who.kinesis.send(new GetRecordsCommand(input));
  return Records.map(({ Data }) => text(Data));
}

test("without a policy another account's users and root reach nothing, known or unknown", async () => {
  for (const who of [stranger, strangerRoot]) {
    expect(await refusal(put(who))).toBe(DENIED);
    const ghost = StreamARN.replace(NAME, "ghost");
    const unknown = who.kinesis.send(new DescribeStreamSummaryCommand({ StreamARN: ghost }));
    expect(await refusal(unknown)).toBe(DENIED);
  }
});

test("both sides have to allow it, and a policy that is taken away holds no longer", async () => {
  await putPolicy({ Principal: { AWS: strangerAccount }, Action: ["kinesis:PutRecord", "kinesis:ListShards"] });
  await put(stranger, "by a user");
  await put(strangerRoot, "by root");
  await stranger.kinesis.send(new ListShardsCommand({ StreamARN }));
  expect(await refusal(put(idle))).toBe(DENIED);
  expect(await refusal(stranger.kinesis.send(new PutRecordsCommand({ StreamARN, Records: [] })))).not.toBe("succeeded");
  expect(await refusal(iterator(stranger))).toBe(DENIED);
  const { Policy } = await owner.kinesis.send(new GetResourcePolicyCommand({ ResourceARN: StreamARN }));
  expect(JSON.parse(Policy ?? "")).toMatchObject({ Statement: [{ Principal: { AWS: strangerAccount } }] });
  await owner.kinesis.send(new DeleteResourcePolicyCommand({ ResourceARN: StreamARN }));
  expect(await refusal(put(stranger))).toBe(DENIED);
  const gone = await owner.kinesis.send(new GetResourcePolicyCommand({ ResourceARN: StreamARN }));
  expect(gone.Policy).toBe("{}");
  expect(await texts(owner)).toEqual(["by a user", "by root"]);
});

test("an iterator is no permission, and works for whoever has one", async () => {
  await put(owner, "once");
  const ShardIterator = await iterator(owner);
  expect(await refusal(texts(stranger, ShardIterator))).toBe(DENIED);
  await putPolicy({ Principal: { AWS: stranger.arn }, Action: "kinesis:GetRecords" });
  expect(await texts(stranger, ShardIterator)).toContain("once");
  expect(await refusal(texts(strangerRoot, ShardIterator))).toBe(DENIED);
  // By an iterator alone, without the ARN.
  const { Records } = await stranger.kinesis.send(new GetRecordsCommand({ ShardIterator }));
  expect(Records?.length).toBeGreaterThan(0);
});

test("sharing goes no further than reading and writing, and a Deny wins in the owner's account, too", async () => {
  await putPolicy({ Principal: "*", Action: "kinesis:*" });
  const { kinesis } = stranger;
  await kinesis.send(new DescribeStreamSummaryCommand({ StreamARN }));
  for (const call of [
    kinesis.send(new DeleteStreamCommand({ StreamARN })),
    kinesis.send(new PutResourcePolicyCommand({ ResourceARN: StreamARN, Policy: policy({ Principal: "*" }) })),
    kinesis.send(new GetResourcePolicyCommand({ ResourceARN: StreamARN })),
    kinesis.send(new StartStreamEncryptionCommand({ StreamARN, EncryptionType: "KMS", KeyId: "alias/aws/kinesis" })),
  ])
    expect(await refusal(call)).toBe(DENIED);
  // Unlike in another account, everybody in the owner's is allowed by the policy itself.
  const local = await createUser(server(), owner, "local", []);
  await put(local);
  await putPolicy(
    { Principal: "*", Action: "kinesis:*" },
    { Effect: "Deny", Principal: "*", Action: "kinesis:PutRecord" },
  );
  expect(await refusal(put(local))).toBe(DENIED);
  expect(await refusal(put(owner))).toBe(DENIED);
  local.destroy();
});

test("a consumer has a policy of its own, which lets another account subscribe", async () => {
  const register = new RegisterStreamConsumerCommand({ StreamARN, ConsumerName: "lent" });
  const { Consumer } = await owner.kinesis.send(register);
  const ConsumerARN = Consumer?.ConsumerARN ?? "";
  await eventually(async () => {
    const { ConsumerDescription } = await owner.kinesis.send(new DescribeStreamConsumerCommand({ ConsumerARN }));
    return ConsumerDescription?.ConsumerStatus === "ACTIVE" ? true : null;
  });
  await put(owner, "pushed");
  const StartingPosition = { Type: "TRIM_HORIZON" } as const;
  const subscribe = () =>
    stranger.kinesis.send(new SubscribeToShardCommand({ ConsumerARN, ShardId, StartingPosition }));
  // The stream's policy is not the consumer's.
  await putPolicy({ Principal: { AWS: strangerAccount }, Action: "kinesis:*", Resource: "*" });
  expect(await refusal(subscribe())).toBe(DENIED);
  const statement = { Principal: { AWS: strangerAccount }, Action: "kinesis:SubscribeToShard", Resource: ConsumerARN };
  const command = new PutResourcePolicyCommand({ ResourceARN: ConsumerARN, Policy: policy(statement) });
  await owner.kinesis.send(command);
  const { EventStream } = await subscribe();
  for await (const { SubscribeToShardEvent } of EventStream ?? []) {
    if ((SubscribeToShardEvent?.Records ?? []).some(({ Data }) => text(Data) === "pushed")) break;
  }
  const deregister = new DeregisterStreamConsumerCommand({ ConsumerARN });
  expect(await refusal(stranger.kinesis.send(deregister))).toBe(DENIED);
  await owner.kinesis.send(deregister);
});

test("a policy names principals that exist, and forgets one that is deleted", async () => {
  const nobody = { AWS: `arn:aws:iam::${strangerAccount}:user/nobody` };
  expect(await refusal(putPolicy({ Principal: nobody, Action: "kinesis:*" }))).toBe("InvalidArgumentException");
  const all = { Effect: "Allow", Action: "*", Resource: "*" } as const;
  const first = await createUser(server(), strangerRoot, "twin", [all]);
  await putPolicy({ Principal: { AWS: first.arn }, Action: "kinesis:PutRecord" });
  await put(first);
  const { accessKeyId: AccessKeyId } = first.credentials;
  await strangerRoot.iam.send(new DeleteAccessKeyCommand({ UserName: "twin", AccessKeyId }));
  await strangerRoot.iam.send(new DeleteUserPolicyCommand({ UserName: "twin", PolicyName: "main" }));
  await strangerRoot.iam.send(new DeleteUserCommand({ UserName: "twin" }));
  const second = await createUser(server(), strangerRoot, "twin", [all]);
  expect(await refusal(put(second))).toBe(DENIED);
  for (const clients of [first, second]) clients.destroy();
});

test("an encrypted stream needs its key's policy, too: KMS is called as the other account's caller", async () => {
  const { KeyMetadata } = await owner.kms.send(new CreateKeyCommand({}));
  const KeyId = KeyMetadata?.Arn ?? "";
  await owner.kinesis.send(new StartStreamEncryptionCommand({ StreamARN, EncryptionType: "KMS", KeyId }));
  await waitUntilActive(owner.kinesis, NAME);
  await putPolicy({ Principal: { AWS: strangerAccount }, Action: ["kinesis:Put*", "kinesis:Get*"] });
  await put(owner, "sealed");
  expect(await refusal(put(stranger))).toBe("KMSAccessDeniedException");
  expect(await refusal(texts(stranger))).toBe("KMSAccessDeniedException");
  const root = (account: string) => ({ AWS: `arn:aws:iam::${account}:root` });
  const Condition = { StringEquals: { "kms:EncryptionContext:aws:kinesis:arn": StreamARN } };
  const statements = [
    { Effect: "Allow", Principal: root(server().accountId), Action: "kms:*", Resource: "*" },
    {
      Effect: "Allow",
      Principal: root(strangerAccount),
      Action: ["kms:Decrypt", "kms:GenerateDataKey"],
      Resource: "*",
      Condition,
    },
  ];
  const Policy = JSON.stringify({ Version: "2012-10-17", Statement: statements });
  await owner.kms.send(new PutKeyPolicyCommand({ KeyId, PolicyName: "default", Policy }));
  await put(stranger, "from afar");
  expect((await texts(stranger)).slice(-2)).toEqual(["sealed", "from afar"]);
  expect((await texts(owner)).at(-1)).toBe("from afar");
});
