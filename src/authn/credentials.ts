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

/** What temporary credentials stand for. */
export interface Session {
  /** With its `session`. Its `accessKeyId` is that of the credentials, given when they are made. */
  readonly principal: Principal;
  readonly expiresMs: number;
}

export interface TemporaryCredentials {
  /** `ASIA…`: 20 characters. */
  readonly accessKeyId: string;
  /** In clear: handed over once, and nowhere else. */
  readonly secretAccessKey: string;
  readonly sessionToken: string;
}

/** Port: temporary credentials, made and recognized without storing anything. Backed by authn/session-tokens.ts. */
export interface SessionTokens {
  /** Null: what the session carries does not fit into a token. */
  issue(session: Session): TemporaryCredentials | null;
  /** Null for whatever was not issued under this key id by this server. Expiry is the caller's to check. */
  open(accessKeyId: string, sessionToken: string): OpenedSession | null;
  /** The account that a temporary key's id names; null when it is no such id. Says nothing of whether there ever was such a key. */
  accountOf(accessKeyId: string): string | null;
}

export interface OpenedSession extends Session {
  /** Opens the token again and takes the secret access key out (UTF-8): the caller overwrites it. */
  readonly openSecret: () => Uint8Array;
}
