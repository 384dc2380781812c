import type { Operation, OperationContext } from "../../../gateway/contract.ts";
import type { Write } from "../../../store/metadata-store.ts";
import { lowerCamel } from "../access.ts";
import { conflict, limitExceeded, nothingToRotateTo, unsupported, unsupportedOrigin } from "../errors.ts";
import { factsOf } from "../key-specs.ts";
import { materialsOf } from "../material-set.ts";
import { keyArnOf, keyStateOf } from "../model.ts";
import { relatedKeys, requirePrimary } from "../multi-region.ts";
import type { KmsParts } from "../parts.ts";
import { type KeyRecord, idOfKey, keyTable } from "../records.ts";
import type { NamedKey } from "../resolve.ts";
import { ROTATION_PERIOD_DAYS_DEFAULT, rotateKey, rotationFrom, rotationWrites } from "../rotation.ts";
import type {
  DisableKeyRotationRequest,
  EnableKeyRotationRequest,
  GetKeyRotationStatusRequest,
  GetKeyRotationStatusResponse,
  RotateKeyOnDemandRequest,
  RotateKeyOnDemandResponse,
} from "../shapes.generated.ts";
import { type KeyResult, keyOperation } from "./key-operation.ts";

type Nothing = Readonly<Record<string, never>>;

/** Rotations on demand of one key; AWS raises it for nobody (KMS resource quotas). */
const ON_DEMAND_ROTATIONS_MAX = 25;
/** How close to an automatic rotation none is taken on demand (API reference, ConflictException). */
const CONFLICT_BEFORE_MS = 20 * 60 * 1000;

/** Throws unless keys of this kind can be rotated at all; AWS gives no reason. */
export function requireRotatable(key: KeyRecord): void {
  if (factsOf(key.keySpec).family !== "symmetric") throw unsupported();
}

/** Throws unless the key can be rotated by itself: AWS cannot make what its owner imports. */
function requireScheduled(key: KeyRecord): void {
  requireRotatable(key);
  if (key.origin !== "AWS_KMS") throw unsupportedOrigin(keyArnOf(key), key.origin);
}

/** Of related keys the primary is rotated, and the others with it. */
function requireOwnRotation(key: KeyRecord): void {
  if (key.multiRegion !== null) requirePrimary(key);
}

/** Sets the schedule of a key and of all that are related to it. */
async function scheduled(
  { read }: OperationContext,
  key: KeyRecord,
  rotation: KeyRecord["rotation"],
): Promise<KeyResult<Nothing>> {
  const changed: KeyRecord = { ...key, rotation };
  const writes: Write[] = [...rotationWrites(key, changed)];
  for (const related of await relatedKeys(read, key)) {
    const theirs: KeyRecord = { ...related, rotation };
    writes.push(keyTable.put(idOfKey(related), theirs), ...rotationWrites(related, theirs));
  }
  return { output: {}, changed, writes };
}

const periodOf = (input: EnableKeyRotationRequest): number =>
  input.RotationPeriodInDays ?? ROTATION_PERIOD_DAYS_DEFAULT;

/** Asking again for the period that is set keeps its dates; another one counts from now. */
export const enableKeyRotation = (kms: KmsParts): Operation<EnableKeyRotationRequest, Nothing, NamedKey> =>
  keyOperation<EnableKeyRotationRequest, Nothing>(kms, {
    name: "EnableKeyRotation",
    readOnly: false,
    requires(key) {
      requireScheduled(key);
      requireOwnRotation(key);
    },
    conditions: (input) => ({ "kms:RotationPeriodInDays": String(periodOf(input)) }),
    describe: (input) => lowerCamel({ KeyId: input.KeyId, RotationPeriodInDays: periodOf(input) }),
    async handle(context, input, key) {
      const periodDays = periodOf(input);
      const rotation =
        key.rotation?.periodDays === periodDays ? key.rotation : rotationFrom(periodDays, context.call.nowMs);
      return await scheduled(context, key, rotation);
    },
  });

export const disableKeyRotation = (kms: KmsParts): Operation<DisableKeyRotationRequest, Nothing, NamedKey> =>
  keyOperation<DisableKeyRotationRequest, Nothing>(kms, {
    name: "DisableKeyRotation",
    readOnly: false,
    requires(key) {
      requireScheduled(key);
      requireOwnRotation(key);
    },
    handle: (context, _input, key) => scheduled(context, key, null),
  });

/**
 * While deletion is scheduled a key is not rotated, and its status says so. OnDemandRotationStartDate is never there: a
 * rotation on demand is done when its request is answered.
 */
export const getKeyRotationStatus = (
  kms: KmsParts,
): Operation<GetKeyRotationStatusRequest, GetKeyRotationStatusResponse, NamedKey> =>
  keyOperation<GetKeyRotationStatusRequest, GetKeyRotationStatusResponse>(kms, {
    name: "GetKeyRotationStatus",
    readOnly: true,
    forms: { crossAccount: true },
    requires: requireScheduled,
    handle({ call }, _input, key) {
      const { rotation } = key;
      const state = keyStateOf(key, call.nowMs);
      const leaving = state === "PendingDeletion" || state === "PendingReplicaDeletion";
      if (rotation === null || leaving) return { output: { KeyId: keyArnOf(key), KeyRotationEnabled: false } };
      return {
        output: {
          KeyId: keyArnOf(key),
          KeyRotationEnabled: true,
          RotationPeriodInDays: rotation.periodDays,
          NextRotationDate: rotation.nextMs,
        },
      };
    },
  });

/** Done at once, where AWS takes minutes. */
export const rotateKeyOnDemand = (
  kms: KmsParts,
): Operation<RotateKeyOnDemandRequest, RotateKeyOnDemandResponse, NamedKey> =>
  keyOperation<RotateKeyOnDemandRequest, RotateKeyOnDemandResponse>(kms, {
    name: "RotateKeyOnDemand",
    readOnly: false,
    requires: requireRotatable,
    async handle({ call, read }, _input, key) {
      requireOwnRotation(key);
      const { materials } = await materialsOf(read, key);
      const rotations = [...materials.values()].filter(({ rotation }) => rotation?.type === "ON_DEMAND").length;
      if (rotations >= ON_DEMAND_ROTATIONS_MAX) {
        throw limitExceeded(
          "The on-demand rotations limit has been reached for the given keyId. " +
            `No more on-demand rotations can be performed for this key: ${keyArnOf(key)}`,
        );
      }
      if (key.rotation !== null && key.rotation.nextMs - call.nowMs <= CONFLICT_BEFORE_MS) {
        throw conflict(`An automatic rotation of the key ${keyArnOf(key)} is in progress or about to begin.`);
      }
      const change = await rotateKey(kms, read, key, "ON_DEMAND", call.nowMs);
      if (change === null) throw nothingToRotateTo(keyArnOf(key));
      const output = { KeyId: keyArnOf(key) };
      return { output, changed: change.key, writes: change.writes, responseElements: lowerCamel(output) };
    },
  });
