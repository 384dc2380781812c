/** Who is behind a web identity token: the token is verified in full before anything of it is believed. */
import type { ContextValues } from "../../../authz/types.ts";
import {
  expiredIdentityToken,
  idpRejectedClaim,
  invalidIdentityToken,
  invalidParameterValue,
  notAToken,
} from "../errors.ts";
import type { IdentityProvider, StsDeps } from "../ports.ts";
import type { Tag } from "../shapes.generated.ts";
import { createFetchDocument } from "./fetch-document.ts";
import { createProviderKeys } from "./provider-keys.ts";
import { isObject, parseToken } from "./token.ts";

/** How far the provider's clock may be ahead of ours. */
const CLOCK_SKEW_MS = 5 * 60_000;
const CLAIM_LENGTH_MAX = 255;
const AUDIENCE_COUNT_MAX = 100;
/** Printable, without control characters: claims stand in ARNs of events and in conditions. */
const CLAIM_TEXT = /^[^\p{Cc}\p{Cs}]+$/u;

/** IAM User Guide, "Passing session tags using AssumeRoleWithWebIdentity". */
const TAGS_CLAIM = "https://aws.amazon.com/tags";
const SOURCE_IDENTITY_CLAIM = "https://aws.amazon.com/source_identity";
const TAG_KEY = /^[\p{L}\p{Z}\p{N}_.:/=+\-@]{1,128}$/u;
const TAG_VALUE = /^[\p{L}\p{Z}\p{N}_.:/=+\-@]{0,256}$/u;
const SOURCE_IDENTITY = /^[\w+=,.@-]{2,64}$/;
const SESSION_TAGS_MAX = 50;

export interface WebIdentity {
  readonly provider: IdentityProvider;
  readonly subject: string;
  readonly audience: string;
  /** `HOST:aud`, `HOST:sub` ... of one value each: what the session goes on to carry. */
  readonly claims: Readonly<Record<string, string>>;
  /** Those, and what has several values (`HOST:amr`): for the trust policy. */
  readonly conditions: ContextValues;
  readonly tags: readonly Tag[];
  readonly transitiveTagKeys: readonly string[];
  readonly sourceIdentity: string | undefined;
}

export interface WebIdentities {
  /** Throws InvalidIdentityToken, ExpiredTokenException, IDPRejectedClaim, IDPCommunicationError. */
  identify(accountId: string, tokenText: string): Promise<WebIdentity>;
}

export function createWebIdentities(
  deps: Pick<StsDeps, "roles" | "reader" | "realClock" | "providerRules" | "onProviderFailure">,
): WebIdentities {
  const keys = createProviderKeys({
    fetchDocument: createFetchDocument(deps.realClock),
    clock: deps.realClock,
    rules: deps.providerRules,
    onFailure: deps.onProviderFailure,
  });
  return {
    async identify(accountId, tokenText) {
      const token = parseToken(tokenText);
      const { claims } = token;
      const issuer = textClaim(claims, "iss");
      const provider = await deps.roles.findProvider(deps.reader, accountId, issuer);
      if (provider === null) {
        throw invalidIdentityToken(`No OpenIDConnect provider found in your account for ${issuer}`);
      }
      // An expired token is refused before its provider is asked for anything.
      requireInTime(claims, deps.realClock.wallMs());
      await keys.requireSigned(provider, token);
      return identityOf(provider, claims);
    },
  };
}

type Claims = Readonly<Record<string, unknown>>;

function textClaim(claims: Claims, name: string): string {
  const value = claims[name];
  if (typeof value !== "string" || !CLAIM_TEXT.test(value)) {
    throw invalidIdentityToken(`Missing a required claim: ${name}`);
  }
  if (value.length > CLAIM_LENGTH_MAX) throw idpRejectedClaim(`The claim ${name} is longer than ${CLAIM_LENGTH_MAX}.`);
  return value;
}

function timeClaim(claims: Claims, name: string): number | null {
  const value = claims[name];
  if (value === undefined) return null;
  if (typeof value !== "number" || !Number.isFinite(value)) throw notAToken();
  return value * 1000;
}

