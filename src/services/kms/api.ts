import type { AuditLog } from "../../audit/log.ts";
import type { Clock } from "../../base/clock.ts";
import type { Random } from "../../base/random.ts";
import type { KeyWorkers } from "../../crypto/asymmetric/key-workers.ts";
import type { AnyOperation, Service } from "../../gateway/contract.ts";
import type { RecordReader } from "../../store/caching-reader.ts";
import type { MetadataStore } from "../../store/metadata-store.ts";
import { type BackgroundDeps, removeDueKeys, rewrapMaterials } from "./background.ts";
import { KeyMaterials, type MaterialKeyring } from "./materials.ts";
import { createAlias, deleteAlias, updateAlias } from "./operations/aliases.ts";
import { createKey } from "./operations/create-key.ts";
import { decrypt } from "./operations/decrypt.ts";
import { describeKey, getKeyRotationStatus } from "./operations/describe-key.ts";
import { encrypt } from "./operations/encrypt.ts";
import { generateDataKey, generateDataKeyWithoutPlaintext } from "./operations/generate-data-key.ts";
import { generateRandom } from "./operations/generate-random.ts";
import { getKeyPolicy, listKeyPolicies, putKeyPolicy } from "./operations/key-policy.ts";
import {
  cancelKeyDeletion,
  disableKey,
  enableKey,
  scheduleKeyDeletion,
  updateKeyDescription,
} from "./operations/key-state.ts";
import { listAliases } from "./operations/list-aliases.ts";
import { listKeys } from "./operations/list-keys.ts";
import { reEncrypt } from "./operations/re-encrypt.ts";
import { listResourceTags, tagResource, untagResource } from "./operations/tagging.ts";
import type { KmsParts } from "./parts.ts";
import { KeyPolicies, type KeyPolicyLanguage } from "./policy.ts";
import { model } from "./shapes.generated.ts";

export interface KmsDependencies extends KeyPolicyLanguage {
  readonly store: MetadataStore;
  readonly reader: RecordReader;
  readonly clock: Clock;
  readonly random: Random;
  /** May be sealed when the service is made, and be sealed and opened again at any time. */
  readonly keyring: MaterialKeyring;
  readonly auditLog: Pick<AuditLog, "entry">;
  readonly keyWorkers: KeyWorkers;
  /** Failures of background work, which is tried again later. */
  readonly onError?: (error: unknown) => void;
}

/** How often keys are looked for whose deletion date has come. */
const SWEEP_EVERY_MS = 60_000;

/** The key management service: its table of operations, and its background tasks. */
export function createKmsService(deps: KmsDependencies): Service {
  const materials = new KeyMaterials(deps.keyring, deps.random);
  deps.keyring.onSeal(() => materials.clear());
  const kms: KmsParts = {
    policies: new KeyPolicies(deps),
    materials,
    keyWorkers: deps.keyWorkers,
    random: deps.random,
  };
  return { model, operations: operationsOf(kms), start: () => startBackground({ ...deps, materials }, deps) };
}

const operationsOf = (kms: KmsParts): Readonly<Record<string, AnyOperation>> => ({
  CancelKeyDeletion: cancelKeyDeletion(kms),
  CreateAlias: createAlias(kms),
  CreateKey: createKey(kms),
  Decrypt: decrypt(kms),
  DeleteAlias: deleteAlias(kms),
  DescribeKey: describeKey(kms),
  DisableKey: disableKey(kms),
  EnableKey: enableKey(kms),
  Encrypt: encrypt(kms),
  GenerateDataKey: generateDataKey(kms),
  GenerateDataKeyWithoutPlaintext: generateDataKeyWithoutPlaintext(kms),
  GenerateRandom: generateRandom,
  GetKeyPolicy: getKeyPolicy(kms),
  GetKeyRotationStatus: getKeyRotationStatus(kms),
  ListAliases: listAliases(kms),
  ListKeyPolicies: listKeyPolicies(kms),
  ListKeys: listKeys,
  ListResourceTags: listResourceTags(kms),
  PutKeyPolicy: putKeyPolicy(kms),
  ReEncrypt: reEncrypt(kms),
  ScheduleKeyDeletion: scheduleKeyDeletion(kms),
  TagResource: tagResource(kms),
  UntagResource: untagResource(kms),
  UpdateAlias: updateAlias(kms),
  UpdateKeyDescription: updateKeyDescription(kms),
});

/** Wraps materials again when domain keys rotate, and removes keys that are due, until stopped. */
function startBackground(background: BackgroundDeps, deps: KmsDependencies): () => Promise<void> {
  let stopped = false;
  let cancelTimer = (): void => undefined;
  let sweep = Promise.resolve();
  const unregister = deps.keyring.registerRewrap(() => rewrapMaterials(background));
  const sweepOnce = async (): Promise<void> => {
    try {
      await removeDueKeys(background);
    } catch (error) {
      deps.onError?.(error);
    }
    if (!stopped) cancelTimer = deps.clock.after(SWEEP_EVERY_MS, run);
  };
  const run = (): void => {
    sweep = sweepOnce();
  };
  run();
  return async () => {
    stopped = true;
    cancelTimer();
    unregister();
    await sweep;
    background.materials.clear();
  };
}
