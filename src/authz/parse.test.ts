import { describe, expect, test } from "vitest";
import { compilePolicy } from "./compile.ts";
import { parsePolicy } from "./parse.ts";
import type { PolicyDocumentKind } from "./policy-document-kind.ts";
import { PolicyError } from "./policy-error.ts";
import { ACCOUNT } from "./testing/requests.ts";

const ALLOW = { Effect: "Allow", Action: "kms:*", Resource: "*" };
const WITH_PRINCIPAL = { ...ALLOW, Principal: "*" };

function refusal(document: string, kind: PolicyDocumentKind = "identity"): string {
  try {
    compilePolicy(document, { id: "p", kind, lengthMax: 50_000 });
  } catch (error) {
    if (error instanceof PolicyError) return error.code;
    throw error;
  }
  return "accepted";
}

const refusalOf = (statement: object, kind?: PolicyDocumentKind): string =>
  refusal(JSON.stringify({ Version: "2012-10-17", Statement: statement }), kind);

describe("the document", () => {
  test.each([
    ["{", "NotJson"],
    ["", "NotJson"],
    ["[]", "WrongType"],
    ["null", "WrongType"],
    ['"text"', "WrongType"],
    ["{}", "MissingElement"],
    ['{"Statement": []}', "MissingElement"],
    ['{"Statement": [[]]}', "WrongType"],
    ['{"Statement": "x"}', "WrongType"],
    ['{"Version": "2024-01-01", "Statement": []}', "InvalidVersion"],
    ['{"Version": 2012, "Statement": []}', "InvalidVersion"],
    ['{"Id": 1, "Statement": []}', "WrongType"],
    ['{"version": "2012-10-17", "Statement": []}', "UnknownElement"],
    ['{"Statement": [], "Statement": []}', "DuplicateKey"],
    ['{"Statement": [], "\\u0053tatement": []}', "DuplicateKey"],
    ['{"Statement": [{"Effect": "Deny", "Action": "*", "Resource": "*", "Effect" : "Allow"}]}', "DuplicateKey"],
    ['{"__proto__": {"Statement": []}}', "UnknownElement"],
  ])("%j: %s", (document, code) => {
    expect(refusal(document)).toBe(code);
  });

  test("a name that is repeated in another object, or as a value, is no duplicate", () => {
    const condition = { StringEquals: { "aws:a": "Effect" }, StringLike: { "aws:a": ["Effect", "Effect"] } };
    expect(refusalOf([{ ...ALLOW, Condition: condition }, ALLOW])).toBe("accepted");
  });

  test("its version defaults to the old one, its statement may stand alone", () => {
    const policy = parsePolicy(JSON.stringify({ Id: "key-default-1", Statement: ALLOW }), {
      kind: "identity",
      lengthMax: 1000,
    });
    expect(policy).toMatchObject({ version: "2008-10-17", id: "key-default-1", statements: [{ index: 0, sid: null }] });
  });

  test.each([
    ["longer than allowed", `{"Statement": []${" ".repeat(50_000)}}`, "TooLong"],
    ["deeply nested", "[".repeat(20_000) + "]".repeat(20_000), "TooComplex"],
    ["nested inside a condition", JSON.stringify({ Statement: [[[[[[[[[]]]]]]]]] }), "TooComplex"],
    ["of very many items", `[${"1,".repeat(20_000)}1]`, "TooComplex"],
  ])("%s is refused", (_, document, code) => {
    expect(refusal(document)).toBe(code);
  });

  test("the message repeats a shortened piece of the document and where it stands", () => {
    const document = JSON.stringify({ Statement: { ...ALLOW, Action: ["kms:*", "x".repeat(5000)] } });
    const compile = (): unknown => compilePolicy(document, { id: "p", kind: "identity", lengthMax: 9000 });
    expect(compile).toThrow(/^Statement\[0\]\.Action\[1\]: "x{80}\.\.\." is not "\*" or service:action$/);
  });
});

