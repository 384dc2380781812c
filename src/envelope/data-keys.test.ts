import { randomBytes } from "node:crypto";
import { beforeEach, describe, expect, test } from "vitest";
import type { MovableClock } from "../base/clock.ts";
import { movableClock } from "../base/clock.ts";
import { ServiceError } from "../base/errors.ts";
import type { Call, Principal } from "../gateway/contract.ts";
import type { DataKeys } from "./data-keys.ts";
import { createDataKeys, DATA_KEY_LIFETIME_MS } from "./data-keys.ts";
import type { DataKeyScope, KeyService } from "./key-service.ts";
import type { SealingKey } from "./record-block.ts";
import { SUITE_XAES_256_GCM, SUITE_XCHACHA20_POLY1305 } from "./suite.ts";

const scope: DataKeyScope = { keyId: "arn:key", resourceId: "stream-1", encryptionContext: { a: "b" } };

function call(user = "ann", sourceIp = "192.0.2.1"): Call {
  const principal: Principal = {
    type: "User",
    arn: `arn:aws:iam::111122223333:user/${user}`,
    accountId: "111122223333",
    userId: `AIDA${user}`,
  };
  const rest = {
    region: "eu-central-1",
    service: "kinesis",
    operation: "PutRecord",
    nowMs: 0,
    userAgent: "",
    secureTransport: true,
  };
  return { requestId: "r", principal, sourceIp, ...rest };
}

/** Hands out keys and remembers them; wraps them as themselves, reversed. */
class CountingKms implements KeyService {
  generated: Uint8Array[] = [];
  decrypted = 0;
  authorized = 0;
  refuse: (call: Call) => ServiceError | null = () => null;
  hold: Promise<void> = Promise.resolve();

  isStillAuthorized(): boolean {
    return false;
  }
  #check(by: Call): void {
    const refusal = this.refuse(by);
    if (refusal !== null) throw refusal;
  }
  async generateDataKey(by: Call): ReturnType<KeyService["generateDataKey"]> {
    const plaintext = new Uint8Array(randomBytes(32));
    this.generated.push(plaintext);
    const ciphertext = plaintext.toReversed();
    await this.hold;
    this.#check(by);
    return { plaintext, ciphertext, keyArn: "arn:key" };
  }
  async decrypt(by: Call, ciphertext: Uint8Array): Promise<Uint8Array> {
    this.decrypted++;
    await this.hold;
    this.#check(by);
    return new Uint8Array(ciphertext).toReversed();
  }
  async authorizeGenerate(by: Call): Promise<void> {
    this.authorized++;
    this.#check(by);
  }
  async authorizeDecrypt(by: Call): Promise<void> {
    this.authorized++;
    this.#check(by);
  }
}

let clock: MovableClock;
let kms: CountingKms;
let keys: DataKeys;

beforeEach(() => {
  clock = movableClock();
  kms = new CountingKms();
  keys = createDataKeys({ keyService: kms, clock });
});

const denied = (): ServiceError => new ServiceError("AccessDeniedException", "no");

describe("sealing", () => {
  test("makes one KMS call for 50 cold requests at once, and asks about permission for the other 49", async () => {
    const found = await Promise.all(Array.from({ length: 50 }, () => keys.forSealing(call(), scope, 1)));
    expect(new Set(found.map(({ key }) => key)).size).toBe(1);
    expect([kms.generated.length, kms.authorized]).toEqual([1, 49]);
  });

  test("makes one KMS call within 5 minutes and 13 within an hour", async () => {
    for (let second = 0; second < 3600; second++) {
      await keys.forSealing(call(), scope, 500);
      if (second === 299) expect(kms.generated.length).toBe(1);
      clock.advance(1000);
    }
    expect(kms.generated.length).toBeLessThanOrEqual(13);
  });

  test("asks about permission each time, and a refusal bites at once", async () => {
    await keys.forSealing(call(), scope, 1);
    kms.refuse = denied;
    await expect(keys.forSealing(call(), scope, 1)).rejects.toThrow("no");
    kms.refuse = () => null;
    await keys.forSealing(call(), scope, 1);
    expect(kms.generated.length).toBe(1);
  });

  test("destroys the key 5 minutes after it was made, used or not", async () => {
    const { key } = await keys.forSealing(call(), scope, 1);
    clock.advance(DATA_KEY_LIFETIME_MS - 1);
    await keys.forSealing(call(), scope, 1);
    expect(key.destroyed).toBe(false);
    clock.advance(1);
    expect(key.destroyed).toBe(true);
  });

  test("counts a key's life from before the KMS call, however slow that was", async () => {
    let release = (): void => undefined;
    kms.hold = new Promise((resolve) => (release = resolve));
    const pending = keys.forSealing(call(), scope, 1);
    clock.advance(200_000);
    release();
    const { key } = await pending;
    clock.advance(100_000);
    expect(key.destroyed).toBe(true);
  });

  test("overwrites the plaintext that KMS returned", async () => {
    await keys.forSealing(call(), scope, 1);
    expect(kms.generated[0]?.every((byte) => byte === 0)).toBe(true);
  });

  test("keeps keys apart by principal, resource and KMS key", async () => {
    const found = [
      await keys.forSealing(call(), scope, 1),
      await keys.forSealing(call("bob"), scope, 1),
      await keys.forSealing(call(), { ...scope, resourceId: "stream-2" }, 1),
      await keys.forSealing(call(), { ...scope, keyId: "arn:other" }, 1),
    ];
    expect(new Set(found.map(({ key }) => key)).size).toBe(4);
  });

  test("does not keep a failure", async () => {
    kms.refuse = denied;
    await expect(keys.forSealing(call(), scope, 1)).rejects.toThrow("no");
    kms.refuse = () => null;
    await keys.forSealing(call(), scope, 1);
    expect(kms.generated.length).toBe(2);
  });

  test("does not refuse one request for what another one was refused", async () => {
    kms.refuse = ({ sourceIp }) => (sourceIp === "198.51.100.1" ? denied() : null);
    const [from, elsewhere] = await Promise.allSettled([
      keys.forSealing(call("ann", "198.51.100.1"), scope, 1),
      keys.forSealing(call("ann"), scope, 1),
    ]);
    expect([from.status, elsewhere.status]).toEqual(["rejected", "fulfilled"]);
  });

  test("asks KMS a few times, not once per waiting request, while KMS is failing", async () => {
    const failing = new CountingKms();
    failing.authorizeGenerate = async () => undefined;
    failing.refuse = denied;
    const cache = createDataKeys({ keyService: failing, clock });
    const results = await Promise.allSettled(Array.from({ length: 50 }, () => cache.forSealing(call(), scope, 1)));
    expect(results.every(({ status }) => status === "rejected")).toBe(true);
    expect(failing.generated.length).toBeLessThanOrEqual(4);
  });

  test("takes a new key before one is used 2^32 times", async () => {
    await keys.forSealing(call(), scope, 2 ** 32 - 1);
    await keys.forSealing(call(), scope, 1);
    expect(kms.generated.length).toBe(1);
    await keys.forSealing(call(), scope, 1);
    expect(kms.generated.length).toBe(2);
  });

  test("clear destroys every key, and one that is under way does not outlive it", async () => {
    const { key } = await keys.forSealing(call(), scope, 1);
    let release = (): void => undefined;
    kms.hold = new Promise((resolve) => (release = resolve));
    const pending = keys.forSealing(call("bob"), scope, 1);
    keys.clear();
    expect(key.destroyed).toBe(true);
    release();
    expect((await pending).key.destroyed).toBe(false);
    expect(kms.generated.length).toBe(3);
  });

  test("holds at most 10 000 keys and destroys what it pushes out", async () => {
    const first = await keys.forSealing(call(), scope, 1);
    for (let user = 0; user < 10_000; user++) await keys.forSealing(call(`user-${user}`), scope, 1);
    expect(first.key.destroyed).toBe(true);
  });
});

