import { type SealedText, type Table, table } from "../../store/table.ts";

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
  readonly keySpec: "SYMMETRIC_DEFAULT";
  readonly keyUsage: "ENCRYPT_DECRYPT";
  readonly origin: "AWS_KMS";
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
  /** Id of the key material that encrypts: 64 hexadecimal digits. */
  readonly materialId: string;
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
export const keyTable: Table<KeyRecord> = table<KeyRecord>("kms.key");
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
