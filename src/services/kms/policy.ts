import { accountRootArn, parseArn } from "../../base/arn.ts";
import { LruMap } from "../../base/lru.ts";
import type { PrincipalIds } from "../../authz/principals.ts";
import type { AuthorizationRequest, CompiledPolicy, ContextValues } from "../../authz/types.ts";
import type { Call, OperationContext, PrincipalDirectory } from "../../gateway/contract.ts";
import { invalidPrincipals, limitExceeded, malformedPolicy } from "./errors.ts";
import type { ManagedKeyService } from "./managed-keys.ts";
import { keyArnOf } from "./model.ts";
import type { KeyRecord } from "./records.ts";

/** The only name that a key's policy can have. */
export const POLICY_NAME = "default";
/** KMS quota "Key policy document size". */
export const POLICY_BYTES_MAX = 32_768;
/** Compiled policies kept. */
const COMPILED_MAX = 2_000;

/** Port: what KMS needs of the policy language. Backed by authz/, handed in by the composition root. */
export interface KeyPolicyLanguage {
  /**
   * Checks a key policy and compiles it; `id` names it in decisions. A refused document throws an error named
   * `PolicyError` whose message is for its author, and whose code is `InvalidPrincipal` where AWS has words of its own.
   * `ids`: what its principals were bound to.
   */
  readonly compilePolicy: (document: string, id: string, ids?: PrincipalIds) => CompiledPolicy;
  /** Would this policy by itself let the principal do this: directly, or by leaving it to the IAM policies of the principal's account? */
  readonly allowsPrincipal: (policy: CompiledPolicy, request: AuthorizationRequest) => boolean;
  /** All condition keys of a call: the global ones, and `own`. Tags of the caller itself are not among them. */
  readonly conditionsOf: (call: Call, resourceAccountId: string, own: ContextValues) => AuthorizationRequest["context"];
}

/** Who puts a policy on which key, and what conditions would see if the same caller put another one. */
export interface PolicyAuthor {
  readonly context: OperationContext;
  readonly bypassLockoutCheck: boolean;
  readonly conditions: ContextValues;
}

/** A compiled policy, and what it was made of. */
interface Compiled {
  readonly document: string;
  readonly ids: PrincipalIds | null;
  readonly policy: CompiledPolicy;
}

/** Key policies, compiled once per version. */
export class KeyPolicies {
  readonly #language: KeyPolicyLanguage;
  readonly #principals: PrincipalDirectory;
  readonly #compiled = new LruMap<string, Compiled>(COMPILED_MAX);

  constructor(deps: KeyPolicyLanguage & { readonly principals: PrincipalDirectory }) {
    this.#language = deps;
    this.#principals = deps.principals;
  }

  of(key: KeyRecord): CompiledPolicy {
    const keyArn = keyArnOf(key);
    const { policy: document, policyPrincipalIds: ids } = key;
    const known = this.#compiled.get(keyArn);
    if (known?.document === document && known.ids === ids) return known.policy;
    // Each version of a key's record is a new object; its policy is seldom another.
    const same = known?.document === document && JSON.stringify(known.ids) === JSON.stringify(ids);
    const policy = same ? known.policy : this.#language.compilePolicy(document, keyArn, ids ?? {});
    this.#compiled.set(keyArn, { document, ids, policy });
    return policy;
  }

  /** The key's policy as it is shown: a principal that is gone stands there by its unique id. */
  shown(context: OperationContext, key: KeyRecord): Promise<string> {
    return this.#principals.show(context.read, key.policy, key.policyPrincipalIds);
  }

