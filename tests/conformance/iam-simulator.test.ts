import {
  GetContextKeysForCustomPolicyCommand,
  GetContextKeysForPrincipalPolicyCommand,
  paginateSimulateCustomPolicy,
  SimulatePrincipalPolicyCommand,
} from "@aws-sdk/client-iam";
import { CreateKeyCommand, EncryptCommand } from "@aws-sdk/client-kms";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Clients, createUser, policyDocument, refusal, rootClients } from "../support/clients.ts";
import { serverForAll } from "../support/server.ts";

const server = serverForAll();
let root: Clients;
beforeAll(async () => {
  root = await rootClients(server());
});
afterAll(() => root.destroy());

const OWN_TENANT = {
  Effect: "Allow",
  Action: "kms:Encrypt",
  Resource: "*",
  Condition: { StringEquals: { "kms:EncryptionContext:tenant": "${aws:username}" } },
} as const;

test("the simulator says of a user what the server then does", async () => {
  const ann = await createUser(server(), root, "simulated", [OWN_TENANT]);
  const { KeyMetadata } = await root.kms.send(new CreateKeyCommand({}));
  for (const [tenant, expected] of [
    ["simulated", "allowed"],
    ["other", "implicitDeny"],
  ] as const) {
    const { EvaluationResults } = await root.iam.send(
      new SimulatePrincipalPolicyCommand({
        PolicySourceArn: ann.arn,
        ActionNames: ["kms:Encrypt"],
        ResourceArns: [KeyMetadata?.Arn ?? ""],
        ContextEntries: [
          { ContextKeyName: "kms:EncryptionContext:tenant", ContextKeyType: "string", ContextKeyValues: [tenant] },
        ],
      }),
    );
    expect(EvaluationResults?.map(({ EvalDecision }) => EvalDecision)).toEqual([expected]);
    const encrypting = ann.kms.send(
      new EncryptCommand({
        KeyId: KeyMetadata?.KeyId,
        Plaintext: new Uint8Array([1]),
        EncryptionContext: { tenant },
      }),
    );
    if (expected === "allowed") await encrypting;
    else expect(await refusal(encrypting)).toContain("AccessDenied");
  }
  const asking = new SimulatePrincipalPolicyCommand({ PolicySourceArn: ann.arn, ActionNames: ["kms:Encrypt"] });
  expect(await refusal(ann.iam.send(asking))).toContain("AccessDenied");
  const keys = await root.iam.send(new GetContextKeysForPrincipalPolicyCommand({ PolicySourceArn: ann.arn }));
  expect(keys.ContextKeyNames).toEqual(["kms:EncryptionContext:tenant", "aws:username"]);
  ann.destroy();
});

test("documents by themselves, page by page", async () => {
  const PolicyInputList = [policyDocument(OWN_TENANT, { Effect: "Allow", Action: "kinesis:*", Resource: "*" })];
  const results = [];
  for await (const page of paginateSimulateCustomPolicy(
    { client: root.iam, pageSize: 2 },
    { PolicyInputList, ActionNames: ["kinesis:PutRecord", "kinesis:GetRecords", "kms:Encrypt"] },
  )) {
    results.push(page.EvaluationResults ?? []);
  }
  expect(results.map((page) => page.map(({ EvalDecision }) => EvalDecision))).toEqual([
    ["allowed", "allowed"],
    ["implicitDeny"],
  ]);
  expect(results[0]?.[0]?.MatchedStatements).toMatchObject([{ SourcePolicyId: "PolicyInputList.1" }]);
  expect(results[1]?.[0]?.MissingContextValues).toContain("kms:EncryptionContext:tenant");
  const keys = await root.iam.send(new GetContextKeysForCustomPolicyCommand({ PolicyInputList }));
  expect(keys.ContextKeyNames).toEqual(["kms:EncryptionContext:tenant", "aws:username"]);
});
