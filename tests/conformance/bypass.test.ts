import { createHash, createHmac } from "node:crypto";
import {
  CreateAccessKeyCommand,
  CreateOpenIDConnectProviderCommand,
  ListUsersCommand,
  UpdateAccessKeyCommand,
} from "@aws-sdk/client-iam";
import { CreateKeyCommand, DescribeKeyCommand, ListKeysCommand } from "@aws-sdk/client-kms";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Clients, clientsFor, createUser, refusal, rootClients, type User } from "../support/clients.ts";
import { serverForAll } from "../support/server.ts";
import { errorCode, type RawRequest, send, sign, targeted } from "../support/wire.ts";

/** Ways around the signature: each has to end at the same door as a stranger does. */
const server = serverForAll();
let root: Clients;
let ann: User;
beforeAll(async () => {
  root = await rootClients(server());
  ann = await createUser(server(), root, "ann", [{ Effect: "Allow", Action: "*", Resource: "*" }]);
});
afterAll(() => {
  for (const clients of [root, ann]) clients.destroy();
});

const FORM = "application/x-www-form-urlencoded";
const json = (target = "TrentService.ListKeys"): RawRequest => targeted(target, "{}");
const form = (fields: Readonly<Record<string, string>>): RawRequest => ({
  method: "POST",
  path: "/",
  headers: { "content-type": FORM },
  body: Buffer.from(new URLSearchParams(fields).toString()),
});
const LIST_USERS = { Action: "ListUsers", Version: "2010-05-08" };

const signedFor = (request: RawRequest, service: string): RawRequest =>
  sign(request, { endpoint: server().endpoint, credentials: ann.credentials, region: server().region, service });
const answerTo = async (request: RawRequest): Promise<string> =>
  errorCode(await send(server().endpoint, request)) ?? "answered";
const withHeader = (request: RawRequest, name: string, value: string): RawRequest => ({
  ...request,
  headers: { ...request.headers, [name]: value },
});
const authorizationOf = (request: RawRequest): string => request.headers["authorization"] ?? "";

test("the requests that are changed below are answered as they are", async () => {
  expect(await answerTo(signedFor(json(), "kms"))).toBe("answered");
  expect(await answerTo(signedFor(form(LIST_USERS), "iam"))).toBe("answered");
});

describe("no signature", () => {
  test.each([
    ["KMS", json(), "MissingAuthenticationTokenException"],
    ["Kinesis", json("Kinesis_20131202.ListStreams"), "MissingAuthenticationTokenException"],
    [
      "Kinesis over CBOR",
      targeted("Kinesis_20131202.ListStreams", Buffer.from([0xa0]), "application/x-amz-cbor-1.1"),
      "MissingAuthenticationTokenException",
    ],
    [
      "CloudTrail",
      json("com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101.LookupEvents"),
      "MissingAuthenticationTokenException",
    ],
    ["Service Quotas", json("ServiceQuotasV20190624.ListServices"), "MissingAuthenticationTokenException"],
    ["IAM", form(LIST_USERS), "MissingAuthenticationToken"],
    ["STS", form({ Action: "GetCallerIdentity", Version: "2011-06-15" }), "MissingAuthenticationToken"],
    [
      "IAM by query string",
      { method: "GET", path: "/?Action=ListUsers&Version=2010-05-08", headers: {}, body: new Uint8Array() },
      "MissingAuthenticationToken",
    ],
  ])("%s", async (_name, request, code) => {
    expect(await answerTo(request)).toBe(code);
  });

  test.each(["x-amz-security-token", "x-amz-user-agent", "x-forwarded-user", "x-amzn-iam-principal", "cookie"])(
    "a %s header is no signature",
    async (name) => {
      const value = `arn:aws:iam::${server().accountId}:root`;
      expect(await answerTo(withHeader(json(), name, value))).toBe("MissingAuthenticationTokenException");
    },
  );
});

