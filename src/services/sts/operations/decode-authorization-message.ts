import { ServiceError } from "../../../base/errors.ts";
import type { Operation } from "../../../gateway/contract.ts";
import type { Operations } from "../shapes.generated.ts";

type Shapes = Operations["DecodeAuthorizationMessage"];

/**
 * Port: what is known of a denial that an account may ask about, as AWS's JSON; null when there is none. The message is the
 * id of the denied request, or of the audit event that tells of it.
 */
export type DecodeAuthorization = (accountId: string, message: string) => Promise<string | null>;

/**
 * Why was a request denied? Tells the same of a message that nobody made and of one that is another account's, so that no
 * id can be tried out.
 */
export const decodeAuthorizationMessage = (
  decode: DecodeAuthorization,
): Operation<Shapes["input"], Shapes["output"], null> => ({
  event: "management",
  readOnly: true,
  access: async ({ call }) => ({
    target: null,
    checks: [{ action: "sts:DecodeAuthorizationMessage", resource: "*", resourceAccountId: call.principal.accountId }],
  }),
  async handle({ call }, { EncodedMessage }) {
    const decoded = await decode(call.principal.accountId, EncodedMessage);
    if (decoded === null) throw new ServiceError("InvalidAuthorizationMessageException", "Message is not valid");
    return { output: { DecodedMessage: decoded } };
  },
});
