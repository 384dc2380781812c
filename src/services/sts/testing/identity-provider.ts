/** An OpenID Connect provider on this machine: a real server with real keys, which can be told to misbehave. */
import { createSign, generateKeyPairSync, type KeyObject, X509Certificate } from "node:crypto";
import { createServer as createHttpServer, type IncomingMessage, type ServerResponse } from "node:http";
import { createServer as createHttpsServer } from "node:https";
import type { AddressInfo } from "node:net";
import { issueCertificate } from "../../../http/certificate.ts";

export interface TestProvider {
  readonly url: string;
  /** Without the scheme: how conditions name it. */
  readonly host: string;
  /** SHA-1 of its own certificate and of the authority's that it sends along; empty without TLS. */
  readonly thumbprints: readonly string[];
  /** Paths that were asked for, in order. */
  readonly asked: string[];
  /** In the place of the regular answers, by path. */
  readonly answers: Map<string, (response: ServerResponse) => void>;
  /** The keys that it publishes. */
  jwks: readonly object[];
  /** A token signed by its RSA key, with the usual claims but for what is given. */
  token(claims?: object, header?: object, signWith?: KeyObject): string;
  readonly rsa: { readonly publicKey: KeyObject; readonly privateKey: KeyObject };
  readonly ec: { readonly publicKey: KeyObject; readonly privateKey: KeyObject };
  close(): Promise<void>;
}

const encoded = (value: object): string => Buffer.from(JSON.stringify(value)).toString("base64url");

/** `nowMs` dates the tokens. */
export async function startProvider(
  nowMs: number,
  { tls = false }: { readonly tls?: boolean } = {},
): Promise<TestProvider> {
  const rsa = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const ec = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const asked: string[] = [];
  const answers: TestProvider["answers"] = new Map();
  const regular: Record<string, () => object> = {
    "/.well-known/openid-configuration": () => ({ issuer: provider.url, jwks_uri: `${provider.url}/keys` }),
    "/keys": () => ({ keys: provider.jwks }),
  };
  const handle = (request: IncomingMessage, response: ServerResponse): void => {
    const path = request.url ?? "";
    asked.push(path);
    const special = answers.get(path);
    if (special !== undefined) return special(response);
    response.statusCode = regular[path] === undefined ? 404 : 200;
    response.end(JSON.stringify(regular[path]?.() ?? {}));
  };
  const day = 86_400_000;
  const issued = issueCertificate({
    caName: "Test",
    hosts: ["127.0.0.1"],
    notBeforeMs: nowMs - day,
    notAfterMs: nowMs + day,
  });
  const server = tls
    ? createHttpsServer({ key: issued.key, cert: issued.cert + issued.ca }, handle)
    : createHttpServer(handle);
  await new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const host = `127.0.0.1:${port}`;
  const sha1 = (pem: string): string => new X509Certificate(pem).fingerprint.replaceAll(":", "").toLowerCase();
  const provider: TestProvider = {
    url: `${tls ? "https" : "http"}://${host}`,
    host,
    thumbprints: tls ? [sha1(issued.cert), sha1(issued.ca)] : [],
    asked,
    answers,
    rsa,
    ec,
    jwks: [
      { ...rsa.publicKey.export({ format: "jwk" }), kid: "rsa-1", use: "sig", alg: "RS256" },
      { ...ec.publicKey.export({ format: "jwk" }), kid: "ec-1", use: "sig", alg: "ES256" },
    ],
    token(claims = {}, header = {}, signWith = rsa.privateKey) {
      const nowSeconds = Math.floor(nowMs / 1000);
      const payload = {
        iss: provider.url,
        sub: "repo:acme/app",
        aud: "sts.amazonaws.com",
        iat: nowSeconds,
        exp: nowSeconds + 300,
        ...claims,
      };
      const input = `${encoded({ alg: "RS256", kid: "rsa-1", typ: "JWT", ...header })}.${encoded(payload)}`;
      const signature = createSign("sha256").update(input).sign({ key: signWith, dsaEncoding: "ieee-p1363" });
      return `${input}.${signature.toString("base64url")}`;
    },
    close: () => new Promise((resolve) => void (server.closeAllConnections(), server.close(() => resolve()))),
  };
  return provider;
}
