import { describe, expect, test } from "vitest";
import { allowsPrincipal, decide } from "./decide.ts";
import { ACCOUNT, ANN, KEY_ARN, policyOf, requestOf } from "./testing/requests.ts";
import type { AuthorizationPrincipal, AuthorizationRequest } from "./types.ts";

const OTHER = "444455556666";
const ROLE_ARN = `arn:aws:iam::${ACCOUNT}:role/team/app`;
const SESSION: AuthorizationPrincipal = {
  type: "AssumedRole",
  arn: `arn:aws:sts::${ACCOUNT}:assumed-role/app/s1`,
  accountId: ACCOUNT,
  userId: "AROA:s1",
  roleArn: ROLE_ARN,
};
const FEDERATED: AuthorizationPrincipal = {
  type: "FederatedUser",
  arn: `arn:aws:sts::${ACCOUNT}:federated-user/fay`,
  accountId: ACCOUNT,
  userId: `${ACCOUNT}:fay`,
};
const ROOT: AuthorizationPrincipal = {
  type: "Root",
  arn: `arn:aws:iam::${ACCOUNT}:root`,
  accountId: ACCOUNT,
  userId: ACCOUNT,
};
const SERVICE: AuthorizationPrincipal = {
  type: "Service",
  arn: "events.amazonaws.com",
  accountId: "",
  userId: "events.amazonaws.com",
};

const allowAll = policyOf("identity", [{}]);
const allowOther = policyOf("identity", [{ Action: "s3:*" }]);
const denyAll = policyOf("identity", [{ Effect: "Deny" }]);
const resourcePolicy = (
  principal: unknown,
  more: Readonly<Record<string, unknown>> = {},
): AuthorizationRequest["resourcePolicy"] => policyOf("resource", [{ Principal: principal, ...more }]);

/** `allow identity`, `explicit resource`, `implicit boundary`, ... */
function outcome(changes: Partial<AuthorizationRequest>): string {
  const { allowed, reason, kind } = decide(requestOf(changes));
  expect(allowed).toBe(reason === "allow");
  return `${reason} ${kind}`;
}

describe("identity policies", () => {
  test("nothing is allowed by default", () => {
    expect(outcome({})).toBe("implicit identity");
    expect(outcome({ identityPolicies: [allowOther] })).toBe("implicit identity");
  });

  test("one of several policies suffices; the decision names the statement", () => {
    const policy = policyOf("identity", [{ Action: "s3:*" }, { Sid: "Use", Action: "kms:decrypt", Resource: KEY_ARN }]);
    expect(decide(requestOf({ identityPolicies: [allowOther, policy] }))).toEqual({
      allowed: true,
      reason: "allow",
      kind: "identity",
      statement: { policyId: "identity", sid: "Use", index: 1 },
    });
  });

  test("actions match without regard to case, resources with; wildcards span slashes and colons", () => {
    const can = (statement: Readonly<Record<string, unknown>>): string =>
      outcome({ identityPolicies: [policyOf("identity", [statement])] });
    expect(can({ Action: "KMS:DECRYPT" })).toBe("allow identity");
    expect(can({ Action: "kms:De*t" })).toBe("allow identity");
    expect(can({ NotAction: "kms:*" })).toBe("implicit identity");
    expect(can({ NotAction: ["s3:*", "iam:*"] })).toBe("allow identity");
    expect(can({ Resource: KEY_ARN.toUpperCase().replace("ARN:", "arn:") })).toBe("implicit identity");
    expect(can({ Resource: "arn:aws:kms:*1234abcd" })).toBe("allow identity");
    expect(can({ Resource: `arn:aws:kms:*:${ACCOUNT}:k?y/*` })).toBe("allow identity");
    expect(can({ NotResource: "arn:aws:s3:::*" })).toBe("allow identity");
    expect(can({ NotResource: ["arn:aws:s3:::*", KEY_ARN] })).toBe("implicit identity");
  });

  test("a variable in a resource; without a value it matches nothing, in NotResource either", () => {
    const resource = "arn:aws:kms:eu-central-1:111122223333:key/${k:id}";
    const can = (name: string, id?: string): string =>
      outcome({
        identityPolicies: [policyOf("identity", [{ [name]: [resource] }])],
        context: new Map(id === undefined ? [] : [["k:id", id]]),
      });
    expect(can("Resource", "1234abcd")).toBe("allow identity");
    expect(can("Resource", "x")).toBe("implicit identity");
    expect(can("Resource", "*")).toBe("implicit identity");
    expect(can("Resource")).toBe("implicit identity");
    expect(can("NotResource", "x")).toBe("allow identity");
    expect(can("NotResource")).toBe("implicit identity");
  });
});

