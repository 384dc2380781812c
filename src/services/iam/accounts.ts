import type { Random } from "../../base/random.ts";
import type { SecretBox } from "../../envelope/secret-box.ts";
import type { Write } from "../../store/metadata-store.ts";
import { newAccessKey } from "./operations/access-keys.ts";
import { accessKeys, accounts } from "./records.ts";

export interface NewAccount {
  readonly accountId: string;
  readonly accessKeyId: string;
  /** The root's secret access key, in clear: the caller hands it over once and forgets it. */
  readonly secretAccessKey: string;
  /** Must be committed for the account to exist. */
  readonly writes: readonly Write[];
}

const ACCOUNT_ID = /^\d{12}$/;

/** Twelve random digits, the first not zero: leading zeros get lost in spreadsheets and YAML. */
export function newAccountId(random: Random): string {
  const number = Buffer.from(random.bytes(8)).readBigUInt64BE() % 900_000_000_000n;
  return String(100_000_000_000n + number);
}

/** Makes an account with an access key for its root. Throws RangeError for an id that is not twelve digits. */
export function newAccount(input: {
  readonly accountId?: string | undefined;
  readonly name: string;
  readonly random: Random;
  readonly secretBox: SecretBox;
  readonly nowMs: number;
}): NewAccount {
  const accountId = input.accountId ?? newAccountId(input.random);
  if (!ACCOUNT_ID.test(accountId)) throw new RangeError("an account id has twelve digits");
  const { record, secretAccessKey } = newAccessKey(input, accountId, { type: "root" }, input.nowMs);
  return {
    accountId,
    accessKeyId: record.accessKeyId,
    secretAccessKey,
    writes: [
      accounts.put([accountId], {
        accountId,
        name: input.name,
        createdMs: input.nowMs,
        rootAccessKeyIds: [record.accessKeyId],
        userCount: 0,
        policyCount: 0,
      }),
      accessKeys.put([record.accessKeyId], record),
    ],
  };
}
