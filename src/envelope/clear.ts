import type { ClearBytes } from "../base/brand.ts";

/**
 * The one place where content becomes storable without encryption: what its owner left unencrypted (a stream whose
 * encryption type is NONE). Every call site is a line of the report of what lies in clear.
 */
export const leftInClear = (bytes: Uint8Array): ClearBytes => bytes as ClearBytes;
