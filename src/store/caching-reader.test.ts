import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { RecordReader } from "./caching-reader.ts";
import { openLmdbMetadataStore } from "./lmdb-metadata-store.ts";
import { memoryMetadataStore } from "./memory-metadata-store.ts";
import type { MetadataStore } from "./metadata-store.ts";
import { type Table, table } from "./table.ts";
import { inTemporaryFile } from "./testing/temporary-file.ts";

interface Thing {
  readonly text: string;
}

const things = table<Thing>("test.thing");

/** Counts what is decoded. */
function counted(): { readonly table: Table<Thing>; readonly count: () => number } {
  let count = 0;
  const decode: Table<Thing>["decode"] = (bytes) => {
    count++;
    return things.decode(bytes);
  };
  return { table: { ...things, decode }, count: () => count };
}

const put = (store: MetadataStore, id: readonly string[], text: string): Promise<string> =>
  store.commit({ expect: [], writes: [things.put(id, { text })] });

describe("a caching reader", () => {
  it("never returns what has been replaced or removed, whoever did it", async () => {
    const store = memoryMetadataStore();
    const reader = new RecordReader(store);
    expect(await reader.get(things, ["a"])).toBeNull();
    for (const text of ["1", "2", "1"]) {
      await put(store, ["a"], text);
      expect(await reader.get(things, ["a"])).toEqual({ text });
      expect(await reader.list(things, { prefix: [], limit: 9 })).toEqual([{ id: ["a"], value: { text } }]);
    }
    await store.commit({ expect: [], writes: [things.remove(["a"])] });
    expect([await reader.get(things, ["a"]), await reader.list(things, { prefix: [], limit: 9 })]).toEqual([null, []]);
  });

  it("decodes each version of a record once, for single reads and lists alike", async () => {
    const store = memoryMetadataStore();
    const reader = new RecordReader(store);
    const { table: observed, count } = counted();
    await put(store, ["a"], "1");
    const first = await reader.get(observed, ["a"]);
    const [listed] = await reader.list(observed, { prefix: [], limit: 9 });
    const { reader: tracking } = reader.tracking();
    expect([await reader.get(observed, ["a"]), listed?.value, await tracking.get(observed, ["a"])]).toEqual([
      first,
      first,
      first,
    ]);
    expect([listed?.value === first, count()]).toEqual([true, 1]);
    await put(store, ["a"], "2");
    await reader.get(observed, ["a"]);
    await reader.get(observed, ["a"]);
    expect(count()).toBe(2);
  });

  it("does not remember a record that cannot be decoded", async () => {
    const store = memoryMetadataStore();
    const reader = new RecordReader(store);
    const bytes = new Uint8Array([0x7b, 0xff]) as ReturnType<typeof things.encode>;
    await store.commit({ expect: [], writes: [{ key: things.key(["a"]), value: bytes }] });
    await expect(reader.get(things, ["a"])).rejects.toThrow(TypeError);
    await expect(reader.get(things, ["a"])).rejects.toThrow(TypeError);
    await put(store, ["a"], "1");
    expect(await reader.get(things, ["a"])).toEqual({ text: "1" });
  });

  it("expects what was read first, absent records included, so that a commit on old reads conflicts", async () => {
    const store = memoryMetadataStore();
    await put(store, ["a"], "1");
    const { reader, expectations } = new RecordReader(store).tracking();
    await reader.get(things, ["a"]);
    await reader.get(things, ["b"]);
    await reader.list(things, { prefix: [], limit: 9 });
    expect(expectations()).toHaveLength(2);
    const commit = (): Promise<string> =>
      store.commit({ expect: expectations(), writes: [things.put(["c"], { text: "3" })] });
    expect(await commit()).toBe("committed");
    await put(store, ["a"], "2");
    // Reading it again must not turn the expectation into what the decision was not based on.
    await reader.get(things, ["a"]);
    expect(await commit()).toBe("conflict");
    await put(store, ["a"], "1");
    expect(await commit()).toBe("committed");
    await put(store, ["b"], "2");
    expect(await commit()).toBe("conflict");
  });

  it("tracks each reader on its own", async () => {
    const reader = new RecordReader(memoryMetadataStore());
    const first = reader.tracking();
    await first.reader.get(things, ["a"]);
    expect([first.expectations().length, reader.tracking().expectations().length]).toEqual([1, 0]);
  });
});

