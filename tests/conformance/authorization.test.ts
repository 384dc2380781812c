import { DeleteUserPolicyCommand, PutUserPolicyCommand } from "@aws-sdk/client-iam";
import {
  GetRecordsCommand,
  GetShardIteratorCommand,
  PutRecordCommand,
  PutRecordsCommand,
} from "@aws-sdk/client-kinesis";
import {
  CancelKeyDeletionCommand,
  CreateKeyCommand,
  DisableKeyCommand,
  EnableKeyCommand,
  GetKeyPolicyCommand,
  PutKeyPolicyCommand,
  ScheduleKeyDeletionCommand,
} from "@aws-sdk/client-kms";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Clients, createUser, policyDocument, refusal, rootClients, type User } from "../support/clients.ts";
import { serverForAll } from "../support/server.ts";
import { createStream, readStream, utf8 } from "../support/streams.ts";
import { eventsNamed } from "../support/trail.ts";
import { sleep } from "../support/wait.ts";

const server = serverForAll();
const KINESIS = { Effect: "Allow", Action: "kinesis:*", Resource: "*" } as const;

/** What disabling a key may take to bite. */
const BITE_MS_MAX = 1_000;

let root: Clients;
/** May use every stream, and no key. */
let plain: User;
/** May use every stream and the customer's key. */
let trusted: User;
let keyId = "";

beforeAll(async () => {
  root = await rootClients(server());
  const { KeyMetadata } = await root.kms.send(new CreateKeyCommand({}));
  keyId = KeyMetadata?.KeyId ?? "";
  await createStream(root.kinesis, "governed", { keyId });
  await createStream(root.kinesis, "default-key", { keyId: "alias/aws/kinesis" });
  plain = await createUser(server(), root, "plain", [KINESIS]);
  trusted = await createUser(server(), root, "trusted", [
    KINESIS,
    { Effect: "Allow", Action: ["kms:GenerateDataKey", "kms:Decrypt"], Resource: KeyMetadata?.Arn ?? "" },
  ]);
});
afterAll(() => {
  for (const clients of [root, plain, trusted]) clients.destroy();
});

const put = async (who: Clients, stream = "governed"): Promise<string> =>
  refusal(who.kinesis.send(new PutRecordCommand({ StreamName: stream, PartitionKey: "k", Data: utf8("value") })));

const putMany = async (who: Clients, stream = "governed"): Promise<string> =>
  refusal(
    who.kinesis.send(
      new PutRecordsCommand({ StreamName: stream, Records: [{ PartitionKey: "k", Data: utf8("value") }] }),
    ),
  );

const get = async (who: Clients, stream = "governed"): Promise<string> => {
  const { ShardIterator } = await who.kinesis.send(
    new GetShardIteratorCommand({
      StreamName: stream,
      ShardId: "shardId-000000000000",
      ShardIteratorType: "TRIM_HORIZON",
    }),
  );
  return refusal(who.kinesis.send(new GetRecordsCommand({ ShardIterator })));
};

test("whoever may use the stream but not the key is refused on put and on get, with the key's error", async () => {
  expect(await put(trusted)).toBe("succeeded");
  expect(await put(plain)).toBe("KMSAccessDeniedException");
  expect(await putMany(plain)).toBe("KMSAccessDeniedException");
  expect(await get(plain)).toBe("KMSAccessDeniedException");
  const refused = await eventsNamed(root.cloudtrail, "GenerateDataKey");
  expect(refused.filter((event) => event.userIdentity.arn === plain.arn && event.errorCode !== undefined)).not.toEqual(
    [],
  );
});

test("under the default key the same user succeeds", async () => {
  expect(await put(plain, "default-key")).toBe("succeeded");
  expect(await putMany(plain, "default-key")).toBe("succeeded");
  expect(await get(plain, "default-key")).toBe("succeeded");
});