describe("an explicit deny wins wherever it stands", () => {
  const allowed: Partial<AuthorizationRequest> = {
    identityPolicies: [allowAll],
    resourcePolicy: resourcePolicy({ AWS: ANN.arn }),
  };
  test.each<[string, Partial<AuthorizationRequest>]>([
    ["identity", { identityPolicies: [allowAll, denyAll] }],
    ["boundary", { boundary: policyOf("boundary", [{}, { Effect: "Deny" }]) }],
    ["session", { sessionPolicies: [allowAll, denyAll] }],
    ["service control", { serviceControlPolicies: [[allowAll], [allowAll, denyAll]] }],
    ["resource", { resourcePolicy: policyOf("resource", [{ Principal: "*" }, { Principal: "*", Effect: "Deny" }]) }],
  ])("in %s policies", (kind, changes) => {
    expect(outcome(allowed)).toBe("allow resource");
    expect(outcome({ ...allowed, ...changes })).toBe(`explicit ${kind}`);
  });

  test("and it binds root: in the resource's policy and in service control policies", () => {
    const deny = resourcePolicy({ AWS: ACCOUNT }, { Effect: "Deny" });
    expect(outcome({ principal: ROOT, resourcePolicy: deny })).toBe("explicit resource");
    expect(outcome({ principal: ROOT, serviceControlPolicies: [[allowAll, denyAll]] })).toBe(
      "explicit service control",
    );
  });

  test("a Deny that names the account or the role meets its users and sessions", () => {
    const denied = (principal: AuthorizationPrincipal, name: string): string =>
      outcome({
        principal,
        identityPolicies: [allowAll],
        resourcePolicy: resourcePolicy({ AWS: name }, { Effect: "Deny" }),
      });
    expect(denied(ANN, `arn:aws:iam::${ACCOUNT}:root`)).toBe("explicit resource");
    expect(denied(SESSION, ROLE_ARN)).toBe("explicit resource");
    expect(denied(ANN, ROLE_ARN)).toBe("allow identity");
  });

  test("its conditions must hold", () => {
    const noMfa = { BoolIfExists: { "aws:MultiFactorAuthPresent": "false" } };
    const guard = policyOf("identity", [{ Effect: "Deny", Condition: noMfa }]);
    const withMfa = new Map([["aws:multifactorauthpresent", "true"]]);
    expect(outcome({ identityPolicies: [allowAll, guard] })).toBe("explicit identity");
    expect(outcome({ identityPolicies: [allowAll, guard], context: withMfa })).toBe("allow identity");
  });
});

describe("service control policies", () => {
  test("every level must allow; root is bound, too", () => {
    const levels = (...levelPolicies: AuthorizationRequest["serviceControlPolicies"][number][]): string =>
      outcome({ principal: ROOT, serviceControlPolicies: levelPolicies });
    expect(levels([allowAll], [allowOther, allowAll])).toBe("allow identity");
    expect(levels([allowAll], [allowOther])).toBe("implicit service control");
    expect(levels([], [allowAll])).toBe("implicit service control");
  });
  test("they come before a grant of the resource", () => {
    const changes = { resourcePolicy: resourcePolicy({ AWS: ANN.arn }), serviceControlPolicies: [[allowOther]] };
    expect(outcome(changes)).toBe("implicit service control");
  });
});

