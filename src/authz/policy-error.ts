/** What is wrong with a policy document. The services turn it into their own code and wording. */
export type PolicyErrorCode =
  | "TooLong"
  | "TooComplex"
  | "NotJson"
  | "DuplicateKey"
  | "MissingElement"
  | "UnknownElement"
  | "ForbiddenElement"
  | "WrongType"
  | "InvalidVersion"
  | "InvalidSid"
  | "DuplicateSid"
  | "InvalidEffect"
  | "InvalidPrincipal"
  | "InvalidAction"
  | "InvalidResource"
  | "InvalidCondition"
  | "InvalidVariable"
  | "OverlyPermissiveCondition";

/** The longest piece of the caller's own text that a message repeats. */
const QUOTED_LENGTH_MAX = 80;

/** A policy document that was refused. Its message is meant for the author of the document and repeats at most what stands in it. */
export class PolicyError extends Error {
  readonly code: PolicyErrorCode;
  /** Where in the document, e.g. `Statement[0].Principal.AWS[1]`; empty for the document itself. */
  readonly path: string;

  constructor(code: PolicyErrorCode, path: string, message: string) {
    super(path === "" ? message : `${path}: ${message}`);
    this.name = "PolicyError";
    this.code = code;
    this.path = path;
  }
}

/** A piece of the document as a message may repeat it: quoted, shortened, without control characters. */
export function quoted(text: string): string {
  const short = text.length > QUOTED_LENGTH_MAX ? `${text.slice(0, QUOTED_LENGTH_MAX)}...` : text;
  return JSON.stringify(short);
}
