/**
 * Grant tokens: opaque texts that name a grant, sealed by the server, so that nobody can make one up. Domain keys are
 * kept, so a token lasts as long as its grant. Grants take effect at once here, so that a token adds nothing to them: it
 * is checked, and names the grant for RetireGrant. docs/formats/grant-token.md describes the bytes.
 */
import { asBuffer } from "../../../base/bytes.ts";
import type { SecretBox } from "../../../envelope/secret-box.ts";
import { invalidGrantToken } from "../errors.ts";
import { isKeyId } from "../model.ts";

const PURPOSE = "kms.grant-token";
const VERSION = 1;
const PARTS = 4;

export interface GrantName {
  readonly accountId: string;
  readonly region: string;
  readonly keyId: string;
  readonly grantId: string;
}

/** Version (1), then for account, Region, key id and grant id: length (1) and ASCII text. */
export function encodeGrantName({ accountId, region, keyId, grantId }: GrantName): Uint8Array {
  const texts = [accountId, region, keyId, grantId].map((text) => Buffer.from(text, "latin1"));
  return Buffer.concat([Buffer.of(VERSION), ...texts.flatMap((text) => [Buffer.of(text.length), text])]);
}

/** The reverse; null for anything else. */
export function decodeGrantName(encoded: Uint8Array): GrantName | null {
  const bytes = asBuffer(encoded);
  if (bytes[0] !== VERSION) return null;
  const texts: string[] = [];
  let at = 1;
  while (at < bytes.length && texts.length < PARTS) {
    const end = at + 1 + (bytes[at] ?? 0);
    if (end > bytes.length) return null;
    texts.push(bytes.toString("latin1", at + 1, end));
    at = end;
  }
  const [accountId, region, keyId, grantId] = texts;
  if (at !== bytes.length || !accountId || !region || !keyId || !grantId) return null;
  return isKeyId(keyId) && isGrantId(grantId) ? { accountId, region, keyId, grantId } : null;
}

/** 64 hexadecimal digits. */
export const isGrantId = (text: string): boolean => /^[0-9a-f]{64}$/.test(text);

/** Another one at each call, all of them as good. */
export function sealGrantToken(box: SecretBox, name: GrantName): string {
  const sealed = box.seal(PURPOSE, "", encodeGrantName(name));
  return asBuffer(sealed).toString("base64");
}

/** Throws InvalidGrantTokenException for whatever this server did not make. */
export function openGrantToken(box: SecretBox, token: string): GrantName {
  const sealed = Buffer.from(token, "base64");
  const bytes = sealed.toString("base64") === token ? box.open(PURPOSE, "", sealed) : null;
  const name = bytes === null ? null : decodeGrantName(bytes);
  if (name === null) throw invalidGrantToken();
  return name;
}

/** Tokens that come with a request for something else. */
export function requireGrantTokens(box: SecretBox, tokens: readonly string[] | undefined): void {
  for (const token of tokens ?? []) openGrantToken(box, token);
}
