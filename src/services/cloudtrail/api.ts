/** CloudTrail's table: which operations are served. */
import type { AuditLog } from "../../audit/log.ts";
import type { AnyOperation, Service } from "../../gateway/contract.ts";
import { lookupEvents } from "./operations/lookup-events.ts";
import { model } from "./shapes.generated.ts";
import type { Operations } from "./shapes.generated.ts";

export interface CloudTrailDeps {
  readonly auditLog: AuditLog;
}

export function createCloudTrailService(deps: CloudTrailDeps): Service {
  const operations = {
    LookupEvents: lookupEvents(deps.auditLog),
  } satisfies Record<keyof Operations, AnyOperation>;
  return { model, operations };
}
