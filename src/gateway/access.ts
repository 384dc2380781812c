import {
  isOrganizationKey,
  lazyContext,
  type OrganizationPlace,
  type OrganizationPlaces,
  requestContext,
} from "../authz/context.ts";
import { decide, decideByGrants, isOpenToGrants } from "../authz/decide.ts";
import type { PrincipalPolicies } from "../authz/policy-source.ts";
import type { AuthorizationRequest, Decision } from "../authz/types.ts";
import { parseArn } from "../base/arn.ts";
import type { AccessCheck, Call, Service } from "./contract.ts";
import { AccessDenial } from "./denial-record.ts";

/** Port: where an account stands in its organization; null when it is in none. Implemented by services/organizations. */
export type OrganizationOf = (accountId: string) => Promise<OrganizationPlace | null>;

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
  const question = ask(call, service, check, policies, null);
  const request = authorizationRequest(question);
  const decision = decide(request);
  if (question.needsOrganizations && organizationOf !== null) return askAgain(question, organizationOf);
  return settle(question, request, decision);
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
  const question = ask(call, service, check, policies, { principal, resource, source: ofSource });
  const request = authorizationRequest(question);
  return settle(question, request, decide(request));
}

function settle(question: Question, request: AuthorizationRequest, decision: Decision): boolean | Promise<boolean> {
  if (decision.allowed) return question.repeatable;
  if (question.check.grants === undefined || !isOpenToGrants(decision)) throw denied(question, request, decision);
  return question.check.grants().then((grants) => {
    const byGrants = decideByGrants(request, decision, grants);
    if (byGrants.allowed) return question.repeatable;
    throw denied(question, request, byGrants);
  });
}

function denied(question: Question, request: AuthorizationRequest, decision: Decision): AccessDenial {
  const { call, service, check, policies, organizations, asked } = question;
  return new AccessDenial(service, {
    call,
    check,
    request,
    decision,
    asked: asked ?? new Set(),
    conditions: () =>
      requestContext(seenFrom(call, check), {
        principalTags: policies.tags,
        resourceAccountId: check.resourceAccountId,
        own: check.context ?? {},
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
      own: () => check.context ?? {},
      ...(organizations === null ? {} : { organizations }),
      onAsked: (name) => noteAsked(question, name),
    }),
  };
}
