/** Decisions as the gateway asks for them: four statements in the caller's policy, four in the key's. */
import { compilePolicy } from "../src/authz/compile.ts";
import { type CallFacts, lazyContext } from "../src/authz/context.ts";
import { decide } from "../src/authz/decide.ts";
import type { CompiledPolicy, Decision } from "../src/authz/types.ts";

type Statement = Readonly<Record<string, unknown>>;

const ACCOUNT = "111122223333";
const OTHER = "444455556666";
const REGION = "eu-central-1";
const USER_ARN = `arn:aws:iam::${ACCOUNT}:user/orders/ann`;
const KEY_ARN = `arn:aws:kms:${REGION}:${ACCOUNT}:key/1234abcd-12ab-34cd-56ef-1234567890ab`;
const POLICY_LENGTH_MAX = 32_768;

const CALL: CallFacts = {
  principal: { type: "User", arn: USER_ARN, accountId: ACCOUNT, userId: "AIDAEXAMPLEEXAMPLE777", userName: "ann" },
  region: REGION,
  nowMs: Date.UTC(2026, 0, 2, 3, 4, 5),
  sourceIp: "192.0.2.7",
  userAgent: "aws-sdk-js/3.1162.0 os/linux lang/js md/nodejs#20.20.2 api/kms#3.1162.0",
  secureTransport: true,
};
const TAGS = { team: "orders", stage: "prod" };
const OWN = {
  "kms:EncryptionContext:tenant": "orders",
  "kms:EncryptionContext:stage": "prod",
  "kms:EncryptionContextKeys": ["tenant", "stage"],
  "kms:CallerAccount": ACCOUNT,
  "kms:EncryptionAlgorithm": "SYMMETRIC_DEFAULT",
  "kms:ResourceAliases": ["alias/orders", "alias/orders-prod"],
  "aws:ResourceTag/team": "orders",
};

/** Three statements that leave the decision open, on the caller's side and on the key's; a fourth one takes it. */
interface Shape {
  readonly name: string;
  readonly identity: readonly Statement[];
  readonly resource: readonly Statement[];
  /** Effect is added. Holds for the request. */
  readonly deciding: Statement;
}

const OPERATIONS = ["kms:Encrypt", "kms:Decrypt", "kms:GenerateDataKey"];
const NAMED = { AWS: [`arn:aws:iam::${ACCOUNT}:role/deploy`, `arn:aws:iam::${OTHER}:root`] };
const EVERYONE = { AWS: "*" };

/** Denies, and statements about the same action, because those are the ones that conditions are asked of. */
const CONDITIONS: readonly Statement[] = [
  {
    Effect: "Deny",
    Action: "kms:*",
    Resource: "*",
    Condition: {
      Bool: { "aws:SecureTransport": "false" },
      NotIpAddress: { "aws:SourceIp": ["192.0.2.0/24", "127.0.0.0/8", "::1/128"] },
    },
  },
  {
    Effect: "Deny",
    Action: "kms:*",
    Resource: "*",
    Condition: { DateGreaterThan: { "aws:CurrentTime": "2030-01-01T00:00:00Z" } },
  },
  {
    Effect: "Allow",
    Action: OPERATIONS,
    Resource: "*",
    Condition: { StringEquals: { "kms:ViaService": `kinesis.${REGION}.amazonaws.com` } },
  },
];
const CONDITIONAL: Statement = {
  Action: OPERATIONS,
  Resource: "*",
  Condition: {
    StringEquals: { "kms:EncryptionContext:tenant": ["orders", "billing"] },
    "ForAllValues:StringEquals": { "kms:EncryptionContextKeys": ["tenant", "stage", "shard"] },
    ArnLike: { "aws:PrincipalArn": "arn:aws:iam::*:user/orders/*" },
  },
};

