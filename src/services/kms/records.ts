import type { PrincipalIds } from "../../authz/principals.ts";
import { type SealedText, type Table, table } from "../../store/table.ts";
import type { ServedSpec } from "./key-specs.ts";
import type { KeyMaterialState, KeyUsageType, RotationType } from "./shapes.generated.ts";

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
  /** Unique ids of the users, roles and sessions that the policy names, by ARN. Null: put by an older build. */
  readonly policyPrincipalIds: PrincipalIds | null;
  /** Sorted by key. */
  readonly tags: readonly KeyTag[];
  /** Names of the aliases that point here, `alias/...`. */
  readonly aliases: readonly string[];
  /** Id of the current key material: 64 hexadecimal digits. Null: none was imported yet. */
  readonly materialId: string | null;
  /** SubjectPublicKeyInfo DER in base64, of key pairs whose material is known. */
  readonly publicKey: string | null;
  /** When the current material expires. Null: never, or there is none. 0: it is missing, deleted or expired. */
  readonly materialExpiresMs: number | null;
  /** Until when all of the key's older materials are there. Null: for good. 0: one is missing already. */
  readonly olderMaterialsUntilMs: number | null;
  /** Counts changes to the key's materials, so that of two changes at once one conflicts. */
  readonly materialsRevision: number;
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

/** One of a key's materials. Its record outlives what it wraps: deleted or expired material can be imported again. */
export interface KeyMaterialRecord {
  readonly createdMs: number;
  /** Wrapped by the keyring: docs/formats/wrapped-key.md. Null: deleted, expired, or not imported in this Region yet. */
  readonly wrapped: SealedText | null;
  readonly state: KeyMaterialState;
  /** How it became current; null for a key's first material and for one that waits. */
  readonly rotation: { readonly dateMs: number; readonly type: RotationType } | null;
  /** Null: it was made here. */
  readonly imported: { readonly description: string | null; readonly expiresMs: number | null } | null;
}

export interface AliasRecord {
  readonly keyId: string;
  readonly createdMs: number;
  readonly updatedMs: number;
}

/** [account, Region, key id] */
export const keyTable: Table<KeyRecord> = withDefaults(table<KeyRecord>("kms.key"));
/** [account, Region, key id, material id] */
export const materialTable: Table<KeyMaterialRecord> = withMaterialDefaults(
  table<KeyMaterialRecord>("kms.key-material"),
);
/** [account, Region, alias name] */
export const aliasTable: Table<AliasRecord> = table<AliasRecord>("kms.alias");
/** Keys whose deletion is scheduled, in the order in which they fall due: [time, account, Region, key id]. */
export const deletionTable: Table<Record<string, never>> = table<Record<string, never>>("kms.deletion");

/** Imported materials that expire, in the order in which they do: [time, account, Region, key id, material id]. */
export const materialExpiryTable: Table<Record<string, never>> = table<Record<string, never>>("kms.material-expiry");
/** Keys whose material is rotated next: [time, account, Region, key id]. */
export const rotationTable: Table<Record<string, never>> = table<Record<string, never>>("kms.rotation");

export const idOfKey = (key: Pick<KeyRecord, "accountId" | "region" | "keyId">): readonly string[] => [
  key.accountId,
  key.region,
  key.keyId,
];

const TIME_DIGITS = 15;

/** Identifies a key's row in a table that is ordered by time. */
const dueId = (key: KeyRecord, timeMs: number): readonly string[] => [
  String(timeMs).padStart(TIME_DIGITS, "0"),
  ...idOfKey(key),
];

export const deletionId = (key: KeyRecord, deletionDateMs: number): readonly string[] => dueId(key, deletionDateMs);

export const materialExpiryId = (key: KeyRecord, materialId: string, expiresMs: number): readonly string[] => [
  ...dueId(key, expiresMs),
  materialId,
];

export const rotationId = (key: KeyRecord, nextMs: number): readonly string[] => dueId(key, nextMs);

/** Keys stored before a field existed have it as if it had always been there. */
function withDefaults(keys: Table<KeyRecord>): Table<KeyRecord> {
  const defaults = {
    policyPrincipalIds: null,
    publicKey: null,
    materialExpiresMs: null,
    olderMaterialsUntilMs: null,
    materialsRevision: 0,
    rotation: null,
    multiRegion: null,
    transition: null,
    replicaDeletionDays: null,
  };
  return { ...keys, decode: (bytes) => ({ ...defaults, ...keys.decode(bytes) }) };
}

function withMaterialDefaults(materials: Table<KeyMaterialRecord>): Table<KeyMaterialRecord> {
  const defaults = { state: "CURRENT", rotation: null, imported: null } as const;
  return { ...materials, decode: (bytes) => ({ ...defaults, ...materials.decode(bytes) }) };
}