describe("another algorithm", () => {
  test.each([
    "AWS3",
    "AWS3-HTTPS",
    "AWS4-HMAC-SHA1",
    "AWS4-HMAC-MD5",
    "AWS4-ECDSA-P256-SHA256",
    "AWS4-HMAC-SHA256-PAYLOAD",
    "aws4-hmac-sha256",
    "AWS",
    "none",
    "Bearer",
    "Basic",
    "",
  ])("%s in the Authorization header", async (algorithm) => {
    for (const [request, service, code] of [
      [json(), "kms", "IncompleteSignatureException"],
      [form(LIST_USERS), "iam", "IncompleteSignature"],
    ] as const) {
      const signed = signedFor(request, service);
      const changed = authorizationOf(signed).replace("AWS4-HMAC-SHA256", algorithm);
      expect(await answerTo(withHeader(signed, "authorization", changed))).toBe(code);
    }
  });

  test("a whole SHA-1 signature, right in itself", async () => {
    const signed = signedFor(json(), "kms");
    const [head = ""] = authorizationOf(signed).split("Signature=");
    const hmac = createHmac("sha1", `AWS4${ann.credentials.secretAccessKey}`).update("anything").digest("hex");
    const changed = `${head.replace("SHA256", "SHA1")}Signature=${hmac}`;
    expect(await answerTo(withHeader(signed, "authorization", changed))).toBe("IncompleteSignatureException");
  });

  test("Signature Version 2, in the header and in the form", async () => {
    const { accessKeyId, secretAccessKey } = ann.credentials;
    const hmac = (text: string): string => createHmac("sha1", secretAccessKey).update(text).digest("base64");
    expect(await answerTo(withHeader(json(), "authorization", `AWS ${accessKeyId}:${hmac("POST\n\n\n\n/")}`))).toBe(
      "IncompleteSignatureException",
    );
    const fields = {
      ...LIST_USERS,
      AWSAccessKeyId: accessKeyId,
      SignatureVersion: "2",
      SignatureMethod: "HmacSHA256",
      Timestamp: new Date().toISOString(),
    };
    const canonical = `POST\n${new URL(server().endpoint).host}\n/\n${String(new URLSearchParams(fields))}`;
    const Signature = createHmac("sha256", secretAccessKey).update(canonical).digest("base64");
    expect(await answerTo(form({ ...fields, Signature }))).toBe("MissingAuthenticationToken");
  });

  test("presigned: another name, none, or the signature's own fields changed", async () => {
    const path = presigned();
    const get = async (changed: string): Promise<string> =>
      answerTo({ method: "GET", path: changed, headers: {}, body: new Uint8Array() });
    expect(await get(path)).toBe("answered");
    for (const name of ["none", "AWS4-HMAC-SHA1", "AWS4-ECDSA-P256-SHA256", ""])
      expect(await get(path.replace("=AWS4-HMAC-SHA256", `=${name}`)), name).toBe("IncompleteSignature");
    expect(await get(path.replace(/X-Amz-Algorithm=[^&]*&/, ""))).toBe("IncompleteSignature");
    expect(await get(path.replace(/&X-Amz-Signature=.*/, ""))).toBe("IncompleteSignature");
    expect(await get(path.replace(/Signature=.*/, `Signature=${"0".repeat(64)}`))).toBe("SignatureDoesNotMatch");
    expect(await get(path.replace("Expires=60", "Expires=604800"))).toBe("SignatureDoesNotMatch");
    expect(await get(path.replace("Expires=60", "Expires=9999999"))).toBe("IncompleteSignature");
    expect(await get(path.replace("ListUsers", "ListRoles"))).toBe("SignatureDoesNotMatch");
    expect(await get(`${path}&Action=CreateUser`)).toBe("SignatureDoesNotMatch");
    const body = form({ Action: "CreateUser", UserName: "mallory", Version: "2010-05-08" });
    expect(await answerTo({ ...body, path })).toBe("SignatureDoesNotMatch");
  });

  const presigned = (): string => {
    const { accessKeyId, secretAccessKey } = ann.credentials;
    const date = new Date().toISOString().replaceAll(/[-:]|\.\d{3}/g, "");
    const scope = `${date.slice(0, 8)}/${server().region}/iam/aws4_request`;
    const query = [
      "Action=ListUsers",
      "Version=2010-05-08",
      "X-Amz-Algorithm=AWS4-HMAC-SHA256",
      `X-Amz-Credential=${encodeURIComponent(`${accessKeyId}/${scope}`)}`,
      `X-Amz-Date=${date}`,
      "X-Amz-Expires=60",
      "X-Amz-SignedHeaders=host",
    ].join("&");
    const sha256 = (text: string): string => createHash("sha256").update(text).digest("hex");
    const canonical = `GET\n/\n${query}\nhost:${new URL(server().endpoint).host}\n\nhost\n${sha256("")}`;
    const key = scope
      .split("/")
      .reduce<Buffer | string>(
        (from, part) => createHmac("sha256", from).update(part).digest(),
        `AWS4${secretAccessKey}`,
      );
    const toSign = `AWS4-HMAC-SHA256\n${date}\n${scope}\n${sha256(canonical)}`;
    return `/?${query}&X-Amz-Signature=${createHmac("sha256", key).update(toSign).digest("hex")}`;
  };
});

