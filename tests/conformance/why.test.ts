import { GetRecordsCommand, PutRecordCommand } from "@aws-sdk/client-kinesis";
import { CreateKeyCommand, DecryptCommand, EncryptCommand, PutKeyPolicyCommand } from "@aws-sdk/client-kms";
import { PutUserPolicyCommand } from "@aws-sdk/client-iam";
import { DecodeAuthorizationMessageCommand } from "@aws-sdk/client-sts";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Clients, createUser, policyDocument, refusal, rootClients, type User } from "../support/clients.ts";
import { waxseal, waxsealOk } from "../support/processes.ts";
import { removeDirectory, type RunningServer, startServer, temporaryDirectory } from "../support/server.ts";
import { createStream, utf8 } from "../support/streams.ts";
import { eventsNamed } from "../support/trail.ts";

const STREAM = "orders";
const ALL_OF_KINESIS = { Effect: "Allow", Action: "kinesis:*", Resource: "*" } as const;

interface Denial {
  readonly requestId: string;
  readonly eventId: string;
  readonly via: string | null;
  readonly action: string;
  readonly resource: string;
  readonly principal: { readonly arn: string };
  readonly decision: { readonly kind: string; readonly reason: string; readonly statement: { text: string } | null };
  readonly conditions: readonly { readonly key: string; readonly values: readonly string[]; readonly asked: boolean }[];
}

const dataDir = temporaryDirectory();
let server: RunningServer;
let root: Clients;
let ann: User;
let keyArn = "";

beforeAll(async () => {
  server = await startServer({ dataDir });
  root = await rootClients(server);
  const { KeyMetadata } = await root.kms.send(new CreateKeyCommand({}));
  keyArn = KeyMetadata?.Arn ?? "";
  await createStream(root.kinesis, STREAM, { keyId: keyArn });
  ann = await createUser(server, root, "ann", [ALL_OF_KINESIS]);
});
afterAll(async () => {
  root.destroy();
  ann.destroy();
  await server.stop();
  removeDirectory(dataDir);
});

/** What a call is refused with, and under which request id. */
async function refused(call: Promise<unknown>): Promise<{ name: string; message: string; requestId: string }> {
  const error = (await call.then(
    () => new Error("succeeded"),
    (thrown: unknown) => thrown,
  )) as Error & { readonly $metadata?: { readonly requestId?: string } };
  return { name: error.name, message: error.message, requestId: error.$metadata?.requestId ?? "" };
}

const put = (who: Clients): Promise<unknown> =>
  who.kinesis.send(new PutRecordCommand({ StreamName: STREAM, PartitionKey: "p", Data: utf8("secret payload") }));

async function denialOf(id: string): Promise<Denial> {
  const { denials } = JSON.parse(await waxsealOk(["why", id, "--data-dir", dataDir, "--json"])) as {
    readonly denials: readonly Denial[];
  };
  expect(denials).toHaveLength(1);
  const [denial] = denials;
  if (denial === undefined) throw new Error("no denial");
  return denial;
}

const valuesOf = (denial: Denial, key: string): readonly string[] | undefined =>
  denial.conditions.find((condition) => condition.key === key)?.values;

