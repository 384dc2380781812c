import { createHash, createHmac } from "node:crypto";

export interface BenchCredentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly region: string;
}

export interface SignedRequest {
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
}

const sha256 = (data: string | Buffer): string => createHash("sha256").update(data).digest("hex");
const hmac = (key: string | Buffer, data: string): Buffer => createHmac("sha256", key).update(data).digest();

/**
 * A JSON request with a signature of version 4. The load driver signs a request once and sends it many times, so that its
 * own work does not compete with the server's for the machine.
 */
export function signJson(
  endpoint: URL,
  credentials: BenchCredentials,
  service: string,
  target: string,
  input: Readonly<Record<string, unknown>>,
): SignedRequest {
  const headers = { "content-type": "application/x-amz-json-1.1", "x-amz-target": target };
  return sign(endpoint, credentials, service, headers, Buffer.from(JSON.stringify(input), "utf8"));
}

/** The same for the query protocol (IAM, STS). */
export function signQuery(
  endpoint: URL,
  credentials: BenchCredentials,
  service: string,
  parameters: Readonly<Record<string, string>>,
): SignedRequest {
  const headers = { "content-type": "application/x-www-form-urlencoded; charset=utf-8" };
  return sign(endpoint, credentials, service, headers, Buffer.from(new URLSearchParams(parameters).toString(), "utf8"));
}

function sign(
  endpoint: URL,
  credentials: BenchCredentials,
  service: string,
  own: Readonly<Record<string, string>>,
  body: Buffer,
): SignedRequest {
  const stamp = new Date().toISOString().replace(/[-:]|\.\d{3}/g, "");
  const day = stamp.slice(0, 8);
  const scope = `${day}/${credentials.region}/${service}/aws4_request`;
  const headers: Record<string, string> = { ...own, host: endpoint.host, "x-amz-date": stamp };
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
  const key = ["aws4_request", service, credentials.region, day].reduceRight<string | Buffer>(
    (secret, part) => hmac(secret, part),
    `AWS4${credentials.secretAccessKey}`,
  );
  const signature = hmac(key, ["AWS4-HMAC-SHA256", stamp, scope, sha256(canonical)].join("\n")).toString("hex");
  return {
    path: "/",
    body,
    headers: {
      ...headers,
      "content-length": String(body.length),
      authorization: [
        `AWS4-HMAC-SHA256 Credential=${credentials.accessKeyId}/${scope}`,
        `SignedHeaders=${signed.join(";")}`,
        `Signature=${signature}`,
      ].join(", "),
    },
  };
}
