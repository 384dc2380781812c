import { ServiceError } from "../base/errors.ts";

/** AWS reports no more than this many violations of one request. */
const VIOLATION_COUNT_MAX = 10;
/** Longest value that a message echoes. */
export const ECHO_LENGTH_MAX = 2048;

/** Where a value stands, from the inside out. Turned into text only when it is needed. */
export interface Path {
  readonly parent: Path | null;
  /** A member name, a map key, or an index counted from 1. */
  readonly segment: string | number;
}

/** `records.1.member.partitionKey`: member names begin in lower case; `member` follows an index or a map key. */
function formatPath(path: Path): string {
  const segments: string[] = [];
  for (let at: Path | null = path; at; at = at.parent) segments.push(String(at.segment));
  return segments.toReversed().join(".");
}

export const lowerFirst = (name: string): string => name.charAt(0).toLowerCase() + name.slice(1);

/** Collects what is wrong with one request, in the order in which it is found, and words it as AWS does. */
export class Violations {
  readonly #texts: string[] = [];

  get full(): boolean {
    return this.#texts.length >= VIOLATION_COUNT_MAX;
  }

  get count(): number {
    return this.#texts.length;
  }

  /** `echo`: the value as text; null leaves it out (secrets, record contents, blobs). */
  add(path: Path, echo: string | null, constraint: string): void {
    if (this.full) return;
    this.#texts.push(`Value ${quote(echo)}at '${formatPath(path)}' failed to satisfy constraint: ${constraint}`);
  }

  addNull(path: Path): void {
    if (this.full) return;
    this.#texts.push(`Value null at '${formatPath(path)}' failed to satisfy constraint: Member must not be null`);
  }

  /** The error for all of them; `code` differs between the JSON and the query protocols. */
  toError(code: string): ServiceError {
    const count = this.#texts.length;
    return new ServiceError(
      code,
      `${count} validation error${count === 1 ? "" : "s"} detected: ${this.#texts.join("; ")}`,
    );
  }
}

function quote(echo: string | null): string {
  if (echo === null) return "";
  return echo.length > ECHO_LENGTH_MAX ? `'${echo.slice(0, ECHO_LENGTH_MAX)}...' ` : `'${echo}' `;
}
