import { hash } from "node:crypto";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ServiceError } from "../base/errors.ts";
import { movableClock } from "../base/clock.ts";
import { createAuthenticator, type ExpectedSignature, type StreamingIdentity } from "./authenticator.ts";
import type { ChunkedBody } from "./chunked-body.ts";
import {
  EXAMPLE_KEY,
  EXAMPLE_TIME_MS,
  type Head,
  SIGNED,
  SIGNED_TRAILER,
  signedBody,
  streamingHead,
  UNSIGNED_TRAILER,
  unsignedBody,
} from "./testing/chunks.ts";
import { authorizationOf } from "./testing/fixture.ts";
import { fixedCredentials, sdkSigner, signedRequest } from "./testing/signer.ts";

const S3: ExpectedSignature = { signingName: "s3", protocol: "awsQuery" };
const authenticator = createAuthenticator({
  credentials: fixedCredentials([EXAMPLE_KEY]),
  signatureClock: movableClock(undefined, EXAMPLE_TIME_MS),
  regions: ["us-east-1"],
});
const admit = async (head: Head, signedChunkBytesMax = 1_048_576): Promise<StreamingIdentity> =>
  authenticator.authenticateStreaming(head, S3, { signedChunkBytesMax });

interface Read {
  readonly data: Buffer;
  readonly trailer: ReturnType<ChunkedBody["end"]>;
}

/** Reads a whole body in pieces of one size. */
async function read(head: Head, body: Uint8Array, pieceBytes = body.length || 1): Promise<Read> {
  const reader = (await admit(head)).body;
  const data: Uint8Array[] = [];
  for (let at = 0; at < body.length; at += pieceBytes) data.push(...reader.push(body.subarray(at, at + pieceBytes)));
  return { trailer: reader.end(), data: Buffer.concat(data) };
}

async function refused(reading: Promise<unknown>): Promise<string> {
  try {
    await reading;
  } catch (error) {
    if (error instanceof ServiceError) return error.code;
    throw error;
  }
  return "accepted";
}

const declaring = (payload: string, decodedBytes: number, trailer?: string): Record<string, string> => ({
  "x-amz-content-sha256": payload,
  "x-amz-decoded-content-length": String(decodedBytes),
  ...(trailer === undefined ? {} : { "x-amz-trailer": trailer }),
});

describe("the examples of the S3 documentation", () => {
  const chunks = [Buffer.alloc(65_536, "a"), Buffer.alloc(1024, "a")] as const;
  const written = (signatures: readonly string[], ...lines: readonly string[]): Buffer => {
    const [first, second, last] = signatures;
    return Buffer.concat([
      Buffer.from(`10000;chunk-signature=${first}\r\n`),
      chunks[0],
      Buffer.from(`\r\n400;chunk-signature=${second}\r\n`),
      chunks[1],
      Buffer.from(`\r\n0;chunk-signature=${last}\r\n${lines.join("")}\r\n`),
    ]);
  };
  const plain = {
    head: streamingHead({ "content-length": "66824", ...declaring(SIGNED, 66_560) }),
    seed: "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9",
    body: written([
      "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648",
      "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497",
      "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9",
    ]),
  };
  const trailing = {
    head: streamingHead(declaring(SIGNED_TRAILER, 66_560, "x-amz-checksum-crc32c")),
    seed: "106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e",
    body: written(
      [
        "b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2",
        "1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7",
        "2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992",
      ],
      "x-amz-checksum-crc32c:sOO8/Q==\r\n",
      "x-amz-trailer-signature:d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435\r\n",
    ),
  };

  test.each([
    ["without a trailer", plain, null],
    ["with one", trailing, { name: "x-amz-checksum-crc32c", value: "sOO8/Q==" }],
  ])("%s", async (_name, { head, seed, body }, trailer) => {
    expect(head.seed).toBe(seed);
    expect(await admit(head)).toMatchObject({ accessKeyId: EXAMPLE_KEY.accessKeyId, declaration: { signed: true } });
    for (const pieceBytes of [1, 7, 4096, 70_000]) {
      const result = await read(head, body, pieceBytes);
      expect(result.data.equals(Buffer.concat(chunks))).toBe(true);
      expect(result.trailer).toEqual(trailer);
    }
  });

  test("any changed byte of sizes, signatures, line ends and trailer is refused, and bytes of the data here and there", async () => {
    const { head, body } = trailing;
    const isFraming = (at: number): boolean => at < 88 || (at > 65_620 && at < 65_720) || at > 66_700;
    for (let at = 0; at < body.length; at++) {
      if (!isFraming(at) && at % 1009 !== 0) continue;
      const changed = Buffer.from(body);
      changed[at] = (changed[at] ?? 0) ^ 0x01;
      expect(await refused(read(head, changed)), `byte ${at}`).not.toBe("accepted");
    }
  });
});

