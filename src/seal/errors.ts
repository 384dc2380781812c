import { ServiceError } from "../base/errors.ts";

export type SealErrorCode =
  | "not-initialized"
  | "already-initialized"
  | "root-key-missing"
  | "root-key-permissions"
  | "root-key-malformed"
  | "root-key-exists"
  | "weak-passphrase"
  | "wrong-root-key"
  | "wrong-provider"
  | "damaged";

/** Why the seal cannot be opened or changed, for the operator: never reaches an API caller, never holds key material. */
export class SealError extends Error {
  readonly code: SealErrorCode;

  constructor(code: SealErrorCode, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = "SealError";
    this.code = code;
  }
}

/** The root key that was offered is not the one this store was initialized with. Nothing was written. */
export class WrongRootKeyError extends SealError {
  constructor(diagnosis: string) {
    super("wrong-root-key", diagnosis);
    this.name = "WrongRootKeyError";
  }
}

/** What a request sees that still runs while the server is being sealed. */
export const sealedError = (): ServiceError =>
  new ServiceError("ServiceUnavailableException", "The server is sealed.", { status: 503 });
