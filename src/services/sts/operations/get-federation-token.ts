import type { AccessCheck, Operation, Principal } from "../../../gateway/contract.ts";
import { notWithSession } from "../errors.ts";
import type { StsDeps } from "../ports.ts";
import { describedPolicies } from "../role-session.ts";
import {
  issueCredentials,
  packedPolicySize,
  readSessionRequest,
  requirePolicies,
  tagContext,
} from "../session-request.ts";
import type { SessionRequest } from "../session-request.ts";
import type { Operations } from "../shapes.generated.ts";
import { federatedUserArn, longSessionSeconds } from "./get-session-token.ts";

type Shapes = Operations["GetFederationToken"];

/** A session for somebody whom the calling user vouches for. It may do what both the user and the session's policies allow. */
export const getFederationToken = (deps: StsDeps): Operation<Shapes["input"], Shapes["output"], SessionRequest> => ({
  event: "management",
  readOnly: true,
  describe: (input) => ({
    requestParameters: {
      name: input.Name,
      ...describedPolicies(input),
      ...(input.Tags === undefined ? {} : { tags: input.Tags.map(({ Key, Value }) => ({ key: Key, value: Value })) }),
    },
  }),
  async access({ call }, input) {
    const { type, session, accountId } = call.principal;
    if (session !== undefined || (type !== "User" && type !== "Root")) throw notWithSession("GetFederationToken");
    const request = readSessionRequest(deps, input);
    const check = (action: string): AccessCheck => ({
      action,
      resource: federatedUserArn(accountId, input.Name),
      resourceAccountId: accountId,
      context: tagContext(request),
    });
    const tagged = Object.keys(request.tags).length > 0;
    return {
      target: request,
      checks: [check("sts:GetFederationToken"), ...(tagged ? [check("sts:TagSession")] : [])],
    };
  },
  async handle({ call, read }, { Name, DurationSeconds }, request) {
    const { arn: issuerArn, userId: issuerId, accountId } = call.principal;
    await requirePolicies(deps, read, accountId, request.limits);
    const size = packedPolicySize(request);
    const principal: Principal = {
      type: "FederatedUser",
      arn: federatedUserArn(accountId, Name),
      accountId,
      userId: `${accountId}:${Name}`,
      session: {
        issuerArn,
        issuerId,
        name: Name,
        issuedAtMs: call.nowMs,
        mfa: false,
        tags: request.tags,
        limits: request.limits,
      },
    };
    const seconds = longSessionSeconds(call.principal, DurationSeconds);
    const { credentials, shown } = issueCredentials(deps, principal, call.nowMs, seconds);
    const { userId, arn } = principal;
    return {
      output: {
        Credentials: credentials,
        FederatedUser: { FederatedUserId: userId, Arn: arn },
        PackedPolicySize: size,
      },
      audit: {
        responseElements: {
          credentials: shown,
          federatedUser: { federatedUserId: userId, arn },
          ...(size === undefined ? {} : { packedPolicySize: size }),
        },
      },
    };
  },
});
