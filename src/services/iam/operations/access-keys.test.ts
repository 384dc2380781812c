import { describe, expect, test } from "vitest";
import { createCredentialSource } from "../credential-source.ts";
import { iamRoom, plainBox, userPrincipal } from "../testing/iam-room.ts";
import { testSessions } from "../testing/sessions.ts";

describe("access keys", () => {
  test("a new key opens to the secret that was shown, and shows it nowhere else", async () => {
    const room = await iamRoom();
    await room.run("CreateUser", { UserName: "ann" });
    const outcome = await room.outcome("CreateAccessKey", { UserName: "ann" });
    const { AccessKeyId, SecretAccessKey } = outcome.output.AccessKey;
    expect(AccessKeyId).toMatch(/^AKIA[A-Z2-7]{16}$/);
    expect(SecretAccessKey).toMatch(/^[A-Za-z0-9+/]{40}$/);
    expect(JSON.stringify(outcome.audit)).not.toContain(SecretAccessKey);
    const stored = (outcome.writes ?? []).map(({ value }) => Buffer.from(value ?? []).toString("utf8")).join();
    expect(stored).not.toContain(SecretAccessKey);
    const credential = await createCredentialSource({ ...room, secretBox: plainBox, sessions: testSessions }).find(
      AccessKeyId,
    );
    expect(Buffer.from(credential?.openSecret() ?? []).toString()).toBe(SecretAccessKey);
    expect(credential?.principal).toMatchObject({ type: "User", userName: "ann", accessKeyId: AccessKeyId });
  });

  test("a user has two keys at most; root has its own", async () => {
    const room = await iamRoom();
    await room.run("CreateUser", { UserName: "ann" });
    await room.run("CreateAccessKey", {}, userPrincipal("ann"));
    await room.run("CreateAccessKey", { UserName: "ann" });
    expect(await room.failure("CreateAccessKey", { UserName: "ann" })).toBe(
      "LimitExceeded 409: Cannot exceed quota for AccessKeysPerUser: 2",
    );
    await room.run("CreateAccessKey", {});
    expect(await room.failure("CreateAccessKey", {})).toContain("LimitExceeded 409");
    const own = (await room.run("ListAccessKeys", {})).AccessKeyMetadata.map((key) => key.AccessKeyId);
    expect(own).toContain(room.account.accessKeyId);
    expect(own).toHaveLength(2);
  });

  test("a key is changed and deleted only through its owner", async () => {
    const room = await iamRoom();
    await room.run("CreateUser", { UserName: "ann" });
    await room.run("CreateUser", { UserName: "bob" });
    const { AccessKeyId } = (await room.run("CreateAccessKey", { UserName: "ann" })).AccessKey;
    const missing = `NoSuchEntity 404: The Access Key with id ${AccessKeyId} cannot be found.`;
    expect(await room.failure("DeleteAccessKey", { AccessKeyId }, userPrincipal("bob"))).toBe(missing);
    expect(await room.failure("DeleteAccessKey", { AccessKeyId })).toBe(missing);
    expect(await room.failure("UpdateAccessKey", { UserName: "bob", AccessKeyId, Status: "Inactive" })).toBe(missing);
    const credentials = createCredentialSource({ ...room, secretBox: plainBox, sessions: testSessions });
    await room.run("UpdateAccessKey", { UserName: "ann", AccessKeyId, Status: "Inactive" });
    expect((await credentials.find(AccessKeyId))?.active).toBe(false);
    await room.run("UpdateAccessKey", { UserName: "ann", AccessKeyId, Status: "Active" });
    expect((await credentials.find(AccessKeyId))?.active).toBe(true);
    await room.run("DeleteAccessKey", { AccessKeyId }, userPrincipal("ann"));
    expect(await credentials.find(AccessKeyId)).toBeNull();
  });

  test("a credential is derived once for each version of its record, and follows a rename", async () => {
    const room = await iamRoom();
    await room.run("CreateUser", { UserName: "ann" });
    const { AccessKeyId } = (await room.run("CreateAccessKey", { UserName: "ann" })).AccessKey;
    const credentials = createCredentialSource({ ...room, secretBox: plainBox, sessions: testSessions });
    const first = await credentials.find(AccessKeyId);
    expect(await credentials.find(AccessKeyId)).toBe(first);
    await room.run("UpdateUser", { UserName: "ann", NewUserName: "eve" });
    const renamed = await credentials.find(AccessKeyId);
    expect(renamed?.principal.arn).toMatch(/user\/eve$/);
    expect(renamed?.version).toBe(first?.version);
  });

  test("whether a key is there, and whose, is not told by what a denial of its last use names", async () => {
    const room = await iamRoom();
    await room.run("CreateUser", { UserName: "ann", Path: "/sec/" });
    const { AccessKey } = await room.run("CreateAccessKey", { UserName: "ann" });
    const shown = async (AccessKeyId: string) => {
      const [check] = await room.checks("GetAccessKeyLastUsed", { AccessKeyId }, userPrincipal("eve"));
      return [check?.resource.split(":user/")[1], check?.shownResource?.split(":user/")[1]];
    };
    expect(await shown(AccessKey.AccessKeyId)).toEqual(["sec/ann", "*"]);
    expect(await shown(room.account.accessKeyId)).toEqual(["*", "*"]);
    expect(await shown("AKIAAAAAAAAAAAAAAAAA")).toEqual(["*", "*"]);
  });

  test("a sealed secret moved to another key does not open", async () => {
    const room = await iamRoom();
    const wrongBox = { ...plainBox, open: () => null };
    const source = createCredentialSource({ ...room, secretBox: wrongBox, sessions: testSessions });
    const credential = await source.find(room.account.accessKeyId);
    expect(() => credential?.openSecret()).toThrow("does not open");
  });

  test("last use is written within a minute, costs no commit before, and an absent key is a denial", async () => {
    const room = await iamRoom();
    const AccessKeyId = room.account.accessKeyId;
    const lastUsed = async () => (await room.run("GetAccessKeyLastUsed", { AccessKeyId })).AccessKeyLastUsed;
    expect(await lastUsed()).toEqual({ ServiceName: "N/A", Region: "N/A" });
    const nowMs = room.clock.wallMs();
    room.accessKeyUse.note({ accessKeyId: AccessKeyId, service: "kms", region: "eu-west-1", nowMs });
    const expected = { LastUsedDate: nowMs, ServiceName: "kms", Region: "eu-west-1" };
    expect(await lastUsed()).toEqual(expected);
    room.clock.advance(60_000);
    await room.accessKeyUse.stop();
    expect(await lastUsed()).toEqual(expected);
    expect(await room.failure("GetAccessKeyLastUsed", { AccessKeyId: "AKIAAAAAAAAAAAAAAAAA" })).toContain(
      "AccessDenied 403",
    );
  });
});
