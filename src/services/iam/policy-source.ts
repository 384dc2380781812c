import type { PolicySource, PrincipalPolicies } from "../../authz/policy-source.ts";
import type { CompiledPolicy } from "../../authz/types.ts";
import type { Reader } from "../../store/table.ts";
import { awsManagedPolicy } from "./aws-managed-policies.ts";
import { foldedName, parsePolicyArn } from "./model.ts";
import type { CompilePolicy } from "./model.ts";
import { inlinePolicyId } from "./operations/inline-policies.ts";
import { policies, users } from "./records.ts";
import type { PolicyRecord, UserRecord } from "./records.ts";

/** Why a principal is denied everything: something that decisions need is missing or cannot be read. */
export interface UnusablePolicy {
  readonly principalArn: string;
  /** An ARN, or `inline:NAME`. */
  readonly policyId: string;
  readonly cause: unknown;
}

export interface PolicySourceDeps {
  readonly reader: Reader;
  readonly compilePolicy: CompilePolicy;
  /** Told of what was found, for each request that meets it (the log). */
  readonly onUnusablePolicy: (problem: UnusablePolicy) => void;
}

const NOTHING: PrincipalPolicies = {
  identityPolicies: [],
  boundary: null,
  sessionPolicies: null,
  serviceControlPolicies: [],
  tags: {},
};

/** An explicit deny, because a policy that cannot be read may have held one. */
const denyEverything = (id: string): CompiledPolicy => ({
  id,
  statements: [
    { sid: "UnusablePolicy", index: 0, effect: "Deny", matchesPrincipal: () => "exact", matches: () => true },
  ],
});

/** A compiled document, or what kept it from being one. */
type Compiled = { readonly policy: CompiledPolicy } | { readonly cause: unknown };

interface UserParts {
  readonly inline: readonly (readonly [id: string, compiled: Compiled])[];
  readonly tags: Readonly<Record<string, string>>;
}

/**
 * The policies of IAM's principals. Reads the user and its attached policies at each call, so that a change is in force
 * with the next request, and compiles a document once for each version of its record: the reader returns the same object
 * while the stored bytes are the same.
 */
export function createPolicySource(deps: PolicySourceDeps): PolicySource {
  const userParts = new WeakMap<UserRecord, UserParts>();
  const ownPolicies = new WeakMap<PolicyRecord, Compiled>();
  const servicePolicies = new Map<string, Compiled>();

  const compile = (document: string, id: string): Compiled => {
    try {
      return { policy: deps.compilePolicy(document, id) };
    } catch (cause) {
      return { cause };
    }
  };

  const partsOf = (user: UserRecord): UserParts => {
    const known = userParts.get(user);
    if (known !== undefined) return known;
    const parts: UserParts = {
      inline: user.inlinePolicies.map(({ name, document }) => {
        const id = inlinePolicyId(name);
        return [id, compile(document, id)] as const;
      }),
      tags: Object.fromEntries(user.tags.map(({ key, value }) => [key, value])),
    };
    userParts.set(user, parts);
    return parts;
  };

  const managed = async (accountId: string, arn: string): Promise<Compiled> => {
    const ofService = awsManagedPolicy(arn);
    if (ofService !== null) {
      const compiled = servicePolicies.get(arn) ?? compile(ofService.document, arn);
      servicePolicies.set(arn, compiled);
      return compiled;
    }
    const parsed = parsePolicyArn(arn);
    const record =
      parsed?.accountId === accountId
        ? await deps.reader.get(policies, [accountId, foldedName(parsed.policyName)])
        : null;
    if (record?.arn !== arn) return { cause: new Error("the policy is not stored") };
    const compiled = ownPolicies.get(record) ?? compile(record.defaultDocument, arn);
    ownPolicies.set(record, compiled);
    return compiled;
  };

  const usable = (principalArn: string, policyId: string, compiled: Compiled): CompiledPolicy => {
    if ("policy" in compiled) return compiled.policy;
    deps.onUnusablePolicy({ principalArn, policyId, cause: compiled.cause });
    return denyEverything(policyId);
  };

  const policiesOfUser = async (accountId: string, arn: string, userName: string): Promise<PrincipalPolicies> => {
    const user = await deps.reader.get(users, [accountId, foldedName(userName)]);
    // Deleted, or renamed, since the request was authenticated.
    if (user === null || user.arn !== arn) return { ...NOTHING, identityPolicies: [denyEverything(arn)] };
    const { inline, tags } = partsOf(user);
    const attached = await Promise.all(
      user.attachedPolicyArns.map(async (policyArn) => [policyArn, await managed(accountId, policyArn)] as const),
    );
    return {
      ...NOTHING,
      identityPolicies: [...inline, ...attached].map(([id, compiled]) => usable(arn, id, compiled)),
      boundary:
        user.boundaryArn === null ? null : usable(arn, user.boundaryArn, await managed(accountId, user.boundaryArn)),
      tags,
    };
  };

  return {
    async policiesOf({ type, arn, accountId, userName }) {
      // Root needs no policy, and a service that acts by itself has none: what it may do, resource policies say.
      if (type === "Root" || type === "Service") return NOTHING;
      if (type === "User" && userName !== undefined) return policiesOfUser(accountId, arn, userName);
      // Sessions are not issued yet; one that turns up all the same may nothing.
      return { ...NOTHING, identityPolicies: [denyEverything(arn)] };
    },
  };
}
