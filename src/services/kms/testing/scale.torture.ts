/** With as many keys and grants as an account may have, no operation takes more than twice as long as with a few. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { openLmdbMetadataStore } from "../../../store/lmdb-metadata-store.ts";
import { ACCOUNT, type Answer, type KmsHarness, kmsHarness } from "./harness.ts";

const FEW_KEYS = 100;
const MANY_KEYS = 100_000;
const FEW_GRANTS = 50;
const MANY_GRANTS = 50_000;
const ROUNDS = 200;
/** Keys that the measured operations are on, spread over all. */
const SAMPLED_KEYS = 50;
const CONCURRENCY = 64;
/** "No operation slows by more than 2x", with something for the noise of the machine. */
const RATIO_MAX = 2;
const NOISE_MS = 0.05;

interface Sized {
  readonly kms: KmsHarness;
  readonly directory: string;
  readonly sample: readonly string[];
  /** That all the grants are on. */
  readonly granted: string;
  readonly grantIds: readonly string[];
}

let few: Sized;
let many: Sized;

beforeAll(async () => {
  few = await sized(FEW_KEYS, FEW_GRANTS);
  // The operations that make keys and grants make the rest: they end at the very quotas.
  many = await sized(MANY_KEYS - ROUNDS, MANY_GRANTS - ROUNDS - 1);
}, 600_000);

afterAll(async () => {
  for (const one of [few, many]) {
    await one?.kms.close();
    if (one !== undefined) rmSync(one.directory, { recursive: true });
  }
});

async function sized(keyCount: number, grantCount: number): Promise<Sized> {
  const directory = mkdtempSync(join(tmpdir(), "waxseal-test-"));
  const kms = await kmsHarness(undefined, await openLmdbMetadataStore(join(directory, "metadata.mdb")));
  const keys = await inParallel(keyCount, () => kms.newKey());
  const granted = keys[0] ?? "";
  const grantIds = await inParallel(grantCount, async (at) => {
    const input = { KeyId: granted, GranteePrincipal: userArn(at), Operations: ["Encrypt", "Decrypt"] };
    return (await kms.run("CreateGrant", input))["GrantId"] as string;
  });
  const sample = keys.filter((_key, at) => at % Math.ceil(keyCount / SAMPLED_KEYS) === 1);
  return { kms, directory, sample, granted, grantIds };
}

const userArn = (at: number): string => `arn:aws:iam::${ACCOUNT}:user/user-${String(at).padStart(6, "0")}`;

async function inParallel<T>(count: number, make: (at: number) => Promise<T>): Promise<readonly T[]> {
  const made: T[] = [];
  let next = 0;
  const line = async (): Promise<void> => {
    while (next < count) {
      const at = next++;
      made[at] = await make(at);
    }
  };
  await Promise.all(Array.from({ length: CONCURRENCY }, line));
  return made;
}

/** One operation, prepared outside the time that is measured. */
type Measured = (of: Sized, round: number) => Promise<() => Promise<unknown>>;

const keyOf = (of: Sized, round: number): string => of.sample[round % of.sample.length] ?? "";
const plaintext = new Uint8Array(32);

const run =
  (operation: string, input: (of: Sized, round: number) => object): Measured =>
  async (of, round) => {
    const made = input(of, round);
    return () => of.kms.run(operation, made);
  };

/** A page from the middle of a list. */
const midPage =
  (operation: string, input: (of: Sized) => object, pages: number): Measured =>
  async (of) => {
    let Marker: string | undefined;
    for (let page = 0; page < pages; page++) {
      const answer: Answer = await of.kms.run(operation, { ...input(of), Limit: 10, Marker });
      Marker = (answer["NextMarker"] as string | undefined) ?? Marker;
    }
    return () => of.kms.run(operation, { ...input(of), Limit: 10, Marker });
  };

