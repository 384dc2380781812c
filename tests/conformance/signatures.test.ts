import { createHash, createHmac } from "node:crypto";
import { SignatureV4 } from "@smithy/signature-v4";
import { CreateUserCommand } from "@aws-sdk/client-iam";
import { beforeAll, expect, test } from "vitest";
import { type Clients, rootClients } from "../support/clients.ts";
import { serverForAll } from "../support/server.ts";
import { eventsNamed } from "../support/trail.ts";
import { errorCode, type RawRequest, send, sign, targeted } from "../support/wire.ts";

const server = serverForAll();
const MINUTE_MS = 60_000;
let root: Clients;
beforeAll(async () => {
  root = await rootClients(server());
});

const listKeys = (): RawRequest => targeted("TrentService.ListKeys", "{}");
const signed = (
  request: RawRequest,
  options: { readonly nowMs?: number; readonly region?: string; readonly service?: string } = {},
): RawRequest =>
  sign(request, {
    endpoint: server().endpoint,
    credentials: root.credentials,
    region: server().region,
    service: "kms",
    ...options,
  });
const codeOf = async (request: RawRequest): Promise<string | null> => errorCode(await send(server().endpoint, request));
const withHeader = (request: RawRequest, name: string, value: string): RawRequest => ({
  ...request,
  headers: { ...request.headers, [name]: value },
});

test("a request that is signed right is answered", async () => {
  expect(await codeOf(signed(listKeys()))).toBeNull();
});

test("a request without a signature is refused", async () => {
  expect(await codeOf(listKeys())).toBe("MissingAuthenticationTokenException");
});

test("a replaced body is refused, whatever the header says of its hash", async () => {
  const request = signed(listKeys());
  expect(await codeOf({ ...request, body: Buffer.from('{"Limit":1}') })).toBe("InvalidSignatureException");
  const original = createHash("sha256").update("{}").digest("hex");
  const hashed = signed(withHeader(listKeys(), "x-amz-content-sha256", original));
  expect(await codeOf(hashed)).toBeNull();
  expect(await codeOf({ ...hashed, body: Buffer.from('{"Limit":1}') })).toBe("InvalidSignatureException");
});

test("a body that declares itself unsigned is refused", async () => {
  const unsigned = signed(withHeader(listKeys(), "x-amz-content-sha256", "UNSIGNED-PAYLOAD"));
  expect(await codeOf(unsigned)).toBe("InvalidSignatureException");
});

test("another operation, path or header than was signed is refused", async () => {
  const request = signed(listKeys());
  expect(await codeOf(withHeader(request, "x-amz-target", "TrentService.ListAliases"))).toBe(
    "InvalidSignatureException",
  );
  expect(await codeOf({ ...request, path: "/?a=b" })).toBe("InvalidSignatureException");
  expect(await codeOf({ ...request, path: "/other" })).toBe("InvalidSignatureException");
});

test("a wrong secret, an unknown key, and a garbled header each have their own name", async () => {
  const forged = sign(listKeys(), {
    endpoint: server().endpoint,
    credentials: { ...root.credentials, secretAccessKey: "x".repeat(40) },
    region: server().region,
    service: "kms",
  });
  expect(await codeOf(forged)).toBe("InvalidSignatureException");
  const unknown = sign(listKeys(), {
    endpoint: server().endpoint,
    credentials: { ...root.credentials, accessKeyId: "AKIAIOSFODNN7EXAMPLE" },
    region: server().region,
    service: "kms",
  });
  expect(await codeOf(unknown)).toBe("UnrecognizedClientException");
  expect(await codeOf(withHeader(signed(listKeys()), "authorization", "AWS4-HMAC-SHA256 nonsense"))).toBe(
    "IncompleteSignatureException",
  );
});

test("a date five minutes off is refused, four is not", async () => {
  const now = Date.now();
  expect(await codeOf(signed(listKeys(), { nowMs: now - 4 * MINUTE_MS }))).toBeNull();
  expect(await codeOf(signed(listKeys(), { nowMs: now - 6 * MINUTE_MS }))).toBe("InvalidSignatureException");
  expect(await codeOf(signed(listKeys(), { nowMs: now + 6 * MINUTE_MS }))).toBe("InvalidSignatureException");
});

