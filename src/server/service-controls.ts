/** What limits a principal, from two rooms: IAM's policies, and the service control policies of its account. */
import { compilePolicy } from "../authz/compile.ts";
import type { PolicySource, PrincipalPolicies } from "../authz/policy-source.ts";
import type { CompiledPolicy } from "../authz/types.ts";
import { POLICY_LENGTH_MAX } from "../services/organizations/model.ts";
import { createServiceControls, type ServiceControls } from "../services/organizations/service-controls.ts";
import type { MetadataStore } from "../store/metadata-store.ts";
import type { Reader } from "../store/table.ts";
import type { Log } from "./log.ts";

type ControlsOf = (accountId: string) => ServiceControls | Promise<ServiceControls>;

/** Parses, checks and compiles a service control policy. Its text is for whoever asks why it denied (gateway/denial-record.ts). */
export const compileServiceControl = (
  document: string,
  id: string,
): CompiledPolicy & { readonly document: string } => ({
  ...compilePolicy(document, { id, kind: "service control", lengthMax: POLICY_LENGTH_MAX }),
  document,
});

/** The service control policies in force, by account. */
export const serviceControls = (deps: {
  readonly reader: Reader;
  readonly store: Pick<MetadataStore, "generation">;
  readonly log: Log;
}): ControlsOf =>
  createServiceControls({
    reader: deps.reader,
    generation: () => deps.store.generation(),
    compilePolicy: compileServiceControl,
    onUnusable: ({ accountId, id, cause }) =>
      deps.log.error("a service control policy cannot be used: its accounts are denied everything", cause, {
        accountId,
        policyId: id,
      }),
  });

/**
 * IAM's policies with the service control policies of the principal's account. These do not touch services that act by
 * themselves, nor the management account, for whom `controlsOf` has none.
 */
export function withServiceControls(source: PolicySource, controlsOf: ControlsOf): PolicySource {
  const joined = new WeakMap<PrincipalPolicies, PrincipalPolicies>();
  return {
    async policiesOf(principal) {
      if (principal.type === "Service" || principal.type === "WebIdentity") return await source.policiesOf(principal);
      // First, and from memory unless something was written.
      const answer = controlsOf(principal.accountId);
      const serviceControlPolicies = answer instanceof Promise ? await answer : answer;
      const policies = await source.policiesOf(principal);
      if (serviceControlPolicies.length === 0) return policies;
      // Root's own are one object for all accounts: what was joined for another may not be taken.
      const known = joined.get(policies);
      if (known?.serviceControlPolicies === serviceControlPolicies) return known;
      const both = { ...policies, serviceControlPolicies };
      joined.set(policies, both);
      return both;
    },
  };
}
