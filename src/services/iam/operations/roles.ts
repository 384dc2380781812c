import { boundaryOf } from "./boundaries.ts";
import type { Random } from "../../../base/random.ts";
import type { Reader } from "../../../store/table.ts";
import type { AccessKeyUse } from "../access-key-use.ts";
import { boundaryContext, entityAccess, entityResource, existingEntity, putEntity, roleKind } from "../entities.ts";
import type { EntityTarget } from "../entities.ts";
import { mustDelete, mustDetachPolicies, mustRemoveFromInstanceProfile, quotaExceeded, roleExists } from "../errors.ts";
import {
  encodedDocument,
  foldedName,
  MAX_SESSION_SECONDS_DEFAULT,
  newEntityId,
  roleArn,
  ROLES_PER_ACCOUNT_MAX,
  storedDocument,
  TRUST_POLICY_SIZE_MAX,
} from "../model.ts";
import type { CompilePolicy } from "../model.ts";
import { requestedPage } from "../pagination.ts";
import { trustPolicy } from "../policy-document.ts";
import { usePolicy } from "../policy-use.ts";
import { boundPrincipals, principalDirectory, withAccountArns } from "../principal-directory.ts";
import { accounts, roles, roleUses } from "../records.ts";
import type { RoleRecord, RoleUseRecord } from "../records.ts";
import { accountOf, boundedCreationChecks, describe, listAccess, responseElements } from "../row.ts";
import type { Row } from "../row.ts";
import type { CreateRoleRequest, Role } from "../shapes.generated.ts";
import { tagsFrom, tagsOut } from "../tags.ts";

type RoleTarget = EntityTarget<RoleRecord>;

/** What is shown of a role wherever it is shown; lists and instance profiles leave tags, boundary and last use out. */
export async function roleOut(read: Reader, role: RoleRecord): Promise<Role> {
  const trustDocument = await principalDirectory.show(read, role.trustDocument, role.trustPrincipalIds ?? null);
  return {
    Path: role.path,
    RoleName: role.roleName,
    RoleId: role.roleId,
    Arn: role.arn,
    CreateDate: role.createdMs,
    AssumeRolePolicyDocument: encodedDocument(trustDocument),
    ...(role.description === null ? {} : { Description: role.description }),
    MaxSessionDuration: role.maxSessionSeconds,
  };
}

/** Tags and boundary of a role, as GetRole and the authorization details show them. */
export const roleDetails = (role: RoleRecord): Pick<Role, "PermissionsBoundary" | "Tags"> => ({
  ...(role.boundaryArn === null
    ? {}
    : {
        PermissionsBoundary: {
          PermissionsBoundaryType: "PermissionsBoundaryPolicy",
          PermissionsBoundaryArn: role.boundaryArn,
        },
      }),
  ...(role.tags.length > 0 ? { Tags: tagsOut(role.tags) } : {}),
});

/** Empty for a role that was never used, as on AWS. */
export const roleLastUsed = (use: RoleUseRecord | null): Pick<Role, "RoleLastUsed"> => ({
  RoleLastUsed: use === null ? {} : { LastUsedDate: use.lastUsedMs, Region: use.region },
});

export const createRole = (deps: {
  readonly random: Random;
  readonly compileTrustPolicy: CompilePolicy;
}): Row<"CreateRole", RoleTarget> => ({
  event: "management",
  readOnly: false,
  describe,
  async access({ call, read }, input) {
    const { accountId } = call.principal;
    return {
      target: { name: input.RoleName, record: await read.get(roles, [accountId, foldedName(input.RoleName)]) },
      checks: boundedCreationChecks(
        accountId,
        roleArn(accountId, input.Path ?? "/", input.RoleName),
        { action: "iam:CreateRole", tagAction: "iam:TagRole" },
        input,
      ),
    };
  },
  async handle({ call, read }, input, target) {
    const { accountId } = call.principal;
    if (target.record !== null) throw roleExists(input.RoleName);
    const account = await accountOf(read, accountId);
    const roleCount = account.roleCount ?? 0;
    if (roleCount >= ROLES_PER_ACCOUNT_MAX) throw quotaExceeded("RolesPerAccount", ROLES_PER_ACCOUNT_MAX);
    const role = await newRole(deps, read, { accountId, nowMs: call.nowMs }, input);
    const output = { Role: { ...(await roleOut(read, role)), ...roleDetails(role) } };
    return {
      output,
      writes: [
        putEntity(roleKind, role),
        accounts.put([accountId], { ...account, roleCount: roleCount + 1 }),
        ...(role.boundaryArn === null
          ? []
          : await usePolicy(read, roleKind, role, role.boundaryArn, { asBoundary: true })),
      ],
      audit: { responseElements: responseElements(output), resources: [entityResource(roleKind, role)] },
    };
  },
});

async function newRole(
  deps: { readonly random: Random; readonly compileTrustPolicy: CompilePolicy },
  read: Reader,
  at: { readonly accountId: string; readonly nowMs: number },
  input: CreateRoleRequest,
): Promise<RoleRecord> {
  const { accountId } = at;
  const path = input.Path ?? "/";
  const arn = roleArn(accountId, path, input.RoleName);
  const trust = await trustMembers(deps.compileTrustPolicy, read, input.AssumeRolePolicyDocument, arn);
  const boundaryArn = await boundaryOf(read, accountId, input);
  return {
    accountId,
    roleName: input.RoleName,
    roleId: newEntityId("AROA", deps.random),
    path,
    arn,
    createdMs: at.nowMs,
    description: input.Description ?? null,
    maxSessionSeconds: input.MaxSessionDuration ?? MAX_SESSION_SECONDS_DEFAULT,
    ...trust,
    tags: tagsFrom([], input.Tags ?? []),
    inlinePolicies: [],
    attachedPolicyArns: [],
    boundaryArn,
    instanceProfileNames: [],
  };
}

