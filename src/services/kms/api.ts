import type { AuditLog } from "../../audit/log.ts";
import type { Clock } from "../../base/clock.ts";
import type { Random } from "../../base/random.ts";
import type { KeyWorkers } from "../../crypto/asymmetric/key-workers.ts";
import type { SecretBox } from "../../envelope/secret-box.ts";
import type { AnyOperation, PrincipalDirectory, QuotaValues, Service } from "../../gateway/contract.ts";
import type { RecordReader } from "../../store/caching-reader.ts";
import type { MetadataStore } from "../../store/metadata-store.ts";
import { type BackgroundDeps, removeDueKeys, rewrapMaterials } from "./background.ts";
import { destroyExpiredMaterials, rotateDueKeys } from "./background-materials.ts";
import { KeyCounts, withKeyCounts } from "./key-counts.ts";
import { LastUsage, withLastUsage } from "./last-usage.ts";
import { ImportTokens } from "./import-token.ts";
import { HeaderStarts } from "./ciphertext.ts";
import { KeyMaterials, type MaterialKeyring } from "./materials.ts";
import { createAlias, deleteAlias, updateAlias } from "./operations/aliases.ts";
import { createKey } from "./operations/create-key.ts";
import {
  connectCustomKeyStore,
  createCustomKeyStore,
  deleteCustomKeyStore,
  describeCustomKeyStores,
  disconnectCustomKeyStore,
  updateCustomKeyStore,
} from "./operations/custom-key-stores.ts";
import { decrypt } from "./operations/decrypt.ts";
import { deriveSharedSecret } from "./operations/derive-shared-secret.ts";
import { describeKey } from "./operations/describe-key.ts";
import { decapsulate, encapsulate } from "./operations/encapsulation.ts";
import { encrypt } from "./operations/encrypt.ts";
import { generateDataKey, generateDataKeyWithoutPlaintext } from "./operations/generate-data-key.ts";
import { generateDataKeyPair, generateDataKeyPairWithoutPlaintext } from "./operations/generate-data-key-pair.ts";
import { generateRandom } from "./operations/generate-random.ts";
import { getKeyLastUsage } from "./operations/get-key-last-usage.ts";
import { getPublicKey } from "./operations/get-public-key.ts";
import { deleteImportedKeyMaterial } from "./operations/import-deletion.ts";
import { importKeyMaterial } from "./operations/import-key-material.ts";
import { getParametersForImport } from "./operations/import-parameters.ts";
import { getKeyPolicy, listKeyPolicies, putKeyPolicy } from "./operations/key-policy.ts";
import {
  cancelKeyDeletion,
  disableKey,
  enableKey,
  scheduleKeyDeletion,
  updateKeyDescription,
} from "./operations/key-state.ts";
import { createGrant, retireGrant, revokeGrant } from "./operations/grants.ts";
import { listGrants, listRetirableGrants } from "./operations/list-grants.ts";
import { listAliases } from "./operations/list-aliases.ts";
import { listKeys } from "./operations/list-keys.ts";
import { generateMac, verifyMac } from "./operations/mac.ts";
import { replicateKey, updatePrimaryRegion } from "./operations/multi-region.ts";
import { reEncrypt } from "./operations/re-encrypt.ts";
import { sign, verify } from "./operations/signing.ts";
import {
  disableKeyRotation,
  enableKeyRotation,
  getKeyRotationStatus,
  rotateKeyOnDemand,
} from "./operations/rotation.ts";
import { listKeyRotations } from "./operations/rotation-list.ts";
import { listResourceTags, tagResource, untagResource } from "./operations/tagging.ts";
import type { KmsParts } from "./parts.ts";
import { KeyPolicies, type KeyPolicyLanguage } from "./policy.ts";
import { awsQuotaValues, kmsQuotas } from "./quotas.ts";
import { model } from "./shapes.generated.ts";

export interface KmsDependencies extends KeyPolicyLanguage {
  readonly store: MetadataStore;
  readonly reader: RecordReader;
  readonly clock: Clock;
  readonly random: Random;
  /** May be sealed when the service is made, and be sealed and opened again at any time. */
  readonly keyring: MaterialKeyring & { readonly secretBox: SecretBox };
  readonly auditLog: Pick<AuditLog, "entry">;
  readonly keyWorkers: KeyWorkers;
  /** Of all accounts. */
  readonly principals: PrincipalDirectory;
  /** That are served. */
  readonly regions: readonly string[];
  /** Default: AWS's figures. */
  readonly quotas?: QuotaValues;
  /** Failures of background work, which is tried again later. */
  readonly onError?: (error: unknown) => void;
}

/** How often keys are looked for whose time has come: to be deleted, to be rotated, to lose what has expired. */
const SWEEP_EVERY_MS = 60_000;

