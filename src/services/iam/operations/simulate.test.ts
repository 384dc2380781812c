import { describe, expect, test } from "vitest";
import { ACCOUNT, iamRoom, simulator } from "../testing/iam-room.ts";
import type { IamRoom } from "../testing/iam-room.ts";

const OTHER = "444455556666";
const KEY = `arn:aws:kms:eu-central-1:${ACCOUNT}:key/1234`;
const ANN = `arn:aws:iam::${ACCOUNT}:user/ann`;

type Statement = Readonly<Record<string, unknown>>;
const policy = (...statements: readonly Statement[]): string =>
  JSON.stringify({
    Version: "2012-10-17",
    Statement: statements.map((given) => ({ Effect: "Allow", Action: "*", Resource: "*", ...given })),
  });
const allow = (Action: string | readonly string[], more: Statement = {}): string => policy({ Action, ...more });

async function decisions(room: IamRoom, input: Parameters<typeof room.run<"SimulateCustomPolicy">>[1]) {
  const { EvaluationResults = [] } = await room.run("SimulateCustomPolicy", input);
  return EvaluationResults.map(({ EvalActionName, EvalResourceName, EvalDecision }) =>
    [EvalActionName, EvalResourceName, EvalDecision].join(" "),
  );
}

describe("SimulateCustomPolicy", () => {
  test("answers for each action and resource what the evaluator decides", async () => {
    const room = await iamRoom();
    const PolicyInputList = [allow("kms:*"), policy({ Effect: "Deny", Action: "kms:Decrypt", Resource: KEY })];
    const ActionNames = ["kms:Encrypt", "KMS:decrypt", "s3:GetObject"];
    expect(await decisions(room, { PolicyInputList, ActionNames })).toEqual([
      "kms:Encrypt * allowed",
      "KMS:decrypt * allowed",
      "s3:GetObject * implicitDeny",
    ]);
    expect(
      await decisions(room, { PolicyInputList, ActionNames: ["kms:Decrypt"], ResourceArns: [KEY, `${KEY}5`] }),
    ).toEqual([`kms:Decrypt ${KEY} explicitDeny`, `kms:Decrypt ${KEY}5 allowed`]);
  });

  test("shows every statement that allows, or only those that deny, and where they stand", async () => {
    const room = await iamRoom();
    const run = (documents: readonly string[]) =>
      room.run("SimulateCustomPolicy", {
        PolicyInputList: documents,
        ActionNames: ["kms:Encrypt"],
        ResourceArns: [KEY],
      });
    const allowed = await run([policy({ Action: "s3:*" }, { Action: "kms:*" }), allow("kms:Encrypt")]);
    const [result] = allowed.EvaluationResults ?? [];
    const first = policy({ Action: "s3:*" });
    expect(result?.MatchedStatements).toEqual([
      {
        SourcePolicyId: "PolicyInputList.1",
        SourcePolicyType: "none",
        StartPosition: { Line: 1, Column: first.length - 1 },
        EndPosition: { Line: 1, Column: policy({ Action: "s3:*" }, { Action: "kms:*" }).length - 1 },
      },
      expect.objectContaining({ SourcePolicyId: "PolicyInputList.2" }),
    ]);
    expect(result).toMatchObject({
      EvalDecisionDetails: {},
      MissingContextValues: [],
      ResourceSpecificResults: [{ EvalResourceName: KEY, EvalResourceDecision: "allowed" }],
    });
    const denied = await run([allow("*"), policy({ Effect: "Deny" })]);
    expect(denied.EvaluationResults?.[0]?.MatchedStatements).toMatchObject([{ SourcePolicyId: "PolicyInputList.2" }]);
  });

  test("decides by the context that is given, and names the keys that are not", async () => {
    const room = await iamRoom();
    const PolicyInputList = [
      allow("kms:Encrypt", {
        Condition: {
          StringEquals: { "aws:PrincipalTag/Team": "orders" },
          NumericLessThan: { "k:Number": "5" },
          "ForAllValues:StringEquals": { "aws:TagKeys": ["a", "b"] },
        },
      }),
    ];
    const run = async (ContextEntries: object[]) => {
      const output = await room.run("SimulateCustomPolicy", {
        PolicyInputList,
        ActionNames: ["kms:Encrypt"],
        ContextEntries,
      });
      return output.EvaluationResults?.[0];
    };
    const entry = (ContextKeyName: string, ContextKeyType: string, ...ContextKeyValues: string[]) => ({
      ContextKeyName,
      ContextKeyType,
      ContextKeyValues,
    });
    expect(await run([])).toMatchObject({
      EvalDecision: "implicitDeny",
      MissingContextValues: ["aws:PrincipalTag/Team"],
    });
    const all = [
      entry("AWS:principaltag/team", "string", "orders"),
      entry("k:number", "numeric", "4"),
      entry("aws:TagKeys", "stringList", "a", "b"),
    ];
    expect(await run(all)).toMatchObject({ EvalDecision: "allowed", MissingContextValues: [] });
    expect(await run([...all.slice(0, 2), entry("aws:TagKeys", "stringList", "a", "c")])).toMatchObject({
      EvalDecision: "implicitDeny",
    });
  });

  test("names missing keys whose letters beyond ASCII have a lower case", async () => {
    const room = await iamRoom();
    const Condition = { StringEquals: { "aws:RequestTag/\u00c9quipe": "a" } };
    const { EvaluationResults } = await room.run("SimulateCustomPolicy", {
      PolicyInputList: [allow("kms:*", { Condition })],
      ActionNames: ["kms:Encrypt"],
    });
    expect(EvaluationResults?.[0]?.MissingContextValues).toEqual(["aws:RequestTag/\u00c9quipe"]);
  });

  test("takes a boundary and a policy of the resource, of another account, too", async () => {
    const room = await iamRoom();
    const base = {
      PolicyInputList: [allow("kms:*")],
      ActionNames: ["kms:Encrypt"],
      ResourceArns: [KEY],
      CallerArn: ANN,
    };
    const one = async (more: object) => {
      const { EvaluationResults } = await room.run("SimulateCustomPolicy", { ...base, ...more });
      return EvaluationResults?.[0];
    };
    expect(await one({ PermissionsBoundaryPolicyInputList: [allow("s3:*")] })).toMatchObject({
      EvalDecision: "implicitDeny",
      PermissionsBoundaryDecisionDetail: { AllowedByPermissionsBoundary: false },
    });
    const keyPolicy = (AWS: string) => allow("kms:Encrypt", { Principal: { AWS } });
    const toAccount = keyPolicy(`arn:aws:iam::${ACCOUNT}:root`);
    expect(await one({ ResourcePolicy: toAccount })).toMatchObject({ EvalDecision: "allowed" });
    // A key's policy that leaves the account out leaves IAM policies without effect.
    expect(await one({ ResourcePolicy: keyPolicy(`arn:aws:iam::${OTHER}:root`) })).toMatchObject({
      EvalDecision: "implicitDeny",
    });
    const foreign = { CallerArn: `arn:aws:iam::${OTHER}:user/eve` };
    expect(await one({ ...foreign, ResourcePolicy: toAccount })).toMatchObject({
      EvalDecision: "implicitDeny",
      EvalDecisionDetails: { "IAM Policy": "allowed", "Resource Policy": "implicitDeny" },
    });
    expect(await one({ ...foreign, ResourcePolicy: keyPolicy(foreign.CallerArn) })).toMatchObject({
      EvalDecision: "allowed",
    });
    // A bucket's ARN does not say whose it is.
    const bucket = {
      ActionNames: ["s3:GetObject"],
      ResourceArns: ["arn:aws:s3:::b/x"],
      PolicyInputList: [allow("s3:*")],
      ResourcePolicy: keyPolicy(`arn:aws:iam::${OTHER}:root`),
    };
    expect(await one(bucket)).toMatchObject({ EvalDecision: "allowed" });
    expect(await one({ ...bucket, ResourceOwner: `arn:aws:iam::${OTHER}:root` })).toMatchObject({
      EvalDecision: "implicitDeny",
    });
  });

  test("answers in pages", async () => {
    const room = await iamRoom();
    const input = {
      PolicyInputList: [allow("kms:*")],
      ActionNames: ["kms:Encrypt", "kms:Decrypt", "s3:GetObject"],
      ResourceArns: [KEY, `${KEY}5`],
      MaxItems: 4,
    };
    const first = await room.run("SimulateCustomPolicy", input);
    expect(first).toMatchObject({ IsTruncated: true });
    const second = await room.run("SimulateCustomPolicy", { ...input, Marker: first.Marker });
    expect(second).toMatchObject({ IsTruncated: false });
    expect([first, second].map(({ EvaluationResults }) => EvaluationResults?.length)).toEqual([4, 2]);
    expect(second.EvaluationResults?.[0]).toMatchObject({ EvalActionName: "s3:GetObject", EvalResourceName: KEY });
    expect(await room.failure("SimulateCustomPolicy", { ...input, Marker: "x" })).toContain("ValidationError");
  });

  test("ends a page early when its policies take long", async () => {
    const room = await iamRoom();
    const values = Array.from({ length: 4000 }, (_, at) => `*z${at}*y`);
    const names = Array.from({ length: 4000 }, (_, at) => `name${at}`);
    const { EvaluationResults, IsTruncated } = await room.run("SimulateCustomPolicy", {
      PolicyInputList: [allow("*", { Condition: { "ForAnyValue:StringLike": { "k:list": values } } })],
      ActionNames: Array.from({ length: 100 }, (_, at) => `kms:Action${at}`),
      ContextEntries: [{ ContextKeyName: "k:list", ContextKeyType: "stringList", ContextKeyValues: names }],
    });
    expect(EvaluationResults?.length).toBeLessThan(5);
    expect(IsTruncated).toBe(true);
  });

  test.each([
    [{ PolicyInputList: ["{"] }, "Invalid policy PolicyInputList.1: "],
    [{ PolicyInputList: [policy({ Principal: "*" })] }, "Invalid policy PolicyInputList.1: "],
    [{ ActionNames: ["kms:*"] }, "Invalid Action: kms:*"],
    [{ ResourceArns: ["key"] }, "Invalid Resource ARN: key"],
    [{ CallerArn: `arn:aws:iam::${ACCOUNT}:role/r` }, "Invalid CallerArn"],
    [{ ResourceOwner: ANN }, "Invalid ResourceOwner"],
    [{ ResourcePolicy: allow("*", { Principal: "*" }) }, "CallerArn is required"],
    [{ PermissionsBoundaryPolicyInputList: [allow("*"), allow("*")] }, "Only one permissions boundary"],
    [
      { ContextEntries: [{ ContextKeyName: "k:n", ContextKeyType: "numeric", ContextKeyValues: ["x"] }] },
      "not of type",
    ],
    [{ ContextEntries: [{ ContextKeyName: "k:n", ContextKeyValues: ["x", "y"] }] }, "exactly one value"],
  ] as const)("refuses %j", async (change, message) => {
    const room = await iamRoom();
    const input = { PolicyInputList: [allow("*")], ActionNames: ["kms:Encrypt"], ...change };
    expect(await room.failure("SimulateCustomPolicy", input)).toMatch(
      new RegExp(`^InvalidInput 400: .*${message.replaceAll("*", "\\*")}`),
    );
  });
});

