import { expect, test } from "vitest";
import { movableClock } from "../base/clock.ts";
import { createAuthenticator } from "./authenticator.ts";
import { fixedCredentials, TEST_KEY } from "./testing/signer.ts";

/** Requests and signatures of the public Signature Version 4 test suite: service `service`, 2015-08-30 12:36:00 UTC. */
const authenticator = createAuthenticator({
  credentials: fixedCredentials([TEST_KEY]),
  signatureClock: movableClock(undefined, Date.UTC(2015, 7, 30, 12, 36)),
  regions: ["us-east-1"],
});

const DATE = ["X-Amz-Date", "20150830T123600Z"] as const;
const HOST = ["Host", "example.amazonaws.com"] as const;

const vectors: readonly {
  readonly name: string;
  readonly method?: string;
  readonly target?: string;
  readonly headers?: readonly (readonly [string, string])[];
  readonly signedHeaders?: string;
  readonly body?: string;
  readonly signature: string;
}[] = [
  { name: "get-vanilla", signature: "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31" },
  {
    name: "post-vanilla",
    method: "POST",
    signature: "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b",
  },
  {
    name: "get-vanilla-query-order-key-case",
    target: "/?Param2=value2&Param1=value1",
    signature: "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
  },
  {
    name: "get-vanilla-utf8-query",
    target: "/?\u00e1\u0088\u00b4=bar",
    signature: "2cdec8eed098649ff3a119c94853b13c643bcf08f8b0a1d91e12c9027818dd04",
  },
  {
    name: "get-header-value-trim",
    headers: [
      ["My-Header1", " value1"],
      ["My-Header2", ' "a   b   c"'],
    ],
    signedHeaders: "host;my-header1;my-header2;x-amz-date",
    signature: "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736",
  },
  {
    name: "get-header-value-order",
    headers: [
      ["My-Header1", "value4"],
      ["My-Header1", "value1"],
      ["My-Header1", "value3"],
      ["My-Header1", "value2"],
    ],
    signedHeaders: "host;my-header1;x-amz-date",
    signature: "08c7e5a9acfcfeb3ab6b2185e75ce8b1deb5e634ec47601a50643f830c755c01",
  },
  {
    name: "get-relative",
    target: "/example/..",
    signature: "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
  },
  { name: "get-slash", target: "//", signature: "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31" },
];

test.each(vectors)("$name", async (vector) => {
  const authorization =
    `AWS4-HMAC-SHA256 Credential=${TEST_KEY.accessKeyId}/20150830/us-east-1/service/aws4_request, ` +
    `SignedHeaders=${vector.signedHeaders ?? "host;x-amz-date"}, Signature=${vector.signature}`;
  const request = {
    method: vector.method ?? "GET",
    target: vector.target ?? "/",
    headers: [HOST, ...(vector.headers ?? []), DATE, ["Authorization", authorization] as const],
    body: Buffer.from(vector.body ?? ""),
    sourceIp: "127.0.0.1",
    secureTransport: false,
  };
  const expected = { signingName: "service", protocol: "awsJson1.1" } as const;
  await expect(authenticator.authenticate(request, expected)).resolves.toMatchObject({ region: "us-east-1" });
  await expect(authenticator.authenticate({ ...request, method: "DELETE" }, expected)).rejects.toMatchObject({
    code: "InvalidSignatureException",
  });
});
