import { ServiceError } from "../../../base/errors.ts";
import type { Operation } from "../../../gateway/contract.ts";
import type { Operations } from "../shapes.generated.ts";

type Shapes = Operations["GetAccessKeyInfo"];

/** Finds the account of an access key; null when nobody has it. */
export type AccountOfAccessKey = (accessKeyId: string) => Promise<string | null>;

/** Which account does this access key belong to? Tells nothing else of it, not even whether it is active. */
export const getAccessKeyInfo = (
  accountOf: AccountOfAccessKey,
): Operation<Shapes["input"], Shapes["output"], null> => ({
  event: "management",
  readOnly: true,
  describe: ({ AccessKeyId }) => ({ requestParameters: { accessKeyId: AccessKeyId } }),
  access: async ({ call }) => ({
    target: null,
    checks: [{ action: "sts:GetAccessKeyInfo", resource: "*", resourceAccountId: call.principal.accountId }],
  }),
  async handle(_context, { AccessKeyId }) {
    const account = await accountOf(AccessKeyId);
    if (account === null) throw new ServiceError("ValidationError", "The access key ID is not valid.");
    return { output: { Account: account } };
  },
});
