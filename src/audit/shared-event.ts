import type { AuditEvent } from "./event.ts";

/**
 * The events that one successful call leaves: the caller's own, and one for each other account whose resource it used. All
 * have the same `sharedEventID`, and each an id of its own (CloudTrail user guide, "Using shared event IDs"). A refused call
 * is told to its caller alone, or anybody could fill the trails of others.
 */
export function withOwnersEvents(event: AuditEvent, newId: () => string): readonly AuditEvent[] {
  const { accountId } = event.userIdentity;
  if (event.errorCode !== undefined || accountId !== event.recipientAccountId) return [event];
  const others = event.resources?.filter((resource) => resource.accountId !== event.recipientAccountId) ?? [];
  if (others.length === 0) return [event];
  const owners = new Set(others.map((resource) => resource.accountId));
  const sharedEventID = newId();
  const copies = [...owners].map((owner) => ({
    ...event,
    userIdentity: identityForOthers(event.userIdentity),
    eventID: newId(),
    recipientAccountId: owner,
    // Where the caller's other resources are is its own affair.
    resources: (event.resources ?? []).filter((resource) => resource.accountId === owner),
    sharedEventID,
  }));
  return [{ ...event, sharedEventID }, ...copies];
}

/** Another account learns the caller's account and unique id; not its name, tags or access key (type `AWSAccount`, ibid.). */
function identityForOthers({
  principalId,
  accountId,
  invokedBy,
}: AuditEvent["userIdentity"]): AuditEvent["userIdentity"] {
  return { type: "AWSAccount", principalId, accountId, ...(invokedBy === undefined ? {} : { invokedBy }) };
}
