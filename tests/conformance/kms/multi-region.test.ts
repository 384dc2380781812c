import { randomBytes } from "node:crypto";
import { expect, test } from "vitest";
import { eventually } from "../../support/wait.ts";
import { HOME_REGION, OTHER_REGION, TWO_REGIONS } from "./samples.ts";
import { bytes, expectRefusal, given, kmsSuite } from "./suite.ts";
import { importMaterial } from "./wrapping.ts";

/** Multi-Region keys, on a server that serves two Regions. */
const suite = kmsSuite({ args: TWO_REGIONS });
const { kms, works, refuses } = suite;
const away = (): ReturnType<typeof kms> => suite.inRegion(OTHER_REGION);

const primary = async (input: { readonly Origin?: "EXTERNAL" } = {}): Promise<string> =>
  given((await kms().createKey({ MultiRegion: true, ...input })).KeyMetadata?.KeyId);
const stateIn = async (region: string, KeyId: string): Promise<unknown> =>
  (await suite.inRegion(region).describeKey({ KeyId })).KeyMetadata?.KeyState;
const settled = async (region: string, KeyId: string): Promise<unknown> =>
  eventually(async () => {
    const state = await stateIn(region, KeyId);
    return state === "Creating" || state === "Updating" ? null : state;
  });
const replicated = async (): Promise<string> => {
  const KeyId = await primary();
  await kms().replicateKey({ KeyId, ReplicaRegion: OTHER_REGION });
  await settled(OTHER_REGION, KeyId);
  return KeyId;
};

test("Regions are apart: a key of one is not there in the other", async () => {
  const { KeyMetadata } = await kms().createKey({});
  await expectRefusal(
    away().describeKey({ KeyId: given(KeyMetadata?.KeyId) }),
    "NotFoundException",
    `Key 'arn:aws:kms:${OTHER_REGION}:${suite.server().accountId}:key/${KeyMetadata?.KeyId}' does not exist`,
  );
  await expectRefusal(
    away().describeKey({ KeyId: given(KeyMetadata?.Arn) }),
    "NotFoundException",
    `Invalid arn ${HOME_REGION}`,
  );
});
works(
  "ReplicateKey",
  "the replica begins as Creating, has its own policy and tags, and opens what the primary sealed",
  async () => {
    const KeyId = await primary();
    const answer = await kms().replicateKey({
      KeyId,
      ReplicaRegion: OTHER_REGION,
      Description: "replica",
      Tags: [{ TagKey: "a", TagValue: "b" }],
    });
    expect(answer.ReplicaKeyMetadata).toMatchObject({
      KeyId,
      Arn: `arn:aws:kms:${OTHER_REGION}:${suite.server().accountId}:key/${KeyId}`,
      Description: "replica",
      Enabled: false,
      KeyState: "Creating",
      MultiRegion: true,
      MultiRegionConfiguration: { MultiRegionKeyType: "REPLICA", PrimaryKey: { Region: HOME_REGION } },
    });
    expect(JSON.parse(given(answer.ReplicaPolicy))).toMatchObject({ Id: "key-default-1" });
    expect(answer.ReplicaTags).toEqual([{ TagKey: "a", TagValue: "b" }]);
    expect(await settled(OTHER_REGION, KeyId)).toBe("Enabled");
    const there = (await away().encrypt({ KeyId, Plaintext: bytes("there") })).CiphertextBlob;
    const here = (await kms().encrypt({ KeyId, Plaintext: bytes("here") })).CiphertextBlob;
    expect((await kms().decrypt({ KeyId, CiphertextBlob: there })).Plaintext).toEqual(bytes("there"));
    expect((await away().decrypt({ KeyId, CiphertextBlob: here })).Plaintext).toEqual(bytes("here"));
    const { KeyMetadata } = await kms().describeKey({ KeyId });
    expect(KeyMetadata?.MultiRegionConfiguration?.ReplicaKeys?.map(({ Region }) => Region)).toEqual([OTHER_REGION]);
  },
);
refuses("ReplicateKey", "AlreadyExistsException", "a Region that has a replica", async () =>
  kms().replicateKey({ KeyId: await replicated(), ReplicaRegion: OTHER_REGION }),
);
refuses(
  "ReplicateKey",
  "UnsupportedOperationException",
  "a replica",
  async () => {
    const KeyId = await replicated();
    return away().replicateKey({ KeyId, ReplicaRegion: HOME_REGION });
  },
  /^arn:aws:kms:\S+ is not a multi-region primary key\.$/,
);
refuses("ReplicateKey", "UnsupportedOperationException", "a key of one Region", async () =>
  kms().replicateKey({ KeyId: given((await kms().createKey({})).KeyMetadata?.KeyId), ReplicaRegion: OTHER_REGION }),
);
refuses("ReplicateKey", "MalformedPolicyDocumentException", "a policy that is none", async () =>
  kms().replicateKey({ KeyId: await primary(), ReplicaRegion: OTHER_REGION, Policy: "none" }),
);
refuses("ReplicateKey", "LimitExceededException", "a policy of more than 32 KB", async () => {
  const Policy = JSON.stringify({
    Version: "2012-10-17",
    Id: "x".repeat(32 * 1024),
    Statement: [{ Effect: "Allow", Principal: { AWS: "*" }, Action: "kms:*", Resource: "*" }],
  });
  return kms().replicateKey({ KeyId: await primary(), ReplicaRegion: OTHER_REGION, Policy });
});
refuses(
  "ReplicateKey",
  "TagException",
  "a tag twice",
  async () => {
    const tag = { TagKey: "a", TagValue: "b" };
    return kms().replicateKey({ KeyId: await primary(), ReplicaRegion: OTHER_REGION, Tags: [tag, tag] });
  },
  "Duplicate tag keys",
);
refuses(
  "ReplicateKey",
  "ValidationException",
  "what is no Region",
  async () => kms().replicateKey({ KeyId: await primary(), ReplicaRegion: "Not A Region" }),
  /at 'replicaRegion' failed to satisfy constraint/,
);

