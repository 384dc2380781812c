/**
 * The work of one decision is bounded. Policies and what they are compared with both come from callers, and a policy within
 * its size limit can multiply them (thousands of values against thousands of encryption context keys), so that one request
 * would keep the server from all others. Every comparison is charged steps, about a character each; when they are used up,
 * what has not been decided is decided against the caller: an Allow does not match, a Deny does. The outcome depends on the
 * policies and the request alone, never on how fast the machine is.
 */
import type { AuthorizationRequest, Evaluation, Work } from "./types.ts";

/** Some 20 ms; a hundred times what policies take that people write. */
export const STEPS_MAX = 2_000_000;

/** Passing over a statement. */
export const LOOK_STEPS = 1;
/** Asking a statement, and each of its conditions, beside what is compared: where everything is `*`, nothing is. */
export const STATEMENT_STEPS = 8;

export const evaluationOf = (request: AuthorizationRequest): Evaluation => ({
  request,
  action: request.action.toLowerCase(),
  context: request.context,
  stepsLeft: STEPS_MAX,
  unclear: false,
});

/** False when the work is used up: the caller then answers anything, and `settled` decides. */
export function charge(work: Work, steps: number): boolean {
  work.stepsLeft -= steps;
  return work.stepsLeft >= 0;
}

/** The answer of one part of a statement, or what is safe where there is none. */
export function settled(answer: boolean, evaluation: Evaluation, effect: "Allow" | "Deny"): boolean {
  if (evaluation.stepsLeft >= 0 && !evaluation.unclear) return answer;
  evaluation.unclear = false;
  return effect === "Deny";
}
