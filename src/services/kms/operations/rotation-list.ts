import type { Operation } from "../../../gateway/contract.ts";
import { isPresent, isWaiting, materialsOf } from "../material-set.ts";
import { pageEnd, pageOf } from "../pages.ts";
import type { KmsParts } from "../parts.ts";
import type { KeyMaterialRecord, KeyRecord } from "../records.ts";
import type { NamedKey } from "../resolve.ts";
import type { ListKeyRotationsRequest, ListKeyRotationsResponse, RotationsListEntry } from "../shapes.generated.ts";
import { keyOperation } from "./key-operation.ts";
import { requireRotatable } from "./rotation.ts";

const isMaterialId = (text: string): boolean => /^[0-9a-f]{64}$/.test(text);

/** A key's materials in the order in which they became current; without ALL_KEY_MATERIAL only those that a rotation brought. */
export const listKeyRotations = (
  kms: KmsParts,
): Operation<ListKeyRotationsRequest, ListKeyRotationsResponse, NamedKey> =>
  keyOperation<ListKeyRotationsRequest, ListKeyRotationsResponse>(kms, {
    name: "ListKeyRotations",
    readOnly: true,
    requires: requireRotatable,
    async handle({ call, read }, input, key) {
      const { limit, after } = pageOf(input, { default: 100, max: 1000 }, isMaterialId);
      const { materials } = await materialsOf(read, key);
      const listed = [...materials].filter(
        ([, { rotation }]) => rotation !== null || input.IncludeKeyMaterial === "ALL_KEY_MATERIAL",
      );
      // A material that a marker names may have gone: then the list begins anew rather than end early.
      const start = after === undefined ? 0 : listed.findIndex(([id]) => id === after) + 1;
      const page = listed.slice(start, start + limit);
      return {
        output: {
          Rotations: page.map(([id, material]) => entryOf(key, id, material, call.nowMs)),
          ...pageEnd(page.at(-1)?.[0], listed.length > start + limit),
        },
      };
    },
  });

function entryOf(key: KeyRecord, id: string, material: KeyMaterialRecord, nowMs: number): RotationsListEntry {
  const { imported, rotation } = material;
  return {
    KeyId: key.keyId,
    KeyMaterialId: id,
    ...(imported === null ? {} : importMembers(imported, isPresent(material, nowMs))),
    KeyMaterialState: material.state,
    ...(rotation === null || isWaiting(material) ? {} : { RotationDate: rotation.dateMs, RotationType: rotation.type }),
  };
}

function importMembers(imported: NonNullable<KeyMaterialRecord["imported"]>, present: boolean): RotationsListEntry {
  const { description, expiresMs } = imported;
  return {
    ...(description === null ? {} : { KeyMaterialDescription: description }),
    ImportState: present ? "IMPORTED" : "PENDING_IMPORT",
    ...(present
      ? { ExpirationModel: expiresMs === null ? "KEY_MATERIAL_DOES_NOT_EXPIRE" : "KEY_MATERIAL_EXPIRES" }
      : {}),
    ...(present && expiresMs !== null ? { ValidTo: expiresMs } : {}),
  };
}
