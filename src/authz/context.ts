import { type Lazy, madeNow } from "../base/lazy.ts";
import { parseArn } from "../base/arn.ts";
import { isoSeconds } from "../base/time.ts";
import type { ContextValue, ContextValues, RequestContext } from "./types.ts";
import { foldedOwn, ownLookUp } from "./own-keys.ts";
import { foldName } from "./values.ts";

/** What the global condition keys are taken from. A gateway `Call` is one. */
export interface CallFacts {
  readonly principal: {
    readonly type: "Root" | "User" | "AssumedRole" | "FederatedUser" | "WebIdentity" | "Service";
    readonly arn: string;
    readonly accountId: string;
    readonly userId: string;
    readonly userName?: string;
    readonly session?: {
      readonly issuerArn: string;
      readonly issuedAtMs: number;
      readonly mfa: boolean;
      readonly tags: Readonly<Record<string, string>>;
      readonly sourceIdentity?: string;
      readonly federation?: { readonly provider: string; readonly claims: Readonly<Record<string, string>> };
    };
  };
  readonly region: string;
  readonly nowMs: number;
  readonly sourceIp: string;
  readonly userAgent: string;
  readonly referer?: string | undefined;
  readonly secureTransport: boolean;
  /** `before`: further services of the chain, the first caller first. */
  readonly via?: { readonly service: string; readonly before?: readonly string[] };
  /** For which resource a service calls on its own. */
  readonly sourceArn?: string;
}

/** Where an account stands in its organization. */
export interface OrganizationPlace {
  /** `o-…` */
  readonly id: string;
  /** From the organization down to the account's unit, `o-…/r-…/ou-…/`, with the slash at its end. */
  readonly path: string;
}

/** The organizations of those that take part in a request; absent: in none, or nobody asked. */
export interface OrganizationPlaces {
  readonly principal?: OrganizationPlace | null;
  readonly resource?: OrganizationPlace | null;
  readonly source?: OrganizationPlace | null;
}

/** An operation's own condition keys, made now if they were not before. */
export const ownContext = (context: Lazy<ContextValues> | undefined): ContextValues => madeNow(context ?? {});

export interface ContextOptions {
  /** The tags of the user or role; tags of the session win over them. */
  readonly principalTags: Readonly<Record<string, string>>;
  readonly resourceAccountId: string;
  /** The operation's own keys, e.g. `kms:EncryptionContext:stream`, `aws:RequestTag/team`. They do not replace a global key. */
  readonly own?: ContextValues;
  readonly organizations?: OrganizationPlaces;
}

/** How `aws:PrincipalType` calls them; requests of services carry no such key. */
const PRINCIPAL_TYPES = {
  Root: "Account",
  User: "User",
  AssumedRole: "AssumedRole",
  FederatedUser: "FederatedUser",
} as const;
const IPV4_MAPPED = "::ffff:";

/** How the IAM User Guide writes the names of the global keys that there can be here, for whoever shows them to people. */
export const GLOBAL_KEYS: readonly string[] = [
  "aws:CalledVia",
  "aws:CalledViaFirst",
  "aws:CalledViaLast",
  "aws:CurrentTime",
  "aws:EpochTime",
  "aws:FederatedProvider",
  "aws:MultiFactorAuthAge",
  "aws:MultiFactorAuthPresent",
  "aws:PrincipalAccount",
  "aws:PrincipalArn",
  "aws:PrincipalIsAWSService",
  "aws:PrincipalOrgID",
  "aws:PrincipalOrgPaths",
  "aws:PrincipalServiceName",
  "aws:PrincipalServiceNamesList",
  "aws:PrincipalType",
  "aws:Referer",
  "aws:RequestedRegion",
  "aws:ResourceAccount",
  "aws:ResourceOrgID",
  "aws:ResourceOrgPaths",
  "aws:SecureTransport",
  "aws:SourceAccount",
  "aws:SourceArn",
  "aws:SourceIdentity",
  "aws:SourceIp",
  "aws:SourceOrgID",
  "aws:SourceOrgPaths",
  "aws:TokenIssueTime",
  "aws:UserAgent",
  "aws:ViaAWSService",
  "aws:userid",
  "aws:username",
];

const ORGANIZATION_KEY = /^aws:(principal|resource|source)org(id|paths)$/;

/** Whether a key (in lower case) can be answered only by whoever keeps the organization. */
export const isOrganizationKey = (name: string): boolean => ORGANIZATION_KEY.test(name);

/**
 * All condition keys of a request under lower-cased names (IAM User Guide, "AWS global condition context keys"). A key that
 * does not apply is absent, never empty: operators treat the two differently.
 */
