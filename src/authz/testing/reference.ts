/**
 * A second reading of the same rules, for tests only: slow, straight from the raw JSON at every question, and without a line
 * of the evaluator's code. Where the two differ, one of them has misread a rule. It takes valid policies only.
 */

type Json = string | number | boolean | null | readonly Json[] | { readonly [name: string]: Json };
type Values = Readonly<Record<string, string | readonly string[]>>;

export interface ReferenceRequest {
  readonly principal: {
    readonly type: "Root" | "User" | "AssumedRole" | "FederatedUser" | "Service";
    readonly arn: string;
    readonly accountId: string;
    readonly roleArn?: string;
  };
  readonly action: string;
  readonly resource: string;
  readonly resourceAccountId: string;
  /** Policies are documents in JSON. */
  readonly identityPolicies: readonly string[];
  readonly boundary: string | null;
  readonly sessionPolicies: readonly string[] | null;
  readonly serviceControlPolicies: readonly (readonly string[])[];
  readonly resourcePolicy: string | null;
  readonly resourcePolicyMode: "optional" | "required";
  /** How the grants that cover the request name the caller. */
  readonly grants: readonly ("exact" | "role" | "account")[];
  /** Names in lower case. */
  readonly context: Values;
}

export interface ReferenceDecision {
  readonly allowed: boolean;
  readonly reason: "allow" | "explicit" | "implicit";
  readonly kind: "identity" | "resource" | "session" | "boundary" | "service control" | "grant";
}

type Kind = ReferenceDecision["kind"];
interface Statement {
  readonly raw: Readonly<Record<string, Json>>;
  readonly version: string;
}

/** Grants are looked at last, and only where nothing said no in as many words. */
export function referenceDecide(request: ReferenceRequest): ReferenceDecision {
  const byPolicies = decideByPolicies(request);
  if (byPolicies.allowed || byPolicies.reason === "explicit" || byPolicies.kind === "service control")
    return byPolicies;
  const isRoot = request.principal.type === "Root";
  const withinBoundary = isRoot || request.boundary === null || allows([request.boundary], request);
  const withinSession = request.sessionPolicies === null || allows(request.sessionPolicies, request);
  const ownPolicies = isRoot || allows(request.identityPolicies, request);
  const effective = request.grants.some((match) => {
    if (match === "exact") return true;
    return withinBoundary && withinSession && (match === "role" || ownPolicies);
  });
  return effective ? yes("grant") : byPolicies;
}

function decideByPolicies(request: ReferenceRequest): ReferenceDecision {
  const sets: [Kind, string[]][] = [
    ["service control", request.serviceControlPolicies.flat()],
    ["resource", request.resourcePolicy === null ? [] : [request.resourcePolicy]],
    ["identity", [...request.identityPolicies]],
    ["boundary", request.boundary === null ? [] : [request.boundary]],
    ["session", [...(request.sessionPolicies ?? [])]],
  ];
  for (const [kind, documents] of sets) {
    const applies = statementsOf(documents).some(
      (s) => s.raw["Effect"] === "Deny" && names(s, request).length > 0 && covers(s, request),
    );
    if (applies) return { allowed: false, reason: "explicit", kind };
  }
  for (const level of request.serviceControlPolicies) if (!allows(level, request)) return no("service control");

  const granted = new Set(
    statementsOf(request.resourcePolicy === null ? [] : [request.resourcePolicy])
      .filter((s) => s.raw["Effect"] === "Allow" && covers(s, request))
      .flatMap((s) => names(s, request)),
  );
  const { type, accountId } = request.principal;
  if (type === "Service") return granted.size > 0 ? yes("resource") : no("resource");
  const own = accountId === request.resourceAccountId;
  if (own && (granted.has("self") || granted.has("everyone"))) return yes("resource");
  const throughRole = own && granted.has("role");
  if (granted.size === 0 && (!own || request.resourcePolicyMode === "required")) return no("resource");
  if (!throughRole && type !== "Root" && !allows(request.identityPolicies, request)) return no("identity");
  if (request.boundary !== null && type !== "Root" && !allows([request.boundary], request)) return no("boundary");
  if (request.sessionPolicies !== null && !allows(request.sessionPolicies, request)) return no("session");
  return yes(throughRole ? "resource" : "identity");
}

