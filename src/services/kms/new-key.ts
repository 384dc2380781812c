import type { Call } from "../../gateway/contract.ts";
import type { Write } from "../../store/metadata-store.ts";
import type { ManagedKeyService } from "./managed-keys.ts";
import { MANAGED_ALIAS_PREFIX } from "./managed-keys.ts";
import type { KmsParts } from "./parts.ts";
import { managedKeyPolicy } from "./policy.ts";
import { type KeyRecord, aliasTable, idOfKey, keyTable } from "./records.ts";

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
    materialId: kms.materials.newId(),
    publicKey: null,
    materialExpiresMs: null,
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
  });
}

/**
 * Makes the drafted key's material, lends it to `run`, and answers all that has to be stored. When two callers do this for
 * the same alias at once, the commit of one conflicts on the alias that `access` found missing, and it starts over.
 */
export function createKey<T>(
  kms: KmsParts,
  draft: KeyRecord,
  run: (material: Uint8Array) => T,
): { readonly value: T; readonly writes: readonly Write[] } {
  const { value, write } = kms.materials.create(draft, run);
  const aliases = draft.aliases.map((name) =>
    aliasTable.put([draft.accountId, draft.region, name], {
      keyId: draft.keyId,
      createdMs: draft.createdMs,
      updatedMs: draft.createdMs,
    }),
  );
  return { value, writes: [keyTable.put(idOfKey(draft), draft), write, ...aliases] };
}
