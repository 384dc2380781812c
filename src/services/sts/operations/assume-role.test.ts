import { expect, test } from "vitest";
import type { Principal } from "../../../gateway/contract.ts";
import { ACCOUNT, documentOf, OTHER_ACCOUNT, roleArn, root, stsRoom, user } from "../testing/sts-room.ts";
import type { Statement } from "../testing/sts-room.ts";

const ann = user("ann");
const toAnn: Statement = { Principal: { AWS: ann.arn }, Action: "sts:AssumeRole" };
const RoleArn = roleArn("reader");
const input = { RoleArn, RoleSessionName: "s1" };

/** A room with a role that ann may assume, with tags and source identity. */
function trustingRoom() {
  const room = stsRoom();
  room.putRole("reader", [{ ...toAnn, Action: ["sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity"] }]);
  return room;
}

test("a trusted user gets a session of the role, for an hour", async () => {
  const room = stsRoom();
  room.putRole("team/reader", [toAnn]);
  const arn = `arn:aws:sts::${ACCOUNT}:assumed-role/reader/s1`;
  const { Credentials, AssumedRoleUser, ...rest } = await room.run("AssumeRole", {
    RoleArn: roleArn("team/reader"),
    RoleSessionName: "s1",
  });
  expect(AssumedRoleUser).toEqual({ AssumedRoleId: "AROATEST:s1", Arn: arn });
  expect(rest).toEqual({ PackedPolicySize: undefined, SourceIdentity: undefined });
  const { principal, expiresMs } = room.opened(Credentials);
  expect(expiresMs).toBe(room.clock.wallMs() + 3_600_000);
  expect(Credentials?.Expiration).toBe(expiresMs);
  expect(principal).toMatchObject({
    type: "AssumedRole",
    arn,
    userId: "AROATEST:s1",
    session: { issuerArn: roleArn("team/reader"), issuerId: "AROATEST", issuedAtMs: room.clock.wallMs(), limits: null },
  });
});

test("a role that trusts the account leaves it to the user's policies", async () => {
  const room = stsRoom();
  room.putRole("reader", [{ Principal: { AWS: ACCOUNT }, Action: "sts:AssumeRole" }]);
  expect(await room.failure("AssumeRole", input)).toMatch(/^AccessDenied/);
  room.allow(ann.arn, { Action: "sts:AssumeRole", Resource: RoleArn });
  expect((await room.run("AssumeRole", input)).AssumedRoleUser?.AssumedRoleId).toBe("AROATEST:s1");
});

test("a role that is not there is refused like one that does not trust the caller, here and in other accounts", async () => {
  const room = stsRoom();
  room.allow(ann.arn, { Action: "*", Resource: "*" });
  for (const accountId of [ACCOUNT, OTHER_ACCOUNT]) {
    room.putRole("closed", [{ Principal: { AWS: user("eve").arn }, Action: "sts:AssumeRole" }], { accountId });
    const refusals = ["closed", "missing"].map((name) =>
      room.failure("AssumeRole", { ...input, RoleArn: roleArn(name, accountId) }),
    );
    const [closed, missing] = await Promise.all(refusals);
    expect(missing?.replace("missing", "closed")).toBe(closed);
    expect(closed).toBe(
      `AccessDenied: User: ${ann.arn} is not authorized to perform: sts:AssumeRole on resource: ${roleArn("closed", accountId)}`,
    );
  }
  // One that trusts the account tells no more to a user without a permission.
  room.putRole("delegating", [{ Principal: { AWS: ACCOUNT }, Action: "sts:AssumeRole" }]);
  const bob = user("bob");
  const [delegating, missing] = await Promise.all(
    ["delegating", "missing"].map((name) => room.failure("AssumeRole", { ...input, RoleArn: roleArn(name) }, bob)),
  );
  expect(delegating?.replace("delegating", "missing")).toBe(missing);
});

test("across accounts both sides must agree", async () => {
  const room = stsRoom();
  const theirs = { ...input, RoleArn: roleArn("reader", OTHER_ACCOUNT) };
  room.putRole("reader", [toAnn], { accountId: OTHER_ACCOUNT });
  expect(await room.failure("AssumeRole", theirs)).toMatch(/^AccessDenied/);
  room.allow(ann.arn, { Action: "sts:AssumeRole", Resource: theirs.RoleArn });
  const { Credentials } = await room.run("AssumeRole", theirs);
  expect(room.opened(Credentials).principal.accountId).toBe(OTHER_ACCOUNT);
  // Both trails tell of it, and of each other.
  const [seenHere, seenThere] = [(await room.events()).at(-1), (await room.events(OTHER_ACCOUNT)).at(-1)];
  expect(seenThere).toMatchObject({ eventName: "AssumeRole", recipientAccountId: OTHER_ACCOUNT });
  expect(seenThere?.sharedEventID).toBe(seenHere?.sharedEventID);
  expect(seenHere?.sharedEventID).toBeDefined();
});

