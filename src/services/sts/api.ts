/** STS's table: which operations are served. Sessions are not issued yet. */
import type { AnyOperation, Service } from "../../gateway/contract.ts";
import { getAccessKeyInfo } from "./operations/get-access-key-info.ts";
import type { AccountOfAccessKey } from "./operations/get-access-key-info.ts";
import { getCallerIdentity } from "./operations/get-caller-identity.ts";
import { model } from "./shapes.generated.ts";
import type { Operations } from "./shapes.generated.ts";

export interface StsDeps {
  readonly accountOfAccessKey: AccountOfAccessKey;
}

export function createStsService(deps: StsDeps): Service {
  const operations = {
    GetCallerIdentity: getCallerIdentity,
    GetAccessKeyInfo: getAccessKeyInfo(deps.accountOfAccessKey),
  } satisfies Partial<Record<keyof Operations, AnyOperation>>;
  return { model, operations, accessDeniedCode: "AccessDenied" };
}
