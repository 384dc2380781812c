import type { Access, Call, Operation } from "../../../gateway/contract.ts";
import { describeCommitment, disabled, enabled } from "../account-commitment.ts";
import { accountSettings } from "../records.ts";
import type {
  DescribeAccountSettingsInput,
  DescribeAccountSettingsOutput,
  UpdateAccountSettingsInput,
  UpdateAccountSettingsOutput,
} from "../shapes.generated.ts";

const accessToAccount = (action: string, { principal }: Call): Access<null> => ({
  checks: [{ action: `kinesis:${action}`, resource: "*", resourceAccountId: principal.accountId }],
  target: null,
});

const keyOf = ({ principal, region }: Call): readonly string[] => [principal.accountId, region];

export const describeAccountSettings: Operation<DescribeAccountSettingsInput, DescribeAccountSettingsOutput, null> = {
  event: "management",
  readOnly: true,
  access: async ({ call }) => accessToAccount("DescribeAccountSettings", call),
  handle: async ({ call, read }) => {
    const settings = await read.get(accountSettings, keyOf(call));
    return { output: { MinimumThroughputBillingCommitment: describeCommitment(settings, call.nowMs) } };
  },
};

export const updateAccountSettings: Operation<UpdateAccountSettingsInput, UpdateAccountSettingsOutput, null> = {
  event: "management",
  readOnly: false,
  describe: ({ MinimumThroughputBillingCommitment: { Status: status } }) => ({
    requestParameters: { minimumThroughputBillingCommitment: { status } },
  }),
  access: async ({ call }) => accessToAccount("UpdateAccountSettings", call),
  handle: async ({ call, read }, input) => {
    const nowMs = Math.floor(call.nowMs);
    const before = await read.get(accountSettings, keyOf(call));
    const change = input.MinimumThroughputBillingCommitment.Status === "ENABLED" ? enabled : disabled;
    const after = change(before, nowMs);
    return {
      output: { MinimumThroughputBillingCommitment: describeCommitment(after, nowMs) },
      writes: after === null ? [] : [accountSettings.put(keyOf(call), after)],
    };
  },
};