async function roomWithAnn(): Promise<IamRoom> {
  const room = await iamRoom();
  await room.run("CreateUser", { UserName: "ann", Tags: [{ Key: "team", Value: "orders" }] });
  await room.run("PutUserPolicy", { UserName: "ann", PolicyName: "own", PolicyDocument: allow("kms:Encrypt") });
  await room.run("CreateGroup", { GroupName: "team" });
  await room.run("AddUserToGroup", { UserName: "ann", GroupName: "team" });
  await room.run("PutGroupPolicy", { GroupName: "team", PolicyName: "shared", PolicyDocument: allow("kms:Decrypt") });
  return room;
}

describe("SimulatePrincipalPolicy", () => {
  test("takes a user's policies, its groups', those attached and its boundary", async () => {
    const room = await roomWithAnn();
    const arn = "arn:aws:iam::aws:policy/IAMReadOnlyAccess";
    await room.run("AttachUserPolicy", { UserName: "ann", PolicyArn: arn });
    const ActionNames = ["kms:Encrypt", "kms:Decrypt", "iam:GetUser", "kms:Sign"];
    const run = (more: object = {}) =>
      room.run("SimulatePrincipalPolicy", { PolicySourceArn: ANN, ActionNames, ...more });
    const { EvaluationResults } = await run();
    expect(EvaluationResults?.map(({ EvalDecision }) => EvalDecision)).toEqual([
      "allowed",
      "allowed",
      "allowed",
      "implicitDeny",
    ]);
    expect(EvaluationResults?.flatMap(({ MatchedStatements }) => MatchedStatements)).toMatchObject([
      { SourcePolicyId: "user_ann_own", SourcePolicyType: "user" },
      { SourcePolicyId: "group_team_shared", SourcePolicyType: "group" },
      { SourcePolicyType: "aws-managed" },
    ]);
    const more = await run({ PolicyInputList: [allow("kms:Sign"), policy({ Effect: "Deny", Action: "kms:Encrypt" })] });
    expect(more.EvaluationResults?.map(({ EvalDecision }) => EvalDecision)).toEqual([
      "explicitDeny",
      "allowed",
      "allowed",
      "allowed",
    ]);
    await room.run("PutUserPermissionsBoundary", { UserName: "ann", PermissionsBoundary: arn });
    const limited = await run();
    expect(limited.EvaluationResults?.[0]).toMatchObject({
      EvalDecision: "implicitDeny",
      PermissionsBoundaryDecisionDetail: { AllowedByPermissionsBoundary: false },
    });
    expect(limited.EvaluationResults?.[2]).toMatchObject({ EvalDecision: "allowed" });
  });

  test("of a role, of a group, and of nobody", async () => {
    const room = await roomWithAnn();
    const AssumeRolePolicyDocument = policy({ Action: "sts:AssumeRole" });
    await room.run("CreateRole", { RoleName: "app", AssumeRolePolicyDocument });
    await room.run("PutRolePolicy", { RoleName: "app", PolicyName: "p", PolicyDocument: allow("kms:Sign") });
    const of = async (source: string, ActionNames: string[]) => {
      const PolicySourceArn = `arn:aws:iam::${ACCOUNT}:${source}`;
      const { EvaluationResults } = await room.run("SimulatePrincipalPolicy", { PolicySourceArn, ActionNames });
      return EvaluationResults?.map(({ EvalDecision }) => EvalDecision);
    };
    expect(await of("role/app", ["kms:Sign", "kms:Encrypt"])).toEqual(["allowed", "implicitDeny"]);
    expect(await of("group/team", ["kms:Decrypt", "kms:Encrypt"])).toEqual(["allowed", "implicitDeny"]);
    const failing = (PolicySourceArn: string) =>
      room.failure("SimulatePrincipalPolicy", { PolicySourceArn, ActionNames: ["kms:Sign"] });
    expect(await failing(`${ANN}a`)).toBe("NoSuchEntity 404: The user with name anna cannot be found.");
    expect(await failing(`arn:aws:iam::${ACCOUNT}:user/path/ann`)).toContain("NoSuchEntity");
    expect(await failing(`arn:aws:sts::${ACCOUNT}:assumed-role/app/s`)).toContain(
      "InvalidInput 400: Invalid Entity Arn",
    );
  });

  test("asks permission on the entity, of the account that it is in", async () => {
    const room = await roomWithAnn();
    const checks = (PolicySourceArn: string) =>
      room.checks("SimulatePrincipalPolicy", { PolicySourceArn, ActionNames: ["kms:Sign"] });
    expect(await checks(ANN)).toMatchObject([
      {
        action: "iam:SimulatePrincipalPolicy",
        resource: ANN,
        resourceAccountId: ACCOUNT,
        context: { "aws:ResourceTag/team": "orders" },
      },
    ]);
    expect(await checks(`arn:aws:iam::${OTHER}:user/eve`)).toMatchObject([{ resourceAccountId: OTHER }]);
  });
});

