/** Who uses the simulated service: producers, a consumer that follows resharding, and others who may not. */
import type { Principal } from "../../gateway/contract.ts";
import type { SeededRandom } from "./simulated-random.ts";
import { type Ended, isInjected, ROOT, type SimulatedServer } from "./simulated-server.ts";
import { type Ledger, MIXED, Reading, type ReadRecord, SEALED, type Written } from "./stream-ledger.ts";

/** What must be refused while it is "taken". "unsure": it is being changed. `version` tells one time of it from the next. */
export interface Permission {
  state: "given" | "taken" | "unsure";
  version: number;
}

export const permission = (): Permission => ({ state: "given", version: 0 });

export interface World {
  readonly server: SimulatedServer;
  readonly ledger: Ledger;
  readonly random: SeededRandom;
  readonly users: Readonly<Record<"writer" | "reader" | "grantee" | "stranger", Principal>>;
  readonly may: {
    /** What the writer and the reader are allowed by their own policies. */
    readonly write: Permission;
    readonly read: Permission;
    /** What the grantee is allowed by grants alone: to decrypt. */
    readonly grant: Permission;
    /** Both keys are enabled. */
    readonly keys: Permission;
    /** "given": records of the mixed stream are sealed. */
    readonly mixedIsSealed: Permission;
  };
  isOver: boolean;
}

/** Refusals that what the others do can explain. */
const EXPECTED: ReadonlySet<string> = new Set([
  "AccessDenied",
  "AccessDeniedException",
  "AlreadyExistsException",
  "ConcurrentModificationException",
  "ExpiredIteratorException",
  "InvalidArgumentException",
  "KMSAccessDeniedException",
  "KMSDisabledException",
  "KMSInvalidStateException",
  "LimitExceededException",
  "NoSuchEntity",
  "NotFoundException",
  "ProvisionedThroughputExceededException",
  "ResourceInUseException",
  "ValidationException",
]);

const textOf = (cause: unknown): string => (cause instanceof Error ? (cause.stack ?? cause.message) : "");

/** Calls as `who`; what nobody can explain is a violation. */
export async function ask(
  { server, ledger }: World,
  who: Principal,
  service: string,
  operation: string,
  input: object,
): Promise<Ended> {
  const ended = await server.call(who, service, operation, input);
  ledger.note(`${operation} ${ended.kind} ${ended.kind === "refused" ? ended.error.code : ""}`);
  if (ended.kind === "refused") {
    const { error } = ended;
    // A put whose append failed says so without a cause.
    const isPut = !server.isCalm && operation === "PutRecord" && error.code === "InternalFailureException";
    if (!EXPECTED.has(error.code) && !isInjected(error) && !isPut)
      ledger.violated(`${operation} was refused with ${error.code}: ${error.message} ${textOf(error.cause)}`);
  }
  return ended;
}

/** Calls until it is done, or refused with one of these codes, which say that it was done before. */
export async function insist(
  world: World,
  who: Principal,
  [service, operation]: readonly [string, string],
  input: object,
  doneBefore: readonly string[] = [],
): Promise<unknown> {
  for (let tries = 0; tries < 400; tries++) {
    const ended = await ask(world, who, service, operation, input);
    if (ended.kind === "answered") return ended.output;
    if (ended.kind === "refused" && doneBefore.includes(ended.error.code)) return null;
    await sleep(world, 50);
  }
  throw new Error(`${operation} never succeeds`);
}

export const sleep = ({ server }: World, ms: number): Promise<void> =>
  new Promise((resolve) => void server.clock.after(ms, resolve));

/** Was it taken before the call, and is it the same time of it? */
const wasTaken = (now: Permission, before: Permission): boolean =>
  before.state === "taken" && now.state === "taken" && now.version === before.version;

const BATCH_MAX = 12;

/** Puts under keys of its own, one request after the other, and never the same record twice. */
export async function produce(world: World, name: string, who: Principal): Promise<void> {
  const { ledger, may } = world;
  const random = world.random.fork();
  const counts = new Map<string, number>();
  const record = (stream: string): Written => {
    const key = `${name}k${random.below(2)}${stream.slice(0, 1)}`;
    const count = counts.get(key) ?? 0;
    counts.set(key, count + 1);
    return { id: `${stream}/${key}/${count}`, stream, key, count };
  };
  while (!world.isOver) {
    const stream = random.chance(0.6) ? SEALED : MIXED;
    const batch = Array.from({ length: random.chance(0.4) ? 1 : 1 + random.below(BATCH_MAX) }, () => record(stream));
    const before = { write: { ...may.write }, keys: { ...may.keys }, sealed: { ...may.mixedIsSealed } };
    const { type, acknowledged } = await put(world, who, stream, batch);
    for (const [written, place] of acknowledged) ledger.acknowledge(written, { ...place, sealed: type === "KMS" });
    if (acknowledged.length > 0) {
      if (who === world.users.writer && wasTaken(may.write, before.write)) ledger.violated("a put without permission");
      if (type === "KMS" && wasTaken(may.keys, before.keys)) ledger.violated("a put under a disabled key");
      const { mixedIsSealed: now } = may;
      const held = before.sealed.state === "given" && now.state === "given" && now.version === before.sealed.version;
      if ((stream === SEALED || held) && type !== "KMS") ledger.violated(`${stream} took a record in clear`);
    }
    await (random.chance(0.7) ? world.server.pause() : sleep(world, random.below(200)));
  }
}

