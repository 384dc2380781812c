import type { SealedBytes } from "../base/brand.ts";

/**
 * Seals small secrets of the server itself (secret access keys, iterator tokens) under the active domain key, each purpose
 * under a key of its own. Backed by seal/keyring.ts; handed to services by main.ts.
 */
export interface SecretBox {
  /** `binding` is authenticated, not stored: the same text must be given to open. */
  seal(purpose: string, binding: string, secret: Uint8Array): SealedBytes;
  /** Null when the bytes were not sealed for this purpose and binding, or were changed, or their domain key is gone. */
  open(purpose: string, binding: string, sealed: Uint8Array): Uint8Array | null;
}