const OPERATIONS: Readonly<Record<string, Measured>> = {
  CreateKey: run("CreateKey", () => ({})),
  DescribeKey: run("DescribeKey", (of, round) => ({ KeyId: keyOf(of, round) })),
  Encrypt: run("Encrypt", (of, round) => ({ KeyId: keyOf(of, round), Plaintext: plaintext })),
  GenerateDataKey: run("GenerateDataKey", (of, round) => ({ KeyId: keyOf(of, round), KeySpec: "AES_256" })),
  Decrypt: async (of, round) => {
    const { CiphertextBlob } = await of.kms.run("Encrypt", { KeyId: keyOf(of, round), Plaintext: plaintext });
    return () => of.kms.run("Decrypt", { CiphertextBlob });
  },
  TagResource: run("TagResource", (of, round) => ({
    KeyId: keyOf(of, round),
    Tags: [{ TagKey: "round", TagValue: String(round) }],
  })),
  CreateAlias: run("CreateAlias", (of, round) => ({
    AliasName: `alias/round-${round}`,
    TargetKeyId: keyOf(of, round),
  })),
  "ListKeys, first page": run("ListKeys", () => ({ Limit: 10 })),
  "ListKeys, later page": midPage("ListKeys", () => ({}), 5),
  ListAliases: run("ListAliases", () => ({ Limit: 10 })),
  ListResourceTags: run("ListResourceTags", (of, round) => ({ KeyId: keyOf(of, round) })),
  GetKeyLastUsage: run("GetKeyLastUsage", (of, round) => ({ KeyId: keyOf(of, round) })),
  "DescribeKey of the key with the grants": run("DescribeKey", ({ granted }) => ({ KeyId: granted })),
  CreateGrant: run("CreateGrant", ({ granted }, round) => ({
    KeyId: granted,
    GranteePrincipal: userArn(900_000 + round),
    Operations: ["Encrypt"],
  })),
  "ListGrants, first page": run("ListGrants", ({ granted }) => ({ KeyId: granted, Limit: 10 })),
  "ListGrants, later page": midPage("ListGrants", ({ granted }) => ({ KeyId: granted }), 4),
  "ListGrants of one grantee": run("ListGrants", ({ granted }) => ({ KeyId: granted, GranteePrincipal: userArn(7) })),
  RevokeGrant: async (of, round) => {
    const input = { KeyId: of.granted, GranteePrincipal: userArn(800_000 + round), Operations: ["Encrypt"] };
    const { GrantId } = await of.kms.run("CreateGrant", input);
    return () => of.kms.run("RevokeGrant", { KeyId: of.granted, GrantId });
  },
  "the search for a caller's grant": async (of, round) => {
    const arn = userArn(round % FEW_GRANTS);
    // Grants are bound to unique ids: those of the harness's directory.
    const userId = `AIDA${arn.split("/").at(-1)?.toUpperCase()}`;
    const principal = { type: "User", arn, accountId: ACCOUNT, userId, userName: "user" } as const;
    return async () => {
      await of.kms.authorize("Encrypt", { KeyId: of.granted, Plaintext: plaintext }, { principal });
      const grants = (await of.kms.last.checks[0]?.grants?.()) ?? [];
      if (grants.length !== 1) throw new Error("the grant was not found");
    };
  },
};

async function timeMs(action: () => Promise<unknown>): Promise<number> {
  const began = performance.now();
  await action();
  return performance.now() - began;
}

const medianOf = (values: readonly number[]): number => values.toSorted((a, b) => a - b)[values.length >> 1] ?? 0;

describe(`with ${MANY_KEYS} keys, and ${MANY_GRANTS} grants on one of them,`, () => {
  test.each(Object.entries(OPERATIONS))("%s takes at most twice as long", async (_name, operation) => {
    const times = { few: [] as number[], many: [] as number[] };
    // In turns, so that both meet the same noise.
    for (let round = 0; round < ROUNDS; round++) {
      times.few.push(await timeMs(await operation(few, round)));
      times.many.push(await timeMs(await operation(many, round)));
    }
    const [small, large] = [medianOf(times.few), medianOf(times.many)];
    expect(large, `${small.toFixed(3)} ms with a few`).toBeLessThan(small * RATIO_MAX + NOISE_MS);
  });

  test("every key and every grant is listed once, page by page", async () => {
    const listed = async (
      operation: string,
      input: object,
      idsOf: (answer: Answer) => string[],
    ): Promise<Set<string>> => {
      const seen = new Set<string>();
      let count = 0;
      let Marker: string | undefined;
      do {
        const answer: Answer = await many.kms.run(operation, {
          ...input,
          Limit: operation === "ListKeys" ? 1_000 : 100,
          Marker,
        });
        for (const id of idsOf(answer)) {
          seen.add(id);
          count++;
        }
        Marker = answer["NextMarker"] as string | undefined;
      } while (Marker !== undefined);
      expect(seen.size).toBe(count);
      return seen;
    };
    const keys = await listed("ListKeys", {}, ({ Keys }) => Keys.map(({ KeyId }: { KeyId: string }) => KeyId));
    expect(keys.size).toBe(MANY_KEYS);
    expect(many.sample.filter((id) => !keys.has(id))).toEqual([]);
    const grants = await listed("ListGrants", { KeyId: many.granted }, ({ Grants }) =>
      Grants.map(({ GrantId }: { GrantId: string }) => GrantId),
    );
    expect(many.grantIds.filter((id) => !grants.has(id))).toEqual([]);
  });

  test("the quotas are reached, and not passed", async () => {
    expect(await many.kms.failure("CreateKey", {})).toContain("LimitExceededException");
    const grant = { KeyId: many.granted, GranteePrincipal: userArn(999_999), Operations: ["Decrypt"] };
    expect(await many.kms.failure("CreateGrant", grant)).toBe("none");
    expect(await many.kms.failure("CreateGrant", { ...grant, Operations: ["Encrypt"] })).toContain(
      "LimitExceededException",
    );
    expect(await few.kms.failure("CreateKey", {})).toBe("none");
  });
});
