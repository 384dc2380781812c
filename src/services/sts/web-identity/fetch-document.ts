/** Reads a JSON document from an identity provider. Where it lies, an account's administrator chose: nothing of it is trusted. */
import { createHash, X509Certificate } from "node:crypto";
import type { lookup } from "node:dns";
import { request as httpRequest } from "node:http";
import { request as httpsRequest } from "node:https";
import type { RequestOptions } from "node:https";
import { isIP } from "node:net";
import type { LookupFunction } from "node:net";
import { connect } from "node:tls";
import type { DetailedPeerCertificate } from "node:tls";
import type { Clock } from "../../../base/clock.ts";
import { guardedLookup, hostOf, requireHostAllowed } from "./provider-address.ts";
import type { Reach } from "./provider-address.ts";

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

export type FetchDocument = (url: URL, thumbprints: readonly string[], reach: Reach) => Promise<unknown>;

interface Question {
  readonly clock: Clock;
  readonly url: URL;
  /** For the connection: refuses addresses that are out of reach. */
  readonly lookup: LookupFunction;
  readonly left: () => number;
}

/** Throws for anything but an answer of 200 with JSON, in time and within bounds. Redirects are not followed. */
export const createFetchDocument =
  (clock: Clock, resolver?: typeof lookup): FetchDocument =>
  async (url, thumbprints, reach) => {
    requireHostAllowed(url, reach);
    const deadlineMs = clock.monotonicMs() + FETCH_MS_MAX;
    const left = (): number => Math.max(1, deadlineMs - clock.monotonicMs());
    const question: Question = { clock, url, lookup: guardedLookup(reach, resolver), left };
    let text: string;
    try {
      text = await get(question);
    } catch (error) {
      if (!isUnknownAuthority(error) || thumbprints.length === 0) throw error;
      const authority = await authorityByThumbprint(question, thumbprints);
      if (authority === null) throw error;
      text = await get(question, authority);
    }
    return JSON.parse(text) as unknown;
  };

const tooLate = (): Error => new Error("the identity provider did not answer in time");

const isUnknownAuthority = (error: unknown): boolean =>
  error instanceof Error && "code" in error && typeof error.code === "string" && UNKNOWN_AUTHORITY.has(error.code);

/**
 * Without a connection that is kept, or an agent's limits: this is done a few times an hour. Settles in time whatever the other
 * side does: not every end of a request is an error or a response to Node.
 */
function get({ clock, url, lookup, left }: Question, authority?: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const options = {
      method: "GET",
      agent: false,
      lookup,
      headers: { accept: "application/json", "user-agent": "waxseal" },
      maxHeaderSize: 16_384,
      // A provider may hand out an intermediate authority as its last certificate: it is trusted without its root then.
      ...(authority === undefined ? {} : { ca: authority, allowPartialTrustChain: true }),
    } satisfies RequestOptions & { readonly allowPartialTrustChain?: boolean };
    const request = (url.protocol === "https:" ? httpsRequest : httpRequest)(url, options);
    const fail = (error: Error): void => {
      cancel();
      reject(error);
      request.destroy();
    };
    const cancel = clock.after(left(), () => fail(tooLate()));
    let answered = false;
    // Not once: what is destroyed may fail again, and an error that nobody hears ends the process.
    request.on("error", fail);
    request.once("upgrade", (_response, socket) => {
      socket.destroy();
      fail(new Error("the identity provider answered 101"));
    });
    // Of an answered request it may come before the last bytes were read: the response tells then.
    request.once("close", () => {
      if (!answered) fail(new Error("the identity provider closed the connection without an answer"));
    });
    request.once("response", (response) => {
      answered = true;
      response.on("error", fail);
      if (response.statusCode !== 200) return fail(new Error(`the identity provider answered ${response.statusCode}`));
      const chunks: Buffer[] = [];
      let length = 0;
      response.on("data", (chunk: Buffer) => {
        length += chunk.byteLength;
        if (length > DOCUMENT_BYTES_MAX) return fail(new Error("the identity provider's document is too large"));
        chunks.push(chunk);
      });
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
  { clock, url, lookup, left }: Question,
  thumbprints: readonly string[],
): Promise<string | null> {
  return new Promise((resolve, reject) => {
    const host = hostOf(url);
    const port = url.port === "" ? 443 : Number(url.port);
    const named = isIP(host) === 0 ? { servername: host } : {};
    // Nothing is sent or read here but certificates, and what they are good for is decided by their thumbprint.
    const socket = connect({ host, port, lookup, ...named, rejectUnauthorized: false });
    const fail = (error: Error): void => {
      cancel();
      reject(error);
      socket.destroy();
    };
    const cancel = clock.after(left(), () => fail(tooLate()));
    socket.on("error", fail);
    socket.once("close", () => fail(new Error("the identity provider closed the connection")));
    socket.once("secureConnect", () => {
      cancel();
      const wanted = new Set(thumbprints.map((thumbprint) => thumbprint.toLowerCase()));
      const found = chainOf(socket.getPeerCertificate(true)).find((raw) =>
        wanted.has(createHash("sha1").update(raw).digest("hex")),
      );
      resolve(found === undefined ? null : new X509Certificate(found).toString());
      socket.destroy();
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
