import { expect, test } from "vitest";
import { ServiceError } from "../base/errors.ts";
import type { Principal } from "./contract.ts";
import { refuseClosedToSession } from "./temporary-sessions.ts";

const session = { issuerArn: "a", issuerId: "i", name: "n", issuedAtMs: 0, mfa: false, tags: {} };
const of = (type: Principal["type"], more: Partial<Principal> = { session }): Principal => ({
  type,
  arn: "a",
  accountId: "111122223333",
  userId: "i",
  ...more,
});

function codeOf(principal: Principal, service: string, operation: string): string {
  try {
    refuseClosedToSession(principal, service, operation);
    return "open";
  } catch (error) {
    return error instanceof ServiceError ? error.code : String(error);
  }
}

test("what is closed to a user's or root's own temporary credentials, and to federated users", () => {
  for (const type of ["User", "Root"] as const) {
    expect(codeOf(of(type), "iam", "ListUsers")).toBe("InvalidClientTokenId");
    expect(codeOf(of(type), "sts", "AssumeRole")).toBe("open");
    expect(codeOf(of(type), "sts", "GetCallerIdentity")).toBe("open");
    expect(codeOf(of(type), "sts", "GetAccessKeyInfo")).toBe("AccessDenied");
    expect(codeOf(of(type), "sts", "GetSessionToken")).toBe("AccessDenied");
    expect(codeOf(of(type), "kms", "Encrypt")).toBe("open");
    expect(codeOf(of(type, { session: { ...session, mfa: true } }), "iam", "ListUsers")).toBe("open");
    expect(codeOf(of(type, {}), "iam", "ListUsers")).toBe("open");
  }
  expect(codeOf(of("FederatedUser", { session: { ...session, mfa: true } }), "iam", "ListUsers")).toBe(
    "InvalidClientTokenId",
  );
  expect(codeOf(of("FederatedUser"), "sts", "AssumeRole")).toBe("AccessDenied");
  expect(codeOf(of("FederatedUser"), "sts", "GetCallerIdentity")).toBe("open");
});

test("sessions of roles are limited by policies alone", () => {
  for (const service of ["iam", "sts", "kms"]) expect(codeOf(of("AssumedRole"), service, "Any")).toBe("open");
});
