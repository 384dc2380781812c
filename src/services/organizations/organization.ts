/** How an organization begins: with the deployment, around its first account. */
import type { Random } from "../../base/random.ts";
import type { Expectation, Write } from "../../store/metadata-store.ts";
import { FULL_ACCESS_ID, nameKey, newOrganizationId, newRootId } from "./model.ts";
import {
  children,
  emails,
  type MemberRecord,
  nodes,
  organizations,
  PRESENT,
  type RootRecord,
  THE_ORGANIZATION,
} from "./records.ts";

export interface NewOrganization {
  /** Fails when there is an organization already. */
  readonly expect: readonly Expectation[];
  readonly writes: readonly Write[];
}

/** An organization with all features whose management account has this id. */
export function newOrganization(input: {
  readonly managementAccountId: string;
  readonly random: Random;
  readonly nowMs: number;
}): NewOrganization {
  const { managementAccountId, random, nowMs } = input;
  const rootId = newRootId(random);
  // There is nobody to write to: .invalid is no domain, for good (RFC 2606).
  const managementEmail = `management@${managementAccountId}.invalid`;
  const root: RootRecord = {
    type: "ROOT",
    id: rootId,
    parentId: null,
    name: "Root",
    createdMs: nowMs,
    tags: [],
    policyIds: [FULL_ACCESS_ID],
    policyEpoch: 0,
  };
  const management: MemberRecord = {
    type: "ACCOUNT",
    id: managementAccountId,
    parentId: rootId,
    name: "management",
    email: managementEmail,
    joined: "INVITED",
    createdMs: nowMs,
    closedMs: null,
    tags: [],
    policyIds: [FULL_ACCESS_ID],
    policyEpoch: 0,
  };
  return {
    expect: [{ key: organizations.key(THE_ORGANIZATION), value: null }],
    writes: [
      organizations.put(THE_ORGANIZATION, {
        organizationId: newOrganizationId(random),
        managementAccountId,
        managementEmail,
        rootId,
        createdMs: nowMs,
        policiesEnabled: true,
        policyEpoch: 0,
        accountCount: 1,
        unitCount: 0,
        policyCount: 0,
      }),
      nodes.put([rootId], root),
      nodes.put([managementAccountId], management),
      children.put([rootId, "ACCOUNT", managementAccountId], PRESENT),
      emails.put([nameKey(managementEmail)], { accountId: managementAccountId }),
    ],
  };
}
