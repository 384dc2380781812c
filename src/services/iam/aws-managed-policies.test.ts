import { expect, test } from "vitest";
import { compilePolicy } from "../../authz/compile.ts";
import { decide } from "../../authz/decide.ts";
import { requestOf } from "../../authz/testing/requests.ts";
import { awsManagedPolicies, awsManagedPolicy } from "./aws-managed-policies.ts";
import { createIamService } from "./api.ts";
import { systemRandom } from "../../base/random.ts";
import { MANAGED_POLICY_SIZE_MAX, parsePolicyArn, policySize } from "./model.ts";
import { iamRoom, plainBox, simulator, tinyCompile } from "./testing/iam-room.ts";

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

test.each([
  ["AWSCloudTrail_FullAccess", ["cloudtrail:CreateTrail"], ["kms:Encrypt"]],
  ["AWSDenyAll", [], ["kms:Encrypt", "sts:AssumeRole"]],
  [
    "AWSKeyManagementServicePowerUser",
    ["kms:CreateKey", "kms:ListAliases", "iam:ListRoles"],
    ["kms:Decrypt", "kms:PutKeyPolicy"],
  ],
  ["AWSOrganizationsReadOnlyAccess", ["organizations:ListAccounts"], ["organizations:CreateAccount"]],
  ["AmazonKinesisReadOnlyAccess", ["kinesis:GetRecords", "kinesis:ListStreams"], ["kinesis:PutRecord"]],
  ["IAMFullAccess", ["iam:CreateRole"], ["kms:Encrypt", "sts:AssumeRole"]],
  ["IAMReadOnlyAccess", ["iam:GetRole", "iam:SimulateCustomPolicy"], ["iam:CreateUser"]],
  [
    "PowerUserAccess",
    ["kms:CreateKey", "sts:AssumeRole", "iam:ListRoles"],
    ["iam:CreateUser", "organizations:CreateAccount"],
  ],
  ["ReadOnlyAccess", ["kinesis:GetRecords", "kms:DescribeKey", "iam:GetRole"], ["kms:Decrypt", "kinesis:PutRecord"]],
  ["SecurityAudit", ["kms:GetKeyPolicy", "iam:GetAccountAuthorizationDetails"], ["kinesis:GetRecords", "kms:Decrypt"]],
  ["ServiceQuotasReadOnlyAccess", ["servicequotas:ListServices"], ["servicequotas:RequestServiceQuotaIncrease"]],
  ["ViewOnlyAccess", ["kms:ListKeys", "iam:ListRoles"], ["kms:GetKeyPolicy", "iam:GetRole", "kinesis:GetRecords"]],
])("%s lets through what its name says, and no more", (name, allowed, refused) => {
  const { arn, document } = awsManagedPolicies.find(({ policyName }) => policyName === name) ?? {
    arn: "",
    document: "",
  };
  const policy = compilePolicy(document, { id: arn, kind: "identity", lengthMax: MANAGED_POLICY_SIZE_MAX });
  const allows = (action: string) => decide(requestOf({ action, resource: "*", identityPolicies: [policy] })).allowed;
  expect(allowed.filter((action) => !allows(action))).toEqual([]);
  expect(refused.filter(allows)).toEqual([]);
});

test("every row of the table asks permission for the operation that it is", async () => {
  const { accessKeyUse, reader } = await iamRoom();
  const service = createIamService({
    random: systemRandom(),
    secretBox: plainBox,
    compilePolicy: tinyCompile,
    compileTrustPolicy: tinyCompile,
    accessKeyUse,
    simulator,
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
    GroupName: "team",
    RoleName: "reader",
    InstanceProfileName: "machine",
    OpenIDConnectProviderArn: "arn:aws:iam::111122223333:oidc-provider/id.example.com",
    Url: "https://id.example.com",
    AccountAlias: "main",
    PolicySourceArn: "arn:aws:iam::111122223333:user/ann",
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
    expect(row.readOnly).toBe(/^(Get|List|Generate|Simulate)/.test(name));
    expect(service.model.operations).toHaveProperty(name);
  }
});
