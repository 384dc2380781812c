import { expect, test } from "vitest";
import { ACCOUNT, documentOf, root, stsRoom, user } from "../testing/sts-room.ts";

const ann = user("ann");
const HOUR_MS = 3_600_000;

test("GetSessionToken: a session of the user's own for twelve hours, without any permission", async () => {
  const room = stsRoom();
  const { Credentials } = await room.run("GetSessionToken", {});
  const { principal, expiresMs } = room.opened(Credentials);
  expect(expiresMs).toBe(room.clock.wallMs() + 12 * HOUR_MS);
  expect(principal).toMatchObject({
    type: "User",
    arn: ann.arn,
    userId: ann.userId,
    userName: "ann",
    accessKeyId: Credentials?.AccessKeyId,
    session: { issuerArn: ann.arn, issuerId: ann.userId, mfa: false, limits: null },
  });
  const longest = await room.run("GetSessionToken", { DurationSeconds: 129_600 });
  expect(room.opened(longest.Credentials).expiresMs).toBe(room.clock.wallMs() + 36 * HOUR_MS);
});

test("GetSessionToken: root's lasts an hour however much is asked for", async () => {
  const room = stsRoom();
  const { Credentials } = await room.run("GetSessionToken", { DurationSeconds: 43_200 }, root);
  expect(room.opened(Credentials)).toMatchObject({
    expiresMs: room.clock.wallMs() + HOUR_MS,
    principal: { type: "Root", arn: root.arn },
  });
});

test("a session opens no session of these kinds", async () => {
  const room = stsRoom();
  const { Credentials } = await room.run("GetSessionToken", {});
  const { principal } = room.opened(Credentials);
  for (const [name, input] of [
    ["GetSessionToken", {}],
    ["GetFederationToken", { Name: "fay" }],
  ] as const) {
    expect(await room.failure(name, input, principal)).toBe(
      `AccessDenied: Cannot call ${name} with session credentials`,
    );
  }
  expect(await room.failure("GetSessionToken", { SerialNumber: "arn:aws:iam::1:mfa/x", TokenCode: "123456" })).toMatch(
    /^AccessDenied: MultiFactorAuthentication/,
  );
});

test("GetFederationToken: with the user's permission, limited by what is given along", async () => {
  const room = stsRoom();
  const Policy = documentOf({ Action: "kms:*", Resource: "*" });
  const Tags = [{ Key: "team", Value: "blue" }];
  const arn = `arn:aws:sts::${ACCOUNT}:federated-user/fay`;
  expect(await room.failure("GetFederationToken", { Name: "fay", Policy })).toContain(
    `sts:GetFederationToken on resource: ${arn}`,
  );
  room.allow(ann.arn, { Action: "sts:GetFederationToken", Resource: arn });
  expect(await room.failure("GetFederationToken", { Name: "fay", Tags })).toContain("sts:TagSession");
  room.allow(ann.arn, { Action: ["sts:GetFederationToken", "sts:TagSession"], Resource: arn });
  const answer = await room.run("GetFederationToken", { Name: "fay", Policy, Tags, DurationSeconds: 900 });
  expect(answer.FederatedUser).toEqual({ FederatedUserId: `${ACCOUNT}:fay`, Arn: arn });
  expect(answer.PackedPolicySize).toBeGreaterThan(0);
  expect(room.opened(answer.Credentials)).toMatchObject({
    expiresMs: room.clock.wallMs() + 900_000,
    principal: {
      type: "FederatedUser",
      arn,
      session: { issuerArn: ann.arn, issuerId: ann.userId, tags: { team: "blue" }, limits: { documents: [Policy] } },
    },
  });
  const plain = await room.run("GetFederationToken", { Name: "fay" });
  expect(room.opened(plain.Credentials).principal.session?.limits).toBeNull();
});
