import { expect, test } from "vitest";
import { heldStream } from "./held-stream.ts";

test("gives nothing back, and asks for nothing, once it was ended", async () => {
  let heldBytes = 0;
  let asked = 0;
  const source = {
    [Symbol.asyncIterator]: () => ({
      next: async (): Promise<IteratorResult<Uint8Array>> => {
        asked += 1;
        return { done: false, value: new Uint8Array(10) };
      },
    }),
  };
  const held = heldStream(source, {
    take(bytes) {
      heldBytes += bytes;
      return true;
    },
    drop: (bytes) => (heldBytes -= bytes),
  });
  const parts = held.parts[Symbol.asyncIterator]();
  await parts.next();
  held.end();
  expect((await parts.next()).done).toBe(true);
  expect([heldBytes, asked]).toEqual([10, 1]);
});