describe("bodies signed by another implementation", () => {
  const chunkSize = fc.constantFrom(8192, 8193, 10_000);
  const sizes = fc.tuple(fc.array(chunkSize, { maxLength: 3 }), fc.nat({ max: 9000 }));

  test("are read whatever the sizes of chunks and of the pieces that arrive", async () => {
    await fc.assert(
      fc.asyncProperty(sizes, fc.integer({ min: 1, max: 9000 }), fc.boolean(), async ([all, last], piece, trails) => {
        const chunks = [...all, ...(last === 0 ? [] : [last])].map((size, at) => Buffer.alloc(size, 98 + at));
        const data = Buffer.concat(chunks);
        const trailer = ["x-amz-checksum-sha1", "AAAA"] as const;
        const head = streamingHead(
          trails ? declaring(SIGNED_TRAILER, data.length, trailer[0]) : declaring(SIGNED, data.length),
        );
        const result = await read(head, signedBody(head.seed, chunks, trails ? trailer : undefined), piece);
        expect(result.data.equals(data)).toBe(true);
        expect(result.trailer).toEqual(trails ? { name: trailer[0], value: trailer[1] } : null);
      }),
      { numRuns: 60 },
    );
  });

  test("no single byte of one can be changed in any way, inserted, left out or cut off", async () => {
    const head = streamingHead(declaring(SIGNED_TRAILER, 40, "x-amz-checksum-sha1"));
    const body = signedBody(head.seed, [Buffer.alloc(40, "z")], ["x-amz-checksum-sha1", "AAAA"]);
    for (let at = 0; at < body.length; at++) {
      for (let bit = 1; bit < 256; bit <<= 1) {
        const changed = Buffer.from(body);
        changed[at] = (changed[at] ?? 0) ^ bit;
        expect(await refused(read(head, changed)), `byte ${at} bit ${bit}`).not.toBe("accepted");
      }
      const [before, after] = [body.subarray(0, at), body.subarray(at)];
      expect(await refused(read(head, before)), `cut at ${at}`).toBe("IncompleteBody");
      expect(await refused(read(head, Buffer.concat([before, after.subarray(1)])))).not.toBe("accepted");
      for (const byte of ["0", "a", " ", "\r", "\n", "\0"])
        expect(await refused(read(head, Buffer.concat([before, Buffer.from(byte), after])))).not.toBe("accepted");
    }
    expect(await refused(read(head, Buffer.concat([body, Buffer.from("\r\n")])))).toBe("InvalidRequest");
  });

  test("chunks cannot be left out, swapped, repeated or taken from another request", async () => {
    const chunks = [Buffer.alloc(8192, "1"), Buffer.alloc(8192, "2")];
    const head = streamingHead(declaring(SIGNED, 16_384));
    const body = signedBody(head.seed, chunks);
    const chunkBytes = 4 + 17 + 64 + 2 + 8192 + 2;
    const [first, second, end] = [
      body.subarray(0, chunkBytes),
      body.subarray(chunkBytes, 2 * chunkBytes),
      body.subarray(2 * chunkBytes),
    ];
    expect(await refused(read(head, Buffer.concat([first, second, end])))).toBe("accepted");
    for (const parts of [
      [second, first, end],
      [first, first, end],
      [second, second, end],
    ])
      expect(await refused(read(head, Buffer.concat(parts)))).toBe("SignatureDoesNotMatch");
    expect(await refused(read(head, Buffer.concat([first, end])))).toBe("IncompleteBody");
    expect(await refused(read(head, Buffer.concat([first, second])))).toBe("IncompleteBody");
    const other = streamingHead({ ...declaring(SIGNED, 16_384), "x-amz-acl": "private" });
    expect(await refused(read(other, body))).toBe("SignatureDoesNotMatch");
  });

  test("the size may be written in either case, as the .NET SDK and all others do", async () => {
    const head = streamingHead(declaring(SIGNED, 10));
    const body = signedBody(head.seed, [Buffer.alloc(10, "x")]);
    expect(String(body.subarray(0, 2))).toBe("a;");
    expect(await refused(read(head, Buffer.concat([Buffer.from("A"), body.subarray(1)])))).toBe("accepted");
  });
});

