import { expect, test } from "vitest";
import { denialDetails, denialMessage } from "./denial.ts";
import { KEY_ARN, requestOf } from "./testing/requests.ts";
import type { Decision, PolicyKind } from "./types.ts";

const WHO = `User: arn:aws:iam::111122223333:user/ann is not authorized to perform: kms:Decrypt on resource: ${KEY_ARN}`;
const denial = (reason: Decision["reason"], kind: PolicyKind): Decision => ({
  allowed: false,
  reason,
  kind,
  statement:
    reason === "explicit" ? { policyId: "arn:aws:iam::111122223333:policy/guard", sid: "Guard", index: 2 } : null,
});

test.each<[Decision["reason"], PolicyKind, string]>([
  ["implicit", "identity", "because no identity-based policy allows the kms:Decrypt action"],
  ["implicit", "resource", "because no resource-based policy allows the kms:Decrypt action"],
  ["implicit", "boundary", "because no permissions boundary allows the kms:Decrypt action"],
  ["implicit", "session", "because no session policy allows the kms:Decrypt action"],
  ["implicit", "service control", "because no service control policy allows the kms:Decrypt action"],
  ["explicit", "identity", "with an explicit deny in an identity-based policy"],
  ["explicit", "resource", "with an explicit deny in a resource-based policy"],
  ["explicit", "boundary", "with an explicit deny in a permissions boundary"],
  ["explicit", "session", "with an explicit deny in a session policy"],
  ["explicit", "service control", "with an explicit deny in a service control policy"],
])("%s deny, %s: %s", (reason, kind, ending) => {
  expect(denialMessage(requestOf(), denial(reason, kind))).toBe(`${WHO} ${ending}`);
});

test("the caller is not told which policy denied, the audit trail is", () => {
  const decision = denial("explicit", "identity");
  expect(denialMessage(requestOf(), decision)).not.toContain("guard");
  expect(denialDetails(requestOf(), decision)).toMatchObject({
    action: "kms:Decrypt",
    reason: "explicit",
    policyKind: "identity",
    statement: { sid: "Guard", index: 2 },
  });
});
