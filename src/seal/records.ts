import { type SealedText, type Table, table } from "../store/table.ts";

/** How the root key is kept, as its provider wrote it down. Holds nothing that opens anything by itself. */
export type ProviderConfiguration =
  | { readonly kind: "file" }
  | {
      readonly kind: "passphrase";
      readonly scrypt: ScryptParameters;
      /** The root key under the key derived from the passphrase: docs/formats/wrapped-key.md. */
      readonly wrappedRootKey: SealedText;
    };

export interface ScryptParameters {
  /** N: cost in memory and time, a power of two. */
  readonly cost: number;
  /** r */
  readonly blockSize: number;
  /** p */
  readonly parallelization: number;
  /** Base64. */
  readonly salt: string;
}

export interface SealConfiguration {
  readonly version: 1;
  readonly createdMs: number;
  /** Base64 of a value derived from the root key: tells the right root key from every other, and nothing else. */
  readonly keyCheck: string;
  readonly provider: ProviderConfiguration;
}

export interface DomainKeyRecord {
  readonly createdMs: number;
  /** Under the root key: docs/formats/wrapped-key.md. */
  readonly wrapped: SealedText;
}

/** One record. */
export const configurationTable: Table<SealConfiguration> = table<SealConfiguration>("seal.configuration");
export const CONFIGURATION_ID: readonly string[] = ["configuration"];

/** Keyed by the domain key's number; the highest is the active one. */
export const domainKeyTable: Table<DomainKeyRecord> = table<DomainKeyRecord>("seal.domain-key");
export const domainKeyId = (number: number): readonly string[] => [String(number).padStart(10, "0")];
