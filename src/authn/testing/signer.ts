import { createHash, createHmac } from "node:crypto";
import { SignatureV4 } from "@smithy/signature-v4";
import type { Clock } from "../../base/clock.ts";
import type { WireRequest } from "../../protocol/wire.ts";
import type { Credential, CredentialSource } from "../credentials.ts";

/** The hash that the SDK's signer asks for, on node:crypto. */
class Sha256 {
  #hash: { update(data: Uint8Array | string): unknown; digest(): Buffer };

  constructor(secret?: string | ArrayBuffer | ArrayBufferView) {
    this.#hash =
      secret === undefined
        ? createHash("sha256")
        : createHmac("sha256", typeof secret === "string" ? secret : bytesOf(secret));
  }
  update(data: Uint8Array | string): void {
    this.#hash.update(data);
  }
  async digest(): Promise<Uint8Array> {
    return this.#hash.digest();
  }
  reset(): void {}
}

const bytesOf = (data: ArrayBuffer | ArrayBufferView): Uint8Array =>
  ArrayBuffer.isView(data) ? new Uint8Array(data.buffer, data.byteOffset, data.byteLength) : new Uint8Array(data);

export interface TestKey {
  readonly accessKeyId: string;
  readonly secret: string;
  readonly sessionToken?: string;
}

export const TEST_KEY: TestKey = { accessKeyId: "AKIDEXAMPLE", secret: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY" };
export const TEST_REGION = "us-east-1";

/** A request in the SDK's terms: decoded query, one value per header. */
export interface SdkRequest {
  readonly method?: string;
  readonly path?: string;
  readonly query?: Record<string, string | string[]>;
  readonly headers?: Record<string, string>;
  readonly body?: Uint8Array;
}

export interface SigningChoice {
  readonly service: string;
  readonly clock: Pick<Clock, "wallMs">;
  readonly key?: TestKey;
  readonly region?: string;
  /** Presign instead, valid for so many seconds. */
  readonly presignSeconds?: number;
  /** Default true; false for S3, whose paths are signed as they are. */
  readonly uriEscapePath?: boolean;
  /** Headers that a presigned request keeps, where the SDK would move them into the query. */
  readonly unhoistableHeaders?: ReadonlySet<string>;
  /** Adds `x-amz-content-sha256`; default true, as for the SDK. */
  readonly applyChecksum?: boolean;
}

/** The AWS SDK's own signer. */
export function sdkSigner(choice: SigningChoice): SignatureV4 {
  const key = choice.key ?? TEST_KEY;
  return new SignatureV4({
    service: choice.service,
    region: choice.region ?? TEST_REGION,
    sha256: Sha256,
    applyChecksum: choice.applyChecksum ?? true,
    uriEscapePath: choice.uriEscapePath ?? true,
    credentials: {
      accessKeyId: key.accessKeyId,
      secretAccessKey: key.secret,
      ...(key.sessionToken === undefined ? {} : { sessionToken: key.sessionToken }),
    },
  });
}

/** Signs with it and returns what would arrive on the wire. */
export async function signedRequest(request: SdkRequest, choice: SigningChoice): Promise<WireRequest> {
  const signer = sdkSigner(choice);
  const signingDate = new Date(choice.clock.wallMs());
  const body = request.body ?? new Uint8Array();
  const toSign = {
    method: request.method ?? "POST",
    protocol: "http:",
    hostname: "localhost",
    path: request.path ?? "/",
    query: request.query ?? {},
    headers: { host: "localhost:8780", ...request.headers },
    body,
  };
  const signed =
    choice.presignSeconds === undefined
      ? await signer.sign(toSign, { signingDate })
      : await signer.presign(toSign, {
          signingDate,
          expiresIn: choice.presignSeconds,
          unhoistableHeaders: new Set(choice.unhoistableHeaders),
        });
  return {
    method: signed.method,
    target: Buffer.from(signed.path, "utf8").toString("latin1") + queryString(signed.query ?? {}),
    headers: Object.entries(signed.headers).map(
      ([name, value]) => [name, Buffer.from(value, "utf8").toString("latin1")] as const,
    ),
    body,
    sourceIp: "127.0.0.1",
    secureTransport: false,
  };
}

function queryString(query: Readonly<Record<string, string | string[] | null>>): string {
  const pairs = Object.entries(query).flatMap(([name, value]) =>
    (Array.isArray(value) ? value : [value ?? ""]).map(
      (one) => `${encodeURIComponent(name)}=${encodeURIComponent(one)}`,
    ),
  );
  return pairs.length === 0 ? "" : `?${pairs.join("&")}`;
}

/** Credentials that stand still. Counts how often a secret was opened. */
export function fixedCredentials(
  keys: readonly (TestKey & { readonly active?: boolean; readonly hasExpired?: () => boolean })[],
): CredentialSource & { readonly openedCount: () => number } {
  let opened = 0;
  const credentialOf = (key: (typeof keys)[number]): Credential => ({
    accessKeyId: key.accessKeyId,
    openSecret: () => {
      opened += 1;
      return new TextEncoder().encode(key.secret);
    },
    active: key.active ?? true,
    principal: {
      type: "User",
      arn: "arn:aws:iam::123456789012:user/ann",
      accountId: "123456789012",
      userId: "AIDAEXAMPLE",
      userName: "ann",
      accessKeyId: key.accessKeyId,
    },
    version: key.secret.slice(0, 4),
    ...(key.sessionToken === undefined
      ? {}
      : {
          session: {
            tokenMatches: (token: string) => token === key.sessionToken,
            hasExpired: key.hasExpired ?? (() => false),
          },
        }),
  });
  return {
    find: async (accessKeyId) => {
      const key = keys.find((one) => one.accessKeyId === accessKeyId);
      return key === undefined ? null : credentialOf(key);
    },
    openedCount: () => opened,
  };
}