/** What is kept of a trust policy. Throws MalformedPolicyDocument or LimitExceeded. */
async function trustMembers(
  compile: CompilePolicy,
  read: Reader,
  document: string,
  arn: string,
): Promise<Required<Pick<RoleRecord, "trustDocument" | "trustPrincipalIds">>> {
  const compiled = trustPolicy(compile, document, arn);
  const trustPrincipalIds = await boundPrincipals(read, compiled);
  return {
    trustDocument: storedDocument(withAccountArns(document, compiled), TRUST_POLICY_SIZE_MAX),
    trustPrincipalIds,
  };
}

export const getRole = (uses: AccessKeyUse): Row<"GetRole", RoleTarget> => ({
  event: "management",
  readOnly: true,
  describe,
  access: entityAccess(roleKind, "iam:GetRole"),
  async handle({ read }, _input, target) {
    const role = existingEntity(roleKind, target);
    const lastUse = await uses.lastUseOfRole(read, role);
    return {
      output: { Role: { ...(await roleOut(read, role)), ...roleDetails(role), ...roleLastUsed(lastUse) } },
      audit: { resources: [entityResource(roleKind, role)] },
    };
  },
});

export const updateRole: Row<"UpdateRole", RoleTarget> = {
  event: "management",
  readOnly: false,
  describe,
  access: entityAccess(roleKind, "iam:UpdateRole"),
  async handle(_context, input, target) {
    const role = existingEntity(roleKind, target);
    // "If you do not specify a value for this setting, the default value of one hour is applied" (IAM API Reference).
    const maxSessionSeconds = input.MaxSessionDuration ?? MAX_SESSION_SECONDS_DEFAULT;
    const after = { ...role, description: input.Description ?? role.description, maxSessionSeconds };
    return {
      output: {},
      writes: [putEntity(roleKind, after)],
      audit: { resources: [entityResource(roleKind, role)] },
    };
  },
};

export const updateRoleDescription: Row<"UpdateRoleDescription", RoleTarget> = {
  event: "management",
  readOnly: false,
  describe,
  access: entityAccess(roleKind, "iam:UpdateRoleDescription"),
  async handle({ read }, input, target) {
    const role = { ...existingEntity(roleKind, target), description: input.Description };
    const output = { Role: await roleOut(read, role) };
    return {
      output,
      writes: [putEntity(roleKind, role)],
      audit: { responseElements: responseElements(output), resources: [entityResource(roleKind, role)] },
    };
  },
};

export const updateAssumeRolePolicy = (compile: CompilePolicy): Row<"UpdateAssumeRolePolicy", RoleTarget> => ({
  event: "management",
  readOnly: false,
  describe,
  access: entityAccess(roleKind, "iam:UpdateAssumeRolePolicy"),
  async handle({ read }, input, target) {
    const role = existingEntity(roleKind, target);
    const trust = await trustMembers(compile, read, input.PolicyDocument, role.arn);
    return {
      output: {},
      writes: [putEntity(roleKind, { ...role, ...trust })],
      audit: { resources: [entityResource(roleKind, role)] },
    };
  },
});

export const deleteRole: Row<"DeleteRole", RoleTarget> = {
  event: "management",
  readOnly: false,
  describe,
  access: entityAccess(roleKind, "iam:DeleteRole", (_input: { readonly RoleName: string }, role) =>
    boundaryContext(role),
  ),
  async handle({ call, read }, _input, target) {
    const { accountId } = call.principal;
    const role = existingEntity(roleKind, target);
    if (role.instanceProfileNames.length > 0) throw mustRemoveFromInstanceProfile();
    if (role.attachedPolicyArns.length > 0) throw mustDetachPolicies();
    if (role.inlinePolicies.length > 0) throw mustDelete("policies");
    const account = await accountOf(read, accountId);
    const id = [accountId, foldedName(role.roleName)];
    return {
      output: {},
      writes: [
        roles.remove(id),
        roleUses.remove(id),
        accounts.put([accountId], { ...account, roleCount: (account.roleCount ?? 1) - 1 }),
        ...(role.boundaryArn === null
          ? []
          : await usePolicy(read, roleKind, role, role.boundaryArn, { asBoundary: false })),
      ],
      audit: { resources: [entityResource(roleKind, role)] },
    };
  },
};

export const listRoles: Row<"ListRoles", null> = {
  event: "management",
  readOnly: true,
  describe,
  access: listAccess("iam:ListRoles"),
  async handle({ call, read }, input) {
    const pathPrefix = input.PathPrefix ?? "/";
    const { items, tail } = await requestedPage(read, roles, input, {
      prefix: [call.principal.accountId],
      accept: (role) => role.path.startsWith(pathPrefix),
      show: (role) => roleOut(read, role),
    });
    return { output: { Roles: items, ...tail } };
  },
};