/** `exp` and `iat` are required of tokens (IAM User Guide, "Create an OpenID Connect identity provider"). */
function requireInTime(claims: Claims, nowMs: number): void {
  const expiresMs = timeClaim(claims, "exp");
  const issuedMs = timeClaim(claims, "iat");
  const notBeforeMs = timeClaim(claims, "nbf");
  if (expiresMs === null) throw invalidIdentityToken("Missing a required claim: exp");
  if (issuedMs === null) throw invalidIdentityToken("Missing a required claim: iat");
  if (nowMs >= expiresMs) throw expiredIdentityToken();
  if (issuedMs > nowMs + CLOCK_SKEW_MS || (notBeforeMs ?? 0) > nowMs + CLOCK_SKEW_MS) {
    throw invalidIdentityToken("The ID Token provided is not valid yet.");
  }
}

function identityOf(provider: IdentityProvider, claims: Claims): WebIdentity {
  const subject = textClaim(claims, "sub");
  const { audience, original } = audienceOf(claims, provider);
  // The provider as conditions name it: its URL without the scheme.
  const host = provider.url.replace(/^https?:\/\//, "");
  const single = {
    [`${host}:aud`]: audience,
    [`${host}:sub`]: subject,
    ...(original === null ? {} : { [`${host}:oaud`]: original }),
  };
  const methods = listClaim(claims["amr"]);
  return {
    provider,
    subject,
    audience,
    claims: single,
    conditions: { ...single, ...(methods.length === 0 ? {} : { [`${host}:amr`]: methods }) },
    ...tagsOf(claims[TAGS_CLAIM]),
    sourceIdentity: sourceIdentityOf(claims[SOURCE_IDENTITY_CLAIM]),
  };
}

const listClaim = (value: unknown): readonly string[] =>
  (Array.isArray(value) ? value : [value])
    .slice(0, AUDIENCE_COUNT_MAX)
    .filter((item: unknown): item is string => typeof item === "string" && item.length <= CLAIM_LENGTH_MAX);

/**
 * For whom the token was made: it must be one of the provider's client ids. Where the token names an authorized party (`azp`),
 * that is the client, and `aud` is known as `oaud` (IAM User Guide, "Available keys for AWS OIDC federation").
 */
function audienceOf(
  claims: Claims,
  { clientIds }: IdentityProvider,
): { readonly audience: string; readonly original: string | null } {
  const audiences = listClaim(claims["aud"]);
  const [first] = audiences;
  if (first === undefined) throw invalidIdentityToken("Missing a required claim: aud");
  const party = claims["azp"] === undefined ? null : textClaim(claims, "azp");
  const audience = party ?? first;
  // Several audiences without an authorized party do not say which of them may use the token (OpenID Connect Core, 3.1.3.7).
  if ((audiences.length > 1 && party === null) || !clientIds.includes(audience) || !CLAIM_TEXT.test(first)) {
    throw invalidIdentityToken("Incorrect token audience");
  }
  return { audience, original: party === null ? null : first };
}

function tagsOf(claim: unknown): Pick<WebIdentity, "tags" | "transitiveTagKeys"> {
  if (claim === undefined) return { tags: [], transitiveTagKeys: [] };
  if (!isObject(claim)) throw badTags();
  const { principal_tags: given = {}, transitive_tag_keys: transitive = [] } = claim;
  if (!isObject(given) || !Array.isArray(transitive)) throw badTags();
  const tags = Object.entries(given).map(([Key, values]) => {
    const value: unknown = Array.isArray(values) && values.length === 1 ? values[0] : values;
    if (!TAG_KEY.test(Key) || typeof value !== "string" || !TAG_VALUE.test(value)) throw badTags();
    return { Key, Value: value };
  });
  const keys = transitive.filter((key: unknown): key is string => typeof key === "string");
  if (tags.length > SESSION_TAGS_MAX || keys.length !== transitive.length) throw badTags();
  return { tags, transitiveTagKeys: keys };
}

const badTags = (): Error => invalidParameterValue(`The claim ${TAGS_CLAIM} is malformed.`);

function sourceIdentityOf(claim: unknown): string | undefined {
  if (claim === undefined) return undefined;
  if (typeof claim !== "string" || !SOURCE_IDENTITY.test(claim)) {
    throw idpRejectedClaim(`The claim ${SOURCE_IDENTITY_CLAIM} is malformed.`);
  }
  return claim;
}
