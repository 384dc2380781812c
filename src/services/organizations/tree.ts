/** How the organization's tree is read and changed: roots, units and accounts as records and as answers. */
import type { Write } from "../../store/metadata-store.ts";
import type { Reader } from "../../store/table.ts";
import { parentNotFound } from "./errors.ts";
import { accountArn, resourceArn } from "./model.ts";
import {
  children,
  type MemberRecord,
  type NodeRecord,
  nodes,
  type OrganizationRecord,
  PRESENT,
  type RootRecord,
  type UnitRecord,
} from "./records.ts";
import type { Account, OrganizationalUnit } from "./shapes.generated.ts";

export type ParentRecord = RootRecord | UnitRecord;

/** The root or unit of that id, or null. */
export async function findParent(read: Reader, id: string): Promise<ParentRecord | null> {
  const node = await read.get(nodes, [id]);
  return node === null || node.type === "ACCOUNT" ? null : node;
}

export async function requireParent(read: Reader, id: string): Promise<ParentRecord> {
  const parent = await findParent(read, id);
  if (parent === null) throw parentNotFound();
  return parent;
}

export async function findMember(read: Reader, id: string): Promise<MemberRecord | null> {
  const node = await read.get(nodes, [id]);
  return node?.type === "ACCOUNT" ? node : null;
}

export async function findUnit(read: Reader, id: string): Promise<UnitRecord | null> {
  const node = await read.get(nodes, [id]);
  return node?.type === "ORGANIZATIONAL_UNIT" ? node : null;
}

/** The writes that hang a child below a parent. The root's children need no count: it is never deleted. */
export const attachChild = (parent: ParentRecord, child: NodeRecord): readonly Write[] => [
  children.put([parent.id, child.type, child.id], PRESENT),
  ...counted(parent, 1),
];

export const detachChild = (parent: ParentRecord, child: NodeRecord): readonly Write[] => [
  children.remove([parent.id, child.type, child.id]),
  ...counted(parent, -1),
];

const counted = (parent: ParentRecord, by: number): readonly Write[] =>
  parent.type === "ROOT" ? [] : [nodes.put([parent.id], { ...parent, childCount: parent.childCount + by })];

/** `o-…/r-…/ou-…/…/`: where a unit or account is, as the service shows it and `aws:PrincipalOrgPaths` names it. */
export async function pathOf(read: Reader, organization: OrganizationRecord, node: NodeRecord): Promise<string> {
  let path = `${node.id}/`;
  let parentId = node.parentId;
  while (parentId !== null) {
    path = `${parentId}/${path}`;
    parentId = (await read.get(nodes, [parentId]))?.parentId ?? null;
  }
  return `${organization.organizationId}/${path}`;
}

export const unitOut = async (
  read: Reader,
  organization: OrganizationRecord,
  unit: UnitRecord,
): Promise<OrganizationalUnit> => ({
  Id: unit.id,
  Arn: resourceArn(organization, unit.id),
  Name: unit.name,
  Path: await pathOf(read, organization, unit),
});

export const accountOut = async (
  read: Reader,
  organization: OrganizationRecord,
  account: MemberRecord,
): Promise<Account> => ({
  Id: account.id,
  Arn: accountArn(organization, account.id),
  Email: account.email,
  Name: account.name,
  Status: account.closedMs === null ? "ACTIVE" : "SUSPENDED",
  State: account.closedMs === null ? "ACTIVE" : "CLOSED",
  Paths: [await pathOf(read, organization, account)],
  JoinedMethod: account.joined,
  JoinedTimestamp: account.createdMs,
});
