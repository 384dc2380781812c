/**
 * The structure of a policy document: which elements it has and of what type. What stands inside them is read by
 * principals.ts, actions-and-resources.ts and conditions.ts when the policy is compiled.
 */
import { isList, objectOf, parseStrictJson, textOf, textsOf, type Json, type JsonObject } from "./json.ts";
import type { PolicyDocumentKind } from "./policy-document-kind.ts";
import { PolicyError, quoted } from "./policy-error.ts";
import { parsePrincipals, type PrincipalSet } from "./principals.ts";
import { foldName } from "./values.ts";

export interface PolicyOptions {
  /** How decisions call the policy: an ARN or `inline:NAME`. */
  readonly id: string;
  readonly kind: PolicyDocumentKind;
  /** In characters of the document as given, white space included. */
  readonly lengthMax: number;
}

export interface ParsedPolicy {
  readonly version: "2008-10-17" | "2012-10-17";
  readonly id: string | null;
  readonly statements: readonly ParsedStatement[];
}

export interface ParsedStatement {
  readonly index: number;
  readonly sid: string | null;
  readonly effect: "Allow" | "Deny";
  /** Null in policies of identities. */
  readonly principals: { readonly negated: boolean; readonly set: PrincipalSet } | null;
  readonly actions: { readonly negated: boolean; readonly patterns: readonly string[] };
  /** Null in trust policies. */
  readonly resources: { readonly negated: boolean; readonly patterns: readonly string[] } | null;
  readonly conditions: readonly ParsedCondition[];
}

export interface ParsedCondition {
  /** Without qualifier and `IfExists`, e.g. `StringEquals`. */
  readonly operator: string;
  readonly qualifier: "ForAllValues" | "ForAnyValue" | null;
  readonly ifExists: boolean;
  /** Lower-cased: names of condition keys are not case-sensitive. */
  readonly key: string;
  readonly values: readonly string[];
}

const POLICY_ELEMENTS: ReadonlySet<string> = new Set(["Version", "Id", "Statement"]);
const STATEMENT_ELEMENTS: ReadonlySet<string> = new Set([
  "Sid",
  "Effect",
  "Principal",
  "NotPrincipal",
  "Action",
  "NotAction",
  "Resource",
  "NotResource",
  "Condition",
]);
const IFEXISTS = "IfExists";
/** A vendor prefix (or an identity provider's host and path), a colon, a name. */
const CONDITION_KEY = /^[A-Za-z0-9._/-]+:[^\p{Cc}]+$/u;
/** IAM's grammar for the policies that it keeps itself; resource policies take any text. */
const IAM_SID = /^[A-Za-z0-9]*$/;
/** Single-valued keys whose absence would satisfy ForAllValues; KMS refuses the combination. */
const OPEN_ENDED_KEY_PREFIXES: readonly string[] = ["kms:encryptioncontext:", "aws:requesttag/"];

const attachedToResource = (kind: PolicyDocumentKind): boolean =>
  kind === "resource" || kind === "key" || kind === "trust";
const keptByIam = (kind: PolicyDocumentKind): boolean => kind !== "resource" && kind !== "key";

/**
 * Reads a document strictly by IAM's grammar. Also for what a service wants to know of it: its principals (do they exist?),
 * its conditions.
 * @throws PolicyError
 */
export function parsePolicy(document: string, options: Omit<PolicyOptions, "id">): ParsedPolicy {
  if (document.length > options.lengthMax) {
    throw new PolicyError("TooLong", "", `the document is longer than ${options.lengthMax} characters`);
  }
  const policy = objectOf(parseStrictJson(document), "");
  refuseUnknown(policy, POLICY_ELEMENTS, "");
  const version = policy["Version"] ?? "2008-10-17";
  if (version !== "2008-10-17" && version !== "2012-10-17") {
    throw new PolicyError("InvalidVersion", "Version", "the version is 2012-10-17 or 2008-10-17");
  }
  const id = policy["Id"] === undefined ? null : textOf(policy["Id"], "Id");
  const given = policy["Statement"];
  if (given === undefined) throw new PolicyError("MissingElement", "", "the document has no Statement");
  const list = isList(given) ? given : [given];
  if (list.length === 0) throw new PolicyError("MissingElement", "Statement", "the document has no statements");
  const statements = list.map((json, index) => parseStatement(json, index, options.kind));
  if (keptByIam(options.kind)) refuseRepeatedSids(statements);
  return { version, id, statements };
}

function refuseRepeatedSids(statements: readonly ParsedStatement[]): void {
  const seen = new Set<string>();
  for (const { sid, index } of statements) {
    if (sid === null || sid === "") continue;
    if (seen.has(sid)) throw new PolicyError("DuplicateSid", `Statement[${index}].Sid`, `${quoted(sid)} is used twice`);
    seen.add(sid);
  }
}

function parseStatement(json: Json, index: number, kind: PolicyDocumentKind): ParsedStatement {
  const path = `Statement[${index}]`;
  const statement = objectOf(json, path);
  refuseUnknown(statement, STATEMENT_ELEMENTS, path);
  const sid = statement["Sid"] === undefined ? null : textOf(statement["Sid"], `${path}.Sid`);
  if (sid !== null && keptByIam(kind) && !IAM_SID.test(sid)) {
    throw new PolicyError("InvalidSid", `${path}.Sid`, "a statement id has letters and digits only");
  }
  const effect = statement["Effect"];
  if (effect === undefined) throw new PolicyError("MissingElement", path, "the statement has no Effect");
  if (effect !== "Allow" && effect !== "Deny") {
    throw new PolicyError("InvalidEffect", `${path}.Effect`, "the effect is Allow or Deny");
  }
  return {
    index,
    sid,
    effect,
    principals: principalsOf(statement, effect, kind, path),
    actions: patternsOf(statement, "Action", path),
    resources: resourcesOf(statement, kind, path),
    conditions: conditionsOf(statement["Condition"], kind, `${path}.Condition`),
  };
}

