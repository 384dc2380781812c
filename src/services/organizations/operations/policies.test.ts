import { describe, expect, test } from "vitest";
import { control, organizationsRoom } from "../testing/organizations-room.ts";

const Type = "SERVICE_CONTROL_POLICY";
const described = { Description: "", Type } as const;

describe("a service control policy", () => {
  test("is made, described, changed, listed and deleted", async () => {
    const room = await organizationsRoom();
    const Content = control("Deny", "kms:*");
    const { Policy } = await room.run("CreatePolicy", { ...described, Name: "no keys", Content });
    const PolicyId = Policy?.PolicySummary?.Id ?? "";
    expect(PolicyId).toMatch(/^p-[a-z0-9]{8}$/);
    expect(Policy).toMatchObject({ Content, PolicySummary: { Name: "no keys", Type, AwsManaged: false } });
    const changed = control("Deny", "kms:Decrypt");
    await room.run("UpdatePolicy", { PolicyId, Content: changed, Name: "no opening" });
    expect((await room.run("DescribePolicy", { PolicyId })).Policy).toMatchObject({
      Content: changed,
      PolicySummary: { Name: "no opening" },
    });
    const listed = await room.run("ListPolicies", { Filter: Type });
    expect(listed.Policies?.map(({ Name }) => Name)).toEqual(["FullAWSAccess", "no opening"]);
    await room.run("DeletePolicy", { PolicyId });
    expect(await room.failure("DescribePolicy", { PolicyId })).toContain("PolicyNotFoundException");
    await room.run("CreatePolicy", { ...described, Name: "no opening", Content });
  });

  test("is refused when it is malformed, too long, of another type or of a name that is taken", async () => {
    const room = await organizationsRoom();
    const of = (Content: string) => ({ ...described, Name: "one", Content });
    expect(await room.failure("CreatePolicy", of("{}"))).toContain("MalformedPolicyDocumentException");
    const named = JSON.stringify({ Statement: { Effect: "Deny", Action: "*", Resource: "*", Principal: "*" } });
    expect(await room.failure("CreatePolicy", of(named))).toContain("MalformedPolicyDocumentException");
    const fits = control("Deny", "kms:*").padEnd(10_240);
    expect(await room.failure("CreatePolicy", of(`${fits} `))).toContain("POLICY_CONTENT_LIMIT_EXCEEDED");
    expect(await room.failure("CreatePolicy", { ...of(fits), Type: "TAG_POLICY" })).toContain(
      "PolicyTypeNotAvailableForOrganizationException",
    );
    await room.run("CreatePolicy", of(fits));
    expect(await room.failure("CreatePolicy", of(fits))).toContain("DuplicatePolicyException");
    expect(await room.failure("CreatePolicy", { ...of(fits), Name: "FullAWSAccess" })).toContain(
      "DuplicatePolicyException",
    );
  });

  test("of AWS can't be changed, deleted or tagged", async () => {
    const room = await organizationsRoom();
    const PolicyId = "p-FullAWSAccess";
    expect(await room.failure("UpdatePolicy", { PolicyId, Name: "x" })).toContain("IMMUTABLE_POLICY");
    expect(await room.failure("DeletePolicy", { PolicyId })).toContain("IMMUTABLE_POLICY");
    expect(await room.failure("TagResource", { ResourceId: PolicyId, Tags: [] })).toContain("IMMUTABLE_POLICY");
  });
});

