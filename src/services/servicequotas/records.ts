import { type Table, table } from "../../store/table.ts";

/** A value that was granted, in place of the default. */
export interface AppliedRecord {
  readonly value: number;
}

/** A request for an increase, and what became of it. */
export interface RequestRecord {
  readonly requestId: string;
  readonly service: string;
  readonly code: string;
  readonly desiredValue: number;
  readonly status: "APPROVED" | "NOT_APPROVED";
  readonly createdMs: number;
  /** ARN of who asked. */
  readonly requester: string;
}

/** [account, Region, service, quota code] */
export const appliedTable: Table<AppliedRecord> = table<AppliedRecord>("servicequotas.applied");
/** [account, Region, service, quota code, request id]; ids order by time. */
export const requestTable: Table<RequestRecord> = table<RequestRecord>("servicequotas.request");
/** Which quota a request is about: [account, Region, request id]. */
export const requestIdTable: Table<{ readonly service: string; readonly code: string }> =
  table("servicequotas.request-id");
