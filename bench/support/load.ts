import { Agent, request } from "node:http";
import { performance } from "node:perf_hooks";
import type { SignedRequest } from "./sign.ts";

export interface Answer {
  readonly status: number;
  readonly body: Buffer;
}

/** Connections that stay open, to one server. */
export class Connections {
  readonly endpoint: URL;
  readonly #agent: Agent;

  constructor(endpoint: URL, count: number) {
    this.endpoint = endpoint;
    this.#agent = new Agent({ keepAlive: true, maxSockets: count, scheduling: "fifo" });
  }

  send(signed: SignedRequest): Promise<Answer> {
    return new Promise((done, fail) => {
      const call = request(
        {
          host: this.endpoint.hostname,
          port: this.endpoint.port,
          method: "POST",
          path: signed.path,
          headers: signed.headers,
          agent: this.#agent,
        },
        (response) => {
          const chunks: Buffer[] = [];
          response.on("data", (chunk: Buffer) => chunks.push(chunk));
          response.on("end", () => done({ status: response.statusCode ?? 0, body: Buffer.concat(chunks) }));
          response.on("error", fail);
        },
      );
      call.on("error", fail);
      call.end(signed.body);
    });
  }

  /** Sends and insists on success; the error names what the server said. */
  async call(signed: SignedRequest): Promise<Buffer> {
    const answer = await this.send(signed);
    if (answer.status !== 200)
      throw new Error(`the server answered ${answer.status}: ${answer.body.toString("utf8").slice(0, 300)}`);
    return answer.body;
  }

  close(): void {
    this.#agent.destroy();
  }
}

export interface Slice {
  readonly requests: number;
  readonly records: number;
  readonly elapsedMs: number;
  readonly latenciesMs: readonly number[];
}

/** Runs `step` on every one of `count` workers until the time is up. A step tells how many records it moved. */
export async function runSlice(
  count: number,
  durationMs: number,
  step: (worker: number) => Promise<number>,
): Promise<Slice> {
  const latenciesMs: number[] = [];
  let records = 0;
  const began = performance.now();
  const work = async (worker: number): Promise<void> => {
    while (performance.now() - began < durationMs) {
      const sent = performance.now();
      // Not `records += await …`: that would add to what `records` was before the wait.
      const moved = await step(worker);
      records += moved;
      latenciesMs.push(performance.now() - sent);
    }
  };
  await Promise.all(Array.from({ length: count }, (_, worker) => work(worker)));
  return { requests: latenciesMs.length, records, elapsedMs: performance.now() - began, latenciesMs };
}

/** The value below which this share of the sorted list lies. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}

export const median = (values: readonly number[]): number => quantile(values, 0.5);