test("a put whose caller may not use the key is explained under the id that the caller sees", async () => {
  const { name, message, requestId } = await refused(put(ann));
  expect(name).toBe("KMSAccessDeniedException");
  expect(message).toContain(
    `User: ${ann.arn} is not authorized to perform: kms:GenerateDataKey on resource: ${keyArn} ` +
      "because no identity-based policy allows the kms:GenerateDataKey action",
  );
  const denial = await denialOf(requestId);
  expect(denial).toMatchObject({
    requestId,
    via: "kinesis",
    action: "kms:GenerateDataKey",
    resource: keyArn,
    principal: { arn: ann.arn },
    decision: { kind: "identity", reason: "implicit", statement: null },
  });
  expect(valuesOf(denial, "kms:ViaService")).toEqual([`kinesis.${server.region}.amazonaws.com`]);
  expect(valuesOf(denial, "aws:CalledVia")).toEqual(["kinesis.amazonaws.com"]);
  expect(valuesOf(denial, "aws:CalledViaFirst")).toEqual(["kinesis.amazonaws.com"]);
  expect(valuesOf(denial, "aws:CalledViaLast")).toEqual(["kinesis.amazonaws.com"]);
  expect(valuesOf(denial, "aws:ViaAWSService")).toEqual(["true"]);
  expect(valuesOf(denial, "aws:SourceIp")).toBeUndefined();
  expect(valuesOf(denial, "aws:username")).toEqual(["ann"]);
  expect(JSON.stringify(denial)).not.toContain("secret payload");
  // Both calls are in the trail, and the events' ids lead to the same denial.
  const [inner] = await eventsNamed(root.cloudtrail, "GenerateDataKey");
  expect(inner).toMatchObject({
    errorCode: "AccessDenied",
    eventID: denial.eventId,
    sourceIPAddress: "kinesis.amazonaws.com",
    userAgent: "kinesis.amazonaws.com",
    userIdentity: { arn: ann.arn, invokedBy: "kinesis.amazonaws.com" },
  });
  const [outer] = await eventsNamed(root.cloudtrail, "PutRecord");
  expect(outer).toMatchObject({ errorCode: "KMSAccessDeniedException", requestID: requestId });
  expect(await denialOf((outer as unknown as { eventID: string }).eventID)).toEqual(denial);
});

test("conditions on who calls for whom hold for the service's call, and not for the caller's own", async () => {
  const allow = (condition: Readonly<Record<string, Readonly<Record<string, string>>>>) =>
    root.iam.send(
      new PutUserPolicyCommand({
        UserName: "ann",
        PolicyName: "key",
        PolicyDocument: policyDocument({ Effect: "Allow", Action: "kms:*", Resource: keyArn, Condition: condition }),
      }),
    );
  for (const condition of [
    { StringEquals: { "aws:CalledViaFirst": "kinesis.amazonaws.com" } },
    { "ForAnyValue:StringEquals": { "aws:CalledVia": "kinesis.amazonaws.com" } },
    { StringEquals: { "kms:ViaService": `kinesis.${server.region}.amazonaws.com` } },
    { Bool: { "aws:ViaAWSService": "true" } },
  ]) {
    await allow(condition);
    await put(ann);
    const encrypt = new EncryptCommand({ KeyId: keyArn, Plaintext: utf8("x") });
    expect(await refusal(ann.kms.send(encrypt))).toBe("AccessDeniedException");
  }
  // The client's address is not the service's.
  await allow({ IpAddress: { "aws:SourceIp": "127.0.0.1" } });
  await ann.kms.send(new EncryptCommand({ KeyId: keyArn, Plaintext: utf8("x") }));
  expect((await refused(put(ann))).name).toBe("KMSAccessDeniedException");
});

test("an explicit deny of the key's policy is shown with its statement and the encryption context", async () => {
  const deny = {
    Sid: "NotForOthers",
    Effect: "Deny",
    Principal: { AWS: ann.arn },
    Action: "kms:Encrypt",
    Resource: "*",
    Condition: { StringNotEquals: { "kms:EncryptionContext:Team": "blue" } },
  };
  const owner = {
    Effect: "Allow",
    Principal: { AWS: `arn:aws:iam::${server.accountId}:root` },
    Action: "kms:*",
    Resource: "*",
  };
  const Policy = JSON.stringify({ Version: "2012-10-17", Statement: [owner, deny] });
  await root.kms.send(new PutKeyPolicyCommand({ KeyId: keyArn, PolicyName: "default", Policy }));
  const { message, requestId } = await refused(
    ann.kms.send(
      new EncryptCommand({ KeyId: keyArn, Plaintext: utf8("top secret"), EncryptionContext: { Team: "red" } }),
    ),
  );
  expect(message).toBe(
    `User: ${ann.arn} is not authorized to perform: kms:Encrypt on resource: ${keyArn} with an explicit deny in a resource-based policy`,
  );
  const denial = await denialOf(requestId);
  expect(denial.decision).toMatchObject({ kind: "resource", reason: "explicit", statement: { sid: "NotForOthers" } });
  expect(JSON.parse(denial.decision.statement?.text ?? "")).toEqual(deny);
  expect(denial.conditions[0]).toEqual({ key: "kms:EncryptionContext:Team", values: ["red"], asked: true });
  const shown = await waxsealOk(["why", requestId, "--data-dir", dataDir]);
  for (const part of [ann.arn, "kms:Encrypt", keyArn, "NotForOthers", "* kms:EncryptionContext:Team = red", "Next: "]) {
    expect(shown).toContain(part);
  }
  expect(shown).not.toContain("top secret");
  expect(shown).not.toContain(ann.credentials.secretAccessKey);
});

