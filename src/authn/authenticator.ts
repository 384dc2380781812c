import { hash, timingSafeEqual } from "node:crypto";
import type { Clock } from "../base/clock.ts";
import type { Principal } from "../gateway/contract.ts";
import type { ProtocolName } from "../protocol/model.ts";
import type { WireRequest } from "../protocol/wire.ts";
import { type ChunkedBody, type ChunkSigner, createChunkedBody } from "./chunked-body.ts";
import {
  canonicalHeaders,
  canonicalObjectPath,
  canonicalPath,
  canonicalQuery,
  parseQuery,
  splitTarget,
} from "./canonical-request.ts";
import type { CanonicalHeaders, QueryParameter } from "./canonical-request.ts";
import { headerThatHolds, refuseUncovered } from "./coverage.ts";
import type { Credential, CredentialSource } from "./credentials.ts";
import {
  expiredSession,
  invalidSignature,
  Refusal,
  refusalAsServiceError,
  signatureMismatch,
  unknownKey,
} from "./errors.ts";
import {
  ALGORITHM,
  createKnownParts,
  readSignatureParameters,
  SIGNATURE_PARAMETER,
  type SignatureParameters,
} from "./signature-parameters.ts";
import { refuseOutsideWindow } from "./signature-time.ts";
import { createSigningKeys, type SigningKeys } from "./signing-keys.ts";
import { isUnhashedPayload, readStreamingDeclaration, type StreamingDeclaration } from "./streaming-declaration.ts";

const TERMINATOR = "aws4_request";
const CLOCK_SKEW_MS_DEFAULT = 5 * 60_000;

/** The region in which the SDKs sign for services that have one endpoint for all regions. */
const GLOBAL_REGION = "us-east-1";
const GLOBAL_SIGNING_NAMES: ReadonlySet<string> = new Set(["iam", "sts", "organizations"]);

/** Whether a service has no Regions: its requests may be signed for any Region served, and for us-east-1. */
export const isGlobalService = (signingName: string): boolean => GLOBAL_SIGNING_NAMES.has(signingName);

export interface AuthenticatorOptions {
  readonly credentials: CredentialSource;
  /** Real time. Never the clock that test hooks move: callers sign with the time of their own machines. */
  readonly signatureClock: Clock;
  /** Regions that this server answers for. */
  readonly regions: readonly string[];
}

/** What a signature must have been made for. A `ServiceModel` is one. */
export interface ExpectedSignature {
  readonly signingName: string;
  /** Decides how a refusal is called. */
  readonly protocol: ProtocolName;
  /** How far the caller's clock may be off; default 5 minutes. */
  readonly clockSkewMs?: number;
  /** "object": the path names an object as S3's do, and is signed as it is. Default: normalised. */
  readonly pathForm?: "normalised" | "object";
}

export interface Identity {
  readonly principal: Principal;
  /** Of the credential scope: one of the server's regions, or us-east-1 for a global service. */
  readonly region: string;
  readonly accessKeyId: string;
  readonly carriedIn: "header" | "query";
}

/** A request of which the body has not been read yet. */
export type RequestHead = Omit<WireRequest, "body">;

export interface StreamingIdentity extends Identity {
  readonly declaration: StreamingDeclaration;
  /** Reads the body and verifies it, chunk by chunk. Nothing is authentic before its `end` returned. */
  readonly body: ChunkedBody;
}

export interface Authenticator {
  /**
   * Verifies the Signature Version 4 of a whole request, in its headers or presigned. The body is always hashed: unsigned
   * and streaming payloads are refused. Throws a ServiceError named as the protocol names it.
   */
  authenticate(request: WireRequest, expected: ExpectedSignature): Promise<Identity>;
  /**
   * The same for a request whose headers declare a body in signed chunks, or in unsigned ones over HTTPS, before the body is
   * read: for services that take such bodies. Refuses every other request, so that there is one way in for each kind.
   */
  authenticateStreaming(
    request: RequestHead,
    expected: ExpectedSignature,
    options?: { readonly signedChunkBytesMax?: number },
  ): Promise<StreamingIdentity>;
  /** Overwrites all derived keys: when the server is sealed, and on shutdown. */
  forgetKeys(): void;
}