test("a signature for another region or service is refused", async () => {
  expect(await codeOf(signed(listKeys(), { region: "xx-north-9" }))).toBe("InvalidSignatureException");
  expect(await codeOf(signed(listKeys(), { service: "kinesis" }))).toBe("InvalidSignatureException");
});

test("a presigned query of the SDK's signer works until it expires", async () => {
  class Sha256 {
    readonly #hash;
    constructor(secret?: string | ArrayBuffer | ArrayBufferView) {
      if (secret === undefined) this.#hash = createHash("sha256");
      else this.#hash = createHmac("sha256", typeof secret === "string" ? secret : new Uint8Array(bytesOf(secret)));
    }
    update(data: string | ArrayBuffer | ArrayBufferView): void {
      this.#hash.update(typeof data === "string" ? data : new Uint8Array(bytesOf(data)));
    }
    async digest(): Promise<Uint8Array> {
      return new Uint8Array(this.#hash.digest());
    }
    reset(): void {}
  }
  const url = new URL(server().endpoint);
  const signer = new SignatureV4({
    service: "sts",
    region: server().region,
    credentials: root.credentials,
    sha256: Sha256,
  });
  const presign = async (signingDate: Date): Promise<string> => {
    const request = await signer.presign(
      {
        method: "GET",
        protocol: url.protocol,
        hostname: url.hostname,
        port: Number(url.port),
        path: "/",
        query: { Action: "GetCallerIdentity", Version: "2011-06-15" },
        headers: { host: url.host },
      },
      { expiresIn: 60, signingDate },
    );
    const query = Object.entries(request.query ?? {}).map(
      ([name, value]) => `${encodeURIComponent(name)}=${encodeURIComponent(String(value))}`,
    );
    return `/?${query.join("&")}`;
  };
  const get = (path: string): RawRequest => ({ method: "GET", path, headers: {}, body: new Uint8Array() });
  const answer = await send(server().endpoint, get(await presign(new Date())));
  expect(answer.status).toBe(200);
  expect(answer.body.toString("utf8")).toContain(`<Account>${server().accountId}</Account>`);
  const late = await send(server().endpoint, get(await presign(new Date(Date.now() - 2 * MINUTE_MS))));
  expect(late.status).toBe(403);
  const moved = await send(
    server().endpoint,
    get((await presign(new Date())).replace("GetCallerIdentity", "GetSessionToken")),
  );
  expect(moved.status).toBe(403);
});

test("the query protocol answers in XML with its own names for the same errors", async () => {
  const body = Buffer.from("Action=ListUsers&Version=2010-05-08");
  const request = { method: "POST", path: "/", headers: { "content-type": "application/x-www-form-urlencoded" }, body };
  const unsigned = await send(server().endpoint, request);
  expect([unsigned.status, errorCode(unsigned)]).toEqual([403, "MissingAuthenticationToken"]);
  const replaced = await send(server().endpoint, {
    ...signed(request, { service: "iam" }),
    body: Buffer.from(`${String(body)}&MaxItems=1`),
  });
  expect([replaced.status, errorCode(replaced)]).toEqual([403, "SignatureDoesNotMatch"]);
  expect((await send(server().endpoint, signed(request, { service: "iam" }))).status).toBe(200);
});

test("every answer has a request id, and a management call is found by it in the trail", async () => {
  const made = await root.iam.send(new CreateUserCommand({ UserName: "ida" }));
  const events = await eventsNamed(root.cloudtrail, "CreateUser");
  expect(events.map((event) => event.requestID)).toContain(made.$metadata.requestId);
  const refused = await send(server().endpoint, listKeys());
  expect(refused.headers["x-amzn-requestid"]).toMatch(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
});

const bytesOf = (data: ArrayBuffer | ArrayBufferView): ArrayBuffer =>
  data instanceof ArrayBuffer
    ? data
    : (data.buffer.slice(data.byteOffset, data.byteOffset + data.byteLength) as ArrayBuffer);
