/** The part of sodium-native (which ships no types) that is used. Merge further members into `Sodium`. */
declare module "sodium-native" {
  interface Sodium {
    /** Zero-filled memory between guard pages, locked against swapping where the system allows it. */
    sodium_malloc(byteLength: number): Buffer;
    /** Overwrites, unlocks and releases memory of sodium_malloc; the buffer has length 0 afterwards. */
    sodium_free(memory: Buffer): void;
    sodium_memzero(memory: Uint8Array): void;
    sodium_mprotect_noaccess(memory: Buffer): void;
    sodium_mprotect_readonly(memory: Buffer): void;
    sodium_mprotect_readwrite(memory: Buffer): void;
    /** Writes ciphertext and tag; `message` may lie where `sealed` begins. Answers the length of what it wrote. */
    crypto_aead_xchacha20poly1305_ietf_encrypt(
      sealed: Uint8Array,
      message: Uint8Array,
      associatedData: Uint8Array,
      noSecretNonce: null,
      nonce: Uint8Array,
      key: Uint8Array,
    ): number;
    /** Throws when `sealed` is not authentic. Answers the length of what it wrote. */
    crypto_aead_xchacha20poly1305_ietf_decrypt(
      message: Uint8Array,
      noSecretNonce: null,
      sealed: Uint8Array,
      associatedData: Uint8Array,
      nonce: Uint8Array,
      key: Uint8Array,
    ): number;
  }
  const sodium: Sodium;
  export default sodium;
}
