import type { CompiledPolicy } from "./types.ts";

/** The policies that travel with a principal. */
export interface PrincipalPolicies {
  readonly identityPolicies: readonly CompiledPolicy[];
  readonly boundary: CompiledPolicy | null;
  readonly sessionPolicies: readonly CompiledPolicy[] | null;
  readonly serviceControlPolicies: readonly (readonly CompiledPolicy[])[];
  /** `aws:PrincipalTag/…` */
  readonly tags: Readonly<Record<string, string>>;
}

/** The policies that whoever asked for a session gave along: inline documents, and ARNs of managed policies. */
export interface SessionLimits {
  readonly documents: readonly string[];
  readonly policyArns: readonly string[];
}

/** What of a principal its policies depend on. A gateway `Principal` is one. */
export interface PolicyHolder {
  readonly type: "Root" | "User" | "AssumedRole" | "FederatedUser" | "WebIdentity" | "Service";
  readonly arn: string;
  readonly accountId: string;
  readonly userId: string;
  readonly userName?: string;
  readonly session?: {
    readonly issuerArn: string;
    readonly issuerId: string;
    readonly limits?: SessionLimits | null;
  };
}

/**
 * Port: which policies apply to a principal right now. Implemented by services/iam; reads current state at each call, so
 * that an attached deny bites on the next request.
 */
export interface PolicySource {
  policiesOf(principal: PolicyHolder): Promise<PrincipalPolicies>;
}
