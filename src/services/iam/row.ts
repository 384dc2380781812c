/** What the rows of IAM's table have in common: how a user or policy is found and guarded, and what an event says of it. */
import { madeNow } from "../../base/lazy.ts";
import { accountRootArn } from "../../base/arn.ts";
import type { ContextValues } from "../../authz/types.ts";
import { eventTime } from "../../base/time.ts";
import type {
  Access,
  AccessCheck,
  AuditDetails,
  AuditResource,
  Operation,
  OperationContext,
} from "../../gateway/contract.ts";
import type { Reader } from "../../store/table.ts";
import { entityAccess, entityResource, existingEntity, resourceTagContext, userKind } from "./entities.ts";
import type { EntityTarget } from "./entities.ts";
import { iamValidationError } from "./errors.ts";
import { findPolicy } from "./policy-lookup.ts";
import type { ManagedPolicy } from "./policy-lookup.ts";
import { accounts } from "./records.ts";
import type { AccountRecord, UserRecord } from "./records.ts";
import type { Operations, Tag as WireTag } from "./shapes.generated.ts";

export type Row<Name extends keyof Operations, Target> = Operation<
  Operations[Name]["input"],
  Operations[Name]["output"],
  Target
>;

export type UserTarget = EntityTarget<UserRecord>;

export const existing = (target: UserTarget): UserRecord => existingEntity(userKind, target);

export async function accountOf(read: Reader, accountId: string): Promise<AccountRecord> {
  const account = await read.get(accounts, [accountId]);
  if (account === null) throw new Error("an authenticated principal's account has no record");
  return account;
}

/** IAM's table or a part of it: each row has the types of its operation; what its target is, is its own affair. */
// oxlint-disable-next-line no-explicit-any -- targets differ from row to row and never leave theirs
export type Rows = { readonly [Name in keyof Operations]?: Row<Name, any> };

/** `aws:RequestTag/…` and `aws:TagKeys`. */
export const requestTagContext = (tags: readonly WireTag[] | undefined): ContextValues =>
  tags === undefined || tags.length === 0
    ? {}
    : {
        ...Object.fromEntries(tags.map(({ Key, Value }) => [`aws:RequestTag/${Key}`, Value])),
        "aws:TagKeys": tags.map(({ Key }) => Key),
      };

/**
 * What is asked of who makes something: with tags, also the permission to tag it, or whoever may create but not tag could set
 * the tags that policies decide by (IAM User Guide, "Controlling access to AWS resources using tags").
 */
export function creationChecks(
  create: AccessCheck,
  tagAction: string,
  tags: readonly WireTag[] | undefined,
): readonly AccessCheck[] {
  if (tags === undefined || tags.length === 0) return [create];
  const context = requestTagContext(tags);
  const { resource, resourceAccountId } = create;
  return [
    { ...create, context: { ...madeNow(create.context ?? {}), ...context } },
    { action: tagAction, resource, resourceAccountId, context },
  ];
}

/** The same for a user or role, which may be made with a permissions boundary. */
export const boundedCreationChecks = (
  accountId: string,
  arn: string,
  { action, tagAction }: { readonly action: string; readonly tagAction: string },
  input: { readonly PermissionsBoundary?: string | undefined; readonly Tags?: readonly WireTag[] | undefined },
): readonly AccessCheck[] => {
  const { PermissionsBoundary, Tags } = input;
  const context = PermissionsBoundary === undefined ? {} : { "iam:PermissionsBoundary": PermissionsBoundary };
  return creationChecks({ action, resource: arn, resourceAccountId: accountId, context }, tagAction, Tags);
};

/** Access to one user. */
export const userAccess = <Input extends { readonly UserName: string }>(
  action: string,
  extra?: (input: Input, user: UserRecord | null) => ContextValues,
): ((context: OperationContext, input: Input) => Promise<Access<UserTarget>>) => entityAccess(userKind, action, extra);

/** Whose access keys a request is about: a user's, or those of the account's root. */
export type OwnerTarget = { readonly type: "root" } | ({ readonly type: "user" } & UserTarget);

/** Access to the user that the request names or, where it names none, to the caller itself. */
export function ownerAccess(
  action: string,
): (context: OperationContext, input: { readonly UserName?: string | undefined }) => Promise<Access<OwnerTarget>> {
  const named = userAccess(action);
  return async (context, input) => {
    const { principal } = context.call;
    if (input.UserName === undefined && principal.type === "Root") {
      const { accountId } = principal;
      return {
        target: { type: "root" },
        checks: [{ action, resource: accountRootArn(accountId), resourceAccountId: accountId }],
      };
    }
    const userName = input.UserName ?? (principal.type === "User" ? principal.userName : undefined);
    if (userName === undefined) {
      throw iamValidationError("Must specify userName when calling with non-User credentials");
    }
    const { checks, target } = await named(context, { UserName: userName });
    return { checks, target: { type: "user", ...target } };
  };
}

/** Access to one managed policy. The account in the ARN of AWS's own policies is not a real one: the caller's stands in. */
export function policyAccess<Input extends { readonly PolicyArn: string }>(
  action: string,
  extra: (input: Input) => ContextValues = () => ({}),
): (context: OperationContext, input: Input) => Promise<Access<ManagedPolicy | null>> {
  return async ({ call, read }, input) => {
    const { accountId } = call.principal;
    const policy = await findPolicy(read, accountId, input.PolicyArn);
    return {
      target: policy,
      checks: [
        {
          action,
          resource: input.PolicyArn,
          resourceAccountId: accountId,
          context: { ...resourceTagContext(policy?.tags ?? []), ...extra(input) },
        },
      ],
    };
  };
}

/** Access to an operation that names no resource. */
export const listAccess =
  (action: string): ((context: OperationContext) => Promise<Access<null>>) =>
  async ({ call }) => ({
    target: null,
    checks: [{ action, resource: "*", resourceAccountId: call.principal.accountId }],
  });

export const userResource = (user: UserRecord): AuditResource => entityResource(userKind, user);

export const policyResource = (arn: string, accountId: string): AuditResource => ({
  type: "AWS::IAM::Policy",
  arn,
  accountId,
});

/**
 * As CloudTrail writes IAM's names and times: `UserName` becomes `userName`, a date `Nov 22, 2026, 9:46:33 AM`. No input that
 * IAM takes here holds a secret.
 */
function lowerCamel(value: unknown, isDate = false): unknown {
  if (isDate && typeof value === "number") return eventTime(value);
  if (Array.isArray(value)) return value.map((item: unknown) => lowerCamel(item));
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([, member]) => member !== undefined)
      .map(([name, member]) => [
        name.charAt(0).toLowerCase() + name.slice(1),
        lowerCamel(member, name.endsWith("Date")),
      ]),
  );
}

export const describe = (input: object): AuditDetails => ({
  requestParameters: lowerCamel(input) as Readonly<Record<string, unknown>>,
});

/** `responseElements` from an output. */
export const responseElements = (output: object): Readonly<Record<string, unknown>> =>
  lowerCamel(output) as Readonly<Record<string, unknown>>;
