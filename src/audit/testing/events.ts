import type { Call } from "../../gateway/contract.ts";
import type { AuditEvent } from "../event.ts";
import { createEventBuilder } from "../build-event.ts";
import type { EventSubject } from "../build-event.ts";

export const ACCOUNT = "111122223333";
export const REGION = "eu-central-1";

export const callOf = (parts: Partial<Call> = {}): Call => ({
  requestId: "00000000-0000-4000-8000-000000000001",
  principal: {
    type: "User",
    arn: `arn:aws:iam::${ACCOUNT}:user/ann`,
    accountId: ACCOUNT,
    userId: "AIDAEXAMPLE",
    userName: "ann",
    accessKeyId: "AKIAEXAMPLE",
  },
  region: REGION,
  service: "kms",
  operation: "Decrypt",
  nowMs: 1_700_000_000_123,
  sourceIp: "192.0.2.7",
  userAgent: "aws-cli/2",
  secureTransport: true,
  ...parts,
});

export const subjectOf = (parts: Partial<EventSubject> = {}): EventSubject => ({
  call: callOf(),
  eventSource: "kms.amazonaws.com",
  readOnly: true,
  category: "Management",
  details: {},
  eventId: eventIdOf(0),
  ...parts,
});

export const eventIdOf = (number: number): string => `00000000-0000-4000-9000-${String(number).padStart(12, "0")}`;

/** The numbered event, a number of milliseconds after the start of the tests' clock. */
export const numberedEvent = (number: number, timeMs: number, parts: Partial<AuditEvent> = {}): AuditEvent => ({
  ...createEventBuilder()(subjectOf({ call: callOf({ nowMs: timeMs }), eventId: eventIdOf(number) })),
  ...parts,
});
