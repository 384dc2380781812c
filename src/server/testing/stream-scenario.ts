/** One scenario of the simulated stream service, from a seed: what it does, and everything that must hold in it. */
import type { Principal } from "../../gateway/contract.ts";
import { SeededRandom } from "./simulated-random.ts";
import { ACCOUNT, ROOT, SimulatedServer } from "./simulated-server.ts";
import { ask, Consumer, insist, permission, produce, produceCalmly, pry, sleep, type World } from "./stream-actors.ts";
import { Ledger, MIXED, SEALED } from "./stream-ledger.ts";
import {
  enableKeys,
  grant,
  GRANTEE_POLICY,
  type Keys,
  operate,
  putPolicy,
  READER_POLICY,
  WRITER_POLICY,
} from "./stream-operator.ts";

export interface ScenarioResult {
  readonly violations: readonly string[];
  readonly acknowledged: number;
  readonly crashes: number;
  readonly shards: number;
  /** The same seed makes the same one. */
  readonly trace: string;
}

const CRASHES_MAX = 4;

export async function runScenario(seed: number): Promise<ScenarioResult> {
  const random = new SeededRandom(seed);
  const ledger = new Ledger(seed);
  const suite = random.chance(0.5) ? "aes" : "xchacha";
  const server = new SimulatedServer(random.fork(), { suite, crashes: random.below(CRASHES_MAX + 1), witness: ledger });
  try {
    const shards = await server.run(scenario(server, ledger, random));
    for (const trouble of server.troubles) ledger.violated(trouble);
    ledger.checkClear();
    return {
      violations: ledger.violations,
      acknowledged: ledger.acknowledged.size,
      crashes: server.crashes,
      shards,
      trace: ledger.trace,
    };
  } catch (error) {
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    return { violations: [...ledger.violations, text], acknowledged: 0, crashes: server.crashes, shards: 0, trace: "" };
  } finally {
    server.close();
  }
}

async function scenario(server: SimulatedServer, ledger: Ledger, random: SeededRandom): Promise<number> {
  server.isCalm = true;
  const users = await makeUsers({ server, ledger, random });
  const may = {
    write: permission(),
    read: permission(),
    grant: permission(),
    keys: permission(),
    mixedIsSealed: { ...permission(), state: "unsure" as const },
  };
  const world: World = { server, ledger, random, users, may, isOver: false };
  const keys = await prepare(world);
  // However far back the clock is set, the streams are no longer being created.
  await sleep(world, 60_000);

  server.isCalm = false;
  server.kill();
  const consumers = [SEALED, MIXED].map((stream) => new Consumer(world, users.reader, stream));
  const others = [
    produce(world, "a", users.writer),
    produce(world, "b", users.writer),
    produce(world, "c", ROOT),
    pry(world),
    ...consumers.map((consumer) => consumer.follow()),
  ];
  await operate(world, keys);
  world.isOver = true;
  await Promise.all(others);

  server.isCalm = true;
  await enableKeys(world, keys, "EnableKey");
  for (const stream of [SEALED, MIXED]) await produceCalmly(world, stream);
  server.kill();
  return await checkAtTheEnd(world, keys, consumers);
}

async function makeUsers(parts: Pick<World, "server" | "ledger" | "random">): Promise<World["users"]> {
  const make = async (UserName: string): Promise<Principal> => {
    const ended = await parts.server.call(ROOT, "iam", "CreateUser", { UserName });
    if (ended.kind !== "answered") throw new Error(`${UserName} could not be made`);
    const { User } = ended.output as { readonly User: { readonly Arn: string; readonly UserId: string } };
    return { type: "User", arn: User.Arn, accountId: ACCOUNT, userId: User.UserId, userName: UserName };
  };
  return {
    writer: await make("writer"),
    reader: await make("reader"),
    grantee: await make("grantee"),
    stranger: await make("stranger"),
  };
}

async function prepare(world: World): Promise<Keys> {
  await putPolicy(world, "writer", WRITER_POLICY);
  await putPolicy(world, "reader", READER_POLICY);
  await putPolicy(world, "grantee", GRANTEE_POLICY);
  const arns: string[] = [];
  for (let count = 0; count < 2; count++) {
    const made = (await insist(world, ROOT, ["kms", "CreateKey"], {})) as {
      readonly KeyMetadata: { readonly Arn: string };
    };
    arns.push(made.KeyMetadata.Arn);
  }
  const keys: Keys = { arns, grantIds: new Map() };
  await grant(world, keys);
  for (const StreamName of [SEALED, MIXED]) {
    await insist(world, ROOT, ["kinesis", "CreateStream"], { StreamName, ShardCount: 1 + world.random.below(3) });
    await untilActive(world, StreamName);
  }
  await encrypt(world, SEALED, arns[0] ?? "");
  return keys;
}

