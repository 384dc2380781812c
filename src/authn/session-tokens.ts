/**
 * Session tokens: a whole session, sealed, in the hands of its owner. Nothing is stored, so any server with the same keyring
 * recognizes it, and no restart ends it.
 *
 *   token = base64( version (1) ‖ sealed( secret (40) ‖ deflate( session as JSON ) ) )
 *
 * The seal binds the token to its access key id, so that neither can be used with another. Only the JSON is compressed: were
 * the secret in it, what the caller chose (tags, policies) would tell by the token's length what it resembles (CRIME).
 * docs/formats/session-token.md.
 */
import { asBuffer } from "../base/bytes.ts";
import { randomBytes } from "node:crypto";
import { deflateRawSync, inflateRawSync } from "node:zlib";
import type { Random } from "../base/random.ts";
import type { Principal } from "../gateway/contract.ts";
import type { OpenedSession, Session, SessionTokens } from "./credentials.ts";

/** What of the keyring's SecretBox is used here. */
export interface TokenBox {
  seal(purpose: string, binding: string, secret: Uint8Array): Uint8Array;
  open(purpose: string, binding: string, sealed: Uint8Array): Uint8Array | null;
}

const PURPOSE = "sts.session-token";
const VERSION = 0x01;
/** 30 bytes are 40 characters of base64: the length of AWS's secrets, 240 bits. */
const SECRET_ENTROPY_BYTES = 30;
/** Sealed as the text that keys are derived from, so that it can be opened without a string of it. */
const SECRET_BYTES = 40;
/** What requests must be able to carry in one header; the STS API reference sets no bound of its own. */
export const TOKEN_LENGTH_MAX = 8_192;
const BASE64 = /^[A-Za-z0-9+/]+={0,2}$/;
/** Fifty tags of 384 characters of four bytes, two kilobytes of policy, and ARNs: what no genuine session exceeds. */
const JSON_BYTES_MAX = 131_072;

const KEY_PREFIX = "ASIA";
const KEY_ID = /^ASIA[A-Z2-7]{16}$/;
const ID_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
/** An id is 80 bits: one that is set, the account id (40), and 39 of chance. AWS's have the account in the same place. */
const ID_BITS = 80n;
const RANDOM_BITS = 39n;
const ACCOUNT_ID_MAX = 999_999_999_999n;

export function createSessionTokens(deps: { readonly box: TokenBox; readonly random: Random }): SessionTokens {
  const openBytes = (accessKeyId: string, token: string): Buffer | null => {
    if (token.length > TOKEN_LENGTH_MAX || !KEY_ID.test(accessKeyId) || !BASE64.test(token)) return null;
    const bytes = Buffer.from(token, "base64");
    // One token has one text: what caches and logs see of it is the same everywhere.
    if (bytes[0] !== VERSION || bytes.toString("base64") !== token) return null;
    const opened = deps.box.open(PURPOSE, bindingOf(accessKeyId), bytes.subarray(1));
    return opened === null ? null : asBuffer(opened);
  };

  return {
    issue(session) {
      const accessKeyId = newTemporaryKeyId(session.principal.accountId, deps.random);
      const secretAccessKey = randomBytes(SECRET_ENTROPY_BYTES).toString("base64");
      const content = Buffer.concat([Buffer.from(secretAccessKey, "latin1"), packed(session)]);
      try {
        const sealed = deps.box.seal(PURPOSE, bindingOf(accessKeyId), content);
        const sessionToken = Buffer.concat([Uint8Array.of(VERSION), sealed]).toString("base64");
        if (sessionToken.length > TOKEN_LENGTH_MAX) return null;
        return { accessKeyId, secretAccessKey, sessionToken };
      } finally {
        content.fill(0);
      }
    },
    open(accessKeyId, sessionToken) {
      const content = openBytes(accessKeyId, sessionToken);
      if (content === null) return null;
      const session = unpacked(accessKeyId, content.subarray(SECRET_BYTES));
      content.fill(0);
      return {
        ...session,
        openSecret() {
          const again = openBytes(accessKeyId, sessionToken);
          if (again === null) throw new Error("a session token that was opened does not open again");
          const secret = Uint8Array.prototype.slice.call(again, 0, SECRET_BYTES);
          again.fill(0);
          return secret;
        },
      } satisfies OpenedSession;
    },
    accountOf: accountOfTemporaryKey,
  };
}

const bindingOf = (accessKeyId: string): string => `${VERSION} ${accessKeyId}`;

/** Version 1 of the JSON: short names for what every token has, and the principal as it is. */
interface Packed {
  readonly e: number;
  readonly p: Omit<Principal, "accessKeyId">;
}

function packed({ principal, expiresMs }: Session): Buffer {
  const { accessKeyId: _, ...holder } = principal;
  return deflateRawSync(Buffer.from(JSON.stringify({ e: expiresMs, p: holder } satisfies Packed), "utf8"), {
    level: 9,
  });
}

/** Only what was sealed here comes this far, so its form is not in doubt; its size is bounded all the same. */
function unpacked(accessKeyId: string, compressed: Uint8Array): Session {
  const json = inflateRawSync(compressed, { maxOutputLength: JSON_BYTES_MAX }).toString("utf8");
  const { e, p } = JSON.parse(json) as Packed;
  return { expiresMs: e, principal: { ...p, accessKeyId } };
}

function newTemporaryKeyId(accountId: string, random: Random): string {
  const chance = Buffer.from(random.bytes(8)).readBigUInt64BE() & ((1n << RANDOM_BITS) - 1n);
  let bits = (1n << (ID_BITS - 1n)) | (BigInt(accountId) << RANDOM_BITS) | chance;
  let text = "";
  for (let at = 0; at < 16; at++, bits >>= 5n) text = ID_ALPHABET.charAt(Number(bits & 31n)) + text;
  return KEY_PREFIX + text;
}

function accountOfTemporaryKey(accessKeyId: string): string | null {
  if (!KEY_ID.test(accessKeyId)) return null;
  let bits = 0n;
  for (const character of accessKeyId.slice(KEY_PREFIX.length)) {
    bits = (bits << 5n) | BigInt(ID_ALPHABET.indexOf(character));
  }
  if (bits >> (ID_BITS - 1n) !== 1n) return null;
  const account = (bits >> RANDOM_BITS) & ((1n << 40n) - 1n);
  return account > ACCOUNT_ID_MAX ? null : account.toString().padStart(12, "0");
}