const yes = (kind: Kind): ReferenceDecision => ({ allowed: true, reason: "allow", kind });
const no = (kind: Kind): ReferenceDecision => ({ allowed: false, reason: "implicit", kind });

const allows = (documents: readonly string[], request: ReferenceRequest): boolean =>
  statementsOf(documents).some((s) => s.raw["Effect"] === "Allow" && covers(s, request));

function statementsOf(documents: readonly string[]): Statement[] {
  return documents.flatMap((document) => {
    const policy = JSON.parse(document) as Record<string, Json>;
    return listOf(policy["Statement"]).map((raw) => ({
      raw: raw as Record<string, Json>,
      version: policy["Version"] === "2012-10-17" ? "2012-10-17" : "2008-10-17",
    }));
  });
}

const listOf = (json: Json | undefined): readonly Json[] =>
  json === undefined ? [] : Array.isArray(json) ? (json as readonly Json[]) : [json];
const textsOf = (json: Json | undefined): string[] => listOf(json).map(String);

/** In which ways the statement's principal element names the caller; none: it does not. */
function names({ raw }: Statement, request: ReferenceRequest): string[] {
  const { principal } = request;
  if (raw["NotPrincipal"] !== undefined) {
    const listed = waysIn(raw["NotPrincipal"], principal);
    if (principal.type === "Service") return listed.length > 0 ? [] : ["everyone"];
    if (request.boundary !== null) return ["everyone"];
    if (listed.includes("everyone")) return [];
    const wanted: Record<string, string[]> = {
      Root: ["account"],
      User: ["account", "self"],
      FederatedUser: ["account", "self"],
      AssumedRole: ["account", "role", "self"],
    };
    return wanted[principal.type]?.every((way) => listed.includes(way)) ? [] : ["everyone"];
  }
  return raw["Principal"] === undefined ? ["identity policy"] : waysIn(raw["Principal"], principal);
}

function waysIn(element: Json, principal: ReferenceRequest["principal"]): string[] {
  const byType = element === "*" ? { AWS: "*" } : (element as Record<string, Json>);
  const aws = textsOf(byType["AWS"]);
  const ways: string[] = [];
  if (aws.includes("*")) ways.push("everyone");
  if (principal.type === "Service") {
    if (textsOf(byType["Service"]).includes(principal.arn)) ways.push("self");
    return ways;
  }
  const root = `arn:aws:iam::${principal.accountId}:root`;
  if (aws.includes(root) || aws.includes(principal.accountId)) ways.push("account");
  if (principal.type !== "Root" && aws.includes(principal.arn)) ways.push("self");
  if (principal.type === "AssumedRole" && aws.includes(principal.roleArn ?? "none")) ways.push("role");
  return ways;
}

function covers(statement: Statement, request: ReferenceRequest): boolean {
  const { raw, version } = statement;
  const action = request.action.toLowerCase();
  const isAction = (pattern: string): boolean => glob(wild(pattern.toLowerCase()), action);
  if (raw["Action"] !== undefined && !textsOf(raw["Action"]).some(isAction)) return false;
  if (raw["NotAction"] !== undefined && textsOf(raw["NotAction"]).some(isAction)) return false;
  const isResource = (pattern: string): boolean | null => {
    const characters = expand(pattern, version, request.context, true);
    return characters === null ? null : glob(characters, request.resource);
  };
  if (raw["Resource"] !== undefined && !textsOf(raw["Resource"]).some((pattern) => isResource(pattern) === true))
    return false;
  if (
    raw["NotResource"] !== undefined &&
    textsOf(raw["NotResource"]).some((pattern) => isResource(pattern) !== false)
  ) {
    return false;
  }
  return Object.entries((raw["Condition"] ?? {}) as Record<string, Record<string, Json>>).every(([name, keys]) =>
    Object.entries(keys).every(([key, values]) => conditionHolds(name, key, textsOf(values), version, request.context)),
  );
}