describe("boundary and session policies", () => {
  test("limit what identity policies allow", () => {
    expect(outcome({ identityPolicies: [allowAll], boundary: allowOther })).toBe("implicit boundary");
    expect(outcome({ identityPolicies: [allowAll], boundary: allowAll })).toBe("allow identity");
    expect(outcome({ identityPolicies: [allowAll], sessionPolicies: [allowOther] })).toBe("implicit session");
    expect(outcome({ boundary: allowAll, sessionPolicies: [allowAll] })).toBe("implicit identity");
  });
  test("one of several session policies suffices; an empty list allows nothing", () => {
    expect(outcome({ identityPolicies: [allowAll], sessionPolicies: [allowOther, allowAll] })).toBe("allow identity");
    expect(outcome({ identityPolicies: [allowAll], sessionPolicies: [] })).toBe("implicit session");
  });
  test("a boundary does not limit root, a session's policy does", () => {
    expect(outcome({ principal: ROOT, boundary: allowOther })).toBe("allow identity");
    expect(outcome({ principal: ROOT, sessionPolicies: [allowOther] })).toBe("implicit session");
  });
});

describe("a resource's policy in the caller's own account", () => {
  const limits = { boundary: allowOther, sessionPolicies: [allowOther] };

  test.each<[string, AuthorizationPrincipal, unknown]>([
    ["the user", ANN, { AWS: ANN.arn }],
    ["the role session", SESSION, { AWS: SESSION.arn }],
    ["the federated user", FEDERATED, { AWS: FEDERATED.arn }],
    ["everyone", ANN, "*"],
    ["everyone, for a session", SESSION, { AWS: "*" }],
  ])("a grant to %s stands by itself, past boundary and session policies", (_, principal, name) => {
    expect(outcome({ principal, resourcePolicy: resourcePolicy(name), ...limits })).toBe("allow resource");
  });

  test("a grant to the role needs no identity policy but stays within boundary and session policies", () => {
    const request = { principal: SESSION, resourcePolicy: resourcePolicy({ AWS: ROLE_ARN }) };
    expect(outcome(request)).toBe("allow resource");
    expect(outcome({ ...request, boundary: allowOther })).toBe("implicit boundary");
    expect(outcome({ ...request, sessionPolicies: [allowOther] })).toBe("implicit session");
  });

  test("a grant to the account only delegates", () => {
    for (const name of [ACCOUNT, `arn:aws:iam::${ACCOUNT}:root`]) {
      const request = { resourcePolicy: resourcePolicy({ AWS: name }) };
      expect(outcome(request)).toBe("implicit identity");
      expect(outcome({ ...request, identityPolicies: [allowAll] })).toBe("allow identity");
    }
  });

  test("a weaker statement does not hide a stronger one", () => {
    const policy = policyOf("resource", [
      { Principal: { AWS: ACCOUNT } },
      { Principal: { AWS: ROLE_ARN } },
      { Principal: { AWS: SESSION.arn }, Sid: "me" },
    ]);
    const decision = decide(requestOf({ principal: SESSION, resourcePolicy: policy, ...limits }));
    expect(decision).toMatchObject({ allowed: true, statement: { sid: "me", index: 2 } });
  });

  test("another session, another role, another user is not meant", () => {
    const named = resourcePolicy({ AWS: [`${SESSION.arn}x`, `${ROLE_ARN}x`, `${ANN.arn}x`] });
    expect(outcome({ principal: SESSION, resourcePolicy: named })).toBe("implicit identity");
    expect(outcome({ resourcePolicy: named })).toBe("implicit identity");
  });

  test("root of the account may do everything", () => {
    expect(outcome({ principal: ROOT })).toBe("allow identity");
    expect(decide(requestOf({ principal: ROOT })).statement).toBeNull();
  });
});

