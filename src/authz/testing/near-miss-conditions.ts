/** Condition keys of a request, and conditions that hold for them or nearly do. For tests only. */
import type { Dice } from "./dice.ts";
import { closePattern, missing, type RawContext } from "./near-miss-texts.ts";

interface RawCondition {
  readonly operator: string;
  readonly key: string;
  readonly values: unknown;
}

interface Family {
  readonly key: string;
  /** What a request may carry; the last ones are not of the type. */
  readonly values: readonly string[];
  readonly operators: readonly string[];
  /** A value for the policy that equals the request's, or is beside it. */
  readonly expect: (dice: Dice, actual: string, fits: boolean, context: RawContext) => string;
}

const ORDERED = ["Equals", "NotEquals", "LessThan", "LessThanEquals", "GreaterThan", "GreaterThanEquals"];

const swap =
  (others: Readonly<Record<string, readonly string[]>>): Family["expect"] =>
  (dice, actual, fits) => {
    const same = others[actual];
    if (fits && same !== undefined) return dice.one(same);
    return dice.one(Object.values(others).flat());
  };

const FAMILIES: readonly Family[] = [
  {
    key: "k:text",
    values: ["red", "Red", "r*d", "ann", "re?", "", "ред", "ΣΑΣ", "\u{1f511}"],
    operators: ["StringEquals", "StringNotEquals", "StringEqualsIgnoreCase", "StringNotEqualsIgnoreCase"],
    expect(dice, actual, fits, context) {
      const base = fits ? actual : missing(dice, actual).replaceAll("*", "");
      switch (dice.upTo(4)) {
        case 0:
          return dice.chance(0.5) ? base.toUpperCase() : base.toLowerCase();
        case 1:
          return dice.one(["${aws:username}", "${k:none}", "${k:none, 'red'}", "${K:Text}", "${k:number}"]);
        case 2:
          return base.replaceAll(/[*?$]/g, (character) => `\${${character}}`);
        default:
          return context["k:number"] === base ? "${k:number}" : base;
      }
    },
  },
  {
    key: "k:text",
    values: ["red", "r*d"],
    operators: ["StringLike", "StringLike", "StringNotLike"],
    expect: closePattern,
  },
  {
    key: "k:arn",
    values: [
      "arn:aws:iam::111122223333:role/x/app",
      "arn:aws:s3:::bucket/a:b",
      "arn:aws:iam::1:user/ann",
      "none:of:these",
    ],
    operators: ["ArnEquals", "ArnLike", "ArnNotEquals", "ArnNotLike"],
    expect(dice, actual, fits, context) {
      if (dice.chance(0.15))
        return dice
          .one(["*", "arn:*", "arn:*:*:*:*:*"])
          .padEnd(1)
          .replace(/^arn:\*$/, "arn:aws:*:*:*:*");
      const parts = actual.split(":");
      const six =
        parts.length < 6 ? ["arn", "aws", "iam", "", "1", "user/x"] : [...parts.slice(0, 5), parts.slice(5).join(":")];
      const at = dice.one([2, 3, 4, 5, 5]);
      six[at] = closePattern(dice, six[at] ?? "", fits, context);
      // A colon would be one segment more; the pattern stays an ARN of six or more.
      return six.join(":");
    },
  },
  {
    key: "k:number",
    values: ["1", "2", "2.0", "-3", "10", "0", "1e1", "two", ""],
    operators: ORDERED.map((name) => `Numeric${name}`),
    expect: swap({
      "1": ["1", "1.00", "+1"],
      "2": ["2", "2.0"],
      "2.0": ["2", "2.000"],
      "-3": ["-3", "-3.0"],
      "10": ["10"],
      "0": ["0", "-0", "0.0"],
      "": ["1.5", "-2.5", "9.99"],
    }),
  },
  {
    key: "k:date",
    values: ["2024-05-01T00:00:00Z", "2024-05-01", "1714521600", "2024-02-30", "2024-05-01T25:00:00Z", "soon"],
    operators: ORDERED.map((name) => `Date${name}`),
    expect: swap({
      "2024-05-01T00:00:00Z": ["2024-05-01T02:00:00+02:00", "2024-05-01", "1714521600", "2024-04-30T23:30:00-00:30"],
      "2024-05-01": ["2024-05", "2024-05-01T00:00Z"],
      "1714521600": ["2024-05-01T00:00:00.000Z"],
      "": ["2024-05-01T00:00:01Z", "2024-04-30T23:59:59.999Z", "1714521599", "2023", "2024-05-02"],
    }),
  },
  {
    key: "k:bool",
    values: ["true", "false", "TRUE", "yes"],
    operators: ["Bool"],
    expect: swap({ true: ["true", "True"], false: ["false"], TRUE: ["true"] }),
  },
  {
    key: "k:bytes",
    values: ["cmVk", "", "cmVk=", "c"],
    operators: ["BinaryEquals"],
    expect: swap({ cmVk: ["cmVk"], "": ["", "cmVl", "cg=="] }),
  },
  {
    key: "aws:sourceip",
    values: ["192.0.2.7", "::ffff:192.0.2.7", "2001:db8::1", "198.51.100.1", "192.0.2", "192.0.02.7", "AWS Internal"],
    operators: ["IpAddress", "NotIpAddress"],
    expect: swap({
      "192.0.2.7": ["192.0.2.7", "192.0.2.0/24", "192.0.2.4/30", "::ffff:192.0.2.0/120", "0.0.0.0/0"],
      "::ffff:192.0.2.7": ["192.0.2.7/32", "192.0.2.6/31"],
      "2001:db8::1": ["2001:db8::/32", "2001:DB8:0:0:0:0:0:1", "2001:db8::/127", "::/0"],
      "198.51.100.1": ["198.51.100.0/31"],
      "": ["192.0.2.8/30", "192.0.2.6", "2001:db8::2/127", "::/1", "128.0.0.0/1", "2001:db9::/32"],
    }),
  },
];

/** The keys of one request: most are there with one value, some with several, with none, or not at all. */
export function contextFor(dice: Dice, arn: string): RawContext {
  const context: Record<string, string | string[]> = {};
  for (const { key, values } of FAMILIES) {
    if (dice.chance(0.2)) continue;
    context[key] = dice.chance(0.75) ? dice.one(values) : dice.many(3, () => dice.one(values));
  }
  if (arn.includes("/") && dice.chance(0.8)) context["aws:username"] = arn.slice(arn.lastIndexOf("/") + 1);
  return context;
}

/** One operator on one key. */
export function conditionFor(dice: Dice, context: RawContext, fits: boolean): RawCondition {
  const family = dice.one(FAMILIES);
  const key = dice.one([family.key, family.key.toUpperCase()]);
  const present = context[family.key];
  const actual = typeof present === "string" ? present : dice.one([...(present ?? []), family.values[0] ?? ""]);
  if (dice.chance(0.1)) {
    const absent = present === undefined || present.length === 0;
    const values = absent === fits || present === "" ? "true" : "false";
    return { operator: "Null", key, values: dice.chance(0.1) ? ["true", "false"] : values };
  }
  const operator = dice.one(family.operators);
  const equal = fits !== operator.includes("Not");
  const qualifier = dice.chance(0.7) ? "" : dice.one(["ForAllValues:", "ForAnyValue:"]);
  const list = [
    family.expect(dice, actual, equal, context),
    ...dice.many(1, () => family.expect(dice, actual, false, context)),
  ];
  return {
    operator: `${qualifier}${operator}${dice.chance(0.2) ? "IfExists" : ""}`,
    key,
    values: list.length === 1 ? list[0] : list.toReversed(),
  };
}