/** The one of `NAME` and `NotNAME` that the statement has. */
function eitherOf(
  statement: JsonObject,
  name: string,
  path: string,
): { readonly negated: boolean; readonly value: Json; readonly path: string } | null {
  const positive = statement[name];
  const negative = statement[`Not${name}`];
  if (positive !== undefined && negative !== undefined) {
    throw new PolicyError("ForbiddenElement", path, `${name} and Not${name} exclude each other`);
  }
  if (positive !== undefined) return { negated: false, value: positive, path: `${path}.${name}` };
  return negative === undefined ? null : { negated: true, value: negative, path: `${path}.Not${name}` };
}

function patternsOf(statement: JsonObject, name: string, path: string): ParsedStatement["actions"] {
  const found = eitherOf(statement, name, path);
  if (found === null) throw new PolicyError("MissingElement", path, `the statement has neither ${name} nor Not${name}`);
  const patterns = textsOf(found.value, found.path);
  if (patterns.length === 0) throw new PolicyError("MissingElement", found.path, "the list is empty");
  return { negated: found.negated, patterns };
}

function resourcesOf(statement: JsonObject, kind: PolicyDocumentKind, path: string): ParsedStatement["resources"] {
  if (kind !== "trust") return patternsOf(statement, "Resource", path);
  if (eitherOf(statement, "Resource", path) === null) return null;
  throw new PolicyError("ForbiddenElement", path, "a trust policy has no Resource");
}

function principalsOf(
  statement: JsonObject,
  effect: "Allow" | "Deny",
  kind: PolicyDocumentKind,
  path: string,
): ParsedStatement["principals"] {
  const found = eitherOf(statement, "Principal", path);
  if (!attachedToResource(kind)) {
    if (found === null) return null;
    throw new PolicyError("ForbiddenElement", found.path, "only policies of resources have a Principal");
  }
  if (found === null) throw new PolicyError("MissingElement", path, "the statement has no Principal");
  if (found.negated && (kind === "trust" || effect === "Allow")) {
    throw new PolicyError(
      "ForbiddenElement",
      found.path,
      "NotPrincipal is for Deny statements of resource policies only",
    );
  }
  return { negated: found.negated, set: parsePrincipals(found.value, kind, found.path) };
}

function conditionsOf(json: Json | undefined, kind: PolicyDocumentKind, path: string): readonly ParsedCondition[] {
  if (json === undefined) return [];
  const conditions: ParsedCondition[] = [];
  for (const [name, keys] of Object.entries(objectOf(json, path))) {
    const { operator, qualifier, ifExists } = splitOperator(name);
    const seen = new Set<string>();
    for (const [key, values] of Object.entries(objectOf(keys, `${path}.${name}`))) {
      const keyPath = `${path}.${name}[${quoted(key)}]`;
      if (!CONDITION_KEY.test(key))
        throw new PolicyError("InvalidCondition", keyPath, "a condition key begins with a prefix");
      const folded = foldName(key);
      if (seen.has(folded)) throw new PolicyError("DuplicateKey", keyPath, "the condition key stands twice");
      seen.add(folded);
      if (
        kind === "key" &&
        qualifier === "ForAllValues" &&
        OPEN_ENDED_KEY_PREFIXES.some((at) => folded.startsWith(at))
      ) {
        throw new PolicyError("OverlyPermissiveCondition", keyPath, "ForAllValues would hold when the key is missing");
      }
      conditions.push({ operator, qualifier, ifExists, key: folded, values: scalarsOf(values, keyPath) });
    }
  }
  return conditions;
}

/** `ForAnyValue:StringLikeIfExists` in its parts. */
function splitOperator(name: string): Pick<ParsedCondition, "operator" | "qualifier" | "ifExists"> {
  const colon = name.indexOf(":");
  const prefix = colon < 0 ? null : name.slice(0, colon);
  const qualifier = prefix === "ForAllValues" || prefix === "ForAnyValue" ? prefix : null;
  const rest = qualifier === null ? name : name.slice(colon + 1);
  const ifExists = rest.endsWith(IFEXISTS);
  return { operator: ifExists ? rest.slice(0, -IFEXISTS.length) : rest, qualifier, ifExists };
}

function refuseUnknown(object: JsonObject, known: ReadonlySet<string>, path: string): void {
  for (const name of Object.keys(object)) {
    if (!known.has(name))
      throw new PolicyError("UnknownElement", path, `${quoted(name)} is not an element of a policy`);
  }
}

/** Values of conditions may be written as numbers and booleans, too. */
function scalarsOf(json: Json, path: string): readonly string[] {
  const list = isList(json) ? json : [json];
  return list.map((item, at) => {
    if (item === null || typeof item === "object") {
      throw new PolicyError("WrongType", `${path}[${at}]`, "a string, a number or a boolean is expected");
    }
    return String(item);
  });
}
