import { describe, expect, test } from "vitest";
import type { PolicyHolder, PrincipalPolicies } from "../authz/policy-source.ts";
import { compileServiceControl, withServiceControls } from "./service-controls.ts";

const nothing: PrincipalPolicies = {
  identityPolicies: [],
  boundary: null,
  sessionPolicies: null,
  serviceControlPolicies: [],
  tags: {},
};

const MANAGEMENT = "111122223333";
const MEMBER = "444455556666";

const holder = (type: PolicyHolder["type"], accountId: string): PolicyHolder => ({
  type,
  arn: `arn:aws:iam::${accountId}:root`,
  accountId,
  userId: accountId,
});

const deny = compileServiceControl('{"Statement":{"Effect":"Deny","Action":"*","Resource":"*"}}', "p-denydeny");

function joined() {
  const levels = [[deny]];
  const asked: string[] = [];
  const source = withServiceControls({ policiesOf: () => Promise.resolve(nothing) }, (accountId) => {
    asked.push(accountId);
    return accountId === MANAGEMENT ? [] : levels;
  });
  return { levels, asked, source };
}

describe("service control policies beside IAM's", () => {
  test("limit a member account's principals, its root too", async () => {
    const { source, levels } = joined();
    for (const type of ["Root", "User", "AssumedRole", "FederatedUser"] as const) {
      expect(await source.policiesOf(holder(type, MEMBER))).toEqual({ ...nothing, serviceControlPolicies: levels });
    }
  });

  test("leave what IAM answers untouched for the management account, and never ask for a service", async () => {
    const { source, asked } = joined();
    expect(await source.policiesOf(holder("Root", MANAGEMENT))).toBe(nothing);
    asked.splice(0);
    expect(await source.policiesOf(holder("Service", MEMBER))).toBe(nothing);
    expect(asked).toEqual([]);
  });

  test("are one object with IAM's as long as both are the same: permissions are remembered by it", async () => {
    const { source, levels } = joined();
    const first = await source.policiesOf(holder("Root", MEMBER));
    expect(await source.policiesOf(holder("Root", MEMBER))).toBe(first);
    // Root's policies of IAM are one object for all accounts.
    expect(await source.policiesOf(holder("Root", MANAGEMENT))).toBe(nothing);
    expect((await source.policiesOf(holder("Root", MEMBER))).serviceControlPolicies).toBe(levels);
  });
});
