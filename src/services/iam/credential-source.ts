import { hash, timingSafeEqual } from "node:crypto";
import type { Credential, CredentialSource, OpenedSession, SessionTokens } from "../../authn/credentials.ts";
import { accountRootArn } from "../../base/arn.ts";
import type { Clock } from "../../base/clock.ts";
import { LruMap } from "../../base/lru.ts";
import type { SecretBox } from "../../envelope/secret-box.ts";
import type { Principal } from "../../gateway/contract.ts";
import { sealedBytes } from "../../store/table.ts";
import type { Reader } from "../../store/table.ts";
import { SECRET_PURPOSE } from "./operations/access-keys.ts";
import { foldedName, parseIssuerArn } from "./model.ts";
import { accessKeys, accounts, roles, users } from "./records.ts";
import type { AccessKeyRecord } from "./records.ts";

/** Long enough for every key id in use; what is longer is no id but an attempt. */
const ACCESS_KEY_ID = /^[A-Z0-9]{16,32}$/;
/** Of temporary credentials: what they are lies in the session token. */
const TEMPORARY = "ASIA";
/** Opened sessions kept. One takes some kilobytes, 60 KB at most (tags compress well); to open it anew costs 40 µs. */
const SESSION_COUNT_MAX = 1_000;

export interface CredentialSourceDeps {
  readonly reader: Reader;
  readonly secretBox: SecretBox;
  readonly sessions: SessionTokens;
  /**
   * The clock that sessions are issued by, which test hooks may move: how long a session lasts is the server's own affair.
   * Signatures are dated by their callers' clocks and go by the real one (authn/authenticator.ts).
   */
  readonly clock: Clock;
}

export interface Credentials extends CredentialSource {
  /** For sts:GetAccessKeyInfo. Null: no account of this deployment has, or can have, such a key. */
  accountOf(accessKeyId: string): Promise<string | null>;
  /** Forgets opened sessions: when the server is sealed. */
  forget(): void;
}

/**
 * Finds access keys in IAM's records (one read each), and temporary ones in the session token that came with them (one
 * read, of whoever they were issued to).
 * What is derived from a record or a token is derived once: the same principal comes back while nothing changed.
 */
export function createCredentialSource(deps: CredentialSourceDeps): Credentials {
  const known = new WeakMap<AccessKeyRecord, Credential>();
  const opened = new LruMap<string, Credential>(SESSION_COUNT_MAX);

  const ofRecord = async (accessKeyId: string): Promise<Credential | null> => {
    const record = await deps.reader.get(accessKeys, [accessKeyId]);
    if (record === null) return null;
    const credential = known.get(record) ?? credentialOf(deps.secretBox, record);
    known.set(record, credential);
    return credential;
  };

  /**
   * Whether the user or role behind a session is still the one that it was issued for. AWS answers who signs with the session of
   * a deleted one as it answers an unknown key, whatever the operation. Asked at each request, and of sessions only.
   */
  const hasIssuer = async ({ type, accountId, session }: Principal): Promise<boolean> => {
    if (session === undefined || session.issuerArn === accountRootArn(accountId)) return true;
    const { issuerArn, issuerId } = session;
    const issuer = parseIssuerArn(issuerArn);
    if (issuer === null) return false;
    const id = [accountId, foldedName(issuer.name)] as const;
    if (issuer.type === "role") {
      const role = type === "AssumedRole" ? await deps.reader.get(roles, [...id]) : null;
      return role?.arn === issuerArn && role.roleId === issuerId;
    }
    const user = await deps.reader.get(users, [...id]);
    return user?.arn === issuerArn && user.userId === issuerId;
  };

  const ofToken = (accessKeyId: string, token: string): Credential | null => {
    const id = `${accessKeyId} ${hash("sha256", token, "base64url")}`;
    const remembered = opened.get(id);
    if (remembered !== undefined) return remembered;
    const session = deps.sessions.open(accessKeyId, token);
    if (session === null) return null;
    const credential = temporaryCredential(accessKeyId, token, session, { version: id, clock: deps.clock });
    // One that has expired is found to be so by whoever asks; it is not worth a place.
    if (credential.session?.hasExpired() !== true) opened.set(id, credential);
    return credential;
  };

  const ofSession = async (accessKeyId: string, sessionToken: string | undefined): Promise<Credential | null> => {
    const credential = sessionToken === undefined ? null : ofToken(accessKeyId, sessionToken);
    return credential !== null && (await hasIssuer(credential.principal)) ? credential : null;
  };

  return {
    find(accessKeyId, sessionToken) {
      if (!ACCESS_KEY_ID.test(accessKeyId)) return Promise.resolve(null);
      return accessKeyId.startsWith(TEMPORARY) ? ofSession(accessKeyId, sessionToken) : ofRecord(accessKeyId);
    },
    async accountOf(accessKeyId) {
      if (!ACCESS_KEY_ID.test(accessKeyId)) return null;
      if (!accessKeyId.startsWith(TEMPORARY)) {
        return (await deps.reader.get(accessKeys, [accessKeyId]))?.accountId ?? null;
      }
      const accountId = deps.sessions.accountOf(accessKeyId);
      if (accountId === null || (await deps.reader.get(accounts, [accountId])) === null) return null;
      return accountId;
    },
    forget: () => opened.clear(),
  };
}

function credentialOf(secretBox: SecretBox, record: AccessKeyRecord): Credential {
  return {
    accessKeyId: record.accessKeyId,
    active: record.status === "Active",
    principal: principalOf(record),
    version: record.version,
    openSecret() {
      const secret = secretBox.open(SECRET_PURPOSE, record.accessKeyId, sealedBytes(record.sealedSecret));
      if (secret === null) throw new Error("the secret of a stored access key does not open");
      return secret;
    },
  };
}

function temporaryCredential(
  accessKeyId: string,
  token: string,
  { principal, expiresMs, openSecret }: OpenedSession,
  { version, clock }: { readonly version: string; readonly clock: Clock },
): Credential {
  const tokenBytes = Buffer.from(token, "latin1");
  return {
    accessKeyId,
    active: true,
    principal,
    version,
    openSecret,
    session: {
      tokenMatches(candidate) {
        const bytes = Buffer.from(candidate, "latin1");
        return bytes.byteLength === tokenBytes.byteLength && timingSafeEqual(bytes, tokenBytes);
      },
      hasExpired: () => clock.wallMs() >= expiresMs,
    },
  };
}

function principalOf({ accountId, accessKeyId, owner }: AccessKeyRecord): Principal {
  return owner.type === "root"
    ? { type: "Root", arn: accountRootArn(accountId), accountId, userId: accountId, accessKeyId }
    : { type: "User", arn: owner.arn, accountId, userId: owner.userId, userName: owner.userName, accessKeyId };
}
