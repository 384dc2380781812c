import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { encodedDocument, policySize } from "../model.ts";
import { ACCOUNT, iamRoom, policyText } from "../testing/iam-room.ts";
import type { IamRoom } from "../testing/iam-room.ts";

const ARN = `arn:aws:iam::${ACCOUNT}:policy/p`;

/** A document that the tests' compiler takes, of exactly this many counted characters. */
function documentOfSize(size: number): string {
  const filler = (sid: string) =>
    JSON.stringify({ Statement: [{ Effect: "Allow", Action: "*", Resource: "*", Sid: sid }] });
  return filler("s".repeat(size - filler("").length));
}

async function roomWithPolicy(): Promise<IamRoom> {
  const room = await iamRoom();
  await room.run("CreatePolicy", { PolicyName: "p", PolicyDocument: policyText("Allow", "kms:Encrypt") });
  await room.run("CreateUser", { UserName: "ann" });
  return room;
}

describe("managed policies", () => {
  test("documents come back percent-encoded and decode to what was put", async () => {
    fc.assert(
      fc.property(fc.string({ unit: "grapheme" }), (text) => {
        const encoded = encodedDocument(text);
        expect(encoded).toMatch(/^[A-Za-z0-9\-_.~%]*$/);
        expect(decodeURIComponent(encoded)).toBe(text);
      }),
    );
    const room = await roomWithPolicy();
    const { PolicyVersion } = await room.run("GetPolicyVersion", { PolicyArn: ARN, VersionId: "v1" });
    expect(decodeURIComponent(PolicyVersion?.Document ?? "")).toBe(policyText("Allow", "kms:Encrypt"));
  });

  test("five versions at most, never numbered twice, the default one undeletable", async () => {
    const room = await roomWithPolicy();
    const create = (SetAsDefault: boolean) =>
      room.run("CreatePolicyVersion", { PolicyArn: ARN, PolicyDocument: policyText("Deny", "*"), SetAsDefault });
    for (let count = 2; count <= 5; count++) await create(count === 5);
    expect(
      await room.failure("CreatePolicyVersion", { PolicyArn: ARN, PolicyDocument: policyText("Deny", "*") }),
    ).toContain("LimitExceeded 409: A managed policy can have up to 5 versions.");
    expect(await room.failure("DeletePolicyVersion", { PolicyArn: ARN, VersionId: "v5" })).toBe(
      "DeleteConflict 409: Cannot delete the default version of a policy.",
    );
    await room.run("DeletePolicyVersion", { PolicyArn: ARN, VersionId: "v4" });
    expect((await create(false)).PolicyVersion?.VersionId).toBe("v6");
    await room.run("SetDefaultPolicyVersion", { PolicyArn: ARN, VersionId: "v1" });
    const { Versions } = await room.run("ListPolicyVersions", { PolicyArn: ARN });
    expect(Versions?.map(({ VersionId }) => VersionId)).toEqual(["v6", "v5", "v3", "v2", "v1"]);
    expect(Versions?.find(({ IsDefaultVersion }) => IsDefaultVersion)?.VersionId).toBe("v1");
    expect(await room.failure("GetPolicyVersion", { PolicyArn: ARN, VersionId: "v4" })).toBe(
      `NoSuchEntity 404: Policy ${ARN} version v4 does not exist or is not attachable.`,
    );
    expect(await room.failure("DeletePolicy", { PolicyArn: ARN })).toContain(
      "DeleteConflict 409: This policy has more than one",
    );
  });

  test("an attached policy is not deleted, and its counts follow attachments and boundaries", async () => {
    const room = await roomWithPolicy();
    await room.run("AttachUserPolicy", { UserName: "ann", PolicyArn: ARN });
    await room.run("AttachUserPolicy", { UserName: "ann", PolicyArn: ARN });
    await room.run("PutUserPermissionsBoundary", { UserName: "ann", PermissionsBoundary: ARN });
    const { Policy } = await room.run("GetPolicy", { PolicyArn: ARN });
    expect(Policy).toMatchObject({ AttachmentCount: 1, PermissionsBoundaryUsageCount: 1, DefaultVersionId: "v1" });
    expect((await room.run("ListEntitiesForPolicy", { PolicyArn: ARN })).PolicyUsers).toHaveLength(1);
    const conflict = "DeleteConflict 409: Cannot delete a policy attached to entities.";
    expect(await room.failure("DeletePolicy", { PolicyArn: ARN })).toBe(conflict);
    await room.run("DetachUserPolicy", { UserName: "ann", PolicyArn: ARN });
    expect(await room.failure("DeletePolicy", { PolicyArn: ARN })).toBe(conflict);
    await room.run("DeleteUserPermissionsBoundary", { UserName: "ann" });
    expect((await room.run("ListEntitiesForPolicy", { PolicyArn: ARN })).PolicyUsers).toEqual([]);
    expect(await room.failure("DeletePolicy", { PolicyArn: ARN })).toBe("no error");
    expect(await room.failure("GetPolicy", { PolicyArn: ARN })).toBe(`NoSuchEntity 404: Policy ${ARN} was not found.`);
  });

  test("ten policies are attached at most", async () => {
    const room = await iamRoom();
    await room.run("CreateUser", { UserName: "ann" });
    for (let number = 0; number < 11; number++) {
      await room.run("CreatePolicy", { PolicyName: `p${number}`, PolicyDocument: policyText("Allow", "*") });
      const attach = await room.failure("AttachUserPolicy", {
        UserName: "ann",
        PolicyArn: `arn:aws:iam::${ACCOUNT}:policy/p${number}`,
      });
      expect(attach).toBe(number < 10 ? "no error" : "LimitExceeded 409: Cannot exceed quota for PoliciesPerUser: 10");
    }
  });

  test("the policies of the service are listed, attached, and changed by nobody", async () => {
    const room = await roomWithPolicy();
    const PolicyArn = "arn:aws:iam::aws:policy/AdministratorAccess";
    const scoped = async (Scope: "All" | "AWS" | "Local") => (await room.run("ListPolicies", { Scope })).Policies ?? [];
    expect((await scoped("Local")).map(({ Arn }) => Arn)).toEqual([ARN]);
    expect((await scoped("AWS")).map(({ Arn }) => Arn)).toContain(PolicyArn);
    expect(await scoped("All")).toHaveLength((await scoped("AWS")).length + 1);
    await room.run("AttachUserPolicy", { UserName: "ann", PolicyArn });
    expect((await room.run("ListPolicies", { OnlyAttached: true })).Policies?.map(({ Arn }) => Arn)).toEqual([
      PolicyArn,
    ]);
    expect((await room.run("GetPolicyVersion", { PolicyArn, VersionId: "v1" })).PolicyVersion?.IsDefaultVersion).toBe(
      true,
    );
    for (const name of ["DeletePolicy", "CreatePolicyVersion"] as const) {
      const input = { PolicyArn, PolicyDocument: policyText("Allow", "*") };
      expect(await room.failure(name, input)).toContain("AccessDenied 403");
    }
    const [check] = await room.checks("GetPolicy", { PolicyArn });
    expect(check?.resourceAccountId).toBe(ACCOUNT);
  });

  test("every page size lists all policies once", async () => {
    const room = await roomWithPolicy();
    await room.run("CreatePolicy", { PolicyName: "q", PolicyDocument: policyText("Allow", "*") });
    const all = (await room.run("ListPolicies", {})).Policies?.map(({ Arn }) => Arn) ?? [];
    for (let MaxItems = 1; MaxItems <= all.length + 1; MaxItems++) {
      const seen: (string | undefined)[] = [];
      let Marker: string | undefined;
      do {
        const page = await room.run("ListPolicies", { MaxItems, Marker });
        expect(page.Policies?.length).toBeLessThanOrEqual(MaxItems);
        seen.push(...(page.Policies ?? []).map(({ Arn }) => Arn));
        Marker = page.Marker;
      } while (Marker !== undefined && seen.length <= all.length);
      expect(seen).toEqual(all);
    }
  });

  test("an ARN with another path, another account or no sense names nothing", async () => {
    const room = await roomWithPolicy();
    const attach = (PolicyArn: string) => room.failure("AttachUserPolicy", { UserName: "ann", PolicyArn });
    for (const arn of [
      `arn:aws:iam::${ACCOUNT}:policy/x/p`,
      "arn:aws:iam::999999999999:policy/p",
      "arn:aws:iam::aws:policy/No",
    ]) {
      expect(await attach(arn)).toBe(`NoSuchEntity 404: Policy ${arn} does not exist or is not attachable.`);
    }
    expect(await attach("arn:aws:s3:::some-bucket-name")).toContain("InvalidInput 400");
    expect(await room.failure("CreateUser", { UserName: "bob", PermissionsBoundary: `${ARN}q` })).toBe(
      `NoSuchEntity 404: Scope ARN: ${ARN}q does not exist or is not attachable.`,
    );
  });

  test("attaching is checked with the policy's ARN and the user's boundary", async () => {
    const room = await roomWithPolicy();
    await room.run("PutUserPermissionsBoundary", { UserName: "ann", PermissionsBoundary: ARN });
    const [check] = await room.checks("AttachUserPolicy", {
      UserName: "ann",
      PolicyArn: "arn:aws:iam::aws:policy/IAMFullAccess",
    });
    expect(check?.context).toEqual({
      "iam:PolicyARN": "arn:aws:iam::aws:policy/IAMFullAccess",
      "iam:PermissionsBoundary": ARN,
    });
  });
});