describe("a statement", () => {
  test.each([
    [{ ...ALLOW, Effect: undefined }, "MissingElement"],
    [{ ...ALLOW, Effect: "allow" }, "InvalidEffect"],
    [{ ...ALLOW, Action: undefined }, "MissingElement"],
    [{ ...ALLOW, Action: [] }, "MissingElement"],
    [{ ...ALLOW, Action: [1] }, "WrongType"],
    [{ ...ALLOW, NotAction: "kms:*" }, "ForbiddenElement"],
    [{ ...ALLOW, NotResource: "*" }, "ForbiddenElement"],
    [{ ...ALLOW, Resource: undefined }, "MissingElement"],
    [{ ...ALLOW, Effects: "x" }, "UnknownElement"],
    [{ ...ALLOW, Sid: "has space" }, "InvalidSid"],
    [{ ...ALLOW, Sid: 1 }, "WrongType"],
    [{ ...ALLOW, Sid: "" }, "accepted"],
    [{ ...ALLOW, Principal: "*" }, "ForbiddenElement"],
    [{ ...ALLOW, NotPrincipal: "*" }, "ForbiddenElement"],
    [{ ...ALLOW, Condition: [] }, "WrongType"],
    [{ ...ALLOW, Condition: {} }, "accepted"],
  ])("%j: %s", (statement, code) => {
    expect(refusalOf(statement)).toBe(code);
  });

  test("ids are unique in IAM's own policies; resource policies may repeat them and use any text", () => {
    const two = (sid: string, statement: object): object[] => [
      { ...statement, Sid: sid },
      { ...statement, Sid: sid },
    ];
    expect(refusalOf(two("A1", ALLOW))).toBe("DuplicateSid");
    expect(refusalOf(two("Enable IAM policies", WITH_PRINCIPAL), "key")).toBe("accepted");
  });

  test.each<[string, object, PolicyDocumentKind, string]>([
    ["a resource policy needs a principal", ALLOW, "resource", "MissingElement"],
    ["a key policy needs a principal", ALLOW, "key", "MissingElement"],
    ["a key policy needs a resource", { ...WITH_PRINCIPAL, Resource: undefined }, "key", "MissingElement"],
    ["a trust policy has no resource", WITH_PRINCIPAL, "trust", "ForbiddenElement"],
    ["a trust policy without resource", { ...WITH_PRINCIPAL, Resource: undefined }, "trust", "accepted"],
    ["a session policy has no principal", WITH_PRINCIPAL, "session", "ForbiddenElement"],
    ["NotPrincipal denies only", { ...ALLOW, NotPrincipal: "*" }, "resource", "ForbiddenElement"],
    ["NotPrincipal with Deny", { ...ALLOW, Effect: "Deny", NotPrincipal: { AWS: ACCOUNT } }, "resource", "accepted"],
    [
      "not both principals",
      { ...WITH_PRINCIPAL, Effect: "Deny", NotPrincipal: { AWS: ACCOUNT } },
      "resource",
      "ForbiddenElement",
    ],
  ])("%s", (_, statement, kind, code) => {
    expect(refusalOf(statement, kind)).toBe(code);
  });
});

describe("actions and resources", () => {
  test.each(["*", "*:*", "kms:*", "kms:Get*", "KMS:?ecrypt", "iam:Pass_Role-2"])("action %j", (action) => {
    expect(refusalOf({ ...ALLOW, Action: action })).toBe("accepted");
  });
  test.each(["", "kms", "kms:", ":x", "k*:x", "kms:a b", "kms:${aws:username}", "kms:a:b"])(
    "no action: %j",
    (action) => {
      expect(refusalOf({ ...ALLOW, Action: action })).toBe("InvalidAction");
    },
  );
  test.each(["*", "arn:aws:s3:::b", "arn:aws:kms:*", "arn:aws:kms:*:*:key/${aws:PrincipalTag/a, 'b:c'}"])(
    "resource %j",
    (resource) => {
      expect(refusalOf({ ...ALLOW, Resource: resource })).toBe("accepted");
    },
  );
  test.each(["", "key/1", "**", "arn:aws:kms", "arn:${aws:a:b:c:d:e}", "urn:a:b:c:d:e"])(
    "no resource: %j",
    (resource) => {
      expect(refusalOf({ ...ALLOW, Resource: resource })).toBe("InvalidResource");
    },
  );
  test.each(["${aws:username", "${}", "${username}", "${aws:${a:b}}", "${aws:a,b}", "${aws:a,'b}", "${aws:a,'b'c'}"])(
    "no variable: %j",
    (variable) => {
      expect(refusalOf({ ...ALLOW, Resource: `arn:aws:s3:::${variable}` })).toBe("InvalidVariable");
      expect(refusalOf({ ...ALLOW, Condition: { StringLike: { "aws:x": variable } } })).toBe("InvalidVariable");
    },
  );
});

