import { equalInConstantTime } from "../crypto/equal.ts";
import { GuardedKey } from "../crypto/guarded.ts";
import { deriveBytes } from "../crypto/kdf.ts";
import type { Clock } from "../base/clock.ts";
import type { MetadataStore } from "../store/metadata-store.ts";
import { SealError, WrongRootKeyError } from "./errors.ts";
import { ROOT_KEY_BYTES, type SealProvider } from "./provider.ts";
import { CONFIGURATION_ID, type ProviderConfiguration, type SealConfiguration, configurationTable } from "./records.ts";

const KEY_CHECK_LABEL = "waxseal root key check v1";
const KEY_CHECK_BYTES = 32;
const KEY_CHECK_SHOWN_HEX = 8;

/**
 * Makes the root key (or adopts the one that stands where the provider keeps it) and writes the seal configuration. After
 * a crash in between, doing it again finishes it. The keyring makes its first domain key when it is opened.
 */
export async function initializeSeal(options: {
  readonly store: MetadataStore;
  readonly provider: SealProvider;
  readonly clock: Clock;
}): Promise<void> {
  const { store, provider, clock } = options;
  if ((await readSealConfiguration(store)) !== null) throw alreadyInitialized();
  const rootKey = (await provider.adopt()) ?? GuardedKey.random(ROOT_KEY_BYTES);
  try {
    const configuration: SealConfiguration = {
      version: 1,
      createdMs: clock.wallMs(),
      keyCheck: keyCheckOf(rootKey).toString("base64"),
      // The root key is safe before the first record that needs it is written.
      provider: await provider.protect(rootKey),
    };
    const key = configurationTable.key(CONFIGURATION_ID);
    const done = await store.commit({
      expect: [{ key, value: null }],
      writes: [configurationTable.put(CONFIGURATION_ID, configuration)],
    });
    if (done === "conflict") throw alreadyInitialized();
  } finally {
    rootKey.destroy();
  }
}

/** Null when the store was never initialized. */
export async function readSealConfiguration(store: MetadataStore): Promise<SealConfiguration | null> {
  const bytes = await store.get(configurationTable.key(CONFIGURATION_ID));
  if (bytes === null) return null;
  const configuration = configurationTable.decode(bytes);
  if (configuration.version !== 1) {
    throw new SealError(
      "damaged",
      `The seal configuration has version ${String(configuration.version)}; this server knows 1.`,
    );
  }
  return configuration;
}

/** The root key, checked against the store's key check value. Reads only. The caller owns the key. */
export async function openRootKey(store: MetadataStore, provider: SealProvider): Promise<GuardedKey> {
  const configuration = await readSealConfiguration(store);
  if (configuration === null) {
    throw new SealError("not-initialized", "This store has no seal yet: run `waxseal init` first.");
  }
  const rootKey = await provider.open(configuration.provider);
  const expected = Buffer.from(configuration.keyCheck, "base64");
  const found = keyCheckOf(rootKey);
  if (equalInConstantTime(expected, found)) return rootKey;
  rootKey.destroy();
  throw new WrongRootKeyError(
    `The root key is not the one that this store was initialized with (key check ${shown(found)}, expected ${shown(expected)}): ` +
      "the key was replaced, or belongs to another store, or the store was. Nothing was changed.",
  );
}

/** Puts the same root key under another passphrase or another provider. Everything below it stays as it is. */
export async function changeSealProvider(options: {
  readonly store: MetadataStore;
  readonly from: SealProvider;
  readonly to: SealProvider;
}): Promise<void> {
  const { store, from, to } = options;
  const rootKey = await openRootKey(store, from);
  try {
    const provider: ProviderConfiguration = await to.protect(rootKey);
    const key = configurationTable.key(CONFIGURATION_ID);
    const before = await store.get(key);
    if (before === null) throw new SealError("not-initialized", "The seal configuration has disappeared.");
    const done = await store.commit({
      expect: [{ key, value: before }],
      writes: [configurationTable.put(CONFIGURATION_ID, { ...configurationTable.decode(before), provider })],
    });
    if (done === "conflict")
      throw new SealError("damaged", "The seal configuration was changed at the same time; nothing was changed here.");
  } finally {
    rootKey.destroy();
  }
}

const keyCheckOf = (rootKey: GuardedKey): Buffer =>
  rootKey.use((key) => deriveBytes(key, KEY_CHECK_LABEL, new Uint8Array(0), KEY_CHECK_BYTES));

const shown = (keyCheck: Buffer): string => keyCheck.toString("hex").slice(0, KEY_CHECK_SHOWN_HEX);

const alreadyInitialized = (): SealError =>
  new SealError(
    "already-initialized",
    "This store already has a seal; initializing it again would orphan all that it sealed.",
  );
