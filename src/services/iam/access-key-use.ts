import type { Clock } from "../../base/clock.ts";
import type { Principal } from "../../gateway/contract.ts";
import type { MetadataStore, Write } from "../../store/metadata-store.ts";
import type { Reader } from "../../store/table.ts";
import { foldedName, parseIssuerArn } from "./model.ts";
import { accessKeys, accessKeyUses, roles, roleUses } from "./records.ts";
import type { AccessKeyUseRecord, RoleRecord, RoleUseRecord } from "./records.ts";

/** One use of an access key that was authenticated. */
export interface KeyUse {
  readonly accessKeyId: string;
  readonly service: string;
  readonly region: string;
  readonly nowMs: number;
  /** Whose key it is. A session's key counts as use of its role. Absent: a long-term key. */
  readonly principal?: Pick<Principal, "type" | "session">;
}

/** Remembers when and for what each access key was used last, and each role by its sessions. */
export interface AccessKeyUse {
  /** Costs no commit: what is noted is written within a minute, and lost if the process dies before. AWS lags as well. */
  note(use: KeyUse): void;
  /** Null: never, as far as is known. */
  lastUse(read: Reader, accessKeyId: string): Promise<AccessKeyUseRecord | null>;
  lastUseOfRole(read: Reader, role: RoleRecord): Promise<RoleUseRecord | null>;
  /** Writes what was noted and stops. */
  stop(): Promise<void>;
}

const FLUSH_INTERVAL_MS = 60_000;
const BATCH_COUNT = 200;

type Noted =
  | { readonly type: "key"; readonly accessKeyId: string; readonly use: AccessKeyUseRecord }
  | { readonly type: "role"; readonly id: readonly string[]; readonly roleId: string; readonly use: RoleUseRecord };

/** No access key id holds a slash. */
const roleEntry = (id: readonly string[]): string => id.join("/");

/** Null: nothing is remembered of it (the sessions of users, as on AWS). */
function notedOf({ accessKeyId, service, region, nowMs, principal }: KeyUse): readonly [string, Noted] | null {
  const session = principal?.session;
  if (session === undefined) {
    return [accessKeyId, { type: "key", accessKeyId, use: { lastUsedMs: nowMs, serviceName: service, region } }];
  }
  const issuer = principal?.type === "AssumedRole" ? parseIssuerArn(session.issuerArn) : null;
  if (issuer?.type !== "role") return null;
  const id = [issuer.accountId, foldedName(issuer.name)];
  return [roleEntry(id), { type: "role", id, roleId: session.issuerId, use: { lastUsedMs: nowMs, region } }];
}

export function createAccessKeyUse(deps: {
  readonly store: MetadataStore;
  readonly clock: Clock;
  /** Told when uses could not be written; they are tried again a minute later. */
  readonly onError: (cause: unknown) => void;
}): AccessKeyUse {
  const noted = new Map<string, Noted>();
  let cancelTimer: (() => void) | null = null;
  let flushed: Promise<void> = Promise.resolve();

  const disarm = (): void => {
    cancelTimer?.();
    cancelTimer = null;
  };
  const arm = (): void => {
    cancelTimer ??= deps.clock.after(FLUSH_INTERVAL_MS, () => {
      cancelTimer = null;
      void flush();
    });
  };

  // What was deleted meanwhile gets no record. A key or role deleted between this look and the commit leaves one: that of a
  // key is unreachable, that of a role older than any role that is made later under its name.
  const writeOf = async (item: Noted): Promise<Write | null> => {
    if (item.type === "key") {
      const exists = (await deps.store.get(accessKeys.key([item.accessKeyId]))) !== null;
      return exists ? accessKeyUses.put([item.accessKeyId], item.use) : null;
    }
    const role = await deps.store.get(roles.key(item.id));
    return role !== null && roles.decode(role).roleId === item.roleId ? roleUses.put(item.id, item.use) : null;
  };

  const writeBatch = async (batch: readonly (readonly [string, Noted])[]): Promise<void> => {
    const writes: Write[] = [];
    for (const [, item] of batch) {
      const write = await writeOf(item);
      if (write !== null) writes.push(write);
    }
    if (writes.length > 0) await deps.store.commit({ expect: [], writes });
    // What was noted while this was written stays for the next time.
    for (const [name, item] of batch) if (noted.get(name) === item) noted.delete(name);
  };

  const writeAll = async (): Promise<void> => {
    const due = [...noted];
    try {
      for (let from = 0; from < due.length; from += BATCH_COUNT) await writeBatch(due.slice(from, from + BATCH_COUNT));
    } catch (cause) {
      deps.onError(cause);
    }
    if (noted.size > 0) arm();
  };

  const flush = (): Promise<void> => {
    flushed = flushed.then(writeAll);
    return flushed;
  };

  return {
    note(use) {
      const entry = notedOf(use);
      if (entry === null) return;
      noted.set(...entry);
      arm();
    },
    async lastUse(read, accessKeyId) {
      const pending = noted.get(accessKeyId);
      return pending?.type === "key" ? pending.use : read.get(accessKeyUses, [accessKeyId]);
    },
    async lastUseOfRole(read, { accountId, roleName, roleId, createdMs }) {
      const id = [accountId, foldedName(roleName)];
      const pending = noted.get(roleEntry(id));
      if (pending?.type === "role" && pending.roleId === roleId) return pending.use;
      const stored = await read.get(roleUses, id);
      return stored === null || stored.lastUsedMs < createdMs ? null : stored;
    },
    async stop() {
      disarm();
      await flush();
      disarm();
    },
  };
}
