/** What AssumeRole and AssumeRoleWithWebIdentity have in common: asking a role's trust policy, and opening its session. */
import type { ContextValues } from "../../authz/types.ts";
import { formatArn, parseArn } from "../../base/arn.ts";
import type { Access, AccessCheck, AuditDetails, OperationContext, Principal } from "../../gateway/contract.ts";
import { stsValidationError } from "./errors.ts";
import type { AssumableRole, StsDeps } from "./ports.ts";
import { issueCredentials, packedPolicySize, requirePolicies, tagContext } from "./session-request.ts";
import type { Issued, SessionRequest } from "./session-request.ts";
import type { PolicyDescriptorType } from "./shapes.generated.ts";

/** STS API reference, AssumeRole, DurationSeconds. */
const SESSION_SECONDS_DEFAULT = 3_600;

const ACCOUNT_ID = /^\d{12}$/;
const ROLE = /^role\/(?:[!-~]+\/)?[\w+=,.@-]{1,64}$/;

/** A role as a request names it, and all that was asked for. The role is null when there is none. */
export interface RoleTarget {
  readonly role: AssumableRole | null;
  readonly request: SessionRequest;
  readonly sourceIdentity: string | undefined;
}

/** The account in the ARN of a role, whether there is such a role or not. Throws ValidationError for any other text. */
export function accountOfRole(roleArn: string): string {
  const arn = parseArn(roleArn);
  const valid = arn !== null && arn.partition === "aws" && arn.service === "iam" && arn.region === "";
  if (!valid || !ACCOUNT_ID.test(arn.accountId) || !ROLE.test(arn.resource)) {
    throw stsValidationError(`${roleArn.slice(0, 200)} is invalid`);
  }
  return arn.accountId;
}

export interface TrustQuestion {
  readonly action: string;
  readonly roleArn: string;
  readonly sessionName: string;
  /** Of the request alone: what conditions see. */
  readonly asked: SessionRequest;
  /** With what the session inherits: what it will carry. */
  readonly request: SessionRequest;
  readonly sourceIdentity: string | undefined;
  readonly context: ContextValues;
}

/**
 * The checks on a role that is to be assumed: the trust policy must agree, as a key's policy must, and so it must to the
 * session's tags and source identity, inherited ones too (IAM User Guide, "Passing session tags", "Source identity"). A role
 * that is not there trusts nobody, so that its refusal is the same as any other.
 */
export async function roleAccess(
  deps: Pick<StsDeps, "roles">,
  { read }: OperationContext,
  question: TrustQuestion,
): Promise<Access<RoleTarget>> {
  const { action, roleArn, sessionName, asked, request, sourceIdentity } = question;
  const resourceAccountId = accountOfRole(roleArn);
  const role = await deps.roles.find(read, roleArn);
  const check = (name: string): AccessCheck => ({
    action: name,
    resource: roleArn,
    resourceAccountId,
    resourcePolicy: role?.trustPolicy ?? null,
    resourcePolicyMode: "required",
    // Another account's: its caller may not learn a role's tags by policies of its own that deny by them (see AccessCheck).
    ...(role === null ? {} : { ownersContext: roleTagContext(role) }),
    context: {
      ...question.context,
      ...tagContext(asked),
      "sts:RoleSessionName": sessionName,
      ...(sourceIdentity === undefined ? {} : { "sts:SourceIdentity": sourceIdentity }),
    },
  });
  return {
    target: { role, request, sourceIdentity },
    checks: [
      check(action),
      ...(Object.keys(request.tags).length === 0 ? [] : [check("sts:TagSession")]),
      ...(sourceIdentity === undefined ? [] : [check("sts:SetSourceIdentity")]),
    ],
  };
}

/** Service Authorization Reference, AWS STS: AssumeRole has `aws:ResourceTag/KEY` and `iam:ResourceTag/KEY`. */
const roleTagContext = ({ tags }: AssumableRole): ContextValues =>
  Object.fromEntries(
    Object.entries(tags).flatMap(([key, value]) => [
      [`aws:ResourceTag/${key}`, value],
      [`iam:ResourceTag/${key}`, value],
    ]),
  );

export interface OpenedRoleSession extends Issued {
  readonly principal: Principal;
  readonly packedPolicySize: number | undefined;
}

/** Opens the session of a role whose trust was asked. Throws ValidationError when it would last too long. */
export async function openRoleSession(
  deps: StsDeps,
  { call, read }: OperationContext,
  target: RoleTarget,
  wanted: {
    readonly sessionName: string;
    readonly seconds: number | undefined;
    readonly federation?: NonNullable<Principal["session"]>["federation"];
  },
): Promise<OpenedRoleSession> {
  const { role, request, sourceIdentity } = target;
  if (role === null) throw new Error("a role that does not exist was permitted to be assumed");
  const seconds = wanted.seconds ?? SESSION_SECONDS_DEFAULT;
  if (seconds > role.maxSessionSeconds) {
    throw stsValidationError("The requested DurationSeconds exceeds the MaxSessionDuration set for this role.");
  }
  await requirePolicies(deps, read, role.accountId, request.limits);
  const size = packedPolicySize(request);
  const { sessionName, federation } = wanted;
  const principal: Principal = {
    type: "AssumedRole",
    // The role's path is no part of it.
    arn: formatArn("sts", "", role.accountId, `assumed-role/${role.roleName}/${sessionName}`),
    accountId: role.accountId,
    userId: `${role.roleId}:${sessionName}`,
    session: {
      issuerArn: role.arn,
      issuerId: role.roleId,
      name: sessionName,
      issuedAtMs: call.nowMs,
      mfa: false,
      tags: request.tags,
      limits: request.limits,
      ...(request.transitiveTagKeys.length === 0 ? {} : { transitiveTagKeys: request.transitiveTagKeys }),
      ...(sourceIdentity === undefined ? {} : { sourceIdentity }),
      ...(federation === undefined ? {} : { federation }),
    },
  };
  const issued = issueCredentials(deps, principal, call.nowMs, seconds);
  return { ...issued, principal, packedPolicySize: size };
}

export const assumedRoleUser = ({
  userId,
  arn,
}: Principal): { readonly AssumedRoleId: string; readonly Arn: string } => ({
  AssumedRoleId: userId,
  Arn: arn,
});

/** What an event says of an opened session, and on which role. */
export const sessionAudit = (
  { shown, principal, packedPolicySize: size }: OpenedRoleSession,
  role: AssumableRole | null,
  more: Readonly<Record<string, unknown>> = {},
): AuditDetails => ({
  responseElements: {
    credentials: shown,
    assumedRoleUser: { assumedRoleId: principal.userId, arn: principal.arn },
    ...(size === undefined ? {} : { packedPolicySize: size }),
    ...more,
  },
  ...(role === null ? {} : { resources: [{ type: "AWS::IAM::Role", arn: role.arn, accountId: role.accountId }] }),
});

/** As CloudTrail writes the members that both operations have. */
export const describedPolicies = (input: {
  readonly Policy?: string | undefined;
  readonly PolicyArns?: readonly PolicyDescriptorType[] | undefined;
  readonly DurationSeconds?: number | undefined;
}): Readonly<Record<string, unknown>> => ({
  ...(input.DurationSeconds === undefined ? {} : { durationSeconds: input.DurationSeconds }),
  ...(input.Policy === undefined ? {} : { policy: input.Policy }),
  ...(input.PolicyArns === undefined ? {} : { policyArns: input.PolicyArns.map(({ arn }) => ({ arn })) }),
});
