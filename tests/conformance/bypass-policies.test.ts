import {
  CreatePolicyCommand,
  CreateRoleCommand,
  PutRolePolicyCommand,
  PutUserPolicyCommand,
} from "@aws-sdk/client-iam";
import {
  CreateKeyCommand,
  EncryptCommand,
  GetKeyPolicyCommand,
  ListKeysCommand,
  PutKeyPolicyCommand,
} from "@aws-sdk/client-kms";
import { AssumeRoleCommand } from "@aws-sdk/client-sts";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Clients, clientsFor, createUser, refusal, rootClients, type User } from "../support/clients.ts";
import { serverForAll } from "../support/server.ts";

/** Policy documents that are made to stall the server, or to say more than they seem to. */
const server = serverForAll();
let root: Clients;
let ann: User;
let keyId = "";
beforeAll(async () => {
  root = await rootClients(server());
  ann = await createUser(server(), root, "ann", [
    { Effect: "Allow", Action: ["kms:*", "sts:AssumeRole"], Resource: "*" },
  ]);
  keyId = (await root.kms.send(new CreateKeyCommand({}))).KeyMetadata?.KeyId ?? "";
});
afterAll(() => {
  for (const clients of [root, ann]) clients.destroy();
});

/** Far more than any of these may take, and far less than a matcher that backtracks without limit would. */
const ANSWER_MS_MAX = 3_000;

async function within<Result>(work: Promise<Result>): Promise<Result> {
  const beganMs = performance.now();
  const result = await work;
  expect(performance.now() - beganMs).toBeLessThan(ANSWER_MS_MAX);
  return result;
}

const putOnUser = async (PolicyDocument: string): Promise<string> =>
  within(refusal(root.iam.send(new PutUserPolicyCommand({ UserName: "ann", PolicyName: "bomb", PolicyDocument }))));
let policyCount = 0;
const putManaged = async (PolicyDocument: string): Promise<string> =>
  within(refusal(root.iam.send(new CreatePolicyCommand({ PolicyName: `bomb-${(policyCount += 1)}`, PolicyDocument }))));
const putOnKey = async (Policy: string): Promise<string> =>
  within(
    refusal(root.kms.send(new PutKeyPolicyCommand({ KeyId: keyId, Policy, BypassPolicyLockoutSafetyCheck: true }))),
  );

