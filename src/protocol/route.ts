import { asBuffer } from "../base/bytes.ts";
import { ServiceError } from "../base/errors.ts";
import { CBOR_CONTENT_TYPE, cborCodec, encodeCbor, encodeCborError } from "./cbor.ts";
import { compileModel } from "./compiled-model.ts";
import type { CompiledModel } from "./compiled-model.ts";
import { encodeJson, encodeJsonError, JSON_CONTENT_TYPE, jsonCodec } from "./json.ts";
import type { ServiceModel } from "./model.ts";
import { formParameter } from "./query-form.ts";
import { encodeQueryError, queryCodec } from "./query.ts";
import type { Codec, Route, WireRequest } from "./wire.ts";

const FORM_CONTENT_TYPE = "application/x-www-form-urlencoded";
/** Largest body of the query protocol: its largest parameters, policy documents, take some hundred KiB when escaped. */
export const FORM_BYTES_MAX: number = 1024 * 1024;

/** Renders errors of requests that named no operation. */
export type ErrorCodec = Pick<Codec, "encodeError">;

export interface Protocols {
  /**
   * Which operation a request names, by its headers or its form's Action alone: the body is parsed by `codec.decode`,
   * after the caller has been authenticated. AWS's Kinesis parses first and reports a body that does not parse even to
   * unauthenticated callers; doing so would let anybody have large bodies parsed.
   *
   * Throws ServiceError under AWS's names: UnknownOperationException (JSON), InvalidAction and MissingAction (query),
   * AccessDeniedException and MissingAuthenticationToken for requests that name nothing at all. A form of more than
   * FORM_BYTES_MAX is RequestEntityTooLargeException.
   */
  route(request: WireRequest): Route;
  /** For errors before there is a route: in the format that the request's content type speaks, else XML. */
  fallbackCodec(request: WireRequest): ErrorCodec;
  /** One value of any shape of a model: what events of a stream carry. Throws if `model` is not among those served. */
  encodeShape(model: ServiceModel, shapeName: string, value: unknown, format: "json" | "cbor"): Uint8Array;
}

/** Everything between bytes and typed values for these services. What is compiled is kept in the returned object. */
export function createProtocols(models: readonly ServiceModel[]): Protocols {
  const compiled = new Map(models.map((model) => [model, compileModel(model)]));
  const targets = targetIndex([...compiled.values()]);
  const queryModels = [...compiled.values()].filter(({ model }) => model.protocol === "awsQuery");
  const codecs = new Map<string, Codec>();

  const bodyCodec = (service: CompiledModel, operation: string, cbor: boolean): Codec => {
    const name = `${service.model.name}.${operation}.${cbor ? "cbor" : "json"}`;
    let codec = codecs.get(name);
    if (!codec) {
      codec = cbor ? cborCodec(service, operation) : jsonCodec(service, operation);
      codecs.set(name, codec);
    }
    return codec;
  };

  const routeByTarget = (request: WireRequest, cbor: boolean): Route => {
    const target = header(request, "x-amz-target") ?? "";
    const dot = target.lastIndexOf(".");
    // CloudTrail's prefix comes in a long form too: its last dotted part is the short one.
    const prefix = target.slice(0, Math.max(0, dot));
    const service = targets.get(prefix.slice(prefix.lastIndexOf(".") + 1));
    const operation = target.slice(dot + 1);
    if (!service || !Object.hasOwn(service.model.operations, operation)) throw unknownOperation();
    return { model: service.model, operation, codec: bodyCodec(service, operation, cbor) };
  };

  const routeByAction = (request: WireRequest, form: string | Buffer, queryString: string | null): Route => {
    const action = formParameter(form, "Action");
    const version = formParameter(form, "Version");
    if (action === null || action === "") throw missingAction();
    const candidates = queryModels.filter(
      ({ model }) => model.apiVersion === version && Object.hasOwn(model.operations, action),
    );
    const scope = candidates.length > 1 ? scopeService(request) : null;
    const service = candidates.find(({ model }) => scope === null || model.signingName === scope) ?? candidates[0];
    if (!service) throw invalidAction(action, version);
    return { model: service.model, operation: action, codec: queryCodec(service, action, queryString) };
  };

  return {
    route(request) {
      const contentType = mediaType(request);
      if (request.method === "POST" && (isJson(contentType) || contentType === CBOR_CONTENT_TYPE)) {
        return routeByTarget(request, contentType === CBOR_CONTENT_TYPE);
      }
      const query = queryStringOf(request.target);
      // AWS takes the parameters of a POST without a body from its URL, where boto3 puts them when it presigns one.
      const isBare = request.method === "GET" || (request.method === "POST" && request.body.byteLength === 0);
      if (isBare && formParameter(query, "Action") !== null) return routeByAction(request, query, query);
      if (request.method === "POST" && contentType === FORM_CONTENT_TYPE) {
        const { body } = request;
        if (body.byteLength > FORM_BYTES_MAX) throw formTooLarge();
        return routeByAction(request, asBuffer(body), null);
      }
      throw namesNothing(request, query);
    },
    fallbackCodec(request) {
      const contentType = mediaType(request);
      if (contentType === CBOR_CONTENT_TYPE) return { encodeError: (error, id) => encodeCborError(error, id) };
      if (isJson(contentType)) return { encodeError: (error, id) => encodeJsonError(error, id, contentType) };
      return { encodeError: (error, id) => encodeQueryError(error, id) };
    },
    encodeShape(model, shapeName, value, format) {
      const service = compiled.get(model);
      if (!service) throw new Error(`${model.name} is not served`);
      return format === "cbor" ? encodeCbor(service, shapeName, value) : encodeJson(service, shapeName, value);
    },
  };
}