const PROBES = 24;

/** How often: the process may still die once. */
const PROBE_ROUNDS = 3;

/** Nothing fails any more: every shard takes records, without a restart. */
export async function produceCalmly(world: World, stream: string): Promise<void> {
  for (let count = 0; count < PROBE_ROUNDS; count++) {
    const batch = Array.from({ length: PROBES }, (_, at): Written => {
      const key = `probe${at}${stream.slice(0, 1)}`;
      return { id: `${stream}/${key}/${count}`, stream, key, count };
    });
    const { type, acknowledged } = await put(world, ROOT, stream, batch);
    for (const [written, place] of acknowledged)
      world.ledger.acknowledge(written, { ...place, sealed: type === "KMS" });
    if (acknowledged.length === batch.length) return;
  }
  world.ledger.violated(`${stream} does not take records any more`);
}

interface Place {
  readonly shardId: string;
  readonly sequenceNumber: string;
}

interface PutAnswer {
  readonly EncryptionType?: string;
  readonly ShardId?: string;
  readonly SequenceNumber?: string;
  readonly Records?: readonly { readonly ShardId?: string; readonly SequenceNumber?: string }[];
}

async function put(
  world: World,
  who: Principal,
  StreamName: string,
  batch: readonly Written[],
): Promise<{ readonly type: string; readonly acknowledged: readonly (readonly [Written, Place])[] }> {
  const records = batch.map((written) => ({
    PartitionKey: world.ledger.partitionKey(written.key),
    Data: world.ledger.payload(written),
  }));
  const single = records.length === 1;
  const ended = single
    ? await ask(world, who, "kinesis", "PutRecord", { StreamName, ...records[0] })
    : await ask(world, who, "kinesis", "PutRecords", { StreamName, Records: records });
  if (ended.kind !== "answered") return { type: "", acknowledged: [] };
  const answer = ended.output as PutAnswer;
  const entries = single ? [answer] : (answer.Records ?? []);
  const acknowledged = batch.flatMap((written, at) => {
    const { ShardId, SequenceNumber } = entries[at] ?? {};
    if (ShardId === undefined || SequenceNumber === undefined) return [];
    return [[written, { shardId: ShardId, sequenceNumber: SequenceNumber }] as const];
  });
  return { type: answer.EncryptionType ?? "", acknowledged };
}

interface ListedShard {
  readonly ShardId: string;
  readonly ParentShardId?: string;
  readonly AdjacentParentShardId?: string;
  readonly HashKeyRange: { readonly StartingHashKey: string; readonly EndingHashKey: string };
  readonly SequenceNumberRange: { readonly EndingSequenceNumber?: string };
}

export async function listShards(
  world: World,
  who: Principal,
  StreamName: string,
): Promise<readonly ListedShard[] | null> {
  const ended = await ask(world, who, "kinesis", "ListShards", { StreamName });
  return ended.kind === "answered" ? (ended.output as { readonly Shards: readonly ListedShard[] }).Shards : null;
}

interface Page {
  readonly Records: readonly ReadRecord[];
  readonly NextShardIterator?: string;
  readonly MillisBehindLatest: number;
}

interface ShardPosition {
  last: string | null;
  iterator: string | null;
  state: "reading" | "caught up" | "finished";
}

/** Follows a stream through its resharding: parents to their end before their children, going on where it stood after errors. */
export class Consumer {
  readonly reading: Reading;
  readonly #world: World;
  readonly #who: Principal;
  readonly #stream: string;
  readonly #random: SeededRandom;
  readonly #shards = new Map<string, ShardPosition>();

  constructor(world: World, who: Principal, stream: string) {
    this.#world = world;
    this.#who = who;
    this.#stream = stream;
    this.#random = world.random.fork();
    this.reading = new Reading(world.ledger, stream);
  }

