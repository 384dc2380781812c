/** Resource policies of streams and consumers: what may become one, and which one has a say in a request. */
import { madeNow } from "../../base/lazy.ts";
import type { PrincipalIds } from "../../authz/principals.ts";
import type { CompiledPolicy } from "../../authz/types.ts";
import { parseArn } from "../../base/arn.ts";
import { LruMap } from "../../base/lru.ts";
import type { AccessCheck, AnyOperation, Call, PrincipalDirectory } from "../../gateway/contract.ts";
import type { Reader } from "../../store/table.ts";
import { invalidArgument } from "./errors.ts";
import type { StreamRecord } from "./model.ts";
import type { PolicyRecord, StreamPlace } from "./records.ts";
import { resourcePolicies, streamKey, streams } from "./records.ts";

/** Developer Guide, "Quotas and limits": the size of a resource-based policy. */
export const POLICY_BYTES_MAX = 20_480;
/** Compiled policies kept. */
const COMPILED_MAX = 2_000;
/** ARNs of streams and consumers kept taken apart. */
const NAMED_MAX = 10_000;

/** Port: what this service needs of the policy language. Backed by authz/, handed in by the composition root. */
export interface ResourcePolicyLanguage {
  /**
   * Checks a resource policy and compiles it; `id` names it in decisions. A refused document throws an error named
   * `PolicyError` whose message is for its author. `ids`: what its principals were bound to.
   */
  readonly compilePolicy: (document: string, id: string, ids?: PrincipalIds) => CompiledPolicy;
  readonly principals: PrincipalDirectory;
}

/**
 * What a policy can give to other accounts. All else is for principals of the owner's account alone: AWS says so of the policy
 * itself (API Reference, PutResourcePolicy), and shares streams for reading and writing only (Developer Guide, "Share your data
 * stream with another account").
 */
const CROSS_ACCOUNT_OPERATIONS: ReadonlySet<string> = new Set([
  "DescribeStream",
  "DescribeStreamConsumer",
  "DescribeStreamSummary",
  "GetRecords",
  "GetShardIterator",
  "ListShards",
  "ListTagsForResource",
  "ListTagsForStream",
  "PutRecord",
  "PutRecords",
  "SubscribeToShard",
]);

/** With these the owner's root comes out of a policy that denies everybody everything, whatever the policy says (same place). */
const ROOT_OPERATIONS: ReadonlySet<string> = new Set([
  "DeleteResourcePolicy",
  "GetResourcePolicy",
  "PutResourcePolicy",
]);

/** A stream, or one of its consumers, as an ARN names it. */
export interface NamedResource extends StreamPlace {
  /** `stream`, or `consumer/NAME:EPOCH`: the second part of a policy's key. */
  readonly part: string;
}

const RESOURCE = /^stream\/([a-zA-Z0-9_.-]{1,128})(?:\/(consumer\/[a-zA-Z0-9_.-]{1,128}:[0-9]{1,20}))?$/;

/** Null for what is not the ARN of a stream or consumer. */
export function namedResource(arn: string): NamedResource | null {
  const parsed = parseArn(arn);
  if (parsed === null || parsed.service !== "kinesis" || !/^[0-9]{12}$/.test(parsed.accountId)) return null;
  const [, name, part = "stream"] = RESOURCE.exec(parsed.resource) ?? [];
  if (name === undefined) return null;
  return { accountId: parsed.accountId, region: parsed.region, name, part };
}

interface Compiled {
  readonly record: PolicyRecord;
  readonly policy: CompiledPolicy;
}

export class ResourcePolicies {
  readonly #language: ResourcePolicyLanguage;
  readonly #compiled = new LruMap<string, Compiled>(COMPILED_MAX);
  readonly #named = new LruMap<string, NamedResource>(NAMED_MAX);

  constructor(language: ResourcePolicyLanguage) {
    this.#language = language;
  }

