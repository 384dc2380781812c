import { createHmac } from "node:crypto";
import * as fc from "fast-check";
import { expect, test } from "vitest";
import { movableClock } from "../base/clock.ts";
import type { Credential } from "./credentials.ts";
import { createSigningKeys } from "./signing-keys.ts";
import { fixedCredentials } from "./testing/signer.ts";

const SCOPE = { date: "20231114", region: "us-east-1", service: "kms" };

function expected(secret: string, scope: typeof SCOPE, message: string): string {
  const hmac = (key: Buffer, text: string): Buffer => createHmac("sha256", key).update(text, "latin1").digest();
  const key = [scope.date, scope.region, scope.service, "aws4_request"].reduce(hmac, Buffer.from(`AWS4${secret}`));
  return hmac(key, message).toString("hex");
}

async function credentialWith(
  secret: string,
): Promise<{ credential: Credential; openedCount: () => number; secrets: Uint8Array[] }> {
  const source = fixedCredentials([{ accessKeyId: "AKID", secret }]);
  const found = await source.find("AKID");
  if (found === null) throw new Error("unreachable");
  const secrets: Uint8Array[] = [];
  const openSecret = (): Uint8Array => {
    const opened = found.openSecret();
    secrets.push(opened);
    return opened;
  };
  return { credential: { ...found, openSecret }, openedCount: source.openedCount, secrets };
}

test("the HMAC made of two hashes is HMAC-SHA256", async () => {
  await fc.assert(
    fc.asyncProperty(fc.string({ maxLength: 60 }), fc.string({ maxLength: 300 }), async (secret, message) => {
      const { credential } = await credentialWith(secret);
      expect(createSigningKeys(movableClock()).sign(credential, SCOPE, message)).toBe(expected(secret, SCOPE, message));
    }),
  );
});

test("a secret is opened once per scope, overwritten, and opened again when the key's time is up or it was forgotten", async () => {
  const clock = movableClock();
  const keys = createSigningKeys(clock);
  const { credential, openedCount, secrets } = await credentialWith("secret");
  const sign = (scope = SCOPE): string => keys.sign(credential, scope, "message");
  sign();
  sign();
  expect(openedCount()).toBe(1);
  expect(secrets[0]?.every((byte) => byte === 0)).toBe(true);
  sign({ ...SCOPE, region: "eu-central-1" });
  expect(openedCount()).toBe(2);
  clock.advance(15 * 60_000);
  expect(sign()).toBe(expected("secret", SCOPE, "message"));
  expect(openedCount()).toBe(3);
  keys.forget();
  expect(sign()).toBe(expected("secret", SCOPE, "message"));
  expect(openedCount()).toBe(4);
});

test("more scopes than the cache holds still sign right", async () => {
  const keys = createSigningKeys(movableClock(), 2);
  const { credential, openedCount } = await credentialWith("secret");
  for (const region of ["a", "b", "c", "a"]) {
    const scope = { ...SCOPE, region };
    expect(keys.sign(credential, scope, "m")).toBe(expected("secret", scope, "m"));
  }
  expect(openedCount()).toBe(4);
});