test("policies see the tags of the role, in its account on both sides", async () => {
  const room = stsRoom();
  room.putRole("reader", [{ Principal: { AWS: ACCOUNT }, Action: "sts:AssumeRole" }], { tags: { env: "prod" } });
  for (const key of ["aws:ResourceTag/env", "iam:ResourceTag/env"]) {
    const matching = { Action: "sts:AssumeRole", Resource: "*", Condition: { StringEquals: { [key]: "prod" } } };
    room.allow(ann.arn, matching);
    await room.run("AssumeRole", input);
    room.allow(ann.arn, { Action: "*", Resource: "*" }, { ...matching, Effect: "Deny" });
    expect(await room.failure("AssumeRole", input)).toContain("explicit deny");
  }
  room.allow(ann.arn, { Action: "*", Resource: "*" });
  const trust = { Principal: { AWS: ACCOUNT }, Action: "sts:AssumeRole" };
  const unless = { StringNotEquals: { "aws:ResourceTag/env": "prod" } };
  room.putRole("reader", [{ ...trust, Condition: unless }], { tags: { env: "prod" } });
  expect(await room.failure("AssumeRole", input)).toMatch(/^AccessDenied/);
});

test("across accounts, tags of a role count against the caller, and only who is trusted can tell", async () => {
  const room = stsRoom();
  const RoleArnThere = roleArn("reader", OTHER_ACCOUNT);
  const there = { ...input, RoleArn: RoleArnThere };
  const parts = { accountId: OTHER_ACCOUNT, tags: { env: "prod" } };
  const byTag = (value: string) => ({ StringLike: { "aws:ResourceTag/env": value } });
  const deny = (value: string): readonly Statement[] => [
    { Action: "*", Resource: "*" },
    { Effect: "Deny", Action: "sts:*", Resource: "*", Condition: byTag(value) },
  ];
  const refusal = (value: string) => {
    room.allow(ann.arn, ...deny(value));
    return room.failure("AssumeRole", there);
  };
  // Trusted: held by the own account's denial.
  room.putRole("reader", [toAnn], parts);
  expect(await refusal("p*")).toContain("explicit deny");
  room.allow(ann.arn, ...deny("x*"));
  await room.run("AssumeRole", there);
  // Not trusted, or not because of a tag: one answer, whatever is guessed.
  const someone = { ...toAnn, Principal: { AWS: user("eve").arn } };
  for (const trust of [
    [someone],
    [{ ...toAnn, Condition: byTag("dev") }],
    [{ ...toAnn, Condition: { StringNotEquals: { "aws:ResourceTag/env": "prod" } } }],
    [toAnn, { ...toAnn, Effect: "Deny", Condition: byTag("prod") }],
  ]) {
    room.putRole("reader", trust, parts);
    const answers = [await refusal("p*"), await refusal("x*"), await refusal("*")];
    expect(new Set(answers).size, JSON.stringify(trust)).toBe(1);
    expect(answers[0]).toMatch(/^AccessDenied/);
    expect(answers[0]).not.toContain("explicit deny");
  }
  // The owner's policy sees them.
  room.putRole("reader", [{ ...toAnn, Condition: byTag("prod") }], parts);
  room.allow(ann.arn, { Action: "*", Resource: "*" });
  await room.run("AssumeRole", there);
});

test("an external id, the session's name and source identity are conditions of trust", async () => {
  const room = stsRoom();
  const conditions = { "sts:ExternalId": "e-1", "sts:RoleSessionName": "s1", "sts:SourceIdentity": "ann" };
  const Action = ["sts:AssumeRole", "sts:SetSourceIdentity"];
  room.putRole("reader", [{ ...toAnn, Action, Condition: { StringEquals: conditions } }]);
  const right = { ...input, ExternalId: "e-1", SourceIdentity: "ann" };
  expect((await room.run("AssumeRole", right)).SourceIdentity).toBe("ann");
  for (const wrong of [
    { ExternalId: "e-2" },
    { ExternalId: undefined },
    { RoleSessionName: "s2" },
    { SourceIdentity: "eve" },
  ]) {
    expect(await room.failure("AssumeRole", { ...right, ...wrong })).toMatch(/^AccessDenied/);
  }
});

