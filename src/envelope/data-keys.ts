/**
 * The cache of data keys. Key material is cached, permission is not: whoever is served from memory has been asked about
 * anew, because a revoked caller and a disabled key must stop at once.
 */
import { createHash, createHmac } from "node:crypto";
import type { Clock } from "../base/clock.ts";
import { ServiceError } from "../base/errors.ts";
import { LruMap } from "../base/lru.ts";
import { equalInConstantTime } from "../crypto/equal.ts";
import { wipe } from "../crypto/wipe.ts";
import type { Call, Principal, RememberedPermission } from "../gateway/contract.ts";
import type { DataKeyScope, KeyService } from "./key-service.ts";
import type { SealingKey, WrappedDataKey } from "./record-block.ts";
import { sealingKey } from "./record-block.ts";
import type { CipherSuite, RecordKey, SuiteName } from "./suite.ts";
import { DATA_KEY_BYTES, SUITE_XAES_256_GCM, suiteNamed } from "./suite.ts";
import { XChaChaKey } from "./xchacha.ts";
import { XaesKey } from "./xaes.ts";

/** AWS's own figure for Kinesis: key material is asked for about every five minutes. Counted from before the KMS call. */
export const DATA_KEY_LIFETIME_MS = 300_000;
/** Uses of one sealing key: the bound that random 24-byte nonces are never near, and the one of the design. */
const DATA_KEY_USES_MAX = 2 ** 32;
/** Keys held for sealing and for opening, each. An entry takes about 2 KiB, so that both stay below 40 MiB. */
const DATA_KEY_COUNT_MAX = 10_000;
/** A waiting call that finds the material gone again starts over; a key that never lasts is a fault elsewhere. */
const ATTEMPTS_MAX = 3;

const COMMITMENT_LABEL = "waxseal/data-key-commitment/v1";

/** KMS's answers that say "these bytes were never made by this key": the block was changed, nobody was refused. */
const NOT_AUTHENTIC: ReadonlySet<string> = new Set([
  "InvalidCiphertextException",
  "IncorrectKeyException",
  "ValidationException",
]);

/** Binds ciphertexts to one key: AES-GCM alone lets somebody find two keys that open the same bytes. */
export const commitmentOf = (dataKey: Uint8Array): Buffer =>
  createHmac("sha256", dataKey).update(COMMITMENT_LABEL).digest();

/** Which resource the keys belong to. */
export interface ResourceScope {
  readonly resourceId: string;
  readonly encryptionContext: Readonly<Record<string, string>>;
}

/** Unwraps data keys for one request, asking about permission once per distinct key. */
export type Opener = (dataKey: WrappedDataKey) => Promise<RecordKey | null>;

export interface DataKeys {
  /**
   * The data key to seal with now. Makes one KMS call for all who ask at once, and otherwise only checks permission.
   * `uses` records are about to be sealed, by AES unless another suite is named. Throws KMS's refusals unchanged.
   */
  forSealing(call: Call, scope: DataKeyScope, uses: number, suite?: SuiteName): Promise<SealingKey>;
  /** For the length of one request. The opener answers null for a data key that is not authentic, and throws KMS's refusals. */
  forOpening(call: Call, scope: ResourceScope): Opener;
  /** Overwrites everything: at seal and shutdown. The cache stays usable. */
  clear(): void;
}

interface Entry<Value> {
  readonly value: Value;
  readonly key: RecordKey;
  readonly expiresAtMs: number;
  uses: number;
  cancelExpiry: () => void;
  /** What the principal's last permission to use the key was based on. */
  readonly permission: RememberedPermission;
}

/** Whose key it is: the user or role session, whatever credentials it signed with. */
const principalId = (principal: Principal): string => `${principal.accountId}\n${principal.arn}\n${principal.userId}`;

