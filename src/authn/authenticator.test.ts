import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ServiceError } from "../base/errors.ts";
import type { WireRequest } from "../protocol/wire.ts";
import { createAuthenticator } from "./authenticator.ts";
import { authenticatorFixture, authorizationOf, IAM, JSON_CALL, KMS, withHeader } from "./testing/fixture.ts";
import { fixedCredentials, signedRequest, TEST_KEY, TEST_REGION } from "./testing/signer.ts";

const { authenticator, clock, refusal } = authenticatorFixture();

/** Characters that canonicalisation treats in different ways. */
const PRINTABLE = "abZ09 -_.~!*'()/+,;:@&=$%é✓".split("");

describe("what the SDK's signer signed is accepted", () => {
  test("a JSON call, and the caller is known afterwards", async () => {
    const identity = await authenticator.authenticate(await signedRequest(JSON_CALL, { service: "kms", clock }), KMS);
    expect(identity).toMatchObject({ region: TEST_REGION, accessKeyId: TEST_KEY.accessKeyId, carriedIn: "header" });
    expect(identity.principal).toMatchObject({ userName: "ann", accessKeyId: TEST_KEY.accessKeyId });
  });

  test("a call over HTTP/2, where the JavaScript SDK signs :authority and the host header carries it", async () => {
    const request = await signedRequest(
      { ...JSON_CALL, headers: { ...JSON_CALL.headers, ":authority": "localhost:8780" } },
      { service: "kms", clock },
    );
    expect(authorizationOf(request)).toContain("SignedHeaders=:authority;");
    const arrived = withHeader(request, ":authority", null);
    await expect(authenticator.authenticate(arrived, KMS)).resolves.toMatchObject({ region: TEST_REGION });
    expect(await refusal(withHeader(arrived, "host", "elsewhere:8780"))).toMatchObject({
      code: "InvalidSignatureException",
    });
  });

  test("a presigned GET", async () => {
    const request = await signedRequest(
      { method: "GET", query: { Action: "GetUser", Version: "2010-05-08" } },
      { service: "iam", clock, presignSeconds: 3600 },
    );
    await expect(authenticator.authenticate(request, IAM)).resolves.toMatchObject({ carriedIn: "query" });
  });

  test("header names in any case, with white space around and within their values", async () => {
    const request = await signedRequest(
      { headers: { ...JSON_CALL.headers, "my-note": "  a   b \t c  " } },
      { service: "kms", clock },
    );
    const shouting = {
      ...request,
      headers: request.headers.map(([name, value]) => [name.toUpperCase(), value] as const),
    };
    await expect(authenticator.authenticate(shouting, KMS)).resolves.toBeDefined();
  });

  const text = fc.string({ unit: "grapheme", maxLength: 12 });
  const printable = fc.string({ unit: fc.constantFrom(...PRINTABLE), maxLength: 12 });
  const segment = fc.oneof(fc.constantFrom(".", "..", "", "a b", "%", "%2F", "ü", "~"), printable);

  test("odd paths, queries, headers and bodies", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.record({
          method: fc.constantFrom("GET", "POST", "PUT", "DELETE"),
          path: fc
            .array(segment, { maxLength: 5 })
            .map((parts) => `/${parts.map((part) => encodeURIComponent(part)).join("/")}`),
          query: fc.dictionary(
            text.filter((name) => name !== "" && name !== "__proto__"),
            fc.oneof(text, fc.array(printable, { minLength: 1, maxLength: 3 })),
            { maxKeys: 5 },
          ),
          headers: fc.dictionary(
            fc.constantFrom("my-a", "my-b", "x-amz-c", "content-type"),
            printable.map((value) => value.replace(/é|✓/g, "e")),
          ),
          body: fc.uint8Array({ maxLength: 64 }),
          presign: fc.boolean(),
        }),
        async ({ presign, ...sdkRequest }) => {
          const request = await signedRequest(sdkRequest, {
            service: "kms",
            clock,
            ...(presign ? { presignSeconds: 60 } : {}),
          });
          await expect(authenticator.authenticate(request, KMS)).resolves.toBeDefined();
        },
      ),
      { numRuns: 300 },
    );
  });
});

