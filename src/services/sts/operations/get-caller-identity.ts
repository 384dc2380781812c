import type { Operation } from "../../../gateway/contract.ts";
import type { Operations } from "../shapes.generated.ts";

type Shapes = Operations["GetCallerIdentity"];

/** Who am I? Needs no permission and cannot be denied: whoever signed the request knows the answer already (STS API reference). */
export const getCallerIdentity: Operation<Shapes["input"], Shapes["output"], null> = {
  event: "management",
  readOnly: true,
  access: async () => ({ checks: [], target: null }),
  async handle({ call }) {
    const { userId, accountId, arn } = call.principal;
    return { output: { UserId: userId, Account: accountId, Arn: arn } };
  },
};