  /**
   * The check as its resource sees it: with its policy, and its tags as conditions. Looks the stream up for each request, so
   * that a policy holds from the moment that it is put.
   */
  async complete(read: Reader, call: Call, check: AccessCheck): Promise<AccessCheck> {
    const named = this.#resourceOf(check.resource);
    const stream = named === null ? null : await read.get(streams, streamKey(named));
    if (named === null || stream === null) return check;
    const tagged = withTags(check, stream, named);
    if (stream.hasPolicy !== true && named.part === "stream") return tagged;
    if (!hasSay(call, named)) return tagged;
    const record = await read.get(resourcePolicies, [stream.streamId, named.part]);
    return record === null ? tagged : { ...tagged, resourcePolicy: this.#of(check.resource, record) };
  }

  #resourceOf(arn: string): NamedResource | null {
    const known = this.#named.get(arn);
    if (known !== undefined) return known;
    const named = namedResource(arn);
    if (named !== null) this.#named.set(arn, named);
    return named;
  }

  /** Compiled once per version of the record. */
  #of(arn: string, record: PolicyRecord): CompiledPolicy {
    const known = this.#compiled.get(arn);
    if (known?.record === record) return known.policy;
    const policy = this.#language.compilePolicy(record.document, arn, record.principalIds);
    this.#compiled.set(arn, { record, policy });
    return policy;
  }

  /**
   * Throws InvalidArgumentException unless the document may become the policy of a resource: its length, its grammar, and that
   * all whom it names are there. Answers what has to be stored of it.
   */
  async accept(read: Reader, document: string, arn: string): Promise<PolicyRecord> {
    if (Buffer.byteLength(document, "utf8") > POLICY_BYTES_MAX) {
      throw invalidArgument(`The resource policy is longer than ${POLICY_BYTES_MAX} bytes.`);
    }
    const compiled = this.#compileForAuthor(document, arn);
    const { ids, unknown } = await this.#language.principals.bind(read, compiled.principals ?? []);
    if (unknown.length > 0) throw invalidArgument("Invalid principal in policy.");
    return { document, principalIds: ids };
  }

  /** As it is shown: a principal that is gone stands there by its unique id. */
  shown(read: Reader, { document, principalIds }: PolicyRecord): Promise<string> {
    return this.#language.principals.show(read, document, principalIds);
  }

  #compileForAuthor(document: string, arn: string): CompiledPolicy {
    try {
      return this.#language.compilePolicy(document, arn);
    } catch (error) {
      if (!(error instanceof Error) || error.name !== "PolicyError") throw error;
      throw invalidArgument(`The resource policy is malformed: ${error.message}`);
    }
  }
}

function hasSay({ principal, operation }: Call, { accountId }: NamedResource): boolean {
  if (principal.accountId !== accountId) return CROSS_ACCOUNT_OPERATIONS.has(operation);
  return principal.type !== "Root" || !ROOT_OPERATIONS.has(operation);
}

/** Consumers have tags of their own. */
function withTags(check: AccessCheck, stream: StreamRecord, { part }: NamedResource): AccessCheck {
  const { tags } = stream;
  const names = Object.keys(tags);
  if (names.length === 0 || part !== "stream" || check.action === "kinesis:CreateStream") return check;
  return {
    ...check,
    // Only policies with conditions ask for it.
    context: () => ({
      ...Object.fromEntries(names.map((name) => [`aws:ResourceTag/${name}`, tags[name] ?? ""])),
      ...madeNow(check.context ?? {}),
    }),
  };
}

/** The same operation, with the policy of the resource in each of its checks: none of them can forget it. */
export const underPolicies = (operation: AnyOperation, policies: ResourcePolicies): AnyOperation => ({
  ...operation,
  access: async (context, input) => {
    const { checks, target } = await operation.access(context, input);
    const [first] = checks;
    if (first === undefined) return { checks, target };
    const completed = [await policies.complete(context.read, context.call, first)];
    for (const check of checks.slice(1)) completed.push(await policies.complete(context.read, context.call, check));
    return { checks: completed, target };
  },
});