describe("principals", () => {
  const principal = (value: unknown, kind: PolicyDocumentKind = "resource"): string =>
    refusalOf({ ...ALLOW, Principal: value }, kind);

  test.each([
    "*",
    { AWS: "*" },
    { AWS: ACCOUNT },
    { AWS: [`arn:aws:iam::${ACCOUNT}:root`, `arn:aws:iam::${ACCOUNT}:user/ann`] },
    { AWS: `arn:aws:iam::${ACCOUNT}:user/team/a/ann@example.com` },
    { AWS: `arn:aws:iam::${ACCOUNT}:role/service-role/app` },
    { AWS: `arn:aws:sts::${ACCOUNT}:assumed-role/app/session-1` },
    { AWS: `arn:aws:sts::${ACCOUNT}:federated-user/fay` },
    { Service: ["kinesis.amazonaws.com", "logs.eu-central-1.amazonaws.com"] },
    { Federated: "cognito-identity.amazonaws.com", AWS: ACCOUNT },
    { Federated: `arn:aws:iam::${ACCOUNT}:saml-provider/idp` },
    { CanonicalUser: "0123456789abcdef".repeat(4) },
  ])("%j", (value) => {
    expect(principal(value)).toBe("accepted");
  });

  test.each([
    "ann",
    ACCOUNT,
    {},
    { AWS: [] },
    { AWS: "12345" },
    { AWS: `arn:aws:iam::${ACCOUNT}:*` },
    { AWS: `arn:aws:iam::${ACCOUNT}:user/*` },
    { AWS: `arn:aws:iam::${ACCOUNT}:user/a?n` },
    { AWS: `arn:aws:iam::${ACCOUNT}:user/t*m/ann` },
    { AWS: `arn:aws:iam::${ACCOUNT}:user/` },
    { AWS: `arn:aws:iam::${ACCOUNT}:group/admins` },
    { AWS: `arn:aws:iam:eu-central-1:${ACCOUNT}:root` },
    { AWS: `arn:aws:sts::${ACCOUNT}:assumed-role/app` },
    { AWS: `arn:other:iam::${ACCOUNT}:root` },
    { AWS: "arn:aws:iam::*:root" },
    { Service: "*" },
    { Service: "kinesis" },
    { Federated: "*" },
    { CanonicalUser: "x" },
    { Everyone: "*" },
  ])("no principal: %j", (value) => {
    expect(principal(value)).toBe("InvalidPrincipal");
  });

  test("canonical ids are for resource policies, not for keys", () => {
    expect(principal({ CanonicalUser: "0123456789abcdef".repeat(4) }, "key")).toBe("InvalidPrincipal");
  });

  test("parsePolicy tells whom a document names", () => {
    const document = { Statement: { ...ALLOW, Principal: { AWS: [ACCOUNT, `arn:aws:iam::${ACCOUNT}:role/app`] } } };
    const [statement] = parsePolicy(JSON.stringify(document), { kind: "key", lengthMax: 1000 }).statements;
    expect([...(statement?.principals?.set.accounts ?? [])]).toEqual([ACCOUNT]);
    expect([...(statement?.principals?.set.roles ?? [])]).toEqual([`arn:aws:iam::${ACCOUNT}:role/app`]);
  });
});

describe("conditions", () => {
  const condition = (operator: string, key: string, value: unknown, kind?: PolicyDocumentKind): string =>
    refusalOf({ ...(kind === "key" ? WITH_PRINCIPAL : ALLOW), Condition: { [operator]: { [key]: value } } }, kind);

  test.each([
    ["StringEqual", "aws:x", "a"],
    ["stringequals", "aws:x", "a"],
    ["ForSomeValues:StringEquals", "aws:x", "a"],
    ["StringEqualsIfExistsIfExists", "aws:x", "a"],
    ["NullIfExists", "aws:x", "true"],
    ["ForAllValues:Null", "aws:x", "true"],
    ["Null", "aws:x", "yes"],
    ["StringEquals", "x", "a"],
    ["StringEquals", "aws:", "a"],
    ["StringEquals", "aws:a\nb", "a"],
    ["NumericEquals", "aws:x", "1e3"],
    ["NumericEquals", "aws:x", "${aws:y}"],
    ["DateLessThan", "aws:x", "2024-02-30"],
    ["DateLessThan", "aws:x", "2024-05-01T12:00:00"],
    ["DateLessThan", "aws:x", "tomorrow"],
    ["Bool", "aws:x", "yes"],
    ["BinaryEquals", "aws:x", "cmVk="],
    ["IpAddress", "aws:x", "192.0.2.0/33"],
    ["IpAddress", "aws:x", "192.0.2"],
    ["IpAddress", "aws:x", "192.0.2.01"],
    ["IpAddress", "aws:x", "2001:db8::1::2"],
    ["IpAddress", "aws:x", "2001:db8::/129"],
    ["IpAddress", "aws:x", "::ffff:192.0.2.0/90"],
    ["ArnLike", "aws:x", "arn:aws:iam"],
  ])("%s on %j with %j is refused", (operator, key, value) => {
    expect(condition(operator, key, value)).toBe("InvalidCondition");
  });

  test.each([
    ["StringEquals", 12],
    ["StringEquals", true],
    ["StringEquals", []],
    ["ForAnyValue:StringLikeIfExists", ["a", "b"]],
    ["NumericLessThan", 12.5],
    ["DateLessThan", 1_714_521_600],
    ["Bool", true],
    ["Null", false],
  ])("%s takes %j", (operator, value) => {
    expect(condition(operator, "aws:x", value)).toBe("accepted");
  });

  test("a value is no object and not null", () => {
    expect(condition("StringEquals", "aws:x", null)).toBe("WrongType");
    expect(condition("StringEquals", "aws:x", [{}])).toBe("WrongType");
  });

  test("one key in two spellings is one key twice", () => {
    const both = { StringEquals: { "aws:SourceIp": "a", "AWS:sourceip": "b" } };
    expect(refusalOf({ ...ALLOW, Condition: both })).toBe("DuplicateKey");
  });

  test("a key policy may not ask ForAllValues about a key that a caller can leave out", () => {
    expect(condition("ForAllValues:StringEquals", "kms:EncryptionContext:a", "b", "key")).toBe(
      "OverlyPermissiveCondition",
    );
    expect(condition("ForAllValues:StringEquals", "kms:EncryptionContextKeys", "b", "key")).toBe("accepted");
  });
});
