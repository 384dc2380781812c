import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { LookupEventsCommand } from "@aws-sdk/client-cloudtrail";
import { PutRecordCommand } from "@aws-sdk/client-kinesis";
import {
  CreateKeyCommand,
  EncryptCommand,
  GetKeyLastUsageCommand,
  KMSClient,
  ListKeysCommand,
} from "@aws-sdk/client-kms";
import {
  GetRequestedServiceQuotaChangeCommand,
  GetServiceQuotaCommand,
  paginateListServiceQuotas,
  RequestServiceQuotaIncreaseCommand,
  ServiceQuotasClient,
} from "@aws-sdk/client-service-quotas";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Clients, createUser, refusal, rootClients } from "../support/clients.ts";
import { removeDirectory, type RunningServer, startServer, temporaryDirectory } from "../support/server.ts";
import { createStream, utf8 } from "../support/streams.ts";

const THROTTLED = {
  name: "ThrottlingException",
  message: "You have exceeded the rate at which you may call KMS. Reduce the frequency of your calls.",
  $metadata: expect.objectContaining({ httpStatusCode: 400 }) as unknown,
};
const CREATE_KEY = { ServiceCode: "kms", QuotaCode: "L-32B67F4A" };
const SYMMETRIC = { ServiceCode: "kms", QuotaCode: "L-6E3AF000" };

const quotasClient = (server: RunningServer, { credentials }: Clients): ServiceQuotasClient =>
  new ServiceQuotasClient({ endpoint: server.endpoint, region: server.region, credentials, maxAttempts: 1 });

const createKeys = async (kms: KMSClient, count: number): Promise<readonly PromiseSettledResult<unknown>[]> =>
  Promise.allSettled(Array.from({ length: count }, () => kms.send(new CreateKeyCommand({}))));

const passed = (results: readonly PromiseSettledResult<unknown>[]): number =>
  results.filter(({ status }) => status === "fulfilled").length;

/** A server of its own with these options, gone at the end. */
function serverWith(args: (dataDir: string) => readonly string[]): () => {
  readonly server: RunningServer;
  readonly root: Clients;
  readonly quotas: ServiceQuotasClient;
} {
  const dataDir = temporaryDirectory();
  let running: { readonly server: RunningServer; readonly root: Clients; readonly quotas: ServiceQuotasClient };
  beforeAll(async () => {
    const server = await startServer({ dataDir: join(dataDir, "data"), args: args(dataDir) });
    const root = await rootClients(server);
    running = { server, root, quotas: quotasClient(server, root) };
  });
  afterAll(async () => {
    running.quotas.destroy();
    running.root.destroy();
    await running.server.stop();
    removeDirectory(dataDir);
  });
  return () => running;
}

/** A file of figures for `--kms-quotas`. */
function figures(dataDir: string, values: Readonly<Record<string, number>>): string {
  const path = join(dataDir, "quotas.json");
  writeFileSync(path, JSON.stringify(values));
  return path;
}

describe("without a profile", () => {
  const the = serverWith(() => []);

  test("requests are not limited, and the quotas are listed with AWS's figures", async () => {
    const { root, quotas } = the();
    expect(passed(await createKeys(root.kms, 40))).toBe(40);
    const codes = new Map<string, number>();
    for await (const page of paginateListServiceQuotas({ client: quotas, pageSize: 20 }, { ServiceCode: "kms" })) {
      for (const { QuotaCode = "", Value = -1 } of page.Quotas ?? []) codes.set(QuotaCode, Value);
    }
    expect(codes.get("L-32B67F4A")).toBe(5);
    expect(codes.get("L-C2F1777E")).toBe(100_000);
    expect(codes.size).toBeGreaterThan(50);
  });

  test("GetKeyLastUsage names the last use by the id of its event", async () => {
    const { root } = the();
    const { KeyMetadata } = await root.kms.send(new CreateKeyCommand({}));
    const KeyId = KeyMetadata?.KeyId ?? "";
    const before = await root.kms.send(new GetKeyLastUsageCommand({ KeyId }));
    expect(before.KeyLastUsage).toEqual({});
    expect(before.KeyCreationDate).toEqual(KeyMetadata?.CreationDate);
    const encrypted = await root.kms.send(new EncryptCommand({ KeyId, Plaintext: utf8("a") }));
    const { KeyLastUsage } = await root.kms.send(new GetKeyLastUsageCommand({ KeyId }));
    const { Events } = await root.cloudtrail.send(
      new LookupEventsCommand({ LookupAttributes: [{ AttributeKey: "EventName", AttributeValue: "Encrypt" }] }),
    );
    expect(KeyLastUsage).toMatchObject({
      Operation: "Encrypt",
      CloudTrailEventId: Events?.[0]?.EventId,
      KmsRequestId: encrypted.$metadata.requestId,
    });
  });
});