describe("a signed request that was changed on the way is refused", () => {
  const mutations: readonly [name: string, change: (request: WireRequest) => WireRequest][] = [
    ["the method", (request) => ({ ...request, method: "PUT" })],
    ["the path", (request) => ({ ...request, target: "/other" })],
    ["an added query", (request) => ({ ...request, target: `${request.target}?Action=DeleteUser` })],
    ["the operation", (request) => withHeader(request, "x-amz-target", "TrentService.ScheduleKeyDeletion")],
    ["the content type", (request) => withHeader(request, "content-type", "application/x-amz-cbor-1.1")],
    ["a signed header taken out", (request) => withHeader(request, "content-type", null)],
    ["the host", (request) => withHeader(request, "host", "elsewhere")],
    ["the date", (request) => withHeader(request, "x-amz-date", "20231114T221321Z")],
    ["an x-amz header added", (request) => withHeader(request, "x-amz-acl", "public")],
    [
      "a second x-amz-target",
      (request) => ({ ...request, headers: [...request.headers, ["X-Amz-Target", "TrentService.DisableKey"]] }),
    ],
    ["an emptied body", (request) => ({ ...request, body: new Uint8Array() })],
    [
      "body and its declared hash",
      (request) =>
        withHeader(
          { ...request, body: Buffer.from("{}") },
          "x-amz-content-sha256",
          "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a",
        ),
    ],
    [
      "an unsigned payload",
      (request) => withHeader({ ...request, body: Buffer.from("{}") }, "x-amz-content-sha256", "UNSIGNED-PAYLOAD"),
    ],
  ];
  test.each(mutations)("%s", async (_name, change) => {
    const error = await refusal(change(await signedRequest(JSON_CALL, { service: "kms", clock })));
    expect(error).toMatchObject({ code: "InvalidSignatureException", status: 400, fault: "client" });
  });

  test("an unsigned payload, even when the signature covers the words", async () => {
    for (const words of ["UNSIGNED-PAYLOAD", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"]) {
      const headers = { ...JSON_CALL.headers, "x-amz-content-sha256": words };
      const request = await signedRequest({ ...JSON_CALL, headers }, { service: "kms", clock });
      expect((await refusal(request)).code).toBe("InvalidSignatureException");
    }
  });

  const flipping = (position: number, flip: number) => (bytes: Uint8Array) => {
    const copy = Buffer.from(bytes);
    const at = position % copy.length;
    copy[at] = (copy[at] ?? 0) ^ flip;
    return copy;
  };
  type Flipped = ReturnType<typeof flipping>;
  const parts: readonly [part: string, change: (request: WireRequest, flipped: Flipped) => WireRequest][] = [
    ["body", (request, flipped) => ({ ...request, body: flipped(request.body) })],
    [
      "query",
      (request, flipped) => ({
        ...request,
        target: `/?${flipped(Buffer.from(request.target.slice(2))).toString("latin1")}`,
      }),
    ],
    [
      "signature",
      (request, flipped) => {
        const [head = "", signature = ""] = authorizationOf(request).split("Signature=");
        return withHeader(
          request,
          "authorization",
          `${head}Signature=${flipped(Buffer.from(signature)).toString("latin1")}`,
        );
      },
    ],
  ];
  test.each(parts)("any single byte of the %s", async (_part, change) => {
    const request = await signedRequest(
      { ...JSON_CALL, query: { colour: "blue", size: "10" } },
      { service: "kms", clock },
    );
    await fc.assert(
      fc.asyncProperty(fc.nat(), fc.integer({ min: 1, max: 255 }), async (position, flip) => {
        expect(await refusal(change(request, flipping(position, flip)))).toBeInstanceOf(ServiceError);
      }),
    );
  });

  test("any parameter of a presigned request", async () => {
    const call = { method: "GET", query: { Action: "GetUser" } };
    const request = await signedRequest(call, { service: "iam", clock, presignSeconds: 60 });
    const url = new URL(`http://h${request.target}`);
    for (const name of url.searchParams.keys()) {
      const other = new URL(url);
      const value = other.searchParams.get(name) ?? "";
      other.searchParams.set(
        name,
        name === "X-Amz-Expires" ? "604800" : value.replace(/.$/, (last) => (last === "a" ? "b" : "a")),
      );
      expect(await refusal({ ...request, target: other.pathname + other.search }, IAM)).toBeInstanceOf(ServiceError);
    }
  });
});

describe("refusals have the names and words of AWS", () => {
  test("no signature at all", async () => {
    const request = { ...(await signedRequest(JSON_CALL, { service: "kms", clock })), headers: [] };
    expect(await refusal(request)).toMatchObject({ code: "MissingAuthenticationTokenException", status: 400 });
    expect(await refusal(request, IAM)).toMatchObject({ code: "MissingAuthenticationToken", status: 403 });
  });

  test.each([
    ["Bearer abc"],
    ["AWS4-HMAC-SHA256"],
    ["AWS4-HMAC-SHA256 Credential=a/b/c/d/e"],
    ["AWS4-HMAC-SHA256 Credential=a/b/c, SignedHeaders=host, Signature=00"],
    ["AWS4-HMAC-SHA256 Credential=a/b/c/d/e, Credential=a/b/c/d/e, SignedHeaders=host, Signature=00"],
    ["AWS4-HMAC-SHA256 Credential=a/b/c/d/e, SignedHeaders=host;host, Signature=00"],
    ["AWS4-HMAC-SHA256 Credential=a/b/c/d/e, SignedHeaders=Host, Signature=00"],
    ["AWS4-ECDSA-P256-SHA256 Credential=a/b/c/d, SignedHeaders=host, Signature=00"],
  ])("a broken Authorization header: %s", async (authorization) => {
    const request = withHeader(
      await signedRequest(JSON_CALL, { service: "kms", clock }),
      "authorization",
      authorization,
    );
    expect(await refusal(request)).toMatchObject({ code: "IncompleteSignatureException", status: 400 });
    expect(await refusal(request, IAM)).toMatchObject({ code: "IncompleteSignature", status: 400 });
  });

  test("two Authorization headers, or credentials in header and query at once", async () => {
    const request = await signedRequest(JSON_CALL, { service: "kms", clock });
    const twice = { ...request, headers: [...request.headers, ["Authorization", authorizationOf(request)] as const] };
    expect((await refusal(twice)).code).toBe("IncompleteSignatureException");
    const both = { ...request, target: "/?X-Amz-Signature=00" };
    expect((await refusal(both)).code).toBe("IncompleteSignatureException");
  });

  test("a key that nobody has, an inactive one, and one whose name no key can have", async () => {
    const message = "The security token included in the request is invalid.";
    const inactive = createAuthenticator({
      credentials: fixedCredentials([{ ...TEST_KEY, active: false }]),
      signatureClock: clock,
      regions: [TEST_REGION],
    });
    const request = await signedRequest(JSON_CALL, { service: "kms", clock });
    expect(await refusal(request, KMS, inactive)).toMatchObject({
      code: "UnrecognizedClientException",
      status: 400,
      message,
    });
    for (const accessKeyId of ["AKIDUNKNOWN", "é".repeat(3), "A".repeat(500)]) {
      const stranger = await signedRequest(JSON_CALL, { service: "kms", clock, key: { ...TEST_KEY, accessKeyId } });
      expect(await refusal(stranger)).toMatchObject({ code: "UnrecognizedClientException", message });
      expect(await refusal(stranger, { ...KMS, protocol: "awsQuery" })).toMatchObject({
        code: "InvalidClientTokenId",
        status: 403,
      });
    }
  });

  test("a wrong secret: shows what was signed here, but neither the right signature nor the secret", async () => {
    const request = await signedRequest(JSON_CALL, { service: "kms", clock, key: { ...TEST_KEY, secret: "wrong" } });
    const right = await signedRequest(JSON_CALL, { service: "kms", clock });
    const error = await refusal(request);
    expect(error).toMatchObject({ code: "InvalidSignatureException", status: 400 });
    expect(error.message).toContain(
      "The Canonical String for this request should have been\n'POST\n/\n\ncontent-type:application/x-amz-json-1.1\nhost:localhost:8780\n",
    );
    expect(error.message).toContain(
      "The String-to-Sign should have been\n'AWS4-HMAC-SHA256\n20231114T221320Z\n20231114/us-east-1/kms/aws4_request\n",
    );
    expect(error.message).not.toContain(authorizationOf(right).split("Signature=")[1]);
    expect(error.message).not.toContain(TEST_KEY.secret);
    expect(await refusal(request, { ...KMS, protocol: "awsQuery" })).toMatchObject({
      code: "SignatureDoesNotMatch",
      status: 403,
    });
  });

  test("another region, another service", async () => {
    const elsewhere = await signedRequest(JSON_CALL, { service: "kms", clock, region: "ap-south-1" });
    expect((await refusal(elsewhere)).message).toBe(
      "Credential should be scoped to a valid region, not 'ap-south-1'. ",
    );
    const other = await signedRequest(JSON_CALL, { service: "kinesis", clock });
    expect((await refusal(other)).message).toBe("Credential should be scoped to correct service: 'kms'. ");
  });

  test("us-east-1 is right for a global service wherever the server is, and for no other", async () => {
    const abroad = createAuthenticator({
      credentials: fixedCredentials([TEST_KEY]),
      signatureClock: clock,
      regions: ["eu-central-1"],
    });
    await expect(abroad.authenticate(await signedRequest({}, { service: "iam", clock }), IAM)).resolves.toMatchObject({
      region: "us-east-1",
    });
    expect((await refusal(await signedRequest(JSON_CALL, { service: "kms", clock }), KMS, abroad)).message).toContain(
      "valid region",
    );
  });

  test("a scope of another day", async () => {
    const request = await signedRequest(JSON_CALL, { service: "kms", clock });
    const changed = withHeader(request, "authorization", authorizationOf(request).replace("/20231114/", "/20231113/"));
    expect((await refusal(changed)).message).toContain("'20231113' != '20231114', from '20231114T221320Z'.");
  });
});
