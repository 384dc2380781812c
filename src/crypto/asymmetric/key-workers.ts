/**
 * Port: public-key cryptography, off the main thread. Generating keys and working with private ones takes from 0.1 ms to
 * seconds; it runs in worker threads of our own, so that neither the event loop nor libuv's pool (which commits) waits.
 */

/** The pair specs, by their names in KMS. */
export type PairSpec =
  | "RSA_2048"
  | "RSA_3072"
  | "RSA_4096"
  | "ECC_NIST_P256"
  | "ECC_NIST_P384"
  | "ECC_NIST_P521"
  | "ECC_SECG_P256K1"
  | "ECC_NIST_EDWARDS25519"
  | "ML_DSA_44"
  | "ML_DSA_65"
  | "ML_DSA_87"
  | "ML_KEM_512"
  | "ML_KEM_768"
  | "ML_KEM_1024";

/** By their names in KMS. */
export type SigningAlgorithm =
  | "RSASSA_PSS_SHA_256"
  | "RSASSA_PSS_SHA_384"
  | "RSASSA_PSS_SHA_512"
  | "RSASSA_PKCS1_V1_5_SHA_256"
  | "RSASSA_PKCS1_V1_5_SHA_384"
  | "RSASSA_PKCS1_V1_5_SHA_512"
  | "ECDSA_SHA_256"
  | "ECDSA_SHA_384"
  | "ECDSA_SHA_512"
  | "ML_DSA_SHAKE_256"
  | "ED25519_SHA_512"
  | "ED25519_PH_SHA_512";

export type MessageKind = "RAW" | "DIGEST" | "EXTERNAL_MU";

export type RsaEncryptionAlgorithm = "RSAES_OAEP_SHA_1" | "RSAES_OAEP_SHA_256";

export type ImportWrapping = RsaEncryptionAlgorithm | "RSA_AES_KEY_WRAP_SHA_1" | "RSA_AES_KEY_WRAP_SHA_256";

/** A private key on loan for one call. */
export interface LentPrivateKey {
  /** Names the key for ever: a worker may keep it parsed under this name until `forget`. */
  readonly id: string;
  /** PKCS#8 DER in memory of its own (`ownCopy` of crypto/wipe.ts), handed over: it is overwritten after use. */
  readonly copy: () => Uint8Array<ArrayBuffer>;
}

export interface KeyPair {
  /** PKCS#8 DER; ML-DSA and ML-KEM in their seed form (RFC 9881, RFC 9935). In memory of its own: the caller overwrites it. */
  readonly privateKey: Uint8Array;
  /** SubjectPublicKeyInfo DER. */
  readonly publicKey: Uint8Array;
}

export interface KeyWorkers {
  generate(spec: PairSpec): Promise<KeyPair>;
  /** The public half of a private key that came from outside; null unless it is a sound key of this spec. */
  publicKeyOf(spec: PairSpec, privateKey: LentPrivateKey): Promise<Uint8Array | null>;
  /**
   * The message (RAW: at most 4096 bytes), its digest (of the algorithm's length) or ML-DSA's mu (64 bytes), as `kind` says.
   * ECDSA answers DER, as KMS does.
   */
  sign(
    spec: PairSpec,
    privateKey: LentPrivateKey,
    algorithm: SigningAlgorithm,
    kind: MessageKind,
    message: Uint8Array,
  ): Promise<Uint8Array>;
  /** Never throws for what is wrong with a signature. */
  verify(
    spec: PairSpec,
    publicKey: Uint8Array,
    algorithm: SigningAlgorithm,
    kind: MessageKind,
    message: Uint8Array,
    signature: Uint8Array,
  ): Promise<boolean>;
  encrypt(publicKey: Uint8Array, algorithm: RsaEncryptionAlgorithm, plaintext: Uint8Array): Promise<Uint8Array>;
  /** Null for whatever does not open. The caller overwrites the plaintext. */
  decrypt(
    privateKey: LentPrivateKey,
    algorithm: RsaEncryptionAlgorithm,
    ciphertext: Uint8Array,
  ): Promise<Uint8Array | null>;
  /** ECDH: the raw shared secret (x-coordinate). Null when `peer` (SubjectPublicKeyInfo DER) is no sound key of the same curve. */
  agree(spec: PairSpec, privateKey: LentPrivateKey, peer: Uint8Array): Promise<Uint8Array | null>;
  encapsulate(
    spec: PairSpec,
    publicKey: Uint8Array,
  ): Promise<{ readonly ciphertext: Uint8Array; readonly sharedSecret: Uint8Array }>;
  /** Null only for a ciphertext of the wrong length: ML-KEM rejects others implicitly. */
  decapsulate(spec: PairSpec, privateKey: LentPrivateKey, ciphertext: Uint8Array): Promise<Uint8Array | null>;
  /** Unwraps imported key material under an RSA wrapping key; null for whatever does not open. The caller overwrites it. */
  unwrapImport(privateKey: LentPrivateKey, wrapping: ImportWrapping, wrapped: Uint8Array): Promise<Uint8Array | null>;
  /** Drops parsed keys whose id begins with this, and fails the calls that wait for a thread with such a key (`forgotten`). */
  forget(idPrefix: string): void;
  /**
   * Fails the generation of RSA keys, or everything, as `ended`: what waits and what runs at once, what is asked for later
   * until `accept`. The threads are told to end, and not waited for.
   */
  refuse(work: "RSA generation" | "everything"): void;
  accept(): void;
  /**
   * Ends the threads and with them all key material that they hold; calls under way fail. Usable again afterwards unless
   * calls are refused. A thread that is making an RSA key cannot be interrupted, and is not waited for: what it makes is
   * overwritten where it comes out, and so is what else it holds.
   */
  clear(): Promise<void>;
}
