import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { movableClock } from "../../base/clock.ts";
import { memoryMetadataStore } from "../../store/memory-metadata-store.ts";
import { type MetadataStore } from "../../store/metadata-store.ts";
import { RecordReader } from "../../store/caching-reader.ts";
import { LastUsage, type KeyUsage, lastUsageTable } from "./last-usage.ts";
import { keyArnOf } from "./model.ts";
import { type KeyRecord, idOfKey, keyTable } from "./records.ts";
import { ACCOUNT, type KmsHarness, OTHER_ACCOUNT, REGION, kmsHarness, rootOf } from "./testing/harness.ts";

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

describe("GetKeyLastUsage", () => {
  let kms: KmsHarness;
  beforeEach(async () => void (kms = await kmsHarness()));
  afterEach(() => kms.close());

  const lastUsage = (KeyId: string) => kms.run("GetKeyLastUsage", { KeyId });

  test("of a key that was never used is empty, tracked since the key was made", async () => {
    const KeyId = await kms.newKey();
    const createdMs = kms.clock.wallMs();
    kms.clock.advance(5_000);
    expect(await lastUsage(KeyId)).toEqual({
      KeyId,
      KeyLastUsage: {},
      TrackingStartDate: createdMs,
      KeyCreationDate: createdMs,
    });
  });

  test("names the last use at once: operation, time, event and request", async () => {
    const KeyId = await kms.newKey();
    const { CiphertextBlob } = await kms.run("Encrypt", { KeyId, Plaintext: bytes("a") });
    kms.clock.advance(10);
    const requestId = "7e8d54a0-5d3a-4f7f-9a1e-1f2a3b4c5d6e";
    await kms.run("Decrypt", { CiphertextBlob }, { requestId });
    expect((await lastUsage(KeyId)).KeyLastUsage).toEqual({
      Operation: "Decrypt",
      Timestamp: kms.clock.wallMs(),
      CloudTrailEventId: "an event",
      KmsRequestId: requestId,
    });
  });

  test("knows of ReEncrypt on both keys", async () => {
    const [from, to] = [await kms.newKey(), await kms.newKey()];
    const { CiphertextBlob } = await kms.run("Encrypt", { KeyId: from, Plaintext: bytes("a") });
    await kms.run("ReEncrypt", { CiphertextBlob, DestinationKeyId: to });
    for (const key of [from, to]) expect((await lastUsage(key)).KeyLastUsage.Operation).toBe("ReEncrypt");
  });

  test("counts neither what failed, nor dry runs, nor looking at the key", async () => {
    const KeyId = await kms.newKey();
    await kms.failure("Encrypt", { KeyId, Plaintext: bytes("a"), DryRun: true });
    await kms.failure("Decrypt", { KeyId, CiphertextBlob: bytes("nonsense") });
    await kms.run("DescribeKey", { KeyId });
    expect((await lastUsage(KeyId)).KeyLastUsage).toEqual({});
  });

  test("takes no alias, and no key of another account", async () => {
    const KeyId = await kms.newKey();
    await kms.run("CreateAlias", { AliasName: "alias/a", TargetKeyId: KeyId });
    expect(await kms.failure("GetKeyLastUsage", { KeyId: "alias/a" })).toContain("NotFoundException");
    const arn = `arn:aws:kms:${REGION}:${ACCOUNT}:key/${KeyId}`;
    expect(await kms.failure("GetKeyLastUsage", { KeyId: arn }, { principal: rootOf(OTHER_ACCOUNT) })).toContain(
      "AccessDeniedException",
    );
  });
});

describe("last usage is written behind", () => {
  const clock = movableClock();
  const key = { keyId: "k", accountId: ACCOUNT, region: REGION, createdMs: clock.wallMs() } as KeyRecord;
  const use = (operation: KeyUsage["operation"], usedMs = 0): KeyUsage => ({
    operation,
    usedMs,
    eventId: `event of ${operation}`,
    requestId: "r",
  });

  interface Room {
    readonly usage: LastUsage;
    readonly reader: RecordReader;
    readonly store: MetadataStore;
    /** Batches that were committed. */
    readonly commits: () => number;
    readonly errors: unknown[];
    fail: boolean;
  }

  async function room(): Promise<Room> {
    const memory = memoryMetadataStore();
    await memory.commit({ expect: [], writes: [keyTable.put(idOfKey(key), key)] });
    let commits = 0;
    const store: MetadataStore = {
      get: (one) => memory.get(one),
      range: (query) => memory.range(query),
      generation: () => memory.generation(),
      close: () => memory.close(),
      async commit(batch) {
        if (made.fail) throw new Error("the disk is full");
        commits++;
        return await memory.commit(batch);
      },
    };
    const errors: unknown[] = [];
    const usage = new LastUsage({ store, clock, onError: (error) => void errors.push(error) });
    const made: Room = { usage, reader: new RecordReader(memory), store, commits: () => commits, errors, fail: false };
    return made;
  }

  const stored = (of: Room): Promise<KeyUsage | null> => of.reader.get(lastUsageTable, idOfKey(key));

  test("once a second, however many uses there were", async () => {
    const made = await room();
    for (let at = 0; at < 1_000; at++) made.usage.note(keyArnOf(key), use("Encrypt", at));
    expect(made.commits()).toBe(0);
    expect((await made.usage.of(made.reader, key))?.usedMs).toBe(999);
    clock.advance(1_000);
    await made.usage.flush();
    expect(made.commits()).toBe(1);
    expect((await stored(made))?.usedMs).toBe(999);
    clock.advance(10_000);
    await made.usage.flush();
    expect(made.commits()).toBe(1);
  });

  test("at the end, too", async () => {
    const made = await room();
    made.usage.note(keyArnOf(key), use("Sign"));
    await made.usage.stop();
    expect((await stored(made))?.operation).toBe("Sign");
  });

  test("again after a failure", async () => {
    const made = await room();
    made.fail = true;
    made.usage.note(keyArnOf(key), use("Sign"));
    await made.usage.flush();
    expect(made.errors.length).toBe(1);
    expect((await made.usage.of(made.reader, key))?.operation).toBe("Sign");
    made.fail = false;
    clock.advance(10_000);
    await made.usage.flush();
    expect((await stored(made))?.operation).toBe("Sign");
  });

  test("and never for a key that is gone", async () => {
    const made = await room();
    await made.store.commit({ expect: [], writes: [keyTable.remove(idOfKey(key))] });
    made.usage.note(keyArnOf(key), use("Sign"));
    await made.usage.flush();
    expect(await stored(made)).toBeNull();
    expect(await made.usage.of(made.reader, key)).toBeNull();
  });

  test("an earlier use that is told of later does not hide a later one", async () => {
    const made = await room();
    made.usage.note(keyArnOf(key), use("Encrypt", 2));
    made.usage.note(keyArnOf(key), use("Decrypt", 1));
    expect((await made.usage.of(made.reader, key))?.operation).toBe("Encrypt");
  });

  test("for keys that are older than tracking, tracking begins at the first start, and stays there", async () => {
    const made = await room();
    const startMs = clock.wallMs();
    await made.usage.start();
    clock.advance(1_000);
    await made.usage.start();
    expect(await made.usage.trackedSinceMs(made.reader, { ...key, createdMs: startMs - 50 })).toBe(startMs);
    expect(await made.usage.trackedSinceMs(made.reader, { ...key, createdMs: startMs + 50 })).toBe(startMs + 50);
  });
});
