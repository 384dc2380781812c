import type { GuardedKey } from "../crypto/guarded.ts";
import type { ProviderConfiguration } from "./records.ts";

export const ROOT_KEY_BYTES = 32;

/**
 * Port: where the root of trust is. A provider keeps the 32-byte root key outside the store, or keeps in the seal
 * configuration what only it can open.
 */
export interface SealProvider {
  readonly kind: ProviderConfiguration["kind"];
  /** A root key that already stands where this provider keeps it (a key file put there beforehand); null: none. */
  adopt(): Promise<GuardedKey | null>;
  /**
   * When this resolves, the root key survives a crash under this provider, given the configuration it answers. The key
   * stays the caller's.
   */
  protect(rootKey: GuardedKey): Promise<ProviderConfiguration>;
  /** The root key, owned by the caller. Throws SealError; WrongRootKeyError when the provider itself can tell. */
  open(configuration: ProviderConfiguration): Promise<GuardedKey>;
}
