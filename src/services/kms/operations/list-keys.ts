import type { Operation } from "../../../gateway/contract.ts";
import { accountAccess, lowerCamel } from "../access.ts";
import { isDeleted, isKeyId, keyArnOf } from "../model.ts";
import { pageEnd, pageOf } from "../pages.ts";
import { keyTable } from "../records.ts";
import type { ListKeysRequest, ListKeysResponse } from "../shapes.generated.ts";

export const listKeys: Operation<ListKeysRequest, ListKeysResponse, null> = {
  event: "management",
  readOnly: true,
  describe: (input) => ({ requestParameters: lowerCamel(input) }),
  access: async ({ call }) => ({ checks: [accountAccess(call, "kms:ListKeys")], target: null }),
  async handle({ call, read }, input) {
    const { limit, after } = pageOf(input, { default: 100, max: 1000 }, isKeyId);
    const prefix = [call.principal.accountId, call.region];
    const found = await read.list(keyTable, {
      prefix,
      after: after === undefined ? undefined : [...prefix, after],
      limit: limit + 1,
    });
    const page = found.slice(0, limit).map((entry) => entry.value);
    return {
      output: {
        // A page may be short of keys whose deletion date has just come.
        Keys: page
          .filter((key) => !isDeleted(key, call.nowMs))
          .map((key) => ({ KeyId: key.keyId, KeyArn: keyArnOf(key) })),
        ...pageEnd(page.at(-1)?.keyId, found.length > limit),
      },
    };
  },
};
