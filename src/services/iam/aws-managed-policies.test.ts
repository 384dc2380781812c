import { expect, test } from "vitest";
import { awsManagedPolicies, awsManagedPolicy } from "./aws-managed-policies.ts";
import { createIamService } from "./api.ts";
import { systemRandom } from "../../base/random.ts";
import { MANAGED_POLICY_SIZE_MAX, parsePolicyArn, policySize } from "./model.ts";
import { iamRoom, plainBox, tinyCompile } from "./testing/iam-room.ts";

test("the service's policies stand in order, fit their quota, and are told apart", () => {
  const names = awsManagedPolicies.map(({ policyName }) => policyName);
  expect(names).toEqual(names.toSorted());
  expect(new Set(awsManagedPolicies.map(({ policyId }) => policyId)).size).toBe(names.length);
  for (const policy of awsManagedPolicies) {
    expect(policySize(policy.document)).toBeLessThanOrEqual(MANAGED_POLICY_SIZE_MAX);
    expect(parsePolicyArn(policy.arn)).toEqual({ accountId: "aws", policyName: policy.policyName });
    expect(awsManagedPolicy(policy.arn)).toBe(policy);
    expect(policy.policyId).toMatch(/^ANPA[A-Z2-7]{17}$/);
  }
});

test("every row of the table asks permission for the operation that it is", async () => {
  const { accessKeyUse, reader } = await iamRoom();
  const service = createIamService({
    random: systemRandom(),
    secretBox: plainBox,
    compilePolicy: tinyCompile,
    accessKeyUse,
  });
  const call = {
    requestId: "r",
    principal: {
      type: "Root",
      arn: "arn:aws:iam::111122223333:root",
      accountId: "111122223333",
      userId: "111122223333",
    },
    region: "us-east-1",
    service: "iam",
    operation: "",
    nowMs: 0,
    sourceIp: "",
    userAgent: "",
    secureTransport: true,
  } as const;
  const input = {
    UserName: "ann",
    PolicyName: "p",
    PolicyArn: "arn:aws:iam::aws:policy/IAMFullAccess",
    PermissionsBoundary: "arn:aws:iam::aws:policy/IAMFullAccess",
    AccessKeyId: "AKIAAAAAAAAAAAAAAAAA",
    TagKeys: [],
    Tags: [],
  };
  for (const [name, row] of Object.entries(service.operations)) {
    const { checks } = await row.access({ call, read: reader }, input);
    expect(checks.map(({ action }) => action)).toContain(`iam:${name}`);
    expect(row.readOnly).toBe(/^(Get|List)/.test(name));
    expect(service.model.operations).toHaveProperty(name);
  }
});
