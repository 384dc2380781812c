import { connect as connectHttp2 } from "node:http2";
import { describe, expect, test } from "vitest";
import type { WireResponse } from "../protocol/wire.ts";
import { http2Request, http2Session, pause, post, rawConnection, start } from "./testing/connect.ts";

/** A source that gives what it is told to, when it is told to. */
class Source implements AsyncIterableIterator<Uint8Array> {
  #queue: Uint8Array[] = [];
  #isOver = false;
  #wake = (): void => {};
  askedCount = 0;
  returnedCount = 0;

  push(part: Uint8Array | string): void {
    this.#queue.push(Buffer.from(part));
    this.#wake();
  }
  finish(): void {
    this.#isOver = true;
    this.#wake();
  }
  [Symbol.asyncIterator](): this {
    return this;
  }
  async next(): Promise<IteratorResult<Uint8Array>> {
    this.askedCount += 1;
    for (;;) {
      const value = this.#queue.shift();
      if (value !== undefined) return { done: false, value };
      if (this.#isOver) return { done: true, value: undefined };
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }
  async return(): Promise<IteratorResult<Uint8Array>> {
    this.returnedCount += 1;
    this.finish();
    return { done: true, value: undefined };
  }
}

const answering = (stream: Source) => async (): Promise<WireResponse> => ({
  status: 200,
  headers: { "content-type": "x/y" },
  body: new Uint8Array(0),
  stream,
});

const until = async (holds: () => boolean): Promise<void> => {
  for (let turn = 0; turn < 400 && !holds(); turn++) await pause(5);
  expect(holds()).toBe(true);
};

describe("an answer that goes on", () => {
  test("comes part by part over HTTP/1.1, chunked, and the connection is used again", async () => {
    const source = new Source();
    const { port } = await start({ handle: answering(source) });
    const client = rawConnection(port, post("x"));
    source.push("one");
    const head = await client.until(/one/);
    expect(head).toMatch(/transfer-encoding: chunked/i);
    expect(head).not.toMatch(/content-length/i);
    source.push("two");
    await client.until(/two/);
    source.finish();
    await client.until(/0\r\n\r\n$/);
    client.socket.write(post("y"));
    await client.until(/0\r\n\r\nHTTP\/1.1 200/);
    client.socket.destroy();
  });

  test("comes part by part over HTTP/2, beside other answers of the session", async () => {
    const source = new Source();
    const { port } = await start({
      handle: async (request) =>
        request.target === "/stream" ? answering(source)() : { status: 200, headers: {}, body: Buffer.from("short") },
    });
    const session = http2Session(port);
    const stream = session.request({ ":method": "POST", ":path": "/stream" }, { endStream: true });
    let text = "";
    stream.on("data", (chunk: Buffer) => (text += chunk.toString()));
    source.push("one");
    await until(() => text === "one");
    expect((await http2Request(session, { ":method": "GET", ":path": "/" })).body).toBe("short");
    source.push("two");
    await until(() => text === "onetwo");
    const ended = new Promise((done) => stream.on("end", done));
    source.finish();
    await ended;
    session.close();
  });

  test("overwrites what was flushed, and asks for no more than that", async () => {
    const source = new Source();
    const { port } = await start({ handle: answering(source) });
    const client = rawConnection(port, post("x"));
    const part = Buffer.from("secret");
    const handedOut: Uint8Array[] = [];
    const next = source.next.bind(source);
    source.next = async () => {
      const result = await next();
      if (result.done !== true) handedOut.push(result.value);
      return result;
    };
    source.push(part);
    await client.until(/secret/);
    await until(() => handedOut[0]?.every((byte) => byte === 0) === true);
    expect([handedOut.length, source.askedCount]).toEqual([1, 2]);
    client.socket.destroy();
  });

  test.each(["HTTP/1.1", "HTTP/2"])("is given up when its client goes away (%s)", async (version) => {
    const source = new Source();
    const { port } = await start({ handle: answering(source) });
    if (version === "HTTP/1.1") {
      const client = rawConnection(port, post("x"));
      source.push("one");
      await client.until(/one/);
      client.socket.destroy();
    } else {
      const session = http2Session(port);
      const stream = session.request({ ":method": "POST", ":path": "/" }, { endStream: true });
      stream.on("error", () => {});
      source.push("one");
      await new Promise((done) => stream.once("data", done));
      stream.close();
      await until(() => source.returnedCount === 1);
      session.close();
    }
    await until(() => source.returnedCount === 1);
    expect(source.askedCount).toBe(2);
  });

  test.each(["HTTP/1.1", "HTTP/2"])(
    "stays while it is idle, and is cut off when it is not read (%s)",
    async (version) => {
      const source = new Source();
      const { port, errors } = await start({ handle: answering(source), limits: { answerStallMsMax: 100 } });
      const isHttp1 = version === "HTTP/1.1";
      const client = isHttp1 ? rawConnection(port, post("x")) : null;
      const session = isHttp1 ? null : connectHttp2(`http://127.0.0.1:${port}`);
      session?.on("error", () => {});
      const stream = session?.request({ ":method": "POST", ":path": "/" }, { endStream: true });
      stream?.on("error", () => {});
      source.push("one");
      if (client !== null) await client.until(/one/);
      else await new Promise((done) => stream?.once("data", done));
      await pause(300);
      expect(source.returnedCount).toBe(0);
      client?.socket.pause();
      stream?.pause();
      for (let at = 0; at < 40; at++) source.push(Buffer.alloc(1_000_000));
      await until(() => source.returnedCount === 1);
      // It was asked for what the socket's buffers took, and no further.
      expect(source.askedCount).toBeLessThan(30);
      expect(errors).toEqual([]);
      client?.socket.destroy();
      session?.destroy();
    },
  );

  test("ends when the server drains", async () => {
    const source = new Source();
    const { port, server } = await start({ handle: answering(source) });
    const client = rawConnection(port, post("x"));
    source.push("one");
    await client.until(/one/);
    const startedMs = performance.now();
    await server.close(5_000);
    expect(performance.now() - startedMs).toBeLessThan(1_000);
    expect(await client.closed).toMatch(/one\r\n0\r\n\r\n$/);
    expect(source.returnedCount).toBe(1);
  });

  test("has one of a number of places, and its parts find room or it is cut off", async () => {
    const sources = [new Source(), new Source(), new Source()];
    let at = 0;
    const { port } = await start({
      handle: () => answering(sources[at++] as Source)(),
      limits: { streamCountMax: 2, totalAnswerBytesMax: 3_000_000, connectionAnswerBytesMax: 3_000_000 },
    });
    const clients = [0, 1].map(() => rawConnection(port, post("x")));
    for (const source of sources) source.push("one");
    for (const client of clients) await client.until(/one/);
    const third = rawConnection(port, post("x"));
    expect(await third.until(/ServiceUnavailable/)).toMatch(/^HTTP\/1.1 503/);
    expect(sources[2]?.returnedCount).toBe(1);
    // The first one holds most of the room without reading it; the second one's part is too much.
    clients[0]?.socket.pause();
    sources[0]?.push(Buffer.alloc(2_900_000 + 10_000_000));
    await pause(50);
    sources[1]?.push(Buffer.alloc(1_000_000));
    await clients[1]?.closed;
    expect(sources[1]?.returnedCount).toBe(1);
    for (const client of [...clients, third]) client.socket.destroy();
  });
});