describe("a resource whose policy is required (a key, a role's trust policy)", () => {
  const required = (principal: unknown, changes: Partial<AuthorizationRequest> = {}, more = {}): string =>
    outcome({ resourcePolicyMode: "required", resourcePolicy: resourcePolicy(principal, more), ...changes });
  const administrator = { identityPolicies: [allowAll] };

  test("without a policy nobody has access, root neither", () => {
    expect(outcome({ resourcePolicyMode: "required", ...administrator })).toBe("implicit resource");
    expect(outcome({ resourcePolicyMode: "required", principal: ROOT })).toBe("implicit resource");
  });

  test("identity policies count only if the policy delegates to the account", () => {
    expect(required({ AWS: `arn:aws:iam::${ACCOUNT}:user/bob` }, administrator)).toBe("implicit resource");
    expect(required({ AWS: ACCOUNT }, administrator)).toBe("allow identity");
    expect(required({ AWS: ACCOUNT })).toBe("implicit identity");
    expect(required({ AWS: OTHER }, administrator)).toBe("implicit resource");
  });

  test("what is delegated is what the delegating statement says: its actions, resources and conditions", () => {
    const describeOnly = { Action: "kms:Describe*" };
    expect(required({ AWS: ACCOUNT }, administrator, describeOnly)).toBe("implicit resource");
    expect(required({ AWS: ACCOUNT }, { ...administrator, action: "kms:DescribeKey" }, describeOnly)).toBe(
      "allow identity",
    );
    expect(required({ AWS: ACCOUNT }, administrator, { Resource: "arn:aws:kms:*:*:key/x" })).toBe("implicit resource");
    const viaKinesis = { Condition: { StringEquals: { "kms:ViaService": "kinesis.eu-central-1.amazonaws.com" } } };
    expect(required({ AWS: ACCOUNT }, administrator, viaKinesis)).toBe("implicit resource");
    const context = new Map([["kms:viaservice", "kinesis.eu-central-1.amazonaws.com"]]);
    expect(required({ AWS: ACCOUNT }, { ...administrator, context }, viaKinesis)).toBe("allow identity");
  });

  test("an identity policy's deny bites although the key policy grants", () => {
    expect(required({ AWS: ANN.arn }, { identityPolicies: [denyAll] })).toBe("explicit identity");
  });

  test("root has access if the policy names the account", () => {
    expect(required({ AWS: ACCOUNT }, { principal: ROOT })).toBe("allow identity");
    expect(required({ AWS: ANN.arn }, { principal: ROOT })).toBe("implicit resource");
  });

  test("a delegation within boundary and session policies", () => {
    expect(required({ AWS: ACCOUNT }, { ...administrator, boundary: allowOther })).toBe("implicit boundary");
    expect(required({ AWS: ROLE_ARN }, { principal: SESSION, sessionPolicies: [allowOther] })).toBe("implicit session");
  });

  test("a trust policy has no resource element", () => {
    const trust = policyOf("trust", [{ Action: "sts:AssumeRole", Principal: { AWS: ANN.arn } }]);
    const changes = { action: "sts:AssumeRole", resource: ROLE_ARN, resourcePolicy: trust };
    expect(outcome({ ...changes, resourcePolicyMode: "required" })).toBe("allow resource");
  });
});

describe("across accounts", () => {
  const theirs = { resourceAccountId: OTHER };
  test("both sides must allow", () => {
    for (const name of [ANN.arn, ACCOUNT, "*"]) {
      const resource = resourcePolicy({ AWS: name });
      expect(outcome({ ...theirs, resourcePolicy: resource })).toBe("implicit identity");
      expect(outcome({ ...theirs, resourcePolicy: resource, identityPolicies: [allowAll] })).toBe("allow identity");
    }
    expect(outcome({ ...theirs, identityPolicies: [allowAll] })).toBe("implicit resource");
    const ownAccountOnly = resourcePolicy({ AWS: OTHER });
    expect(outcome({ ...theirs, resourcePolicy: ownAccountOnly, identityPolicies: [allowAll] })).toBe(
      "implicit resource",
    );
  });
  test("boundary and session policies limit the caller's side even if the resource names the caller", () => {
    const request = { ...theirs, resourcePolicy: resourcePolicy({ AWS: ANN.arn }), identityPolicies: [allowAll] };
    expect(outcome({ ...request, boundary: allowOther })).toBe("implicit boundary");
    expect(outcome({ ...request, sessionPolicies: [allowOther] })).toBe("implicit session");
  });
  test("root needs the other side only", () => {
    expect(outcome({ ...theirs, principal: ROOT })).toBe("implicit resource");
    expect(outcome({ ...theirs, principal: ROOT, resourcePolicy: resourcePolicy({ AWS: ACCOUNT }) })).toBe(
      "allow identity",
    );
  });
});

