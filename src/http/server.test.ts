import { describe, expect, test } from "vitest";
import {
  http2Opening,
  http2Request,
  http2Session,
  rawConnection,
  startServer,
  start,
  pause,
  gate,
} from "./testing/connect.ts";

describe("what clients get wrong leaves the server standing", () => {
  test.each([
    ["not HTTP", "hello there\r\n\r\n"],
    ["a TLS hello", "\u0016\u0003\u0001\u0002\u0000\u0001\u0000"],
    ["both framings", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"],
    ["two lengths", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabc"],
    ["no host", "GET / HTTP/1.1\r\n\r\n"],
    ["a broken chunk", "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"],
    ["an absolute target", "GET http://h/ HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"],
  ])("%s", async (_name, bytes) => {
    const { port, received, errors } = await start();
    const client = rawConnection(port, Buffer.from(bytes, "latin1"));
    expect(await client.closed).toMatch(/^HTTP\/1.1 400 /);
    expect(received).toEqual([]);
    expect(errors).toEqual([]);
    expect((await fetch(`http://127.0.0.1:${port}/`)).status).toBe(200);
  });

  test("clients that vanish in the middle, at each stage", async () => {
    const door = gate();
    const { port, errors } = await start({
      handle: (request) =>
        request.target === "/gate"
          ? door.handle()
          : Promise.resolve({ status: 200, headers: {}, body: Buffer.alloc(0) }),
    });
    for (const bytes of [
      "",
      "P",
      "POST / HT",
      "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nab",
      "GET /gate HTTP/1.1\r\nHost: h\r\n\r\n",
      "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nrubbish",
    ]) {
      const client = rawConnection(port, bytes === "" ? undefined : bytes);
      await pause(10);
      client.socket.resetAndDestroy();
    }
    door.open();
    await pause(20);
    expect(errors).toEqual([]);
    expect((await fetch(`http://127.0.0.1:${port}/`)).status).toBe(200);
  });

  test("an HTTP/2 client that closes its half is let go", async () => {
    const { port } = await start();
    const client = rawConnection(port, http2Opening());
    client.socket.end();
    expect(await client.closed).toBeDefined();
  });
});

describe("answers of the server's own", () => {
  test("health needs no credentials and never reaches the handler", async () => {
    const { port, received } = await start();
    const answer = await fetch(`http://127.0.0.1:${port}/-/health`);
    expect([answer.status, await answer.json()]).toEqual([200, { status: "ok" }]);
    expect(received).toEqual([]);
    await fetch(`http://127.0.0.1:${port}/-/health`, { method: "POST" });
    await fetch(`http://127.0.0.1:${port}/-/healthy`);
    expect(received.length).toBe(2);
  });

  test("a failure inside says nothing about itself, and is reported", async () => {
    const { port, errors } = await start({ handle: () => Promise.reject(new Error("secret detail")) });
    const answer = await fetch(`http://127.0.0.1:${port}/`);
    expect(answer.status).toBe(500);
    expect(await answer.text()).not.toContain("secret detail");
    expect(errors).toEqual([new Error("secret detail")]);
    const session = http2Session(port);
    expect((await http2Request(session, { ":path": "/" })).status).toBe(500);
    session.close();
  });

  test("an answer that cannot be sent becomes a 500", async () => {
    const { port, errors } = await start({
      handle: async () => ({ status: 200, headers: { "x-bad": "a\r\nb" }, body: Buffer.alloc(0) }),
    });
    expect((await fetch(`http://127.0.0.1:${port}/`)).status).toBe(500);
    const session = http2Session(port);
    expect((await http2Request(session, { ":path": "/" })).status).toBe(500);
    session.close();
    expect(errors.length).toBe(2);
  });
});

describe("closing", () => {
  test("finishes what is in flight in both versions, closes what idles at once, and takes nothing new", async () => {
    const door = gate();
    const { port, server } = await startServer({
      handle: (request) =>
        request.target === "/gate"
          ? door.handle()
          : Promise.resolve({ status: 200, headers: {}, body: Buffer.from("quick") }),
    });
    const idle = rawConnection(port, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    await idle.until(/quick$/);
    const silent = rawConnection(port);
    const session = http2Session(port);
    const busy = rawConnection(port, "GET /gate HTTP/1.1\r\nHost: h\r\n\r\n");
    const stream = http2Request(session, { ":path": "/gate" });
    await door.entered;
    await pause(30);
    const closing = server.close(5_000);
    await Promise.all([idle.closed, silent.closed]);
    await expect(fetch(`http://127.0.0.1:${port}/`)).rejects.toThrow("fetch failed");
    door.open();
    expect(await busy.closed).toMatch(/connection: close.*late$/is);
    expect(await stream).toMatchObject({ status: 200, body: "late" });
    await closing;
  });

  test("destroys what does not finish in time", async () => {
    const door = gate();
    const { port, server } = await startServer({ handle: door.handle });
    const busy = rawConnection(port, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    const session = http2Session(port);
    session.request({ ":path": "/" }).on("error", () => {});
    await door.entered;
    await server.close(50);
    expect(await busy.closed).toBe("");
    door.open();
  });
});
