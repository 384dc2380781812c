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

/**
 * Port: which policies apply to a principal right now. Implemented by services/iam; reads current state at each call, so
 * that an attached deny bites on the next request.
 */
export interface PolicySource {
  policiesOf(principal: {
    readonly type: string;
    readonly arn: string;
    readonly accountId: string;
    readonly userName?: string;
  }): Promise<PrincipalPolicies>;
}
