import type { CompiledPolicy } from "../../authz/types.ts";
import { malformedPolicy, quotaExceeded } from "./errors.ts";
import { policySize, TRUST_POLICY_SIZE_MAX } from "./model.ts";
import type { CompilePolicy } from "./model.ts";

/**
 * Throws MalformedPolicyDocument unless the document compiles as a policy of its kind. The compiler's own errors
 * (`PolicyError`) say what is wrong in the author's terms; anything else is a bug and stays one.
 */
export function requireValidDocument(compile: CompilePolicy, document: string, id: string): CompiledPolicy {
  try {
    return compile(document, id);
  } catch (cause) {
    if (cause instanceof Error && cause.name === "PolicyError") throw malformedPolicy(cause.message, cause);
    throw cause;
  }
}

/** A role's trust policy, compiled. Throws MalformedPolicyDocument or LimitExceeded when the document can be none. */
export function trustPolicy(compile: CompilePolicy, document: string, roleArn: string): CompiledPolicy {
  const policy = requireValidDocument(compile, document, roleArn);
  if (!actionsOf(document).every((action) => /^sts:/i.test(action))) {
    throw malformedPolicy("AssumeRole policy may only specify STS AssumeRole actions.");
  }
  if (policySize(document) > TRUST_POLICY_SIZE_MAX) throw quotaExceeded("ACLSizePerRole", TRUST_POLICY_SIZE_MAX);
  return policy;
}

/** What the Action and NotAction elements of a document name that compiled, so that its form is known. */
function actionsOf(document: string): readonly string[] {
  type Actions = string | readonly string[];
  type Statement = { readonly Action?: Actions; readonly NotAction?: Actions };
  const { Statement: given } = JSON.parse(document) as { readonly Statement: Statement | readonly Statement[] };
  return [given].flat().flatMap(({ Action = [], NotAction = [] }: Statement) => [Action, NotAction].flat());
}