test("a request and a body with a trailer whose every signature is the SDK's own signer's", async () => {
  const choice = { service: "s3", clock: { wallMs: () => EXAMPLE_TIME_MS }, key: EXAMPLE_KEY };
  const signer = sdkSigner(choice);
  const chunks = [Buffer.alloc(8192, "\u00e9"), Buffer.from("the end"), Buffer.alloc(0)];
  const trailer = "x-amz-checksum-crc64nvme:AAAAAAAAAAA=";
  const head = await signedRequest(
    {
      method: "PUT",
      path: "/bucket/with%20space/\u00fc",
      query: { partNumber: "1", "upload id": "a+b/c=" },
      headers: {
        host: "s3.amazonaws.com",
        "content-encoding": "aws-chunked",
        "content-type": "text/plain; charset=utf-8",
        ...declaring(SIGNED_TRAILER, 8199, "x-amz-checksum-crc64nvme"),
      },
    },
    choice,
  );
  let previous = /Signature=(.*)/.exec(authorizationOf(head))?.[1] ?? "";
  const sha256 = (data: Uint8Array | string): string => hash("sha256", data, "hex");
  const signing = async (mark: string, ...hashes: readonly string[]): Promise<string> => {
    const stringToSign = [mark, "20130524T000000Z", "20130524/us-east-1/s3/aws4_request", previous, ...hashes].join(
      "\n",
    );
    return (previous = await signer.sign(stringToSign, { signingDate: new Date(EXAMPLE_TIME_MS) }));
  };
  const parts: (Uint8Array | string)[] = [];
  for (const chunk of chunks) {
    const signature = await signing("AWS4-HMAC-SHA256-PAYLOAD", sha256(""), sha256(chunk));
    parts.push(
      `${chunk.length.toString(16)};chunk-signature=${signature}\r\n`,
      chunk,
      chunk.length === 0 ? "" : "\r\n",
    );
  }
  const signature = await signing("AWS4-HMAC-SHA256-TRAILER", sha256(`${trailer}\n`));
  parts.push(`${trailer}\r\nx-amz-trailer-signature:${signature}\r\n\r\n`);
  const body = Buffer.concat(parts.map((part) => Buffer.from(part)));
  const result = await read(head, body, 1000);
  expect(result.data.equals(Buffer.concat(chunks))).toBe(true);
  expect(result.trailer).toEqual({ name: "x-amz-checksum-crc64nvme", value: "AAAAAAAAAAA=" });
  expect(await refused(read({ ...head, method: "POST" }, body))).toBe("SignatureDoesNotMatch");
});