export function requestContext(call: CallFacts, options: ContextOptions): Map<string, ContextValue> {
  const context = foldedOwn(options.own ?? {});
  addClaims(context, call.principal);
  for (const add of Object.values(SECTIONS)) add(context, call, options);
  return context;
}

type AddSection = (
  context: Map<string, ContextValue>,
  call: CallFacts,
  options: Pick<ContextOptions, "principalTags" | "resourceAccountId" | "organizations">,
) => void;

/**
 * The global keys, all of `aws:`; they take the place of an operation's own. In sections, because times and tags cost more to
 * write than everything else, and hardly a policy asks for them.
 */
const SECTIONS: Readonly<Record<"global" | "times" | "tags", AddSection>> = {
  global: addGlobal,
  times: addTimes,
  tags: (context, { principal }, { principalTags }) => addTags(context, principal, principalTags),
};

function sectionOf(name: string): keyof typeof SECTIONS {
  if (name === "aws:currenttime" || name === "aws:tokenissuetime") return "times";
  return name.startsWith("aws:principaltag/") ? "tags" : "global";
}

function addGlobal(
  context: Map<string, ContextValue>,
  call: CallFacts,
  options: Pick<ContextOptions, "resourceAccountId" | "organizations">,
): void {
  addCall(context, call);
  addPrincipal(context, call);
  addSource(context, call);
  context.set("aws:resourceaccount", options.resourceAccountId);
  addOrganizations(context, call.principal.type, options.organizations ?? {});
}

export interface LazyContextOptions extends Omit<ContextOptions, "own"> {
  /** Not called before a key is asked for. */
  readonly own: () => ContextValues;
  /** Told of every key that a policy asks for, lower-cased. */
  readonly onAsked: (name: string) => void;
}

/** The same keys as `requestContext`, made when a policy asks for one: most statements have no conditions. */
export function lazyContext(call: CallFacts, options: LazyContextOptions): RequestContext {
  let own: ((name: string) => ContextValue | undefined) | null = null;
  let global: Map<string, ContextValue> | null = null;
  let claims: Map<string, ContextValue> | null = null;
  const made = { global: false, times: false, tags: false };
  const globalValue = (name: string): ContextValue | undefined => {
    global ??= new Map();
    const section = sectionOf(name);
    if (!made[section]) SECTIONS[section](global, call, options);
    made[section] = true;
    return global.get(name);
  };
  return {
    get(name) {
      options.onAsked(name);
      // Global keys are all of `aws:`; an operation's own may be, too (tags).
      const ofServer = name.startsWith("aws:") ? globalValue(name) : undefined;
      const value = ofServer ?? (own ??= ownLookUp(options.own()))(name);
      if (value !== undefined || call.principal.session?.federation === undefined) return value;
      if (claims === null) addClaims((claims = new Map()), call.principal);
      return claims.get(name);
    },
  };
}

/** What stands before the last colon of a claim's key: a provider's host (with a path), never the prefix of a service. */
const PROVIDER_HOST = /^(?:localhost|[^:/]*\.)[^]*:[^:]+$/;

/**
 * What the identity provider said of whoever opened the session, as `HOST:sub` and so on: there in the session's later
 * requests, too (IAM User Guide, "Available keys for AWS OIDC federation"). A service's own keys and the global ones are there
 * before them and stay, so that no provider can speak for the server, whatever it is called.
 */
function addClaims(context: Map<string, ContextValue>, { session }: CallFacts["principal"]): void {
  if (session?.federation === undefined) return;
  for (const [key, value] of Object.entries(session.federation.claims)) {
    const name = foldName(key);
    if (!name.startsWith("aws:") && PROVIDER_HOST.test(name) && !context.has(name)) context.set(name, value);
  }
}

const hostOf = (service: string): string => `${service}.amazonaws.com`;

/**
 * A request that a service makes for its caller comes from the service: the caller's address is not in it (so that
 * conditions on aws:SourceIp do not hold, as in AWS), and the user agent is the service's name.
 */
function addCall(context: Map<string, ContextValue>, call: CallFacts): void {
  context.set("aws:epochtime", String(Math.floor(call.nowMs / 1000)));
  context.set("aws:requestedregion", call.region);
  context.set("aws:securetransport", String(call.secureTransport));
  context.set("aws:viaawsservice", String(call.via !== undefined));
  if (call.via === undefined) {
    context.set("aws:sourceip", plainAddress(call.sourceIp));
    if (call.userAgent !== "") context.set("aws:useragent", call.userAgent);
    if (call.referer !== undefined) context.set("aws:referer", call.referer);
    return;
  }
  const chain = [...(call.via.before ?? []), call.via.service].map(hostOf);
  context.set("aws:useragent", hostOf(call.via.service));
  context.set("aws:calledvia", chain);
  context.set("aws:calledviafirst", chain[0] ?? "");
  context.set("aws:calledvialast", hostOf(call.via.service));
}

