import { PassThrough } from "node:stream";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { WireRequest, WireResponse } from "../protocol/wire.ts";
import { COPIED_BYTES_MAX, FRAME_KIND, FrameError, type Frame, FrameReader, FrameWriter, openFrame } from "./frames.ts";
import { answerFrame, readAnswer, readRequest, requestFrame } from "./wire-frames.ts";

const BYTES_MAX = 1024 * 1024;

/** What a reader makes of these bytes when they arrive in pieces that end at the given places. */
function readIn(bytes: Uint8Array, cuts: readonly number[], bytesMax: number = BYTES_MAX): readonly Frame[] {
  const frames: Frame[] = [];
  const reader = new FrameReader(bytesMax, ({ kind, id, payload }) => {
    frames.push({ kind, id, payload: Buffer.from(payload) });
  });
  const ends = [...new Set([...cuts.map((cut) => cut % (bytes.length + 1)), bytes.length])].sort((a, b) => a - b);
  let at = 0;
  for (const end of ends) {
    reader.push(Buffer.from(bytes.subarray(at, end)));
    at = end;
  }
  return frames;
}

const field = fc.string({ unit: "binary", maxLength: 40 }).map((text) => text.replaceAll("\n", ""));
const headerList = fc.array(fc.tuple(field, field), { maxLength: 20 });
const body = fc.oneof(fc.uint8Array({ maxLength: 200 }), fc.constant(new Uint8Array(COPIED_BYTES_MAX + 1).fill(7)));
const secured = fc.option(fc.record({ version: fc.constant("TLSv1.3"), cipherSuite: field }), { nil: undefined });
const request: fc.Arbitrary<WireRequest> = fc
  .record({ method: field, target: field, headers: headerList, body, sourceIp: field, tls: secured })
  .map(({ tls, ...rest }) => ({ ...rest, secureTransport: tls !== undefined, ...(tls === undefined ? {} : { tls }) }));
const ids = fc.integer({ min: 0, max: 0xffff_ffff });

describe("frames", () => {
  test("arrive as they were sent, whatever pieces the pipe makes of them", () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(ids, request), { maxLength: 6 }),
        fc.array(fc.nat(), { maxLength: 12 }),
        (sent, cuts) => {
          const bytes = Buffer.concat(sent.flatMap(([id, each]) => requestFrame(id, each)));
          const frames = readIn(bytes, cuts);
          expect(frames.map(({ id }) => id)).toEqual(sent.map(([id]) => id));
          for (const [at, [, each]] of sent.entries()) {
            const read = readRequest(frames[at]?.payload as Buffer);
            expect({ ...read, body: null }).toEqual({ ...each, body: null });
            expect(Buffer.compare(read?.body ?? Buffer.alloc(1), each.body)).toBe(0);
          }
        },
      ),
    );
  });

  test("of answers, too, with status, headers in order and whether they go on", () => {
    const headers = fc.uniqueArray(fc.tuple(fc.stringMatching(/^[a-z][a-z-]*$/), field), {
      selector: ([name]) => name,
    });
    fc.assert(
      fc.property(
        ids,
        fc.integer({ min: 100, max: 599 }),
        headers,
        body,
        fc.boolean(),
        (id, status, list, bytes, goesOn) => {
          const sent: WireResponse = { status, headers: Object.fromEntries(list), body: bytes };
          const stream = (async function* () {})();
          const pieces = answerFrame(id, goesOn ? { ...sent, stream } : sent);
          const [frame] = readIn(Buffer.concat(pieces), []);
          const read = readAnswer(frame?.payload as Buffer);
          expect(read.goesOn).toBe(goesOn);
          expect(read.answer.status).toBe(status);
          expect(Object.entries(read.answer.headers)).toEqual(Object.entries(sent.headers));
          expect(Buffer.compare(read.answer.body, bytes)).toBe(0);
        },
      ),
    );
  });

  test("that are garbage are refused as such, or read as something harmless; nothing else is thrown", () => {
    const refusal = (run: () => unknown): void => {
      try {
        run();
      } catch (error) {
        expect(error).toBeInstanceOf(FrameError);
      }
    };
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), fc.array(fc.nat()), (bytes, cuts) => {
        refusal(() => readIn(bytes, cuts, 1000));
        refusal(() => readRequest(Buffer.from(bytes)));
        refusal(() => readAnswer(Buffer.from(bytes)));
      }),
      { numRuns: 1000 },
    );
    // A byte of a real one is something else: nearer to what a confused sender would send.
    fc.assert(
      fc.property(request, fc.nat(), fc.nat({ max: 255 }), (each, at, byte) => {
        const bytes = Buffer.concat(requestFrame(1, each));
        bytes[at % bytes.length] = byte;
        refusal(() => {
          for (const { payload } of readIn(bytes, [], BYTES_MAX)) readRequest(payload);
        });
      }),
    );
  });

  test("that claim more than is allowed are refused before their payload comes", () => {
    const head = openFrame(FRAME_KIND.request, 1, 0);
    head.writeUInt32LE(BYTES_MAX + 1, 0);
    expect(() => readIn(head, [])).toThrow(FrameError);
    head.writeUInt32LE(BYTES_MAX, 0);
    expect(readIn(head, [])).toEqual([]);
  });

  test("hold no header that a line break made: the request is nobody's, the answer an error", () => {
    const forged = { method: "POST", target: "/", headers: [["a", "b\nx-forged\nc"]] as const, body: Buffer.alloc(0) };
    const [frame] = readIn(Buffer.concat(requestFrame(1, { ...forged, sourceIp: "", secureTransport: false })), []);
    expect(readRequest(frame?.payload as Buffer)).toBeNull();
    const [answer] = readIn(
      Buffer.concat(answerFrame(1, { status: 200, headers: { a: "b\nc" }, body: Buffer.alloc(0) })),
      [],
    );
    expect(() => readAnswer(answer?.payload as Buffer)).toThrow(FrameError);
  });

  test("of one turn are written together, and overwritten after that where they have to be", () => {
    const pipe = new PassThrough();
    const written: Buffer[][] = [];
    pipe._writev = (chunks, done) => {
      written.push(chunks.map(({ chunk }) => Buffer.from(chunk as Buffer)));
      done();
    };
    const turns: (() => void)[] = [];
    const writer = new FrameWriter(pipe, (run) => turns.push(run));
    const secret = Buffer.from("secret");
    writer.send([Buffer.from("one"), Buffer.from("two")]);
    writer.send([secret], true);
    expect([turns.length, written.length, writer.unreadBytes]).toEqual([1, 0, 12]);
    turns[0]?.();
    expect(written.map((pieces) => Buffer.concat(pieces).toString())).toEqual(["onetwosecret"]);
    return new Promise<void>((done) => {
      setImmediate(() => {
        expect(secret).toEqual(Buffer.alloc(6));
        done();
      });
    });
  });
});
