import { connect as connectHttp2 } from "node:http2";
import { connect, createServer, type AddressInfo, type Socket } from "node:net";
import { describe, expect, onTestFinished, test } from "vitest";
import { movableClock, systemClock, type Clock } from "../base/clock.ts";
import { startFrontEnd } from "../http/front-end.ts";
import { ENGINE_SILENCE_MS_MAX, type FrontEndSettings } from "../http/front-end-settings.ts";
import { FRAME_KIND, FrameReader, type Frame, openFrame } from "../http/frames.ts";
import { DEFAULT_HTTP_LIMITS, type HttpLimits } from "../http/limits.ts";
import { requestFrame } from "../http/wire-frames.ts";
import type { WireRequest, WireResponse } from "../protocol/wire.ts";
import { FrontEndLink } from "./front-end-link.ts";

/** The two ends of a pipe: what was written to it is the kernel's, so that it may be overwritten at once. */
async function pipePair(): Promise<readonly [Socket, Socket]> {
  const server = createServer();
  const arrived = new Promise<Socket>((resolve) => server.once("connection", resolve));
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  const engine = connect((server.address() as AddressInfo).port, "127.0.0.1");
  const far = await arrived;
  server.close();
  for (const end of [engine, far]) {
    end.on("error", () => {});
    onTestFinished(() => void end.destroy());
  }
  return [engine, far];
}

interface Options {
  readonly handle?: (request: WireRequest) => Promise<WireResponse>;
  readonly limits?: Partial<HttpLimits>;
  readonly clock?: Clock;
}

const echo = async ({ method, target, body, sourceIp }: WireRequest): Promise<WireResponse> => ({
  status: 200,
  headers: { "x-length": String(body.length) },
  body: Buffer.from(`${method} ${target} from ${sourceIp}: ${Buffer.from(body).toString("latin1").slice(0, 20)}`),
});

function engineEnd(
  pipe: Socket,
  options: Options,
  ready: () => void = () => {},
): { link: FrontEndLink; broken: unknown[]; errors: unknown[] } {
  const settings: FrontEndSettings = {
    number: 1,
    limits: { ...DEFAULT_HTTP_LIMITS, ...options.limits },
    tls: null,
    health: { status: 200, body: { status: "ok" } },
  };
  const broken: unknown[] = [];
  const errors: unknown[] = [];
  const link = new FrontEndLink({
    pipe,
    settings,
    handle: options.handle ?? echo,
    onError: (error) => errors.push(error),
    ready,
    taken: () => {},
    broken: (error) => broken.push(error),
  });
  return { link, broken, errors };
}

/** An engine and a front-end in one process, and a port whose connections are handed over. */
async function start(options: Options = {}): Promise<{
  readonly url: string;
  readonly port: number;
  readonly link: FrontEndLink;
  readonly broken: unknown[];
  readonly errors: unknown[];
  readonly ended: Promise<number>;
}> {
  const [engine, far] = await pipePair();
  let end = (_code: number): void => {};
  const ended = new Promise<number>((resolve) => (end = resolve));
  const frontEnd = startFrontEnd({
    pipe: far,
    clock: options.clock ?? systemClock(),
    configured: () => {},
    ended: end,
  });
  let become = (): void => {};
  const ready = new Promise<void>((resolve) => (become = resolve));
  const { link, broken, errors } = engineEnd(engine, options, () => become());
  await ready;
  const server = createServer({ pauseOnConnect: true }, (socket) => frontEnd.accept({ id: 1, port: "http" }, socket));
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  onTestFinished(() => {
    server.close();
    link.drain(0);
  });
  const { port } = server.address() as AddressInfo;
  return { url: `http://127.0.0.1:${port}`, port, link, broken, errors, ended };
}

const pause = (ms: number): Promise<void> => new Promise((done) => setTimeout(done, ms));
const until = async (holds: () => boolean): Promise<void> => {
  for (let turn = 0; turn < 400 && !holds(); turn++) await pause(5);
  expect(holds()).toBe(true);
};