/** Keys by whose and which, each gone at its own time, and the KMS calls that are under way. */
class KeyCache<Value> {
  readonly #clock: Clock;
  readonly #entries: LruMap<string, Entry<Value>>;
  readonly #flights = new Map<string, Promise<Entry<Value> | null>>();
  /** Grows with each `clear`: what was under way then must not come back. */
  #generation = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#entries = new LruMap(DATA_KEY_COUNT_MAX, (_, entry) => this.#destroy(entry));
  }

  find(id: string, uses: number): Entry<Value> | null {
    const entry = this.#entries.get(id);
    if (entry === undefined) return null;
    if (this.#clock.monotonicMs() >= entry.expiresAtMs || entry.uses + uses > DATA_KEY_USES_MAX) {
      this.#remove(id, entry);
      return null;
    }
    entry.uses += uses;
    return entry;
  }

  /** The way of nearly every record: the key is here, and so is a permission that stands. */
  findAllowed(id: string, uses: number, isAllowed: (remembered: RememberedPermission) => boolean): Entry<Value> | null {
    const entry = this.find(id, uses);
    if (entry === null || isAllowed(entry.permission)) return entry;
    entry.uses -= uses;
    return null;
  }

  flight(id: string): Promise<Entry<Value> | null> | undefined {
    return this.#flights.get(id);
  }

  /** Runs `make` for all who ask meanwhile. What fails, and what is null, is not kept. */
  fetch(
    id: string,
    uses: number,
    make: () => Promise<{ value: Value; key: RecordKey } | null>,
  ): Promise<Entry<Value> | null> {
    const startedMs = this.#clock.monotonicMs();
    const generation = this.#generation;
    const expiresAtMs = startedMs + DATA_KEY_LIFETIME_MS;
    const flight = make()
      .then(
        (made) =>
          made &&
          this.#insert(
            id,
            { ...made, expiresAtMs, uses, cancelExpiry: () => undefined, permission: { given: null } },
            generation,
          ),
      )
      .finally(() => {
        if (this.#flights.get(id) === flight) this.#flights.delete(id);
      });
    this.#flights.set(id, flight);
    return flight;
  }

  clear(): void {
    this.#generation++;
    this.#flights.clear();
    for (const [, entry] of this.#entries.entries()) this.#destroy(entry);
    this.#entries.clear();
  }

  #insert(id: string, entry: Entry<Value>, generation: number): Entry<Value> {
    if (generation !== this.#generation) {
      entry.key.destroy();
      return entry;
    }
    const { expiresAtMs } = entry;
    entry.cancelExpiry = this.#clock.after(expiresAtMs - this.#clock.monotonicMs(), () => this.#remove(id, entry));
    const previous = this.#entries.get(id);
    if (previous !== undefined) this.#destroy(previous);
    this.#entries.set(id, entry);
    return entry;
  }

  #remove(id: string, entry: Entry<Value>): void {
    if (this.#entries.get(id) === entry) this.#entries.delete(id);
    this.#destroy(entry);
  }

  #destroy(entry: Entry<Value>): void {
    entry.cancelExpiry();
    entry.key.destroy();
  }
}

/**
 * The key for `id`: from memory after `authorize`, or from one call of `make` for all who ask at once. Sealing and opening
 * differ in how they ask KMS, not in how they share what it answers.
 */
async function shared<Value>(
  cache: KeyCache<Value>,
  id: string,
  uses: number,
  make: () => Promise<{ value: Value; key: RecordKey } | null>,
  authorize: (remembered?: RememberedPermission) => Promise<void>,
): Promise<Entry<Value> | null> {
  for (let attempt = 1; attempt <= ATTEMPTS_MAX; attempt++) {
    const present = cache.find(id, 0);
    const flight = present === null ? cache.flight(id) : undefined;
    if (flight === undefined && present === null) {
      const entry = await cache.fetch(id, uses, make);
      if (entry === null || !entry.key.destroyed) return entry;
      continue;
    }
    if (flight !== undefined) {
      try {
        if ((await flight) === null) return null;
      } catch (error) {
        // Somebody else's refusal is not ours: the same principal may come from another address. Asking tells.
        await authorize();
        if (attempt === ATTEMPTS_MAX) throw error;
        continue;
      }
    }
    await authorize(present?.permission);
    const entry = cache.find(id, uses);
    if (entry !== null) return entry;
  }
  throw new Error("the data key did not last as long as the request");
}

