import { describe, expect, test } from "vitest";
import { movableClock } from "../base/clock.ts";
import { ServiceError } from "../base/errors.ts";
import type { WireRequest } from "../protocol/wire.ts";
import { createAuthenticator, type ExpectedSignature } from "./authenticator.ts";
import { authorizationOf } from "./testing/fixture.ts";
import { mutations } from "./testing/mutations.ts";
import { fixedCredentials, signedRequest, TEST_KEY, type TestKey } from "./testing/signer.ts";
import {
  OBJECT_PATH_SUITE,
  SIGNING_SUITE,
  SUITE_HOST,
  SUITE_TIME_MS,
  type SuiteCase,
} from "./testing/signing-suite.ts";

const SERVICE: ExpectedSignature = { signingName: "service", protocol: "awsJson1.1" };
const clock = movableClock(undefined, SUITE_TIME_MS);
const OTHER_SESSION: TestKey = { accessKeyId: "ASIAOTHER", secret: "other", sessionToken: "token-of-another-session" };

/** The suite uses one access key with and without session tokens: one authenticator for each. */
const authenticatorFor = (key: TestKey): ReturnType<typeof createAuthenticator> =>
  createAuthenticator({
    credentials: fixedCredentials([key, { accessKeyId: "AKIDOTHER", secret: "somebody else's" }, OTHER_SESSION]),
    signatureClock: clock,
    regions: ["us-east-1", "eu-central-1"],
  });

const keyOf = ({ sessionToken }: SuiteCase): TestKey =>
  sessionToken === undefined ? TEST_KEY : { ...TEST_KEY, sessionToken };

async function signed(
  suiteCase: SuiteCase,
  { presign = false, applyChecksum = true }: { readonly presign?: boolean; readonly applyChecksum?: boolean } = {},
): Promise<WireRequest> {
  const { body } = suiteCase;
  const headers = { host: SUITE_HOST, ...suiteCase.headers };
  const request = await signedRequest(
    { ...suiteCase, headers, ...(body === undefined ? {} : { body }) },
    { service: "service", clock, key: keyOf(suiteCase), applyChecksum, ...(presign ? { presignSeconds: 3600 } : {}) },
  );
  const { lines } = suiteCase;
  if (lines === undefined) return request;
  return { ...request, headers: [...lines, ...request.headers.filter(([name]) => name !== lines[0]?.[0])] };
}

/** What a changed request may be refused with; anything else is an accident. */
const REFUSALS = new Set([
  "InvalidSignatureException",
  "IncompleteSignatureException",
  "UnrecognizedClientException",
  "MissingAuthenticationTokenException",
]);

async function accepted(request: WireRequest, by: ReturnType<typeof createAuthenticator>): Promise<boolean> {
  try {
    await by.authenticate(request, SERVICE);
    return true;
  } catch (error) {
    if (error instanceof ServiceError && REFUSALS.has(error.code)) return false;
    throw error;
  }
}

describe.each(SIGNING_SUITE)("$name", (suiteCase) => {
  const authenticator = authenticatorFor(keyOf(suiteCase));

  test("has the signature that the suite publishes", async () => {
    const request = await signed(suiteCase, { applyChecksum: false });
    const authorization = request.headers.find(([name]) => name === "authorization")?.[1] ?? "";
    if (suiteCase.published !== undefined) expect(authorization).toContain(`Signature=${suiteCase.published}`);
    expect(await accepted(request, authenticator)).toBe(true);
  });

  test.each([
    ["in the header", false],
    ["presigned", true],
  ])("signed %s is accepted; with any single field changed, refused", async (_name, presign) => {
    const request = await signed(suiteCase, { presign });
    expect(await accepted(request, authenticator)).toBe(true);
    const letIn: string[] = [];
    let count = 0;
    for (const { field, request: changed } of mutations(request)) {
      count += 1;
      if (await accepted(changed, authenticator)) letIn.push(field);
    }
    expect(letIn).toEqual([]);
    expect(count).toBeGreaterThan(200);
  });

  test("is refused with the token of another session, or with one too many", async () => {
    for (const presign of [false, true]) {
      const request = await signed(suiteCase, { presign });
      const token = OTHER_SESSION.sessionToken ?? "";
      const own = request.headers.filter(([name]) => name.toLowerCase() !== "x-amz-security-token");
      const inHeader = { ...request, headers: [...own, ["X-Amz-Security-Token", token] as const] };
      expect(await accepted(inHeader, authenticator)).toBe(false);
      const target = request.target.replace(/[?&]X-Amz-Security-Token=[^&]*/, "");
      const inQuery = `${target}${target.includes("?") ? "&" : "?"}X-Amz-Security-Token=${token}`;
      expect(await accepted({ ...request, target: inQuery }, authenticator)).toBe(false);
    }
  });
});

describe.each(OBJECT_PATH_SUITE)("$name", ({ path = "/", published }) => {
  const authenticator = authenticatorFor(TEST_KEY);
  const OBJECTS: ExpectedSignature = { ...SERVICE, pathForm: "object" };
  const signedForObjects = async (): Promise<WireRequest> =>
    signedRequest(
      { method: "GET", path, headers: { host: SUITE_HOST } },
      { service: "service", clock, applyChecksum: false, uriEscapePath: false },
    );
  const isAccepted = async (request: WireRequest): Promise<boolean> =>
    authenticator.authenticate(request, OBJECTS).then(
      () => true,
      () => false,
    );

  test("is accepted with the published signature, and with no other path or field", async () => {
    const request = await signedForObjects();
    if (published !== undefined) expect(authorizationOf(request)).toContain(`Signature=${published}`);
    expect(await isAccepted(request)).toBe(true);
    for (const { field, request: changed } of mutations(request, (a, b) => a === b))
      expect(await isAccepted(changed), field).toBe(false);
    for (const target of [`/${path}`, `${path}/`, `/.${path}`, `${path}/..`, `${path}%`, `${path}%2`, `${path}+`])
      expect(await isAccepted({ ...request, target }), target).toBe(false);
  });
});

test("a path may be written in every way that names the same resource, and in no other", async () => {
  const authenticator = authenticatorFor(TEST_KEY);
  const request = await signedRequest(
    { method: "GET", path: "/a/b", headers: { host: SUITE_HOST } },
    { service: "service", clock },
  );
  for (const target of ["//a/b", "/a//b", "/./a/./b", "/c/../a/b", "/../a/b", "/a/b/c/..", "/a/b?"])
    expect(await accepted({ ...request, target }, authenticator), target).toBe(true);
  for (const target of ["/a%2Fb", "/a/b/", "/%61/b", "/a/%2E/b", "/a/b/...", "/A/b", "/a\\b", "/a/b?c", "/a/b#c"])
    expect(await accepted({ ...request, target }, authenticator), target).toBe(false);
});

test("UTF-8 that was not percent-encoded in the query counts as if it had been", async () => {
  const authenticator = authenticatorFor(TEST_KEY);
  const utf8Query = SIGNING_SUITE.find(({ name }) => name === "get-vanilla-utf8-query");
  const request = await signed(utf8Query ?? { name: "absent" });
  expect(request.target).toBe("/?%E1%88%B4=bar");
  expect(await accepted({ ...request, target: "/?\u00e1\u0088\u00b4=bar" }, authenticator)).toBe(true);
});
