import {
  isOrganizationKey,
  lazyContext,
  type OrganizationPlace,
  type OrganizationPlaces,
  ownContext,
  requestContext,
} from "../authz/context.ts";
import { allowsPrincipal, decide, decideByGrants, isOpenToGrants } from "../authz/decide.ts";
import type { PrincipalPolicies } from "../authz/policy-source.ts";
import type { AuthorizationRequest, Decision } from "../authz/types.ts";
import { parseArn } from "../base/arn.ts";
import type { Reader } from "../store/table.ts";
import type { AccessCheck, AppliedGrant, Call, Service } from "./contract.ts";
import { AccessDenial } from "./denial-record.ts";

/** Port: where an account stands in its organization; null when it is in none. Implemented by services/organizations. */
export type OrganizationOf = (accountId: string) => Promise<OrganizationPlace | null>;

/**
 * Port: may an account's resources be used? Not those of one that was closed: its keys are unusable and its policies let
 * nobody in (AWS Account Management, "Close an account"). Implemented by services/iam.
 */
export type IsAccountClosed = (read: Reader, accountId: string) => Promise<boolean>;

/** A check on a resource of a closed account: as if the resource's owner had never trusted anybody. */
export function closedTo({ grants: _grants, ownersContext: _own, ...check }: AccessCheck): AccessCheck {
  return { ...check, resourcePolicy: null, resourcePolicyMode: "required" };
}

/** One question on its way to its answer. */
interface Question {
  readonly call: Call;
  readonly service: Service;
  readonly check: AccessCheck;
  readonly policies: PrincipalPolicies;
  readonly organizations: OrganizationPlaces | null;
  /** Would the answer be the same the next time, as long as no record changes? */
  repeatable: boolean;
  /** A policy asked for a key of an organization. */
  needsOrganizations: boolean;
  /** The condition keys that policies asked for; null: none yet. */
  asked: Set<string> | null;
}

/**
 * Throws the service's denial unless every policy that has a say, or a grant, allows the check. Answers whether the same principal would
 * be allowed the same again as long as no record changes: not when a policy asked for the time, or for where the request
 * came from. Answers at once but where grants or organizations are looked for, because nearly every request is allowed by a policy.
 */
export function requireAccess(
  call: Call,
  service: Service,
  check: AccessCheck,
  policies: PrincipalPolicies,
  organizationOf: OrganizationOf | null = null,
): boolean | Promise<boolean> {
  const first = ask(call, service, check, policies, null);
  const answer = decided(first);
  const needsOrganizations = first.needsOrganizations || answer.question.needsOrganizations;
  const again = organizationOf === null ? null : () => askAgain(first, organizationOf);
  return needsOrganizations && again !== null ? again() : settle(answer, again);
}

const ask = (
  call: Call,
  service: Service,
  check: AccessCheck,
  policies: PrincipalPolicies,
  organizations: OrganizationPlaces | null,
): Question => ({
  call,
  service,
  check,
  policies,
  organizations,
  repeatable: true,
  needsOrganizations: false,
  asked: null,
});

/** Decides anew, now that it is known that organizations matter: hardly any policy asks for them. */
async function askAgain(
  { call, service, check, policies }: Question,
  organizationOf: OrganizationOf,
): Promise<boolean> {
  const source = call.sourceArn === undefined ? "" : (parseArn(call.sourceArn)?.accountId ?? "");
  const { accountId } = call.principal;
  const [principal, resource, ofSource] = await Promise.all([
    accountId === "" ? null : organizationOf(accountId),
    organizationOf(check.resourceAccountId),
    source === "" ? null : organizationOf(source),
  ]);
  return settle(decided(ask(call, service, check, policies, { principal, resource, source: ofSource })), null);
}

interface Decided {
  readonly question: Question;
  readonly request: AuthorizationRequest;
  readonly decision: Decision;
  /** The question with the owner's condition keys, where the answer was given without them: for whom a grant lets in. */
  readonly told: Question | null;
}

const decidedOn = (question: Question): Decided => {
  const request = authorizationRequest(question);
  return { question, request, decision: decide(request), told: null };
};

/** With the owner's condition keys for whom they are: see `ownersContext`. */
function decided(question: Question): Decided {
  const { call, check } = question;
  if (check.ownersContext === undefined) return decidedOn(question);
  const { ownersContext, ...bare } = check;
  const told: Question = {
    ...question,
    check: { ...bare, context: () => ({ ...ownersContext, ...ownContext(check.context) }) },
  };
  const policy = check.resourcePolicy ?? null;
  const trusted =
    call.principal.accountId === check.resourceAccountId ||
    (policy !== null && allowsPrincipal(policy, authorizationRequest(told)));
  if (trusted) return decidedOn(told);
  const untold = decidedOn({
    ...question,
    check: bare,
    needsOrganizations: told.needsOrganizations,
    asked: told.asked,
  });
  if (!untold.decision.allowed) return { ...untold, told };
  // The resource's policy refuses by the very keys that are kept from the caller: it is as if it trusted nobody. It was there all
  // the same, for whoever asks why.
  const trustless: AccessCheck = { ...bare, resourcePolicy: null, resourcePolicyMode: "required" };
  return { ...untold, decision: decidedOn({ ...untold.question, check: trustless }).decision, told };
}

