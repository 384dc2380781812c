import { expect, test } from "vitest";
import { denialMessage } from "./denial.ts";
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

test("the caller reads what it named, where the resource's ARN says more", () => {
  const request = requestOf({ resource: "arn:aws:iam::111122223333:user/sec/bob" });
  const named = "arn:aws:iam::111122223333:user/bob";
  const message = denialMessage(request, denial("implicit", "identity"), named);
  expect(message).toContain(`on resource: ${named} because`);
  expect(message).not.toContain("sec");
});

test("the caller is not told which policy denied", () => {
  expect(denialMessage(requestOf(), denial("explicit", "identity"))).not.toContain("guard");
});

test("somebody whom a provider vouches for has no name yet", () => {
  const principal = { type: "WebIdentity" as const, arn: "arn:aws:iam::1:oidc-provider/x", accountId: "", userId: "x" };
  const request = requestOf({ principal, action: "sts:AssumeRoleWithWebIdentity" });
  expect(denialMessage(request, denial("implicit", "resource"))).toBe(
    "Not authorized to perform sts:AssumeRoleWithWebIdentity",
  );
});

test("a role's trust policy goes by its own name, and says nothing of a missing allow", () => {
  const resource = "arn:aws:iam::444455556666:role/app";
  const request = requestOf({ action: "sts:AssumeRole", resource });
  const head = `User: arn:aws:iam::111122223333:user/ann is not authorized to perform: sts:AssumeRole on resource: ${resource}`;
  expect(denialMessage(request, denial("implicit", "resource"))).toBe(head);
  expect(denialMessage(request, denial("explicit", "resource"))).toBe(
    `${head} with an explicit deny in the role trust policy`,
  );
  // What the caller's own policies lack is not told apart: it would tell that there is such a role.
  expect(denialMessage(request, denial("implicit", "identity"))).toBe(head);
  expect(denialMessage(request, denial("explicit", "identity"))).toBe(
    `${head} with an explicit deny in an identity-based policy`,
  );
  expect(denialMessage(request, denial("implicit", "service control"))).toBe(
    `${head} because no service control policy allows the sts:AssumeRole action`,
  );
});

test.each([
  ["deleted", "because no identity-based policy allows the kms:Decrypt action"],
  ["unreadable", "because the policies that decide cannot be read"],
] as const)("%s: a deny that nobody wrote is not called an explicit one", (stop, ending) => {
  const identityPolicies = [{ id: "x", statements: [], stop }];
  const decision = { ...denial("explicit", "identity"), statement: { policyId: "x", sid: null, index: 0 } };
  expect(denialMessage(requestOf({ identityPolicies }), decision)).toBe(`${WHO} ${ending}`);
});
