/** STS's table: which operations are served. */
import type { AnyOperation, Service } from "../../gateway/contract.ts";
import { assumeRole } from "./operations/assume-role.ts";
import { assumeRoleWithWebIdentity } from "./operations/assume-role-with-web-identity.ts";
import { decodeAuthorizationMessage } from "./operations/decode-authorization-message.ts";
import type { DecodeAuthorization } from "./operations/decode-authorization-message.ts";
import { getAccessKeyInfo } from "./operations/get-access-key-info.ts";
import { getCallerIdentity } from "./operations/get-caller-identity.ts";
import { getFederationToken } from "./operations/get-federation-token.ts";
import { getSessionToken } from "./operations/get-session-token.ts";
import type { StsDeps } from "./ports.ts";
import { model } from "./shapes.generated.ts";
import type { Operations } from "./shapes.generated.ts";

export interface StsServiceDeps extends StsDeps {
  readonly decodeAuthorization: DecodeAuthorization;
}

export function createStsService(deps: StsServiceDeps): Service {
  const operations = {
    AssumeRole: assumeRole(deps),
    AssumeRoleWithWebIdentity: assumeRoleWithWebIdentity(deps),
    GetSessionToken: getSessionToken(deps),
    GetFederationToken: getFederationToken(deps),
    GetCallerIdentity: getCallerIdentity,
    GetAccessKeyInfo: getAccessKeyInfo(deps.accountOfAccessKey),
    DecodeAuthorizationMessage: decodeAuthorizationMessage(deps.decodeAuthorization),
  } satisfies Partial<Record<keyof Operations, AnyOperation>>;
  return { model, operations, accessDeniedCode: "AccessDenied" };
}
