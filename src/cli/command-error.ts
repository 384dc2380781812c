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
