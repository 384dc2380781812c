import { expect, test } from "vitest";
import type { AuditResource } from "../gateway/contract.ts";
import { createEventBuilder } from "./build-event.ts";
import { storableText } from "./redaction.ts";
import { withOwnersEvents } from "./shared-event.ts";
import { ACCOUNT, subjectOf } from "./testing/events.ts";

const buildEvent = createEventBuilder();
const OTHER = "444455556666";
const keyOf = (accountId: string): AuditResource => ({
  type: "AWS::KMS::Key",
  arn: `arn:aws:kms:eu-central-1:${accountId}:key/k`,
  accountId,
});

const ids = () => {
  let next = 0;
  return () => `id-${next++}`;
};

test("the owner of a key that another account used has an event of it, without the caller's name and access key", () => {
  const event = buildEvent(subjectOf({ details: { resources: [keyOf(ACCOUNT), keyOf(OTHER)] } }));
  const [own, owners, ...more] = withOwnersEvents(event, ids());
  expect(more).toEqual([]);
  expect(own).toEqual({ ...event, sharedEventID: "id-0" });
  expect(owners).toMatchObject({
    eventName: event.eventName,
    requestID: event.requestID,
    eventID: "id-1",
    sharedEventID: "id-0",
    recipientAccountId: OTHER,
  });
  expect(owners?.userIdentity).toEqual({ type: "AWSAccount", principalId: "AIDAEXAMPLE", accountId: ACCOUNT });
  expect(JSON.parse(own === undefined ? "" : storableText(own))).toHaveProperty("sharedEventID", "id-0");
  expect(owners?.resources).toEqual([{ ARN: keyOf(OTHER).arn, type: "AWS::KMS::Key", accountId: OTHER }]);
});

test("an event of one account, and one of a refused call, stay alone", () => {
  const own = buildEvent(subjectOf({ details: { resources: [keyOf(ACCOUNT)] } }));
  const refused = buildEvent(
    subjectOf({ details: { resources: [keyOf(OTHER)] }, error: { code: "AccessDenied", message: "no" } }),
  );
  for (const event of [own, refused]) expect(withOwnersEvents(event, ids())).toEqual([event]);
});
