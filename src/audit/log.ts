import type { Write } from "../store/metadata-store.ts";
import type { AuditEvent, LookupPage, LookupQuery } from "./event.ts";

/** The audit trail: events go in with the commit of what they tell about, and come out by CloudTrail's attributes. */
export interface AuditLog {
  /** The writes that put an event into the log. The gateway commits them with the operation's own. */
  entry(event: AuditEvent): readonly Write[];
  /** Does a bounded amount of work per call. Throws RangeError when the cursor is not one of its own. */
  lookup(query: LookupQuery): Promise<LookupPage>;
}
