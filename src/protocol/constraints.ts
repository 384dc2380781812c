import { shapeOf } from "./decoder.ts";
import type { ListShape, MapShape } from "./decoder.ts";
import type { ServiceModel, Shape, StructureShape } from "./model.ts";
import { ECHO_LENGTH_MAX, lowerFirst } from "./violations.ts";
import type { Path, Violations } from "./violations.ts";

/** Adds what is wrong with a decoded value to `found`. */
type Check = (value: unknown, path: Path | null, found: Violations) => void;

/** A constraint of one value that needs no look inside: its wording and whether it holds. */
interface Rule {
  readonly text: string;
  readonly holds: (value: unknown) => boolean;
}

/**
 * Compiles the constraints of a model's shapes: required, enum, pattern, length and value ranges. Each shape once; null
 * means that there is nothing to check. Order and wording are those that Kinesis and KMS were seen to answer with.
 */
export function checkCompiler(model: ServiceModel): (shapeName: string) => Check | null {
  const compiled = new Map<string, Check | null>();
  const checkOf = (shapeName: string): Check | null => {
    const known = compiled.get(shapeName);
    if (known !== undefined) return known;
    // A recursive shape meets this forwarder while it is being compiled.
    let check: Check | null = null;
    compiled.set(shapeName, (value, path, found) => check?.(value, path, found));
    const shape = shapeOf(model, shapeName);
    if (shape.type === "structure") check = structureCheck(shape, checkOf);
    else if (shape.type === "list") check = listCheck(model, shape, checkOf);
    else if (shape.type === "map") check = mapCheck(model, shape, checkOf);
    else check = scalarCheck(shape);
    compiled.set(shapeName, check);
    return check;
  };
  return checkOf;
}

function structureCheck(shape: StructureShape, checkOf: (name: string) => Check | null): Check | null {
  const required = new Set(shape.required);
  const members = Object.entries(shape.members)
    .map(([name, target]) => ({ name, at: lowerFirst(name), required: required.has(name), check: checkOf(target) }))
    .filter((member) => member.required || member.check);
  if (members.length === 0) return null;
  return (value, path, found) => {
    const structure = value as Readonly<Record<string, unknown>>;
    for (const member of members) {
      const item = structure[member.name];
      if (item === undefined) {
        if (member.required) found.addNull({ parent: path, segment: member.at });
      } else {
        member.check?.(item, { parent: path, segment: member.at }, found);
      }
      if (found.full) return;
    }
  };
}

function listCheck(model: ServiceModel, shape: ListShape, checkOf: (name: string) => Check | null): Check {
  const element = shapeOf(model, shape.member);
  const own = lengthRules(shape, (value) => (value as readonly unknown[]).length);
  const each = isContainer(element) ? null : scalarRules(element);
  const inner = isContainer(element) ? checkOf(shape.member) : null;
  const secret = shape.sensitive === true || hidesValues(element);
  const echo = (list: readonly unknown[]): string | null =>
    secret ? null : `[${joinForEcho(list as readonly (string | number | null)[], (item) => String(item ?? ""))}]`;
  return (value, path, found) => {
    const list = value as readonly unknown[];
    if (!path) return;
    for (const rule of own) if (!rule.holds(list)) found.add(path, echo(list), rule.text);
    // What is too long is refused already: its elements, of any number, are not looked at.
    if (shape.max !== undefined && list.length > shape.max) return;
    if (each && list.some((item) => item !== null && !each.every((rule) => rule.holds(item)))) {
      found.add(path, echo(list), `Member must satisfy constraint: ${wordAll(each)}`);
    }
    for (let index = 0; index < list.length && !found.full; index += 1) {
      const item = list[index];
      if (item !== null && !inner) continue;
      const at: Path = { parent: { parent: path, segment: index + 1 }, segment: "member" };
      if (item === null) found.addNull(at);
      else inner?.(item, at, found);
    }
  };
}

function mapCheck(model: ServiceModel, shape: MapShape, checkOf: (name: string) => Check | null): Check {
  const element = shapeOf(model, shape.value);
  const keyShape = shapeOf(model, shape.key);
  const own = lengthRules(shape, (value) => Object.keys(value as object).length);
  const keyRules = isContainer(keyShape) ? [] : scalarRules(keyShape);
  const each = isContainer(element) ? [] : scalarRules(element);
  const inner = isContainer(element) ? checkOf(shape.value) : null;
  const secret = shape.sensitive === true || hidesValues(element) || hidesValues(keyShape);
  return (value, path, found) => {
    const map = value as Readonly<Record<string, unknown>>;
    if (!path) return;
    const keys = Object.keys(map);
    const echo = (): string | null =>
      secret ? null : `{${joinForEcho(keys, (key) => `${cutForEcho(key)}=${String(map[key])}`)}}`;
    for (const rule of own) if (!rule.holds(map)) found.add(path, echo(), rule.text);
    if (shape.max !== undefined && keys.length > shape.max) return;
    if (!keys.every((key) => keyRules.every((rule) => rule.holds(key)))) {
      found.add(path, echo(), `Map keys must satisfy constraint: ${wordAll(keyRules)}`);
    }
    if (!keys.every((key) => map[key] === null || each.every((rule) => rule.holds(map[key])))) {
      found.add(path, echo(), `Map value must satisfy constraint: ${wordAll(each)}`);
    }
    for (const key of keys) {
      if (found.full) return;
      const item = map[key];
      if (item !== null && !inner) continue;
      const at: Path = {
        parent: { parent: path, segment: secret ? "*" : key.slice(0, KEY_ECHO_LENGTH_MAX) },
        segment: "member",
      };
      if (item === null) found.addNull(at);
      else inner?.(item, at, found);
    }
  };
}

