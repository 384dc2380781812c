/** What IAM's entities are and what holds for them. Pure. Quotas from the IAM user guide, "IAM and AWS STS quotas". */
import { createHash } from "node:crypto";
import { formatArn, parseArn } from "../../base/arn.ts";
import type { Random } from "../../base/random.ts";
import type { CompiledPolicy } from "../../authz/types.ts";

export const ACCESS_KEYS_PER_USER_MAX = 2;
export const POLICY_VERSIONS_MAX = 5;
export const ATTACHED_POLICIES_PER_USER_MAX = 10;
export const ATTACHED_POLICIES_PER_GROUP_MAX = 10;
export const ATTACHED_POLICIES_PER_ROLE_MAX = 10;
export const TAGS_MAX = 50;
export const USERS_PER_ACCOUNT_MAX = 5_000;
export const ROLES_PER_ACCOUNT_MAX = 1_000;
export const POLICIES_PER_ACCOUNT_MAX = 1_500;
/** Characters as `policySize` counts them, over all inline policies of a user. */
export const USER_POLICY_SIZE_MAX = 2_048;
/** The same, of a group. */
export const GROUP_POLICY_SIZE_MAX = 5_120;
/** The same, of a role. */
export const ROLE_POLICY_SIZE_MAX = 10_240;
/** Counted the same way, of a role's trust policy: AWS's default, which it raises to 4,096 on request (unverified). */
export const TRUST_POLICY_SIZE_MAX = 2_048;
/** How long a role's sessions may last where its maximum is not set (IAM API Reference, CreateRole). */
export const MAX_SESSION_SECONDS_DEFAULT = 3_600;
/** Counted the same way, of one version of a managed policy. */
export const MANAGED_POLICY_SIZE_MAX = 6_144;

/** The account part of the ARNs of policies that come with the service. */
export const AWS_MANAGED_ACCOUNT = "aws";

export interface Tag {
  readonly key: string;
  readonly value: string;
}

/** Parses, checks and compiles a policy document of one kind. Throws PolicyError when it is malformed. */
export type CompilePolicy = (document: string, id: string) => CompiledPolicy;

export const userArn = (accountId: string, path: string, userName: string): string =>
  formatArn("iam", "", accountId, `user${path}${userName}`);

export const groupArn = (accountId: string, path: string, groupName: string): string =>
  formatArn("iam", "", accountId, `group${path}${groupName}`);

export const roleArn = (accountId: string, path: string, roleName: string): string =>
  formatArn("iam", "", accountId, `role${path}${roleName}`);

/** Account, kind and name in the ARN of a user or role, whatever its path; null when it is neither. */
export function parseIssuerArn(
  arn: string,
): { readonly accountId: string; readonly type: "user" | "role"; readonly name: string } | null {
  const parsed = parseArn(arn);
  if (parsed === null || parsed.service !== "iam" || parsed.region !== "") return null;
  const match = /^(user|role)\/(?:[!-~]+\/)?([\w+=,.@-]{1,64})$/.exec(parsed.resource);
  if (match?.[2] === undefined) return null;
  return { accountId: parsed.accountId, type: match[1] === "user" ? "user" : "role", name: match[2] };
}

export const policyArn = (accountId: string, path: string, policyName: string): string =>
  formatArn("iam", "", accountId, `policy${path}${policyName}`);

/** Account and name in the ARN of a managed policy; null when it is none. */
export function parsePolicyArn(arn: string): { readonly accountId: string; readonly policyName: string } | null {
  const parsed = parseArn(arn);
  if (parsed === null || parsed.service !== "iam" || parsed.region !== "") return null;
  const match = /^policy\/(?:[!-~]+\/)?([\w+=,.@-]{1,128})$/.exec(parsed.resource);
  return match?.[1] === undefined ? null : { accountId: parsed.accountId, policyName: match[1] };
}

/** Names are unique without regard to case, so records are kept under this form. */
export const foldedName = (name: string): string => name.toLowerCase();

const ID_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

const idText = (bytes: Uint8Array): string => Array.from(bytes, (byte) => ID_ALPHABET.charAt(byte & 31)).join("");

/** A user, a group, a role, an instance profile, a managed policy (IAM User Guide, "Unique identifiers"). */
export type EntityIdPrefix = "AIDA" | "AGPA" | "AROA" | "AIPA" | "ANPA";

/** `AIDA…` and the like: 21 characters. */
export const newEntityId = (prefix: EntityIdPrefix, random: Random): string => prefix + idText(random.bytes(17));

/** `AKIA…`: 20 characters. */
export const newAccessKeyId = (random: Random): string => `AKIA${idText(random.bytes(16))}`;

/** The id of an entity that is part of the service: always the same, without being listed by hand. */
export const fixedPolicyId = (arn: string): string =>
  `ANPA${idText(createHash("sha256").update(arn).digest().subarray(0, 17))}`;

/**
 * A JSON text without the white space between its parts, which IAM's quotas do not count. What stands inside of strings is
 * content, white space or not: what is not counted there could fill records with it.
 */
const withoutWhiteSpace = (document: string): string =>
  document.replace(/("[^"\\]*(?:\\[^][^"\\]*)*"?)|[ \t\r\n]+/g, (_match, text: string | undefined) => text ?? "");

/** Length as IAM's quotas count it. */
export const policySize = (document: string): number => withoutWhiteSpace(document).length;

/** Characters of white space are not counted, so they alone could make records large: they are kept up to as much as a quota again. */
const KEPT_QUOTAS = 2;

/**
 * The document as it is stored: as it was put unless that is long. It must have been compiled, so it is known to be JSON.
 * `otherLength`: characters of the documents that share its quota.
 */
export const storedDocument = (document: string, sizeMax: number, otherLength = 0): string =>
  document.length + otherLength <= KEPT_QUOTAS * sizeMax ? document : withoutWhiteSpace(document);

/** Policy documents leave IAM percent-encoded (RFC 3986), which is stricter than encodeURIComponent. */
export const encodedDocument = (document: string): string =>
  encodeURIComponent(document).replace(
    /[!'()*]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  );
