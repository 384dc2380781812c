import type { Operation } from "../../../gateway/contract.ts";
import { lowerCamel } from "../access.ts";
import { constraintError } from "../errors.ts";
import { eventDate } from "../event-members.ts";
import { keyArnOf, keyStateOf } from "../model.ts";
import { hasReplicas } from "../multi-region.ts";
import type { KmsParts } from "../parts.ts";
import { deletionId, deletionTable, type KeyRecord } from "../records.ts";
import type { NamedKey } from "../resolve.ts";
import { rotationWrites } from "../rotation.ts";
import type {
  CancelKeyDeletionRequest,
  CancelKeyDeletionResponse,
  DisableKeyRequest,
  EnableKeyRequest,
  ScheduleKeyDeletionRequest,
  ScheduleKeyDeletionResponse,
  UpdateKeyDescriptionRequest,
} from "../shapes.generated.ts";
import { keyOperation } from "./key-operation.ts";

const DAY_MS = 24 * 60 * 60 * 1000;
/** The model allows 1 to 365; the service 7 to 30 (API reference of ScheduleKeyDeletion). */
const WINDOW_DAYS_MIN = 7;
const WINDOW_DAYS_MAX = 30;

type Nothing = Readonly<Record<string, never>>;

export const enableKey = (kms: KmsParts): Operation<EnableKeyRequest, Nothing, NamedKey> =>
  keyOperation<EnableKeyRequest, Nothing>(kms, {
    name: "EnableKey",
    readOnly: false,
    handle(_context, _input, key) {
      const changed = { ...key, enabled: true };
      return {
        output: {},
        changed,
        writes: rotationWrites(key, changed),
      };
    },
  });

export const disableKey = (kms: KmsParts): Operation<DisableKeyRequest, Nothing, NamedKey> =>
  keyOperation<DisableKeyRequest, Nothing>(kms, {
    name: "DisableKey",
    readOnly: false,
    handle(_context, _input, key) {
      const changed = { ...key, enabled: false };
      return {
        output: {},
        changed,
        writes: rotationWrites(key, changed),
        committed: () => kms.materials.forget(keyArnOf(key)),
      };
    },
  });

export const updateKeyDescription = (kms: KmsParts): Operation<UpdateKeyDescriptionRequest, Nothing, NamedKey> =>
  keyOperation<UpdateKeyDescriptionRequest, Nothing>(kms, {
    name: "UpdateKeyDescription",
    readOnly: false,
    handle: (_context, input, key) => ({ output: {}, changed: { ...key, description: input.Description } }),
  });

export const scheduleKeyDeletion = (
  kms: KmsParts,
): Operation<ScheduleKeyDeletionRequest, ScheduleKeyDeletionResponse, NamedKey> =>
  keyOperation<ScheduleKeyDeletionRequest, ScheduleKeyDeletionResponse>(kms, {
    name: "ScheduleKeyDeletion",
    readOnly: false,
    conditions: (input) => ({ "kms:ScheduleKeyDeletionPendingWindowInDays": String(windowDaysOf(input)) }),
    handle({ call }, input, key) {
      const days = windowDaysOf(input);
      // A primary's waiting period begins when its last replica is gone (multi-region.ts).
      const deletionDateMs = hasReplicas(key) ? null : call.nowMs + days * DAY_MS;
      const changed: KeyRecord = { ...key, deletionDateMs, replicaDeletionDays: deletionDateMs === null ? days : null };
      const output = {
        KeyId: keyArnOf(key),
        ...(deletionDateMs === null ? {} : { DeletionDate: deletionDateMs }),
        KeyState: keyStateOf(changed, call.nowMs),
        PendingWindowInDays: days,
      };
      return {
        output,
        changed,
        writes: [
          ...(deletionDateMs === null ? [] : [deletionTable.put(deletionId(key, deletionDateMs), {})]),
          ...rotationWrites(key, changed),
        ],
        responseElements: lowerCamel({
          ...output,
          ...(deletionDateMs === null ? {} : { DeletionDate: eventDate(deletionDateMs) }),
        }),
        committed: () => kms.materials.forget(keyArnOf(key)),
      };
    },
  });

function windowDaysOf(input: ScheduleKeyDeletionRequest): number {
  const days = input.PendingWindowInDays ?? WINDOW_DAYS_MAX;
  const member = "pendingWindowInDays";
  if (days < WINDOW_DAYS_MIN) {
    throw constraintError(String(days), member, `Member must have value greater than or equal to ${WINDOW_DAYS_MIN}`);
  }
  if (days > WINDOW_DAYS_MAX) {
    throw constraintError(String(days), member, `Member must have value less than or equal to ${WINDOW_DAYS_MAX}`);
  }
  return days;
}

/** The key comes back disabled, so that nobody uses again by accident what was about to go. */
export const cancelKeyDeletion = (
  kms: KmsParts,
): Operation<CancelKeyDeletionRequest, CancelKeyDeletionResponse, NamedKey> =>
  keyOperation<CancelKeyDeletionRequest, CancelKeyDeletionResponse>(kms, {
    name: "CancelKeyDeletion",
    readOnly: false,
    handle: (_context, _input, key) => ({
      output: { KeyId: keyArnOf(key) },
      changed: { ...key, enabled: false, deletionDateMs: null, replicaDeletionDays: null },
      writes: key.deletionDateMs === null ? [] : [deletionTable.remove(deletionId(key, key.deletionDateMs))],
    }),
  });
