/** Generators of policies and requests from a vocabulary small enough that statements often meet requests. For tests only. */
import * as fc from "fast-check";
import type { ReferenceRequest } from "./reference.ts";

const ACCOUNT = "111122223333";
const OTHER = "444455556666";

const PRINCIPALS: readonly ReferenceRequest["principal"][] = [
  { type: "Root", arn: `arn:aws:iam::${ACCOUNT}:root`, accountId: ACCOUNT },
  { type: "User", arn: `arn:aws:iam::${ACCOUNT}:user/ann`, accountId: ACCOUNT },
  { type: "User", arn: `arn:aws:iam::${OTHER}:user/eve`, accountId: OTHER },
  {
    type: "AssumedRole",
    arn: `arn:aws:sts::${ACCOUNT}:assumed-role/app/s1`,
    accountId: ACCOUNT,
    roleArn: `arn:aws:iam::${ACCOUNT}:role/x/app`,
  },
  { type: "FederatedUser", arn: `arn:aws:sts::${ACCOUNT}:federated-user/fay`, accountId: ACCOUNT },
  { type: "Service", arn: "events.amazonaws.com", accountId: "" },
];
const AWS_NAMES: readonly string[] = [
  "*",
  ACCOUNT,
  OTHER,
  `arn:aws:iam::${OTHER}:root`,
  ...PRINCIPALS.flatMap(({ type, arn, roleArn }) =>
    type === "Service" ? [] : [arn, ...(roleArn === undefined ? [] : [roleArn])],
  ),
];
const ACTIONS: readonly string[] = ["kms:Encrypt", "kms:Decrypt", "kinesis:PutRecord"];
const ACTION_PATTERNS: readonly string[] = ["*", "kms:*", "KMS:encrypt", "kms:?ecrypt", "kinesis:Put*", "*:*crypt"];
const RESOURCES: readonly string[] = ["*", `arn:aws:kms:eu:${ACCOUNT}:key/ann`, `arn:aws:kms:eu:${ACCOUNT}:key/a/b*`];
const RESOURCE_PATTERNS: readonly string[] = [
  "*",
  "arn:aws:kms:*",
  `arn:aws:kms:eu:${ACCOUNT}:key/*`,
  `arn:aws:kms:*:key/?nn`,
  `arn:aws:kms:eu:${ACCOUNT}:key/\${aws:username}`,
  `arn:aws:kms:eu:${ACCOUNT}:key/\${aws:PrincipalTag/none, 'a'}*`,
  `arn:aws:kms:eu:${ACCOUNT}:key/a/b\${*}`,
];

const TEXTS: readonly string[] = ["red", "RED", "re*", "", "blue", `arn:aws:iam::${ACCOUNT}:role/x/app`];
const TEXT_PATTERNS: readonly string[] = [
  ...TEXTS,
  "*",
  "?ed",
  "${aws:username}",
  "${k:s}",
  "${k:none}",
  "${k:none,'red'}",
  "re${*}",
];
const ARN_PATTERNS: readonly string[] = [
  "*",
  `arn:aws:iam::${ACCOUNT}:role/*`,
  "arn:*:iam::*:*",
  "arn:aws:iam::*:user/${aws:username}",
  "arn:aws:*::*:role/app",
];
const NUMBERS: readonly string[] = ["1", "2", "2.0", "-3", "10"];
const DATES: readonly string[] = [
  "2024-05-01T00:00:00Z",
  "2024-05-01",
  "1714521600",
  "2024-05-01T02:00:00+02:00",
  "2025",
];
const ADDRESSES: readonly string[] = ["192.0.2.7", "::ffff:192.0.2.7", "2001:db8::1", "198.51.100.1"];
const NETWORKS: readonly string[] = [
  "192.0.2.0/24",
  "192.0.2.7",
  "0.0.0.0/0",
  "2001:db8::/33",
  "::/0",
  "198.51.100.0/31",
];

