import { Writable } from "node:stream";
import { expect, test } from "vitest";
import { movableClock } from "../base/clock.ts";
import { deliver } from "./delivery.ts";
import { pause } from "./testing/connect.ts";

const BODY = Buffer.from(Uint8Array.from({ length: 300_000 }, (_, at) => at % 251));

test("a slow reader gets the whole body as long as a piece goes out in time; then the deadline is off", async () => {
  const clock = movableClock();
  const taken: Buffer[] = [];
  let stalledCount = 0;
  const slow = new Writable({
    write(chunk: Buffer, _encoding, done) {
      taken.push(chunk);
      clock.advance(900);
      setImmediate(done);
    },
  });
  const finished = new Promise((done) => slow.on("finish", done));
  deliver(slow, BODY, { clock, stallMsMax: 1000, stalled: () => (stalledCount += 1) });
  await finished;
  expect(Buffer.concat(taken).equals(BODY)).toBe(true);
  clock.advance(10_000);
  expect(stalledCount).toBe(0);
});

test("a reader that stops is given up once, and only the piece under way was handed over", async () => {
  const clock = movableClock();
  let takenBytes = 0;
  let stalledCount = 0;
  const stuck = new Writable({
    write(chunk: Buffer) {
      takenBytes += chunk.length;
    },
  });
  deliver(stuck, BODY, {
    clock,
    stallMsMax: 1000,
    stalled: () => {
      stalledCount += 1;
      stuck.destroy();
    },
  });
  clock.advance(999);
  expect(stalledCount).toBe(0);
  clock.advance(1);
  await pause(1);
  clock.advance(10_000);
  expect([stalledCount, takenBytes < BODY.length]).toEqual([1, true]);
});
