import type { Operation } from "../../../gateway/contract.ts";
import { lowerCamel } from "../access.ts";
import { keyMetadata } from "../model.ts";
import { createKey } from "../new-key.ts";
import type { KmsParts } from "../parts.ts";
import type { NamedKey } from "../resolve.ts";
import type { DescribeKeyRequest, DescribeKeyResponse } from "../shapes.generated.ts";
import { keyOperation } from "./key-operation.ts";

/** Describing an AWS managed key by its alias is a first use: it creates the key. */
export const describeKey = (kms: KmsParts): Operation<DescribeKeyRequest, DescribeKeyResponse, NamedKey> =>
  keyOperation<DescribeKeyRequest, DescribeKeyResponse>(kms, {
    name: "DescribeKey",
    readOnly: true,
    forms: { aliases: true, crossAccount: true, createsManaged: true },
    grantTokens: (input) => input.GrantTokens,
    describe: ({ KeyId }) => lowerCamel({ KeyId }),
    handle: ({ call }, _input, key, named) => ({
      output: { KeyMetadata: keyMetadata(key, call.nowMs) },
      ...(named.isNew ? { writes: createKey(kms, key, () => undefined).writes } : {}),
    }),
  });