interface Family {
  readonly operators: readonly string[];
  readonly values: readonly string[];
}
const FAMILIES: readonly Family[] = [
  {
    operators: [
      "StringEquals",
      "StringNotEquals",
      "StringEqualsIgnoreCase",
      "StringNotEqualsIgnoreCase",
      "StringLike",
      "StringNotLike",
    ],
    values: TEXT_PATTERNS,
  },
  { operators: ["ArnEquals", "ArnLike", "ArnNotEquals", "ArnNotLike"], values: ARN_PATTERNS },
  {
    operators: ["Equals", "NotEquals", "LessThan", "LessThanEquals", "GreaterThan", "GreaterThanEquals"].map(
      (o) => `Numeric${o}`,
    ),
    values: NUMBERS,
  },
  {
    operators: ["Equals", "NotEquals", "LessThan", "LessThanEquals", "GreaterThan", "GreaterThanEquals"].map(
      (o) => `Date${o}`,
    ),
    values: DATES,
  },
  { operators: ["Bool"], values: ["true", "false"] },
  { operators: ["BinaryEquals"], values: ["cmVk", ""] },
  { operators: ["IpAddress", "NotIpAddress"], values: NETWORKS },
];
/** The key each family is asked about, so that its values are of the right type. */
const KEYS: readonly string[] = ["k:s", "k:a", "k:n", "k:d", "k:b", "k:x", "aws:SourceIp"];
const KEY_VALUES: readonly (readonly string[])[] = [
  TEXTS,
  [`arn:aws:iam::${ACCOUNT}:role/x/app`, `arn:aws:iam::${ACCOUNT}:user/ann`, "red"],
  NUMBERS,
  DATES,
  ["true", "false"],
  ["cmVk", ""],
  ADDRESSES,
];

const oneOrMore = (items: readonly string[], max = 2): fc.Arbitrary<string | string[]> =>
  fc.oneof(fc.constantFrom(...items), fc.uniqueArray(fc.constantFrom(...items), { minLength: 1, maxLength: max }));

const condition: fc.Arbitrary<Record<string, Record<string, string | string[]>>> = fc.oneof(
  { weight: 6, arbitrary: fc.nat(FAMILIES.length - 1).chain(conditionOfFamily) },
  {
    weight: 1,
    arbitrary: fc
      .tuple(fc.constantFrom(...KEYS), oneOrMore(["true", "false"]))
      .map(([key, values]) => ({ Null: { [key]: values } })),
  },
);

function conditionOfFamily(at: number): fc.Arbitrary<Record<string, Record<string, string | string[]>>> {
  const family = FAMILIES[at] ?? { operators: [], values: [] };
  return fc
    .tuple(
      fc.constantFrom("", "", "ForAllValues:", "ForAnyValue:"),
      fc.constantFrom(...family.operators),
      fc.constantFrom("", "", "IfExists"),
      fc.constantFrom(KEYS[at] ?? "", (KEYS[at] ?? "").toUpperCase()),
      oneOrMore(family.values, 3),
    )
    .map(([qualifier, operator, ifExists, key, values]) => ({
      [`${qualifier}${operator}${ifExists}`]: { [key]: values },
    }));
}

export type RawStatement = Readonly<Record<string, unknown>>;

