import type { Socket } from "node:net";

/** The place of one request among those of its HTTP/1.1 connection. */
export interface Place {
  /** Calls `start` once every request before this one has left. To be called once. */
  whenFirst(start: () => void): void;
  /** The answer is flushed, or will never be. Does no harm when repeated. */
  leave(): void;
}

/** Lets the requests of one HTTP/1.1 connection be handled one at a time, in the order of their arrival. */
export interface Pipeline {
  /** `gone` is called when the connection closes before the request has left. */
  enter(gone: () => void): Place;
}

interface Entry {
  start: (() => void) | null;
  readonly gone: () => void;
}

/**
 * A client may pipeline requests without reading answers. Were they all handled on arrival, as many answers would wait in
 * memory; this way it is one.
 */
export function createPipeline(socket: Socket): Pipeline {
  const entries: Entry[] = [];
  // node tells only the response that has the socket of its end, not those that wait for it.
  socket.once("close", () => {
    for (const entry of entries.splice(0)) entry.gone();
  });
  return {
    enter(gone) {
      const entry: Entry = { start: null, gone };
      entries.push(entry);
      return {
        whenFirst(start) {
          entry.start = start;
          if (entries[0] === entry && !socket.destroyed) start();
        },
        // A response's "close" comes before its socket's: the next request must not start in between.
        leave() {
          const at = entries.indexOf(entry);
          if (at < 0) return;
          entries.splice(at, 1);
          if (at === 0 && !socket.destroyed) entries[0]?.start?.();
        },
      };
    },
  };
}
