/** What the address of an OpenID Connect provider may be, and what it is called by. Pure. */
import { formatArn } from "../../base/arn.ts";
import { iamValidationError, invalidInput } from "./errors.ts";

const SCHEME = /^https?:\/\//;

/** A host, perhaps a port, perhaps a path: no user, no query, no fragment. */
const PROVIDER_URL = /^https?:\/\/[A-Za-z0-9.-]+(?::\d{1,5})?((?:\/[^\s?#]*)?)$/;

/** What never leaves this machine needs no TLS: an issuer beside the server, for development. */
const ON_THIS_MACHINE = /^http:\/\/(?:127\.0\.0\.1|localhost)(?:[:/]|$)/;

/** The longest address (the model's limit) without its scheme. */
const PROVIDER_ARN = /^arn:aws:iam::\d{12}:oidc-provider\/[!-~]{1,247}$/;

/**
 * Throws as AWS does for an address that cannot be an issuer's (OpenID Connect Discovery 1.0, section 3: https, no query, no
 * fragment). AWS takes no port either, nor HTTP on the server's own machine; issuers beside a platform like this one often
 * need them.
 */
export function requireProviderUrl(url: string): void {
  if (!url.includes("://") || url === "https://") throw iamValidationError("Invalid Open ID Connect Provider URL");
  if (!url.startsWith("https://") && !ON_THIS_MACHINE.test(url)) {
    throw invalidInput("Invalid Open ID Connect Provider URL. The URL must begin with https://.");
  }
  const path = PROVIDER_URL.exec(url)?.[1];
  // What a URL parser writes in another way (dot segments, characters to encode) would be asked under another name.
  if (path === undefined || !URL.canParse(url) || new URL(url).pathname !== (path === "" ? "/" : path)) {
    throw invalidInput("Invalid Open ID Connect Provider URL.");
  }
}

/** As GetOpenIDConnectProvider shows it, and as it stands in the ARN. */
export const withoutScheme = (url: string): string => url.replace(SCHEME, "");

export const oidcProviderArn = (accountId: string, url: string): string =>
  formatArn("iam", "", accountId, `oidc-provider/${withoutScheme(url)}`);

export const isOidcProviderArn = (arn: string): boolean => PROVIDER_ARN.test(arn);
