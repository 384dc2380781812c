/** An answer that goes on, as the server holds it: counted part by part, and ended from outside. */
export interface HeldStream {
  /** What is to be delivered; each part counts until the next one is asked for. Fails when a part finds no room. */
  readonly parts: AsyncIterable<Uint8Array>;
  /** The client went away, or the server drains: the source is told, and `parts` ends. Does no harm when repeated. */
  end(): void;
}

export function heldStream(
  stream: AsyncIterable<Uint8Array>,
  room: {
    /** Counts so many bytes; false when there is no room for them. */
    readonly take: (bytes: number) => boolean;
    readonly drop: (bytes: number) => void;
  },
): HeldStream {
  const source = stream[Symbol.asyncIterator]();
  let heldBytes = 0;
  let isEnded = false;
  const flushed = (): void => {
    room.drop(heldBytes);
    heldBytes = 0;
  };
  const end = (): void => {
    if (isEnded) return;
    isEnded = true;
    // What a source has to say about its end matters to nobody any more.
    source.return?.().catch(() => {});
  };
  const next = async (): Promise<IteratorResult<Uint8Array, undefined>> => {
    // What it held is given back with its request, once.
    if (isEnded) return { done: true, value: undefined };
    flushed();
    const { done, value } = await source.next();
    // Whoever ended it has stopped counting.
    if (done === true || isEnded) return { done: true, value: undefined };
    if (!room.take(value.length)) {
      end();
      throw new Error("too many answers wait to be read");
    }
    heldBytes = value.length;
    return { done: false, value };
  };
  return { parts: { [Symbol.asyncIterator]: () => ({ next }) }, end };
}
