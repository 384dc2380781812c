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
  const body = Buffer.from(JSON.stringify(input), "utf8");
  const stamp = new Date().toISOString().replace(/[-:]|\.\d{3}/g, "");
  const day = stamp.slice(0, 8);
  const scope = `${day}/${credentials.region}/${service}/aws4_request`;
  const headers: Record<string, string> = {
    "content-type": "application/x-amz-json-1.1",
    host: endpoint.host,
    "x-amz-date": stamp,
    "x-amz-target": target,
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