const SHAPES: readonly Shape[] = [
  {
    name: "no conditions",
    identity: [
      { Effect: "Deny", Action: ["kms:ScheduleKeyDeletion", "kms:DisableKey"], Resource: "*" },
      { Effect: "Allow", Action: ["kinesis:PutRecord", "kinesis:PutRecords"], Resource: "*" },
      { Effect: "Allow", Action: "kms:DescribeKey", Resource: "*" },
    ],
    resource: [
      { Effect: "Deny", Action: ["kms:ScheduleKeyDeletion", "kms:DisableKey"], Resource: "*", Principal: EVERYONE },
      { Effect: "Allow", Action: "kms:*", Resource: "*", Principal: NAMED },
      { Effect: "Allow", Action: "kms:DescribeKey", Resource: "*", Principal: EVERYONE },
    ],
    deciding: { Action: OPERATIONS, Resource: KEY_ARN },
  },
  {
    name: "conditions",
    identity: CONDITIONS,
    resource: CONDITIONS.map((statement) => ({ ...statement, Principal: EVERYONE })),
    deciding: CONDITIONAL,
  },
  {
    name: "variables",
    identity: [
      { Effect: "Allow", Action: "kms:*", Resource: `arn:aws:kms:*:${ACCOUNT}:key/\${aws:username}` },
      {
        Effect: "Allow",
        Action: "kms:*",
        Resource: `arn:aws:kms:*:${ACCOUNT}:key/\${aws:PrincipalTag/none, 'none'}/*`,
      },
      {
        Effect: "Deny",
        Action: "kms:*",
        Resource: "*",
        Condition: { StringNotEquals: { "aws:ResourceTag/team": "${aws:PrincipalTag/team}" } },
      },
    ],
    resource: [
      {
        Effect: "Allow",
        Action: "kms:*",
        Resource: "*",
        Principal: EVERYONE,
        Condition: { StringLike: { "kms:EncryptionContext:tenant": "${aws:PrincipalTag/team}-*" } },
      },
      {
        Effect: "Deny",
        Action: "kms:*",
        Resource: "*",
        Principal: EVERYONE,
        Condition: { StringNotEquals: { "kms:EncryptionContext:stage": "${aws:PrincipalTag/stage, 'test'}" } },
      },
      { Effect: "Allow", Action: "kms:*", Resource: "*", Principal: NAMED },
    ],
    deciding: {
      Action: OPERATIONS,
      Resource: "*",
      Condition: { StringEquals: { "kms:EncryptionContext:tenant": "${aws:PrincipalTag/team}" } },
    },
  },
  {
    name: "wildcards",
    identity: [
      { Effect: "Deny", Action: ["kms:*Delete*", "kms:Disable*"], Resource: "*" },
      { Effect: "Allow", Action: "kms:*crypt*", Resource: `arn:aws:kms:*:${ACCOUNT}:key/*-prod-??` },
      { Effect: "Allow", Action: "*:En*t", Resource: "arn:aws:kms:*:*:key/mrk-*" },
    ],
    resource: [
      {
        Effect: "Deny",
        NotAction: ["kms:*crypt*", "kms:Describe*", "kms:*DataKey*"],
        Resource: "*",
        Principal: EVERYONE,
      },
      {
        Effect: "Allow",
        Action: "kms:*crypt*",
        Resource: "*",
        Principal: EVERYONE,
        Condition: { "ForAnyValue:StringLike": { "kms:ResourceAliases": ["alias/*-test", "alias/b*"] } },
      },
      {
        Effect: "Deny",
        Action: "kms:*",
        Resource: "*",
        Principal: EVERYONE,
        Condition: { ArnNotLike: { "aws:PrincipalArn": [`arn:aws:iam::*:role/*`, `arn:aws:iam::*:user/o*s/*`] } },
      },
    ],
    deciding: { Action: "kms:*crypt*", Resource: `arn:aws:kms:${REGION}:*:key/1234*-*-*-56ef-*` },
  },
];

type Outcome = "allow" | "explicit" | "implicit";

export interface DecisionCase {
  readonly name: string;
  readonly outcome: Outcome;
  readonly run: () => Decision;
}