describe("what does not conform", () => {
  const data = Buffer.alloc(10, "x");
  const head = streamingHead(declaring(SIGNED, 10));
  const body = signedBody(head.seed, [data]).toString("latin1");
  const cases: readonly (readonly [string, string, string])[] = [
    ["a leading zero", body.replace(/^a/, "0a"), "InvalidRequest"],
    ["a sign", body.replace(/^a/, "+a"), "InvalidRequest"],
    ["a prefix", body.replace(/^a/, "0xa"), "InvalidRequest"],
    ["a space", body.replace(/^a;/, "a ;"), "InvalidRequest"],
    ["an extension", body.replace("\r\n", ";name=value\r\n"), "InvalidRequest"],
    ["no signature", body.replace(/;chunk-signature=[0-9a-f]+/, ""), "InvalidRequest"],
    ["a signature in upper case", body.replace(/=[0-9a-f]+/, (text) => text.toUpperCase()), "InvalidRequest"],
    ["a bare line feed", body.replace("\r\n", "\n"), "InvalidRequest"],
    ["an endless line", "a".repeat(5000), "InvalidRequest"],
    ["a size beyond all numbers", `ffffffffffff${body.slice(1)}`, "IncompleteBody"],
    ["more data than declared", body.replace(/^a/, "b"), "IncompleteBody"],
    ["a size that does not reach to the end of the data", body.replace(/^a/, "9"), "SignatureDoesNotMatch"],
    ["double zero at the end", body.replace("\r\n0;", "\r\n00;"), "InvalidRequest"],
    ["a trailer that was not declared", body.replace(/\r\n$/, "x-amz-checksum-sha1:AAAA\r\n\r\n"), "InvalidRequest"],
    ["garbage after the end", `${body}x`, "InvalidRequest"],
    ["nothing", "", "IncompleteBody"],
  ];
  test.each(cases)("%s", async (_name, changed, code) => {
    expect(await refused(read(head, Buffer.from(changed, "latin1")))).toBe(code);
  });

  test("a small chunk that is not the last", async () => {
    const chunks = [Buffer.alloc(8191), Buffer.alloc(8192)];
    const small = streamingHead(declaring(SIGNED, 16_383));
    expect(await refused(read(small, signedBody(small.seed, chunks)))).toBe("InvalidChunkSizeError");
  });

  test("a chunk larger than is held in memory, before any of it is read", async () => {
    const large = streamingHead(declaring(SIGNED, 20_000));
    const { body: reader } = await admit(large, 10_000);
    expect(() => reader.push(Buffer.from(`4e20;chunk-signature=${"0".repeat(64)}\r\n`))).toThrow("larger than");
  });

  test("data whose signature is wrong is not handed out, and nothing is after it", async () => {
    const { body: reader } = await admit(head);
    const forged = Buffer.from(body.replace("xxxxxxxxxx", "xxxxxxxxxy"), "latin1");
    expect(() => reader.push(forged)).toThrow("does not match");
    expect(() => reader.push(Buffer.from(body, "latin1"))).toThrow("does not match");
    expect(() => reader.end()).toThrow("does not match");
  });

  test("a trailer of another name than announced, two of them, or none", async () => {
    const announced = streamingHead(declaring(SIGNED_TRAILER, 10, "x-amz-checksum-sha1"));
    const good = signedBody(announced.seed, [data], ["x-amz-checksum-sha1", "AAAA"]).toString("latin1");
    const other = signedBody(announced.seed, [data], ["x-amz-checksum-crc32", "AAAA"]);
    expect(await refused(read(announced, other))).toBe("MalformedTrailerError");
    const line = "x-amz-checksum-sha1:AAAA\r\n";
    for (const changed of [good.replace(line, line + line), good.replace(line, ""), good.replace("sha1:", "sha1: ")])
      expect(await refused(read(announced, Buffer.from(changed, "latin1")))).toBe("MalformedTrailerError");
    expect(await refused(read(announced, signedBody(announced.seed, [data])))).toBe("MalformedTrailerError");
  });
});

describe("unsigned chunks", () => {
  const trailer = ["x-amz-checksum-crc32", "AAAAAA=="] as const;
  const head = streamingHead(declaring(UNSIGNED_TRAILER, 100_000, trailer[0]));
  const chunks = [Buffer.alloc(99_990, "x"), Buffer.alloc(10, "y")];

  test("are handed out as they come, however large, and end with their trailer", async () => {
    const body = unsignedBody(chunks, trailer);
    for (const pieceBytes of [1, 1000, 200_000]) {
      const result = await read(head, body, pieceBytes);
      expect(result.data.equals(Buffer.concat(chunks))).toBe(true);
      expect(result.trailer).toEqual({ name: trailer[0], value: trailer[1] });
    }
    expect(await refused(read(head, body.subarray(0, -1)))).toBe("IncompleteBody");
    expect(await refused(read(head, unsignedBody(chunks.slice(0, 1), trailer)))).toBe("IncompleteBody");
  });

  test("may not come over a connection that anybody can write to", async () => {
    const plain = streamingHead(declaring(UNSIGNED_TRAILER, 10, trailer[0]), { secure: false });
    expect(await refused(admit(plain))).toBe("SignatureDoesNotMatch");
  });
});

