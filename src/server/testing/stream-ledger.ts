/** What was acknowledged, what was read, and what must never be: the model that a simulated stream service is held against. */
import { createHash } from "node:crypto";
import { asBuffer } from "../../base/bytes.ts";
import type { Block } from "../../store/record-log.ts";
import type { Witness } from "./simulated-server.ts";

export interface Written {
  readonly id: string;
  readonly stream: string;
  readonly key: string;
  readonly count: number;
}

export interface ReadRecord {
  readonly SequenceNumber: string;
  readonly PartitionKey: string;
  readonly Data: Uint8Array;
}

interface Acknowledgement {
  readonly shardId: string;
  readonly sequenceNumber: string;
  readonly sealed: boolean;
}

/** A stream that is encrypted from before its first record to the end. */
export const SEALED = "sealed";
/** A stream whose encryption is started and stopped. */
export const MIXED = "mixed";

const LARGE_BYTES = 30_000;

export class Ledger implements Witness {
  /** Stands in every payload and partition key. */
  readonly marker: string;
  readonly acknowledged: Map<string, Acknowledgement> = new Map();
  readonly violations: string[] = [];
  /** Records that a store was given in clear. */
  readonly #inClear = new Set<string>();
  readonly #forms: readonly Buffer[];
  readonly #trace = createHash("sha256");

  constructor(seed: number) {
    this.marker = `canary-${seed.toString(16).padStart(8, "0")}`;
    const raw = Buffer.from(this.marker);
    const texts = [0, 1, 2].map((shift) =>
      Buffer.concat([Buffer.alloc(shift), raw])
        .toString("base64")
        .replace(/=+$/, "")
        .slice(4, -1),
    );
    this.#forms = [raw, Buffer.from(raw.toString("hex")), ...texts.map((text) => Buffer.from(text))];
  }

  violated(what: string): void {
    if (this.violations.length < 20) this.violations.push(what);
  }

  /** The same seed must make the same trace. */
  note(line: string): void {
    this.#trace.update(`${line}\n`);
  }

  get trace(): string {
    return this.#trace.copy().digest("hex");
  }

  partitionKey(key: string): string {
    return `${this.marker}.${key}`;
  }

  payload({ id, count }: Written): Uint8Array {
    const size = count % 23 === 7 ? LARGE_BYTES : (count * 37) % 300;
    return Buffer.from(`${this.marker}|${id}|${"x".repeat(size)}`);
  }

  metadata(bytes: Uint8Array): void {
    if (this.#holdsCanary(bytes)) this.violated("a payload or partition key in the metadata store");
  }

  block(_streamId: string, { bytes }: Block): void {
    if (!this.#holdsCanary(bytes)) return;
    const text = asBuffer(bytes).toString("latin1");
    const found = text.split(`${this.marker}|`).slice(1);
    for (const part of found) this.#inClear.add(part.slice(0, part.indexOf("|")));
    if (found.length === 0) this.violated("a partition key without its payload in the record log");
  }

  #holdsCanary(bytes: Uint8Array): boolean {
    const all = asBuffer(bytes);
    return this.#forms.some((form) => all.includes(form));
  }

  acknowledge({ id }: Written, acknowledgement: Acknowledgement): void {
    this.acknowledged.set(id, acknowledgement);
    this.note(`${id} ${acknowledgement.shardId} ${acknowledgement.sequenceNumber}`);
  }

  checkClear(): void {
    for (const id of this.#inClear) {
      if (id.startsWith(`${SEALED}/`)) this.violated(`${id} was stored in clear`);
      if (this.acknowledged.get(id)?.sealed === true)
        this.violated(`${id} was stored in clear, and acknowledged as sealed`);
    }
  }
}

/** One reader's view of a stream: holds every record that it is handed against the ledger. */
export class Reading {
  readonly #ledger: Ledger;
  readonly #stream: string;
  readonly #seen = new Set<string>();
  readonly #lastOfKey = new Map<string, number>();
  readonly #lastOfShard = new Map<string, bigint>();

  constructor(ledger: Ledger, stream: string) {
    this.#ledger = ledger;
    this.#stream = stream;
  }

  get count(): number {
    return this.#seen.size;
  }

  take(shardId: string, records: readonly ReadRecord[]): void {
    for (const record of records) this.#takeOne(shardId, record);
  }

  #takeOne(shardId: string, { SequenceNumber, PartitionKey, Data }: ReadRecord): void {
    const ledger = this.#ledger;
    const [marker, id = "", ...rest] = Buffer.from(Data).toString().split("|");
    const [stream = "", key = "", number = ""] = id.split("/");
    const count = Number(number);
    const isWhole =
      marker === ledger.marker &&
      rest.length === 1 &&
      stream === this.#stream &&
      PartitionKey === ledger.partitionKey(key) &&
      Buffer.compare(Data, ledger.payload({ id, stream, key, count })) === 0;
    if (!isWhole) ledger.violated(`${shardId} ${SequenceNumber} is not what was put: ${id}`);
    if (this.#seen.has(id)) ledger.violated(`${id} was read twice, at last in ${shardId}`);
    this.#seen.add(id);
    if (count <= (this.#lastOfKey.get(key) ?? -1)) ledger.violated(`${id} is out of its key's order, in ${shardId}`);
    this.#lastOfKey.set(key, count);
    const at = BigInt(SequenceNumber);
    if (at <= (this.#lastOfShard.get(shardId) ?? 0n)) ledger.violated(`${id} is out of order in ${shardId}`);
    this.#lastOfShard.set(shardId, at);
    const known = ledger.acknowledged.get(id);
    if (known !== undefined && (known.shardId !== shardId || known.sequenceNumber !== SequenceNumber))
      ledger.violated(`${id} is at another place than was answered`);
  }

  /** Everything that was acknowledged was read. */
  checkWhole(who: string): void {
    const prefix = `${this.#stream}/`;
    const lost = [...this.#ledger.acknowledged.keys()].filter((id) => id.startsWith(prefix) && !this.#seen.has(id));
    if (lost.length > 0)
      this.#ledger.violated(`${who} did not find ${lost.length} records: ${lost.slice(0, 5).join(", ")}`);
  }
}
