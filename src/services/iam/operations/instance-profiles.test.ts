import { describe, expect, test } from "vitest";
import { ACCOUNT, iamRoom, policyText } from "../testing/iam-room.ts";
import type { IamRoom } from "../testing/iam-room.ts";

const InstanceProfileName = "web";

async function withRole(room: IamRoom, RoleName: string): Promise<void> {
  await room.run("CreateRole", { RoleName, AssumeRolePolicyDocument: policyText("Allow", "sts:AssumeRole") });
}

/** A megabyte, and one item. */
const ANSWER_LENGTH_MAX = 1_100_000;

/** One role of 6 KB as it is shown, held by many profiles. */
async function widelyHeld(count: number): Promise<IamRoom> {
  const room = await iamRoom();
  const AssumeRolePolicyDocument = policyText("Allow", "sts:AssumeRole").replace('"*"', `"${"\u00E9".repeat(1_000)}"`);
  await room.run("CreateRole", { RoleName: "wide", AssumeRolePolicyDocument });
  for (let number = 0; number < count; number++) {
    const name = `p${String(number).padStart(3, "0")}`;
    await room.run("CreateInstanceProfile", { InstanceProfileName: name });
    await room.run("AddRoleToInstanceProfile", { InstanceProfileName: name, RoleName: "wide" });
  }
  return room;
}

