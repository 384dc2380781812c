import { asBuffer } from "../../base/bytes.ts";
import type { ImportWrapping } from "../../crypto/asymmetric/key-workers.ts";
import type { GuardedKey } from "../../crypto/guarded.ts";
import type { Keyring } from "../../seal/keyring.ts";

/**
 * What GetParametersForImport hands out beside the public key: all that ImportKeyMaterial needs, so that the server keeps
 * nothing. docs/formats/import-token.md.
 *
 *   version (1) ‖ wrapping algorithm (1) ‖ end of validity (8) ‖ wrapping private key, wrapped by the keyring
 */
export interface ImportToken {
  readonly algorithm: ImportWrapping;
  /** Wall-clock time from which on it is refused. */
  readonly validToMs: number;
  /** PKCS#8 DER. Owned by whoever holds the token, who destroys it. */
  readonly privateKey: GuardedKey;
}

const VERSION = 0x01;
const PURPOSE = "kms-import-token";
const ALGORITHM_OFFSET = 1;
const VALID_TO_OFFSET = 2;
const HEADER_BYTES = 10;
/** ImportTokenType of the service model is a CiphertextType. */
const TOKEN_BYTES_MAX = 6144;

/** By their number in a token. Numbers are never given to another algorithm. */
const ALGORITHMS: readonly ImportWrapping[] = [
  "RSAES_OAEP_SHA_1",
  "RSAES_OAEP_SHA_256",
  "RSA_AES_KEY_WRAP_SHA_1",
  "RSA_AES_KEY_WRAP_SHA_256",
];

/** Seals import tokens for one KMS key each, and opens them for that key alone. */
export class ImportTokens {
  readonly #keyring: Pick<Keyring, "wrapKey" | "unwrapKey">;

  constructor(keyring: Pick<Keyring, "wrapKey" | "unwrapKey">) {
    this.#keyring = keyring;
  }

  seal(keyArn: string, token: ImportToken): Uint8Array {
    const header = Buffer.alloc(HEADER_BYTES);
    header.writeUInt8(VERSION);
    header.writeUInt8(ALGORITHMS.indexOf(token.algorithm), ALGORITHM_OFFSET);
    header.writeBigUInt64BE(BigInt(token.validToMs), VALID_TO_OFFSET);
    const wrapped = this.#keyring.wrapKey(PURPOSE, bindingOf(keyArn, header), token.privateKey);
    const sealed = Buffer.concat([header, wrapped]);
    if (sealed.byteLength > TOKEN_BYTES_MAX) throw new Error("an import token is longer than KMS allows");
    return sealed;
  }

  /** Null for whatever was not sealed for this key by this server. Age is the caller's to check. */
  open(keyArn: string, sealed: Uint8Array): ImportToken | null {
    const bytes = asBuffer(sealed);
    if (bytes.byteLength <= HEADER_BYTES || bytes[0] !== VERSION) return null;
    const algorithm = ALGORITHMS[bytes.readUInt8(ALGORITHM_OFFSET)];
    if (algorithm === undefined) return null;
    const header = bytes.subarray(0, HEADER_BYTES);
    const privateKey = this.#keyring.unwrapKey(PURPOSE, bindingOf(keyArn, header), bytes.subarray(HEADER_BYTES));
    if (privateKey === null) return null;
    return { algorithm, validToMs: Number(bytes.readBigUInt64BE(VALID_TO_OFFSET)), privateKey };
  }
}

/** The header is not wrapped but bound: a token whose algorithm, end or key was changed does not open. */
const bindingOf = (keyArn: string, header: Buffer): string => `${keyArn} ${header.toString("hex")}`;
