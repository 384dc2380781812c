/** What an organization is made of and what holds for it. Pure. */
import { createHash } from "node:crypto";
import { formatArn } from "../../base/arn.ts";
import type { Random } from "../../base/random.ts";
import type { CompiledPolicy } from "../../authz/types.ts";

/** Accounts, closed ones too (Organizations user guide, "Quotas"; AWS starts at 10 and grants up to this on request). */
export const ACCOUNTS_MAX = 10_000;
export const UNITS_MAX = 2_000;
/** Levels of organizational units below the root. */
export const UNIT_DEPTH_MAX = 5;
export const POLICIES_MAX = 2_000;
/** Characters as they were sent, white space too. 5,120 until AWS doubled it on 15 May 2026. */
export const POLICY_LENGTH_MAX = 10_240;
/** Attached to one root, unit or account. 5 until AWS doubled it on 15 May 2026. */
export const POLICIES_PER_TARGET_MAX = 10;
export const TAGS_MAX = 50;

/** The one type of policy that is served. */
export const POLICY_TYPE = "SERVICE_CONTROL_POLICY";

export interface Tag {
  readonly key: string;
  readonly value: string;
}

/** Parses, checks and compiles a service control policy. Throws when it is malformed. */
export type CompilePolicy = (document: string, id: string) => CompiledPolicy;

const ALPHABET = "abcdefghijklmnopqrstuvwxyz0123456789";
/** The largest multiple of the alphabet's length below 256: bytes above would make some letters likelier. */
const FAIR_BYTES = 252;

function idText(random: Random, length: number): string {
  let text = "";
  while (text.length < length) {
    for (const byte of random.bytes(length)) {
      if (byte < FAIR_BYTES && text.length < length) text += ALPHABET.charAt(byte % ALPHABET.length);
    }
  }
  return text;
}

export const newOrganizationId = (random: Random): string => `o-${idText(random, 10)}`;
export const newRootId = (random: Random): string => `r-${idText(random, 4)}`;
/** `ou-`, the root's part, and eight more. */
export const newUnitId = (random: Random, rootId: string): string => `ou-${rootId.slice(2)}-${idText(random, 8)}`;
export const newPolicyId = (random: Random): string => `p-${idText(random, 8)}`;
export const newRequestId = (random: Random): string => `car-${idText(random, 32)}`;

/** Which organization, and whose: the front of every ARN of it. */
export interface OrganizationName {
  readonly organizationId: string;
  readonly managementAccountId: string;
}

const arnOf = ({ managementAccountId, organizationId }: OrganizationName, kind: string, rest = ""): string =>
  formatArn("organizations", "", managementAccountId, `${kind}/${organizationId}${rest}`);

export const organizationArn = (organization: OrganizationName): string => arnOf(organization, "organization");
export const accountArn = (organization: OrganizationName, id: string): string =>
  arnOf(organization, "account", `/${id}`);

/** AWS's own policies belong to no account. */
const isAwsPolicy = (policyId: string): boolean => policyId === FULL_ACCESS_ID;

/** What an id stands for, by its form; null for none. Forms from the service's model. */
export type ResourceKind = "root" | "ou" | "account" | "policy";

export function kindOf(id: string): ResourceKind | null {
  if (/^r-[0-9a-z]{4,32}$/.test(id)) return "root";
  if (/^ou-[0-9a-z]{4,32}-[a-z0-9]{8,32}$/.test(id)) return "ou";
  if (/^\d{12}$/.test(id)) return "account";
  return /^p-[0-9a-zA-Z_]{8,128}$/.test(id) ? "policy" : null;
}

/** The ARN that a resource of this id has, whether it exists or not; `*` for an id that can't be one. */
export function resourceArn(organization: OrganizationName, id: string): string {
  const kind = kindOf(id);
  if (kind === null) return "*";
  if (kind !== "policy") return arnOf(organization, kind, `/${id}`);
  return isAwsPolicy(id) ? FULL_ACCESS_ARN : arnOf(organization, "policy", `/service_control_policy/${id}`);
}

/** In the place of the ARN of what is not made yet and has no id: what policies say of all of its kind holds for it. */
export const futureArn = (organization: OrganizationName, kind: Exclude<ResourceKind, "root">): string =>
  arnOf(organization, kind, kind === "policy" ? "/service_control_policy/*" : "/*");

/** Names may hold anything, keys of records may not. */
export const nameKey = (name: string): string => createHash("sha256").update(name, "utf8").digest("hex");

/** The policy that every root, unit and account has from the start: it takes nothing away. */
export const FULL_ACCESS_ID = "p-FullAWSAccess";
export const FULL_ACCESS_ARN: string = formatArn(
  "organizations",
  "",
  "aws",
  `policy/service_control_policy/${FULL_ACCESS_ID}`,
);
export const FULL_ACCESS_NAME = "FullAWSAccess";
export const FULL_ACCESS_DESCRIPTION = "Allows access to every operation";
export const FULL_ACCESS_DOCUMENT: string = JSON.stringify(
  { Version: "2012-10-17", Statement: [{ Effect: "Allow", Action: "*", Resource: "*" }] },
  null,
  2,
);
