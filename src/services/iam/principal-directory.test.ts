import { beforeEach, expect, test } from "vitest";
import { compilePolicy } from "../../authz/compile.ts";
import type { CompiledPolicy } from "../../authz/types.ts";
import { boundPrincipals, principalDirectory, withAccountArns } from "./principal-directory.ts";
import { ACCOUNT, iamRoom, type IamRoom, policyText } from "./testing/iam-room.ts";

const OTHER = "999988887777";
const ANN = `arn:aws:iam::${ACCOUNT}:user/staff/ann`;
const APP = `arn:aws:iam::${ACCOUNT}:role/apps/App`;

let room: IamRoom;
beforeEach(async () => {
  room = await iamRoom();
  await makeAnn();
  await room.run("CreateRole", {
    RoleName: "App",
    Path: "/apps/",
    AssumeRolePolicyDocument: policyText("Allow", "sts:AssumeRole"),
  });
});

const makeAnn = async (): Promise<string> =>
  (await room.run("CreateUser", { UserName: "ann", Path: "/staff/" })).User?.UserId ?? "";
const bind = (...names: string[]) => principalDirectory.bind(room.reader, names);
const trust = (principal: unknown): CompiledPolicy =>
  compilePolicy(
    JSON.stringify({
      Version: "2012-10-17",
      Statement: { Effect: "Allow", Principal: principal, Action: "sts:AssumeRole" },
    }),
    { id: "trust", kind: "trust", lengthMax: 10_000 },
  );

test("users, roles and sessions have unique ids; accounts and federated users are there without one", async () => {
  const { User } = await room.run("GetUser", { UserName: "ann" });
  const { Role } = await room.run("GetRole", { RoleName: "App" });
  const session = `arn:aws:sts::${ACCOUNT}:assumed-role/App/me`;
  const others = [ACCOUNT, `arn:aws:iam::${ACCOUNT}:root`, `arn:aws:sts::${ACCOUNT}:federated-user/bob`];
  expect(await bind(ANN, APP, session, ...others)).toEqual({
    ids: { [ANN]: User?.UserId, [APP]: Role?.RoleId, [session]: `${Role?.RoleId}:me` },
    unknown: [],
  });
});

test.each([
  ["a user who was never made", `arn:aws:iam::${ACCOUNT}:user/bob`],
  ["a user under another path", `arn:aws:iam::${ACCOUNT}:user/ann`],
  ["a user in other letters", `arn:aws:iam::${ACCOUNT}:user/staff/Ann`],
  ["a role that was never made", `arn:aws:iam::${ACCOUNT}:role/ann`],
  ["a session of no role", `arn:aws:sts::${ACCOUNT}:assumed-role/ann/me`],
  ["a session of a role in other letters", `arn:aws:sts::${ACCOUNT}:assumed-role/app/me`],
  ["a group of an account that is not here", `arn:aws:iam::${OTHER}:group/ann`],
  ["a name too long for anybody", `arn:aws:iam::${ACCOUNT}:user/${"x".repeat(4_000)}`],
  ["a group", `arn:aws:iam::${ACCOUNT}:group/ann`],
  ["another partition", ANN.replace("arn:aws:", "arn:aws-cn:")],
])("%s is unknown", async (_what, name) => {
  expect(await bind(name)).toEqual({ ids: {}, unknown: [name] });
});

test.each([
  ["an account that is not here", `arn:aws:iam::${OTHER}:root`],
  ["its bare id", OTHER],
  ["a user of it", `arn:aws:iam::${OTHER}:user/staff/ann`],
  ["a federated user of it", `arn:aws:sts::${OTHER}:federated-user/ann`],
])("%s may be named, as somebody elsewhere", async (_what, name) => {
  expect(await bind(name)).toEqual({ ids: {}, unknown: [] });
});

test("a trust policy that names nobody who is there is refused in AWS's words", async () => {
  expect(await boundPrincipals(room.reader, trust({ AWS: ANN }))).toHaveProperty([ANN]);
  await expect(boundPrincipals(room.reader, trust({ AWS: [ANN, `${ANN}x`] }))).rejects.toMatchObject({
    code: "MalformedPolicyDocument",
    message: `Invalid principal in policy: "AWS":"${ANN}x"`,
  });
  expect(await boundPrincipals(room.reader, trust({ Service: "events.amazonaws.com" }))).toEqual({});
  expect(await boundPrincipals(room.reader, trust("*"))).toEqual({});
});