export function createAuthenticator(options: AuthenticatorOptions): Authenticator {
  const regions = new Set(options.regions);
  const signingKeys = createSigningKeys(options.signatureClock);
  const knownParts = createKnownParts();
  const isRegionOf = (region: string, signingName: string): boolean =>
    regions.has(region) || (region === GLOBAL_REGION && isGlobalService(signingName));

  /** All that holds for a request whatever becomes of its body, whose place in the canonical request `payloadOf` fills. */
  const admit = async (
    request: RequestHead,
    expected: ExpectedSignature,
    payloadOf: (headers: CanonicalHeaders, parameters: SignatureParameters) => string,
  ): Promise<Admitted> => {
    const target = splitTarget(request.target);
    const query = parseQuery(target.query);
    if (query === null) throw invalidSignature("The query string holds a percent sign without two hexadecimal digits.");
    const path = expected.pathForm === "object" ? canonicalObjectPath(target.path) : canonicalPath(target.path);
    if (path === null) throw invalidSignature("The path holds a percent sign without two hexadecimal digits.");
    const headers = canonicalHeaders(request.headers);
    const parameters = readSignatureParameters(headers, query, knownParts);
    refuse(refuseWrongScope(parameters, expected.signingName, isRegionOf));
    refuse(
      refuseOutsideWindow(parameters.time, {
        nowMs: options.signatureClock.wallMs(),
        clockSkewMs: expected.clockSkewMs ?? CLOCK_SKEW_MS_DEFAULT,
        ...(parameters.expiresMs === null ? {} : { expiresMs: parameters.expiresMs }),
      }),
    );
    refuse(refuseUncovered(headers, parameters));
    const credential = await findCredential(options.credentials, parameters);
    const payload = payloadOf(headers, parameters);
    verifySignature({ request, path, query, headers, parameters, payload }, credential, signingKeys);
    if (credential.session?.hasExpired()) throw expiredSession();
    return { credential, parameters };
  };

  return {
    async authenticate(request, expected) {
      try {
        return identityOf(await admit(request, expected, (headers) => hashOfWholeBody(headers, request.body)));
      } catch (error) {
        throw named(error, expected);
      }
    },
    async authenticateStreaming(request, expected, { signedChunkBytesMax } = {}) {
      try {
        const declared: { declaration?: StreamingDeclaration } = {};
        const admitted = await admit(request, expected, (headers, { carriedIn }) => {
          const declaration =
            carriedIn === "header" ? readStreamingDeclaration(headers, request.secureTransport) : null;
          if (declaration === null) throw invalidSignature("The request does not declare a streaming payload.");
          declared.declaration = declaration;
          return declaration.payload;
        });
        const { declaration } = declared;
        if (declaration === undefined) throw new Error("admitted without a declaration");
        const signer = chunkSigner(admitted, signingKeys);
        const body = createChunkedBody({
          declaration,
          signer,
          ...(signedChunkBytesMax === undefined ? {} : { signedChunkBytesMax }),
        });
        return { ...identityOf(admitted), declaration, body };
      } catch (error) {
        throw named(error, expected);
      }
    },
    forgetKeys: () => signingKeys.forget(),
  };
}

interface Admitted {
  readonly credential: Credential;
  readonly parameters: SignatureParameters;
}

/** A refusal in the words of the service's protocol. */
const named = (error: unknown, expected: ExpectedSignature): unknown =>
  error instanceof Refusal ? refusalAsServiceError(error, expected.protocol) : error;

const identityOf = ({ credential, parameters }: Admitted): Identity => ({
  principal: credential.principal,
  region: parameters.scope.region,
  accessKeyId: credential.accessKeyId,
  carriedIn: parameters.carriedIn,
});

const scopeText = ({ scope }: SignatureParameters): string =>
  `${scope.date}/${scope.region}/${scope.service}/${TERMINATOR}`;

const chunkSigner = ({ credential, parameters }: Admitted, signingKeys: SigningKeys): ChunkSigner => ({
  seedSignature: parameters.signature ?? "",
  time: parameters.time.text,
  scope: scopeText(parameters),
  sign: (stringToSign) => signingKeys.sign(credential, parameters.scope, stringToSign),
});