/** The key management service: its table of operations, and its background tasks. */
export function createKmsService(deps: KmsDependencies): Service {
  const materials = new KeyMaterials(deps.keyring, deps.random, deps.keyWorkers, deps.clock);
  deps.keyring.onSeal(() => materials.clear());
  const { store, clock, quotas = awsQuotaValues } = deps;
  const onError = (error: unknown): void => deps.onError?.(error);
  const kms: KmsParts = {
    auditLog: deps.auditLog,
    regions: deps.regions,
    quotas,
    keyCounts: new KeyCounts({ store, clock, quotas }),
    lastUsage: new LastUsage({ store, clock, onError }),
    policies: new KeyPolicies(deps),
    principals: deps.principals,
    materials,
    headerStarts: new HeaderStarts(),
    keyWorkers: deps.keyWorkers,
    importTokens: new ImportTokens(deps.keyring),
    secretBox: deps.keyring.secretBox,
    random: deps.random,
  };
  return {
    model,
    operations: withKeyCounts(withLastUsage(operationsOf(kms), kms.lastUsage), kms.keyCounts),
    quotas: kmsQuotas,
    start() {
      const stopBackground = startBackground({ ...deps, materials, keyCounts: kms.keyCounts }, deps);
      const begun = [kms.lastUsage.start().catch(onError), kms.keyCounts.counted().catch(onError)];
      return async () => {
        await Promise.all(begun);
        await stopBackground();
        await kms.lastUsage.stop();
      };
    },
  };
}

const operationsOf = (kms: KmsParts): Readonly<Record<string, AnyOperation>> => ({
  CancelKeyDeletion: cancelKeyDeletion(kms),
  ConnectCustomKeyStore: connectCustomKeyStore,
  CreateAlias: createAlias(kms),
  CreateGrant: createGrant(kms),
  CreateCustomKeyStore: createCustomKeyStore,
  CreateKey: createKey(kms),
  Decapsulate: decapsulate(kms),
  Decrypt: decrypt(kms),
  DeleteAlias: deleteAlias(kms),
  DeleteCustomKeyStore: deleteCustomKeyStore,
  DeleteImportedKeyMaterial: deleteImportedKeyMaterial(kms),
  DeriveSharedSecret: deriveSharedSecret(kms),
  DescribeCustomKeyStores: describeCustomKeyStores,
  DescribeKey: describeKey(kms),
  DisableKey: disableKey(kms),
  DisableKeyRotation: disableKeyRotation(kms),
  DisconnectCustomKeyStore: disconnectCustomKeyStore,
  EnableKey: enableKey(kms),
  EnableKeyRotation: enableKeyRotation(kms),
  Encapsulate: encapsulate(kms),
  Encrypt: encrypt(kms),
  GenerateDataKey: generateDataKey(kms),
  GenerateDataKeyPair: generateDataKeyPair(kms),
  GenerateDataKeyPairWithoutPlaintext: generateDataKeyPairWithoutPlaintext(kms),
  GenerateDataKeyWithoutPlaintext: generateDataKeyWithoutPlaintext(kms),
  GenerateMac: generateMac(kms),
  GenerateRandom: generateRandom,
  GetKeyLastUsage: getKeyLastUsage(kms),
  GetKeyPolicy: getKeyPolicy(kms),
  GetKeyRotationStatus: getKeyRotationStatus(kms),
  GetParametersForImport: getParametersForImport(kms),
  GetPublicKey: getPublicKey(kms),
  ImportKeyMaterial: importKeyMaterial(kms),
  ListAliases: listAliases(kms),
  ListGrants: listGrants(kms),
  ListKeyPolicies: listKeyPolicies(kms),
  ListKeyRotations: listKeyRotations(kms),
  ListKeys: listKeys,
  ListResourceTags: listResourceTags(kms),
  ListRetirableGrants: listRetirableGrants(kms),
  PutKeyPolicy: putKeyPolicy(kms),
  ReEncrypt: reEncrypt(kms),
  RetireGrant: retireGrant(kms),
  RevokeGrant: revokeGrant(kms),
  ReplicateKey: replicateKey(kms),
  RotateKeyOnDemand: rotateKeyOnDemand(kms),
  ScheduleKeyDeletion: scheduleKeyDeletion(kms),
  Sign: sign(kms),
  TagResource: tagResource(kms),
  UntagResource: untagResource(kms),
  UpdateAlias: updateAlias(kms),
  UpdateCustomKeyStore: updateCustomKeyStore,
  UpdateKeyDescription: updateKeyDescription(kms),
  UpdatePrimaryRegion: updatePrimaryRegion(kms),
  Verify: verify(kms),
  VerifyMac: verifyMac(kms),
});

/** Wraps materials again when domain keys rotate, and does to keys what is due, until stopped. */
function startBackground(background: BackgroundDeps, deps: KmsDependencies): () => Promise<void> {
  let stopped = false;
  let cancelTimer = (): void => undefined;
  let sweep = Promise.resolve();
  const unregister = deps.keyring.registerRewrap(() => rewrapMaterials(background));
  const sweepOnce = async (): Promise<void> => {
    for (const task of [removeDueKeys, rotateDueKeys, destroyExpiredMaterials]) {
      await task(background).catch((error: unknown) => deps.onError?.(error));
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
