import { accountRootArn, PARTITION, parseArn } from "../../../base/arn.ts";
import { validationError } from "../../../base/errors.ts";
import type { OperationContext, Principal, PrincipalDirectory } from "../../../gateway/contract.ts";
import { invalidArn } from "../errors.ts";
import type { GrantParty, GrantTerms } from "./records.ts";

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

/** The terms of a grant with the unique ids of whom it names. Throws InvalidArnException for principals that are not there. */
export async function boundTerms(
  directory: PrincipalDirectory,
  read: OperationContext["read"],
  terms: GrantTerms,
): Promise<GrantTerms> {
  const named = [terms.grantee, terms.retiring].flatMap((party) => (party?.type === "AWS" ? [party.name] : []));
  const { ids, unknown } = await directory.bind(read, named);
  if (unknown[0] !== undefined) throw invalidArn(unknown[0]);
  const bound = (party: GrantParty): GrantParty => {
    const id = party.type === "AWS" ? ids[party.name] : undefined;
    return id === undefined ? party : { ...party, id };
  };
  return {
    ...terms,
    grantee: bound(terms.grantee),
    retiring: terms.retiring === null ? null : bound(terms.retiring),
  };
}

/** How a party is shown: by its unique id once it is gone. */
export async function shownName(
  directory: PrincipalDirectory,
  read: OperationContext["read"],
  { name, id }: GrantParty,
): Promise<string> {
  return id === undefined ? name : await directory.nameOf(read, name, id);
}

/**
 * Under which names a grant can name the caller, strongest first. `account`: its account as a whole, which then decides by
 * its own policies who uses the grant, as with a key policy that names the account.
 */
export interface PartyName {
  readonly name: string;
  /** The unique id of who has the name now; absent: it has none. */
  readonly id?: string;
  readonly match: "exact" | "role" | "account";
}

/** Does a grant that names this party mean the one that has the name now? */
export const isMeant = (party: GrantParty, { name, id }: PartyName): boolean =>
  party.name === name && (party.id === undefined || party.id === id);

export function partyNamesOf(principal: Principal): readonly PartyName[] {
  const { type, arn, accountId, userId, session } = principal;
  if (type === "Service") return [{ name: arn, match: "exact" }];
  const account: PartyName = { name: accountRootArn(accountId), match: "account" };
  if (type === "Root") return [account];
  const self: PartyName = { name: arn, id: userId, match: "exact" };
  return type === "AssumedRole" && session !== undefined
    ? [self, { name: session.issuerArn, id: session.issuerId, match: "role" }, account]
    : [self, account];
}
