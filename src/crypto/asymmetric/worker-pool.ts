import type { KeyWorkers } from "./key-workers.ts";

export function createKeyWorkers(): KeyWorkers {
  const notYet = (): never => {
    throw new Error("no workers yet");
  };
  return {
    generate: notYet,
    publicKeyOf: notYet,
    sign: notYet,
    verify: notYet,
    encrypt: notYet,
    decrypt: notYet,
    agree: notYet,
    encapsulate: notYet,
    decapsulate: notYet,
    unwrapImport: notYet,
    forget: () => undefined,
    clear: () => Promise.resolve(),
  };
}
