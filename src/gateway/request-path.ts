import type { RefusalCounter } from "../audit/refusals.ts";
import { type Authenticator, isGlobalService } from "../authn/authenticator.ts";
import { internalFailure, ServiceError } from "../base/errors.ts";
import type { Clock } from "../base/clock.ts";
import type { Random } from "../base/random.ts";
import type { ErrorCodec, Protocols } from "../protocol/route.ts";
import type { Route, WireRequest, WireResponse } from "../protocol/wire.ts";
import type { Call } from "./contract.ts";
import type { Operations } from "./operations.ts";

export interface RequestPath {
  readonly protocols: Protocols;
  readonly authenticator: Authenticator;
  readonly operations: Operations;
  readonly refusals: RefusalCounter;
  readonly clock: Clock;
  readonly random: Random;
  /** Where services without Regions (IAM) stand: their calls may be signed for us-east-1 too, wherever they go. */
  readonly region: string;
  /** Told of every authenticated request: when an access key was used last. */
  readonly onAuthenticated: (use: {
    readonly accessKeyId: string;
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
  for (const [name, value] of Object.entries(output)) {
    if (!(value instanceof Uint8Array)) continue;
    const member = model.shapes[shape.members[name] ?? ""];
    if (member?.type === "blob" && member.sensitive) value.fill(0);
  }
}

/** Authenticates the request. A refusal here is counted, not logged one by one: anybody can cause one. */
async function identify(path: RequestPath, route: Route, request: WireRequest, requestId: string): Promise<Call> {
  const nowMs = path.clock.wallMs();
  try {
    const identity = await path.authenticator.authenticate(request, route.model);
    const region = isGlobalService(route.model.signingName) ? path.region : identity.region;
    path.onAuthenticated({ accessKeyId: identity.accessKeyId, service: route.model.name, region, nowMs });
    return {
      requestId,
      principal: identity.principal,
      region,
      service: route.model.name,
      operation: route.operation,
      nowMs,
      sourceIp: request.sourceIp,
      userAgent: headerOf(request, "user-agent") ?? "",
      secureTransport: request.secureTransport,
      ...(request.tls === undefined ? {} : { tls: { ...request.tls, host: headerOf(request, "host") ?? "" } }),
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

function headerOf(request: WireRequest, name: string): string | undefined {
  return request.headers.find(([header]) => header.length === name.length && header.toLowerCase() === name)?.[1];
}
