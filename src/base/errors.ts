/**
 * The one error type that reaches a caller. A service lists its own errors as small functions that return one; each wire
 * protocol renders it; nothing else maps errors. Whatever is thrown and is not a ServiceError is a bug: the caller sees
 * `InternalFailure` and a request id, the log sees the cause.
 */
export class ServiceError extends Error {
  /** The wire name, e.g. `NotFoundException`. */
  readonly code: string;
  /** Whose fault: decides between `Sender` and `Receiver` in the query protocol, and whether a client may retry. */
  readonly fault: "client" | "server";
  readonly status: number;
  /** Set on denials: which principal, action, resource, and what decided. Goes to the audit trail. */
  readonly details: Readonly<Record<string, unknown>> | undefined;
  /** Further members of the error's own shape, sent beside the message: `Reason` in Organizations. */
  readonly members: Readonly<Record<string, string>> | undefined;

  constructor(
    code: string,
    message: string,
    options: {
      readonly status?: number;
      readonly fault?: "client" | "server";
      readonly cause?: unknown;
      readonly details?: Readonly<Record<string, unknown>>;
      readonly members?: Readonly<Record<string, string>>;
    } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = "ServiceError";
    this.code = code;
    this.status = options.status ?? 400;
    this.fault = options.fault ?? (this.status >= 500 ? "server" : "client");
    this.details = options.details;
    this.members = options.members;
  }
}

export const validationError = (message: string): ServiceError => new ServiceError("ValidationException", message);

/** `SerializationException`: the body does not parse, or a value has the wrong type. Never echoes the body. */
export const serializationError = (message: string): ServiceError =>
  new ServiceError("SerializationException", message);

export const internalFailure = (cause: unknown): ServiceError =>
  new ServiceError(
    "InternalFailure",
    "The request processing has failed because of an unknown error, exception or failure.",
    {
      status: 500,
      cause,
    },
  );
