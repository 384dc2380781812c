import { chmod, mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { movableClock } from "../base/clock.ts";
import { systemRandom } from "../base/random.ts";
import { GuardedKey } from "../crypto/guarded.ts";
import { memoryMetadataStore } from "../store/memory-metadata-store.ts";
import type { MetadataStore, StoreKey } from "../store/metadata-store.ts";
import { changeSealProvider, initializeSeal, readSealConfiguration } from "./configuration.ts";
import { SealError, WrongRootKeyError } from "./errors.ts";
import { fileSealProvider } from "./file-provider.ts";
import { type Keyring, openKeyring } from "./keyring.ts";
import { passphraseSealProvider } from "./passphrase-provider.ts";
import type { SealProvider } from "./provider.ts";
import { configurationTable, CONFIGURATION_ID, domainKeyTable } from "./records.ts";

const DAY_MS = 24 * 60 * 60 * 1000;
/** The real cost is half a second a time. */
const CHEAP = { cost: 2 ** 10, blockSize: 8, parallelization: 1 };
const phrase = (text: string): SealProvider => passphraseSealProvider(text, CHEAP);

let directory = "";
let store: MetadataStore;
let opened: Keyring[] = [];
const clock = movableClock();

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "waxseal-seal-"));
  store = memoryMetadataStore();
  opened = [];
});
afterEach(async () => {
  for (const keyring of opened) await keyring.seal();
  await store.close();
  await rm(directory, { recursive: true });
});

const keyFile = (): string => join(directory, "private", "root.key");
const open = async (
  provider: SealProvider,
  more: Partial<Parameters<typeof openKeyring>[0]> = {},
): Promise<Keyring> => {
  const keyring = await openKeyring({ store, clock, random: systemRandom(), provider, ...more });
  opened.push(keyring);
  return keyring;
};
const snapshot = async (): Promise<string> =>
  JSON.stringify(await store.range({ start: "\u0001" as StoreKey, end: "\uffff" as StoreKey, limit: 1000 }));
const codeOf = async (attempt: Promise<unknown>): Promise<string> =>
  attempt.then(
    () => "none",
    (error: unknown) => (error instanceof SealError ? error.code : String(error)),
  );
const secret = (text: string): Uint8Array => new TextEncoder().encode(text);

describe("a root key file", () => {
  test("is made for its owner only, and opens the store again", async () => {
    const provider = fileSealProvider(keyFile());
    await initializeSeal({ store, provider, clock });
    expect((await stat(keyFile())).mode & 0o777).toBe(0o600);
    expect((await stat(join(directory, "private"))).mode & 0o777).toBe(0o700);
    const first = await open(provider);
    const sealed = first.secretBox.seal("test", "a", secret("hello"));
    await first.seal();
    const second = await open(provider);
    expect(Buffer.from(second.secretBox.open("test", "a", sealed) ?? []).toString()).toBe("hello");
  });

  test("is adopted when it stands there before the store is initialized", async () => {
    await initializeSeal({ store: memoryMetadataStore(), provider: fileSealProvider(keyFile()), clock });
    const before = await readFile(keyFile());
    await initializeSeal({ store, provider: fileSealProvider(keyFile()), clock });
    expect(await readFile(keyFile())).toEqual(before);
    await open(fileSealProvider(keyFile()));
  });

  test("missing, readable by others, damaged, truncated or foreign: each has its own diagnosis", async () => {
    const provider = fileSealProvider(keyFile());
    await initializeSeal({ store, provider, clock });
    const good = await readFile(keyFile());
    const before = await snapshot();
    await rm(keyFile());
    expect(await codeOf(open(provider))).toBe("root-key-missing");
    await writeFile(keyFile(), good, { mode: 0o600 });
    await chmod(keyFile(), 0o640);
    expect(await codeOf(open(provider))).toBe("root-key-permissions");
    await chmod(keyFile(), 0o600);
    for (let at = 0; at < good.byteLength; at += 1) {
      const bad = Buffer.from(good);
      bad[at] = (bad[at] ?? 0) ^ 1;
      await writeFile(keyFile(), bad);
      expect(await codeOf(open(provider)), `byte ${at}`).toBe("root-key-malformed");
    }
    for (const bad of [
      good.subarray(0, 63),
      Buffer.concat([good, Buffer.from("\n")]),
      Buffer.alloc(0),
      Buffer.from("x"),
    ]) {
      await writeFile(keyFile(), bad);
      expect(await codeOf(open(provider))).toBe("root-key-malformed");
    }
    expect(await snapshot()).toBe(before);
  });

  test("that holds the key of another store is recognised, and nothing is written", async () => {
    await initializeSeal({ store, provider: fileSealProvider(keyFile()), clock });
    const other = join(directory, "other.key");
    await initializeSeal({ store: memoryMetadataStore(), provider: fileSealProvider(other), clock });
    const before = await snapshot();
    await expect(open(fileSealProvider(other))).rejects.toThrow(WrongRootKeyError);
    await expect(open(fileSealProvider(other))).rejects.toThrow(/key check [0-9a-f]{8}, expected [0-9a-f]{8}/);
    expect(await snapshot()).toBe(before);
  });

  test("of another store is never overwritten", async () => {
    await initializeSeal({ store: memoryMetadataStore(), provider: fileSealProvider(keyFile()), clock });
    const before = await readFile(keyFile());
    await initializeSeal({ store, provider: phrase("correct horse battery"), clock });
    const change = changeSealProvider({
      store,
      from: phrase("correct horse battery"),
      to: fileSealProvider(keyFile()),
    });
    expect(await codeOf(change)).toBe("root-key-exists");
    expect(await readFile(keyFile())).toEqual(before);
  });
});

