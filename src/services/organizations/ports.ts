import type { Write } from "../../store/metadata-store.ts";
import type { Reader } from "../../store/table.ts";

/** An access key of a new account's root, for who owns the deployment. */
export interface RootKey {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
}

/** Port: what an account is, beyond its place in the organization. Implemented by services/iam. */
export interface MemberAccounts {
  /**
   * A new account with a role that the management account may assume and that may do everything. Nobody has its id yet, as
   * far as `read` shows. `rootKey`: only where who owns the deployment asks; its record is among the writes.
   */
  open(
    read: Reader,
    input: {
      readonly name: string;
      readonly roleName: string;
      readonly managementAccountId: string;
      readonly nowMs: number;
    },
  ): Promise<{ readonly accountId: string; readonly writes: readonly Write[]; readonly rootKey?: RootKey }>;
  /** What makes the account's credentials stop working. */
  suspend(read: Reader, accountId: string): Promise<readonly Write[]>;
}
