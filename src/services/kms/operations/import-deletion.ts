import type { Operation } from "../../../gateway/contract.ts";
import { lowerCamel } from "../access.ts";
import { notFound, unsupported } from "../errors.ts";
import { factsOf } from "../key-specs.ts";
import { destroy } from "../material-family.ts";
import { currentMaterial, materialsOf } from "../material-set.ts";
import { keyArnOf } from "../model.ts";
import type { KmsParts } from "../parts.ts";
import type { NamedKey } from "../resolve.ts";
import type { DeleteImportedKeyMaterialRequest, DeleteImportedKeyMaterialResponse } from "../shapes.generated.ts";
import { requireImported } from "./import-parameters.ts";
import { keyOperation } from "./key-operation.ts";

/** Takes a material out, at once and for good as far as this server goes; the key knows it if it is imported again. */
export const deleteImportedKeyMaterial = (
  kms: KmsParts,
): Operation<DeleteImportedKeyMaterialRequest, DeleteImportedKeyMaterialResponse, NamedKey> =>
  keyOperation<DeleteImportedKeyMaterialRequest, DeleteImportedKeyMaterialResponse>(kms, {
    name: "DeleteImportedKeyMaterial",
    readOnly: false,
    requires: requireImported,
    async handle({ read }, input, key) {
      const symmetric = factsOf(key.keySpec).family === "symmetric";
      if (input.KeyMaterialId !== undefined && !symmetric) {
        throw unsupported("KeyMaterialId is only supported for symmetric encryption keys.");
      }
      const set = await materialsOf(read, key);
      const materialId = input.KeyMaterialId ?? currentMaterial(set)?.[0];
      const material = materialId === undefined ? undefined : set.materials.get(materialId);
      if (input.KeyMaterialId !== undefined && material === undefined) {
        throw notFound(`Key material '${materialId}' does not exist`);
      }
      const output = {
        KeyId: keyArnOf(key),
        ...(symmetric && materialId !== undefined ? { KeyMaterialId: materialId } : {}),
      };
      const responseElements = lowerCamel(output);
      // A second deletion, or one before the first import, has no effect.
      if (materialId === undefined || material?.wrapped === null) return { output, responseElements };
      const change = await destroy(read, set, materialId);
      return {
        output,
        changed: change.key,
        writes: change.writes,
        responseElements,
        committed: () => kms.materials.forget(keyArnOf(key)),
      };
    },
  });