describe("with AWS's figures", () => {
  const the = serverWith(() => ["--kms-quotas", "aws"]);

  test("CreateKey is throttled behind five at once, and an increase lifts that", async () => {
    const { root, quotas } = the();
    const results = await createKeys(root.kms, 30);
    expect(passed(results)).toBeGreaterThanOrEqual(5);
    expect(passed(results)).toBeLessThan(20);
    const refused = results.find((result) => result.status === "rejected");
    expect(refused?.reason).toMatchObject(THROTTLED);
    // Each quota is counted for itself.
    const { Quota } = await quotas.send(new GetServiceQuotaCommand(CREATE_KEY));
    expect(Quota).toMatchObject({ QuotaName: "CreateKey request rate", Value: 5, Adjustable: true });

    const { RequestedQuota } = await quotas.send(
      new RequestServiceQuotaIncreaseCommand({ ...CREATE_KEY, DesiredValue: 500 }),
    );
    expect(RequestedQuota).toMatchObject({ Status: "APPROVED", DesiredValue: 500 });
    const found = await quotas.send(new GetRequestedServiceQuotaChangeCommand({ RequestId: RequestedQuota?.Id }));
    expect(found.RequestedQuota).toEqual(RequestedQuota);
    expect((await quotas.send(new GetServiceQuotaCommand(CREATE_KEY))).Quota?.Value).toBe(500);
    await new Promise((waited) => setTimeout(waited, 200));
    expect(passed(await createKeys(root.kms, 30))).toBe(30);
  });

  test("only who is allowed to may ask for an increase", async () => {
    const { server, root } = the();
    const user = await createUser(server, root, "reader", [
      { Effect: "Allow", Action: "servicequotas:Get*", Resource: "*" },
    ]);
    const quotas = quotasClient(server, user);
    await quotas.send(new GetServiceQuotaCommand(CREATE_KEY));
    const increase = new RequestServiceQuotaIncreaseCommand({ ...CREATE_KEY, DesiredValue: 501 });
    expect(await refusal(quotas.send(increase))).toBe("AccessDeniedException");
    quotas.destroy();
    user.destroy();
  });
});

describe("with the operator's own figures", () => {
  // One at once, and then none for hours.
  const the = serverWith((dataDir) => [
    "--kms-quotas",
    figures(dataDir, { [SYMMETRIC.QuotaCode]: 0.0001, "ListKeys request rate": 0 }),
    "--region",
    "eu-central-1",
    "--region",
    "us-west-2",
  ]);

  test("what they name is throttled, for a service that calls KMS for its caller as well, and nothing else", async () => {
    const { root, server } = the();
    expect(passed(await createKeys(root.kms, 20))).toBe(20);
    const { KeyMetadata } = await root.kms.send(new CreateKeyCommand({}));
    const KeyId = KeyMetadata?.KeyId ?? "";
    await expect(root.kms.send(new ListKeysCommand({}))).rejects.toMatchObject(THROTTLED);
    await createStream(root.kinesis, "throttled", { keyId: KeyId });
    await root.kms.send(new EncryptCommand({ KeyId, Plaintext: utf8("a") }));
    await expect(root.kms.send(new EncryptCommand({ KeyId, Plaintext: utf8("a") }))).rejects.toMatchObject(THROTTLED);
    const put = new PutRecordCommand({ StreamName: "throttled", PartitionKey: "p", Data: utf8("a") });
    expect(await refusal(root.kinesis.send(put))).toBe("KMSThrottlingException");
    const { credentials } = root;
    const elsewhere = new KMSClient({ endpoint: server.endpoint, region: "us-west-2", credentials, maxAttempts: 1 });
    const other = await elsewhere.send(new CreateKeyCommand({}));
    await elsewhere.send(new EncryptCommand({ KeyId: other.KeyMetadata?.KeyId, Plaintext: utf8("a") }));
    elsewhere.destroy();
  });
});

test("the last use of a key and an increase outlive a restart", async () => {
  const dataDir = temporaryDirectory();
  const before = await startServer({ dataDir });
  const first = await rootClients(before);
  const { KeyMetadata } = await first.kms.send(new CreateKeyCommand({}));
  const KeyId = KeyMetadata?.KeyId ?? "";
  await first.kms.send(new EncryptCommand({ KeyId, Plaintext: utf8("a") }));
  const used = await first.kms.send(new GetKeyLastUsageCommand({ KeyId }));
  const quotas = quotasClient(before, first);
  await quotas.send(new RequestServiceQuotaIncreaseCommand({ ...CREATE_KEY, DesiredValue: 7 }));
  quotas.destroy();
  first.destroy();
  await before.stop();

  const after = await startServer({ dataDir });
  const second = await rootClients(after);
  expect((await second.kms.send(new GetKeyLastUsageCommand({ KeyId }))).KeyLastUsage).toEqual(used.KeyLastUsage);
  const again = quotasClient(after, second);
  expect((await again.send(new GetServiceQuotaCommand(CREATE_KEY))).Quota?.Value).toBe(7);
  again.destroy();
  second.destroy();
  await after.stop();
  removeDirectory(dataDir);
});

test("figures of a quota that there is not are refused before the server starts", async () => {
  const dataDir = temporaryDirectory();
  const path = figures(dataDir, { "CreateKeys request rate": 5 });
  await expect(startServer({ dataDir: join(dataDir, "data"), args: ["--kms-quotas", path] })).rejects.toThrow(
    `${path}: There is no quota called \\"CreateKeys request rate\\"`,
  );
  expect(existsSync(join(dataDir, "data"))).toBe(false);
  removeDirectory(dataDir);
});
