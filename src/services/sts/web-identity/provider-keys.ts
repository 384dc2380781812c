import type { Clock } from "../../../base/clock.ts";
import { ServiceError } from "../../../base/errors.ts";
import { LruMap } from "../../../base/lru.ts";
import { badTokenSignature, idpCommunicationError, noKeyForToken } from "../errors.ts";
import type { IdentityProvider } from "../ports.ts";
import type { FetchDocument } from "./fetch-document.ts";
import { providerUrl, reachOf, refusalOf } from "./provider-address.ts";
import type { ProviderRules } from "./provider-address.ts";
import { candidates, isObject, isSignedBy, providerKey } from "./token.ts";
import type { ProviderKey, UnverifiedToken } from "./token.ts";

/** A key that a provider withdraws is trusted no longer than this. */
const KEYS_LIFETIME_MS = 15 * 60_000;
/** Anybody can send a token with an unknown key id, or for a provider that is down: it is asked no more often than this. */
const ASK_AGAIN_AFTER_MS = 30_000;
const PROVIDER_COUNT_MAX = 500;
/** Unsigned requests cause them, and an account's providers may be slow on purpose: no account has all of them. */
const FETCHES_AT_ONCE_MAX = 64;
const FETCHES_OF_ACCOUNT_AT_ONCE_MAX = 4;
/** IAM quota "Keys in the JWKS": 100 RSA and 100 EC keys. */
const KEY_COUNT_MAX = 200;

interface Fetched {
  readonly keys: readonly ProviderKey[];
  readonly fetchedMs: number;
}

interface Asked {
  readonly answer: Promise<Fetched>;
  readonly askedMs: number;
}

export interface ProviderKeys {
  /**
   * Throws InvalidIdentityToken unless one of the provider's keys signed the token, IDPCommunicationError when the provider
   * cannot be asked for them.
   */
  requireSigned(provider: IdentityProvider, token: UnverifiedToken): Promise<void>;
}

/** The keys of identity providers, found by OpenID Connect Discovery 1.0 and kept for a quarter of an hour. */
export function createProviderKeys(deps: {
  readonly fetchDocument: FetchDocument;
  readonly clock: Clock;
  readonly rules: ProviderRules;
  /** Told of every fetch that failed, at most twice a minute for each provider. */
  readonly onFailure: (providerArn: string, cause: unknown) => void;
}): ProviderKeys {
  const known = new LruMap<string, Asked>(PROVIDER_COUNT_MAX);
  const slots = fetchSlots();

  const ageMs = (sinceMs: number): number => deps.clock.monotonicMs() - sinceMs;
  const isFresh = (fetched: Fetched | null): fetched is Fetched =>
    fetched !== null && ageMs(fetched.fetchedMs) < KEYS_LIFETIME_MS;

  /**
   * Fresh keys outlive an answer that fails: otherwise a token with an unknown key id could make use of a short outage. Null when
   * too many are being asked: that says nothing of this provider, and is not remembered.
   */
  const ask = (provider: IdentityProvider, id: string, before: Fetched | null): Asked | null => {
    const giveBack = slots.take(provider.accountId);
    if (giveBack === null) return null;
    const keysFetched = keysOf(provider, deps).finally(giveBack);
    const answer = keysFetched.then(
      (keys) => ({ keys, fetchedMs: deps.clock.monotonicMs() }),
      (cause: unknown) => {
        deps.onFailure(provider.arn, cause);
        if (isFresh(before)) return before;
        throw cause;
      },
    );
    const asked: Asked = { answer, askedMs: deps.clock.monotonicMs() };
    known.set(id, asked);
    return asked;
  };

  /** Throws why there are none that are fresh. */
  const freshKeys = async (asked: Asked | null): Promise<readonly ProviderKey[]> => {
    if (asked === null) throw tooManyAsked();
    const fetched = await asked.answer;
    if (isFresh(fetched)) return fetched.keys;
    throw new Error("the identity provider could not be asked anew");
  };

  const keysFor = async (provider: IdentityProvider, token: UnverifiedToken): Promise<readonly ProviderKey[]> => {
    // Other thumbprints may mean other trust: what was fetched under the old ones does not count.
    const id = `${provider.arn} ${provider.url} ${provider.thumbprints.join(",")}`;
    const remembered = known.get(id);
    if (remembered === undefined) return freshKeys(ask(provider, id, null));
    const fetched = await remembered.answer.catch(() => null);
    if (isFresh(fetched) && candidates(token, fetched.keys).length > 0) return fetched.keys;
    const current = known.get(id);
    // Whoever came first asked already.
    if (current !== undefined && current !== remembered) return freshKeys(current);
    if (ageMs(remembered.askedMs) < ASK_AGAIN_AFTER_MS) return freshKeys(remembered);
    const anew = ask(provider, id, fetched);
    return anew === null && isFresh(fetched) ? fetched.keys : freshKeys(anew);
  };

  return {
    async requireSigned(provider, token) {
      const url = discoveryUrlOf(provider);
      const refusal = url === null ? null : refusalOf(deps.rules, provider.accountId, url);
      // Said in words and not remembered: it is no failure of the provider's.
      if (refusal !== null) throw idpCommunicationError(refusal);
      const keys = await keysFor(provider, token).catch((cause: unknown) => {
        if (cause instanceof ServiceError) throw cause;
        throw idpCommunicationError(
          `The verification keys of the identity provider ${provider.url} could not be retrieved.`,
          cause,
        );
      });
      const fitting = candidates(token, keys);
      if (fitting.length === 0) throw noKeyForToken();
      if (!fitting.some((key) => isSignedBy(token, key))) throw badTokenSignature();
    },
  };
}