  /**
   * Throws unless the document may become a key's policy: its length, its grammar, that all whom it names are there, and
   * (unless bypassed) that its author could still change it afterwards by a request like this one. Answers what has to be
   * stored of it.
   */
  async accept(
    document: string,
    keyArn: string,
    author: PolicyAuthor,
  ): Promise<Pick<KeyRecord, "policy" | "policyPrincipalIds">> {
    if (Buffer.byteLength(document, "utf8") > POLICY_BYTES_MAX) {
      throw limitExceeded(`The key policy is longer than ${POLICY_BYTES_MAX} bytes.`);
    }
    const asPut = this.#compileForAuthor(document, keyArn);
    const { ids, unknown } = await this.#principals.bind(author.context.read, asPut.principals ?? []);
    if (unknown.length > 0) throw invalidPrincipals();
    const accepted = { policy: document, policyPrincipalIds: ids };
    if (author.bypassLockoutCheck) return accepted;
    // As it will be from now on: who was deleted during the call has the name of somebody else.
    const policy = this.#language.compilePolicy(document, keyArn, ids);
    if (this.#language.allowsPrincipal(policy, this.#putKeyPolicyBy(author, keyArn, policy))) return accepted;
    throw malformedPolicy("The new key policy will not allow you to update the key policy in the future.");
  }

  #compileForAuthor(document: string, keyArn: string): CompiledPolicy {
    try {
      return this.#language.compilePolicy(document, keyArn);
    } catch (error) {
      if (!(error instanceof Error) || error.name !== "PolicyError") throw error;
      if ("code" in error && error.code === "InvalidPrincipal") throw invalidPrincipals();
      throw malformedPolicy(error.message);
    }
  }

  /** The request that the author would make to change the policy again. */
  #putKeyPolicyBy({ context, conditions }: PolicyAuthor, keyArn: string, policy: CompiledPolicy): AuthorizationRequest {
    const { call } = context;
    const { type, arn, accountId, userId, session } = call.principal;
    const resourceAccountId = parseArn(keyArn)?.accountId ?? accountId;
    return {
      principal: {
        type,
        arn,
        accountId,
        userId,
        ...(session === undefined ? {} : { roleArn: session.issuerArn, roleId: session.issuerId }),
      },
      action: "kms:PutKeyPolicy",
      resource: keyArn,
      resourceAccountId,
      identityPolicies: [],
      boundary: null,
      sessionPolicies: null,
      serviceControlPolicies: [],
      resourcePolicy: policy,
      resourcePolicyMode: "required",
      context: this.#language.conditionsOf(call, resourceAccountId, conditions),
    };
  }
}

/** What a key gets that is made without a policy: the account's root may do all, and lets IAM policies decide. */
export function defaultKeyPolicy(accountId: string): string {
  return JSON.stringify({
    Version: "2012-10-17",
    Id: "key-default-1",
    Statement: [
      {
        Sid: "Enable IAM User Permissions",
        Effect: "Allow",
        Principal: { AWS: accountRootArn(accountId) },
        Action: "kms:*",
        Resource: "*",
      },
    ],
  });
}

/** Everyone in the account may use the key through its service, nobody directly; its metadata is the account's to see. */
export function managedKeyPolicy(service: ManagedKeyService, region: string, accountId: string): string {
  return JSON.stringify({
    Version: "2012-10-17",
    Id: `auto-${service.name}-1`,
    Statement: [
      {
        Sid: `Allow access through ${service.title} for all principals in the account that are authorized to use ${service.title}`,
        Effect: "Allow",
        Principal: { AWS: "*" },
        Action: [
          "kms:Encrypt",
          "kms:Decrypt",
          "kms:ReEncrypt*",
          "kms:GenerateDataKey*",
          "kms:CreateGrant",
          "kms:DescribeKey",
        ],
        Resource: "*",
        Condition: {
          StringEquals: {
            "kms:ViaService": `${service.viaHost}.${region}.amazonaws.com`,
            "kms:CallerAccount": accountId,
          },
        },
      },
      {
        Sid: "Allow direct access to key metadata to the account",
        Effect: "Allow",
        Principal: { AWS: accountRootArn(accountId) },
        Action: ["kms:Describe*", "kms:Get*", "kms:List*", "kms:RevokeGrant"],
        Resource: "*",
      },
    ],
  });
}
