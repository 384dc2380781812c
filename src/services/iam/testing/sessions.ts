import { createSessionTokens } from "../../../authn/session-tokens.ts";
import type { SessionTokens } from "../../../authn/credentials.ts";
import { systemRandom } from "../../../base/random.ts";
import { plainBox } from "./iam-room.ts";

/** Session tokens that are not secret: see `plainBox`. */
export const testSessions: SessionTokens = createSessionTokens({ box: plainBox, random: systemRandom() });
