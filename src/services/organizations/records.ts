/** What the organization stores. A deployment has one organization; all its accounts belong to it. */
import { type Table, table } from "../../store/table.ts";
import type { Tag } from "./model.ts";
import type { CreateAccountFailureReason } from "./shapes.generated.ts";

export interface OrganizationRecord {
  readonly organizationId: string;
  readonly managementAccountId: string;
  readonly managementEmail: string;
  readonly rootId: string;
  readonly createdMs: number;
  /** Whether service control policies are enabled in the root. */
  readonly policiesEnabled: boolean;
  /** Grows when they are disabled, which detaches all of them everywhere: what was attached in an earlier one is not. */
  readonly policyEpoch: number;
  /** Closed ones too. */
  readonly accountCount: number;
  readonly unitCount: number;
  readonly policyCount: number;
}

interface NodeBase {
  readonly id: string;
  readonly name: string;
  readonly createdMs: number;
  readonly tags: readonly Tag[];
  /** Service control policies attached here, in the order of attachment, at least one: as of `policyEpoch`. */
  readonly policyIds: readonly string[];
  readonly policyEpoch: number;
}

export interface RootRecord extends NodeBase {
  readonly type: "ROOT";
  readonly parentId: null;
}

export interface UnitRecord extends NodeBase {
  readonly type: "ORGANIZATIONAL_UNIT";
  readonly parentId: string;
  /** 1 directly below the root. */
  readonly depth: number;
  /** Units and accounts in it: what guards its deletion against a child that comes at the same time. */
  readonly childCount: number;
}

export interface MemberRecord extends NodeBase {
  readonly type: "ACCOUNT";
  readonly parentId: string;
  readonly email: string;
  readonly joined: "INVITED" | "CREATED";
  readonly closedMs: number | null;
}

export type NodeRecord = RootRecord | UnitRecord | MemberRecord;

/** Its text is apart from how often it is attached, so that attaching it does not touch what decisions have compiled. */
export interface PolicyRecord {
  readonly policyId: string;
  readonly name: string;
  readonly description: string;
  readonly content: string;
  readonly tags: readonly Tag[];
}

/** How many targets a policy has, as of an epoch. Not kept for FullAWSAccess, which cannot be deleted. */
export interface PolicyUseRecord {
  readonly epoch: number;
  readonly targetCount: number;
}

export interface CreationRecord {
  readonly requestId: string;
  readonly accountName: string;
  readonly requestedMs: number;
  readonly accountId: string | null;
  readonly failure: CreateAccountFailureReason | null;
}

/** Of what is only listed: its key says all. */
export type Presence = Readonly<Record<string, never>>;
export const PRESENT: Presence = {};

/** The one organization, under `THE_ORGANIZATION`. */
export const organizations: Table<OrganizationRecord> = table<OrganizationRecord>("organizations.organization");
export const THE_ORGANIZATION: readonly string[] = ["this"];
/** Root, units and accounts: by id. */
export const nodes: Table<NodeRecord> = table<NodeRecord>("organizations.node");
/** By parent, type of the child, child. */
export const children: Table<Presence> = table<Presence>("organizations.child");
/** By parent, hash of the unit's name. */
export const unitNames: Table<{ readonly id: string }> = table<{ readonly id: string }>("organizations.unit-name");
/** Which account has an e-mail address: by the hash of the address in lower case. */
export const emails: Table<{ readonly accountId: string }> = table<{ readonly accountId: string }>(
  "organizations.email",
);
/** By id. */
export const policies: Table<PolicyRecord> = table<PolicyRecord>("organizations.policy");
/** By hash of the name. */
export const policyNames: Table<{ readonly id: string }> = table<{ readonly id: string }>("organizations.policy-name");
/** By id. */
export const policyUses: Table<PolicyUseRecord> = table<PolicyUseRecord>("organizations.policy-use");
/** By epoch, policy, target; not for FullAWSAccess, which nearly all have. */
export const attachments: Table<Presence> = table<Presence>("organizations.attachment");
/** By request id. */
export const creations: Table<CreationRecord> = table<CreationRecord>("organizations.creation");
