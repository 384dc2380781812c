/** What a request gives a session to carry: policies that limit it, tags, a name. Checked here, before anything is read. */
import { deflateRawSync } from "node:zlib";
import type { TemporaryCredentials } from "../../authn/credentials.ts";
import type { SessionLimits } from "../../authz/policy-source.ts";
import type { ContextValues } from "../../authz/types.ts";
import { parseArn } from "../../base/arn.ts";
import { eventTime } from "../../base/time.ts";
import type { Principal } from "../../gateway/contract.ts";
import type { Reader } from "../../store/table.ts";
import { invalidParameterValue, malformedPolicy, packedPolicyTooLarge, stsValidationError } from "./errors.ts";
import type { StsDeps } from "./ports.ts";
import type { Credentials, PolicyDescriptorType, Tag } from "./shapes.generated.ts";

/** STS API reference, AssumeRole: managed session policies, and the plaintext of all session policies in characters. */
export const POLICY_ARNS_MAX = 10;
export const POLICY_PLAINTEXT_MAX = 2_048;
/** STS API reference, AssumeRole: session tags. */
export const SESSION_TAGS_MAX = 50;
/**
 * What policies and tags may take, compressed. AWS keeps its figure to itself; with this one, a session that fits also fits
 * into a token of 8 KiB, whatever else it carries.
 */
const PACKED_BYTES_MAX = 4_096;

export interface SessionRequest {
  readonly limits: SessionLimits | null;
  /** Those of the request alone. */
  readonly tags: Readonly<Record<string, string>>;
  readonly transitiveTagKeys: readonly string[];
}

interface Given {
  readonly Policy?: string | undefined;
  readonly PolicyArns?: readonly PolicyDescriptorType[] | undefined;
  readonly Tags?: readonly Tag[] | undefined;
  readonly TransitiveTagKeys?: readonly string[] | undefined;
}

/** Throws ValidationError, InvalidParameterValue, MalformedPolicyDocument, PackedPolicyTooLarge. */
export function readSessionRequest(deps: Pick<StsDeps, "compileSessionPolicy">, given: Given): SessionRequest {
  return {
    limits: limitsOf(deps, given),
    tags: tagsOf(given.Tags ?? []),
    transitiveTagKeys: transitiveOf(given.Tags ?? [], given.TransitiveTagKeys ?? []),
  };
}

function limitsOf(deps: Pick<StsDeps, "compileSessionPolicy">, { Policy, PolicyArns }: Given): SessionLimits | null {
  const policyArns = (PolicyArns ?? []).map(({ arn }) => {
    if (arn === undefined || parseArn(arn)?.service !== "iam")
      throw stsValidationError(`ARN ${arn ?? ""} is not valid.`);
    return arn;
  });
  if (policyArns.length > POLICY_ARNS_MAX) {
    throw stsValidationError(`A session takes at most ${POLICY_ARNS_MAX} managed policies.`);
  }
  const length = (Policy?.length ?? 0) + policyArns.reduce((sum, arn) => sum + arn.length, 0);
  if (length > POLICY_PLAINTEXT_MAX) throw packedPolicyTooLarge(Math.ceil((length * 100) / POLICY_PLAINTEXT_MAX));
  if (Policy === undefined) return policyArns.length === 0 ? null : { documents: [], policyArns };
  try {
    deps.compileSessionPolicy(Policy, "session");
  } catch (cause) {
    if (cause instanceof Error && cause.name === "PolicyError") throw malformedPolicy(cause.message, cause);
    throw cause;
  }
  return { documents: [Policy], policyArns };
}

const folded = (key: string): string => key.toLowerCase();

function tagsOf(tags: readonly Tag[]): Readonly<Record<string, string>> {
  const seen = new Set<string>();
  for (const { Key } of tags) {
    const key = folded(Key);
    if (seen.has(key)) {
      throw invalidParameterValue("Duplicate tag keys found. Please note that Tag keys are case insensitive.");
    }
    if (key.startsWith("aws:"))
      throw invalidParameterValue("Tag keys that begin with aws: are reserved for system use.");
    seen.add(key);
  }
  return Object.fromEntries(tags.map(({ Key, Value }) => [Key, Value]));
}

