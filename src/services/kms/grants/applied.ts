import type { AppliedGrant, Call, OperationContext } from "../../../gateway/contract.ts";
import type { Reader } from "../../../store/table.ts";
import type { EncryptionContext } from "../encryption-context.ts";
import { idOfKey, type KeyRecord } from "../records.ts";
import type { GrantOperation } from "../shapes.generated.ts";
import { contextHolds, isAsStrict } from "./constraints.ts";
import { findGrant, type Search } from "./grant-index.ts";
import { isSymmetric, takesContext } from "./grant-operations.ts";
import { isMeant, type PartyName, partyNamesOf } from "./parties.ts";
import { type GrantRecord, grantTable, type GrantTerms } from "./records.ts";

/** What a caller wants to do with a key. */
export interface GrantQuestion {
  readonly key: KeyRecord;
  readonly operation: GrantOperation;
  readonly context?: EncryptionContext | undefined;
  /** For CreateGrant: what is to be granted. A grant lets nobody give more than it gives. */
  readonly child?: Pick<GrantTerms, "operations" | "limits"> | undefined;
}

/**
 * The grant by which the caller may do this, the strongest kind there is; empty: none. The grant itself is read with
 * `get`, so that whoever remembers the permission sees it end with the grant.
 */
export async function appliedGrants(
  { call, read }: OperationContext,
  question: GrantQuestion,
): Promise<readonly AppliedGrant[]> {
  const search: Search = {
    key: question.key,
    operation: question.operation,
    context: isSymmetric(question.key) ? question.context : undefined,
    childLimits: question.child?.limits,
    sourceArn: call.sourceArn,
  };
  for (const party of partyNamesOf(call.principal)) {
    const found = await findGrant(read, search, party.name, async (grantId) => {
      const grant = await readGrant(read, question.key, grantId);
      return grant !== null && covers(grant, party, question, call) ? grant : null;
    });
    if (found !== null) return [{ grantId: found.grantId, match: party.match }];
  }
  return [];
}

function covers(grant: GrantRecord, grantee: PartyName, question: GrantQuestion, call: Call): boolean {
  const { limits, operations } = grant;
  if (!isMeant(grant.grantee, grantee) || !operations.includes(question.operation)) return false;
  if (limits.sourceArn !== null && limits.sourceArn !== call.sourceArn) return false;
  if (question.operation === "CreateGrant") {
    const { child } = question;
    return (
      child !== undefined &&
      child.operations.every((operation) => operations.includes(operation)) &&
      isAsStrict(child.limits, limits)
    );
  }
  // A grant of another kind of key has no such constraints, and no request for it has a context.
  return !takesContext(question.operation) || contextHolds(limits, question.context);
}

/**
 * By what the caller may retire this grant: being its retiring principal, being its grantee when RetireGrant is among its
 * operations, or belonging to the account that owns the key, which leaves it to its own policies. Permission in the key's
 * policy has no effect (developer guide, "Retiring and revoking grants").
 */
export function retirementOf(call: Call, key: KeyRecord, grant: GrantRecord): readonly AppliedGrant[] {
  const { principal } = call;
  const parties = [grant.retiring, grant.operations.includes("RetireGrant") ? grant.grantee : null];
  const sourceHolds = grant.limits.sourceArn === null || grant.limits.sourceArn === call.sourceArn;
  const named = partyNamesOf(principal).find((name) =>
    parties.some((party) => party && isMeant(party, name) && (principal.type !== "Service" || sourceHolds)),
  );
  if (named !== undefined) return [{ grantId: grant.grantId, match: named.match }];
  return principal.accountId === key.accountId ? [{ grantId: grant.grantId, match: "account" }] : [];
}

export const readGrant = (read: Reader, key: KeyRecord, grantId: string): Promise<GrantRecord | null> =>
  read.get(grantTable, [...idOfKey(key), grantId]);
