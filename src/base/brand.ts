declare const brand: unique symbol;

/** A type that only its maker can produce: a value carries the proof that it was checked. Erased at run time. */
export type Brand<T, Name extends string> = T & { readonly [brand]: Name };

/** Bytes that were encrypted and authenticated. Made in `envelope/` and `seal/` only. */
export type SealedBytes = Brand<Uint8Array, "SealedBytes">;

/** Content that its owner left unencrypted. Made in `envelope/clear.ts` only, so that a report can list all of it. */
export type ClearBytes = Brand<Uint8Array, "ClearBytes">;