test("disabling the key stops puts and gets within a second, enabling restores them, nothing is lost", async () => {
  expect(await put(trusted)).toBe("succeeded");
  const before = await readStream(trusted.kinesis, "governed");

  await root.kms.send(new DisableKeyCommand({ KeyId: keyId }));
  await sleep(BITE_MS_MAX);
  expect(await put(trusted)).toBe("KMSDisabledException");
  expect(await putMany(trusted)).toBe("KMSDisabledException");
  expect(await get(trusted)).toBe("KMSDisabledException");

  await root.kms.send(new EnableKeyCommand({ KeyId: keyId }));
  expect(await put(trusted)).toBe("succeeded");
  const after = await readStream(trusted.kinesis, "governed");
  expect(after.slice(0, before.length)).toEqual(before);
  expect(after).toHaveLength(before.length + 1);
});

test("a key that is pending deletion is in the wrong state; cancelling brings it back", async () => {
  await root.kms.send(new ScheduleKeyDeletionCommand({ KeyId: keyId, PendingWindowInDays: 7 }));
  await sleep(BITE_MS_MAX);
  expect(await put(trusted)).toBe("KMSInvalidStateException");
  expect(await get(trusted)).toBe("KMSInvalidStateException");
  await root.kms.send(new CancelKeyDeletionCommand({ KeyId: keyId }));
  await root.kms.send(new EnableKeyCommand({ KeyId: keyId }));
  expect(await put(trusted)).toBe("succeeded");
  expect(await get(trusted)).toBe("succeeded");
});

test.each([
  { denied: "kms:GenerateDataKey", fails: put, as: "KMSAccessDeniedException" },
  { denied: "kms:Decrypt", fails: get, as: "KMSAccessDeniedException" },
  { denied: "kinesis:PutRecord", fails: put, as: "AccessDeniedException" },
  { denied: "kinesis:GetRecords", fails: get, as: "AccessDeniedException" },
])("an attached deny of $denied bites on the very next request, and its removal too", async ({ denied, fails, as }) => {
  expect(await fails(trusted)).toBe("succeeded");
  await root.iam.send(
    new PutUserPolicyCommand({
      UserName: "trusted",
      PolicyName: "deny",
      PolicyDocument: policyDocument({ Effect: "Deny", Action: denied, Resource: "*" }),
    }),
  );
  expect(await fails(trusted)).toBe(as);
  await root.iam.send(new DeleteUserPolicyCommand({ UserName: "trusted", PolicyName: "deny" }));
  expect(await fails(trusted)).toBe("succeeded");
});

test("a deny in the key's own policy bites on the very next request", async () => {
  const { Policy } = await root.kms.send(new GetKeyPolicyCommand({ KeyId: keyId }));
  const document = JSON.parse(Policy ?? "{}") as { readonly Statement: readonly unknown[] };
  const deny = { Sid: "NotHim", Effect: "Deny", Principal: { AWS: trusted.arn }, Action: "kms:*", Resource: "*" };
  await root.kms.send(
    new PutKeyPolicyCommand({
      KeyId: keyId,
      Policy: JSON.stringify({ ...document, Statement: [...document.Statement, deny] }),
    }),
  );
  expect(await put(trusted)).toBe("KMSAccessDeniedException");
  expect(await get(trusted)).toBe("KMSAccessDeniedException");
  await root.kms.send(new PutKeyPolicyCommand({ KeyId: keyId, Policy }));
  expect(await put(trusted)).toBe("succeeded");
  expect(await get(trusted)).toBe("succeeded");
});

test("a condition on the encryption context ties the key to one stream", async () => {
  await createStream(root.kinesis, "elsewhere", { keyId });
  const bound = await createUser(server(), root, "bound", [
    KINESIS,
    {
      Effect: "Allow",
      Action: ["kms:GenerateDataKey", "kms:Decrypt"],
      Resource: "*",
      Condition: {
        StringEquals: {
          "kms:EncryptionContext:aws:kinesis:arn": `arn:aws:kinesis:${server().region}:${server().accountId}:stream/governed`,
          "kms:ViaService": `kinesis.${server().region}.amazonaws.com`,
        },
      },
    },
  ]);
  expect(await put(bound)).toBe("succeeded");
  expect(await put(bound, "elsewhere")).toBe("KMSAccessDeniedException");
  bound.destroy();
});