test("tags and a source identity need the role's leave of their own", async () => {
  const room = stsRoom();
  room.putRole("reader", [toAnn]);
  const Tags = [{ Key: "team", Value: "blue" }];
  expect(await room.failure("AssumeRole", { ...input, Tags })).toContain("sts:TagSession");
  expect(await room.failure("AssumeRole", { ...input, SourceIdentity: "ann" })).toContain("sts:SetSourceIdentity");
  room.putRole("reader", [
    toAnn,
    { ...toAnn, Action: "sts:TagSession", Condition: { StringEquals: { "aws:RequestTag/team": "blue" } } },
  ]);
  expect(await room.failure("AssumeRole", { ...input, Tags: [{ Key: "team", Value: "red" }] })).toContain("TagSession");
  const { Credentials } = await room.run("AssumeRole", { ...input, Tags });
  expect(room.opened(Credentials).principal.session?.tags).toEqual({ team: "blue" });
});

test("tags: none twice in any case, none of AWS's, transitive ones among them", async () => {
  const room = trustingRoom();
  const tag = (Key: string) => ({ Key, Value: "v" });
  const refused = async (Tags: readonly { Key: string; Value: string }[], TransitiveTagKeys?: readonly string[]) =>
    (await room.failure("AssumeRole", { ...input, Tags, TransitiveTagKeys })).split(":")[0];
  expect(await refused([tag("team"), tag("Team")])).toBe("InvalidParameterValue");
  expect(await refused([tag("aws:team")])).toBe("InvalidParameterValue");
  expect(await refused([tag("team")], ["other"])).toBe("InvalidParameterValue");
});

/** Opens a session and calls as it. */
async function chained(room: ReturnType<typeof stsRoom>, more: object = {}): Promise<Principal> {
  const { Credentials } = await room.run("AssumeRole", { ...input, ...more });
  return room.opened(Credentials).principal;
}

test("a chained session lasts an hour at most, and inherits transitive tags and the source identity", async () => {
  const room = trustingRoom();
  const Tags = [
    { Key: "team", Value: "blue" },
    { Key: "own", Value: "x" },
  ];
  const first = await chained(room, { Tags, TransitiveTagKeys: ["team"], SourceIdentity: "ann" });
  const second = { RoleArn: roleArn("second"), RoleSessionName: "s2" };
  const trust = { Principal: { AWS: RoleArn }, Action: "sts:AssumeRole" };
  room.putRole("second", [trust], { maxSessionSeconds: 43_200 });
  // What is inherited needs the second role's leave, too.
  expect(await room.failure("AssumeRole", second, first)).toContain("sts:TagSession");
  room.putRole("second", [{ ...trust, Action: ["sts:AssumeRole", "sts:TagSession"] }], { maxSessionSeconds: 43_200 });
  expect(await room.failure("AssumeRole", second, first)).toContain("sts:SetSourceIdentity");
  room.putRole("second", [{ ...trust, Action: "sts:*" }], { maxSessionSeconds: 43_200 });
  expect(await room.failure("AssumeRole", { ...second, DurationSeconds: 3_601 }, first)).toMatch(
    /^ValidationError: .*role chaining/,
  );
  expect(await room.failure("AssumeRole", { ...second, SourceIdentity: "eve" }, first)).toMatch(/^ValidationError/);
  const conflict = { ...second, Tags: [{ Key: "TEAM", Value: "red" }] };
  expect(await room.failure("AssumeRole", conflict, first)).toMatch(/^InvalidParameterValue: .*transitive/);
  const more = { ...second, Tags: [{ Key: "stage", Value: "2" }], DurationSeconds: 3_600 };
  const { Credentials, SourceIdentity } = await room.run("AssumeRole", more, first);
  expect(SourceIdentity).toBe("ann");
  expect(room.opened(Credentials).principal.session).toMatchObject({
    tags: { team: "blue", stage: "2" },
    transitiveTagKeys: ["team"],
    sourceIdentity: "ann",
    issuerArn: second.RoleArn,
  });
});

test("durations: as long as the role allows", async () => {
  const room = stsRoom();
  room.putRole("reader", [toAnn], { maxSessionSeconds: 7_200 });
  const { Credentials } = await room.run("AssumeRole", { ...input, DurationSeconds: 7_200 });
  expect(room.opened(Credentials).expiresMs).toBe(room.clock.wallMs() + 7_200_000);
  expect(await room.failure("AssumeRole", { ...input, DurationSeconds: 7_201 })).toMatch(
    /^ValidationError: .*MaxSessionDuration/,
  );
});