const POLICY = JSON.stringify({
  Version: "2012-10-17",
  Statement: [
    {
      Effect: "Allow",
      Principal: { AWS: [ANN, APP] },
      Action: "kms:*",
      Resource: "*",
      Condition: { ArnEquals: { "aws:PrincipalArn": ANN } },
    },
    { Effect: "Deny", NotPrincipal: { AWS: ANN }, Action: "kms:*", Resource: "*" },
    { Effect: "Allow", Principal: "*", Action: "kms:*", Resource: "*" },
  ],
});

test("a stored policy is shown as it was put until a principal of it is gone; then by its unique id, conditions apart", async () => {
  const { ids } = await bind(ANN, APP);
  expect(await principalDirectory.show(room.reader, POLICY, ids)).toBe(POLICY);
  expect(await principalDirectory.show(room.reader, POLICY, null)).toBe(POLICY);
  await room.run("DeleteUser", { UserName: "ann" });
  const after = JSON.parse(await principalDirectory.show(room.reader, POLICY, ids));
  expect(after.Statement[0].Principal.AWS).toEqual([ids[ANN], APP]);
  expect(after.Statement[1].NotPrincipal.AWS).toBe(ids[ANN]);
  expect(after.Statement[0].Condition.ArnEquals["aws:PrincipalArn"]).toBe(ANN);
  expect(after.Statement[2].Principal).toBe("*");
  expect(await makeAnn()).not.toBe(ids[ANN]);
  expect(await principalDirectory.nameOf(room.reader, ANN, ids[ANN] ?? "")).toBe(ids[ANN]);
});

test("an account that a trust policy names by its bare id is stored by the ARN of its root", () => {
  const Condition = { StringEquals: { "aws:PrincipalAccount": OTHER } };
  const Statement = [
    { Effect: "Allow", Principal: { AWS: [OTHER, ANN] }, Action: "sts:AssumeRole" },
    { Effect: "Allow", Principal: { AWS: OTHER }, Action: "sts:TagSession", Condition },
  ];
  const document = JSON.stringify({ Version: "2012-10-17", Statement });
  const compiled = compilePolicy(document, { id: "trust", kind: "trust", lengthMax: 10_000 });
  const AWS = `arn:aws:iam::${OTHER}:root`;
  expect(JSON.parse(withAccountArns(document, compiled))).toEqual({
    Version: "2012-10-17",
    Statement: [
      { ...Statement[0], Principal: { AWS: [AWS, ANN] } },
      { ...Statement[1], Principal: { AWS } },
    ],
  });
  const spaced = ` ${JSON.stringify({ Version: "2012-10-17", Statement: { ...Statement[0], Principal: { AWS } } })}`;
  const same = compilePolicy(spaced, { id: "trust", kind: "trust", lengthMax: 10_000 });
  expect(withAccountArns(spaced, same)).toBe(spaced);
});

test("a user that was renamed is shown by its new ARN, even when somebody else has its old name", async () => {
  const { ids } = await bind(ANN);
  const id = ids[ANN] ?? "";
  await room.run("UpdateUser", { UserName: "ann", NewUserName: "anna", NewPath: "/" });
  await makeAnn();
  expect(await principalDirectory.nameOf(room.reader, ANN, id)).toBe(`arn:aws:iam::${ACCOUNT}:user/anna`);
  await room.run("DeleteUser", { UserName: "anna" });
  await room.run("CreateUser", { UserName: "anna" });
  expect(await principalDirectory.nameOf(room.reader, ANN, id)).toBe(id);
});

test("a policy cannot be stored with the id of somebody who is deleted meanwhile: the operation runs again", async () => {
  const tracking = room.reader.tracking();
  await principalDirectory.bind(tracking.reader, [ANN]);
  await room.run("DeleteUser", { UserName: "ann" });
  expect(await room.store.commit({ expect: tracking.expectations(), writes: [] })).toBe("conflict");
});
