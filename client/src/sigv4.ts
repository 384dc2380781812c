/** Signatures of version 4 (AWS General Reference, "Signature Version 4 signing process") for POST requests to `/`. */
import { createHash, createHmac } from "node:crypto";

export interface Credentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  /** Of temporary credentials. */
  readonly sessionToken?: string;
}

export interface Signing {
  readonly endpoint: URL;
  readonly region: string;
  /** The service in the credential scope: `kinesis`. */
  readonly service: string;
  readonly credentials: Credentials;
  /** Own headers of the request, names in lower case. All are signed. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array;
  readonly nowMs: number;
}

const sha256 = (data: string | Uint8Array): string => createHash("sha256").update(data).digest("hex");
const hmac = (key: string | Uint8Array, data: string): Uint8Array =>
  createHmac("sha256", key).update(data, "utf8").digest();

/** All headers of the signed request. */
export function signedHeaders(signing: Signing): Readonly<Record<string, string>> {
  const { endpoint, region, service, credentials, body } = signing;
  const stamp = new Date(signing.nowMs).toISOString().replace(/[-:]|\.\d{3}/g, "");
  const day = stamp.slice(0, 8);
  const scope = `${day}/${region}/${service}/aws4_request`;
  const { sessionToken } = credentials;
  const headers: Record<string, string> = {
    ...signing.headers,
    host: endpoint.host,
    "x-amz-date": stamp,
    ...(sessionToken === undefined ? {} : { "x-amz-security-token": sessionToken }),
  };
  const signed = Object.keys(headers).sort();
  const canonical = [
    "POST",
    "/",
    "",
    ...signed.map((name) => `${name}:${headers[name]}`),
    "",
    signed.join(";"),
    sha256(body),
  ].join("\n");
  const key = ["aws4_request", service, region, day].reduceRight<string | Uint8Array>(
    (secret, part) => hmac(secret, part),
    `AWS4${credentials.secretAccessKey}`,
  );
  const text = ["AWS4-HMAC-SHA256", stamp, scope, sha256(canonical)].join("\n");
  const signature = Buffer.from(hmac(key, text)).toString("hex");
  return {
    ...headers,
    "content-length": String(body.byteLength),
    authorization:
      `AWS4-HMAC-SHA256 Credential=${credentials.accessKeyId}/${scope}, ` +
      `SignedHeaders=${signed.join(";")}, Signature=${signature}`,
  };
}
