import type { Operation, Principal } from "../../../gateway/contract.ts";
import { notAuthorizedByWebIdentity, stsValidationError } from "../errors.ts";
import type { StsDeps } from "../ports.ts";
import {
  accountOfRole,
  assumedRoleUser,
  describedPolicies,
  openRoleSession,
  roleAccess,
  sessionAudit,
} from "../role-session.ts";
import type { RoleTarget } from "../role-session.ts";
import { readSessionRequest } from "../session-request.ts";
import type { Operations } from "../shapes.generated.ts";
import { createWebIdentities } from "../web-identity/identities.ts";
import type { WebIdentity } from "../web-identity/identities.ts";

type Shapes = Operations["AssumeRoleWithWebIdentity"];

interface Target extends RoleTarget {
  readonly identity: WebIdentity;
}

/** Opens a session of a role for somebody whom an OpenID Connect provider vouches for. The request is not signed: the token is. */
export function assumeRoleWithWebIdentity(deps: StsDeps): Operation<Shapes["input"], Shapes["output"], Target> {
  const identities = createWebIdentities(deps);
  // What was verified hangs on the very principal that it was verified for: no other way leads to it.
  const verified = new WeakMap<Principal, WebIdentity>();
  return {
    event: "management",
    readOnly: true,
    describe: (input) => ({
      requestParameters: {
        roleArn: input.RoleArn,
        roleSessionName: input.RoleSessionName,
        ...describedPolicies(input),
        ...(input.ProviderId === undefined ? {} : { providerId: input.ProviderId }),
      },
    }),
    async identify({ RoleArn, WebIdentityToken, ProviderId }) {
      const accountId = accountOfRole(RoleArn);
      if (ProviderId !== undefined) {
        throw stsValidationError(
          "ProviderId is for OAuth 2.0 access tokens: it is not given with an OpenID Connect token.",
        );
      }
      const identity = await identities.identify(accountId, WebIdentityToken);
      const { provider, audience, subject } = identity;
      const principal: Principal = {
        type: "WebIdentity",
        arn: provider.arn,
        accountId,
        userId: `${provider.arn}:${audience}:${subject}`,
        userName: subject,
      };
      verified.set(principal, identity);
      return principal;
    },
    async access(context, input) {
      const identity = verified.get(context.call.principal);
      if (identity === undefined) throw notAuthorizedByWebIdentity();
      const { tags, transitiveTagKeys, sourceIdentity, conditions, provider } = identity;
      const asked = readSessionRequest(deps, {
        Policy: input.Policy,
        PolicyArns: input.PolicyArns,
        Tags: tags,
        TransitiveTagKeys: transitiveTagKeys,
      });
      const { target, checks } = await roleAccess(deps, context, {
        action: "sts:AssumeRoleWithWebIdentity",
        roleArn: input.RoleArn,
        sessionName: input.RoleSessionName,
        asked,
        request: asked,
        sourceIdentity,
        context: { ...conditions, "aws:FederatedProvider": provider.arn },
      });
      return { checks, target: { ...target, identity } };
    },
    async handle(context, input, target) {
      const { provider, claims, subject, audience } = target.identity;
      const opened = await openRoleSession(deps, context, target, {
        sessionName: input.RoleSessionName,
        seconds: input.DurationSeconds,
        federation: { provider: provider.arn, claims },
      });
      const { sourceIdentity } = target;
      return {
        output: {
          Credentials: opened.credentials,
          SubjectFromWebIdentityToken: subject,
          AssumedRoleUser: assumedRoleUser(opened.principal),
          PackedPolicySize: opened.packedPolicySize,
          Provider: provider.arn,
          Audience: audience,
          SourceIdentity: sourceIdentity,
        },
        audit: sessionAudit(opened, target.role, {
          subjectFromWebIdentityToken: subject,
          provider: provider.arn,
          audience,
          ...(sourceIdentity === undefined ? {} : { sourceIdentity }),
        }),
      };
    },
  };
}
