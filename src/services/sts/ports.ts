/** What STS takes from outside its room. Handed in by the composition root. */
import type { SessionTokens } from "../../authn/credentials.ts";
import type { CompiledPolicy } from "../../authz/types.ts";
import type { Clock } from "../../base/clock.ts";
import type { Reader } from "../../store/table.ts";
import type { DecodeAuthorization } from "./operations/decode-authorization-message.ts";
import type { AccountOfAccessKey } from "./operations/get-access-key-info.ts";
import type { ProviderRules } from "./web-identity/provider-address.ts";

/** A role as whoever assumes it meets it. */
export interface AssumableRole {
  readonly arn: string;
  readonly accountId: string;
  readonly roleName: string;
  readonly roleId: string;
  readonly maxSessionSeconds: number;
  readonly trustPolicy: CompiledPolicy;
  readonly tags: Readonly<Record<string, string>>;
}

/** An OpenID Connect provider that an account trusts to say who somebody is. */
export interface IdentityProvider {
  readonly accountId: string;
  readonly arn: string;
  readonly url: string;
  /** Audiences that its tokens may be for. */
  readonly clientIds: readonly string[];
  /** SHA-1 of certificates, in hexadecimal: for providers whose certificate no public authority signed. */
  readonly thumbprints: readonly string[];
}

/** Port: what IAM knows of roles, providers and policies. Backed by services/iam/role-source.ts. */
export interface RoleSource {
  /** Null when there is no role of exactly this ARN, or its account is closed. */
  find(read: Reader, roleArn: string): Promise<AssumableRole | null>;
  /** The provider of an account whose URL is exactly the issuer of a token; null when there is none. */
  findProvider(read: Reader, accountId: string, issuer: string): Promise<IdentityProvider | null>;
  /** Whether an account sees a managed policy under this ARN. */
  hasPolicy(read: Reader, accountId: string, policyArn: string): Promise<boolean>;
}

export interface StsDeps {
  readonly roles: RoleSource;
  readonly sessions: SessionTokens;
  /** Checks a session policy. Throws an error named `PolicyError` whose message is for its author. */
  readonly compileSessionPolicy: (document: string, id: string) => CompiledPolicy;
  /** For what is read before it is known who calls. */
  readonly reader: Reader;
  /** Real time, which test hooks do not move: identity providers date their tokens by it. */
  readonly realClock: Clock;
  /** Which addresses of identity providers the server asks. */
  readonly providerRules: ProviderRules;
  /** Told why an identity provider's keys could not be fetched (the log): its callers learn no more than that. */
  readonly onProviderFailure: (providerArn: string, cause: unknown) => void;
  readonly accountOfAccessKey: AccountOfAccessKey;
  readonly decodeAuthorization: DecodeAuthorization;
}