describe("opening", () => {
  const sealingKey = async (): Promise<SealingKey> => await keys.forSealing(call(), scope, 1);

  test("unwraps once per principal and 5 minutes, asking about permission once per request", async () => {
    const wrapped = await sealingKey();
    kms.authorized = 0;
    for (let request = 0; request < 3; request++) {
      const open = keys.forOpening(call("bob"), scope);
      for (let block = 0; block < 5; block++) expect(await open(wrapped)).not.toBeNull();
    }
    expect([kms.decrypted, kms.authorized]).toEqual([1, 2]);
    await keys.forOpening(call("eve"), scope)(wrapped);
    expect(kms.decrypted).toBe(2);
    clock.advance(DATA_KEY_LIFETIME_MS);
    await keys.forOpening(call("bob"), scope)(wrapped);
    expect(kms.decrypted).toBe(3);
  });

  test("answers null for a key that the commitment does not fit, and never from memory for another commitment", async () => {
    const wrapped = await sealingKey();
    await keys.forOpening(call(), scope)(wrapped);
    expect(await keys.forOpening(call(), scope)({ ...wrapped, commitment: randomBytes(32) })).toBeNull();
    expect(kms.decrypted).toBe(2);
  });

  test("answers null for what KMS calls an invalid ciphertext, and passes refusals on", async () => {
    const wrapped = await sealingKey();
    kms.refuse = () => new ServiceError("InvalidCiphertextException", "");
    expect(await keys.forOpening(call("bob"), scope)(wrapped)).toBeNull();
    kms.refuse = denied;
    await expect(keys.forOpening(call("bob"), scope)(wrapped)).rejects.toThrow("no");
  });

  test("a block that names another KMS key is not served from memory", async () => {
    const wrapped = await sealingKey();
    await keys.forOpening(call(), scope)(wrapped);
    await keys.forOpening(call(), scope)({ ...wrapped, keyArn: "arn:other" });
    expect(kms.decrypted).toBe(2);
  });

  test("serves one suite by each data key, and gives a block whose suite was changed no key of the other one", async () => {
    const [aes, xchacha] = [await sealingKey(), await keys.forSealing(call(), scope, 1, "xchacha")];
    expect(kms.generated.length).toBe(2);
    expect([aes.suite, xchacha.suite]).toEqual([SUITE_XAES_256_GCM, SUITE_XCHACHA20_POLY1305]);
    expect(await keys.forSealing(call(), scope, 1, "xchacha")).toBe(xchacha);
    const open = keys.forOpening(call(), scope);
    expect((await open(aes))?.suite).toBe(SUITE_XAES_256_GCM);
    expect((await open(xchacha))?.suite).toBe(SUITE_XCHACHA20_POLY1305);
    expect((await open({ ...aes, suite: SUITE_XCHACHA20_POLY1305 }))?.suite).toBe(SUITE_XCHACHA20_POLY1305);
    keys.clear();
    expect([aes.key.destroyed, xchacha.key.destroyed]).toEqual([true, true]);
  });

  test("a refusal bites although the key is in memory", async () => {
    const wrapped = await sealingKey();
    await keys.forOpening(call(), scope)(wrapped);
    kms.refuse = denied;
    await expect(keys.forOpening(call(), scope)(wrapped)).rejects.toThrow("no");
  });
});