/** A pattern's characters; those of `wild: true` are wildcards. */
type Characters = readonly { readonly character: string; readonly wild: boolean }[];

const wild = (text: string): Characters =>
  text.split("").map((character) => ({ character, wild: character === "*" || character === "?" }));
const plain = (text: string): Characters => text.split("").map((character) => ({ character, wild: false }));

/** Null: a variable has no value. */
function expand(text: string, version: string, context: Values, wildcards: boolean): Characters | null {
  const read = wildcards ? wild : plain;
  if (version !== "2012-10-17") return read(text);
  const out: Characters[number][] = [];
  for (const piece of text.split(/(\$\{[^}]*\})/)) {
    if (!/^\$\{[^}]*\}$/.test(piece)) {
      out.push(...read(piece));
      continue;
    }
    const [name = "", ...rest] = piece.slice(2, -1).split(",");
    if (["*", "?", "$"].includes(name)) out.push({ character: name, wild: false });
    else {
      const found = context[name.trim().toLowerCase()];
      const fallback = rest.length > 0 ? rest.join(",").trim().slice(1, -1) : undefined;
      const value = found ?? fallback;
      if (typeof value !== "string") return null;
      out.push(...plain(value));
    }
  }
  return out;
}

/** Tries everything that a `*` could stand for. */
function glob(pattern: Characters, text: string, patternAt = 0, textAt = 0): boolean {
  const next = pattern[patternAt];
  if (next === undefined) return textAt === text.length;
  if (next.wild && next.character === "*") {
    for (let end = textAt; end <= text.length; end++) if (glob(pattern, text, patternAt + 1, end)) return true;
    return false;
  }
  if (textAt === text.length) return false;
  const fits = next.wild || next.character === text[textAt];
  return fits && glob(pattern, text, patternAt + 1, textAt + 1);
}

function conditionHolds(name: string, key: string, expected: string[], version: string, context: Values): boolean {
  const [, qualifier, base = "", ifExists] = /^(?:(ForAllValues|ForAnyValue):)?(\w+?)(IfExists)?$/.exec(name) ?? [];
  const value = context[key.toLowerCase()];
  const actual = value === undefined ? [] : typeof value === "string" ? [value] : [...value];
  if (base === "Null") return expected.some((text) => (text === "true") === (actual.length === 0));
  const negated = base.includes("Not");
  const positive = base.replace("Not", "");
  const one = (text: string): boolean => {
    const answers = expected.map((pattern) => compare(positive, text, pattern, version, context));
    return negated ? answers.every((answer) => answer === false) : answers.includes(true);
  };
  if (actual.length === 0) {
    if (qualifier === "ForAllValues" || ifExists !== undefined) return true;
    if (qualifier === "ForAnyValue" || !negated) return false;
    return expected.every((pattern) => compare(positive, "", pattern, version, context) !== null);
  }
  if (qualifier === "ForAllValues") return actual.every(one);
  if (qualifier === "ForAnyValue") return actual.some(one);
  return negated ? actual.every(one) : actual.some(one);
}

