import type { Write } from "../../store/metadata-store.ts";
import type { Reader } from "../../store/table.ts";
import { foldedName } from "./model.ts";
import { policyUsers, policyUses } from "./records.ts";
import type { PolicyUseRecord, UserRecord } from "./records.ts";

const UNUSED: PolicyUseRecord = { attachmentCount: 0, boundaryCount: 0 };

export const useOf = async (read: Reader, accountId: string, arn: string): Promise<PolicyUseRecord> =>
  (await read.get(policyUses, [accountId, arn])) ?? UNUSED;

/** The writes that record how a user uses a policy from now on; what is not given stays as it is. */
export async function usePolicy(
  read: Reader,
  user: UserRecord,
  arn: string,
  change: { readonly asPolicy?: boolean; readonly asBoundary?: boolean },
): Promise<readonly Write[]> {
  const { accountId, userName, userId, path } = user;
  const id = [accountId, arn, foldedName(userName)];
  const before = await read.get(policyUsers, id);
  const use = await useOf(read, accountId, arn);
  const asPolicy = change.asPolicy ?? before?.asPolicy ?? false;
  const asBoundary = change.asBoundary ?? before?.asBoundary ?? false;
  const after: PolicyUseRecord = {
    attachmentCount: use.attachmentCount + Number(asPolicy) - Number(before?.asPolicy ?? false),
    boundaryCount: use.boundaryCount + Number(asBoundary) - Number(before?.asBoundary ?? false),
  };
  return [
    after.attachmentCount + after.boundaryCount === 0
      ? policyUses.remove([accountId, arn])
      : policyUses.put([accountId, arn], after),
    asPolicy || asBoundary
      ? policyUsers.put(id, { userName, userId, path, asPolicy, asBoundary })
      : policyUsers.remove(id),
  ];
}

/** The writes that carry a user's entries over to a new name or path. */
export function renamePolicyUser(before: UserRecord, after: UserRecord): readonly Write[] {
  const arns = new Set([...before.attachedPolicyArns, ...(before.boundaryArn === null ? [] : [before.boundaryArn])]);
  const writes: Write[] = [];
  for (const arn of arns) {
    if (foldedName(before.userName) !== foldedName(after.userName)) {
      writes.push(policyUsers.remove([before.accountId, arn, foldedName(before.userName)]));
    }
    writes.push(
      policyUsers.put([after.accountId, arn, foldedName(after.userName)], {
        userName: after.userName,
        userId: after.userId,
        path: after.path,
        asPolicy: after.attachedPolicyArns.includes(arn),
        asBoundary: after.boundaryArn === arn,
      }),
    );
  }
  return writes;
}
