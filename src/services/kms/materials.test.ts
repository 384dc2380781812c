import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { wipe } from "../../crypto/wipe.ts";
import { KeyWorkersError } from "../../crypto/asymmetric/key-workers-error.ts";
import { systemRandom } from "../../base/random.ts";
import { KeyMaterials, requireMaterialId } from "./materials.ts";
import { type KeyRecord, keyTable } from "./records.ts";
import { ACCOUNT, type KmsHarness, kmsHarness, REGION } from "./testing/harness.ts";

let kms: KmsHarness;
let materials: KeyMaterials;

beforeEach(async () => {
  kms = await kmsHarness();
  materials = new KeyMaterials(kms.keyring, systemRandom(), { forget: () => undefined }, kms.clock);
});
afterEach(() => kms.close());

async function newKey(input: object = { KeySpec: "ECC_NIST_P256", KeyUsage: "SIGN_VERIFY" }): Promise<KeyRecord> {
  const key = await kms.reader.get(keyTable, [ACCOUNT, REGION, await kms.newKey(input)]);
  if (key === null) throw new Error("no key");
  return key;
}

const arnOf = (key: KeyRecord): string => `arn:aws:kms:${REGION}:${ACCOUNT}:key/${key.keyId}`;

/** More materials than are held at one time. */
async function pushOut(): Promise<void> {
  const key = await newKey({});
  const materialId = requireMaterialId(key);
  const wrapped = Array.from({ length: 1_100 }, (_, index) => {
    const other: KeyRecord = { ...key, keyId: `other-${index}` };
    return { other, wrapped: materials.make([other], materialId, 32)[0] };
  });
  for (const { other, wrapped: text } of wrapped) {
    const read = {
      get: () => Promise.resolve({ wrapped: text }),
      list: kms.reader.list,
    } as unknown as typeof kms.reader;
    await materials.use(read, other, materialId, () => undefined);
  }
}

describe("a private key on loan", () => {
  test("is there when the job is posted, whatever was used meanwhile", async () => {
    const key = await newKey();
    const lent = await materials.lend(kms.reader, key, requireMaterialId(key));
    const before = lent?.copy();
    await pushOut();
    expect(materials.openCount).toBe(1024);
    const after = lent?.copy();
    expect(after).toEqual(before);
    // What was unwrapped for one copy is not kept.
    expect(materials.openCount).toBe(1024);
    wipe(before, after);
  });

  test("is gone when the key was forgotten, even if it was used again, and other keys are not", async () => {
    const [key, other] = [await newKey(), await newKey()];
    const materialId = requireMaterialId(key);
    const lent = await materials.lend(kms.reader, key, materialId);
    const otherLent = await materials.lend(kms.reader, other, requireMaterialId(other));
    materials.forget(arnOf(key));
    const again = await materials.lend(kms.reader, key, materialId);
    expect(() => lent?.copy()).toThrow(expect.objectContaining({ reason: "forgotten" }) as KeyWorkersError);
    expect(again?.copy()).toBeInstanceOf(Uint8Array);
    // However many others were forgotten, none is lent that was.
    for (let count = 0; count < 1_100; count += 1) materials.forget(`another ${count}`);
    expect(() => lent?.copy()).toThrow(KeyWorkersError);
    expect(() => otherLent?.copy()).toThrow(KeyWorkersError);
    const late = await materials.lend(kms.reader, other, requireMaterialId(other));
    materials.forget("one more");
    expect(late?.copy()).toBeInstanceOf(Uint8Array);
  });

  test("cannot be had once the server is sealed", async () => {
    const key = await newKey();
    const lent = await materials.lend(kms.reader, key, requireMaterialId(key));
    await kms.keyring.seal();
    materials.clear();
    expect(() => lent?.copy()).toThrow(expect.objectContaining({ status: 503 }) as Error);
  });
});