test("DecodeAuthorizationMessage tells it to those who may ask", async () => {
  const { requestId } = await refused(
    ann.kms.send(new EncryptCommand({ KeyId: keyArn, Plaintext: utf8("x"), EncryptionContext: { Team: "red" } })),
  );
  const decode = (who: Clients, EncodedMessage: string) =>
    who.sts.send(new DecodeAuthorizationMessageCommand({ EncodedMessage }));
  const { DecodedMessage } = await decode(root, requestId);
  expect(JSON.parse(DecodedMessage ?? "")).toMatchObject({
    allowed: false,
    explicitDeny: true,
    matchedStatements: { items: [{ statementId: "NotForOthers", effect: "DENY" }] },
    failures: { items: [] },
    context: { principal: { arn: ann.arn }, action: "kms:Encrypt", resource: keyArn },
  });
  const unknown = { name: "InvalidAuthorizationMessageException", message: "Message is not valid" };
  expect(await refused(decode(root, "no such thing"))).toMatchObject(unknown);
  expect(await refused(decode(root, "00000000-0000-4000-8000-000000000000"))).toMatchObject(unknown);
  expect(await refused(decode(ann, requestId))).toMatchObject({
    name: "AccessDenied",
    message: expect.stringContaining("sts:DecodeAuthorizationMessage") as unknown,
  });
});

test("what is denied for the same key by another request is listed, latest first", async () => {
  await refused(ann.kms.send(new DecryptCommand({ KeyId: keyArn, CiphertextBlob: utf8("not one") })));
  await refused(ann.kinesis.send(new GetRecordsCommand({ ShardIterator: "x" })));
  const { requestId } = await refused(
    ann.kms.send(new EncryptCommand({ KeyId: keyArn, Plaintext: utf8("x"), EncryptionContext: { Team: "red" } })),
  );
  const lines = (await waxsealOk(["why", "--data-dir", dataDir])).split("\n");
  expect(lines[0]).toContain(requestId);
  expect(lines[0]).toContain("denied by a statement of a policy of the resource");
});

test("what a caller sends cannot write to the terminal of whoever asks why", async () => {
  const EncryptionContext = { Team: "red\u001b[2J\u001b]0;owned\u0007\u202e" };
  const { requestId } = await refused(
    ann.kms.send(new EncryptCommand({ KeyId: keyArn, Plaintext: utf8("x"), EncryptionContext })),
  );
  const shown = await waxsealOk(["why", requestId, "--data-dir", dataDir]);
  expect(shown).toContain("kms:EncryptionContext:Team = red�[2J");
  expect(shown.replaceAll("\n", "")).not.toMatch(/[\p{Cc}\u202e]/u);
});

test("an id that nobody was denied under is said to be one", async () => {
  const { code, stderr } = await waxseal(["why", "00000000-0000-4000-8000-000000000000", "--data-dir", dataDir]);
  expect(code).toBe(1);
  expect(stderr).toContain("No denial of the last 7 days has the id");
});

test("with no server running it is read from the directory", async () => {
  const { requestId } = await refused(
    ann.kms.send(new EncryptCommand({ KeyId: keyArn, Plaintext: utf8("x"), EncryptionContext: { Team: "red" } })),
  );
  const before = await denialOf(requestId);
  await server.stop();
  expect(await denialOf(requestId)).toEqual(before);
  server = await startServer({ dataDir });
  expect(await denialOf(requestId)).toEqual(before);
});
