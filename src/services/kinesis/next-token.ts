/** Tokens that continue a listing: sealed like shard iterators, and valid as long. */
import { asBuffer } from "../../base/bytes.ts";
import type { SecretBox } from "../../envelope/secret-box.ts";
import { expiredNextToken, invalidNextToken } from "./errors.ts";

const LIFETIME_MS = 300_000;
const PURPOSE = "kinesis.next-token";

/** Where a listing goes on. `scope` is what it lists. */
export interface NextToken {
  readonly scope: {
    readonly accountId: string;
    readonly region: string;
    readonly streamId?: string;
    readonly name?: string;
  };
  readonly after: string;
  readonly createdMs: number;
  /** What else the first request asked for. */
  readonly filter?: string;
}

export const sealNextToken = (box: SecretBox, operation: string, token: NextToken): string => {
  const sealed = box.seal(PURPOSE, operation, Buffer.from(JSON.stringify(token), "utf8"));
  return asBuffer(sealed).toString("base64");
};

/** Throws InvalidArgumentException for a token that this server did not make for the operation. */
export function openNextToken(box: SecretBox, operation: string, token: string): NextToken {
  const bytes = box.open(PURPOSE, operation, Buffer.from(token, "base64"));
  if (bytes === null) throw invalidNextToken();
  return JSON.parse(asBuffer(bytes).toString("utf8")) as NextToken;
}

/** Throws ExpiredNextTokenException. */
export function checkNextTokenAge(token: NextToken, nowMs: number): void {
  if (nowMs - token.createdMs > LIFETIME_MS) throw expiredNextToken();
}