/** `again`: decides anew with organizations; null when they are known, or nobody knows them. */
function settle(
  { question, request, decision, told }: Decided,
  again: (() => Promise<boolean>) | null,
): boolean | Promise<boolean> {
  if (decision.allowed) return question.repeatable;
  // A deny of what is not tagged so and so may only be for want of the owner's keys: it counts once they are told.
  const isOpen = isOpenToGrants(decision) || told !== null;
  if (question.check.grants === undefined || !isOpen) throw denied(question, request, decision);
  return question.check.grants().then((grants) => {
    // Whom a grant lets in may know what the owner tells, and is held by its own account's denials that ask for it.
    if (told !== null && grants.length > 0) {
      const toldAnswer = decidedOn(told);
      return told.needsOrganizations && again !== null ? again() : settleByGrants(toldAnswer, grants);
    }
    return settleByGrants({ question, request, decision, told }, grants);
  });
}

function settleByGrants({ question, request, decision }: Decided, grants: readonly AppliedGrant[]): boolean {
  if (decision.allowed) return question.repeatable;
  if (!isOpenToGrants(decision)) throw denied(question, request, decision);
  const byGrants = decideByGrants(request, decision, grants);
  if (byGrants.allowed) return question.repeatable;
  throw denied(question, request, byGrants);
}

function denied(question: Question, request: AuthorizationRequest, decision: Decision): AccessDenial {
  const { call, service, check, policies, organizations, asked } = question;
  return new AccessDenial(service, {
    call,
    check,
    request,
    decision,
    principalTags: policies.tags,
    asked: asked ?? new Set(),
    conditions: () =>
      requestContext(seenFrom(call, check), {
        principalTags: policies.tags,
        resourceAccountId: check.resourceAccountId,
        own: ownContext(check.context),
        ...(organizations === null ? {} : { organizations }),
      }),
  });
}

/** Global condition keys that are the same in all requests of one principal, from one service, for one resource. */
const FIXED_KEYS: ReadonlySet<string> = new Set([
  "aws:principalarn",
  "aws:principalaccount",
  "aws:principaltype",
  "aws:principalisawsservice",
  "aws:principalservicename",
  "aws:principalservicenameslist",
  "aws:userid",
  "aws:username",
  "aws:tokenissuetime",
  "aws:multifactorauthpresent",
  "aws:sourceidentity",
  "aws:federatedprovider",
  "aws:requestedregion",
  "aws:resourceaccount",
  "aws:viaawsservice",
  "aws:calledvia",
  "aws:calledviafirst",
  "aws:calledvialast",
  "aws:sourcearn",
  "aws:sourceaccount",
]);

const isFixed = (name: string): boolean =>
  FIXED_KEYS.has(name) || name.startsWith("aws:principaltag/") || name.startsWith("aws:resourcetag/");

/** How many of the keys that policies asked for are marked for who asks why: policies may name any number. */
const ASKED_COUNT_MAX = 500;

function noteAsked(question: Question, name: string): void {
  const asked = (question.asked ??= new Set());
  if (asked.size < ASKED_COUNT_MAX) asked.add(name);
  if (!name.startsWith("aws:") || isFixed(name)) return;
  question.repeatable = false;
  if (isOrganizationKey(name)) question.needsOrganizations = true;
}

/** The call as conditions see it: an operation may reach into another Region. */
const seenFrom = (call: Call, check: AccessCheck): Call =>
  check.region === undefined ? call : { ...call, region: check.region };

function authorizationRequest(question: Question): AuthorizationRequest {
  const { call, check, policies, organizations } = question;
  const { principal } = call;
  return {
    principal: {
      type: principal.type,
      arn: principal.arn,
      accountId: principal.accountId,
      userId: principal.userId,
      ...(principal.session === undefined
        ? {}
        : { roleArn: principal.session.issuerArn, roleId: principal.session.issuerId }),
    },
    action: check.action,
    resource: check.resource,
    resourceAccountId: check.resourceAccountId,
    identityPolicies: policies.identityPolicies,
    boundary: policies.boundary,
    sessionPolicies: policies.sessionPolicies,
    serviceControlPolicies: policies.serviceControlPolicies,
    resourcePolicy: check.resourcePolicy ?? null,
    resourcePolicyMode: check.resourcePolicyMode ?? "optional",
    context: lazyContext(seenFrom(call, check), {
      principalTags: policies.tags,
      resourceAccountId: check.resourceAccountId,
      own: () => ownContext(check.context),
      ...(organizations === null ? {} : { organizations }),
      onAsked: (name) => noteAsked(question, name),
    }),
  };
}
