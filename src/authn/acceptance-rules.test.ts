import { describe, expect, test } from "vitest";
import type { WireRequest } from "../protocol/wire.ts";
import { createAuthenticator } from "./authenticator.ts";
import { authenticatorFixture, authorizationOf, IAM, JSON_CALL, KMS, withHeader } from "./testing/fixture.ts";
import { fixedCredentials, signedRequest, TEST_KEY, TEST_REGION } from "./testing/signer.ts";

const { authenticator, clock, refusal } = authenticatorFixture();

describe("time", () => {
  const at = (offsetMs: number): { wallMs: () => number } => ({ wallMs: () => clock.wallMs() + offsetMs });

  test("a signature is good for 5 minutes either way, to the second", async () => {
    for (const offsetMs of [-300_000, 300_000]) {
      await expect(
        authenticator.authenticate(await signedRequest(JSON_CALL, { service: "kms", clock: at(offsetMs) }), KMS),
      ).resolves.toBeDefined();
    }
    expect((await refusal(await signedRequest(JSON_CALL, { service: "kms", clock: at(-301_000) }))).message).toBe(
      "Signature expired: 20231114T220819Z is now earlier than 20231114T220820Z (20231114T221320Z - 5 min.)",
    );
    expect((await refusal(await signedRequest(JSON_CALL, { service: "kms", clock: at(301_000) }))).message).toBe(
      "Signature not yet current: 20231114T221821Z is still later than 20231114T221820Z (20231114T221320Z + 5 min.)",
    );
  });

  test("a service may allow more", async () => {
    const request = await signedRequest(JSON_CALL, { service: "kms", clock: at(-800_000) });
    await expect(authenticator.authenticate(request, { ...KMS, clockSkewMs: 900_000 })).resolves.toBeDefined();
    expect((await refusal(request)).code).toBe("InvalidSignatureException");
  });

  test("a presigned request is good for as long as it says", async () => {
    const presigned = await signedRequest(
      { method: "GET" },
      { service: "iam", clock: at(-3_599_000), presignSeconds: 3600 },
    );
    await expect(authenticator.authenticate(presigned, IAM)).resolves.toBeDefined();
    const late = await signedRequest(
      { method: "GET" },
      { service: "iam", clock: at(-3_601_000), presignSeconds: 3600 },
    );
    expect(await refusal(late, IAM)).toMatchObject({
      code: "SignatureDoesNotMatch",
      message: expect.stringContaining("Signature expired"),
    });
    const early = await signedRequest({ method: "GET" }, { service: "iam", clock: at(301_000), presignSeconds: 3600 });
    expect((await refusal(early, IAM)).message).toContain("Signature not yet current");
  });

  test.each(["0", "604801", "-1", "1e3", "", "99999999999"])("X-Amz-Expires=%s is refused", async (expires) => {
    const request = await signedRequest({ method: "GET" }, { service: "iam", clock, presignSeconds: 60 });
    const changed = { ...request, target: request.target.replace("X-Amz-Expires=60", `X-Amz-Expires=${expires}`) };
    expect((await refusal(changed, IAM)).code).toBe("IncompleteSignature");
  });

  test.each(["20231314T221320Z", "20231114T251320Z", "20230231T221320Z", "2023-11-14T22:13:20Z", ""])(
    "X-Amz-Date: %s is no date",
    async (date) => {
      const request = withHeader(await signedRequest(JSON_CALL, { service: "kms", clock }), "x-amz-date", date);
      expect((await refusal(request)).code).toBe("IncompleteSignatureException");
    },
  );
});

