import { constants } from "node:http2";
import { describe, expect, test } from "vitest";
import { http2Session, rawConnection, start, post, pause, gate } from "./testing/connect.ts";

describe("bounds", () => {
  test("a body that is announced too long is refused before it is read; one that grows too long, when it does", async () => {
    const { port, received } = await start({ limits: { bodyBytesMax: 100 } });
    const announced = rawConnection(port, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 101\r\n\r\n");
    expect(await announced.closed).toMatch(/^HTTP\/1.1 413 .*RequestEntityTooLargeException/s);
    const grown = rawConnection(
      port,
      `POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n65\r\n${"x".repeat(101)}\r\n`,
    );
    expect(await grown.closed).toMatch(/^HTTP\/1.1 413 /);
    expect(received).toEqual([]);
  });

  test("more requests than may run get 503 at once, and the next one after that is served", async () => {
    const door = gate();
    const { port } = await start({ handle: door.handle, limits: { requestCountMax: 1 } });
    const first = fetch(`http://127.0.0.1:${port}/`);
    await door.entered;
    const refused = await fetch(`http://127.0.0.1:${port}/`, { method: "POST", body: "x" });
    expect(refused.status).toBe(503);
    expect(refused.headers.get("retry-after")).toBe("1");
    expect((await fetch(`http://127.0.0.1:${port}/-/health`)).status).toBe(200);
    door.open();
    expect(await (await first).text()).toBe("late");
    expect((await fetch(`http://127.0.0.1:${port}/`)).status).toBe(200);
  });

  test("one connection cannot take all places by pipelining", async () => {
    const door = gate();
    const { port, received } = await start({ handle: door.handle, limits: { connectionRequestCountMax: 3 } });
    const client = rawConnection(port, post("a").repeat(5));
    await door.entered;
    await pause(20);
    expect(received.length).toBe(1);
    door.open();
    const text = await client.closed;
    expect(text.match(/HTTP\/1.1 \d+/g)?.map((line) => line.slice(-3))).toEqual(["200", "200", "200", "503"]);
    expect(received.length).toBe(3);
    client.socket.destroy();
  });

  test("bodies that are held count together, and count no longer once answered", async () => {
    const { port } = await start({ limits: { totalBodyBytesMax: 100 } });
    const slow = rawConnection(port, `POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 90\r\n\r\n${"x".repeat(80)}`);
    await pause(20);
    const send = async (): Promise<number> =>
      (await fetch(`http://127.0.0.1:${port}/`, { method: "POST", body: "y".repeat(50) })).status;
    expect(await send()).toBe(503);
    slow.socket.destroy();
    await pause(20);
    expect(await send()).toBe(200);
    expect(await send()).toBe(200);
  });

  test("headers: too many, too long", async () => {
    const { port, received } = await start({ limits: { headerCountMax: 10, headerBytesMax: 4096 } });
    const many = rawConnection(port, `GET / HTTP/1.1\r\nHost: h\r\n${"A: b\r\n".repeat(10)}\r\n`);
    expect(await many.until(/431/)).toMatch(/^HTTP\/1.1 431 /);
    const long = rawConnection(port, `GET / HTTP/1.1\r\nHost: h\r\nA: ${"b".repeat(5000)}\r\n\r\n`);
    expect(await long.closed).toMatch(/^HTTP\/1.1 431 /);
    expect(received).toEqual([]);
    many.socket.destroy();
  });

  test("connections that say nothing, half a word, or half a request are closed in time", async () => {
    const { port } = await start({ limits: { firstByteMsMax: 100, headersMsMax: 300, requestMsMax: 600 } });
    const silent = rawConnection(port);
    const half = rawConnection(port, "PRI * HT");
    const head = rawConnection(port, "POST / HTTP/1.1\r\nHost:");
    const body = rawConnection(port, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nab");
    expect(await silent.closed).toBe("");
    expect(await half.closed).toBe("");
    expect(await head.closed).toMatch(/^HTTP\/1.1 408 /);
    expect(await body.closed).toMatch(/^HTTP\/1.1 (408|400) /);
  });

  test("a slow HTTP/2 body is cancelled in time", async () => {
    const { port } = await start({ limits: { requestMsMax: 100 } });
    const session = http2Session(port);
    const stream = session.request({ ":method": "POST", ":path": "/" });
    stream.on("error", () => {});
    stream.write("a");
    await new Promise((done) => stream.on("close", done));
    expect(stream.rstCode).toBe(constants.NGHTTP2_CANCEL);
    session.close();
  });

  test("more connections than allowed are turned away", async () => {
    const { port } = await start({ limits: { connectionCountMax: 2 } });
    const kept = [rawConnection(port, post("a")), rawConnection(port, post("b"))];
    await Promise.all(kept.map((client) => client.until(/POST/)));
    expect(await rawConnection(port, post("c")).closed).toBe("");
    for (const client of kept) client.socket.destroy();
  });
});