function targetIndex(services: readonly CompiledModel[]): ReadonlyMap<string, CompiledModel> {
  const index = new Map<string, CompiledModel>();
  for (const service of services) {
    const { targetPrefix, protocol } = service.model;
    if (protocol !== "awsQuery") index.set(targetPrefix.slice(targetPrefix.lastIndexOf(".") + 1), service);
  }
  return index;
}

const isJson = (contentType: string): boolean =>
  contentType === JSON_CONTENT_TYPE || contentType === "application/x-amz-json-1.0";

/** The first value of a header; null when it is absent. */
function header(request: WireRequest, name: string): string | null {
  for (const [candidate, value] of request.headers) {
    if (candidate.length === name.length && candidate.toLowerCase() === name) return value;
  }
  return null;
}

/** The content type without parameters, in lower case; empty when absent. */
function mediaType(request: WireRequest): string {
  const value = header(request, "content-type") ?? "";
  const semicolon = value.indexOf(";");
  return (semicolon === -1 ? value : value.slice(0, semicolon)).trim().toLowerCase();
}

function queryStringOf(target: string): string {
  const mark = target.indexOf("?");
  return mark === -1 ? "" : target.slice(mark + 1);
}

/** The service in the credential scope, `AKID/20240501/us-east-1/iam/aws4_request`; null when the request is not signed so. */
function scopeService(request: WireRequest): string | null {
  const inHeader = /Credential=([^,\s]{1,512})/.exec(header(request, "authorization") ?? "")?.[1];
  const credential = inHeader ?? formParameter(queryStringOf(request.target), "X-Amz-Credential");
  return credential?.split("/", 5)[3] ?? null;
}

/** AWS gives no message here. */
const unknownOperation = (): ServiceError => new ServiceError("UnknownOperationException", "");

const formTooLarge = (): ServiceError =>
  new ServiceError(
    "RequestEntityTooLargeException",
    `The request body is longer than ${FORM_BYTES_MAX} bytes, the most that a form may have.`,
    { status: 413 },
  );

const missingAction = (): ServiceError =>
  new ServiceError("MissingAction", "The request is missing an action or a required parameter.");

const ECHO_LENGTH_MAX = 128;

const invalidAction = (action: string, version: string | null): ServiceError =>
  new ServiceError(
    "InvalidAction",
    `Could not find operation ${action.slice(0, ECHO_LENGTH_MAX)} for version ` +
      (version ?? "NO_VERSION_SPECIFIED").slice(0, ECHO_LENGTH_MAX),
  );

/** Neither a target nor an action: a browser, a probe, a wrong method or content type. Recorded from Kinesis. */
function namesNothing(request: WireRequest, query: string): ServiceError {
  const signed = header(request, "authorization") !== null || formParameter(query, "X-Amz-Signature") !== null;
  return signed
    ? new ServiceError("AccessDeniedException", "Unable to determine service/operation name to be authorized", {
        status: 403,
      })
    : new ServiceError("MissingAuthenticationToken", "Missing Authentication Token", { status: 403 });
}