/** One character more than a message shows, so that it is seen to be cut. */
const cutForEcho = (text: string): string => text.slice(0, ECHO_LENGTH_MAX + 1);

/** As many elements as a message can show. */
function joinForEcho<Item>(items: readonly Item[], textOf: (item: Item) => string): string {
  let joined = "";
  for (const [index, item] of items.entries()) {
    if (joined.length > ECHO_LENGTH_MAX) break;
    joined += `${index === 0 ? "" : ", "}${cutForEcho(textOf(item))}`;
  }
  return joined;
}

/** Longest map key that a path echoes. */
const KEY_ECHO_LENGTH_MAX = 256;

function scalarCheck(shape: Shape): Check | null {
  const rules = scalarRules(shape);
  if (rules.length === 0) return null;
  const secret = hidesValues(shape);
  return (value, path, found) => {
    if (!path) return;
    for (const rule of rules) if (!rule.holds(value)) found.add(path, secret ? null : String(value), rule.text);
  };
}

/** In the order in which AWS lists them: enum, pattern, minimum, maximum. */
function scalarRules(shape: Shape): readonly Rule[] {
  switch (shape.type) {
    case "string": {
      const rules: Rule[] = [];
      if (shape.enum) rules.push(enumRule(shape.enum));
      if (shape.pattern !== undefined) rules.push(patternRule(shape.pattern, shape.max));
      return [...rules, ...stringLengthRules(shape)];
    }
    case "blob":
      return lengthRules(shape, (value) => (value as Uint8Array).byteLength);
    case "integer":
    case "long":
    case "float":
    case "double":
      return valueRules(shape);
    default:
      return [];
  }
}

function enumRule(values: readonly string[]): Rule {
  const known = new Set(values);
  return {
    text: `Member must satisfy enum value set: [${values.join(", ")}]`,
    holds: (value) => known.has(value as string),
  };
}

/**
 * A pattern holds for the whole string, as in Java. It is not tried on a string that is too long: the length is reported
 * anyway, and what a pattern may cost grows with the length.
 */
function patternRule(pattern: string, lengthMax: number | undefined): Rule {
  const expression = wholeStringPattern(linearArnPattern(pattern));
  return {
    text: `Member must satisfy regular expression pattern: ${pattern}`,
    holds: (value) => {
      const text = value as string;
      return (lengthMax !== undefined && exceeds(text, lengthMax)) || expression.test(text);
    },
  };
}

const ARN_PATTERN = /^\^?\(?arn\)?:aws/;

/**
 * AWS's patterns of ARNs have `.*` for each part, which may take in the colons: trying every division of a hostile value
 * costs polynomial time. Here a part ends at its colon, and white space, which no ARN has, is looked for once at the start.
 */
export function linearArnPattern(pattern: string): string {
  return ARN_PATTERN.test(pattern) ? `(?=\\S*$)${pattern.replaceAll(".*", "[^:]*")}` : pattern;
}

/** Java's classes such as `\p{L}` need the `u` flag; some patterns escape characters that it does not allow to be escaped. */
export function wholeStringPattern(pattern: string): RegExp {
  try {
    return new RegExp(`^(?:${pattern})$`, "u");
  } catch {
    return new RegExp(`^(?:${pattern})$`);
  }
}

interface Range {
  readonly min?: number;
  readonly max?: number;
}

function lengthRules(shape: Range, lengthOf: (value: unknown) => number): readonly Rule[] {
  const { min, max } = shape;
  const rules: Rule[] = [];
  if (min !== undefined) {
    rules.push({
      text: `Member must have length greater than or equal to ${min}`,
      holds: (value) => lengthOf(value) >= min,
    });
  }
  if (max !== undefined) {
    rules.push({
      text: `Member must have length less than or equal to ${max}`,
      holds: (value) => lengthOf(value) <= max,
    });
  }
  return rules;
}

/** Lengths of strings count code points; most strings need no counting. */
function stringLengthRules(shape: Range): readonly Rule[] {
  const { min, max } = shape;
  const rules: Rule[] = [];
  if (min !== undefined) {
    rules.push({
      text: `Member must have length greater than or equal to ${min}`,
      holds: (value) => (value as string).length >= 2 * min || codePoints(value as string) >= min,
    });
  }
  if (max !== undefined) {
    rules.push({
      text: `Member must have length less than or equal to ${max}`,
      holds: (value) => !exceeds(value as string, max),
    });
  }
  return rules;
}

const exceeds = (text: string, max: number): boolean =>
  text.length > 2 * max || (text.length > max && codePoints(text) > max);

function codePoints(text: string): number {
  let count = 0;
  for (const _ of text) count += 1;
  return count;
}

function valueRules(shape: Range): readonly Rule[] {
  const { min, max } = shape;
  const rules: Rule[] = [];
  if (min !== undefined) {
    rules.push({
      text: `Member must have value greater than or equal to ${min}`,
      holds: (value) => (value as number) >= min,
    });
  }
  if (max !== undefined) {
    rules.push({
      text: `Member must have value less than or equal to ${max}`,
      holds: (value) => (value as number) <= max,
    });
  }
  return rules;
}

const isContainer = (shape: Shape): boolean =>
  shape.type === "structure" || shape.type === "list" || shape.type === "map";

/** Whether a message must not show values of this shape: secrets, and bytes of any kind. */
const hidesValues = (shape: Shape): boolean => shape.sensitive === true || shape.type === "blob" || isContainer(shape);

/** AWS lists the rules for elements the other way round: maximum, minimum, pattern, enum. */
const wordAll = (rules: readonly Rule[]): string =>
  `[${rules
    .map((rule) => rule.text)
    .toReversed()
    .join(", ")}]`;
