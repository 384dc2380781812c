import { model as cloudtrail } from "../../services/cloudtrail/shapes.generated.ts";
import { model as iam } from "../../services/iam/shapes.generated.ts";
import { model as kinesis } from "../../services/kinesis/shapes.generated.ts";
import { model as kms } from "../../services/kms/shapes.generated.ts";
import { model as sts } from "../../services/sts/shapes.generated.ts";
import { ServiceError } from "../../base/errors.ts";
import { createProtocols } from "../route.ts";
import type { Protocols } from "../route.ts";
import type { WireRequest, WireResponse } from "../wire.ts";

export const REQUEST_ID = "5f1c2a64-0b1e-4a3f-9c55-7d1f0a6b2c3d";

export const allProtocols = (): Protocols => createProtocols([kms, kinesis, iam, sts, cloudtrail]);

export function wireRequest(overrides: Partial<WireRequest>): WireRequest {
  return {
    method: "POST",
    target: "/",
    headers: [],
    body: new Uint8Array(0),
    sourceIp: "127.0.0.1",
    secureTransport: false,
    ...overrides,
  };
}

export function targetRequest(
  target: string,
  body: string | Uint8Array = "{}",
  contentType = "application/x-amz-json-1.1",
): WireRequest {
  return wireRequest({
    headers: [
      ["Content-Type", contentType],
      ["X-Amz-Target", target],
      ["Authorization", "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20240501/us-east-1/kms/aws4_request"],
    ],
    body: Buffer.from(body as string),
  });
}

export const formRequest = (form: string, scope = "iam"): WireRequest =>
  wireRequest({
    headers: [
      ["content-type", "application/x-www-form-urlencoded; charset=utf-8"],
      ["authorization", `AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20240501/us-east-1/${scope}/aws4_request`],
    ],
    body: Buffer.from(form),
  });

export const textOf = (response: WireResponse): string => Buffer.from(response.body).toString("utf8");

/** Runs `attempt` and returns the ServiceError that it throws; anything else fails the test. */
export function serviceErrorOf(attempt: () => unknown): ServiceError {
  try {
    attempt();
  } catch (error) {
    if (error instanceof ServiceError) return error;
    throw error;
  }
  throw new Error("expected a ServiceError");
}

/** The two outcomes that hostile input may have. */
export const CLEAN_OUTCOMES: readonly string[] = ["returned", "refused with a ServiceError"];

/** How an attempt on hostile input ended; any other error becomes its text, which no test accepts. */
export function outcomeOf(attempt: () => unknown): string {
  try {
    attempt();
    return "returned";
  } catch (error) {
    return error instanceof ServiceError ? "refused with a ServiceError" : String(error);
  }
}
