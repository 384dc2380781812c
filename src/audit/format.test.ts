import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { movableClock } from "../base/clock.ts";
import { auditEvents, createAuditLog } from "./audit-log.ts";
import type { AuditEvent } from "./event.ts";

const page = readFileSync(new URL("../../docs/formats/audit-event.md", import.meta.url), "utf8");

test("the example in docs/formats/audit-event.md is stored as it says", () => {
  const event = JSON.parse(/```json\n([\s\S]*?)```/.exec(page)?.[1] ?? "") as AuditEvent;
  const orderKey = /^\d{15}-\d{15}-\d{6}-[0-9a-f-]{36}$/m.exec(page)?.[0] ?? "";
  const recordedMs = Number(orderKey.split("-")[1]);
  const log = createAuditLog({
    store: { range: () => Promise.resolve([]) },
    clock: movableClock(undefined, recordedMs),
  });
  const [write] = log.entry(event);
  expect(write && auditEvents.idOf(write.key)).toEqual([event.recipientAccountId, event.awsRegion, orderKey]);
  expect(write?.value && auditEvents.decode(write.value)).toEqual(event);
});