test("session policies are checked, kept and measured", async () => {
  const room = trustingRoom();
  const Policy = documentOf({ Action: "kms:Decrypt", Resource: "*" });
  const arn = "arn:aws:iam::aws:policy/ReadOnlyAccess";
  const { Credentials, PackedPolicySize } = await room.run("AssumeRole", { ...input, Policy, PolicyArns: [{ arn }] });
  expect(room.opened(Credentials).principal.session?.limits).toEqual({ documents: [Policy], policyArns: [arn] });
  expect(PackedPolicySize).toBeGreaterThan(0);
  expect(PackedPolicySize).toBeLessThan(20);
  const refused = (more: object) => room.failure("AssumeRole", { ...input, ...more });
  expect(await refused({ Policy: "{" })).toMatch(/^MalformedPolicyDocument/);
  expect(await refused({ Policy: documentOf({ Principal: "*", Action: "*", Resource: "*" }) })).toMatch(
    /^MalformedPolicyDocument/,
  );
  expect(await refused({ Policy: documentOf({ Sid: "x".repeat(2_000), Action: "*", Resource: "*" }) })).toMatch(
    /^PackedPolicyTooLarge: Packed policy consumes 1\d\d%/,
  );
  expect(await refused({ PolicyArns: [{ arn: `arn:aws:iam::${ACCOUNT}:policy/missing` }] })).toMatch(
    /^ValidationError/,
  );
  expect(await refused({ PolicyArns: Array.from({ length: 11 }, () => ({ arn })) })).toMatch(/^ValidationError/);
});

test("fifty tags that do not compress take more than there is", async () => {
  const room = trustingRoom();
  const text = (at: number) => Buffer.from(`${at}`.repeat(3)).toString("hex");
  let seed = 1;
  const noise = (length: number): string =>
    Array.from({ length }, () => ((seed = (seed * 48_271) % 2_147_483_647) % 36).toString(36)).join("");
  const Tags = Array.from({ length: 50 }, (_, at) => ({ Key: text(at), Value: noise(200) }));
  expect(await room.failure("AssumeRole", { ...input, Tags })).toMatch(
    /^PackedPolicyTooLarge: Packed policy consumes \d+%/,
  );
});

test("root, federated users and codes of MFA devices are refused", async () => {
  const room = trustingRoom();
  expect(await room.failure("AssumeRole", input, root)).toBe(
    "AccessDenied: Roles may not be assumed by root accounts.",
  );
  const fay: Principal = { type: "FederatedUser", arn: "x", accountId: ACCOUNT, userId: `${ACCOUNT}:fay` };
  expect(await room.failure("AssumeRole", input, fay)).toMatch(/^AccessDenied/);
  const mfa = { ...input, SerialNumber: `arn:aws:iam::${ACCOUNT}:mfa/ann`, TokenCode: "123456" };
  expect(await room.failure("AssumeRole", mfa)).toMatch(/^AccessDenied: MultiFactorAuthentication failed/);
});

test("what is no role's ARN is refused as such", async () => {
  const room = trustingRoom();
  for (const arn of [ann.arn, "arn:aws:iam::1:role/reader", "arn:aws:iam::111122223333:role/a\nb", "x".repeat(30)]) {
    expect(await room.failure("AssumeRole", { ...input, RoleArn: arn })).toMatch(/^ValidationError: .* is invalid/s);
  }
});

test("the event names session, role and what was asked, and holds neither secret, token nor code", async () => {
  const room = trustingRoom();
  const more = { ExternalId: "e-1", SourceIdentity: "ann", Tags: [{ Key: "team", Value: "blue" }] };
  const { Credentials } = await room.run("AssumeRole", { ...input, ...more });
  await room.failure("AssumeRole", { ...input, SerialNumber: "arn:aws:iam::1:mfa/x", TokenCode: "987654" });
  const [done, refused] = await room.events();
  expect(done).toMatchObject({
    eventName: "AssumeRole",
    requestParameters: {
      roleArn: RoleArn,
      roleSessionName: "s1",
      externalId: "e-1",
      sourceIdentity: "ann",
      tags: [{ key: "team", value: "blue" }],
    },
    responseElements: {
      credentials: { accessKeyId: Credentials?.AccessKeyId, expiration: "Nov 14, 2023, 11:13:20 PM" },
      assumedRoleUser: { assumedRoleId: "AROATEST:s1", arn: `arn:aws:sts::${ACCOUNT}:assumed-role/reader/s1` },
      sourceIdentity: "ann",
    },
    resources: [{ ARN: RoleArn, accountId: ACCOUNT, type: "AWS::IAM::Role" }],
  });
  const text = JSON.stringify([done, refused]);
  expect(refused).toMatchObject({ errorCode: "AccessDenied" });
  for (const secret of [Credentials?.SecretAccessKey, Credentials?.SessionToken, "987654"]) {
    expect(text).not.toContain(secret ?? "missing");
  }
});
