import { createHash, createHmac } from "node:crypto";
import type { WireRequest } from "../../protocol/wire.ts";
import type { TestKey } from "./signer.ts";

/** A client of streaming uploads that shares nothing with the code under test. */

export const EXAMPLE_KEY: TestKey = {
  accessKeyId: "AKIAIOSFODNN7EXAMPLE",
  secret: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
};
export const EXAMPLE_TIME_MS: number = Date.UTC(2013, 4, 24);
export const SIGNED = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD";
export const SIGNED_TRAILER = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER";
export const UNSIGNED_TRAILER = "STREAMING-UNSIGNED-PAYLOAD-TRAILER";

const SCOPE = "20130524/us-east-1/s3/aws4_request";
const TIME = "20130524T000000Z";

const sha256 = (data: Uint8Array | string): string => createHash("sha256").update(data).digest("hex");
const hmac = (key: Uint8Array | string, text: string): Buffer => createHmac("sha256", key).update(text).digest();
const signingKey = SCOPE.split("/").reduce<Uint8Array | string>(hmac, `AWS4${EXAMPLE_KEY.secret}`);
export const signExample = (stringToSign: string): string => hmac(signingKey, stringToSign).toString("hex");

export type Head = Omit<WireRequest, "body">;

/** The request of the S3 documentation's examples, with these headers added; signed over all its headers. */
export function streamingHead(
  added: Readonly<Record<string, string>>,
  options: { readonly secure?: boolean; readonly except?: string } = {},
): Head & { readonly seed: string } {
  const headers: Record<string, string> = {
    host: "s3.amazonaws.com",
    "x-amz-date": TIME,
    "x-amz-storage-class": "REDUCED_REDUNDANCY",
    "content-encoding": "aws-chunked",
    ...added,
  };
  const names = Object.keys(headers)
    .filter((name) => name !== options.except)
    .toSorted();
  const canonical = [
    "PUT",
    "/examplebucket/chunkObject.txt",
    "",
    ...names.map((name) => `${name}:${headers[name]}`),
    "",
    names.join(";"),
    headers["x-amz-content-sha256"] ?? sha256(""),
  ].join("\n");
  const seed = signExample(`AWS4-HMAC-SHA256\n${TIME}\n${SCOPE}\n${sha256(canonical)}`);
  headers["authorization"] =
    `AWS4-HMAC-SHA256 Credential=${EXAMPLE_KEY.accessKeyId}/${SCOPE}, SignedHeaders=${names.join(";")}, Signature=${seed}`;
  return {
    method: "PUT",
    target: "/examplebucket/chunkObject.txt",
    headers: Object.entries(headers),
    sourceIp: "127.0.0.1",
    secureTransport: options.secure ?? true,
    seed,
  };
}

/** Data in chunks of these sizes, signed one after the other from the seed, with the trailer if there is one. */
export function signedBody(seed: string, chunks: readonly Uint8Array[], trailer?: readonly [string, string]): Buffer {
  let previous = seed;
  const signed = (mark: string, ...hashes: readonly string[]): string =>
    (previous = signExample([mark, TIME, SCOPE, previous, ...hashes].join("\n")));
  const parts: (Uint8Array | string)[] = [];
  for (const chunk of chunks) {
    const signature = signed("AWS4-HMAC-SHA256-PAYLOAD", sha256(""), sha256(chunk));
    parts.push(`${chunk.length.toString(16)};chunk-signature=${signature}\r\n`, chunk, "\r\n");
  }
  parts.push(`0;chunk-signature=${signed("AWS4-HMAC-SHA256-PAYLOAD", sha256(""), sha256(""))}\r\n`);
  if (trailer !== undefined) {
    const line = trailer.join(":");
    const signature = signed("AWS4-HMAC-SHA256-TRAILER", sha256(`${line}\n`));
    parts.push(`${line}\r\nx-amz-trailer-signature:${signature}\r\n`);
  }
  return Buffer.concat([...parts, "\r\n"].map((part) => Buffer.from(part)));
}

export function unsignedBody(chunks: readonly Uint8Array[], trailer: readonly [string, string]): Buffer {
  const parts = chunks.flatMap((chunk) => [`${chunk.length.toString(16)}\r\n`, chunk, "\r\n"]);
  return Buffer.concat([...parts, `0\r\n${trailer.join(":")}\r\n\r\n`].map((part) => Buffer.from(part)));
}