function transitiveOf(tags: readonly Tag[], keys: readonly string[]): readonly string[] {
  const own = new Map(tags.map(({ Key }) => [folded(Key), Key]));
  const transitive = keys.map((key) => {
    const found = own.get(folded(key));
    if (found === undefined) {
      throw invalidParameterValue("The specified transitive tag key must be included in the requested tags.");
    }
    return found;
  });
  return [...new Set(transitive)];
}

/** The request with what a session hands on to those that it opens (IAM User Guide, "Chaining roles with session tags"). */
export function withInherited(request: SessionRequest, caller: Principal["session"]): SessionRequest {
  const inheritedKeys = caller?.transitiveTagKeys ?? [];
  if (inheritedKeys.length === 0) return request;
  const given = new Set(Object.keys(request.tags).map(folded));
  if (inheritedKeys.some((key) => given.has(folded(key)))) {
    throw invalidParameterValue(
      "One of the specified tag keys can't be set because it conflicts with a transitive tag key from the calling session.",
    );
  }
  const inherited = inheritedKeys.map((key) => [key, caller?.tags[key] ?? ""] as const);
  const tags = Object.fromEntries([...inherited, ...Object.entries(request.tags)]);
  if (Object.keys(tags).length > SESSION_TAGS_MAX) {
    throw invalidParameterValue(`A session has at most ${SESSION_TAGS_MAX} tags, inherited ones included.`);
  }
  return { ...request, tags, transitiveTagKeys: [...inheritedKeys, ...request.transitiveTagKeys] };
}

/** `aws:RequestTag/…`, `aws:TagKeys` and `sts:TransitiveTagKeys`: of the request alone, not of what is inherited. */
export function tagContext({ tags, transitiveTagKeys }: SessionRequest): ContextValues {
  const entries = Object.entries(tags);
  return {
    ...Object.fromEntries(entries.map(([key, value]) => [`aws:RequestTag/${key}`, value])),
    ...(entries.length === 0 ? {} : { "aws:TagKeys": entries.map(([key]) => key) }),
    ...(transitiveTagKeys.length === 0 ? {} : { "sts:TransitiveTagKeys": transitiveTagKeys }),
  };
}

/** Throws unless the account of the session has every managed policy that is to limit it. */
export async function requirePolicies(
  deps: Pick<StsDeps, "roles">,
  read: Reader,
  accountId: string,
  limits: SessionLimits | null,
): Promise<void> {
  for (const arn of limits?.policyArns ?? []) {
    if (await deps.roles.hasPolicy(read, accountId, arn)) continue;
    throw stsValidationError(`Policy ${arn} does not exist or is not attachable in account ${accountId}.`);
  }
}

/** How much of its space a session's policies and tags take, in percent; undefined when it has none. Throws PackedPolicyTooLarge. */
export function packedPolicySize({ limits, tags }: SessionRequest): number | undefined {
  if (limits === null && Object.keys(tags).length === 0) return undefined;
  const bytes = deflateRawSync(Buffer.from(JSON.stringify([limits, tags]), "utf8"), { level: 9 }).byteLength;
  const percent = Math.ceil((bytes * 100) / PACKED_BYTES_MAX);
  if (percent > 100) throw packedPolicyTooLarge(percent);
  return percent;
}

export interface Issued {
  readonly credentials: Credentials;
  /** As events show it: the secret and the token are in neither. */
  readonly shown: Readonly<Record<string, unknown>>;
}

/** Makes the credentials of a session that begins now. */
export function issueCredentials(
  deps: Pick<StsDeps, "sessions">,
  principal: Principal,
  nowMs: number,
  seconds: number,
): Issued {
  // Answers show whole seconds; what is shown is what holds.
  const expiresMs = (Math.floor(nowMs / 1000) + seconds) * 1000;
  const issued: TemporaryCredentials | null = deps.sessions.issue({ principal, expiresMs });
  if (issued === null) throw packedPolicyTooLarge(101);
  const { accessKeyId, secretAccessKey, sessionToken } = issued;
  return {
    credentials: {
      AccessKeyId: accessKeyId,
      SecretAccessKey: secretAccessKey,
      SessionToken: sessionToken,
      Expiration: expiresMs,
    },
    shown: { accessKeyId, expiration: eventTime(expiresMs) },
  };
}