describe("instance profiles", () => {
  test.each(["ListInstanceProfiles", "ListInstanceProfilesForRole"] as const)(
    "%s ends a page where it gets long and goes on behind it",
    async (operation) => {
      const room = await widelyHeld(300);
      const names: string[] = [];
      let [pages, Marker] = [0, undefined as string | undefined];
      do {
        const page = await room.run(operation, { RoleName: "wide", MaxItems: 1_000, ...(Marker && { Marker }) });
        expect(JSON.stringify(page).length).toBeLessThan(ANSWER_LENGTH_MAX);
        expect(page.IsTruncated).toBe(page.Marker !== undefined);
        names.push(...page.InstanceProfiles.map((profile) => profile.InstanceProfileName));
        Marker = page.Marker;
        pages += 1;
      } while (Marker !== undefined);
      expect(names).toHaveLength(300);
      expect(new Set(names).size).toBe(300);
      expect(pages).toBe(2);
    },
  );

  test("the details of a role name all its profiles, and repeat its trust policy only so far", async () => {
    const room = await widelyHeld(300);
    const details = await room.run("GetAccountAuthorizationDetails", { Filter: ["Role"] });
    const profiles = details.RoleDetailList?.[0]?.InstanceProfileList ?? [];
    expect(profiles).toHaveLength(300);
    expect(JSON.stringify(details).length).toBeLessThan(1_300_000);
    expect(profiles[0]?.Roles[0]).toHaveProperty("AssumeRolePolicyDocument");
    expect(profiles[299]?.Roles[0]).toMatchObject({ RoleName: "wide" });
    expect(profiles[299]?.Roles[0]).not.toHaveProperty("AssumeRolePolicyDocument");
  });

  test("a created profile has AWS's kind of id and ARN, is found, listed by path and counted", async () => {
    const room = await iamRoom();
    const { InstanceProfile } = await room.run("CreateInstanceProfile", {
      InstanceProfileName: "Web",
      Path: "/app/",
      Tags: [{ Key: "a", Value: "1" }],
    });
    expect(InstanceProfile).toMatchObject({ Roles: [], Tags: [{ Key: "a", Value: "1" }] });
    expect(InstanceProfile.InstanceProfileId).toMatch(/^AIPA[A-Z2-7]{17}$/);
    expect(InstanceProfile.Arn).toBe(`arn:aws:iam::${ACCOUNT}:instance-profile/app/Web`);
    expect(await room.run("GetInstanceProfile", { InstanceProfileName: "Web" })).toEqual({ InstanceProfile });
    await room.run("CreateInstanceProfile", { InstanceProfileName: "other" });
    const listed = await room.run("ListInstanceProfiles", { PathPrefix: "/app/" });
    expect(listed.InstanceProfiles.map((profile) => profile.InstanceProfileName)).toEqual(["Web"]);
    expect(listed.InstanceProfiles[0]).not.toHaveProperty("Tags");
    expect((await room.run("GetAccountSummary", {})).SummaryMap?.["InstanceProfiles"]).toBe(2);
    expect(await room.failure("CreateInstanceProfile", { InstanceProfileName: "WEB" })).toBe(
      "EntityAlreadyExists 409: Instance Profile WEB already exists.",
    );
    expect(await room.failure("GetInstanceProfile", { InstanceProfileName: "web" })).toBe(
      "NoSuchEntity 404: Instance Profile web cannot be found.",
    );
  });

  test("it holds one role; role and profile name each other until they are parted", async () => {
    const room = await iamRoom();
    await room.run("CreateInstanceProfile", { InstanceProfileName });
    await withRole(room, "Runner");
    await withRole(room, "other");
    await room.run("AddRoleToInstanceProfile", { InstanceProfileName, RoleName: "Runner" });
    const { InstanceProfile } = await room.run("GetInstanceProfile", { InstanceProfileName });
    expect(InstanceProfile.Roles).toMatchObject([{ RoleName: "Runner", Arn: `arn:aws:iam::${ACCOUNT}:role/Runner` }]);
    expect(InstanceProfile.Roles[0]?.AssumeRolePolicyDocument).toContain("%22sts%3AAssumeRole%22");
    const ofRole = await room.run("ListInstanceProfilesForRole", { RoleName: "Runner" });
    expect(ofRole.InstanceProfiles.map((profile) => profile.InstanceProfileName)).toEqual(["web"]);
    for (const RoleName of ["Runner", "other"]) {
      expect(await room.failure("AddRoleToInstanceProfile", { InstanceProfileName, RoleName })).toBe(
        "LimitExceeded 409: Cannot exceed quota for InstanceSessionsPerInstanceProfile: 1",
      );
    }
    const conflict = "DeleteConflict 409: Cannot delete entity, must remove roles from instance profile first.";
    expect(await room.failure("DeleteInstanceProfile", { InstanceProfileName })).toBe(conflict);
    expect(await room.failure("DeleteRole", { RoleName: "Runner" })).toBe(conflict);
    expect(await room.failure("RemoveRoleFromInstanceProfile", { InstanceProfileName, RoleName: "other" })).toContain(
      "NoSuchEntity 404",
    );
    await room.run("RemoveRoleFromInstanceProfile", { InstanceProfileName, RoleName: "Runner" });
    expect((await room.run("ListInstanceProfilesForRole", { RoleName: "Runner" })).InstanceProfiles).toEqual([]);
    expect(await room.failure("DeleteRole", { RoleName: "Runner" })).toBe("no error");
    expect(await room.failure("DeleteInstanceProfile", { InstanceProfileName })).toBe("no error");
    expect((await room.run("GetAccountSummary", {})).SummaryMap?.["InstanceProfiles"]).toBe(0);
  });

  test("whoever puts a role into a profile must be allowed to pass it", async () => {
    const room = await iamRoom();
    await room.run("CreateInstanceProfile", { InstanceProfileName, Path: "/a/" });
    await withRole(room, "runner");
    const checks = await room.checks("AddRoleToInstanceProfile", { InstanceProfileName, RoleName: "runner" });
    expect(checks).toMatchObject([
      { action: "iam:AddRoleToInstanceProfile", resource: `arn:aws:iam::${ACCOUNT}:instance-profile/a/web` },
      {
        action: "iam:PassRole",
        resource: `arn:aws:iam::${ACCOUNT}:role/runner`,
        context: { "iam:PassedToService": "ec2.amazonaws.com" },
      },
    ]);
    expect(await room.failure("AddRoleToInstanceProfile", { InstanceProfileName, RoleName: "none" })).toBe(
      "NoSuchEntity 404: The role with name none cannot be found.",
    );
  });

  test("tags are added, listed, offered to conditions and taken away", async () => {
    const room = await iamRoom();
    await room.run("CreateInstanceProfile", { InstanceProfileName });
    await room.run("TagInstanceProfile", { InstanceProfileName, Tags: [{ Key: "env", Value: "prod" }] });
    const Tags = [{ Key: "env", Value: "dev" }];
    const [check] = await room.checks("TagInstanceProfile", { InstanceProfileName, Tags });
    expect(check?.context).toMatchObject({ "aws:ResourceTag/env": "prod", "aws:RequestTag/env": "dev" });
    expect((await room.run("ListInstanceProfileTags", { InstanceProfileName })).Tags).toEqual([
      { Key: "env", Value: "prod" },
    ]);
    await room.run("UntagInstanceProfile", { InstanceProfileName, TagKeys: ["ENV"] });
    expect((await room.run("ListInstanceProfileTags", { InstanceProfileName })).Tags).toEqual([]);
  });
});