describe("policy documents", () => {
  test("what does not compile is refused with its author's error, and nothing is stored", async () => {
    const room = await roomWithPolicy();
    const refused = "MalformedPolicyDocument 400: Syntax errors in policy.";
    expect(await room.failure("CreatePolicy", { PolicyName: "bad", PolicyDocument: "{" })).toBe(refused);
    expect(await room.failure("CreatePolicyVersion", { PolicyArn: ARN, PolicyDocument: "[]" })).toBe(refused);
    expect(await room.failure("PutUserPolicy", { UserName: "ann", PolicyName: "bad", PolicyDocument: "" })).toBe(
      refused,
    );
    expect((await room.run("ListUserPolicies", { UserName: "ann" })).PolicyNames).toEqual([]);
  });

  test("quotas count characters without white space, inline policies together", async () => {
    const room = await roomWithPolicy();
    const managed = documentOfSize(6_144);
    expect(policySize(managed)).toBe(6_144);
    const spaced = managed.replace(/,/g, ",\n      ");
    expect(await room.failure("CreatePolicy", { PolicyName: "big", PolicyDocument: spaced })).toBe("no error");
    expect(await room.failure("CreatePolicy", { PolicyName: "bigger", PolicyDocument: documentOfSize(6_145) })).toBe(
      "LimitExceeded 409: Cannot exceed quota for PolicySize: 6144",
    );
    const put = (PolicyName: string, size: number) =>
      room.failure("PutUserPolicy", { UserName: "ann", PolicyName, PolicyDocument: documentOfSize(size) });
    expect(await put("a", 1_000)).toBe("no error");
    expect(await put("b", 1_048)).toBe("no error");
    expect(await put("a", 1_001)).toBe("LimitExceeded 409: Maximum policy size of 2048 bytes exceeded for user ann");
    expect(await put("a", 999)).toBe("no error");
  });

  test("an inline policy is read back and deleted by its name", async () => {
    const room = await roomWithPolicy();
    const document = policyText("Deny", "*");
    await room.run("PutUserPolicy", { UserName: "ann", PolicyName: "deny", PolicyDocument: document });
    const read = await room.run("GetUserPolicy", { UserName: "ann", PolicyName: "deny" });
    expect(decodeURIComponent(read.PolicyDocument)).toBe(document);
    await room.run("DeleteUserPolicy", { UserName: "ann", PolicyName: "deny" });
    expect(await room.failure("GetUserPolicy", { UserName: "ann", PolicyName: "deny" })).toBe(
      "NoSuchEntity 404: The user policy with name deny cannot be found.",
    );
  });
});