function refuse(refusal: Refusal | null): void {
  if (refusal !== null) throw refusal;
}

/** The scope must be that of this service, here, on the day of the signature. AWS says all that is wrong with it at once. */
function refuseWrongScope(
  { scope, terminator, time }: SignatureParameters,
  signingName: string,
  isRegionOf: (region: string, signingName: string) => boolean,
): Refusal | null {
  const faults: string[] = [];
  if (!isRegionOf(scope.region, signingName))
    faults.push(`Credential should be scoped to a valid region, not '${scope.region}'. `);
  if (scope.service !== signingName) faults.push(`Credential should be scoped to correct service: '${signingName}'. `);
  if (terminator !== TERMINATOR)
    faults.push(`Credential should be scoped with a valid terminator: '${TERMINATOR}', not '${terminator}'. `);
  if (scope.date !== time.text.slice(0, 8)) {
    faults.push(
      "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: " +
        `'${scope.date}' != '${time.text.slice(0, 8)}', from '${time.text}'.`,
    );
  }
  return faults.length === 0 ? null : invalidSignature(faults.join(""));
}

/**
 * The credential that may sign such a request. Whether a key exists is no secret: its answer differs from that to a wrong
 * signature, as AWS's does, so nothing is spent on making the two take equal time.
 */
async function findCredential(source: CredentialSource, parameters: SignatureParameters): Promise<Credential> {
  const { accessKeyId, sessionToken } = parameters;
  if (accessKeyId === null) throw unknownKey();
  const credential = await source.find(accessKeyId, sessionToken ?? undefined);
  if (credential === null || !credential.active) throw unknownKey();
  const { session } = credential;
  // A long-term key takes no token, a temporary one goes nowhere without its own.
  if ((session === undefined) !== (sessionToken === null)) throw unknownKey();
  if (session !== undefined && (sessionToken === null || !session.tokenMatches(sessionToken))) throw unknownKey();
  return credential;
}

/** The SHA-256 of the body, which a header may repeat but not replace. */
function hashOfWholeBody(headers: CanonicalHeaders, body: Uint8Array): string {
  const payloadHash = hash("sha256", body, "hex");
  const declared = headers.values.get("x-amz-content-sha256");
  if (declared === undefined || declared === payloadHash) return payloadHash;
  throw invalidSignature(
    isUnhashedPayload(declared)
      ? "The value of 'x-amz-content-sha256' declares an unsigned or streaming payload: this service takes bodies only whose " +
          "SHA-256 is signed with the request."
      : "The value of 'x-amz-content-sha256' is not the SHA-256 of the body: this service takes signed bodies only.",
  );
}

interface SignedRequest {
  readonly request: RequestHead;
  /** Canonical. */
  readonly path: string;
  readonly query: readonly QueryParameter[];
  readonly headers: CanonicalHeaders;
  readonly parameters: SignatureParameters;
  /** The last line of the canonical request. */
  readonly payload: string;
}

function verifySignature(signed: SignedRequest, credential: Credential, signingKeys: SigningKeys): void {
  const { request, headers, parameters } = signed;
  const canonicalRequest =
    `${request.method}\n${signed.path}\n${canonicalQuery(signed.query, SIGNATURE_PARAMETER)}\n` +
    `${headerLines(headers, parameters.signedHeaders)}\n${parameters.signedHeaders.join(";")}\n${signed.payload}`;
  const stringToSign =
    `${ALGORITHM}\n${parameters.time.text}\n${scopeText(parameters)}\n` +
    hash("sha256", Buffer.from(canonicalRequest, "latin1"), "hex");
  const expected = signingKeys.sign(credential, parameters.scope, stringToSign);
  if (
    parameters.signature === null ||
    !timingSafeEqual(Buffer.from(expected, "latin1"), Buffer.from(parameters.signature, "latin1"))
  ) {
    throw signatureMismatch(canonicalRequest, stringToSign);
  }
}

function headerLines(headers: CanonicalHeaders, signedHeaders: readonly string[]): string {
  let lines = "";
  for (const name of signedHeaders) lines += `${name}:${headers.values.get(headerThatHolds(name)) ?? ""}\n`;
  return lines;
}
