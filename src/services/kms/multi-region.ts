import type { Write } from "../../store/metadata-store.ts";
import type { Reader } from "../../store/table.ts";
import { unsupported } from "./errors.ts";
import { isPrimary, keyArnOf } from "./model.ts";
import { deletionId, deletionTable, idOfKey, type KeyRecord, keyTable, type MultiRegion } from "./records.ts";

/**
 * The related keys of a multi-Region key: a primary and its replicas. They share id, material, spec, usage, origin and
 * rotation, and agree on who they are (developer guide, "Shared properties of multi-Region keys"); their records are
 * changed together, in one commit.
 */

const DAY_MS = 24 * 60 * 60 * 1000;

/** How long a new replica is Creating, and both keys are Updating when the primary moves. */
export const REGION_TRANSITION_MS = 500;

/**
 * The other keys that are related to this one, the primary first; none for a key of one Region. Those whose deletion date
 * has come are among them until their records are removed.
 */
export async function relatedKeys(read: Reader, key: KeyRecord): Promise<readonly KeyRecord[]> {
  if (key.multiRegion === null) return [];
  const { primaryRegion, replicaRegions } = key.multiRegion;
  const regions = [primaryRegion, ...replicaRegions].filter((region) => region !== key.region);
  const found = await Promise.all(regions.map((region) => read.get(keyTable, idOfKey({ ...key, region }))));
  return found.filter((related) => related !== null);
}

/** Throws unless the key is the primary of a multi-Region key. */
export function requirePrimary(key: KeyRecord): MultiRegion {
  if (key.multiRegion === null || !isPrimary(key))
    throw unsupported(`${keyArnOf(key)} is not a multi-region primary key.`);
  return key.multiRegion;
}

/** Whether deletion of this key has to wait for its replicas. */
export const hasReplicas = (key: KeyRecord): boolean =>
  isPrimary(key) && (key.multiRegion?.replicaRegions.length ?? 0) > 0;

/** Sorted, so that all answers name them in one order. */
export const withReplica = (of: MultiRegion, region: string): MultiRegion => ({
  ...of,
  replicaRegions: [...of.replicaRegions, region].toSorted(),
});

export const withoutReplica = (of: MultiRegion, region: string): MultiRegion => ({
  ...of,
  replicaRegions: of.replicaRegions.filter((other) => other !== region),
});

/** The replica in `region` becomes the primary, and the primary a replica. */
export const withPrimary = (of: MultiRegion, region: string): MultiRegion => ({
  primaryRegion: region,
  replicaRegions: [...withoutReplica(of, region).replicaRegions, of.primaryRegion].toSorted(),
});

/**
 * What has to be written about the related keys when a key's record is removed. Was it the last replica of a primary whose
 * deletion waits for that, the primary's waiting period begins now.
 */
export async function writesAtRemoval(read: Reader, removed: KeyRecord, nowMs: number): Promise<readonly Write[]> {
  if (removed.multiRegion === null) return [];
  const multiRegion = withoutReplica(removed.multiRegion, removed.region);
  const writes: Write[] = [];
  for (const key of await relatedKeys(read, removed)) {
    const changed = { ...key, multiRegion };
    if (key.replicaDeletionDays === null || hasReplicas(changed)) {
      writes.push(keyTable.put(idOfKey(key), changed));
      continue;
    }
    const deletionDateMs = nowMs + key.replicaDeletionDays * DAY_MS;
    writes.push(
      keyTable.put(idOfKey(key), { ...changed, replicaDeletionDays: null, deletionDateMs }),
      deletionTable.put(deletionId(key, deletionDateMs), {}),
    );
  }
  return writes;
}

/** AWS's partitions, by how the names of their Regions begin. Keys are never related across them. */
export const partitionOf = (region: string): string =>
  /^(cn|us-gov|us-iso[a-z]?|eu-isoe|eusc)-/.exec(region)?.[1] ?? "aws";
