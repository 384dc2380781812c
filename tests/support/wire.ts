import { createHash, createHmac } from "node:crypto";
import { type Agent, request as httpRequest } from "node:http";
import type { Credentials } from "./server.ts";

/** A request as it goes over the wire: the tests' own client, so that every byte of it can be wrong. */
export interface RawRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array;
}

export interface RawResponse {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
  readonly body: Buffer;
}

const sha256 = (data: Uint8Array | string): string => createHash("sha256").update(data).digest("hex");
const hmac = (key: Uint8Array | string, data: string): Buffer => createHmac("sha256", key).update(data).digest();

/** Signs with Signature Version 4 in headers. All given headers are signed. */
export function sign(
  request: RawRequest,
  options: {
    readonly endpoint: string;
    readonly credentials: Credentials;
    readonly region: string;
    readonly service: string;
    readonly nowMs?: number;
  },
): RawRequest {
  const date = new Date(options.nowMs ?? Date.now()).toISOString().replaceAll(/[-:]|\.\d{3}/g, "");
  const scope = `${date.slice(0, 8)}/${options.region}/${options.service}/aws4_request`;
  const headers: Record<string, string> = {
    ...request.headers,
    host: new URL(options.endpoint).host,
    "x-amz-date": date,
  };
  const names = Object.keys(headers)
    .map((name) => name.toLowerCase())
    .toSorted();
  const canonical = [
    request.method,
    request.path,
    "",
    ...names.map((name) => `${name}:${(headers[name] ?? "").trim()}`),
    "",
    names.join(";"),
    sha256(request.body),
  ].join("\n");
  const toSign = ["AWS4-HMAC-SHA256", date, scope, sha256(canonical)].join("\n");
  const { accessKeyId, secretAccessKey } = options.credentials;
  const key = scope
    .split("/")
    .reduce<Uint8Array | string>((secret, part) => hmac(secret, part), `AWS4${secretAccessKey}`);
  const signature = hmac(key, toSign).toString("hex");
  headers["authorization"] =
    `AWS4-HMAC-SHA256 Credential=${accessKeyId}/${scope}, SignedHeaders=${names.join(";")}, Signature=${signature}`;
  return { ...request, headers };
}

/** A call of a JSON (or CBOR) service, unsigned. */
export const targeted = (
  target: string,
  body: Uint8Array | string,
  contentType = "application/x-amz-json-1.1",
): RawRequest => ({
  method: "POST",
  path: "/",
  headers: { "content-type": contentType, "x-amz-target": target },
  body: typeof body === "string" ? Buffer.from(body, "utf8") : body,
});

/** Sends over HTTP/1.1 and takes the whole answer. Rejects when none comes within `timeoutMs`. */
export async function send(
  endpoint: string,
  request: RawRequest,
  { agent, timeoutMs = 15_000 }: { readonly agent?: Agent; readonly timeoutMs?: number } = {},
): Promise<RawResponse> {
  return new Promise((resolve, reject) => {
    const outgoing = httpRequest(
      endpoint,
      {
        method: request.method,
        path: request.path,
        headers: { ...request.headers, "content-length": String(request.body.length) },
        signal: AbortSignal.timeout(timeoutMs),
        ...(agent === undefined ? {} : { agent }),
      },
      (response) => {
        const chunks: Buffer[] = [];
        response.on("data", (chunk: Buffer) => chunks.push(chunk));
        response.once("error", reject);
        response.once("end", () =>
          resolve({ status: response.statusCode ?? 0, headers: response.headers, body: Buffer.concat(chunks) }),
        );
      },
    );
    outgoing.once("error", reject);
    outgoing.end(request.body);
  });
}

/** The error code of an answer, in whichever protocol it came; null for a success. */
export function errorCode(response: RawResponse): string | null {
  if (response.status < 300) return null;
  const header = response.headers["x-amzn-errortype"];
  if (typeof header === "string" && header !== "") return header.replace(/[:,].*$/s, "").replace(/^.*#/, "");
  const body = response.body.toString("latin1");
  return (
    /"__type"\s*:\s*"(?:[^"#]*#)?([^"]+)"/.exec(body)?.[1] ?? /<Code>([^<]+)<\/Code>/.exec(body)?.[1] ?? "(no code)"
  );
}
