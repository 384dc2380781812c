/** Which service control policies are attached where. */
import type { Write } from "../../store/metadata-store.ts";
import type { Reader } from "../../store/table.ts";
import { FULL_ACCESS_ID } from "./model.ts";
import { attachments, type NodeRecord, nodes, type OrganizationRecord, policyUses, PRESENT } from "./records.ts";

const ONLY_FULL_ACCESS: readonly string[] = [FULL_ACCESS_ID];

/** What is attached to a root, unit or account now, while service control policies are enabled. */
export const attachedTo = (organization: OrganizationRecord, node: NodeRecord): readonly string[] =>
  node.policyEpoch === organization.policyEpoch ? node.policyIds : ONLY_FULL_ACCESS;

export async function targetCountOf(read: Reader, organization: OrganizationRecord, policyId: string): Promise<number> {
  const use = await read.get(policyUses, [policyId]);
  return use?.epoch === organization.policyEpoch ? use.targetCount : 0;
}

/** The writes by which a node has exactly these policies. */
export async function setAttached(
  read: Reader,
  organization: OrganizationRecord,
  node: NodeRecord,
  policyIds: readonly string[],
): Promise<readonly Write[]> {
  const { policyEpoch } = organization;
  return [
    nodes.put([node.id], { ...node, policyIds, policyEpoch }),
    ...(await useWrites(read, organization, node, policyIds)),
  ];
}

/** The writes by which a node that goes away has no policies. */
export const releaseAttached = (
  read: Reader,
  organization: OrganizationRecord,
  node: NodeRecord,
): Promise<readonly Write[]> => useWrites(read, organization, node, []);

async function useWrites(
  read: Reader,
  organization: OrganizationRecord,
  node: NodeRecord,
  after: readonly string[],
): Promise<readonly Write[]> {
  const before = attachedTo(organization, node);
  const epoch = organization.policyEpoch;
  const writes: Write[] = [];
  for (const policyId of new Set([...before, ...after])) {
    const change = Number(after.includes(policyId)) - Number(before.includes(policyId));
    if (change === 0 || policyId === FULL_ACCESS_ID) continue;
    const targetCount = (await targetCountOf(read, organization, policyId)) + change;
    const id = [String(epoch), policyId, node.id];
    writes.push(
      change > 0 ? attachments.put(id, PRESENT) : attachments.remove(id),
      policyUses.put([policyId], { epoch, targetCount }),
    );
  }
  return writes;
}
