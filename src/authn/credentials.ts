import type { Principal } from "../gateway/contract.ts";

/** What a signature is checked against. */
export interface Credential {
  readonly accessKeyId: string;
  /**
   * Opens the secret access key (UTF-8) for one use: the caller overwrites it afterwards. Costs an AEAD, so cache what is
   * derived from it.
   */
  readonly openSecret: () => Uint8Array;
  readonly active: boolean;
  /** With its `accessKeyId`. One object as long as the credential is unchanged: what is remembered of a principal hangs on it. */
  readonly principal: Principal;
  /** A value that changes when the secret does: key of the cache of signing keys. */
  readonly version: string;
  /** Of temporary credentials: what must come with the signature. Absent: a long-term key, which takes no session token. */
  readonly session?: {
    /** Compares in constant time. */
    readonly tokenMatches: (token: string) => boolean;
    readonly hasExpired: () => boolean;
  };
}

/** Port: who owns an access key. Implemented by services/iam. */
export interface CredentialSource {
  /** Null when nobody has that key. The session token is what the request carried, unchecked: a source may keep the session in it. */
  find(accessKeyId: string, sessionToken?: string): Promise<Credential | null>;
}