const compiled = (kind: "identity" | "key", statements: readonly Statement[]): CompiledPolicy =>
  compilePolicy(document(statements), { id: kind, kind, lengthMax: POLICY_LENGTH_MAX });

/** Both sides allow; or the caller's side denies last; or it lacks the allow, having been asked everything. */
function policiesOf(shape: Shape, outcome: Outcome): { identity: readonly Statement[]; key: readonly Statement[] } {
  const last = {
    allow: { ...shape.deciding, Effect: "Allow" },
    explicit: { ...shape.deciding, Effect: "Deny" },
    implicit: { ...shape.deciding, Effect: "Allow", Action: "kms:Sign" },
  }[outcome];
  return { identity: [...shape.identity, last], key: [...shape.resource, delegating(shape.deciding, ACCOUNT)] };
}

const delegating = (deciding: Statement, accountId: string): Statement => ({
  ...deciding,
  Effect: "Allow",
  Principal: { AWS: `arn:aws:iam::${accountId}:root` },
});

const document = (statements: readonly Statement[]): string =>
  JSON.stringify({ Version: "2012-10-17", Statement: statements });

/** The case "conditions, allow" as documents, for a real server; and the same conditions on streams. */
export function serverPolicies(accountId: string): {
  readonly kms: string;
  readonly kinesis: string;
  readonly key: string;
} {
  const allow = { ...CONDITIONAL, Effect: "Allow" };
  const onStreams = CONDITIONS.map((statement) => ({ ...statement, Action: "kinesis:*" }));
  const { ArnLike } = CONDITIONAL["Condition"] as Readonly<Record<string, unknown>>;
  // Whoever writes a key's policy must be able to change it.
  const governing = {
    Effect: "Allow",
    Action: ["kms:PutKeyPolicy", "kms:DescribeKey"],
    Resource: "*",
    Principal: { AWS: `arn:aws:iam::${accountId}:root` },
  };
  const [denyTransport, denyLater] = CONDITIONS.map((statement) => ({ ...statement, Principal: EVERYONE }));
  return {
    kms: document([...CONDITIONS, allow]),
    kinesis: document([...onStreams, { Effect: "Allow", Action: "kinesis:*", Resource: "*", Condition: { ArnLike } }]),
    key: document([denyTransport ?? {}, denyLater ?? {}, governing, delegating(CONDITIONAL, accountId)]),
  };
}

/** As the gateway asks: a request of its own each time, whose condition keys are made when a policy asks for one. */
function decisionCase(shape: Shape, outcome: Outcome): DecisionCase {
  const policies = policiesOf(shape, outcome);
  const identityPolicies = [compiled("identity", policies.identity)];
  const resourcePolicy = compiled("key", policies.key);
  const run = (): Decision =>
    decide({
      principal: { type: "User", arn: USER_ARN, accountId: ACCOUNT, userId: CALL.principal.userId },
      action: "kms:Encrypt",
      resource: KEY_ARN,
      resourceAccountId: ACCOUNT,
      identityPolicies,
      boundary: null,
      sessionPolicies: null,
      serviceControlPolicies: [],
      resourcePolicy,
      resourcePolicyMode: "required",
      context: lazyContext(CALL, {
        principalTags: TAGS,
        resourceAccountId: ACCOUNT,
        own: () => OWN,
        onAsked: (
          (asked) => (name: string) =>
            void asked.add(name)
        )(new Set<string>()),
      }),
    });
  const { reason } = run();
  if (reason !== outcome) throw new Error(`${shape.name}: the decision is ${reason}, not ${outcome}`);
  return { name: `${shape.name}, ${outcome === "allow" ? "allow" : `${outcome} deny`}`, outcome, run };
}

export const decisionCases = (): readonly DecisionCase[] =>
  SHAPES.flatMap((shape) =>
    (["allow", "explicit", "implicit"] as const).map((outcome) => decisionCase(shape, outcome)),
  );
