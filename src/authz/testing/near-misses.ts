/**
 * Policies made to measure: each element of a statement is written so that it fits the request, or so that it just misses
 * it (a letter, a case, a second, a bit of a network). Policies drawn at random nearly always miss by far, and then say
 * little about the rules. For tests only.
 */
import type { RawPolicy, RawRequest, RawStatement } from "./arbitrary.ts";
import type { Dice } from "./dice.ts";
import { conditionFor, contextFor } from "./near-miss-conditions.ts";
import { closePattern, fitting, missing, type RawContext } from "./near-miss-texts.ts";

export interface NearMiss extends RawRequest {
  readonly resourceKind: "resource" | "key" | "trust";
}

type Principal = RawRequest["principal"];

const ACCOUNT = "111122223333";
const OTHER = "444455556666";
const SERVICE = "events.amazonaws.com";
const NAMES = ["ann", "Ann", "a+b", "bob"] as const;
const ACTIONS = ["kms:Encrypt", "kms:Decrypt", "kms:ReEncryptFrom", "kinesis:PutRecord", "sts:AssumeRole"] as const;

/** How likely a part of a statement is to fit. Several parts have to. */
const FIT_SHARE = 0.9;

function principalOf(dice: Dice, accountId: string): Principal {
  const name = dice.one(NAMES);
  const type = dice.one([
    "Root",
    "User",
    "User",
    "User",
    "AssumedRole",
    "AssumedRole",
    "FederatedUser",
    "Service",
  ] as const);
  switch (type) {
    case "Root":
      return { type, arn: `arn:aws:iam::${accountId}:root`, accountId };
    case "User":
      return { type, arn: `arn:aws:iam::${accountId}:user/${dice.one(["", "team/"])}${name}`, accountId };
    case "AssumedRole":
      return {
        type,
        arn: `arn:aws:sts::${accountId}:assumed-role/app/${name}`,
        accountId,
        roleArn: `arn:aws:iam::${accountId}:role/${dice.one(["", "x/"])}app`,
      };
    case "FederatedUser":
      return { type, arn: `arn:aws:sts::${accountId}:federated-user/${name}`, accountId };
    default:
      return { type, arn: SERVICE, accountId: "" };
  }
}

/** A request, and policies that are about it. */
export function nearMiss(dice: Dice): NearMiss {
  const principal = principalOf(dice, dice.chance(0.75) ? ACCOUNT : OTHER);
  const action = dice.one(ACTIONS);
  const resource = dice.chance(0.05)
    ? "*"
    : `arn:aws:${action.split(":")[0]}:eu-central-1:${ACCOUNT}:key/${dice.one(NAMES)}/${dice.one(["a", "A", "a*b", "x:y", ""])}`;
  const context = contextFor(dice, principal.arn);
  const about = { principal, action, resource, context };
  const policy = (denyShare: number): RawPolicy => policyFor(dice, about, { kind: null, denyShare });
  const resourceKind = dice.one(["resource", "resource", "key", "trust"] as const);
  const isService = principal.type === "Service";
  return {
    principal,
    action,
    resource,
    resourceAccountId: ACCOUNT,
    resourceKind,
    identityPolicies: isService ? [] : dice.many(2, () => policy(0.12)),
    boundary: isService || dice.chance(0.65) ? null : policy(0.12),
    sessionPolicies: isService || dice.chance(0.65) ? null : dice.many(2, () => policy(0.12)),
    serviceControlPolicies: dice.chance(0.7)
      ? []
      : Array.from({ length: 1 + dice.upTo(1) }, () => [policy(0.12), ...dice.many(1, () => policy(0.3))]),
    resourcePolicy: dice.chance(0.25) ? null : policyFor(dice, about, { kind: resourceKind, denyShare: 0.15 }),
    resourcePolicyMode: dice.one(["optional", "required"]),
    grants: dice.chance(0.85) ? [] : [dice.one(["exact", "role", "account"] as const)],
    context,
  };
}

interface About {
  readonly principal: Principal;
  readonly action: string;
  readonly resource: string;
  readonly context: RawContext;
}

interface Form {
  /** Null: a policy without principals. */
  readonly kind: NearMiss["resourceKind"] | null;
  readonly denyShare: number;
}