const statement = (fields: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> => ({
  Effect: "Allow",
  Action: "kms:*",
  Resource: "*",
  ...fields,
});
const document = (...statements: readonly object[]): string =>
  JSON.stringify({ Version: "2012-10-17", Statement: statements });
const nested = (open: string, close: string, depth: number): string => open.repeat(depth) + close.repeat(depth);

describe("documents that are refused", () => {
  const valid = document(statement({}));
  const documents: readonly (readonly [name: string, document: string])[] = [
    ["no JSON", "{"],
    ["two documents", valid + valid],
    ["deep arrays", nested("[", "]", 900)],
    ["deep objects", `${'{"Statement":'.repeat(90)}1${"}".repeat(90)}`],
    [
      "a deep action",
      `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":${nested("[", "]", 50)},"Resource":"*"}]}`,
    ],
    ["an effect stated twice", valid.replace('"Effect":"Allow"', '"Effect":"Deny","Effect":"Allow"')],
    ["an effect in another case", valid.replace('"Allow"', '"allow"')],
    ["an element in another case", valid.replace('"Action"', '"action"')],
    ["an unknown element", valid.replace('"Effect"', '"Precedence":1,"Effect"')],
    ["a prototype", valid.replace('"Effect"', '"__proto__":{},"Effect"')],
    ["action and its opposite", document(statement({ NotAction: "iam:*" }))],
    ["an empty statement list", document()],
    ["an unknown version", valid.replace("2012-10-17", "2012-10-18")],
    ["an unknown operator", document(statement({ Condition: { StringMatches: { "aws:username": ".*" } } }))],
    ["an unclosed variable", document(statement({ Resource: "arn:aws:kms:*:*:key/${aws:username" }))],
    ["an unquoted default", document(statement({ Resource: "arn:aws:kms:*:*:key/${aws:username, *}" }))],
    [
      "a variable in a variable",
      document(statement({ Resource: "arn:aws:kms:*:*:key/${aws:PrincipalTag/${aws:username}}" })),
    ],
    ["a principal in an identity policy", document(statement({ Principal: "*" }))],
  ];
  test.each(documents)("%s", async (_name, text) => {
    expect(await putOnUser(text)).toBe("MalformedPolicyDocumentException");
    expect(await putManaged(text)).toBe("MalformedPolicyDocumentException");
  });

  test("one with characters that no policy has", async () => {
    for (const text of [`\ufeff${valid}`, valid.replace("kms", "\u212ams"), `${valid}\0`])
      expect(await putOnUser(text)).toBe("ValidationError");
  });

  test("one that is too large: for a user, for a managed policy, for a key", async () => {
    const ofSize = (size: number): string => document(statement({ Sid: "x".repeat(size) }));
    expect(await putOnUser(ofSize(2048))).toBe("LimitExceededException");
    expect(await putManaged(ofSize(6144))).toBe("LimitExceededException");
    expect(await putOnUser(ofSize(131_072))).toMatch(/^(ValidationError|LimitExceededException)$/);
    expect(await putOnKey(ofSize(32_768))).toMatch(/^(LimitExceededException|ValidationException)$/);
    expect(await putOnKey(ofSize(900_000))).toMatch(/^(LimitExceededException|ValidationException)$/);
  });

  test("a key's: deep, long in lists, or not a policy", async () => {
    for (const text of [
      nested("[", "]", 16_000),
      `{"Version":"2012-10-17","Statement":[${"{},".repeat(10_000)}{}]}`,
      "[]",
      "null",
    ])
      expect(await putOnKey(text)).toBe("MalformedPolicyDocumentException");
  });
});

describe("documents that are valid, and as costly as they can be made", () => {
  const TEXT = "a".repeat(4000);
  const encrypt = async (): Promise<string> =>
    within(
      refusal(
        ann.kms.send(
          new EncryptCommand({ KeyId: keyId, Plaintext: Buffer.from("x"), EncryptionContext: { note: TEXT } }),
        ),
      ),
    );
  const denyingLike = (patterns: readonly string[]): string =>
    document(statement({ Effect: "Deny", Condition: { StringLike: { "kms:EncryptionContext:note": patterns } } }));

  const variable = "${aws:username}";
  const withDefault = "${aws:PrincipalTag/x, 'aaaaaaaa'}*";
  const patterns: readonly (readonly [name: string, misses: readonly string[], matches: readonly string[]])[] = [
    ["runs of wildcards", [`${"*a".repeat(850)}b`], [`${"*a".repeat(850)}*`]],
    ["question marks between wildcards", [`${"*?".repeat(850)}b`], [`${"*?".repeat(850)}a`]],
    ["runs of what nearly matches", [`*${"a".repeat(1700)}b`], [`*${"a".repeat(1700)}`]],
    ["many patterns", Array.from({ length: 100 }, (_, at) => `*a*a*a*${at}`), [...Array(100).fill("*b"), "*a*a*a*"]],
    ["a variable many times over", [`*${variable.repeat(100)}`], [...Array(80).fill(variable), "a*"]],
    ["defaults in variables", [`${withDefault.repeat(45)}b`], [withDefault.repeat(45)]],
  ];
  test.each(patterns)("%s: decided in time, and by what they say", async (_name, misses, matches) => {
    expect(await putOnUser(denyingLike(misses))).toBe("succeeded");
    expect(await encrypt()).toBe("succeeded");
    expect(await putOnUser(denyingLike(matches))).toBe("succeeded");
    expect(await encrypt()).toBe("AccessDeniedException");
  });

  test("a key policy full of costly conditions: refused or decided, never stalled, and others are still answered", async () => {
    const { Policy = "" } = await root.kms.send(new GetKeyPolicyCommand({ KeyId: keyId, PolicyName: "default" }));
    const { Statement: own } = JSON.parse(Policy) as { readonly Statement: readonly object[] };
    const bomb = statement({
      Effect: "Deny",
      Principal: "*",
      Condition: {
        StringLike: {
          "kms:EncryptionContext:note": Array.from({ length: 30 }, (_, at) => `${"*a".repeat(450)}${at}`),
        },
      },
    });
    expect(await putOnUser(denyingLike(["none"]))).toBe("succeeded");
    expect(await putOnKey(document(...own, bomb))).toBe("succeeded");
    const answers = await within(Promise.all(Array.from({ length: 8 }, encrypt)));
    // A decision that takes too many steps is a denial: nothing is allowed by giving up.
    expect(new Set(answers).size).toBe(1);
    expect(["succeeded", "AccessDeniedException"]).toContain(answers[0]);
    expect(await putOnKey(Policy)).toBe("succeeded");
    expect(await encrypt()).toBe("succeeded");
  });
});

test("a session policy: no policy, too large, or as costly as it can be", async () => {
  const trust = { Effect: "Allow", Principal: { AWS: ann.arn }, Action: "sts:AssumeRole" };
  const { Role } = await root.iam.send(
    new CreateRoleCommand({ RoleName: "bombed", AssumeRolePolicyDocument: document(trust) }),
  );
  await root.iam.send(
    new PutRolePolicyCommand({ RoleName: "bombed", PolicyName: "main", PolicyDocument: document(statement({})) }),
  );
  const assumed = (Policy: string): AssumeRoleCommand =>
    new AssumeRoleCommand({ RoleArn: Role?.Arn ?? "", RoleSessionName: "test", Policy });
  for (const [text, code] of [
    ["{", "MalformedPolicyDocumentException"],
    [nested("[", "]", 1000), "MalformedPolicyDocumentException"],
    [document(statement({ Effect: "allow" })), "MalformedPolicyDocumentException"],
    [document(statement({ Principal: "*" })), "MalformedPolicyDocumentException"],
    [document(statement({ Sid: "x".repeat(2048) })), "PackedPolicyTooLargeException"],
  ] as const)
    expect(await within(refusal(ann.sts.send(assumed(text))))).toBe(code);
  const costly = document(statement({ Action: `kms:${"*s".repeat(900)}*` }));
  const { Credentials: issued } = await within(ann.sts.send(assumed(costly)));
  const credentials = {
    accessKeyId: issued?.AccessKeyId ?? "",
    secretAccessKey: issued?.SecretAccessKey ?? "",
    sessionToken: issued?.SessionToken ?? "",
  };
  const session = await clientsFor(server(), credentials);
  expect(await within(refusal(session.kms.send(new ListKeysCommand({}))))).toBe("AccessDeniedException");
  session.destroy();
});
