import type { LentPrivateKey } from "../key-workers.ts";

/** A private key on loan that counts how often it was copied. */
export interface CountedKey extends LentPrivateKey {
  readonly copies: () => number;
}

export function lend(id: string, pkcs8: Uint8Array): CountedKey {
  let copies = 0;
  return {
    id,
    copies: () => copies,
    copy() {
      copies += 1;
      const own = new Uint8Array(new ArrayBuffer(pkcs8.byteLength));
      own.set(pkcs8);
      return own;
    },
  };
}
