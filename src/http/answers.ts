import type { WireResponse } from "../protocol/wire.ts";

/** Answers that the HTTP server gives by itself. It knows no AWS protocol: the JSON form tells most SDKs a name. */
function answer(
  status: number,
  type: string,
  message: string,
  headers: Readonly<Record<string, string>> = {},
): WireResponse {
  return {
    status,
    headers: { "content-type": "application/json", ...headers },
    body: Buffer.from(JSON.stringify({ __type: type, message })),
  };
}

export const badRequest = (message: string): WireResponse => answer(400, "BadRequestException", message);

export const bodyTooLarge = (bytesMax: number): WireResponse =>
  answer(413, "RequestEntityTooLargeException", `The request body is longer than ${bytesMax} bytes.`);

export const tooManyHeaders = (countMax: number): WireResponse =>
  answer(431, "RequestHeaderFieldsTooLargeException", `The request has more than ${countMax} headers.`);

/** Nothing was done: every SDK repeats it. */
export const overloaded = (): WireResponse =>
  answer(503, "ServiceUnavailableException", "Too many requests are being answered. Try again.", {
    "retry-after": "1",
  });

export const internalError = (): WireResponse =>
  answer(
    500,
    "InternalFailure",
    "The request processing has failed because of an unknown error, exception or failure.",
  );

export const healthAnswer = (health: { readonly status: number; readonly body: object }): WireResponse => ({
  status: health.status,
  headers: { "content-type": "application/json", "cache-control": "no-store" },
  body: Buffer.from(JSON.stringify(health.body)),
});