describe("a front-end and its engine", () => {
  test("answer over both versions of HTTP, long bodies too", async () => {
    const { url, errors } = await start();
    const long = "x".repeat(3_000_000);
    const answer = await fetch(`${url}/a?b=c`, { method: "POST", body: long });
    expect(answer.headers.get("x-length")).toBe("3000000");
    expect(await answer.text()).toBe(`POST /a?b=c from 127.0.0.1: ${"x".repeat(20)}`);
    const session = connectHttp2(url);
    const stream = session.request({ ":method": "POST", ":path": "/h2" });
    stream.end("two");
    const text = await new Promise((done) => stream.setEncoding("utf8").on("data", done));
    expect(text).toBe("POST /h2 from 127.0.0.1: two");
    session.close();
    expect(errors).toEqual([]);
  });

  test("give 500 for an answer that cannot be, and log it", async () => {
    const { url, errors } = await start({ handle: () => Promise.reject(new Error("bug")) });
    expect((await fetch(url)).status).toBe(500);
    expect(errors).toHaveLength(1);
    const forged = await start({
      handle: async () => ({ status: 200, headers: { a: "b\nc" }, body: Buffer.alloc(0) }),
    });
    expect((await fetch(forged.url)).status).toBe(500);
    await until(() => forged.errors.length === 1);
  });

  test("check health without asking; an engine that is silent for long is not well", async () => {
    const clock = movableClock();
    const { url, link } = await start({ clock, handle: () => new Promise(() => {}) });
    const health = async (): Promise<number> => (await fetch(`${url}/-/health`)).status;
    expect(await health()).toBe(200);
    link.tellHealth({ status: 503, body: { status: "sealed" } });
    await expect.poll(health).toBe(503);
    link.tellHealth({ status: 200, body: { status: "ok" } });
    await expect.poll(health).toBe(200);
    clock.advance(ENGINE_SILENCE_MS_MAX + 1);
    expect(await (await fetch(`${url}/-/health`)).json()).toEqual({ status: "the engine does not answer" });
  });

  test("give up a connection whose headers take too long, as a listening server does", async () => {
    const { port } = await start({ limits: { headersMsMax: 300 } });
    const socket = connect(port, "127.0.0.1");
    socket.write("GET / HTTP/1.1\r\nHost: h\r\n");
    let text = "";
    socket.on("data", (chunk: Buffer) => (text += chunk.toString()));
    await new Promise((done) => socket.on("close", done));
    expect(text).toMatch(/^HTTP\/1.1 408/);
  });

  test("take no more connections than allowed", async () => {
    const { port, url } = await start({ limits: { connectionCountMax: 1 } });
    const first = connect(port, "127.0.0.1");
    await new Promise((done) => first.once("connect", done));
    const outcome = (): Promise<number | string> =>
      fetch(url).then(
        ({ status }) => status,
        (error: Error) => error.message,
      );
    await expect.poll(outcome).toBe("fetch failed");
    first.destroy();
    await expect.poll(outcome).toBe(200);
  });

  test("finish what is in flight when they drain, then end", async () => {
    let answer = (): void => {};
    const entered = new Promise<void>((enter) => (answer = enter));
    let letGo = (): void => {};
    const gate = new Promise<void>((open) => (letGo = open));
    const { url, link, ended } = await start({
      handle: async (request) => {
        answer();
        await gate;
        return await echo(request);
      },
    });
    const asked = fetch(`${url}/slow`);
    await entered;
    link.drain(5_000);
    await pause(50);
    letGo();
    expect((await asked).status).toBe(200);
    expect(await ended).toBe(0);
  });
});

/** Parts of 64 KiB without end. */
function endless(): {
  readonly stream: AsyncIterableIterator<Uint8Array>;
  asked: number;
  returned: number;
  last: Uint8Array[];
} {
  const counted = {
    asked: 0,
    returned: 0,
    last: [] as Uint8Array[],
    stream: {
      [Symbol.asyncIterator]() {
        return this;
      },
      async next() {
        counted.asked += 1;
        const value = Buffer.alloc(65_536, 7);
        counted.last.push(value);
        return { done: false as const, value };
      },
      async return() {
        counted.returned += 1;
        return { done: true as const, value: undefined };
      },
    },
  };
  return counted;
}

