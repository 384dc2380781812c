import type { ServiceError } from "../base/errors.ts";
import type { DecodedInput, ServiceModel } from "./model.ts";

/** A request as it came off the wire, whole, before anything was decoded. */
export interface WireRequest {
  readonly method: string;
  /** The request target exactly as sent, path and query: signatures are computed over it. */
  readonly target: string;
  /** Names and values in the order received, names as sent; `:authority` of HTTP/2 appears as `host`. */
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly body: Uint8Array;
  readonly sourceIp: string;
  readonly secureTransport: boolean;
  readonly tls?: { readonly version: string; readonly cipherSuite: string };
}

export interface WireResponse {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  /** Empty where there is a `stream`. */
  readonly body: Uint8Array;
  /**
   * An answer that goes on: sent after the head, one piece asked for when the one before was flushed. `return()` is called when
   * the client goes away or the server drains, and has to end a `next()` that is under way. Pieces are overwritten once flushed.
   */
  readonly stream?: AsyncIterable<Uint8Array>;
}

/** How one request is decoded and its answer encoded: a protocol (JSON, CBOR, query) bound to one operation. */
export interface Codec {
  /** Decodes and checks: types (SerializationException), then constraints (ValidationException in AWS's words). */
  decode(body: Uint8Array): DecodedInput;
  /** Encodes an output. Adds content type; the gateway adds the request id headers through `requestId`. */
  encode(output: Readonly<Record<string, unknown>>, requestId: string): WireResponse;
  encodeError(error: ServiceError, requestId: string): WireResponse;
}

/** Which operation a request names, and in which protocol. */
export interface Route {
  readonly model: ServiceModel;
  /** Wire name; present in `model.operations`. */
  readonly operation: string;
  readonly codec: Codec;
}
