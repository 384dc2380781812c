/** Short ways to write policies and requests in tests. */
import { compilePolicy } from "../compile.ts";
import type { PolicyDocumentKind } from "../policy-document-kind.ts";
import type { AuthorizationRequest, CompiledPolicy } from "../types.ts";

export const ACCOUNT = "111122223333";
export const KEY_ARN = `arn:aws:kms:eu-central-1:${ACCOUNT}:key/1234abcd`;
export const ANN: AuthorizationRequest["principal"] = {
  type: "User",
  arn: `arn:aws:iam::${ACCOUNT}:user/ann`,
  accountId: ACCOUNT,
  userId: "AIDAANN",
};

/** A policy of these statements; Effect, Action and Resource (but for trust policies) have defaults. */
export function policyOf(
  kind: PolicyDocumentKind,
  statements: readonly Readonly<Record<string, unknown>>[],
  version = "2012-10-17",
): CompiledPolicy {
  const full = statements.map((statement) => {
    const whole: Record<string, unknown> = { Effect: "Allow", ...statement };
    if (!("Action" in whole) && !("NotAction" in whole)) whole["Action"] = "*";
    if (kind !== "trust" && !("Resource" in whole) && !("NotResource" in whole)) whole["Resource"] = "*";
    return whole;
  });
  return compilePolicy(JSON.stringify({ Version: version, Statement: full }), { id: kind, kind, lengthMax: 100_000 });
}

/** Ann asks to decrypt with a key of her account; no policy applies. */
export function requestOf(changes: Partial<AuthorizationRequest> = {}): AuthorizationRequest {
  return {
    principal: ANN,
    action: "kms:Decrypt",
    resource: KEY_ARN,
    resourceAccountId: ACCOUNT,
    identityPolicies: [],
    boundary: null,
    sessionPolicies: null,
    serviceControlPolicies: [],
    resourcePolicy: null,
    resourcePolicyMode: "optional",
    context: new Map(),
    ...changes,
  };
}