const part = fc.string({ unit: fc.constantFrom("a", "b", " ", "é", "\uffff", "\u{10000}", "~"), maxLength: 2 });
const identifier = fc.array(part, { minLength: 1, maxLength: 3 });
const byBytes = (a: readonly string[], b: readonly string[]): number =>
  Buffer.compare(Buffer.from(things.key(a)), Buffer.from(things.key(b)));

async function listsLikeAModel(store: MetadataStore): Promise<void> {
  const reader = new RecordReader(store);
  let run = 0;
  const query = fc.record({
    prefix: fc.array(part, { maxLength: 2 }),
    after: fc.option(identifier, { nil: undefined }),
    limit: fc.integer({ min: 1, max: 6 }),
    reverse: fc.boolean(),
  });
  const property = fc.asyncProperty(
    fc.array(identifier, { maxLength: 12 }),
    fc.array(query, { minLength: 1, maxLength: 8 }),
    async (ids, queries) => {
      const root = `run${run++}`;
      await store.commit({ expect: [], writes: ids.map((id) => things.put([root, ...id], { text: id.join("/") })) });
      const all = [...new Map(ids.map((id) => [id.join("\u0001"), [root, ...id]])).values()].sort(byBytes);
      for (const { prefix, after, limit, reverse } of queries) {
        const below = [root, ...prefix];
        const behind = after === undefined ? undefined : [root, ...after];
        const within = all.filter((id) => id.length > below.length && below.every((each, i) => id[i] === each));
        const expected = (reverse ? within.toReversed() : within)
          .filter((id) => behind === undefined || (reverse ? byBytes(id, behind) < 0 : byBytes(id, behind) > 0))
          .slice(0, limit);
        const listed = await reader.list(things, { prefix: below, after: behind, limit, reverse });
        expect(listed.map(({ id }) => id)).toEqual(expected);
        for (const { id, value } of listed) expect(value).toEqual({ text: id.slice(1).join("/") });
      }
    },
  );
  await fc.assert(property, { numRuns: 60 });
}

describe("a list", () => {
  // oxlint-disable-next-line vitest/expect-expect -- the property expects
  it("holds what lies below its prefix and behind its cursor, in either direction: memory", async () => {
    await listsLikeAModel(memoryMetadataStore());
  });

  // oxlint-disable-next-line vitest/expect-expect -- the property expects
  it("holds what lies below its prefix and behind its cursor, in either direction: LMDB", async () => {
    const subject = await inTemporaryFile(openLmdbMetadataStore)();
    await listsLikeAModel(subject.store);
    await subject.dispose();
  });

  it("never leaves its prefix, wherever the cursor points", async () => {
    const store = memoryMetadataStore();
    for (const id of [
      ["a", "1"],
      ["b", "1"],
      ["b", "2"],
      ["c", "1"],
    ])
      await put(store, id, "");
    const reader = new RecordReader(store);
    const list = async (after: readonly string[], reverse: boolean): Promise<string[]> =>
      (await reader.list(things, { prefix: ["b"], after, limit: 9, reverse })).map(({ id }) => id.join("/"));
    expect(await list(["a", "1"], false)).toEqual(["b/1", "b/2"]);
    expect(await list(["c", "1"], false)).toEqual([]);
    expect(await list(["c", "1"], true)).toEqual(["b/2", "b/1"]);
    expect(await list(["a", "1"], true)).toEqual([]);
  });
});
