/** What STS needs of IAM's records: roles with their trust policies, identity providers, and whether a managed policy exists. */
import type { PrincipalIds } from "../../authz/principals.ts";
import type { CompiledPolicy } from "../../authz/types.ts";
import { formatArn, parseArn } from "../../base/arn.ts";
import type { Reader } from "../../store/table.ts";
import { foldedName, parsePolicyArn } from "./model.ts";
import { findPolicy } from "./policy-lookup.ts";
import { accounts, oidcProviders, roles } from "./records.ts";
import type { OidcProviderRecord, RoleRecord } from "./records.ts";

/** A role as whoever assumes it meets it. */
export interface AssumableRole {
  readonly arn: string;
  readonly accountId: string;
  readonly roleName: string;
  readonly roleId: string;
  readonly maxSessionSeconds: number;
  readonly trustPolicy: CompiledPolicy;
  readonly tags: Readonly<Record<string, string>>;
}

export interface RoleSource {
  /** Null when there is no role of exactly this ARN, or its account is closed. */
  find(read: Reader, roleArn: string): Promise<AssumableRole | null>;
  /** The provider of an account whose URL is exactly the issuer of a token; null when there is none. */
  findProvider(read: Reader, accountId: string, issuer: string): Promise<OidcProviderRecord | null>;
  /** Whether an account sees a managed policy under this ARN: its own or one of AWS's. */
  hasPolicy(read: Reader, accountId: string, policyArn: string): Promise<boolean>;
}

const ACCOUNT_ID = /^\d{12}$/;
const ROLE_RESOURCE = /^role\/(?:[!-~]{1,510}\/)?([\w+=,.@-]{1,64})$/;
/** A scheme, a host with perhaps a path: what an ARN can be made of. Longer than any URL that IAM takes. */
const ISSUER = /^https?:\/\/([!-~]{1,255})$/;

/** `compileTrustPolicy` throws for a document that is none; then nobody can assume the role. */
export function createRoleSource(deps: {
  readonly compileTrustPolicy: (document: string, id: string, principalIds: PrincipalIds) => CompiledPolicy;
  /** Told when a stored trust policy cannot be used (the log). */
  readonly onUnusableTrustPolicy: (roleArn: string, cause: unknown) => void;
}): RoleSource {
  // The reader returns the same object while the stored bytes are the same: a policy is compiled once for each version.
  const compiled = new WeakMap<RoleRecord, AssumableRole>();

  const trustPolicyOf = (role: RoleRecord): CompiledPolicy => {
    try {
      return deps.compileTrustPolicy(role.trustDocument, role.arn, role.trustPrincipalIds ?? {});
    } catch (cause) {
      deps.onUnusableTrustPolicy(role.arn, cause);
      return { id: role.arn, statements: [] };
    }
  };

  return {
    async find(read, roleArn) {
      const parsed = parseArn(roleArn);
      if (parsed === null || parsed.service !== "iam" || parsed.region !== "") return null;
      if (!ACCOUNT_ID.test(parsed.accountId)) return null;
      const roleName = ROLE_RESOURCE.exec(parsed.resource)?.[1];
      if (roleName === undefined) return null;
      const record = await read.get(roles, [parsed.accountId, foldedName(roleName)]);
      // The path is part of the ARN but not of the key, and names are kept without case.
      if (record === null || record.arn !== roleArn) return null;
      // Nobody gets into a closed account: a session of it would be refused with its first request anyhow.
      if ((await read.get(accounts, [parsed.accountId]))?.status === "SUSPENDED") return null;
      const known = compiled.get(record);
      if (known !== undefined) return known;
      const { arn, accountId, roleId, maxSessionSeconds } = record;
      const role = {
        arn,
        accountId,
        roleName: record.roleName,
        roleId,
        maxSessionSeconds,
        trustPolicy: trustPolicyOf(record),
        tags: Object.fromEntries(record.tags.map(({ key, value }) => [key, value])),
      };
      compiled.set(record, role);
      return role;
    },
    async findProvider(read, accountId, issuer) {
      const name = ISSUER.exec(issuer)?.[1];
      if (name === undefined) return null;
      const record = await read.get(oidcProviders, [
        accountId,
        formatArn("iam", "", accountId, `oidc-provider/${name}`),
      ]);
      return record === null || record.url !== issuer ? null : record;
    },
    async hasPolicy(read, accountId, policyArn) {
      if (parsePolicyArn(policyArn) === null) return false;
      return (await findPolicy(read, accountId, policyArn)) !== null;
    },
  };
}