function policyFor(dice: Dice, about: About, form: Form): RawPolicy {
  const Version = dice.chance(0.85) ? "2012-10-17" : "2008-10-17";
  const Statement = Array.from({ length: 1 + dice.upTo(2) }, () => statementFor(dice, about, form));
  return { Version, Statement };
}

/** A statement about the request; also for what is added to the policies of one. */
export function statementFor(dice: Dice, about: About, form: Form): RawStatement {
  const Effect = dice.chance(form.denyShare) ? "Deny" : "Allow";
  const raw: Record<string, unknown> = { Effect };
  if (form.kind !== null) {
    const negated = Effect === "Deny" && form.kind !== "trust" && dice.chance(0.3);
    raw[negated ? "NotPrincipal" : "Principal"] = principalFor(dice, about.principal, negated);
  }
  addList(dice, raw, "Action", (fits) => actionFor(dice, about.action, fits));
  if (form.kind !== "trust") addList(dice, raw, "Resource", (fits) => resourceFor(dice, about, fits));
  if (dice.chance(0.55)) {
    const conditions: Record<string, Record<string, unknown>> = {};
    for (let count = 1 + dice.upTo(1); count > 0; count--) {
      const { operator, key, values } = conditionFor(dice, about.context, dice.chance(FIT_SHARE));
      conditions[operator] = { [key]: values };
    }
    raw["Condition"] = conditions;
  }
  return raw;
}

/** `Action` with a pattern that fits or nearly does, among others; or `NotAction` with the opposite. */
function addList(dice: Dice, raw: Record<string, unknown>, name: string, write: (fits: boolean) => string): void {
  const negated = dice.chance(0.2);
  const fits = dice.chance(FIT_SHARE) !== negated;
  const list = [write(fits), ...dice.many(1, () => write(false))];
  raw[`${negated ? "Not" : ""}${name}`] = list.length === 1 && dice.chance(0.5) ? list[0] : list.toReversed();
}

function actionFor(dice: Dice, action: string, fits: boolean): string {
  if (fits && dice.chance(0.15)) return "*";
  const colon = action.indexOf(":") + 1;
  const name = action.slice(colon);
  const written = fits ? fitting(dice, name) : missing(dice, name);
  const prefix = dice.chance(0.1) ? "*:" : action.slice(0, colon);
  return dice.chance(0.3) ? (prefix + written).toUpperCase() : prefix + written;
}

function resourceFor(dice: Dice, { resource, context }: About, fits: boolean): string {
  if (resource === "*") return fits ? "*" : "arn:aws:kms:*";
  if (fits && dice.chance(0.15)) return "*";
  // The head stays as it is, so that the pattern is still an ARN.
  const head = resource.split(":", 5).join(":");
  return `${head}:${closePattern(dice, resource.slice(head.length + 1), fits, context)}`;
}

/** Who is named: the caller in one of the ways that count, or somebody much like it. */
function principalFor(dice: Dice, caller: Principal, negated: boolean): unknown {
  const fits = dice.chance(FIT_SHARE);
  if (dice.chance(0.15)) return dice.chance(0.5) ? "*" : { AWS: ["*"] };
  if (caller.type === "Service") return { Service: fits ? [SERVICE, "logs.amazonaws.com"] : "logs.amazonaws.com" };
  const account = dice.one([caller.accountId, `arn:aws:iam::${caller.accountId}:root`]);
  const own = [account, caller.arn, ...(caller.roleArn === undefined ? [] : [caller.roleArn])];
  const others = [
    caller.accountId === ACCOUNT ? OTHER : ACCOUNT,
    `arn:aws:iam::${caller.accountId}:user/anna`,
    `arn:aws:iam::${caller.accountId}:role/app2`,
    `arn:aws:sts::${caller.accountId}:assumed-role/app/an`,
  ];
  // Only who is listed with account, role and session is exempt.
  if (negated) return { AWS: dice.chance(0.7) ? own : own.filter(() => dice.chance(0.7)).concat(dice.one(others)) };
  const named = fits ? dice.one(own) : dice.one(others);
  return { AWS: dice.chance(0.5) ? named : [dice.one(others), named] };
}
