import { expect, test } from "vitest";
import { ACCOUNT, iamRoom, policyText } from "../testing/iam-room.ts";

const AssumeRolePolicyDocument = policyText("Allow", "sts:AssumeRole");
const PolicyDocument = policyText("Allow", "kms:ListKeys");

test.each([
  ["CreateUser", { UserName: "x", Path: "/p/" }, "iam:TagUser", "user/p/x"],
  ["CreateRole", { RoleName: "x", Path: "/p/", AssumeRolePolicyDocument }, "iam:TagRole", "role/p/x"],
  ["CreatePolicy", { PolicyName: "x", Path: "/p/", PolicyDocument }, "iam:TagPolicy", "policy/p/x"],
  ["CreateInstanceProfile", { InstanceProfileName: "x" }, "iam:TagInstanceProfile", "instance-profile/x"],
  [
    "CreateOpenIDConnectProvider",
    { Url: "https://idp.test/a" },
    "iam:TagOpenIDConnectProvider",
    "oidc-provider/idp.test/a",
  ],
] as const)("%s with tags must be allowed to tag, too", async (name, input, tagAction, path) => {
  const room = await iamRoom();
  const resource = `arn:aws:iam::${ACCOUNT}:${path}`;
  const context = { "aws:RequestTag/team": "red", "aws:TagKeys": ["team"] };
  const Tags = [{ Key: "team", Value: "red" }];
  expect(await room.checks(name, { ...input, Tags })).toMatchObject([
    { action: `iam:${name}`, resource, context },
    { action: tagAction, resource, resourceAccountId: ACCOUNT, context },
  ]);
  for (const plain of [input, { ...input, Tags: [] }]) {
    expect((await room.checks(name, plain)).map(({ action }) => action)).toEqual([`iam:${name}`]);
  }
});

test("what is made without tags is answered without them, and events date it as AWS does", async () => {
  const room = await iamRoom();
  const policy = await room.outcome("CreatePolicy", { PolicyName: "x", PolicyDocument });
  expect(policy.output.Policy).not.toHaveProperty("Tags");
  expect(policy.audit?.responseElements).toMatchObject({ policy: { createDate: "Nov 14, 2023, 10:13:20 PM" } });
  const profile = await room.run("CreateInstanceProfile", { InstanceProfileName: "x" });
  expect(profile.InstanceProfile).not.toHaveProperty("Tags");
  const Tags = [{ Key: "team", Value: "red" }];
  const tagged = await room.run("CreatePolicy", { PolicyName: "y", PolicyDocument, Tags });
  expect(tagged.Policy?.Tags).toEqual(Tags);
});
