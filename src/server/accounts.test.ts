import { expect, test } from "vitest";
import { movableClock } from "../base/clock.ts";
import { systemRandom } from "../base/random.ts";
import { GuardedKey } from "../crypto/guarded.ts";
import { initializeSeal } from "../seal/configuration.ts";
import { Keyring } from "../seal/keyring.ts";
import type { SealProvider } from "../seal/provider.ts";
import { newAccount } from "../services/iam/accounts.ts";
import { accessKeys, accounts as accountRecords } from "../services/iam/records.ts";
import { newOrganization } from "../services/organizations/organization.ts";
import { memoryMetadataStore } from "../store/memory-metadata-store.ts";
import { memoryRecordLog } from "../store/memory-record-log.ts";
import type { MetadataStore } from "../store/metadata-store.ts";
import { accountAdministration } from "./accounts.ts";
import { createApi } from "./api.ts";

const MANAGEMENT = "111122223333";
const REGION = "eu-central-1";

const provider: SealProvider = {
  kind: "file",
  adopt: async () => GuardedKey.take(new Uint8Array(32).fill(7)),
  protect: async () => ({ kind: "file" }),
  open: async () => GuardedKey.take(new Uint8Array(32).fill(7)),
};

/** The server's parts on a store that dies after a number of commits, as a machine would. */
async function accountRoom() {
  const memory = memoryMetadataStore();
  let commitsLeft = Number.POSITIVE_INFINITY;
  const store: MetadataStore = {
    get: (key) => memory.get(key),
    range: (query) => memory.range(query),
    generation: () => memory.generation(),
    close: () => memory.close(),
    commit(batch) {
      if (commitsLeft-- <= 0) return Promise.reject(new Error("the machine is gone"));
      return memory.commit(batch);
    },
  };
  const clock = movableClock();
  const random = systemRandom();
  const onError = (error: unknown): never => {
    throw error;
  };
  const keyring = new Keyring({ store, clock, random, rotateAfterMs: 86_400_000, onError });
  await initializeSeal({ store, provider, clock });
  await keyring.unseal(provider);
  const nowMs = clock.wallMs();
  const first = newAccount({ accountId: MANAGEMENT, name: "root", random, secretBox: keyring.secretBox, nowMs });
  await store.commit({ expect: [], writes: first.writes });
  await store.commit(newOrganization({ managementAccountId: MANAGEMENT, random, nowMs }));
  const api = createApi({
    store,
    records: memoryRecordLog(),
    keyring,
    clock,
    signatureClock: clock,
    random,
    regions: [REGION],
    region: REGION,
    accountId: MANAGEMENT,
    kmsQuotas: "none",
    streamLimits: "none",
    log: { info: () => {}, warn: () => {}, error: () => {} },
  });
  const administration = accountAdministration({
    operations: api.operatorOperations,
    managementAccountId: MANAGEMENT,
    region: REGION,
    clock,
    random,
  });
  return { administration, api, clock, dieAfter: (commits: number) => void (commitsLeft = commits) };
}

test.each([0, 1, 2])(
  "whenever a machine dies, no account is left without a key (after %i commits)",
  async (commits) => {
    const { administration, api, dieAfter } = await accountRoom();
    dieAfter(commits);
    const made = await administration.create("data", "data@example.com").catch(() => null);
    dieAfter(Number.POSITIVE_INFINITY);
    for (const { accountId } of await administration.list()) {
      expect(await administration.listKeys(accountId)).toHaveLength(1);
    }
    // What did not happen can be asked for again.
    const key = made ?? (await administration.create("data", "data@example.com"));
    expect(await administration.listKeys(key.accountId)).toMatchObject([{ accessKeyId: key.accessKeyId }]);
    const record = await api.reader.get(accessKeys, [key.accessKeyId]);
    expect(record).toMatchObject({ accountId: key.accountId, owner: { type: "root" }, status: "Active" });
    expect(await api.reader.get(accountRecords, [key.accountId])).toMatchObject({
      rootAccessKeyIds: [key.accessKeyId],
    });
  },
);

test("an address that is taken is refused with the account that has it, and how to get a key to it", async () => {
  const { administration } = await accountRoom();
  const { accountId } = await administration.create("data", "data@example.com");
  const again = administration.create("data", "Data@example.com");
  await expect(again).rejects.toThrow(`waxseal account key --account ${accountId}`);
});

test("the making of the root's key is in the trail of its account, without the secret", async () => {
  const { administration, api, clock } = await accountRoom();
  const { accountId, accessKeyId, secretAccessKey } = await administration.create("data", null);
  const eventsOf = async (of: string): Promise<string> => {
    const call = {
      requestId: "00000000-0000-4000-8000-000000000001",
      principal: { type: "Root", arn: `arn:aws:iam::${of}:root`, accountId: of, userId: of } as const,
      region: REGION,
      service: "cloudtrail",
      operation: "LookupEvents",
      nowMs: clock.wallMs(),
      sourceIp: "192.0.2.1",
      userAgent: "test",
      secureTransport: true,
    };
    return JSON.stringify(await api.operatorOperations.run(call, () => ({})));
  };
  const [own, management] = [await eventsOf(accountId), await eventsOf(MANAGEMENT)];
  expect(own).toContain(accessKeyId);
  expect(own).toContain("CreateAccessKey");
  expect(own).toContain("iam.amazonaws.com");
  expect(management).toContain("CreateAccount");
  expect(management).not.toContain(accessKeyId);
  expect(own + management).not.toContain(secretAccessKey);
});