describe("attachments", () => {
  test("show on both sides, and keep the policy and the last one of a target", async () => {
    const room = await organizationsRoom();
    const TargetId = await room.account("target");
    const PolicyId = await room.policy("allow all", "Allow", "*");
    await room.run("AttachPolicy", { PolicyId, TargetId });
    expect(await room.failure("AttachPolicy", { PolicyId, TargetId })).toContain("DuplicatePolicyAttachmentException");
    expect(await room.failure("DeletePolicy", { PolicyId })).toContain("PolicyInUseException");
    const forTarget = await room.run("ListPoliciesForTarget", { TargetId, Filter: Type });
    expect(forTarget.Policies?.map(({ Id }) => Id)).toEqual(["p-FullAWSAccess", PolicyId]);
    const targets = await room.run("ListTargetsForPolicy", { PolicyId });
    expect(targets.Targets).toMatchObject([{ TargetId, Name: "target", Type: "ACCOUNT" }]);
    await room.run("DetachPolicy", { PolicyId: "p-FullAWSAccess", TargetId });
    expect(await room.failure("DetachPolicy", { PolicyId, TargetId })).toContain(
      "MIN_POLICY_TYPE_ATTACHMENT_LIMIT_EXCEEDED",
    );
    const full = await room.run("ListTargetsForPolicy", { PolicyId: "p-FullAWSAccess" });
    expect(full.Targets?.map((one) => one.TargetId)).not.toContain(TargetId);
    await room.run("AttachPolicy", { PolicyId: "p-FullAWSAccess", TargetId });
    await room.run("DetachPolicy", { PolicyId, TargetId });
    expect(await room.failure("DetachPolicy", { PolicyId, TargetId })).toContain("PolicyNotAttachedException");
    await room.run("DeletePolicy", { PolicyId });
  });

  test("are ten at most", async () => {
    const room = await organizationsRoom();
    for (let at = 0; at < 9; at++) {
      await room.run("AttachPolicy", { PolicyId: await room.policy(`p${at}`, "Deny", "a:b"), TargetId: room.rootId });
    }
    const eleventh = { PolicyId: await room.policy("more", "Deny", "a:b"), TargetId: room.rootId };
    expect(await room.failure("AttachPolicy", eleventh)).toContain("MAX_POLICY_TYPE_ATTACHMENT_LIMIT_EXCEEDED");
  });

  test("name a policy and a target that exist", async () => {
    const room = await organizationsRoom();
    const full = "p-FullAWSAccess";
    expect(await room.failure("AttachPolicy", { PolicyId: "p-nothing1", TargetId: room.rootId })).toContain(
      "PolicyNotFoundException",
    );
    expect(await room.failure("AttachPolicy", { PolicyId: full, TargetId: "999999999999" })).toContain(
      "TargetNotFoundException",
    );
  });

  test("all end when the type is disabled, and a unit that is deleted lets go of its policies", async () => {
    const room = await organizationsRoom();
    const PolicyId = await room.policy("deny", "Deny", "kms:*");
    const unitId = await room.unit(room.rootId, "unit");
    await room.run("AttachPolicy", { PolicyId, TargetId: unitId });
    await room.run("DeleteOrganizationalUnit", { OrganizationalUnitId: unitId });
    expect((await room.run("ListTargetsForPolicy", { PolicyId })).Targets).toEqual([]);

    await room.run("AttachPolicy", { PolicyId, TargetId: room.rootId });
    const type = { RootId: room.rootId, PolicyType: Type } as const;
    expect(await room.failure("EnablePolicyType", type)).toContain("PolicyTypeAlreadyEnabledException");
    expect((await room.run("DisablePolicyType", type)).Root?.PolicyTypes).toEqual([]);
    expect(await room.failure("AttachPolicy", { PolicyId, TargetId: room.rootId })).toContain(
      "PolicyTypeNotEnabledException",
    );
    await room.run("EnablePolicyType", type);
    const attached = await room.run("ListPoliciesForTarget", { TargetId: room.rootId, Filter: Type });
    expect(attached.Policies?.map(({ Id }) => Id)).toEqual(["p-FullAWSAccess"]);
    await room.run("DeletePolicy", { PolicyId });
  });
});

describe("tags", () => {
  test("are added, replaced, listed and taken away, on every kind of thing", async () => {
    const room = await organizationsRoom();
    const ids = [
      room.rootId,
      await room.unit(room.rootId, "u"),
      await room.account("a"),
      await room.policy("p", "Deny", "a:b"),
    ];
    for (const ResourceId of ids) {
      await room.run("TagResource", {
        ResourceId,
        Tags: [
          { Key: "a", Value: "1" },
          { Key: "b", Value: "2" },
        ],
      });
      await room.run("TagResource", { ResourceId, Tags: [{ Key: "a", Value: "3" }] });
      await room.run("UntagResource", { ResourceId, TagKeys: ["b", "never there"] });
      expect(await room.run("ListTagsForResource", { ResourceId })).toEqual({ Tags: [{ Key: "a", Value: "3" }] });
    }
    const ResourceId = room.rootId;
    const many = Array.from({ length: 50 }, (_, at) => ({ Key: `k${at}`, Value: "" }));
    expect(await room.failure("TagResource", { ResourceId, Tags: many })).toContain("MAX_TAG_LIMIT_EXCEEDED");
    const twice = [
      { Key: "x", Value: "1" },
      { Key: "x", Value: "2" },
    ];
    expect(await room.failure("TagResource", { ResourceId, Tags: twice })).toContain("DUPLICATE_TAG_KEY");
    expect(await room.failure("TagResource", { ResourceId: "ou-none-00000000", Tags: [] })).toContain(
      "TargetNotFoundException",
    );
  });
});
