import { accountRootArn, PARTITION, parseArn } from "../../../base/arn.ts";
import { validationError } from "../../../base/errors.ts";
import type { Principal } from "../../../gateway/contract.ts";
import { invalidArn } from "../errors.ts";
import type { GrantParty } from "./records.ts";

const SERVICE_NAME = /^[a-z0-9-]+(?:\.[a-z0-9-]+)*\.(?:amazonaws|amazon)\.com$/;
const SERVICE_NAME_LENGTH_MAX = 256;
/** A name behind its path, if it has one. */
const PATH_AND_NAME = /^(?:[!-)+-.0->@-~]+\/)*[\w+=,.@-]+$/;

/**
 * An account, user, role, assumed-role session or federated user by its ARN. Throws InvalidArnException for whatever else
 * it may be: groups, bare account ids, services.
 */
export function principalParty(arn: string): GrantParty {
  if (!isPrincipalArn(arn)) throw invalidArn(arn);
  return { type: "AWS", name: arn };
}

function isPrincipalArn(text: string): boolean {
  const arn = parseArn(text);
  if (arn === null || arn.partition !== PARTITION || arn.region !== "" || !/^\d{12}$/.test(arn.accountId)) return false;
  const slash = arn.resource.indexOf("/");
  const type = slash < 0 ? arn.resource : arn.resource.slice(0, slash);
  const rest = slash < 0 ? "" : arn.resource.slice(slash + 1);
  switch (`${arn.service}:${type}`) {
    case "iam:root":
      return slash < 0;
    case "iam:user":
    case "iam:role":
      return PATH_AND_NAME.test(rest);
    case "sts:assumed-role":
      return /^[\w+=,.@-]+\/[\w+=,.@-]+$/.test(rest);
    case "sts:federated-user":
      return /^[\w+=,.@-]+$/.test(rest);
    default:
      return false;
  }
}

export function serviceParty(name: string): GrantParty {
  if (name.length > SERVICE_NAME_LENGTH_MAX || !SERVICE_NAME.test(name)) {
    throw validationError(`${name.slice(0, SERVICE_NAME_LENGTH_MAX)} is not a service principal.`);
  }
  return { type: "Service", name };
}

/**
 * Under which names a grant can name the caller, strongest first. `account`: its account as a whole, which then decides by
 * its own policies who uses the grant, as with a key policy that names the account.
 */
export interface PartyName {
  readonly name: string;
  readonly match: "exact" | "role" | "account";
}

export function partyNamesOf(principal: Principal): readonly PartyName[] {
  const { type, arn, accountId, session } = principal;
  if (type === "Service") return [{ name: arn, match: "exact" }];
  const account: PartyName = { name: accountRootArn(accountId), match: "account" };
  if (type === "Root") return [account];
  const self: PartyName = { name: arn, match: "exact" };
  return type === "AssumedRole" && session !== undefined
    ? [self, { name: session.issuerArn, match: "role" }, account]
    : [self, account];
}
