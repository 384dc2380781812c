import { OperatorError } from "../base/operator-error.ts";

/** What a command tells its user before it exits: a sentence that says what to do next, and the exit code. */
export class CommandError extends Error {
  /** 1: failed; 2: wrong usage; 3: no server is running; 4: the server is sealed. */
  readonly exitCode: number;

  constructor(message: string, exitCode: number) {
    super(message);
    this.name = "CommandError";
    this.exitCode = exitCode;
  }
}

/** What is told about an error that ends a command. The stack only of what nobody expected. */
export function outcomeOf(error: unknown): {
  readonly message: string;
  readonly stack: string | null;
  readonly exitCode: number;
} {
  if (error instanceof CommandError) return { message: error.message, stack: null, exitCode: error.exitCode };
  if (error instanceof OperatorError) return { message: error.message, stack: null, exitCode: 1 };
  if (error instanceof Error) return { message: error.message, stack: error.stack ?? null, exitCode: 1 };
  return { message: String(error), stack: null, exitCode: 1 };
}
