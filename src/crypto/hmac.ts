import { createHmac } from "node:crypto";

export type HmacHash = "sha224" | "sha256" | "sha384" | "sha512";

/** HMAC (RFC 2104) of a message. The key is read during the call only. */
export const hmac = (hash: HmacHash, key: Uint8Array, message: Uint8Array): Buffer =>
  createHmac(hash, key).update(message).digest();