describe("a body that the signature does not cover", () => {
  test.each([
    "UNSIGNED-PAYLOAD",
    "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
    "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
    "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER",
    "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD",
    "",
  ])("x-amz-content-sha256: %s", async (value) => {
    expect(await answerTo(signedFor(withHeader(json(), "x-amz-content-sha256", value), "kms"))).toBe(
      "InvalidSignatureException",
    );
    const request = withHeader(form(LIST_USERS), "x-amz-content-sha256", value);
    expect(await answerTo(signedFor(request, "iam"))).toBe("SignatureDoesNotMatch");
  });

  test("a JSON call read as a form, and the other way round", async () => {
    const asForm = withHeader(signedFor(json(), "kms"), "content-type", FORM);
    expect(await answerTo(asForm)).not.toBe("answered");
    const asJson = { ...signedFor(form(LIST_USERS), "iam") };
    expect(await answerTo(withHeader(asJson, "x-amz-target", "TrentService.ListKeys"))).not.toBe("answered");
  });
});

describe("the one operation that takes no signature", () => {
  /** Nobody listens there: whoever gets so far as to ask for keys is told so. */
  const ISSUER = "https://127.0.0.1:1/issuer";
  const call = (Action: string, WebIdentityToken: string): RawRequest =>
    form({
      Action,
      Version: "2011-06-15",
      RoleArn: `arn:aws:iam::${server().accountId}:role/any`,
      RoleSessionName: "test",
      WebIdentityToken,
    });
  const encoded = (part: object): string => Buffer.from(JSON.stringify(part)).toString("base64url");
  const token = (header: object, claims: object = {}, signature = "AAAA"): string => {
    const seconds = Math.floor(Date.now() / 1000);
    const all = { iss: ISSUER, sub: "ann", aud: "app", iat: seconds, exp: seconds + 600, ...claims };
    return `${encoded(header)}.${encoded(all)}.${signature}`;
  };
  beforeAll(async () => {
    await root.iam.send(new CreateOpenIDConnectProviderCommand({ Url: ISSUER, ClientIDList: ["app"] }));
  });

  test("opens no other: every other operation of STS asks for a signature, whatever token comes with it", async () => {
    for (const action of [
      "AssumeRole",
      "GetCallerIdentity",
      "GetSessionToken",
      "GetFederationToken",
      "GetAccessKeyInfo",
    ])
      expect(await answerTo(call(action, token({ alg: "RS256" }))), action).toBe("MissingAuthenticationToken");
  });

  test.each([
    ["none", (): string => token({ alg: "none" }, {}, "")],
    ["none, with something that looks like a signature", (): string => token({ alg: "none" })],
    ["NONE", (): string => token({ alg: "NONE" })],
    ["an HMAC", (): string => token({ alg: "HS256" })],
    ["a property of every object", (): string => token({ alg: "constructor" })],
    ["no algorithm", (): string => token({})],
    ["a critical extension", (): string => token({ alg: "RS256", crit: ["b64"], b64: false })],
    ["no token", (): string => "abcd"],
    ["five parts, encrypted", (): string => `${token({ alg: "RS256" })}.AAAA.AAAA`],
    ["another issuer", (): string => token({ alg: "RS256" }, { iss: "https://127.0.0.1:1/other" })],
    ["an issuer that begins alike", (): string => token({ alg: "RS256" }, { iss: `${ISSUER}/more` })],
    ["an issuer over plain HTTP", (): string => token({ alg: "RS256" }, { iss: ISSUER.replace("https", "http") })],
    ["no end", (): string => token({ alg: "RS256" }, { exp: undefined })],
    ["not yet", (): string => token({ alg: "RS256" }, { nbf: Math.floor(Date.now() / 1000) + 3_600 })],
  ])("a token signed by nobody: %s", async (_name, made) => {
    expect(await answerTo(call("AssumeRoleWithWebIdentity", made()))).toMatch(/^InvalidIdentityToken/);
  });

  test("is refused when the provider cannot say what its keys are, and when the token has expired", async () => {
    expect(await answerTo(call("AssumeRoleWithWebIdentity", token({ alg: "RS256" })))).toMatch(
      /^IDPCommunicationError/,
    );
    expect(await answerTo(call("AssumeRoleWithWebIdentity", token({ alg: "RS256" }, { exp: 1 })))).toMatch(
      /^ExpiredToken/,
    );
  });

  test("reads no more than a token needs", async () => {
    expect(await answerTo(call("AssumeRoleWithWebIdentity", "a".repeat(20_001)))).toMatch(/^Validation/);
    expect(await answerTo(call("AssumeRoleWithWebIdentity", "a".repeat(500_000)))).toMatch(
      /^(RequestEntityTooLarge|Validation)/,
    );
  });
});

