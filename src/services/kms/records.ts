import { type SealedText, type Table, table } from "../../store/table.ts";
import type { ServedSpec } from "./key-specs.ts";
import type { KeyUsageType } from "./shapes.generated.ts";

export interface KeyTag {
  readonly key: string;
  readonly value: string;
}

/** A KMS key, without its material. Nothing here is secret: names, policy, tags and times stand in clear. */
export interface KeyRecord {
  readonly keyId: string;
  readonly accountId: string;
  readonly region: string;
  readonly createdMs: number;
  readonly description: string;
  readonly keySpec: ServedSpec;
  readonly keyUsage: KeyUsageType;
  /** EXTERNAL: its material is imported. */
  readonly origin: "AWS_KMS" | "EXTERNAL";
  readonly manager: "CUSTOMER" | "AWS";
  readonly enabled: boolean;
  /** When the key is deleted; null: deletion is not scheduled. From that instant on the key is gone. */
  readonly deletionDateMs: number | null;
  /** The policy document as it was put. */
  readonly policy: string;
  /** Sorted by key. */
  readonly tags: readonly KeyTag[];
  /** Names of the aliases that point here, `alias/...`. */
  readonly aliases: readonly string[];
  /** Id of the current key material: 64 hexadecimal digits. Null: none was imported yet, or it was deleted. */
  readonly materialId: string | null;
  /** SubjectPublicKeyInfo DER in base64, of key pairs whose material is known. */
  readonly publicKey: string | null;
  /** When imported material expires; null: never, or there is none. */
  readonly materialExpiresMs: number | null;
  /** Automatic rotation; null: off. */
  readonly rotation: { readonly periodDays: number; readonly nextMs: number } | null;
  /** Null: the key stays in its Region. */
  readonly multiRegion: MultiRegion | null;
  /** A state that ends by itself; null: none. */
  readonly transition: { readonly state: "Creating" | "Updating"; readonly untilMs: number } | null;
  /** For a multi-Region primary whose deletion waits for its replicas: the days that follow. Null: it does not. */
  readonly replicaDeletionDays: number | null;
}

/** What the related keys of a multi-Region key agree on: each of their records holds the same. */
export interface MultiRegion {
  readonly primaryRegion: string;
  /** Without the primary's. */
  readonly replicaRegions: readonly string[];
}

export interface KeyMaterialRecord {
  readonly createdMs: number;
  /** Wrapped by the keyring: docs/formats/wrapped-key.md. */
  readonly wrapped: SealedText;
}

export interface AliasRecord {
  readonly keyId: string;
  readonly createdMs: number;
  readonly updatedMs: number;
}

/** [account, Region, key id] */
export const keyTable: Table<KeyRecord> = withDefaults(table<KeyRecord>("kms.key"));
/** [account, Region, key id, material id] */
export const materialTable: Table<KeyMaterialRecord> = table<KeyMaterialRecord>("kms.key-material");
/** [account, Region, alias name] */
export const aliasTable: Table<AliasRecord> = table<AliasRecord>("kms.alias");
/** Keys whose deletion is scheduled, in the order in which they fall due: [time, account, Region, key id]. */
export const deletionTable: Table<Record<string, never>> = table<Record<string, never>>("kms.deletion");

export const idOfKey = (key: Pick<KeyRecord, "accountId" | "region" | "keyId">): readonly string[] => [
  key.accountId,
  key.region,
  key.keyId,
];

const TIME_DIGITS = 15;

export const deletionId = (key: KeyRecord, deletionDateMs: number): readonly string[] => [
  String(deletionDateMs).padStart(TIME_DIGITS, "0"),
  ...idOfKey(key),
];

/** Keys stored before a field existed have it as if it had always been there. */
function withDefaults(keys: Table<KeyRecord>): Table<KeyRecord> {
  const defaults = {
    publicKey: null,
    materialExpiresMs: null,
    rotation: null,
    multiRegion: null,
    transition: null,
    replicaDeletionDays: null,
  };
  return { ...keys, decode: (bytes) => ({ ...defaults, ...keys.decode(bytes) }) };
}
