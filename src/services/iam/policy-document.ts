import { malformedPolicy } from "./errors.ts";
import type { CompilePolicy } from "./model.ts";

/**
 * Throws MalformedPolicyDocument unless the document compiles as an identity policy. The compiler's own errors
 * (`PolicyError`) say what is wrong in the author's terms; anything else is a bug and stays one.
 */
export function requireValidDocument(compile: CompilePolicy, document: string, id: string): void {
  try {
    compile(document, id);
  } catch (cause) {
    if (cause instanceof Error && cause.name === "PolicyError") throw malformedPolicy(cause.message, cause);
    throw cause;
  }
}
