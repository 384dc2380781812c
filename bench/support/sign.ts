import { signedHeaders } from "../../client/src/index.ts";

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
  headers: Readonly<Record<string, string>>,
  body: Buffer,
): SignedRequest {
  const { region } = credentials;
  return {
    path: "/",
    body,
    headers: signedHeaders({ endpoint, region, service, credentials, headers, body, nowMs: Date.now() }),
  };
}
