import { type Table, table } from "../../../store/table.ts";
import type { EncryptionContext } from "../encryption-context.ts";
import type { GrantOperation } from "../shapes.generated.ts";

/** Who is named in a grant: by an ARN, or a service by its name (`events.amazonaws.com`). */
export interface GrantParty {
  readonly type: "AWS" | "Service";
  readonly name: string;
  /**
   * The unique id of the user, role or session that has the name: another one that gets it later is not meant. Absent: there
   * is none (services, accounts, federated users), or the grant was made by an older build.
   */
  readonly id?: string;
}

/** At most one of `equals` and `subset`. Null: not constrained. */
export interface GrantLimits {
  readonly equals: EncryptionContext | null;
  readonly subset: EncryptionContext | null;
  readonly sourceArn: string | null;
}

/** What a grant says. Nothing here is secret: the developer guide warns that constraints stand in logs. */
export interface GrantTerms {
  readonly name: string | null;
  readonly grantee: GrantParty;
  readonly retiring: GrantParty | null;
  /** Without repetitions, sorted. */
  readonly operations: readonly GrantOperation[];
  readonly limits: GrantLimits;
}

export interface GrantRecord extends GrantTerms {
  readonly grantId: string;
  readonly createdMs: number;
  /** The account of whoever made the grant; not always the key's. */
  readonly issuingAccountId: string;
  /** Under which pair of `limits.subset` the grant is found (`pairDigest`); null: it has no such constraint. */
  readonly subsetPair: string | null;
}

type Marker = Readonly<Record<string, never>>;

/** [account, Region, key id, grant id] */
export const grantTable: Table<GrantRecord> = table<GrantRecord>("kms.grant");
/** What a caller may do by a grant, one row for each operation: see grant-index.ts. */
export const useTable: Table<Marker> = table<Marker>("kms.grant-use");
/** [account, Region, key id, grantee, grant id] */
export const granteeTable: Table<Marker> = table<Marker>("kms.grant-grantee");
/** [Region, retiring principal, account, key id, grant id] */
export const retirableTable: Table<Marker> = table<Marker>("kms.grant-retirable");
/** Named grants, so that a request that is sent again finds its grant: [account, Region, key id, digest of the terms] */
export const namedTable: Table<{ readonly grantId: string }> = table<{ readonly grantId: string }>("kms.grant-named");
/** How many grants a key has, in parts that add up: [account, Region, key id, part] */
export const countTable: Table<{ readonly count: number }> = table<{ readonly count: number }>("kms.grant-count");
