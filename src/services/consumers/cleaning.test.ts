import { describe, expect, it } from "vitest";
import { type MovableClock, movableClock } from "../../base/clock.ts";
import { RecordReader } from "../../store/caching-reader.ts";
import { memoryMetadataStore } from "../../store/memory-metadata-store.ts";
import { createCleaning, sweep } from "./cleaning.ts";
import { applications, leases, streamIndex } from "./records.ts";

const HOUR_MS = 3_600_000;
const PLACE = { accountId: "123456789012", region: "us-east-1", name: "orders" };

async function room(): Promise<{
  readonly deps: Parameters<typeof createCleaning>[0] & { readonly clock: MovableClock };
  readonly left: (id: string) => Promise<number>;
  readonly errors: readonly unknown[];
}> {
  const store = memoryMetadataStore();
  const reader = new RecordReader(store);
  const clock = movableClock();
  const lease = { owner: null, counter: 1, untilMs: 0, checkpoint: null, ended: false, request: null };
  const application = { name: "app", start: "LATEST", startMs: 1, createdAtMs: 1, leaseCount: 600 } as const;
  for (const id of ["old", "new"])
    await store.commit({
      expect: [],
      writes: [
        streamIndex.put([id], { ...PLACE, applicationCount: 1 }),
        applications.put([id, "app"], application),
        // More than one page.
        ...Array.from({ length: 600 }, (_, at) =>
          leases.put([id, "app", `shardId-${String(at).padStart(12, "0")}`], lease),
        ),
      ],
    });
  const left = async (id: string): Promise<number> =>
    (await reader.list(leases, { prefix: [id], limit: 1_000 })).length +
    (await reader.list(applications, { prefix: [id], limit: 10 })).length +
    ((await reader.get(streamIndex, [id])) === null ? 0 : 1);
  const errors: unknown[] = [];
  const streamId = async (): Promise<string | null> => "new";
  return { deps: { store, reader, clock, streamId, onError: (error: unknown) => errors.push(error) }, left, errors };
}

describe("what deleted streams leave behind", () => {
  it("is removed, page by page, and nothing of the stream that has the name now", async () => {
    const { deps, left } = await room();
    await sweep(deps);
    expect([await left("old"), await left("new")]).toEqual([0, 602]);
  });

  it("is looked for every hour, also after a round that failed, until the end", async () => {
    const { deps, left, errors } = await room();
    let failing = true;
    const streamId = async (): Promise<string | null> => {
      if (failing) throw new Error("the store is gone");
      return "new";
    };
    const stop = createCleaning({ ...deps, streamId })();
    deps.clock.advance(HOUR_MS);
    await expect.poll(() => errors.length).toBe(1);
    failing = false;
    deps.clock.advance(HOUR_MS);
    await expect.poll(() => left("old")).toBe(0);
    await stop();
    expect(errors).toHaveLength(1);
  });
});
