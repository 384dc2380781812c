import { describe, expect, test } from "vitest";
import { systemRandom } from "../../base/random.ts";
import { newAccount } from "./accounts.ts";
import { createCredentialSource } from "./credential-source.ts";
import { ACCOUNT, iamRoom, plainBox } from "./testing/iam-room.ts";
import { testSessions } from "./testing/sessions.ts";

const input = { name: "main", random: systemRandom(), secretBox: plainBox, nowMs: 0 };

describe("accounts", () => {
  test("an account has twelve digits and a root key that authenticates as root", async () => {
    const room = await iamRoom();
    const credentials = createCredentialSource({ ...room, secretBox: plainBox, sessions: testSessions });
    const root = await credentials.find(room.account.accessKeyId);
    expect(root?.principal).toEqual({
      type: "Root",
      arn: `arn:aws:iam::${ACCOUNT}:root`,
      accountId: ACCOUNT,
      userId: ACCOUNT,
      accessKeyId: room.account.accessKeyId,
    });
    expect(Buffer.from(root?.openSecret() ?? []).toString()).toBe(room.account.secretAccessKey);
  });

  test("ids are drawn without a leading zero, and only twelve digits are taken", () => {
    for (let draw = 0; draw < 100; draw++) expect(newAccount(input).accountId).toMatch(/^[1-9]\d{11}$/);
    for (const accountId of ["", "1234", "12345678901x", "1234567890123"]) {
      expect(() => newAccount({ ...input, accountId })).toThrow(RangeError);
    }
  });

  test("keys that nobody has, or that cannot be keys, are not found", async () => {
    const room = await iamRoom();
    const credentials = createCredentialSource({ ...room, secretBox: plainBox, sessions: testSessions });
    for (const id of [
      "AKIAAAAAAAAAAAAAAAAA",
      "",
      "x".repeat(5_000),
      "AKIA\u0000\u0001AAAAAAAAAAAA",
      "akiaaaaaaaaaaaaaaaaa",
    ]) {
      expect(await credentials.find(id)).toBeNull();
    }
  });
});
