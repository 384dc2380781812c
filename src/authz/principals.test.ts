import { describe, expect, test } from "vitest";
import { compilePolicy } from "./compile.ts";
import type { AuthorizationPrincipal, AuthorizationRequest, CompiledPolicy, PrincipalMatch } from "./types.ts";

const ACCOUNT = "111122223333";
const USER = `arn:aws:iam::${ACCOUNT}:user/ann`;
const ROLE = `arn:aws:iam::${ACCOUNT}:role/app`;
const SESSION = `arn:aws:sts::${ACCOUNT}:assumed-role/app/s`;
const FEDERATED = `arn:aws:sts::${ACCOUNT}:federated-user/ann`;
const IDS = { [USER]: "AIDA1", [ROLE]: "AROA1", [SESSION]: "AROA1:s" };

const compile = (element: object, ids?: Record<string, string>): CompiledPolicy =>
  compilePolicy(
    JSON.stringify({ Version: "2012-10-17", Statement: { Effect: "Deny", Action: "*", Resource: "*", ...element } }),
    { id: "p", kind: "resource", lengthMax: 10_000 },
    ids,
  );
const match = (policy: CompiledPolicy, principal: AuthorizationPrincipal): PrincipalMatch | undefined =>
  policy.statements[0]?.matchesPrincipal({ principal, boundary: null } as AuthorizationRequest);

const user = (userId: string, arn = USER): AuthorizationPrincipal => ({
  type: "User",
  arn,
  accountId: ACCOUNT,
  userId,
});
const session = (roleId: string): AuthorizationPrincipal => ({
  type: "AssumedRole",
  arn: SESSION,
  accountId: ACCOUNT,
  userId: `${roleId}:s`,
  roleArn: ROLE,
  roleId,
});

describe("a principal that was bound to its unique id", () => {
  test.each<[string, object, AuthorizationPrincipal, AuthorizationPrincipal]>([
    ["a user", { Principal: { AWS: USER } }, user("AIDA1"), user("AIDA2")],
    ["a session", { Principal: { AWS: SESSION } }, session("AROA1"), session("AROA2")],
    ["a role", { Principal: { AWS: ROLE } }, session("AROA1"), session("AROA2")],
  ])("%s is meant itself, and not another one under its name", (_what, element, meant, namesake) => {
    const bound = compile(element, IDS);
    expect(match(bound, meant)).not.toBe("none");
    expect(match(bound, namesake)).toBe("none");
    // What older builds stored has no ids: whoever has the name is meant.
    expect(match(compile(element), namesake)).not.toBe("none");
  });

  test("keeps its rights under another name", () => {
    expect(match(compile({ Principal: { AWS: USER } }, IDS), user("AIDA1", `${USER}a`))).toBe("exact");
  });

  test("is the one whom NotPrincipal exempts", () => {
    const others = compile({ NotPrincipal: { AWS: [USER, ROLE, SESSION, ACCOUNT] } }, IDS);
    expect(match(others, user("AIDA1"))).toBe("none");
    expect(match(others, user("AIDA2"))).toBe("everyone");
    expect(match(others, session("AROA1"))).toBe("none");
    expect(match(others, session("AROA2"))).toBe("everyone");
  });

  test("is matched as the kind of principal it is: how strongly does not change", () => {
    const both = compile({ Principal: { AWS: [ROLE, ACCOUNT] } }, IDS);
    expect(match(both, session("AROA1"))).toBe("role");
    expect(match(both, session("AROA2"))).toBe("account");
  });

  test("is not whoever else has the id for a user id", () => {
    const policy = compile({ Principal: { AWS: USER } }, IDS);
    for (const type of ["Root", "FederatedUser", "WebIdentity", "Service"] as const)
      expect(match(policy, { type, arn: "x", accountId: "", userId: "AIDA1" })).toBe("none");
  });
});

test("federated users go by their ARN, beside bound principals", () => {
  const policy = compile({ Principal: { AWS: [USER, FEDERATED] } }, IDS);
  const federated = { type: "FederatedUser", arn: FEDERATED, accountId: ACCOUNT, userId: `${ACCOUNT}:ann` } as const;
  expect(match(policy, federated)).toBe("exact");
});

test("a policy tells whom it names, each once: accounts by id, and no services", () => {
  const principals = { AWS: [USER, ROLE, `arn:aws:iam::${ACCOUNT}:root`], Service: "events.amazonaws.com" };
  expect(compile({ Principal: principals }).principals).toEqual([ACCOUNT, USER, ROLE]);
  expect(compile({ Principal: "*" }).principals).toEqual([]);
  expect(compile({ NotPrincipal: { AWS: USER } }).principals).toEqual([USER]);
});
