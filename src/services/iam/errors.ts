/** IAM's errors with AWS's codes, statuses and words. */
import { ServiceError } from "../../base/errors.ts";

const noSuchEntity = (message: string): ServiceError => new ServiceError("NoSuchEntity", message, { status: 404 });
const deleteConflict = (message: string): ServiceError => new ServiceError("DeleteConflict", message, { status: 409 });
const limitExceeded = (message: string): ServiceError => new ServiceError("LimitExceeded", message, { status: 409 });
const alreadyExists = (message: string): ServiceError =>
  new ServiceError("EntityAlreadyExists", message, { status: 409 });

export const invalidInput = (message: string): ServiceError => new ServiceError("InvalidInput", message);
export const iamValidationError = (message: string): ServiceError => new ServiceError("ValidationError", message);
export const malformedPolicy = (message: string, cause?: unknown): ServiceError =>
  new ServiceError("MalformedPolicyDocument", message, { cause });

export const accessDenied = (principalArn: string, action: string, resource: string): ServiceError =>
  new ServiceError(
    "AccessDenied",
    `User: ${principalArn} is not authorized to perform: ${action} on resource: ${resource}`,
    {
      status: 403,
    },
  );

/** What policies are attached to. */
type EntityType = "user" | "group" | "role";

export const noSuchNamed = (type: EntityType, name: string): ServiceError =>
  noSuchEntity(`The ${type} with name ${name} cannot be found.`);
export const noSuchAccessKey = (accessKeyId: string): ServiceError =>
  noSuchEntity(`The Access Key with id ${accessKeyId} cannot be found.`);
export const noSuchInlinePolicy = (type: EntityType, policyName: string): ServiceError =>
  noSuchEntity(`The ${type} policy with name ${policyName} cannot be found.`);
export const noSuchPolicy = (arn: string): ServiceError => noSuchEntity(`Policy ${arn} was not found.`);
export const policyNotAttachable = (arn: string): ServiceError =>
  noSuchEntity(`Policy ${arn} does not exist or is not attachable.`);
export const boundaryNotAttachable = (arn: string): ServiceError =>
  noSuchEntity(`Scope ARN: ${arn} does not exist or is not attachable.`);
export const noSuchPolicyVersion = (arn: string, versionId: string): ServiceError =>
  noSuchEntity(`Policy ${arn} version ${versionId} does not exist or is not attachable.`);

export const userExists = (userName: string): ServiceError =>
  alreadyExists(`User with name ${userName} already exists.`);
export const roleExists = (roleName: string): ServiceError =>
  alreadyExists(`Role with name ${roleName} already exists.`);
export const policyExists = (policyName: string): ServiceError =>
  alreadyExists(`A policy called ${policyName} already exists. Duplicate names are not allowed.`);

export const mustDelete = (what: "access keys" | "policies"): ServiceError =>
  deleteConflict(`Cannot delete entity, must delete ${what} first.`);
export const mustDetachPolicies = (): ServiceError =>
  deleteConflict("Cannot delete entity, must detach all policies first.");
export const mustRemoveFromInstanceProfile = (): ServiceError =>
  deleteConflict("Cannot delete entity, must remove roles from instance profile first.");
export const mustRemoveFromGroups = (): ServiceError =>
  deleteConflict("Cannot delete entity, must remove users from group first.");
export const policyAttached = (): ServiceError => deleteConflict("Cannot delete a policy attached to entities.");
export const policyHasVersions = (): ServiceError =>
  deleteConflict(
    "This policy has more than one version. Before you delete a policy, you must delete the policy's versions. " +
      "The default version is deleted with the policy.",
  );
export const defaultVersion = (): ServiceError => deleteConflict("Cannot delete the default version of a policy.");

export const quotaExceeded = (quota: string, value: number): ServiceError =>
  limitExceeded(`Cannot exceed quota for ${quota}: ${value}`);
export const inlinePolicySizeExceeded = (type: EntityType, name: string, sizeMax: number): ServiceError =>
  limitExceeded(`Maximum policy size of ${sizeMax} bytes exceeded for ${type} ${name}`);
export const tooManyTags = (): ServiceError => limitExceeded("The number of tags has reached the maximum limit.");
export const tooManyVersions = (versionsMax: number): ServiceError =>
  limitExceeded(
    `A managed policy can have up to ${versionsMax} versions. Before you create a new version, you must delete an existing version.`,
  );