/** Null: the expected value has a variable without a value. */
function compare(operator: string, actual: string, expected: string, version: string, context: Values): boolean | null {
  if (operator.startsWith("String") || operator.startsWith("Arn")) {
    const characters = expand(expected, version, context, operator === "StringLike" || operator.startsWith("Arn"));
    if (characters === null) return null;
    if (operator.startsWith("Arn")) return arnLike(characters, actual);
    if (operator === "StringLike") return glob(characters, actual);
    const text = characters.map(({ character }) => character).join("");
    return operator === "StringEquals" ? text === actual : text.toLowerCase() === actual.toLowerCase();
  }
  if (operator === "Bool") return actual.toLowerCase() === expected.toLowerCase();
  if (operator === "BinaryEquals") return actual === expected;
  if (operator === "IpAddress") return inNetwork(actual, expected);
  const [a, b] = operator.startsWith("Date")
    ? [instant(actual), instant(expected)]
    : [decimal(actual), decimal(expected)];
  switch (operator.replace(/^(Date|Numeric)/, "")) {
    case "Equals":
      return a === b;
    case "LessThan":
      return a < b;
    case "LessThanEquals":
      return a <= b;
    case "GreaterThan":
      return a > b;
    default:
      return a >= b;
  }
}

/** NaN compares with nothing: what is no number or date is neither equal, less nor greater. */
const decimal = (text: string): number => (/^[+-]?[0-9]+([.][0-9]+)?$/.test(text) ? Number(text) : Number.NaN);

/** W3C's profile of ISO 8601, or seconds since 1970. */
function instant(text: string): number {
  if (/^\d{5,}$/.test(text)) return Number(text) * 1000;
  if (!/^\d{4}(-\d\d(-\d\d(T\d\d:\d\d(:\d\d([.]\d+)?)?(Z|[+-]\d\d:\d\d))?)?)?$/.test(text)) return Number.NaN;
  // Date.parse takes the 30th of February for the 1st of March.
  const [year = "", month = "01", day = "01"] = text.slice(0, 10).split("-");
  const lastDay = new Date(Date.UTC(Number(year), Number(month), 0)).getUTCDate();
  return Number(day) > lastDay ? Number.NaN : Date.parse(text);
}

function arnLike(pattern: Characters, arn: string): boolean {
  if (pattern.length === 1 && pattern[0]?.wild === true && pattern[0].character === "*")
    return arn.split(":").length >= 6;
  const segments: Characters[number][][] = [[]];
  for (const entry of pattern) {
    if (entry.character === ":" && segments.length < 6) segments.push([]);
    else segments.at(-1)?.push(entry);
  }
  const parts = arn.split(":");
  const six = [...parts.slice(0, 5), parts.slice(5).join(":")];
  return segments.length === 6 && parts.length >= 6 && segments.every((segment, at) => glob(segment, six[at] ?? ""));
}

function inNetwork(actual: string, cidr: string): boolean {
  const [base = "", bits] = cidr.split("/");
  const [a, b] = [addressOf(actual), addressOf(base)];
  if (a === null || b === null || a.bits !== b.bits) return false;
  // Of an IPv4 network written as IPv6 the prefix is counted in 128 bits.
  const length = bits === undefined ? a.bits : Number(bits) - (a.bits === 32 && base.includes(":") ? 96 : 0);
  const shift = BigInt(a.bits - length);
  return a.value >> shift === b.value >> shift;
}

function addressOf(text: string): { readonly bits: number; readonly value: bigint } | null {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(text)?.[1];
  const ipv4 = mapped ?? text;
  if (/^\d+\.\d+\.\d+\.\d+$/.test(ipv4)) {
    const octets = ipv4.split(".");
    if (octets.some((octet) => String(Number(octet)) !== octet || Number(octet) > 255)) return null;
    return { bits: 32, value: octets.reduce((sum, octet) => sum * 256n + BigInt(octet), 0n) };
  }
  if (!/^[0-9a-f:]+$/i.test(text) || !text.includes(":")) return null;
  const [head = "", tail] = text.split("::");
  const groups = (half: string): string[] => (half === "" ? [] : half.split(":"));
  const filled = Array.from({ length: 8 - groups(head).length - groups(tail ?? "").length }, () => "0");
  const all = tail === undefined ? groups(head) : [...groups(head), ...filled, ...groups(tail)];
  return { bits: 128, value: all.reduce((sum, group) => sum * 65536n + BigInt(`0x${group}`), 0n) };
}