describe("the headers of a streaming request", () => {
  test("must be signed, every one that says how the body is to be read", async () => {
    const headers = declaring(SIGNED_TRAILER, 10, "x-amz-checksum-sha1");
    for (const except of Object.keys(headers))
      expect(await refused(admit(streamingHead(headers, { except }))), except).toBe("SignatureDoesNotMatch");
    for (const name of [...Object.keys(headers), "content-encoding", "x-amz-storage-class", "host"]) {
      const head = streamingHead(headers);
      const changed = head.headers.map(([header, value]) => [header, header === name ? `${value}1` : value] as const);
      expect(await refused(admit({ ...head, headers: changed })), name).not.toBe("accepted");
      const without = head.headers.filter(([header]) => header !== name);
      expect(await refused(admit({ ...head, headers: without })), name).toBe("SignatureDoesNotMatch");
    }
  });

  test.each([
    ["a whole body", { "x-amz-content-sha256": "0".repeat(64) }],
    ["an unsigned body", { "x-amz-content-sha256": "UNSIGNED-PAYLOAD" }],
    ["another algorithm", declaring("STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD", 10)],
    ["no length", { "x-amz-content-sha256": SIGNED }],
    ["a negative length", declaring(SIGNED, -1)],
    ["a length beyond every object", declaring(SIGNED, 1e15)],
    ["a length in other words", { ...declaring(SIGNED, 1), "x-amz-decoded-content-length": "0x10" }],
    ["a trailer without its name", declaring(SIGNED_TRAILER, 10)],
    ["a name without its trailer", declaring(SIGNED, 10, "x-amz-checksum-sha1")],
    ["two trailers", declaring(SIGNED_TRAILER, 10, "x-amz-checksum-sha1,x-amz-checksum-crc32")],
    ["a trailer that means something else", declaring(SIGNED_TRAILER, 10, "x-amz-acl")],
  ])("%s is refused", async (_name, headers) => {
    expect(await refused(admit(streamingHead(headers)))).toMatch(/^(SignatureDoesNotMatch|IncompleteSignature)$/);
  });

  test("cannot be presigned: such a request has no signature of its headers to begin with", async () => {
    const headers = { host: "s3.amazonaws.com", ...declaring(SIGNED, 10) };
    const presigned = await signedRequest(
      { method: "PUT", path: "/object", headers },
      {
        service: "s3",
        clock: { wallMs: () => EXAMPLE_TIME_MS },
        key: EXAMPLE_KEY,
        presignSeconds: 60,
        unhoistableHeaders: new Set(Object.keys(headers)),
      },
    );
    await expect(authenticator.authenticateStreaming(presigned, S3)).rejects.toMatchObject({
      code: "SignatureDoesNotMatch",
      message: "The request does not declare a streaming payload.",
    });
  });

  test("do not let a streaming body in where whole bodies are taken, even one that is signed right", async () => {
    for (const payload of [SIGNED, SIGNED_TRAILER, UNSIGNED_TRAILER]) {
      const trailer = payload === SIGNED ? undefined : "x-amz-checksum-sha1";
      const head = streamingHead(declaring(payload, 10, trailer));
      const body = signedBody(head.seed, [Buffer.alloc(10)]);
      await expect(authenticator.authenticate({ ...head, body }, S3)).rejects.toMatchObject({
        code: "SignatureDoesNotMatch",
        message: expect.stringContaining("declares an unsigned or streaming payload"),
      });
    }
  });
});
