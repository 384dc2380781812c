import { connect as connectHttp2, constants, type ClientHttp2Session, type ClientHttp2Stream } from "node:http2";
import { connect } from "node:net";
import { describe, expect, onTestFinished, test } from "vitest";
import type { WireResponse } from "../protocol/wire.ts";
import type { HttpLimits } from "./limits.ts";
import { http2Request, http2Session, pause, post, rawConnection, start } from "./testing/connect.ts";

const MIB = 1024 * 1024;

const long = (bytes: number) => async (): Promise<WireResponse> => ({
  status: 200,
  headers: {},
  body: Buffer.alloc(bytes),
});

/** A client that lets the server send headers, and not one byte of a body. */
function shutSession(port: number): ClientHttp2Session {
  const session = connectHttp2(`http://127.0.0.1:${port}`, { settings: { initialWindowSize: 0 } });
  session.on("error", () => {});
  onTestFinished(() => session.destroy());
  return session;
}

function ask(session: ClientHttp2Session): { readonly stream: ClientHttp2Stream; readonly status: Promise<number> } {
  const stream = session.request({ ":path": "/" });
  stream.on("error", () => {});
  return {
    stream,
    status: new Promise((resolve) => stream.on("response", (head) => resolve(Number(head[":status"])))),
  };
}

const statusesOf = (text: string): string[] => (text.match(/HTTP\/1\.1 \d+/g) ?? []).map((line) => line.slice(-3));

/** A client that never reads: what the kernel holds for it is far less than `ANSWER_BYTES`. */
const ANSWER_BYTES = 24 * MIB;
function deafClient(port: number, bytes: string): ReturnType<typeof connect> {
  const socket = connect(port, "127.0.0.1");
  socket.pause();
  socket.on("error", () => {});
  socket.write(bytes);
  onTestFinished(() => void socket.destroy());
  return socket;
}

const until = async (holds: () => boolean | Promise<boolean>): Promise<void> => {
  while (!(await holds())) await pause(10);
};

describe("answers that nobody reads, over HTTP/2", () => {
  test("all at once: a connection keeps no more than its bytes; another connection is served", async () => {
    const { port, received } = await start({ handle: long(MIB), limits: { connectionAnswerBytesMax: 3 * MIB } });
    const shut = shutSession(port);
    const asked = Array.from({ length: 10 }, () => ask(shut));
    const statuses = await Promise.all(asked.map(({ status }) => status));
    expect(statuses.filter((status) => status === 200).length).toBe(3);
    expect(statuses.filter((status) => status === 503).length).toBe(7);
    const handledCount = received.length;
    expect(await ask(shut).status).toBe(503);
    expect(received.length).toBe(handledCount);
    const other = http2Session(port);
    expect((await http2Request(other, { ":path": "/" })).body.length).toBe(MIB);
    other.close();
  });

  test("all connections together keep no more than theirs, and it is given back when one goes", async () => {
    const { port } = await start({ handle: long(MIB), limits: { totalAnswerBytesMax: 2 * MIB } });
    const shut = [shutSession(port), shutSession(port)];
    for (const session of shut) expect(await ask(session).status).toBe(200);
    const status = async (): Promise<number> => {
      const answer = await fetch(`http://127.0.0.1:${port}/`);
      await answer.arrayBuffer();
      return answer.status;
    };
    expect(await status()).toBe(503);
    shut[0]?.destroy();
    await until(async () => (await status()) === 200);
  });

  test("short answers are sent even then, as what they tell was done", async () => {
    const { port } = await start({ handle: long(1000), limits: { connectionAnswerBytesMax: 1500 } });
    const shut = shutSession(port);
    const asked = [ask(shut), ask(shut), ask(shut)];
    const statuses = await Promise.all(asked.map(({ status }) => status));
    expect(statuses.slice(0, 2)).toEqual([200, 200]);
    expect(await ask(shut).status).toBe(503);
  });

  test("an answer that is not read counts as a running request, until the client cancels it", async () => {
    const { port } = await start({ handle: long(1000), limits: { requestCountMax: 1 } });
    const shut = shutSession(port);
    const first = ask(shut);
    expect(await first.status).toBe(200);
    expect(await ask(shut).status).toBe(503);
    first.stream.close(constants.NGHTTP2_CANCEL);
    await until(async () => (await fetch(`http://127.0.0.1:${port}/`)).status === 200);
  });

  test.each([
    ["by its stream's deadline", { answerStallMsMax: 150 }],
    ["by its session's", { idleMsMax: 150 }],
  ] as [string, Partial<HttpLimits>][])("is given up in time, %s", async (_name, deadline) => {
    const { port, errors } = await start({ handle: long(MIB), limits: { totalAnswerBytesMax: MIB, ...deadline } });
    const { stream, status } = ask(shutSession(port));
    expect(await status).toBe(200);
    expect((await fetch(`http://127.0.0.1:${port}/`)).status).toBe(503);
    await new Promise((done) => stream.on("close", done));
    await until(async () => (await fetch(`http://127.0.0.1:${port}/`)).status === 200);
    expect(errors).toEqual([]);
  });
});

describe("answers that nobody reads, over HTTP/1.1", () => {
  test("of pipelined requests the next is handled only when the answer before is flushed", async () => {
    const { port, received } = await start({ handle: long(ANSWER_BYTES) });
    const socket = deafClient(port, post("a").repeat(20));
    await until(() => received.length > 0);
    await pause(100);
    expect(received.length).toBe(1);
    socket.resume();
    await until(() => received.length === 20);
  });

  test("are counted in total, and given back when the connection goes", async () => {
    const { port, received } = await start({
      handle: long(ANSWER_BYTES),
      limits: { totalAnswerBytesMax: ANSWER_BYTES },
    });
    const socket = deafClient(port, post("a").repeat(5));
    await until(() => received.length > 0);
    await pause(20);
    const other = rawConnection(port, post("b"));
    expect(statusesOf(await other.until(/Try again/))).toEqual(["503"]);
    other.socket.destroy();
    expect(received.length).toBe(1);
    socket.destroy();
    await until(async () => {
      const answer = await fetch(`http://127.0.0.1:${port}/`);
      await answer.arrayBuffer();
      return answer.status === 200;
    });
  });

  test("lose their connection when no piece of them gets through in time, though the client goes on sending", async () => {
    const { port, received } = await start({ handle: long(ANSWER_BYTES), limits: { answerStallMsMax: 200 } });
    const socket = deafClient(port, post("a"));
    const closed = new Promise((done) => socket.on("close", done));
    const sending = setInterval(() => socket.write(post("b")), 20);
    await closed;
    clearInterval(sending);
    expect(received.length).toBe(1);
  });
});