/** Present only when a service itself is the caller (IAM User Guide, aws:SourceArn). */
function addSource(context: Map<string, ContextValue>, { principal, sourceArn }: CallFacts): void {
  if (principal.type !== "Service" || sourceArn === undefined) return;
  context.set("aws:sourcearn", sourceArn);
  const accountId = parseArn(sourceArn)?.accountId ?? "";
  if (accountId !== "") context.set("aws:sourceaccount", accountId);
}

function addPrincipal(context: Map<string, ContextValue>, { principal, region, nowMs }: CallFacts): void {
  // No principal of AWS yet: all that is known of it are its claims, which the operation adds.
  if (principal.type === "WebIdentity") return;
  const { session } = principal;
  context.set("aws:userid", principal.userId);
  context.set("aws:principalisawsservice", String(principal.type === "Service"));
  if (principal.type === "Service") {
    context.set("aws:principalservicename", principal.arn);
    // A service also goes by its name in the Region (IAM User Guide, aws:PrincipalServiceNamesList).
    context.set("aws:principalservicenameslist", [
      principal.arn,
      principal.arn.replace(/\.amazonaws\.com$/, `.${region}.amazonaws.com`),
    ]);
    return;
  }
  context.set("aws:principaltype", PRINCIPAL_TYPES[principal.type]);
  context.set("aws:principalaccount", principal.accountId);
  // For a role session this is the role, so that a condition holds for all its sessions.
  const arn = principal.type === "AssumedRole" && session !== undefined ? session.issuerArn : principal.arn;
  context.set("aws:principalarn", arn);
  if (principal.type === "User" && principal.userName !== undefined) context.set("aws:username", principal.userName);
  if (session !== undefined) addSession(context, session, nowMs);
}

function addTimes(context: Map<string, ContextValue>, { principal, nowMs }: CallFacts): void {
  context.set("aws:currenttime", isoSeconds(nowMs));
  if (principal.session !== undefined && isOfAws(principal)) {
    context.set("aws:tokenissuetime", isoSeconds(principal.session.issuedAtMs));
  }
}

function addTags(
  context: Map<string, ContextValue>,
  principal: CallFacts["principal"],
  tags: Readonly<Record<string, string>>,
): void {
  if (!isOfAws(principal)) return;
  for (const key of Object.keys(tags)) context.set(`aws:principaltag/${foldName(key)}`, tags[key] ?? "");
  const ofSession = principal.session?.tags ?? {};
  for (const key of Object.keys(ofSession)) context.set(`aws:principaltag/${foldName(key)}`, ofSession[key] ?? "");
}

/** Services, and those whom only an identity provider knows, have neither tags nor credentials that were issued here. */
const isOfAws = ({ type }: CallFacts["principal"]): boolean => type !== "Service" && type !== "WebIdentity";

/** What exists for temporary credentials only. */
function addSession(
  context: Map<string, ContextValue>,
  session: NonNullable<CallFacts["principal"]["session"]>,
  nowMs: number,
): void {
  context.set("aws:multifactorauthpresent", String(session.mfa));
  // The device was asked when the credentials were issued.
  if (session.mfa) {
    context.set("aws:multifactorauthage", String(Math.max(0, Math.floor((nowMs - session.issuedAtMs) / 1000))));
  }
  if (session.sourceIdentity !== undefined) context.set("aws:sourceidentity", session.sourceIdentity);
  if (session.federation !== undefined) context.set("aws:federatedprovider", session.federation.provider);
}

/** A service is in no organization; whoever made it call (aws:SourceArn) may be. */
function addOrganizations(
  context: Map<string, ContextValue>,
  type: CallFacts["principal"]["type"],
  { principal, resource, source }: OrganizationPlaces,
): void {
  const add = (whose: string, place: OrganizationPlace | null | undefined): void => {
    if (!place) return;
    context.set(`aws:${whose}orgid`, place.id);
    context.set(`aws:${whose}orgpaths`, [place.path]);
  };
  if (type === "Service") add("source", source);
  else if (type !== "WebIdentity") add("principal", principal);
  add("resource", resource);
}

/** A socket that listens on both families reports IPv4 peers in IPv6's notation; conditions may compare the text. */
const plainAddress = (ip: string): string =>
  ip.startsWith(IPV4_MAPPED) && ip.includes(".") ? ip.slice(IPV4_MAPPED.length) : ip;
