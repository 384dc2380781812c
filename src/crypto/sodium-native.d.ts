/** The part of sodium-native (which ships no types) that guarded memory needs. Merge further members into `Sodium`. */
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
  }
  const sodium: Sodium;
  export default sodium;
}
