/** The errors of Organizations. Wordings are AWS's where they were seen. */
import { ServiceError } from "../../base/errors.ts";
import type { ConstraintViolationReason, InvalidInputReason } from "./reasons.ts";

const error = (code: string, message: string, cause?: unknown): ServiceError =>
  new ServiceError(code, message, cause === undefined ? {} : { cause });

export const notInUse = (): ServiceError =>
  error("AWSOrganizationsNotInUseException", "Your account is not a member of an organization.");

export const alreadyInOrganization = (): ServiceError =>
  error("AlreadyInOrganizationException", "The AWS account is already a member of an organization.");

/** What a member account may not ask, whatever its policies say. */
export const managementOnly = (): ServiceError =>
  error("AccessDeniedException", "You don't have permissions to access this resource.");

export const accountNotFound = (): ServiceError =>
  error("AccountNotFoundException", "You specified an account that doesn't exist.");

export const accountAlreadyClosed = (): ServiceError =>
  error("AccountAlreadyClosedException", "The provided account is already closed.");

export const creationNotFound = (): ServiceError =>
  error("CreateAccountStatusNotFoundException", "You specified a create account request that doesn't exist.");

export const parentNotFound = (): ServiceError =>
  error("ParentNotFoundException", "You specified a parent that doesn't exist.");

export const childNotFound = (): ServiceError =>
  error("ChildNotFoundException", "You specified a child that doesn't exist.");

export const sourceParentNotFound = (): ServiceError =>
  error("SourceParentNotFoundException", "You specified a source parent that doesn't contain the account.");

export const destinationParentNotFound = (): ServiceError =>
  error("DestinationParentNotFoundException", "You specified a destination parent that doesn't exist.");

export const duplicateAccount = (): ServiceError =>
  error("DuplicateAccountException", "The account is already in the destination that you specified.");

export const rootNotFound = (): ServiceError =>
  error("RootNotFoundException", "You specified a root that doesn't exist.");

export const unitNotFound = (): ServiceError =>
  error("OrganizationalUnitNotFoundException", "You specified an organizational unit that doesn't exist.");

export const unitNotEmpty = (): ServiceError =>
  error(
    "OrganizationalUnitNotEmptyException",
    "The organizational unit contains accounts or other organizational units.",
  );

export const duplicateUnit = (): ServiceError =>
  error("DuplicateOrganizationalUnitException", "An OU with the same name already exists.");

export const targetNotFound = (): ServiceError =>
  error("TargetNotFoundException", "You specified a target that doesn't exist.");

export const policyNotFound = (): ServiceError =>
  error("PolicyNotFoundException", "You specified a policy that doesn't exist.");

export const duplicatePolicy = (): ServiceError =>
  error("DuplicatePolicyException", "A policy with the same name already exists.");

export const policyInUse = (): ServiceError =>
  error("PolicyInUseException", "The policy is attached to one or more targets. Detach it from all of them first.");

export const duplicateAttachment = (): ServiceError =>
  error(
    "DuplicatePolicyAttachmentException",
    "A policy with the specified name and type already exists on the target.",
  );

export const policyNotAttached = (): ServiceError =>
  error("PolicyNotAttachedException", "The policy isn't attached to the specified target.");

export const policyTypeNotEnabled = (): ServiceError =>
  error("PolicyTypeNotEnabledException", "This operation can be performed only for enabled policy types.");

export const policyTypeAlreadyEnabled = (): ServiceError =>
  error("PolicyTypeAlreadyEnabledException", "The specified policy type is already enabled.");

export const policyTypeNotAvailable = (): ServiceError =>
  error(
    "PolicyTypeNotAvailableForOrganizationException",
    "Waxseal serves policies of type SERVICE_CONTROL_POLICY only.",
  );

export const malformedPolicy = (why: string, cause: unknown): ServiceError =>
  error(
    "MalformedPolicyDocumentException",
    `The provided policy document does not meet the requirements: ${why}`,
    cause,
  );

export const constraintViolation = (reason: ConstraintViolationReason, message: string): ServiceError =>
  new ServiceError("ConstraintViolationException", message, { members: { Reason: reason } });

export const invalidInput = (reason: InvalidInputReason, message: string): ServiceError =>
  new ServiceError("InvalidInputException", message, { members: { Reason: reason } });
