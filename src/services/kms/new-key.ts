import type { Call } from "../../gateway/contract.ts";
import type { Write } from "../../store/metadata-store.ts";
import { offMainThread } from "./key-pairs.ts";
import { isPairSpec } from "./key-specs.ts";
import type { ManagedKeyService } from "./managed-keys.ts";
import { MANAGED_ALIAS_PREFIX } from "./managed-keys.ts";
import { requireMaterialId } from "./materials.ts";
import type { KmsParts } from "./parts.ts";
import { managedKeyPolicy } from "./policy.ts";
import { type KeyRecord, aliasTable, idOfKey, keyTable } from "./records.ts";
import { ROTATION_PERIOD_DAYS_DEFAULT, rotationFrom, rotationWrites } from "./rotation.ts";

/** A key that does not exist yet: everything but its material. */
export function draftKey(
  kms: KmsParts,
  call: Call,
  given: Pick<KeyRecord, "description" | "policy" | "tags" | "manager" | "aliases"> & Partial<KeyRecord>,
): KeyRecord {
  return {
    keyId: kms.random.uuid(),
    accountId: call.principal.accountId,
    region: call.region,
    createdMs: call.nowMs,
    keySpec: "SYMMETRIC_DEFAULT",
    keyUsage: "ENCRYPT_DECRYPT",
    origin: "AWS_KMS",
    enabled: true,
    deletionDateMs: null,
    policyPrincipalIds: {},
    materialId: kms.materials.newId(),
    publicKey: null,
    materialExpiresMs: null,
    olderMaterialsUntilMs: null,
    materialsRevision: 0,
    rotation: null,
    multiRegion: null,
    transition: null,
    replicaDeletionDays: null,
    ...given,
  };
}

/** The AWS managed key of a service, about to be used for the first time in the caller's account and Region. */
export function draftManagedKey(kms: KmsParts, call: Call, service: ManagedKeyService): KeyRecord {
  return draftKey(kms, call, {
    description: service.description,
    policy: managedKeyPolicy(service, call.region, call.principal.accountId),
    tags: [],
    manager: "AWS",
    aliases: [MANAGED_ALIAS_PREFIX + service.name],
    rotation: rotationFrom(ROTATION_PERIOD_DAYS_DEFAULT, call.nowMs),
  });
}

/**
 * Makes the material of a drafted symmetric or HMAC key, lends it to `run`, and answers all that has to be stored. When two
 * callers do this for the same alias at once, the commit of one conflicts on the alias that `access` found missing, and it
 * starts over.
 */
export function createKey<T>(
  kms: KmsParts,
  draft: KeyRecord,
  run: (material: Uint8Array) => T,
): { readonly value: T; readonly writes: readonly Write[] } {
  const { value, write } = kms.materials.create(draft, run);
  return { value, writes: [...recordsOf(draft), write] };
}

/** Makes the drafted key whatever its kind, and answers it as it is stored, with all that has to be. */
export async function createKeyOfKind(
  kms: KmsParts,
  draft: KeyRecord,
): Promise<{ readonly key: KeyRecord; readonly writes: readonly Write[] }> {
  // Its material is imported later.
  if (draft.origin === "EXTERNAL") return { key: draft, writes: recordsOf(draft) };
  if (!isPairSpec(draft.keySpec)) return { key: draft, writes: createKey(kms, draft, () => undefined).writes };
  const pair = await offMainThread(kms.keyWorkers.generate(draft.keySpec));
  const key = { ...draft, publicKey: Buffer.from(pair.publicKey).toString("base64") };
  const material = kms.materials.store(key, requireMaterialId(key), key.createdMs, pair.privateKey);
  return { key, writes: [...recordsOf(key), material] };
}

function recordsOf(key: KeyRecord): readonly Write[] {
  const aliases = key.aliases.map((name) =>
    aliasTable.put([key.accountId, key.region, name], {
      keyId: key.keyId,
      createdMs: key.createdMs,
      updatedMs: key.createdMs,
    }),
  );
  return [keyTable.put(idOfKey(key), key), ...aliases, ...rotationWrites(null, key)];
}