  async follow(): Promise<void> {
    while (!this.#world.isOver) {
      await this.#round();
      await sleep(this.#world, this.#random.below(200));
    }
  }

  /** To the end of all that is stored. Nothing fails any more. */
  async finish(): Promise<void> {
    for (let rounds = 0; rounds < 1_000; rounds++) {
      for (const position of this.#shards.values()) if (position.state === "caught up") position.state = "reading";
      if ((await this.#round()) && [...this.#shards.values()].every(({ state }) => state !== "reading")) return;
    }
    this.#world.ledger.violated(`a consumer never comes to the end of ${this.#stream}`);
  }

  /** One page of every shard that may be read. False: not all shards are known or being read. */
  async #round(): Promise<boolean> {
    const shards = await listShards(this.#world, this.#who, this.#stream);
    if (shards === null) return false;
    const known = new Set(shards.map(({ ShardId }) => ShardId));
    let all = true;
    for (const { ShardId, ParentShardId, AdjacentParentShardId } of shards) {
      const parents = [ParentShardId, AdjacentParentShardId].filter((id) => id !== undefined && known.has(id));
      if (parents.every((id) => this.#shards.get(id ?? "")?.state === "finished")) await this.#readPage(ShardId);
      else all = false;
    }
    return all;
  }

  async #readPage(shardId: string): Promise<void> {
    const position = this.#shards.get(shardId) ?? { last: null, iterator: null, state: "reading" };
    this.#shards.set(shardId, position);
    if (position.state === "finished") return;
    position.iterator ??= await iteratorAt(this.#world, this.#who, this.#stream, shardId, position.last);
    if (position.iterator === null) return;
    const page = await getRecords(this.#world, this.#who, this.#stream, position.iterator, 1 + this.#random.below(60));
    position.iterator = page?.NextShardIterator ?? null;
    if (page === null) return;
    this.reading.take(shardId, page.Records);
    position.last = page.Records.at(-1)?.SequenceNumber ?? position.last;
    if (page.NextShardIterator === undefined) position.state = "finished";
    else position.state = page.MillisBehindLatest === 0 && page.Records.length === 0 ? "caught up" : "reading";
  }
}

async function iteratorAt(
  world: World,
  who: Principal,
  StreamName: string,
  ShardId: string,
  last: string | null,
): Promise<string | null> {
  const ended = await ask(world, who, "kinesis", "GetShardIterator", {
    StreamName,
    ShardId,
    ...(last === null
      ? { ShardIteratorType: "TRIM_HORIZON" }
      : { ShardIteratorType: "AFTER_SEQUENCE_NUMBER", StartingSequenceNumber: last }),
  });
  return ended.kind === "answered" ? (ended.output as { readonly ShardIterator: string }).ShardIterator : null;
}

async function getRecords(
  world: World,
  who: Principal,
  stream: string,
  ShardIterator: string,
  Limit: number,
): Promise<Page | null> {
  const { may, ledger, users } = world;
  const before = { read: { ...may.read }, grant: { ...may.grant }, keys: { ...may.keys } };
  const ended = await ask(world, who, "kinesis", "GetRecords", { ShardIterator, Limit });
  if (ended.kind !== "answered") return null;
  const page = ended.output as Page;
  if (who === users.stranger) ledger.violated("a stranger read");
  if (who === users.reader && wasTaken(may.read, before.read)) ledger.violated("a read without permission");
  if (stream === SEALED && page.Records.length > 0) {
    if (who === users.grantee && wasTaken(may.grant, before.grant))
      ledger.violated("a read with a grant that was revoked");
    if (wasTaken(may.keys, before.keys)) ledger.violated("a read under a disabled key");
  }
  return page;
}

/** Those who read with a grant alone, and those who may do nothing and got hold of somebody's iterator. */
export async function pry(world: World): Promise<void> {
  const { users, ledger } = world;
  const random = world.random.fork();
  while (!world.isOver) {
    const stream = random.pick([SEALED, MIXED]);
    const shards = (await listShards(world, users.grantee, stream)) ?? [];
    const shardId = shards.length === 0 ? null : random.pick(shards).ShardId;
    const iterator = shardId === null ? null : await iteratorAt(world, users.grantee, stream, shardId, null);
    if (iterator !== null) {
      await getRecords(world, users.grantee, stream, iterator, 50);
      await getRecords(world, users.stranger, stream, iterator, 50);
    }
    const input = { StreamName: stream, PartitionKey: "stranger", Data: Buffer.from("forged") };
    const ended = await ask(world, users.stranger, "kinesis", "PutRecord", input);
    if (ended.kind === "answered") ledger.violated("a stranger put");
    await sleep(world, random.below(400));
  }
}