async function untilActive(world: World, StreamName: string): Promise<void> {
  for (let polls = 0; polls < 10_000; polls++) {
    const answer = await insist(world, ROOT, ["kinesis", "DescribeStreamSummary"], { StreamName });
    const { StreamDescriptionSummary } = answer as {
      readonly StreamDescriptionSummary: { readonly StreamStatus: string };
    };
    if (StreamDescriptionSummary.StreamStatus === "ACTIVE") return;
    await sleep(world, 100);
  }
  throw new Error(`${StreamName} never becomes ACTIVE`);
}

async function encrypt(world: World, StreamName: string, KeyId: string): Promise<void> {
  const input = { StreamName, EncryptionType: "KMS", KeyId };
  // Until it is ACTIVE again, it is in use.
  await untilActive(world, StreamName);
  await insist(world, ROOT, ["kinesis", "StartStreamEncryption"], input);
  await untilActive(world, StreamName);
}

/** Everything is there, for those who followed and for those who come now; and one key is enough for it. */
async function checkAtTheEnd(world: World, keys: Keys, consumers: readonly Consumer[]): Promise<number> {
  const { ledger, users, server } = world;
  await putPolicy(world, "reader", READER_POLICY);
  await enableKeys(world, keys, "EnableKey");
  const [kept = "", dropped = ""] = keys.arns;
  for (const stream of [SEALED, MIXED]) {
    await encrypt(world, stream, kept);
    await resealed(world, stream, kept);
  }
  await insist(world, ROOT, ["kms", "DisableKey"], { KeyId: dropped });
  server.kill();
  let shards = 0;
  for (const [at, stream] of [SEALED, MIXED].entries()) {
    const follower = consumers[at];
    await follower?.finish();
    follower?.reading.checkWhole("who followed");
    const late = new Consumer(world, ROOT, stream);
    await late.finish();
    late.reading.checkWhole("who came late");
    if (follower !== undefined && follower.reading.count !== late.reading.count)
      ledger.violated(`${stream}: ${follower.reading.count} were followed, ${late.reading.count} are there`);
    const list = await insist(world, ROOT, ["kinesis", "ListShards"], { StreamName: stream });
    shards += (list as { readonly Shards: readonly unknown[] }).Shards.length;
    const ended = await ask(world, users.stranger, "kinesis", "ListShards", { StreamName: stream });
    if (ended.kind !== "refused") ledger.violated("a stranger saw the shards");
  }
  return shards;
}

interface Report {
  readonly shares: readonly { readonly keyArn: string | null; readonly suite: string }[];
  readonly cursor: object | null;
}

async function resealed(world: World, StreamName: string, keyArn: string): Promise<void> {
  const { ledger } = world;
  for (;;) {
    await insist(world, ROOT, ["kinesis", "ResealStream"], { StreamName });
    const status = await resealEnded(world, StreamName);
    if (status.damaged.length > 0) ledger.violated(`${StreamName} holds damaged blocks`);
    if (status.state === "DONE") break;
    // One that a disabled key had stopped goes on from where it stood.
    if (status.reason?.code !== "KMSDisabledException" && status.reason !== null)
      ledger.note(`re-sealing stopped: ${status.reason.code}`);
  }
  let cursor: object | null = null;
  do {
    const input = { StreamName, cursor };
    const report = (await insist(world, ROOT, ["kinesis", "ReportStreamEncryption"], input)) as Report;
    for (const share of report.shares)
      if (share.keyArn !== keyArn) ledger.violated(`${StreamName} has records under ${share.keyArn ?? share.suite}`);
    ({ cursor } = report);
  } while (cursor !== null);
}

interface ResealStatus {
  readonly state: string;
  readonly reason: { readonly code: string } | null;
  readonly damaged: readonly unknown[];
}

async function resealEnded(world: World, StreamName: string): Promise<ResealStatus> {
  for (let polls = 0; polls < 10_000; polls++) {
    const status = await insist(world, ROOT, ["kinesis", "DescribeStreamReseal"], { StreamName });
    if ((status as ResealStatus).state !== "RUNNING") return status as ResealStatus;
    await sleep(world, 400);
  }
  throw new Error(`sealing ${StreamName} again never ends`);
}