describe("a passphrase", () => {
  test("opens the store however its characters were composed, and no other one does", async () => {
    await initializeSeal({ store, provider: phrase("caf\u00e9 au lait \ufb01n"), clock });
    await open(phrase("cafe\u0301 au lait fin"));
    const before = await snapshot();
    await expect(open(phrase("caf\u00e9 au lait fi"))).rejects.toThrow(WrongRootKeyError);
    expect(await snapshot()).toBe(before);
  });

  test("can be changed: what was sealed stays readable, the old one opens nothing", async () => {
    await initializeSeal({ store, provider: phrase("first passphrase"), clock });
    const first = await open(phrase("first passphrase"));
    const sealed = first.secretBox.seal("test", "a", secret("kept"));
    await changeSealProvider({ store, from: phrase("first passphrase"), to: phrase("second passphrase") });
    await expect(open(phrase("first passphrase"))).rejects.toThrow(WrongRootKeyError);
    const second = await open(phrase("second passphrase"));
    expect(second.secretBox.open("test", "a", sealed)).toEqual(Buffer.from("kept"));
  });

  test("that is short is refused before anything is written", async () => {
    expect(await codeOf(initializeSeal({ store, provider: phrase("short"), clock }))).toBe("weak-passphrase");
    expect(await readSealConfiguration(store)).toBeNull();
  });

  test("parameters that would exhaust the machine are refused", async () => {
    await initializeSeal({ store, provider: phrase("first passphrase"), clock });
    const configuration = await readSealConfiguration(store);
    if (configuration?.provider.kind !== "passphrase") throw new Error("unexpected");
    const hostile = { ...configuration.provider, scrypt: { ...configuration.provider.scrypt, cost: 2 ** 30 } };
    await store.commit({
      expect: [],
      writes: [configurationTable.put(CONFIGURATION_ID, { ...configuration, provider: hostile })],
    });
    expect(await codeOf(open(phrase("first passphrase")))).toBe("damaged");
  });

  test("is not asked for when the store is sealed with a file, nor the other way round", async () => {
    await initializeSeal({ store, provider: phrase("first passphrase"), clock });
    expect(await codeOf(open(fileSealProvider(keyFile())))).toBe("wrong-provider");
  });
});

describe("the seal", () => {
  test("is made once", async () => {
    expect(await codeOf(open(phrase("first passphrase")))).toBe("not-initialized");
    await initializeSeal({ store, provider: phrase("first passphrase"), clock });
    expect(await codeOf(initializeSeal({ store, provider: phrase("other passphrase"), clock }))).toBe(
      "already-initialized",
    );
  });

  test("a damaged domain key stops the start before anything is written", async () => {
    await initializeSeal({ store, provider: phrase("first passphrase"), clock });
    await (await open(phrase("first passphrase"))).seal();
    const [entry] = await store.range({ ...domainKeyTable.range([]), limit: 1 });
    if (entry === undefined) throw new Error("no domain key");
    const record = domainKeyTable.decode(entry.value);
    const damaged = { ...record, wrapped: (record.wrapped.slice(0, -8) + "AAAAAAA=") as typeof record.wrapped };
    await store.commit({ expect: [], writes: [{ key: entry.key, value: domainKeyTable.encode(damaged) }] });
    const before = await snapshot();
    expect(await codeOf(open(phrase("first passphrase")))).toBe("damaged");
    expect(await snapshot()).toBe(before);
  });
});

