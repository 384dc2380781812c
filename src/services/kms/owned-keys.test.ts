import { createPublicKey, generateKeyPairSync, sign, verify } from "node:crypto";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { systemRandom } from "../../base/random.ts";
import type { KeyWorkers } from "../../crypto/asymmetric/key-workers.ts";
import { createOwnedKeys, type OwnedKeys } from "./owned-keys.ts";
import { type KmsHarness, kmsHarness } from "./testing/harness.ts";

const YEAR_MS = 365 * 24 * 60 * 60 * 1000;
const message = new TextEncoder().encode("a checkpoint");

/** Ed25519 on this thread, for keys in PKCS#8. */
const keyWorkers: Pick<KeyWorkers, "generate" | "sign"> = {
  async generate() {
    const { privateKey, publicKey } = generateKeyPairSync("ed25519");
    return {
      privateKey: new Uint8Array(privateKey.export({ type: "pkcs8", format: "der" })),
      publicKey: publicKey.export({ type: "spki", format: "der" }),
    };
  },
  sign: async (_spec, lent, _algorithm, _kind, bytes) =>
    sign(null, bytes, { key: Buffer.from(lent.copy()), type: "pkcs8", format: "der" }),
};

const verifies = (publicKey: Uint8Array, signature: Uint8Array): boolean =>
  verify(null, message, createPublicKey({ key: Buffer.from(publicKey), type: "spki", format: "der" }), signature);

let kms: KmsHarness;
let owned: OwnedKeys;
let lines: { readonly message: string; readonly [detail: string]: unknown }[];

beforeEach(async () => {
  kms = await kmsHarness();
  lines = [];
  owned = createOwnedKeys({
    store: kms.store,
    reader: kms.reader,
    clock: kms.clock,
    random: systemRandom(),
    keyring: kms.keyring,
    keyWorkers,
    log: { info: (text, details) => void lines.push({ message: text, ...details }) },
  });
});
afterEach(() => kms.close());

describe("an AWS owned key", () => {
  test("is made at its first use, once, however many use it together", async () => {
    const made = await Promise.all(Array.from({ length: 8 }, () => owned.generateDataKey("objects", "o1")));
    for (const { plaintext, wrapped } of made) {
      expect(plaintext.byteLength).toBe(32);
      expect(Buffer.from((await owned.openDataKey("objects", "o1", wrapped)) ?? [])).toEqual(Buffer.from(plaintext));
    }
    expect(lines).toEqual([{ message: "an AWS owned key was made", key: "objects", version: 1 }]);
  });

  test("opens a data key for the name and binding that it was made for alone, and only unchanged", async () => {
    const { wrapped } = await owned.generateDataKey("objects", "o1");
    await owned.generateDataKey("volumes", "o1");
    expect(await owned.openDataKey("objects", "o2", wrapped)).toBeNull();
    expect(await owned.openDataKey("volumes", "o1", wrapped)).toBeNull();
    expect(await owned.openDataKey("nothing", "o1", wrapped)).toBeNull();
    for (let at = 0; at < wrapped.byteLength; at++) {
      const changed = new Uint8Array(wrapped);
      changed[at] = (changed[at] ?? 0) ^ 1;
      expect(await owned.openDataKey("objects", "o1", changed), `byte ${at}`).toBeNull();
    }
    expect(await owned.openDataKey("objects", "o1", wrapped.subarray(1))).toBeNull();
  });

  test("signs, and what it signed verifies with the public key of its version", async () => {
    const { version, signature } = await owned.sign("checkpoints", message);
    const [key] = await owned.publicKeys("checkpoints");
    expect(key?.version).toBe(version);
    expect(verifies(key?.publicKey ?? new Uint8Array(), signature)).toBe(true);
  });

  test("has one purpose: data keys or signatures", async () => {
    await owned.sign("checkpoints", message);
    await expect(owned.generateDataKey("checkpoints", "b")).rejects.toThrow("is not for data keys");
  });

  test("is another one after a year; what the old one made stays good", async () => {
    const { wrapped } = await owned.generateDataKey("objects", "o1");
    const before = await owned.sign("checkpoints", message);
    kms.clock.advance(YEAR_MS);
    const after = await owned.sign("checkpoints", message);
    expect([before.version, after.version]).toEqual([1, 2]);
    const [first, second] = await owned.publicKeys("checkpoints");
    expect(verifies(first?.publicKey ?? new Uint8Array(), before.signature)).toBe(true);
    expect(verifies(second?.publicKey ?? new Uint8Array(), after.signature)).toBe(true);
    expect(verifies(first?.publicKey ?? new Uint8Array(), after.signature)).toBe(false);
    await owned.generateDataKey("objects", "o2");
    expect(await owned.openDataKey("objects", "o1", wrapped)).not.toBeNull();
    expect(lines.filter(({ version }) => version === 2).map(({ key }) => key)).toEqual(["checkpoints", "objects"]);
  });

  test("survives sealing, and the rotation of domain keys", async () => {
    const stop = owned.start();
    const { wrapped } = await owned.generateDataKey("objects", "o1");
    await kms.keyring.rotate();
    await kms.keyring.seal();
    await expect(owned.openDataKey("objects", "o1", wrapped)).rejects.toMatchObject({ status: 503 });
    await kms.keyring.unseal(kms.sealProvider);
    expect(await owned.openDataKey("objects", "o1", wrapped)).not.toBeNull();
    await stop();
  });

  test("is invisible to accounts, and leaves no event", async () => {
    await owned.generateDataKey("objects", "o1");
    await owned.sign("checkpoints", message);
    expect((await kms.run("ListKeys", {})).Keys).toEqual([]);
    expect(await kms.failure("DescribeKey", { KeyId: "objects" })).toContain("NotFoundException");
    expect(kms.events).toEqual([]);
  });

  test("is used under the eyes of the operator: the log counts it each minute, and at the end", async () => {
    const stop = owned.start();
    const { wrapped } = await owned.generateDataKey("objects", "o1");
    await owned.openDataKey("objects", "o1", wrapped);
    await owned.openDataKey("objects", "o1", wrapped);
    lines.length = 0;
    kms.clock.advance(60_000);
    const line = (operation: string, count: number) => ({
      message: "an AWS owned key was used",
      key: "objects",
      operation,
      count,
    });
    expect(lines).toEqual([line("generateDataKey", 1), line("openDataKey", 2)]);
    await owned.openDataKey("objects", "o1", wrapped);
    lines.length = 0;
    await stop();
    expect(lines).toEqual([line("openDataKey", 1)]);
  });
});
