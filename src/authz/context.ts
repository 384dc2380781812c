import { parseArn } from "../base/arn.ts";
import type { ContextValue, ContextValues, RequestContext } from "./types.ts";
import { foldName } from "./values.ts";

/** What the global condition keys are taken from. A gateway `Call` is one. */
export interface CallFacts {
  readonly principal: {
    readonly type: "Root" | "User" | "AssumedRole" | "FederatedUser" | "Service";
    readonly arn: string;
    readonly accountId: string;
    readonly userId: string;
    readonly userName?: string;
    readonly session?: {
      readonly issuerArn: string;
      readonly issuedAtMs: number;
      readonly mfa: boolean;
      readonly tags: Readonly<Record<string, string>>;
    };
  };
  readonly region: string;
  readonly nowMs: number;
  readonly sourceIp: string;
  readonly userAgent: string;
  readonly secureTransport: boolean;
  readonly via?: { readonly service: string };
  /** For which resource a service calls on its own. */
  readonly sourceArn?: string;
}

export interface ContextOptions {
  /** The tags of the user or role; tags of the session win over them. */
  readonly principalTags: Readonly<Record<string, string>>;
  readonly resourceAccountId: string;
  /** The operation's own keys, e.g. `kms:EncryptionContext:stream`, `aws:RequestTag/team`. They do not replace a global key. */
  readonly own?: ContextValues;
}

/** How `aws:PrincipalType` calls them; requests of services carry no such key. */
const PRINCIPAL_TYPES = {
  Root: "Account",
  User: "User",
  AssumedRole: "AssumedRole",
  FederatedUser: "FederatedUser",
} as const;
const IPV4_MAPPED = "::ffff:";

/**
 * All condition keys of a request under lower-cased names (IAM User Guide, "AWS global condition context keys"). A key that
 * does not apply is absent, never empty: operators treat the two differently.
 */
export function requestContext(call: CallFacts, options: ContextOptions): Map<string, ContextValue> {
  const context = new Map<string, ContextValue>();
  addOwn(context, options.own ?? {});
  addCall(context, call);
  addPrincipal(context, call.principal, options.principalTags);
  addSource(context, call);
  context.set("aws:resourceaccount", options.resourceAccountId);
  return context;
}

export interface LazyContextOptions extends Omit<ContextOptions, "own"> {
  /** Not called before a key is asked for. */
  readonly own: () => ContextValues;
  /** Told of every key that a policy asks for, lower-cased. */
  readonly onAsked: (name: string) => void;
}

/** The same keys as `requestContext`, made when a policy asks for one: most statements have no conditions. */
export function lazyContext(call: CallFacts, options: LazyContextOptions): RequestContext {
  let own: Map<string, ContextValue> | null = null;
  let all: Map<string, ContextValue> | null = null;
  const ownKeys = (): Map<string, ContextValue> => {
    const made = new Map<string, ContextValue>();
    addOwn(made, options.own());
    return made;
  };
  return {
    get(name) {
      options.onAsked(name);
      // Global keys are all of `aws:`; an operation's own may be, too (tags).
      if (!name.startsWith("aws:")) return (own ??= ownKeys()).get(name);
      return (all ??= requestContext(call, { ...options, own: options.own() })).get(name);
    },
  };
}

/**
 * Names that differ only in case are one condition key (an encryption context may hold `Team` and `team`), whose values
 * stand side by side, so that neither hides the other.
 */
function addOwn(context: Map<string, ContextValue>, own: ContextValues): void {
  const several = new Map<string, (string | readonly string[])[]>();
  const written = new Map<string, string | readonly string[]>();
  for (const [name, value] of Object.entries(own)) {
    const folded = foldName(name);
    const present = written.get(folded);
    if (present === undefined) written.set(folded, value);
    else {
      const alternatives = several.get(folded) ?? [present];
      alternatives.push(value);
      several.set(folded, alternatives);
    }
  }
  for (const [name, value] of written) {
    const alternatives = several.get(name);
    context.set(name, alternatives === undefined ? value : { alternatives });
  }
}

/**
 * A request that a service makes for its caller comes from the service: the caller's address is not in it (so that
 * conditions on aws:SourceIp do not hold, as in AWS), and the user agent is the service's name.
 */
function addCall(context: Map<string, ContextValue>, call: CallFacts): void {
  context.set("aws:currenttime", iso8601(call.nowMs));
  context.set("aws:epochtime", String(Math.floor(call.nowMs / 1000)));
  context.set("aws:requestedregion", call.region);
  context.set("aws:securetransport", String(call.secureTransport));
  context.set("aws:viaawsservice", String(call.via !== undefined));
  if (call.via === undefined) {
    context.set("aws:sourceip", plainAddress(call.sourceIp));
    if (call.userAgent !== "") context.set("aws:useragent", call.userAgent);
    return;
  }
  const name = `${call.via.service}.amazonaws.com`;
  context.set("aws:useragent", name);
  context.set("aws:calledvia", [name]);
  context.set("aws:calledviafirst", name);
  context.set("aws:calledvialast", name);
}

/** Present only when a service itself is the caller (IAM User Guide, aws:SourceArn). */
function addSource(context: Map<string, ContextValue>, { principal, sourceArn }: CallFacts): void {
  if (principal.type !== "Service" || sourceArn === undefined) return;
  context.set("aws:sourcearn", sourceArn);
  const accountId = parseArn(sourceArn)?.accountId ?? "";
  if (accountId !== "") context.set("aws:sourceaccount", accountId);
}

function addPrincipal(
  context: Map<string, ContextValue>,
  principal: CallFacts["principal"],
  tags: Readonly<Record<string, string>>,
): void {
  const { session } = principal;
  context.set("aws:userid", principal.userId);
  context.set("aws:principalisawsservice", String(principal.type === "Service"));
  if (principal.type === "Service") {
    context.set("aws:principalservicename", principal.arn);
    return;
  }
  context.set("aws:principaltype", PRINCIPAL_TYPES[principal.type]);
  context.set("aws:principalaccount", principal.accountId);
  // For a role session this is the role, so that a condition holds for all its sessions.
  const arn = principal.type === "AssumedRole" && session !== undefined ? session.issuerArn : principal.arn;
  context.set("aws:principalarn", arn);
  if (principal.type === "User" && principal.userName !== undefined) context.set("aws:username", principal.userName);
  for (const [key, value] of Object.entries(tags)) context.set(`aws:principaltag/${foldName(key)}`, value);
  if (session === undefined) return;
  for (const [key, value] of Object.entries(session.tags)) context.set(`aws:principaltag/${foldName(key)}`, value);
  // Both exist for temporary credentials only.
  context.set("aws:tokenissuetime", iso8601(session.issuedAtMs));
  context.set("aws:multifactorauthpresent", String(session.mfa));
}

/** To the second, as AWS writes it. */
const iso8601 = (ms: number): string => `${new Date(ms).toISOString().slice(0, 19)}Z`;

/** A socket that listens on both families reports IPv4 peers in IPv6's notation; conditions may compare the text. */
const plainAddress = (ip: string): string =>
  ip.startsWith(IPV4_MAPPED) && ip.includes(".") ? ip.slice(IPV4_MAPPED.length) : ip;