describe("temporary credentials", () => {
  let expired = false;
  const session = { accessKeyId: "ASIASESSION", secret: "session secret", sessionToken: "token+/=" };
  const both = createAuthenticator({
    credentials: fixedCredentials([TEST_KEY, { ...session, hasExpired: () => expired }]),
    signatureClock: clock,
    regions: [TEST_REGION],
  });

  test("work with their token, in header and query", async () => {
    await expect(
      both.authenticate(await signedRequest(JSON_CALL, { service: "kms", clock, key: session }), KMS),
    ).resolves.toBeDefined();
    const presigned = await signedRequest(
      { method: "GET" },
      { service: "iam", clock, key: session, presignSeconds: 60 },
    );
    await expect(both.authenticate(presigned, IAM)).resolves.toBeDefined();
  });

  test("do not work without it, with another, or with a long-term key's signature", async () => {
    const { sessionToken: _, ...bare } = session;
    for (const key of [
      bare,
      { ...session, sessionToken: "other" },
      { ...TEST_KEY, sessionToken: session.sessionToken },
    ]) {
      const request = await signedRequest(JSON_CALL, { service: "kms", clock, key });
      expect(await refusal(request, KMS, both)).toMatchObject({ code: "UnrecognizedClientException" });
    }
  });

  test("a token that was put in after signing is refused", async () => {
    const { sessionToken, ...bare } = session;
    const request = await signedRequest(JSON_CALL, { service: "kms", clock, key: bare });
    expect((await refusal(withHeader(request, "x-amz-security-token", sessionToken), KMS, both)).message).toContain(
      "not signed: x-amz-security-token",
    );
  });

  test("end", async () => {
    expired = true;
    const request = await signedRequest(JSON_CALL, { service: "kms", clock, key: session });
    expect(await refusal(request, KMS, both)).toMatchObject({ code: "ExpiredTokenException", status: 400 });
    expect(await refusal(request, { ...KMS, protocol: "awsQuery" }, both)).toMatchObject({
      code: "ExpiredToken",
      status: 403,
    });
    expired = false;
  });
});

describe("what must be covered", () => {
  /** A signer that signs just the headers it is told to. */
  const signing = async (signed: readonly string[], headers: Record<string, string>): Promise<WireRequest> => {
    const all = { host: "localhost:8780", ...headers };
    const kept = Object.fromEntries(Object.entries(all).filter(([name]) => signed.includes(name)));
    const request = await signedRequest({ headers: kept }, { service: "kms", clock });
    const present = new Set(request.headers.map(([name]) => name));
    return { ...request, headers: [...request.headers, ...Object.entries(all).filter(([name]) => !present.has(name))] };
  };

  test("x-amz-target and a content type that chooses a decoder", async () => {
    const target = { "x-amz-target": "TrentService.ListKeys" };
    expect((await refusal(await signing(["host"], target))).message).toContain("not signed: x-amz-target");
    const json = { "content-type": "application/x-amz-json-1.1" };
    expect((await refusal(await signing(["host"], json))).message).toContain("not signed: content-type");
  });

  test("not the form type, which curl adds by itself, nor what SDKs leave out", async () => {
    const headers = {
      "content-type": "application/x-www-form-urlencoded; charset=utf-8",
      "user-agent": "x",
      "x-amzn-trace-id": "y",
    };
    await expect(authenticator.authenticate(await signing(["host"], headers), KMS)).resolves.toBeDefined();
  });

  test("once each: headers that say what a request means, even when both were signed", async () => {
    for (const [name, values] of [
      ["x-amz-target", ["TrentService.ListKeys", "TrentService.DisableKey"]],
      ["content-type", ["application/json", "application/x-amz-json-1.1"]],
      ["x-amz-meta", ["a", "a"]],
    ] as const) {
      const joined = await signedRequest({ headers: { [name]: values.join(",") } }, { service: "kms", clock });
      const lines = values.map((value) => [name, value] as const);
      const apart = { ...joined, headers: [...lines, ...joined.headers.filter(([header]) => header !== name)] };
      expect((await refusal(apart)).message).toBe(`The header '${name}' was sent more than once.`);
    }
  });

  test("host", async () => {
    const request = await signedRequest(JSON_CALL, { service: "kms", clock });
    const changed = withHeader(request, "authorization", authorizationOf(request).replace(";host;", ";"));
    expect((await refusal(changed)).message).toBe(
      "'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.",
    );
  });
});
