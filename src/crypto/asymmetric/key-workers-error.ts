/**
 * Why no answer came, whatever was asked: `busy`, too many jobs wait already (try again later); `ended`, the work was
 * ended by `refuse` or `clear`; `forgotten`, the private key was while the job waited; `died`, a thread did; `failed`, a bug
 * or a key that cannot be what its record says.
 */
export class KeyWorkersError extends Error {
  override readonly name = "KeyWorkersError";
  readonly reason: "busy" | "ended" | "forgotten" | "died" | "failed";

  constructor(reason: KeyWorkersError["reason"], message: string, options?: ErrorOptions) {
    super(message, options);
    this.reason = reason;
  }
}
