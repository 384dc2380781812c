/** A stream under load: requests signed ahead, and what a worker does in one step. */
import { randomBytes } from "node:crypto";
import { askServer } from "../src/cli/admin-client.ts";
import type { Connections } from "./support/load.ts";
import type { Target } from "./support/server-process.ts";
import { type SignedRequest, signJson } from "./support/sign.ts";

/** What seals a stream's records; null: nothing. */
export type Suite = "aes" | "xchacha" | null;

export interface StreamShape {
  readonly suite: Suite;
  readonly recordBytes: number;
  readonly shards: number;
  /** Records of one PutRecords, and asked for by one GetRecords. */
  readonly batchRecords: number;
}

/** Requests signed ahead and sent again and again. */
const SIGNED_SINGLE = 64;
const SIGNED_BATCH = 8;
/** Large requests would fill the driver's memory. */
const SIGNED_BYTES_MAX = 16 * 1024 * 1024;
const STREAM_WAIT_MS = 50;
const STREAM_WAITS_MAX = 200;
/** How much of an answer's beginning and end is searched for the next iterator. */
const ITERATOR_SEARCH_BYTES = 4096;

type Input = Readonly<Record<string, unknown>>;

export class StreamLoad {
  readonly shape: StreamShape;
  readonly #name = `bench-${randomBytes(6).toString("hex")}`;
  readonly #target: Target;
  readonly #connections: Connections;
  #singles: readonly SignedRequest[] = [];
  #batches: readonly SignedRequest[] = [];
  /** Where each worker reads on: one for each shard. */
  #iterators: string[] = [];

  private constructor(target: Target, connections: Connections, shape: StreamShape) {
    this.#target = target;
    this.#connections = connections;
    this.shape = shape;
  }

  /** Makes the stream. Throws where the server cannot encrypt it so. */
  static async make(target: Target, connections: Connections, shape: StreamShape): Promise<StreamLoad> {
    const load = new StreamLoad(target, connections, shape);
    await load.#prepare();
    return load;
  }

  /** What the floors send. */
  get examples(): { readonly single: SignedRequest | undefined; readonly batch: SignedRequest | undefined } {
    return { single: this.#singles[0], batch: this.#batches[0] };
  }

  async putRecord(worker: number): Promise<number> {
    const signed = this.#singles[(worker * 7 + Math.trunc(performance.now())) % this.#singles.length];
    if (signed !== undefined) await this.#connections.call(signed);
    return 1;
  }

  async putRecords(worker: number): Promise<number> {
    const signed = this.#batches[(worker + Math.trunc(performance.now())) % this.#batches.length];
    if (signed === undefined) return 0;
    const answer = await this.#connections.call(signed);
    if (!answer.includes('"FailedRecordCount":0')) throw new Error("PutRecords answered with failed records");
    return this.shape.batchRecords;
  }

  /** One worker reads one shard to its end, then from its beginning again. */
  async getRecords(worker: number): Promise<number> {
    const answer = await this.#connections.call(
      this.#sign("GetRecords", { ShardIterator: this.#iterators[worker], Limit: this.shape.batchRecords }),
    );
    let records = 0;
    for (let at = answer.indexOf('"SequenceNumber"'); at >= 0; at = answer.indexOf('"SequenceNumber"', at + 1))
      records++;
    const tail = answer.subarray(Math.max(0, answer.length - ITERATOR_SEARCH_BYTES)).toString("latin1");
    const next = /"NextShardIterator":"([^"]+)"/.exec(tail + answer.toString("latin1", 0, ITERATOR_SEARCH_BYTES));
    this.#iterators[worker] = records > 0 && next?.[1] !== undefined ? next[1] : await this.#oldest(worker);
    return records;
  }

  async delete(): Promise<void> {
    await this.#call("DeleteStream", { StreamName: this.#name });
  }

  async #prepare(): Promise<void> {
    const { suite, recordBytes, shards, batchRecords } = this.shape;
    const StreamName = this.#name;
    await this.#call("CreateStream", { StreamName, ShardCount: shards });
    await this.#untilActive();
    if (suite !== null) await this.#encrypt(suite);
    for (let worker = 0; worker < shards; worker++) this.#iterators.push(await this.#oldest(worker));
    const record = (): Input => ({
      Data: randomBytes(recordBytes).toString("base64"),
      PartitionKey: randomBytes(8).toString("hex"),
    });
    const count = (wanted: number, bytes: number): number =>
      Math.max(1, Math.min(wanted, Math.floor(SIGNED_BYTES_MAX / bytes)));
    this.#singles = Array.from({ length: count(SIGNED_SINGLE, recordBytes) }, () =>
      this.#sign("PutRecord", { StreamName, ...record() }),
    );
    this.#batches = Array.from({ length: count(SIGNED_BATCH, recordBytes * batchRecords) }, () =>
      this.#sign("PutRecords", { StreamName, Records: Array.from({ length: batchRecords }, record) }),
    );
  }

  async #encrypt(suite: "aes" | "xchacha"): Promise<void> {
    const { dataDir } = this.#target;
    if (dataDir !== null) await askServer(dataDir, "POST", "/streams/suite", { stream: this.#name, suite });
    else if (suite !== "aes") throw new Error("the suite of another server's streams cannot be chosen");
    await this.#call("StartStreamEncryption", {
      StreamName: this.#name,
      EncryptionType: "KMS",
      KeyId: "alias/aws/kinesis",
    });
    await this.#untilActive();
  }

  async #untilActive(): Promise<void> {
    for (let attempt = 0; attempt < STREAM_WAITS_MAX; attempt++) {
      const answer = await this.#call("DescribeStream", { StreamName: this.#name });
      if ((answer["StreamDescription"] as Input)["StreamStatus"] === "ACTIVE") return;
      await new Promise((done) => setTimeout(done, STREAM_WAIT_MS));
    }
    throw new Error(`stream ${this.#name} did not become ACTIVE`);
  }

  async #oldest(shard: number): Promise<string> {
    const answer = await this.#call("GetShardIterator", {
      StreamName: this.#name,
      ShardId: `shardId-${String(shard).padStart(12, "0")}`,
      ShardIteratorType: "TRIM_HORIZON",
    });
    return String(answer["ShardIterator"]);
  }

  #sign(operation: string, input: Input): SignedRequest {
    const { endpoint, credentials } = this.#target;
    return signJson(endpoint, credentials, "kinesis", `Kinesis_20131202.${operation}`, input);
  }

  async #call(operation: string, input: Input): Promise<Record<string, unknown>> {
    const answer = await this.#connections.call(this.#sign(operation, input));
    return JSON.parse(answer.toString("utf8") || "{}") as Record<string, unknown>;
  }
}
