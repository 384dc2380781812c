/** Reads a JSON document from an identity provider. Where it lies, an account's administrator chose: nothing of it is trusted. */
import { createHash, X509Certificate } from "node:crypto";
import { request as httpRequest } from "node:http";
import { request as httpsRequest } from "node:https";
import type { RequestOptions } from "node:https";
import { connect } from "node:tls";
import type { DetailedPeerCertificate } from "node:tls";
import type { Clock } from "../../../base/clock.ts";

/** From the first packet to the last byte. */
export const FETCH_MS_MAX = 5_000;
/** A hundred RSA keys of 4,096 bits with their certificates take some 250 KB. */
export const DOCUMENT_BYTES_MAX = 262_144;
const CHAIN_LENGTH_MAX = 10;

/** The certificate is not signed by an authority that this machine trusts: then thumbprints decide, as on AWS. */
const UNKNOWN_AUTHORITY: ReadonlySet<string> = new Set([
  "DEPTH_ZERO_SELF_SIGNED_CERT",
  "SELF_SIGNED_CERT_IN_CHAIN",
  "UNABLE_TO_GET_ISSUER_CERT",
  "UNABLE_TO_GET_ISSUER_CERT_LOCALLY",
  "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
]);

const LOOPBACK: ReadonlySet<string> = new Set(["127.0.0.1", "[::1]", "localhost"]);

/** Null unless the address is one that may be asked: HTTPS, or HTTP on this very machine. */
export function providerUrl(text: string): URL | null {
  if (!URL.canParse(text)) return null;
  const url = new URL(text);
  if (url.username !== "" || url.password !== "") return null;
  const plain = url.protocol === "http:" && LOOPBACK.has(url.hostname);
  return url.protocol === "https:" || plain ? url : null;
}

export type FetchDocument = (url: URL, thumbprints: readonly string[]) => Promise<unknown>;

/** Throws for anything but an answer of 200 with JSON, in time and within bounds. Redirects are not followed. */
export const createFetchDocument =
  (clock: Clock): FetchDocument =>
  async (url, thumbprints) => {
    const deadline = { atMs: clock.monotonicMs() + FETCH_MS_MAX };
    const left = (): number => Math.max(1, deadline.atMs - clock.monotonicMs());
    let text: string;
    try {
      text = await get(clock, url, left());
    } catch (error) {
      if (!isUnknownAuthority(error) || thumbprints.length === 0) throw error;
      const authority = await authorityByThumbprint(clock, url, thumbprints, left());
      if (authority === null) throw error;
      text = await get(clock, url, left(), authority);
    }
    return JSON.parse(text) as unknown;
  };

const isUnknownAuthority = (error: unknown): boolean =>
  error instanceof Error && "code" in error && typeof error.code === "string" && UNKNOWN_AUTHORITY.has(error.code);

/** Without a connection that is kept, or an agent's limits: this is done a few times an hour. */
function get(clock: Clock, url: URL, msMax: number, authority?: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const options = {
      method: "GET",
      agent: false,
      headers: { accept: "application/json", "user-agent": "waxseal" },
      maxHeaderSize: 16_384,
      // A provider may hand out an intermediate authority as its last certificate: it is trusted without its root then.
      ...(authority === undefined ? {} : { ca: authority, allowPartialTrustChain: true }),
    } satisfies RequestOptions & { readonly allowPartialTrustChain?: boolean };
    const request = (url.protocol === "https:" ? httpsRequest : httpRequest)(url, options);
    const cancel = clock.after(msMax, () => request.destroy(new Error("the identity provider did not answer in time")));
    const fail = (error: Error): void => {
      cancel();
      request.destroy();
      reject(error);
    };
    request.once("error", fail);
    request.once("response", (response) => {
      if (response.statusCode !== 200) return fail(new Error(`the identity provider answered ${response.statusCode}`));
      const chunks: Buffer[] = [];
      let length = 0;
      response.on("data", (chunk: Buffer) => {
        length += chunk.byteLength;
        if (length > DOCUMENT_BYTES_MAX) return fail(new Error("the identity provider's document is too large"));
        chunks.push(chunk);
      });
      response.once("error", fail);
      response.once("close", () => {
        if (!response.complete) return fail(new Error("the identity provider's answer broke off"));
        cancel();
        resolve(Buffer.concat(chunks).toString("utf8"));
      });
    });
    request.end();
  });
}

/**
 * The certificate, as PEM, that the provider shows in its chain and that has one of the thumbprints. The connection it is
 * taken from carries no request: the document is fetched over a second one, which trusts that certificate alone.
 */
function authorityByThumbprint(
  clock: Clock,
  url: URL,
  thumbprints: readonly string[],
  msMax: number,
): Promise<string | null> {
  return new Promise((resolve, reject) => {
    const host = url.hostname.replace(/^\[|\]$/g, "");
    const port = url.port === "" ? 443 : Number(url.port);
    const named = /^[\d.]+$|:/.test(host) ? {} : { servername: host };
    // Nothing is sent or read here but certificates, and what they are good for is decided by their thumbprint.
    const socket = connect({ host, port, ...named, rejectUnauthorized: false });
    const cancel = clock.after(msMax, () => socket.destroy(new Error("the identity provider did not answer in time")));
    socket.once("error", (error) => {
      cancel();
      reject(error);
    });
    socket.once("secureConnect", () => {
      cancel();
      const wanted = new Set(thumbprints.map((thumbprint) => thumbprint.toLowerCase()));
      const found = chainOf(socket.getPeerCertificate(true)).find((raw) =>
        wanted.has(createHash("sha1").update(raw).digest("hex")),
      );
      socket.destroy();
      resolve(found === undefined ? null : new X509Certificate(found).toString());
    });
  });
}

function chainOf(leaf: DetailedPeerCertificate): readonly Buffer[] {
  const chain: Buffer[] = [];
  let certificate: DetailedPeerCertificate | undefined = leaf;
  while (certificate?.raw !== undefined && chain.length < CHAIN_LENGTH_MAX) {
    chain.push(certificate.raw);
    // A self-signed one names itself.
    certificate = certificate.issuerCertificate === certificate ? undefined : certificate.issuerCertificate;
  }
  return chain;
}
