import { request as httpRequest } from "node:http";
import { describe, expect, test } from "vitest";
import { rawConnection, start, post, pause } from "./testing/connect.ts";

describe("HTTP/1.1", () => {
  test("keeps a connection alive, and hands on target, header order and repeated headers as sent", async () => {
    const { port, received } = await start();
    const client = rawConnection(
      port,
      "GET /a%20b/../c?x=1&&y=%zz HTTP/1.1\r\nHost: h\r\nX-B: 1\r\nx-a: 2\r\nX-B: 3\r\n\r\n",
    );
    await client.until(/GET \/a%20b\/\.\.\/c\?x=1&&y=%zz $/);
    client.socket.write(post("second"));
    await client.until(/POST \/p second$/);
    expect(received[0]).toMatchObject({
      method: "GET",
      target: "/a%20b/../c?x=1&&y=%zz",
      headers: [
        ["Host", "h"],
        ["X-B", "1"],
        ["x-a", "2"],
        ["X-B", "3"],
      ],
      sourceIp: "127.0.0.1",
      secureTransport: false,
    });
    client.socket.destroy();
  });

  test("answers pipelined requests in order", async () => {
    const { port } = await start({
      handle: async (request) => {
        await pause(request.body.length === 1 ? 40 : 1);
        return { status: 200, headers: {}, body: request.body };
      },
    });
    const client = rawConnection(port, post("1") + post("22") + post("333"));
    const text = await client.until(/333$/);
    expect(text.match(/\r\n\r\n(1|22|333)/g)).toEqual(["\r\n\r\n1", "\r\n\r\n22", "\r\n\r\n333"]);
    client.socket.destroy();
  });

  test("takes a request byte by byte, chunked bodies and trailers", async () => {
    const { port, received } = await start();
    const client = rawConnection(port);
    const request =
      "POST /p HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\nX-Trailer: t\r\n\r\n";
    for (const byte of request) {
      client.socket.write(byte);
      await pause(1);
    }
    await client.until(/POST \/p abcde$/);
    expect(received[0]?.headers.map(([name]) => name)).toEqual(["Host", "Transfer-Encoding"]);
    client.socket.destroy();
  });

  test("a body of every byte value comes and goes unchanged, small and large", async () => {
    const { port } = await start({ handle: async ({ body }) => ({ status: 200, headers: {}, body }) });
    for (const length of [256, 300_000]) {
      const sent = Buffer.from(Uint8Array.from({ length }, (_, at) => at & 0xff));
      const answer = await fetch(`http://127.0.0.1:${port}/`, { method: "POST", body: sent });
      expect(Buffer.from(await answer.arrayBuffer()).equals(sent)).toBe(true);
    }
  });

  test("HEAD has no body, OPTIONS reaches the handler, 204 has no length", async () => {
    const { port } = await start({
      handle: async ({ method }) => ({
        status: method === "OPTIONS" ? 204 : 200,
        headers: {},
        body: Buffer.from(method === "OPTIONS" ? "" : "abc"),
      }),
    });
    const client = rawConnection(
      port,
      "HEAD / HTTP/1.1\r\nHost: h\r\n\r\nOPTIONS / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n",
    );
    const text = await client.closed;
    expect(text).toMatch(/^HTTP\/1.1 200 OK\r\ncontent-length: 3\r\n/);
    expect(text).toMatch(/\r\n\r\nHTTP\/1.1 204 No Content\r\n(?!content-length)/);
    expect(text).not.toContain("abc");
  });

  test("Expect: 100-continue is granted, and refused at once when the body would be too long", async () => {
    const { port } = await start({ limits: { bodyBytesMax: 10 } });
    const client = rawConnection(
      port,
      "POST /p HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n",
    );
    await client.until(/^HTTP\/1.1 100 Continue\r\n\r\n$/);
    client.socket.write("abc");
    await client.until(/POST \/p abc$/);
    client.socket.destroy();
    const greedy = rawConnection(
      port,
      "POST /p HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 11\r\n\r\n",
    );
    expect(await greedy.closed).toMatch(/^HTTP\/1.1 413 /);
  });
});

test("an agent's many requests over few connections all arrive", async () => {
  const { port } = await start();
  const one = (at: number): Promise<string> =>
    new Promise((resolve, reject) => {
      const request = httpRequest({ port, host: "127.0.0.1", method: "POST", path: `/${at}` }, (response) => {
        let text = "";
        response.on("data", (chunk: Buffer) => (text += chunk.toString()));
        response.on("end", () => resolve(text));
      });
      request.on("error", reject);
      request.end(String(at));
    });
  const answers = await Promise.all(Array.from({ length: 100 }, (_, at) => one(at)));
  expect(answers).toEqual(Array.from({ length: 100 }, (_, at) => `POST /${at} ${at}`));
});
