/** What happens to the simulated streams while they are in use: resharding, other keys, re-sealing, revocations, time. */
import { MIXED, SEALED } from "./stream-ledger.ts";
import { ask, insist, listShards, type Permission, sleep, type World } from "./stream-actors.ts";
import { ROOT } from "./simulated-server.ts";
import type { SeededRandom } from "./simulated-random.ts";

export interface Keys {
  readonly arns: readonly string[];
  /** Of the grantee, by key. */
  readonly grantIds: Map<string, string>;
}

const ACTIONS_MIN = 4;
const ACTIONS_MORE = 6;
const SHARDS_MAX = 5;
/** Past the life of data keys and iterators. */
const LONG_MS = 330_000;

export const GRANTEE_POLICY = ["kinesis:*"];
export const WRITER_POLICY = ["kinesis:*", "kms:GenerateDataKey"];
export const READER_POLICY = ["kinesis:*", "kms:Decrypt"];

/** A time in which something is refused: certain only between its beginning and its end. */
async function during(
  of: Permission,
  take: () => Promise<void>,
  meanwhile: () => Promise<void>,
  give: () => Promise<void>,
) {
  of.state = "unsure";
  of.version += 1;
  await take();
  of.state = "taken";
  await meanwhile();
  of.state = "unsure";
  await give();
  of.state = "given";
  of.version += 1;
}

export const putPolicy = async (world: World, UserName: string, actions: readonly string[]): Promise<void> => {
  const PolicyDocument = JSON.stringify({
    Version: "2012-10-17",
    Statement: [{ Effect: "Allow", Action: actions, Resource: "*" }],
  });
  await insist(world, ROOT, ["iam", "PutUserPolicy"], { UserName, PolicyName: "given", PolicyDocument });
};

const removePolicy = async (world: World, UserName: string): Promise<void> => {
  await insist(world, ROOT, ["iam", "DeleteUserPolicy"], { UserName, PolicyName: "given" }, ["NoSuchEntity"]);
};

export async function grant(world: World, keys: Keys): Promise<void> {
  for (const KeyId of keys.arns) {
    const input = { KeyId, GranteePrincipal: world.users.grantee.arn, Operations: ["Decrypt"], Name: "to the grantee" };
    // The name makes a repetition the same grant, as on AWS.
    const { GrantId } = (await insist(world, ROOT, ["kms", "CreateGrant"], input)) as { readonly GrantId: string };
    keys.grantIds.set(KeyId, GrantId);
  }
}

async function revoke(world: World, keys: Keys): Promise<void> {
  for (const [KeyId, GrantId] of keys.grantIds)
    await insist(world, ROOT, ["kms", "RevokeGrant"], { KeyId, GrantId }, ["NotFoundException"]);
}

export async function enableKeys(world: World, keys: Keys, operation: "EnableKey" | "DisableKey"): Promise<void> {
  for (const KeyId of keys.arns) await insist(world, ROOT, ["kms", operation], { KeyId });
}

async function reshard(world: World, random: SeededRandom): Promise<void> {
  const StreamName = random.pick([SEALED, MIXED]);
  const kinesis = (operation: string, input: object): Promise<unknown> =>
    ask(world, ROOT, "kinesis", operation, { StreamName, ...input });
  if (random.chance(0.4)) {
    await kinesis("UpdateShardCount", {
      TargetShardCount: 1 + random.below(SHARDS_MAX),
      ScalingType: "UNIFORM_SCALING",
    });
    return;
  }
  const start = (shard: { readonly HashKeyRange: { readonly StartingHashKey: string } }): bigint =>
    BigInt(shard.HashKeyRange.StartingHashKey);
  const open = ((await listShards(world, ROOT, StreamName)) ?? [])
    .filter(({ SequenceNumberRange }) => SequenceNumberRange.EndingSequenceNumber === undefined)
    .toSorted((a, b) => (start(a) < start(b) ? -1 : 1));
  const at = open.length === 0 ? 0 : random.below(open.length);
  const [shard, next] = [open[at], open[at + 1]];
  if (shard === undefined) return;
  if (next !== undefined && random.chance(open.length > SHARDS_MAX ? 0.9 : 0.5)) {
    await kinesis("MergeShards", { ShardToMerge: shard.ShardId, AdjacentShardToMerge: next.ShardId });
    return;
  }
  const middle = (start(shard) + BigInt(shard.HashKeyRange.EndingHashKey)) / 2n;
  await kinesis("SplitShard", { ShardToSplit: shard.ShardId, NewStartingHashKey: middle.toString() });
}

async function changeKey(world: World, keys: Keys, random: SeededRandom): Promise<void> {
  const KeyId = random.pick(keys.arns);
  const start = ["kinesis", "StartStreamEncryption"] as const;
  const encryption = { EncryptionType: "KMS", KeyId };
  if (random.chance(0.5)) {
    await ask(world, ROOT, ...start, { StreamName: SEALED, ...encryption });
    return;
  }
  const { mixedIsSealed } = world.may;
  const mixed = { StreamName: MIXED, ...encryption };
  const wasSealed = mixedIsSealed.state === "given";
  mixedIsSealed.state = "unsure";
  mixedIsSealed.version += 1;
  if (wasSealed && random.chance(0.6)) {
    const ended = await ask(world, ROOT, "kinesis", "StopStreamEncryption", mixed);
    mixedIsSealed.state = ended.kind === "answered" ? "taken" : "unsure";
  } else {
    const ended = await ask(world, ROOT, ...start, mixed);
    mixedIsSealed.state = ended.kind === "answered" ? "given" : "unsure";
  }
}

/** As random as the seed has it. */
export async function operate(world: World, keys: Keys): Promise<void> {
  const { server, may } = world;
  const random = world.random.fork();
  const pause = (ms: number): Promise<void> => sleep(world, random.below(ms));
  const revoked = (of: Permission, user: string, actions: readonly string[]): Promise<void> =>
    during(
      of,
      () => removePolicy(world, user),
      () => pause(800),
      () => putPolicy(world, user, actions),
    );
  const actions: readonly (() => Promise<void>)[] = [
    () => reshard(world, random),
    () => reshard(world, random),
    () => reshard(world, random),
    () => changeKey(world, keys, random),
    () => changeKey(world, keys, random),
    async () => void (await ask(world, ROOT, "kms", "RotateKeyOnDemand", { KeyId: random.pick(keys.arns) })),
    async () => void (await ask(world, ROOT, "kinesis", "ResealStream", { StreamName: SEALED })),
    async () => void (await ask(world, ROOT, "kinesis", "AddTagsToStream", { StreamName: SEALED, Tags: { a: "b" } })),
    () => revoked(may.read, "reader", READER_POLICY),
    () => revoked(may.write, "writer", WRITER_POLICY),
    () =>
      during(
        may.grant,
        () => revoke(world, keys),
        () => pause(800),
        () => grant(world, keys),
      ),
    () =>
      during(
        may.keys,
        () => enableKeys(world, keys, "DisableKey"),
        () => pause(800),
        () => enableKeys(world, keys, "EnableKey"),
      ),
    async () => {
      server.clock.advance(LONG_MS * (1 + random.below(4)));
      await server.pause();
    },
  ];
  const count = ACTIONS_MIN + random.below(ACTIONS_MORE);
  for (let done = 0; done < count; done++) {
    await random.pick(actions)();
    await pause(500);
  }
}
