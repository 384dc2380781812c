import type { RefusalCounter } from "../audit/refusals.ts";
import { type Authenticator, isGlobalService } from "../authn/authenticator.ts";
import { internalFailure, ServiceError } from "../base/errors.ts";
import type { Clock } from "../base/clock.ts";
import type { Random } from "../base/random.ts";
import type { ErrorCodec, Protocols } from "../protocol/route.ts";
import type { Route, WireRequest, WireResponse } from "../protocol/wire.ts";
import type { Call, Principal, Service } from "./contract.ts";
import type { Operations } from "./operations.ts";
import { refuseClosedToSession } from "./temporary-sessions.ts";

/** A web identity token of 20,000 characters and a session policy, percent-encoded: all that an unsigned request can have. */
const UNSIGNED_BODY_BYTES_MAX = 131_072;

export interface RequestPath {
  readonly protocols: Protocols;
  readonly authenticator: Authenticator;
  /** By name: which operations take requests without a signature. */
  readonly services: ReadonlyMap<string, Service>;
  readonly operations: Operations;
  readonly refusals: RefusalCounter;
  readonly clock: Clock;
  readonly random: Random;
  /** Where services without Regions (IAM) stand: their calls may be signed for us-east-1 too, wherever they go. */
  readonly region: string;
  /** Told of every authenticated request: when an access key, or the role of a session, was used last. */
  readonly onAuthenticated: (use: {
    readonly accessKeyId: string;
    readonly principal: Principal;
    readonly service: string;
    readonly region: string;
    readonly nowMs: number;
  }) => void;
  /** Told of every answer with status 500 and above that was not meant (the log). Never sees the request's body. */
  readonly onFailure: (failure: {
    readonly requestId: string;
    readonly operation: string;
    readonly cause: unknown;
  }) => void;
}

/**
 * The walk of one request, from its bytes to the bytes of its answer. This is the only way to a handler from outside:
 * which operation, who is it, what does it say, may they, do it, write it down, answer.
 */
export async function answer(path: RequestPath, request: WireRequest): Promise<WireResponse> {
  const requestId = path.random.uuid();
  let codec: ErrorCodec = path.protocols.fallbackCodec(request);
  let operation = "unknown";
  try {
    const route = path.protocols.route(request);
    codec = route.codec;
    operation = `${route.model.name}.${route.operation}`;
    const call = await identify(path, route, request, requestId);
    const output = await path.operations.run(call, () => route.codec.decode(request.body));
    const response = route.codec.encode(output as Readonly<Record<string, unknown>>, requestId);
    overwriteSecrets(route, output as Readonly<Record<string, unknown>>);
    return response;
  } catch (error) {
    const refusal = error instanceof ServiceError ? error : internalFailure(error);
    if (refusal.status >= 500) path.onFailure({ requestId, operation, cause: refusal.cause ?? refusal });
    return codec.encodeError(refusal, requestId);
  }
}

/** Plaintext keys and the like are encoded now: their bytes need not wait for the garbage collector. */
function overwriteSecrets({ model, operation }: Route, output: Readonly<Record<string, unknown>>): void {
  const shape = model.shapes[model.operations[operation]?.output ?? ""];
  if (shape?.type !== "structure") return;
  for (const name of Object.keys(output)) {
    const value = output[name];
    if (!(value instanceof Uint8Array)) continue;
    const member = model.shapes[shape.members[name] ?? ""];
    if (member?.type === "blob" && member.sensitive) value.fill(0);
  }
}

/** Authenticates the request. A refusal here is counted, not logged one by one: anybody can cause one. */
async function identify(path: RequestPath, route: Route, request: WireRequest, requestId: string): Promise<Call> {
  const nowMs = path.clock.wallMs();
  try {
    const { principal, region } = await whoCalls(path, route, request, nowMs);
    refuseClosedToSession(principal, route.model.name, route.operation);
    return {
      requestId,
      principal,
      region,
      service: route.model.name,
      operation: route.operation,
      nowMs,
      sourceIp: request.sourceIp,
      userAgent: headerOf(request, "user-agent") ?? "",
      referer: headerOf(request, "referer"),
      secureTransport: request.secureTransport,
      tls: request.tls === undefined ? undefined : { ...request.tls, host: headerOf(request, "host") ?? "" },
    };
  } catch (error) {
    if (error instanceof ServiceError) {
      await path.refusals.recordRefusal({
        sourceIp: request.sourceIp,
        errorCode: error.code,
        eventSource: route.model.eventSource,
        eventName: route.operation,
        nowMs,
      });
    }
    throw error;
  }
}

/** By the signature or, where the operation says so, by what the request carries in its place. */
async function whoCalls(
  path: RequestPath,
  route: Route,
  request: WireRequest,
  nowMs: number,
): Promise<{ readonly principal: Principal; readonly region: string }> {
  const { model, operation } = route;
  const identifyByInput = path.services.get(model.name)?.operations[operation]?.identify;
  if (identifyByInput !== undefined) {
    if (request.body.byteLength > UNSIGNED_BODY_BYTES_MAX) {
      throw new ServiceError("RequestEntityTooLargeException", "The request body is too large.", { status: 413 });
    }
    return { principal: await identifyByInput(route.codec.decode(request.body)), region: path.region };
  }
  const identity = await path.authenticator.authenticate(request, model);
  const region = isGlobalService(model.signingName) ? path.region : identity.region;
  const { accessKeyId, principal } = identity;
  path.onAuthenticated({ accessKeyId, principal, service: model.name, region, nowMs });
  return { principal, region };
}

function headerOf(request: WireRequest, name: string): string | undefined {
  for (const [header, value] of request.headers) {
    if (header.length === name.length && header.toLowerCase() === name) return value;
  }
  return undefined;
}