/** A valid statement of an identity policy, or with `principals` of a resource policy. */
export function statement(
  principals: boolean,
  effects: readonly ("Allow" | "Deny")[] = ["Allow", "Allow", "Deny"],
): fc.Arbitrary<RawStatement> {
  return fc
    .record({
      effect: fc.constantFrom(...effects),
      action: fc.tuple(fc.constantFrom("Action", "Action", "Action", "NotAction"), oneOrMore(ACTION_PATTERNS)),
      resource: fc.tuple(
        fc.constantFrom("Resource", "Resource", "Resource", "NotResource"),
        oneOrMore(RESOURCE_PATTERNS),
      ),
      principal: fc.tuple(
        fc.constantFrom("Principal", "Principal", "NotPrincipal"),
        fc.oneof(
          fc.constant("*"),
          fc.record({ AWS: oneOrMore(AWS_NAMES, 4) }),
          fc.record({ AWS: oneOrMore(AWS_NAMES), Service: fc.constant("events.amazonaws.com") }),
        ),
      ),
      conditions: fc.option(fc.array(condition, { maxLength: 2 }), { nil: undefined }),
    })
    .map(({ effect, action, resource, principal, conditions }) => {
      const raw: Record<string, unknown> = { Effect: effect, [action[0]]: action[1], [resource[0]]: resource[1] };
      if (principals) raw[effect === "Allow" ? "Principal" : principal[0]] = principal[1];
      if (conditions !== undefined) raw["Condition"] = Object.assign({}, ...conditions);
      return raw;
    });
}

export interface RawPolicy {
  readonly Version?: string;
  readonly Statement: readonly RawStatement[];
}

export const policy = (principals: boolean): fc.Arbitrary<RawPolicy> =>
  fc
    .tuple(
      fc.constantFrom("2012-10-17", "2012-10-17", "2008-10-17"),
      fc.array(statement(principals), { minLength: 1, maxLength: 4 }),
    )
    .map(([Version, Statement]) => ({ Version, Statement }));

/** A request whose policies are still objects, so that a test can change them. */
export interface RawRequest extends Omit<
  ReferenceRequest,
  "identityPolicies" | "boundary" | "sessionPolicies" | "serviceControlPolicies" | "resourcePolicy"
> {
  readonly identityPolicies: readonly RawPolicy[];
  readonly boundary: RawPolicy | null;
  readonly sessionPolicies: readonly RawPolicy[] | null;
  readonly serviceControlPolicies: readonly (readonly RawPolicy[])[];
  readonly resourcePolicy: RawPolicy | null;
}

const maybe = <T>(arbitrary: fc.Arbitrary<T>, freq: number): fc.Arbitrary<T | null> =>
  fc.option(arbitrary, { nil: null, freq });

const context: fc.Arbitrary<Record<string, string | string[]>> = fc
  .tuple(
    ...KEY_VALUES.map((values) =>
      fc.option(
        fc.oneof(
          { weight: 3, arbitrary: fc.constantFrom(...values) },
          fc.uniqueArray(fc.constantFrom(...values), { maxLength: 3 }),
        ),
        { nil: undefined, freq: 3 },
      ),
    ),
    fc.option(fc.constantFrom("ann", "red"), { nil: undefined }),
  )
  .map((values) => {
    const out: Record<string, string | string[]> = {};
    for (const [at, value] of values.entries()) {
      if (value !== undefined) out[(KEYS[at] ?? "aws:username").toLowerCase()] = value;
    }
    return out;
  });

export const request: fc.Arbitrary<RawRequest> = fc.record({
  principal: fc.constantFrom(...PRINCIPALS),
  action: fc.constantFrom(...ACTIONS),
  resource: fc.constantFrom(...RESOURCES),
  resourceAccountId: fc.constantFrom(ACCOUNT, ACCOUNT, ACCOUNT, OTHER),
  identityPolicies: fc.array(policy(false), { maxLength: 2 }),
  boundary: maybe(policy(false), 2),
  sessionPolicies: maybe(fc.array(policy(false), { maxLength: 2 }), 2),
  serviceControlPolicies: fc.array(fc.array(policy(false), { minLength: 1, maxLength: 2 }), { maxLength: 1 }),
  resourcePolicy: maybe(policy(true), 3),
  resourcePolicyMode: fc.constantFrom("optional", "required"),
  grants: fc.oneof(
    { weight: 2, arbitrary: fc.constant([]) },
    {
      weight: 1,
      arbitrary: fc.array(fc.constantFrom<"exact" | "role" | "account">("exact", "role", "account"), { maxLength: 2 }),
    },
  ),
  context,
});
