import { describe, expect, test } from "vitest";
import {
  frame,
  FRAME,
  HTTP2_PREFACE,
  http2Opening,
  http2Request,
  http2Session,
  postHeaders,
  rawConnection,
  resetStream,
  start,
  pause,
} from "./testing/connect.ts";

describe("HTTP/2 on the same port", () => {
  test("with prior knowledge, beside HTTP/1.1", async () => {
    const { port, received } = await start();
    const session = http2Session(port);
    const [first, second] = await Promise.all([
      http2Request(session, { ":method": "POST", ":path": "/q?a=1", "x-b": "1", "x-a": "2" }, "body"),
      http2Request(session, { ":method": "GET", ":path": "/r" }),
    ]);
    expect(first).toMatchObject({ status: 200, body: "POST /q?a=1 body" });
    expect(second).toMatchObject({ status: 200, body: "GET /r " });
    expect(await (await fetch(`http://127.0.0.1:${port}/s`)).text()).toBe("GET /s ");
    const withBody = received.find(({ method }) => method === "POST");
    expect(withBody?.headers).toEqual([
      ["host", `127.0.0.1:${port}`],
      ["x-b", "1"],
      ["x-a", "2"],
    ]);
    expect(withBody?.sourceIp).toBe("127.0.0.1");
    session.close();
  });

  test("when the preface comes in pieces, and when something else only begins like it", async () => {
    const { port } = await start();
    const client = rawConnection(port);
    for (const byte of HTTP2_PREFACE) {
      client.socket.write(byte, "latin1");
      await pause(1);
    }
    client.socket.write(frame(FRAME.settings, 0, 0, Buffer.alloc(0)));
    // The server's SETTINGS frame: type 4 on stream 0.
    // oxlint-disable-next-line no-control-regex -- a frame header is made of control characters
    await client.until(/^\0\0.\x04\0\0\0\0\0/s);
    client.socket.destroy();
    const other = rawConnection(port, "PR");
    await pause(5);
    other.socket.write("OPFIND / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    expect(await other.closed).toMatch(/PROPFIND \/ $/);
  });

  test("a host header that contradicts :authority is refused", async () => {
    const { port, received } = await start();
    const session = http2Session(port);
    const answer = await http2Request(session, { ":path": "/", ":authority": "a", host: "b" });
    expect(answer.status).toBe(400);
    expect(received).toEqual([]);
    session.close();
  });

  test("a session that is used stays, and one that is idle is closed", async () => {
    const { port } = await start({ limits: { idleMsMax: 200 } });
    const session = http2Session(port);
    for (let count = 0; count < 8; count += 1) {
      expect((await http2Request(session, { ":path": "/" })).status).toBe(200);
      await pause(60);
    }
    const closed = new Promise<void>((resolve) => session.once("close", () => resolve()));
    await closed;
  });

  test("a body over the limit gets 413 and the session lives on", async () => {
    const { port } = await start({ limits: { bodyBytesMax: 1000 } });
    const session = http2Session(port);
    const tooLong = Buffer.alloc(5000);
    expect((await http2Request(session, { ":method": "POST", ":path": "/" }, tooLong)).status).toBe(413);
    expect(
      (await http2Request(session, { ":method": "POST", ":path": "/", "content-length": 5000 }, tooLong)).status,
    ).toBe(413);
    expect((await http2Request(session, { ":method": "POST", ":path": "/" }, "short")).status).toBe(200);
    session.close();
  });

  test("large bodies both ways", async () => {
    const { port } = await start({ handle: async ({ body }) => ({ status: 200, headers: {}, body }) });
    const session = http2Session(port);
    const body = "0123456789".repeat(300_000);
    expect((await http2Request(session, { ":method": "POST", ":path": "/" }, body)).body === body).toBe(true);
    session.close();
  });

  test.each([
    ["each after a pause", 1],
    ["all in one go", 0],
  ])(
    "a client that resets its streams over and over loses its session, %s; others do not notice",
    async (_name, pauseMs) => {
      const { port } = await start({ limits: { streamResetCountMax: 20 } });
      const bystander = http2Session(port);
      await http2Request(bystander, { ":path": "/" });
      const client = rawConnection(port, http2Opening());
      for (let at = 0; at < 40; at++) {
        client.socket.write(Buffer.concat([postHeaders(2 * at + 1), resetStream(2 * at + 1)]));
        if (pauseMs > 0) await pause(pauseMs);
      }
      // GOAWAY on stream 0, the last stream's number, ENHANCE_YOUR_CALM.
      // oxlint-disable-next-line no-control-regex -- a frame is made of control characters
      expect(await client.closed).toMatch(/\x07\0\0\0\0\0.{4}\0\0\0\x0b/s);
      expect((await http2Request(bystander, { ":path": "/" })).status).toBe(200);
      bystander.close();
    },
  );

  test("cancelled requests give back the memory of their bodies", async () => {
    const { port, received } = await start({ limits: { totalBodyBytesMax: 10_000 } });
    const client = rawConnection(port, http2Opening());
    for (let at = 0; at < 10; at++) {
      const id = 2 * at + 1;
      client.socket.write(
        Buffer.concat([postHeaders(id), frame(FRAME.data, 0, id, Buffer.alloc(4000)), resetStream(id)]),
      );
      await pause(2);
    }
    client.socket.destroy();
    expect(received).toEqual([]);
    expect((await fetch(`http://127.0.0.1:${port}/`, { method: "POST", body: Buffer.alloc(9000) })).status).toBe(200);
  });
});
