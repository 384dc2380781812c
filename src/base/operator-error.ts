/**
 * What whoever runs Waxseal can mend: a sentence that says what is wrong and what to do next. Not a bug, so no stack is
 * shown for it. Holds no secret.
 */
export class OperatorError extends Error {
  constructor(message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = "OperatorError";
  }
}

/** The code of an error of the operating system (`EACCES`), or null. */
export const systemErrorCode = (error: unknown): string | null =>
  error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : null;

const MENDED_BY: Readonly<Record<string, string>> = {
  EACCES: "Let the user that runs Waxseal own it, or name another place.",
  EPERM: "Let the user that runs Waxseal own it, or name another place.",
  EROFS: "It lies on a file system that is read-only: name another place.",
  ENOSPC: "The disk is full: make room, or name another place.",
  EDQUOT: "The quota of the disk is used up: make room, or name another place.",
  EEXIST: "It is there already and is something else: name another place.",
  ENOTDIR: "A part of the path is not a directory: name another place.",
  EISDIR: "It is a directory, and a file is needed: name another place.",
  ENOENT: "It does not exist: check the path.",
};

/** What a refusal of the file system says to the operator; null for every other error. */
export function fileSystemRefusal(error: unknown): OperatorError | null {
  const code = systemErrorCode(error);
  const mended = code === null ? undefined : MENDED_BY[code];
  if (mended === undefined || !(error instanceof Error) || !("path" in error) || typeof error.path !== "string")
    return null;
  return new OperatorError(`${error.path} cannot be used (${code}). ${mended}`, error);
}