describe("the keyring", () => {
  const provider = phrase("first passphrase");
  beforeEach(async () => initializeSeal({ store, provider, clock }));

  test("opens only what it sealed, for the same purpose and binding", async () => {
    const { secretBox } = await open(provider);
    const sealed = secretBox.seal("iterator", "stream 1", secret("position"));
    expect(secretBox.open("iterator", "stream 1", sealed)).toEqual(Buffer.from("position"));
    expect(secretBox.open("iterator", "stream 2", sealed)).toBeNull();
    expect(secretBox.open("iterato", "rstream 1", sealed)).toBeNull();
    for (let at = 0; at < sealed.byteLength; at += 1) {
      const changed = Uint8Array.from(sealed);
      changed[at] = (changed[at] ?? 0) ^ 1;
      expect(secretBox.open("iterator", "stream 1", changed), `byte ${at}`).toBeNull();
      expect(secretBox.open("iterator", "stream 1", sealed.subarray(0, at)), `first ${at} bytes`).toBeNull();
    }
  });

  test("wraps keys: only the same purpose and binding unwrap them", async () => {
    const keyring = await open(provider);
    const key = GuardedKey.take(Buffer.alloc(32, 4));
    const wrapped = keyring.wrapKey("material", "key 1", key);
    key.destroy();
    const back = keyring.unwrapKey("material", "key 1", wrapped);
    expect(back?.use((bytes) => Buffer.from(bytes))).toEqual(Buffer.alloc(32, 4));
    back?.destroy();
    expect(keyring.unwrapKey("material", "key 2", wrapped)).toBeNull();
    expect(keyring.unwrapKey("other", "key 1", wrapped)).toBeNull();
    for (let at = 0; at < wrapped.byteLength; at += 1) {
      const changed = Uint8Array.from(wrapped);
      changed[at] = (changed[at] ?? 0) ^ 1;
      expect(keyring.unwrapKey("material", "key 1", changed), `byte ${at}`).toBeNull();
    }
  });

  test("rotates its domain key every day, wraps again what is registered, and keeps the rest readable", async () => {
    const keyring = await open(provider);
    const material = GuardedKey.random(32);
    let wrapped = keyring.wrapKey("material", "key 1", material);
    const sealed = keyring.secretBox.seal("iam", "user", secret("kept"));
    keyring.registerRewrap(async () => {
      wrapped = keyring.rewrapKey("material", "key 1", wrapped) ?? wrapped;
    });
    await keyring.idle();
    const before = keyring.activeDomainKey;
    clock.advance(DAY_MS + 3_600_000);
    await keyring.idle();
    expect(keyring.activeDomainKey).toBe(before + 1);
    expect(Buffer.from(wrapped).readUInt32BE(1)).toBe(before + 1);
    expect(keyring.rewrapKey("material", "key 1", wrapped)).toBeNull();
    expect(keyring.secretBox.open("iam", "user", sealed)).toEqual(Buffer.from("kept"));
    const unwrapped = keyring.unwrapKey("material", "key 1", wrapped);
    const same = unwrapped?.use((a) => material.use((b) => Buffer.compare(a, b) === 0));
    expect(same).toBe(true);
    unwrapped?.destroy();
    material.destroy();
  });

  test("rotates when a domain key was used often enough", async () => {
    const keyring = await open(provider, { rotateAfterUses: 3 });
    await keyring.idle();
    const before = keyring.activeDomainKey;
    for (let use = 0; use < 3; use += 1) keyring.secretBox.seal("test", "", secret("x"));
    await keyring.idle();
    expect(keyring.activeDomainKey).toBe(before + 1);
  });

  test("opens what lies under more old domain keys than it holds unwrapped", async () => {
    const keyring = await open(provider);
    const sealed = [];
    for (let round = 0; round < 80; round += 1) {
      sealed.push(keyring.secretBox.seal("test", "", secret(String(round))));
      await keyring.rotate();
    }
    for (const [round, bytes] of sealed.entries()) {
      expect(keyring.secretBox.open("test", "", bytes)).toEqual(Buffer.from(String(round)));
    }
  });

  test("sealed, it answers 503, tells its hooks, and opens again", async () => {
    const keyring = await open(provider);
    const sealed = keyring.secretBox.seal("test", "a", secret("x"));
    let told = 0;
    keyring.onSeal(() => (told += 1));
    await keyring.seal();
    expect(told).toBe(1);
    expect(keyring.isSealed).toBe(true);
    expect(() => keyring.secretBox.open("test", "a", sealed)).toThrow(expect.objectContaining({ status: 503 }));
    await expect(keyring.unseal(phrase("some other passphrase"))).rejects.toThrow(WrongRootKeyError);
    expect(keyring.isSealed).toBe(true);
    await keyring.unseal(provider);
    expect(keyring.secretBox.open("test", "a", sealed)).toEqual(Buffer.from("x"));
  });

  test("a rotation that cannot be stored is reported and leaves the old key active", async () => {
    const errors: unknown[] = [];
    const failing: MetadataStore = {
      ...bound(store),
      commit: async (batch) => (armed ? Promise.reject(new Error("disk full")) : store.commit(batch)),
    };
    let armed = false;
    const keyring = await open(provider, { store: failing, onError: (error) => errors.push(error) });
    const before = keyring.activeDomainKey;
    armed = true;
    await keyring.rotate();
    expect(errors).toHaveLength(1);
    expect(keyring.activeDomainKey).toBe(before);
    armed = false;
    await keyring.rotate();
    expect(keyring.activeDomainKey).toBe(before + 1);
  });
});

const bound = (inner: MetadataStore): MetadataStore => ({
  get: (key) => inner.get(key),
  range: (query) => inner.range(query),
  commit: (batch) => inner.commit(batch),
  generation: () => inner.generation(),
  close: () => inner.close(),
});
