import type { Call, RememberedPermission } from "../gateway/contract.ts";

/** What a data key is asked for: which key seals which resource. */
export interface DataKeyScope {
  /** Id, ARN or alias of the KMS key, as its owner gave it. */
  readonly keyId: string;
  /** Immutable id of the resource that is sealed (stream id): part of the cache's key. */
  readonly resourceId: string;
  readonly encryptionContext: Readonly<Record<string, string>>;
}

/**
 * Port: KMS as seen from the envelope. Every method runs as the call's principal with `kms:ViaService` of the call's
 * service. Backed by the gateway's dispatch.
 */
export interface KeyService {
  generateDataKey(call: Call, scope: DataKeyScope): Promise<GeneratedDataKey>;
  decrypt(call: Call, ciphertext: Uint8Array, scope: DataKeyScope): Promise<Uint8Array>;
  /** Permission and key state only, when the material is already in memory. */
  authorizeGenerate(call: Call, scope: DataKeyScope, remembered?: RememberedPermission): Promise<void>;
  /** True: the permission that was remembered stands, for certain and without asking. False: ask. */
  isStillAuthorized(call: Call, remembered: RememberedPermission): boolean;
  authorizeDecrypt(
    call: Call,
    ciphertext: Uint8Array,
    scope: DataKeyScope,
    remembered?: RememberedPermission,
  ): Promise<void>;
}

export interface GeneratedDataKey {
  /** To be overwritten by whoever asked. */
  readonly plaintext: Uint8Array;
  readonly ciphertext: Uint8Array;
  readonly keyArn: string;
}
