import { movableClock, type MovableClock } from "../../base/clock.ts";
import { ServiceError } from "../../base/errors.ts";
import type { WireRequest } from "../../protocol/wire.ts";
import { createAuthenticator, type Authenticator, type ExpectedSignature } from "../authenticator.ts";
import { fixedCredentials, TEST_KEY, TEST_REGION, type SdkRequest } from "./signer.ts";

export const KMS: ExpectedSignature = { signingName: "kms", protocol: "awsJson1.1" };
export const IAM: ExpectedSignature = { signingName: "iam", protocol: "awsQuery" };

export const JSON_CALL: SdkRequest = {
  headers: { "content-type": "application/x-amz-json-1.1", "x-amz-target": "TrentService.ListKeys" },
  body: new TextEncoder().encode('{"Limit":10}'),
};

export interface AuthenticatorFixture {
  readonly clock: MovableClock;
  readonly authenticator: Authenticator;
  /** What the request is refused with; throws when it is accepted. */
  readonly refusal: (request: WireRequest, expected?: ExpectedSignature, by?: Authenticator) => Promise<ServiceError>;
}

/** An authenticator for one key in two regions, on a clock that stands still. */
export function authenticatorFixture(): AuthenticatorFixture {
  const clock = movableClock();
  const authenticator = createAuthenticator({
    credentials: fixedCredentials([TEST_KEY]),
    signatureClock: clock,
    regions: [TEST_REGION, "eu-central-1"],
  });
  const refusal = async (request: WireRequest, expected = KMS, by = authenticator): Promise<ServiceError> => {
    try {
      await by.authenticate(request, expected);
    } catch (error) {
      if (error instanceof ServiceError) return error;
      throw error;
    }
    throw new Error("the request was accepted");
  };
  return { clock, authenticator, refusal };
}

/** The request with one header replaced, or taken out. */
export const withHeader = (request: WireRequest, name: string, value: string | null): WireRequest => ({
  ...request,
  headers: [
    ...request.headers.filter(([header]) => header !== name),
    ...(value === null ? [] : [[name, value] as const]),
  ],
});

export const authorizationOf = (request: WireRequest): string =>
  request.headers.find(([name]) => name === "authorization")?.[1] ?? "";
