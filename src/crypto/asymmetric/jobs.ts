import type { ImportWrapping, MessageKind, PairSpec, RsaEncryptionAlgorithm, SigningAlgorithm } from "./key-workers.ts";

/** What passes between the main thread and the key threads. All bytes are handed over, none is copied on the way. */

type Bytes = Uint8Array<ArrayBuffer>;

/** What a thread can be asked to do. Where a job needs a private key, that comes along, or is held there already. */
export type Job =
  | { readonly do: "generate"; readonly spec: PairSpec }
  | { readonly do: "publicKeyOf"; readonly spec: PairSpec; readonly privateKey: Bytes }
  | {
      readonly do: "sign";
      readonly spec: PairSpec;
      readonly algorithm: SigningAlgorithm;
      readonly kind: MessageKind;
      readonly message: Bytes;
    }
  | {
      readonly do: "verify";
      readonly spec: PairSpec;
      readonly publicKey: Bytes;
      readonly algorithm: SigningAlgorithm;
      readonly kind: MessageKind;
      readonly message: Bytes;
      readonly signature: Bytes;
    }
  | {
      readonly do: "encrypt";
      readonly publicKey: Bytes;
      readonly algorithm: RsaEncryptionAlgorithm;
      readonly plaintext: Bytes;
    }
  | { readonly do: "decrypt"; readonly algorithm: RsaEncryptionAlgorithm; readonly ciphertext: Bytes }
  | { readonly do: "agree"; readonly spec: PairSpec; readonly peer: Bytes }
  | { readonly do: "encapsulate"; readonly spec: PairSpec; readonly publicKey: Bytes }
  | { readonly do: "decapsulate"; readonly spec: PairSpec; readonly ciphertext: Bytes }
  | { readonly do: "unwrapImport"; readonly wrapping: ImportWrapping; readonly wrapped: Bytes };

/** The private key of a job: its PKCS#8 is there unless the thread holds the key from before. */
export interface JobKey {
  readonly id: string;
  readonly pkcs8: Bytes | null;
}

/** To a thread. */
export type Request =
  | { readonly type: "job"; readonly number: number; readonly job: Job; readonly key: JobKey | null }
  | { readonly type: "drop"; readonly ids: readonly string[] }
  /** Overwrite everything and end. */
  | { readonly type: "end" };

export type Outcome = null | boolean | Bytes | readonly [Bytes, Bytes];

/** From a thread. */
export type Reply =
  | { readonly type: "done"; readonly number: number; readonly outcome: Outcome }
  /** Says where it failed, but not the message, which could quote what is secret. */
  | { readonly type: "failed"; readonly number: number; readonly where: string };

/** Which kind of work a thread is for. */
export type ThreadRole = "operations" | "generation";

export interface ThreadData {
  readonly role: ThreadRole;
  /** See SharedNumber. */
  readonly shared: Int32Array<SharedArrayBuffer>;
}

/** Numbers that both sides see at once, even while the thread is at work. */
export const SharedNumber = {
  /** Not 0 once the thread is to end: jobs that wait are no longer done, and what comes out is no longer handed over. */
  ending: 0,
  /** The operating system's number for the thread; 0 where that is not known. */
  threadId: 1,
} as const;
/** How many there are. */
export const SHARED_NUMBERS = 2;

/** The parts of a message that are bytes: what is transferred with it, and overwritten after use. */
export function bytesIn(message: object | boolean | null): readonly Bytes[] {
  if (message === null || typeof message === "boolean") return [];
  const parts: readonly unknown[] = message instanceof Uint8Array ? [message] : Object.values(message);
  return parts.filter((part): part is Bytes => part instanceof Uint8Array);
}