works("UpdatePrimaryRegion", "primary and replica change places", async () => {
  const KeyId = await replicated();
  await kms().updatePrimaryRegion({ KeyId, PrimaryRegion: OTHER_REGION });
  await settled(HOME_REGION, KeyId);
  await settled(OTHER_REGION, KeyId);
  for (const [region, MultiRegionKeyType] of [
    [HOME_REGION, "REPLICA"],
    [OTHER_REGION, "PRIMARY"],
  ] as const) {
    const { KeyMetadata } = await suite.inRegion(region).describeKey({ KeyId });
    expect(KeyMetadata?.MultiRegionConfiguration).toMatchObject({
      MultiRegionKeyType,
      PrimaryKey: { Region: OTHER_REGION },
      ReplicaKeys: [{ Region: HOME_REGION }],
    });
  }
});
refuses("UpdatePrimaryRegion", "NotFoundException", "a Region without replica", async () =>
  kms().updatePrimaryRegion({ KeyId: await primary(), PrimaryRegion: OTHER_REGION }),
);
refuses("UpdatePrimaryRegion", "UnsupportedOperationException", "a key of one Region", async () =>
  kms().updatePrimaryRegion({
    KeyId: given((await kms().createKey({})).KeyMetadata?.KeyId),
    PrimaryRegion: OTHER_REGION,
  }),
);
refuses(
  "UpdatePrimaryRegion",
  "UnsupportedOperationException",
  "a replica",
  async () => {
    const KeyId = await replicated();
    return away().updatePrimaryRegion({ KeyId, PrimaryRegion: HOME_REGION });
  },
  /is not a multi-region primary key\.$/,
);

works("RotateKeyOnDemand", "of a primary rotates its replicas too", async () => {
  const KeyId = await replicated();
  await kms().rotateKeyOnDemand({ KeyId });
  const { CiphertextBlob } = await kms().encrypt({ KeyId, Plaintext: bytes("x") });
  const here = await kms().decrypt({ KeyId, CiphertextBlob });
  const there = await away().decrypt({ KeyId, CiphertextBlob });
  expect(there.KeyMaterialId).toBe(here.KeyMaterialId);
  expect((await away().listKeyRotations({ KeyId })).Rotations).toHaveLength(1);
});
refuses("RotateKeyOnDemand", "UnsupportedOperationException", "a replica", async () => {
  const KeyId = await replicated();
  return away().rotateKeyOnDemand({ KeyId });
});
works("ScheduleKeyDeletion", "a primary waits until its replica is gone", async () => {
  const KeyId = await replicated();
  const answer = await kms().scheduleKeyDeletion({ KeyId, PendingWindowInDays: 7 });
  expect(answer).toMatchObject({ KeyState: "PendingReplicaDeletion", PendingWindowInDays: 7 });
  expect(answer.DeletionDate).toBeUndefined();
  expect((await kms().describeKey({ KeyId })).KeyMetadata).toMatchObject({
    KeyState: "PendingReplicaDeletion",
    PendingDeletionWindowInDays: 7,
  });
});
works("ImportKeyMaterial", "a replica of an imported key wants the same material", async () => {
  const KeyId = await primary({ Origin: "EXTERNAL" });
  const material = randomBytes(32);
  const id = await importMaterial(kms(), KeyId, material);
  await kms().replicateKey({ KeyId, ReplicaRegion: OTHER_REGION });
  expect(await settled(OTHER_REGION, KeyId)).toBe("PendingImport");
  await expectRefusal(importMaterial(away(), KeyId, randomBytes(32)), "IncorrectKeyMaterialException");
  expect(await importMaterial(away(), KeyId, material)).toBe(id);
  const { CiphertextBlob } = await kms().encrypt({ KeyId, Plaintext: bytes("x") });
  expect((await away().decrypt({ KeyId, CiphertextBlob })).Plaintext).toEqual(bytes("x"));
});
