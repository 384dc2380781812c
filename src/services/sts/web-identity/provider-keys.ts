import type { Clock } from "../../../base/clock.ts";
import { LruMap } from "../../../base/lru.ts";
import { idpCommunicationError, noKeyForToken } from "../errors.ts";
import type { IdentityProvider } from "../ports.ts";
import { providerUrl } from "./fetch-document.ts";
import type { FetchDocument } from "./fetch-document.ts";
import { candidates, isObject, isSignedBy, providerKey } from "./token.ts";
import type { ProviderKey, UnverifiedToken } from "./token.ts";

/** A key that a provider withdraws is trusted no longer than this. */
const KEYS_LIFETIME_MS = 15 * 60_000;
/** Anybody can send a token with an unknown key id, or for a provider that is down: it is asked no more often than this. */
const ASK_AGAIN_AFTER_MS = 30_000;
const PROVIDER_COUNT_MAX = 500;
/** Of all providers together: unsigned requests cause them. */
const FETCHES_AT_ONCE_MAX = 16;
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
  /** Told of every fetch that failed, at most twice a minute for each provider. */
  readonly onFailure: (providerArn: string, cause: unknown) => void;
}): ProviderKeys {
  const known = new LruMap<string, Asked>(PROVIDER_COUNT_MAX);
  let fetching = 0;

  const fetchKeys = async (provider: IdentityProvider): Promise<readonly ProviderKey[]> => {
    if (fetching >= FETCHES_AT_ONCE_MAX) throw new Error("too many identity providers are being asked");
    fetching += 1;
    try {
      return await keysOf(provider, deps.fetchDocument);
    } finally {
      fetching -= 1;
    }
  };

  const ageMs = (sinceMs: number): number => deps.clock.monotonicMs() - sinceMs;
  const isFresh = (fetched: Fetched | null): fetched is Fetched =>
    fetched !== null && ageMs(fetched.fetchedMs) < KEYS_LIFETIME_MS;

  /** Fresh keys outlive an answer that fails: otherwise a token with an unknown key id could make use of a short outage. */
  const ask = (provider: IdentityProvider, id: string, before: Fetched | null): Asked => {
    const answer = fetchKeys(provider).then(
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
  const freshKeys = async ({ answer }: Asked): Promise<readonly ProviderKey[]> => {
    const fetched = await answer;
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
    return freshKeys(ask(provider, id, fetched));
  };

  return {
    async requireSigned(provider, token) {
      const keys = await keysFor(provider, token).catch((cause: unknown) => {
        throw idpCommunicationError(
          `The verification keys of the identity provider ${provider.url} could not be retrieved.`,
          cause,
        );
      });
      // None at all, or none that verifies: the caller learns no more.
      if (!candidates(token, keys).some((key) => isSignedBy(token, key))) throw noKeyForToken();
    },
  };
}

async function keysOf(provider: IdentityProvider, fetchDocument: FetchDocument): Promise<readonly ProviderKey[]> {
  const { url, thumbprints } = provider;
  const discoveryUrl = providerUrl(`${url.replace(/\/$/, "")}/.well-known/openid-configuration`);
  if (discoveryUrl === null) throw new Error("the identity provider has an address that may not be asked");
  const discovery = await fetchDocument(discoveryUrl, thumbprints);
  // OpenID Connect Discovery 1.0, section 4.3: the issuer must be exactly the one that was asked.
  if (!isObject(discovery) || discovery["issuer"] !== url || typeof discovery["jwks_uri"] !== "string") {
    throw new Error("the identity provider's configuration is not that of the issuer");
  }
  const keysUrl = providerUrl(discovery["jwks_uri"]);
  // A provider elsewhere cannot send the server to its own plain HTTP ports.
  if (keysUrl === null || (keysUrl.protocol !== "https:" && discoveryUrl.protocol === "https:")) {
    throw new Error("the identity provider's keys lie at an address that may not be asked");
  }
  const set = await fetchDocument(keysUrl, thumbprints);
  const keys: unknown = isObject(set) ? set["keys"] : undefined;
  if (!Array.isArray(keys)) throw new Error("the identity provider's keys are no JSON Web Key Set");
  return keys.slice(0, KEY_COUNT_MAX).flatMap((jwk: unknown) => providerKey(jwk) ?? []);
}