/** How many providers are being asked, in all and for each account. Null: no more at this moment. */
function fetchSlots(): { readonly take: (accountId: string) => (() => void) | null } {
  const ofAccounts = new Map<string, number>();
  let all = 0;
  const count = (accountId: string, change: 1 | -1): void => {
    all += change;
    const now = (ofAccounts.get(accountId) ?? 0) + change;
    if (now === 0) ofAccounts.delete(accountId);
    else ofAccounts.set(accountId, now);
  };
  return {
    take(accountId) {
      const own = ofAccounts.get(accountId) ?? 0;
      if (all >= FETCHES_AT_ONCE_MAX || own >= FETCHES_OF_ACCOUNT_AT_ONCE_MAX) return null;
      count(accountId, 1);
      return () => count(accountId, -1);
    },
  };
}

const tooManyAsked = (): ServiceError =>
  idpCommunicationError("Too many identity providers are being asked for their keys at this moment. Try again.");

const discoveryUrlOf = ({ url }: IdentityProvider): URL | null =>
  providerUrl(`${url.replace(/\/$/, "")}/.well-known/openid-configuration`);

async function keysOf(
  provider: IdentityProvider,
  { fetchDocument, rules }: { readonly fetchDocument: FetchDocument; readonly rules: ProviderRules },
): Promise<readonly ProviderKey[]> {
  const { url, thumbprints } = provider;
  const discoveryUrl = discoveryUrlOf(provider);
  if (discoveryUrl === null) throw new Error("the identity provider has an address that may not be asked");
  const discovery = await fetchDocument(discoveryUrl, thumbprints, reachOf(discoveryUrl));
  // OpenID Connect Discovery 1.0, section 4.3: the issuer must be exactly the one that was asked.
  if (!isObject(discovery) || discovery["issuer"] !== url || typeof discovery["jwks_uri"] !== "string") {
    throw new Error("the identity provider's configuration is not that of the issuer");
  }
  const keysUrl = providerUrl(discovery["jwks_uri"]);
  // A provider elsewhere cannot send the server to its own ports, and none by plain HTTP where it would not go itself.
  const toOwnMachine = keysUrl !== null && reachOf(keysUrl) === "loopback" && reachOf(discoveryUrl) !== "loopback";
  const downgraded = keysUrl?.protocol === "http:" && discoveryUrl.protocol === "https:";
  if (keysUrl === null || toOwnMachine || downgraded) {
    throw new Error("the identity provider's keys lie at an address that may not be asked");
  }
  const refusal = refusalOf(rules, provider.accountId, keysUrl);
  if (refusal !== null) throw new Error(`the identity provider's keys lie elsewhere. ${refusal}`);
  const set = await fetchDocument(keysUrl, thumbprints, reachOf(keysUrl));
  const keys: unknown = isObject(set) ? set["keys"] : undefined;
  if (!Array.isArray(keys)) throw new Error("the identity provider's keys are no JSON Web Key Set");
  return keys.slice(0, KEY_COUNT_MAX).flatMap((jwk: unknown) => providerKey(jwk) ?? []);
}
