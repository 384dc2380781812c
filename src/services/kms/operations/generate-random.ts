import { validationError } from "../../../base/errors.ts";
import { randomKeyBytes } from "../../../crypto/wipe.ts";
import type { Operation } from "../../../gateway/contract.ts";
import { accountAccess, lowerCamel } from "../access.ts";
import { customKeyStoreNotFound } from "../errors.ts";
import type { GenerateRandomRequest, GenerateRandomResponse } from "../shapes.generated.ts";
import { requireNoRecipient } from "./crypto-operation.ts";

/** Answers bytes fit to be a key, in memory of their own. */
export const generateRandom: Operation<GenerateRandomRequest, GenerateRandomResponse, number> = {
  event: "management",
  readOnly: true,
  describe: ({ NumberOfBytes, CustomKeyStoreId }) => ({
    requestParameters: lowerCamel({ NumberOfBytes, CustomKeyStoreId }),
  }),
  async access({ call }, input) {
    if (input.NumberOfBytes === undefined) throw validationError("NumberOfBytes is required.");
    requireNoRecipient(input.Recipient);
    return { checks: [accountAccess(call, "kms:GenerateRandom")], target: input.NumberOfBytes };
  },
  check(_context, input) {
    if (input.CustomKeyStoreId !== undefined) throw customKeyStoreNotFound();
  },
  handle: async (_context, _input, byteLength) => ({ output: { Plaintext: randomKeyBytes(byteLength) } }),
};