describe("keys that no longer count", () => {
  test("an access key that was made inactive, at once and for every service", async () => {
    const { AccessKey } = await root.iam.send(new CreateAccessKeyCommand({ UserName: "ann" }));
    const AccessKeyId = AccessKey?.AccessKeyId ?? "";
    const spare = await clientsFor(server(), {
      accessKeyId: AccessKeyId,
      secretAccessKey: AccessKey?.SecretAccessKey ?? "",
    });
    expect(await refusal(spare.kms.send(new ListKeysCommand({})))).toBe("succeeded");
    await root.iam.send(new UpdateAccessKeyCommand({ UserName: "ann", AccessKeyId, Status: "Inactive" }));
    expect(await refusal(spare.kms.send(new ListKeysCommand({})))).toBe("UnrecognizedClientException");
    expect(await refusal(spare.iam.send(new ListUsersCommand({})))).toBe("InvalidClientTokenId");
    spare.destroy();
  });
});

describe("another account's resources by ARN", () => {
  const STRANGER = "999999999999";

  test("are out of reach for a user who may do everything in an account of their own", async () => {
    const { KeyMetadata } = await root.kms.send(new CreateKeyCommand({}));
    const own = KeyMetadata?.Arn ?? "";
    expect(await refusal(ann.kms.send(new DescribeKeyCommand({ KeyId: own })))).toBe("succeeded");
    for (const KeyId of [own.replace(server().accountId, STRANGER), own.replace(/key\/.*/, "alias/none")]) {
      expect(await refusal(ann.kms.send(new DescribeKeyCommand({ KeyId })))).toMatch(
        /^(NotFoundException|AccessDeniedException)$/,
      );
    }
  });
});