describe("an answer that goes on", () => {
  const going = (source: ReturnType<typeof endless>) => async (): Promise<WireResponse> => ({
    status: 200,
    headers: {},
    body: new Uint8Array(0),
    stream: source.stream,
  });

  test("is made no faster than its reader reads, part by part overwritten, and ends with the client", async () => {
    const source = endless();
    const { port } = await start({ handle: going(source) });
    const socket = connect(port, "127.0.0.1");
    socket.write("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    socket.pause();
    await until(() => source.asked > 1);
    let asked = 0;
    // Until what is between them is full.
    while (asked !== source.asked) {
      asked = source.asked;
      await pause(300);
    }
    await pause(200);
    expect(source.asked).toBe(asked);
    expect(source.last.slice(0, -1).every((part) => part.every((byte) => byte === 0))).toBe(true);
    socket.destroy();
    await until(() => source.returned === 1);
  });

  test("ends with the front-end", async () => {
    const source = endless();
    const [engine, far] = await pipePair();
    engineEnd(engine, { handle: going(source) });
    const frames: Frame[] = [];
    const reader = new FrameReader(1_000_000, (frame) => frames.push(frame));
    far.on("data", (chunk: Buffer) => reader.push(chunk));
    const request = {
      method: "GET",
      target: "/",
      headers: [],
      body: Buffer.alloc(0),
      sourceIp: "",
      secureTransport: false,
    };
    for (const piece of requestFrame(1, request)) far.write(piece);
    await until(() => frames.some(({ kind }) => kind === FRAME_KIND.answer));
    far.write(openFrame(FRAME_KIND.pull, 1, 0));
    await until(() => frames.some(({ kind }) => kind === FRAME_KIND.part));
    engine.destroy();
    await until(() => source.returned === 1);
    expect(source.asked).toBe(1);
  });
});

describe("a front-end that strangers have taken over", () => {
  const request = {
    method: "GET",
    target: "/",
    headers: [],
    body: Buffer.alloc(0),
    sourceIp: "",
    secureTransport: false,
  };
  const asks = (ids: readonly number[]): readonly Uint8Array[] => ids.flatMap((id) => requestFrame(id, request));

  test.each([
    ["sends what the engine does not know", [openFrame(99, 0, 0)]],
    ["claims a frame that is too long", [openFrame(FRAME_KIND.request, 1, 0, 100_000_000)]],
    ["asks twice with one id", asks([1, 1])],
    ["asks for more at once than it may", asks([1, 2, 3, 4, 5])],
    ["sends a request without a text", [openFrame(FRAME_KIND.request, 1, 0)]],
    ["reports what is not JSON", [openFrame(FRAME_KIND.report, 0, 0)]],
  ])("is not listened to any longer when it %s", async (_name, pieces) => {
    const [engine, far] = await pipePair();
    let handled = 0;
    const handle = (): Promise<WireResponse> => {
      handled += 1;
      return new Promise(() => {});
    };
    const { broken } = engineEnd(engine, { handle, limits: { requestCountMax: 2 } });
    for (const piece of pieces) far.write(piece);
    await until(() => broken.length === 1);
    const before = handled;
    for (const piece of asks([77])) far.write(piece);
    await pause(20);
    expect(handled).toBe(before);
  });

  test("is not listened to any longer when it asks on and reads no answers", async () => {
    const [engine, far] = await pipePair();
    let handled = 0;
    const answer = async (): Promise<WireResponse> => {
      handled += 1;
      return { status: 200, headers: {}, body: Buffer.alloc(60_000) };
    };
    const limits = { requestCountMax: 4, totalAnswerBytesMax: 100_000 };
    const { broken } = engineEnd(engine, { handle: answer, limits });
    far.pause();
    for (let id = 1; id < 2_000 && broken.length === 0; id++) {
      for (const piece of asks([id])) far.write(piece);
      await until(() => handled === id || broken.length === 1);
    }
    expect(String(broken[0])).toContain("does not read the answers");
  });
});