describe("context keys", () => {
  test("of given documents and of a user's", async () => {
    const room = await roomWithAnn();
    const asking = (key: string) => allow("*", { Condition: { StringEquals: { [key]: "${aws:username}" } } });
    await room.run("PutUserPolicy", { UserName: "ann", PolicyName: "own", PolicyDocument: asking("k:own") });
    const PolicyInputList = [asking("k:given"), asking("K:Given")];
    expect(await room.run("GetContextKeysForCustomPolicy", { PolicyInputList })).toEqual({
      ContextKeyNames: ["k:given", "aws:username"],
    });
    expect(await room.run("GetContextKeysForPrincipalPolicy", { PolicySourceArn: ANN, PolicyInputList })).toEqual({
      ContextKeyNames: ["k:own", "aws:username", "k:given"],
    });
    expect(await room.failure("GetContextKeysForCustomPolicy", { PolicyInputList: ["[]"] })).toContain("InvalidInput");
  });
});

test("service control policies of the account limit a principal's simulation and say so", async () => {
  const level = [simulator.compile(allow("s3:*"), "scp", "identity")];
  const room = await iamRoom({ simulator: { ...simulator, serviceControlsOf: async () => [level] } });
  await room.run("CreateUser", { UserName: "ann" });
  await room.run("PutUserPolicy", { UserName: "ann", PolicyName: "own", PolicyDocument: allow("*") });
  const { EvaluationResults } = await room.run("SimulatePrincipalPolicy", {
    PolicySourceArn: ANN,
    ActionNames: ["kms:Encrypt", "s3:GetObject"],
  });
  expect(EvaluationResults).toMatchObject([
    { EvalDecision: "implicitDeny", OrganizationsDecisionDetail: { AllowedByOrganizations: false } },
    { EvalDecision: "allowed", OrganizationsDecisionDetail: { AllowedByOrganizations: true } },
  ]);
});