describe("services", () => {
  test("may do what the resource's policy grants to their name or to everyone", () => {
    const can = (principal: unknown): string =>
      outcome({ principal: SERVICE, resourcePolicy: resourcePolicy(principal) });
    expect(can({ Service: "events.amazonaws.com" })).toBe("allow resource");
    expect(can("*")).toBe("allow resource");
    expect(can({ Service: "logs.amazonaws.com" })).toBe("implicit resource");
    expect(can({ AWS: ACCOUNT })).toBe("implicit resource");
    expect(outcome({ principal: SERVICE })).toBe("implicit resource");
  });
  test("a user is not a service of the same name", () => {
    const principal = { ...ANN, arn: "events.amazonaws.com" };
    expect(outcome({ principal, resourcePolicy: resourcePolicy({ Service: "events.amazonaws.com" }) })).toBe(
      "implicit identity",
    );
  });
});

describe("NotPrincipal with Deny", () => {
  const denies = (
    names: unknown,
    principal: AuthorizationPrincipal,
    changes: Partial<AuthorizationRequest> = {},
  ): boolean => {
    const resource = policyOf("resource", [{ Effect: "Deny", NotPrincipal: names }]);
    return (
      outcome({ principal, identityPolicies: [allowAll], resourcePolicy: resource, ...changes }) === "explicit resource"
    );
  };
  test("spares who is listed together with its account, a session also with its role", () => {
    expect(denies({ AWS: [ANN.arn, ACCOUNT] }, ANN)).toBe(false);
    expect(denies({ AWS: [SESSION.arn, ROLE_ARN, ACCOUNT] }, SESSION)).toBe(false);
    expect(denies({ AWS: ACCOUNT }, ROOT)).toBe(false);
    expect(denies("*", ANN)).toBe(false);
    expect(denies({ Service: "events.amazonaws.com" }, SERVICE)).toBe(false);
  });
  test("denies everybody else", () => {
    expect(denies({ AWS: ANN.arn }, ANN)).toBe(true);
    expect(denies({ AWS: ACCOUNT }, ANN)).toBe(true);
    expect(denies({ AWS: [SESSION.arn, ACCOUNT] }, SESSION)).toBe(true);
    expect(denies({ AWS: [ROLE_ARN, ACCOUNT] }, SESSION)).toBe(true);
    expect(denies({ Service: "logs.amazonaws.com" }, SERVICE)).toBe(true);
  });
  test("denies whoever has a permissions boundary", () => {
    expect(denies({ AWS: [ANN.arn, ACCOUNT] }, ANN, { boundary: allowAll })).toBe(true);
  });
});

describe("allowsPrincipal, the lock-out check of a new key policy", () => {
  const put = requestOf({ action: "kms:PutKeyPolicy" });
  const keeps = (statements: readonly object[], request = put): boolean =>
    allowsPrincipal(policyOf("key", statements as Readonly<Record<string, unknown>>[]), request);

  test("a grant to the author or a delegation to its account keeps the door open", () => {
    expect(keeps([{ Principal: { AWS: ANN.arn }, Action: "kms:Put*" }])).toBe(true);
    expect(keeps([{ Principal: { AWS: ACCOUNT }, Action: "kms:*" }])).toBe(true);
    expect(keeps([{ Principal: "*" }])).toBe(true);
  });
  test("others, other actions, and a deny do not", () => {
    expect(keeps([{ Principal: { AWS: OTHER } }])).toBe(false);
    expect(keeps([{ Principal: { AWS: ANN.arn }, Action: "kms:Decrypt" }])).toBe(false);
    expect(keeps([{ Principal: { AWS: ACCOUNT } }, { Effect: "Deny", Principal: { AWS: ANN.arn } }])).toBe(false);
  });
  test("what the author's own policies say is not asked", () => {
    const request = { ...put, identityPolicies: [denyAll], resourcePolicy: null };
    expect(keeps([{ Principal: { AWS: ACCOUNT } }], request)).toBe(true);
  });
});