/** Takes over a plaintext data key: it is overwritten whatever happens. */
function adopt(plaintext: Uint8Array, suite: CipherSuite): { key: RecordKey; commitment: Buffer } {
  try {
    const key = suite === SUITE_XAES_256_GCM ? new XaesKey(plaintext) : new XChaChaKey(plaintext);
    return { commitment: commitmentOf(plaintext), key };
  } finally {
    wipe(plaintext);
  }
}

export function createDataKeys(deps: { readonly keyService: KeyService; readonly clock: Clock }): DataKeys {
  const { keyService, clock } = deps;
  const sealing = new KeyCache<SealingKey>(clock);
  const opening = new KeyCache<null>(clock);

  const generate = async (
    call: Call,
    scope: DataKeyScope,
    suite: CipherSuite,
  ): Promise<{ value: SealingKey; key: RecordKey }> => {
    const generated = await keyService.generateDataKey(call, scope);
    const { key, commitment } = adopt(generated.plaintext, suite);
    const value = sealingKey(key, { commitment, wrapped: generated.ciphertext, keyArn: generated.keyArn });
    return { key, value };
  };

  const unwrap = async (
    call: Call,
    dataKey: WrappedDataKey,
    scope: DataKeyScope,
  ): Promise<{ value: null; key: RecordKey } | null> => {
    let plaintext: Uint8Array;
    try {
      plaintext = await keyService.decrypt(call, dataKey.wrapped, scope);
    } catch (error) {
      if (error instanceof ServiceError && NOT_AUTHENTIC.has(error.code)) return null;
      throw error;
    }
    if (plaintext.length !== DATA_KEY_BYTES) {
      wipe(plaintext);
      return null;
    }
    const { key, commitment } = adopt(plaintext, dataKey.suite);
    if (equalInConstantTime(commitment, dataKey.commitment)) return { value: null, key };
    key.destroy();
    return null;
  };

  return {
    async forSealing(call, scope, uses, suiteName = "aes") {
      const suite = suiteNamed(suiteName);
      // A data key serves one suite: the suite is part of what the key is asked for by.
      const id = `${principalId(call.principal)}\n${scope.resourceId}\n${suite}\n${scope.keyId}`;
      const ready = sealing.findAllowed(id, uses, (remembered) => keyService.isStillAuthorized(call, remembered));
      if (ready !== null) return ready.value;
      const authorize = (remembered?: RememberedPermission): Promise<void> =>
        keyService.authorizeGenerate(call, scope, remembered);
      const entry = await shared(sealing, id, uses, () => generate(call, scope, suite), authorize);
      if (entry === null) throw new Error("KMS made no data key");
      return entry.value;
    },

    forOpening(call, scope) {
      const known = new Map<string, RecordKey | null>();
      return async (dataKey) => {
        // The ARN is part of the hash: changed in the store, it would otherwise choose whom to ask for permission. So is the
        // suite, or a block whose suite was changed would be given the key of the other one.
        const hash = createHash("sha256").update(`${dataKey.suite}\n${dataKey.wrapped.length}\n${dataKey.keyArn}\n`);
        const sealedUnder = hash.update(dataKey.wrapped).update(dataKey.commitment).digest("base64");
        const before = known.get(sealedUnder);
        if (before !== undefined && before?.destroyed !== true) return before;
        const id = `${principalId(call.principal)}\n${scope.resourceId}\n${sealedUnder}`;
        const ready = opening.findAllowed(id, 0, (remembered) => keyService.isStillAuthorized(call, remembered));
        if (ready !== null) {
          known.set(sealedUnder, ready.key);
          return ready.key;
        }
        const keyScope: DataKeyScope = { keyId: dataKey.keyArn, ...scope };
        const authorize = (remembered?: RememberedPermission): Promise<void> =>
          keyService.authorizeDecrypt(call, dataKey.wrapped, keyScope, remembered);
        const entry = await shared(opening, id, 0, () => unwrap(call, dataKey, keyScope), authorize);
        const key = entry?.key ?? null;
        known.set(sealedUnder, key);
        return key;
      };
    },

    clear() {
      sealing.clear();
      opening.clear();
    },
  };
}
