import * as fc from "fast-check";
import { expect } from "vitest";
import type { Expectation, MetadataBytes, MetadataStore, RangeQuery, StoreKey, Write } from "../metadata-store.ts";
import { type Check, type OpenSubject, registerChecks } from "./conformance.ts";
import { patternBytes } from "./conformance-bytes.ts";

const key = (text: string): StoreKey => text as StoreKey;
const bytes = (text: string): MetadataBytes => new Uint8Array(Buffer.from(text)) as MetadataBytes;
const put = (name: string, text: string): Write => ({ key: key(name), value: bytes(text) });
const remove = (name: string): Write => ({ key: key(name), value: null });

const write = (store: MetadataStore, ...writes: Write[]): Promise<string> => store.commit({ expect: [], writes });

async function textAt(store: MetadataStore, name: string): Promise<string | null> {
  const value = await store.get(key(name));
  return value === null ? null : Buffer.from(value).toString();
}

async function keysIn(
  store: MetadataStore,
  query: Partial<Omit<RangeQuery, "start" | "end">> & { start: string; end: string },
): Promise<string[]> {
  const entries = await store.range({ limit: 1000, ...query, start: key(query.start), end: key(query.end) });
  return entries.map((entry) => entry.key);
}

/** In the order of their UTF-8 bytes. `\uffff` before `\u{10000}`: JavaScript's own order has it the other way round. */
const ODD_KEYS = [
  "\u0000",
  "\u0001",
  "a",
  "a\u0000",
  "a\u0000\u0000",
  "a\u0001",
  "a\u0001\u0001",
  "a\u0001b",
  "a\u0002",
  "aa",
  "b",
  "é",
  "\ud7ff",
  "\ue000",
  "\uffff",
  "\u{10000}",
  "\u{10ffff}",
];

const reading: readonly Check<MetadataStore>[] = [
  {
    name: "has another generation after every commit that wrote something, or none at all",
    async run(store) {
      if (store.generation() === null) return;
      const seen = new Set<number | null>([store.generation()]);
      for (const name of ["a", "b", "a"]) {
        await write(store, put(name, String(seen.size)));
        seen.add(store.generation());
      }
      await write(store, remove("a"));
      seen.add(store.generation());
      expect(seen.size).toBe(5);
    },
  },
  {
    name: "keeps its generation when only lines of a log were written",
    async run(store) {
      await write(store, put("a", "1"));
      const before = store.generation();
      await write(store, { ...put("log.1", "x"), isLogLine: true }, { ...put("log.2", "y"), isLogLine: true });
      expect(store.generation()).toBe(before);
      expect(await textAt(store, "log.2")).toBe("y");
      if (before === null) return;
      await write(store, { ...put("log.3", "z"), isLogLine: true }, put("a", "2"));
      expect(store.generation()).not.toBe(before);
    },
  },
  {
    name: "returns what was written, and null for what was not",
    async run(store) {
      expect(await write(store, put("a", "1"), put("b", ""), put("a", "2"))).toBe("committed");
      expect([await textAt(store, "a"), await textAt(store, "b"), await textAt(store, "c")]).toEqual(["2", "", null]);
    },
  },
  {
    name: "removes a key, and takes the removal of an absent one for done",
    async run(store) {
      await write(store, put("a", "1"), put("b", "2"));
      expect(await write(store, remove("a"), remove("absent"), put("c", "3"))).toBe("committed");
      expect(await keysIn(store, { start: "", end: "z" })).toEqual(["b", "c"]);
    },
  },
  {
    name: "orders keys by their UTF-8 bytes, whatever they hold",
    async run(store) {
      await write(store, ...[...ODD_KEYS].toReversed().map((odd) => put(odd, odd)));
      const end = "\u{10ffff}\u{10ffff}";
      expect(await keysIn(store, { start: "", end })).toEqual(ODD_KEYS);
      expect(await keysIn(store, { start: "", end, reverse: true })).toEqual([...ODD_KEYS].toReversed());
      for (const odd of ODD_KEYS) expect(await textAt(store, odd)).toBe(odd);
    },
  },
  {
    name: "takes the start of a range and leaves its end, in both directions",
    async run(store) {
      await write(store, ...["a", "b", "c", "d"].map((name) => put(name, name)));
      for (const reverse of [false, true]) {
        const inOrder = (names: string[]): string[] => (reverse ? names.toReversed() : names);
        expect(await keysIn(store, { start: "b", end: "d", reverse })).toEqual(inOrder(["b", "c"]));
        expect(await keysIn(store, { start: "aa", end: "cc", reverse })).toEqual(inOrder(["b", "c"]));
        expect(await keysIn(store, { start: "b", end: "b", reverse })).toEqual([]);
        expect(await keysIn(store, { start: "d", end: "a", reverse })).toEqual([]);
        expect(await keysIn(store, { start: "e", end: "z", reverse })).toEqual([]);
        expect(await keysIn(store, { start: "", end: "a", reverse })).toEqual([]);
      }
    },
  },
  {
    name: "stops a range at its limit, from the end it began with",
    async run(store) {
      await write(store, ...["a", "b", "c", "d"].map((name) => put(name, name)));
      expect(await keysIn(store, { start: "a", end: "z", limit: 2 })).toEqual(["a", "b"]);
      expect(await keysIn(store, { start: "a", end: "d", limit: 2, reverse: true })).toEqual(["c", "b"]);
      await expect(keysIn(store, { start: "a", end: "z", limit: 0 })).rejects.toThrow(RangeError);
    },
  },
  {
    name: "returns private copies: neither side's changes reach the other",
    async run(store) {
      for (const length of [5, 5000, 100_000]) {
        const given = patternBytes(length, 1) as MetadataBytes;
        await store.commit({ expect: [], writes: [{ key: key("a"), value: given }] });
        given.fill(0);
        const got = (await store.get(key("a"))) as MetadataBytes;
        const ranged = (await store.range({ start: key("a"), end: key("b"), limit: 1 }))[0]?.value as MetadataBytes;
        for (let i = 0; i < 50; i++) {
          await store.commit({
            expect: [],
            writes: [{ key: key("a"), value: patternBytes(length, i) as MetadataBytes }],
          });
          await store.get(key("a"));
        }
        const expected = Buffer.from(patternBytes(length, 1));
        expect([expected.equals(got), expected.equals(ranged), got.byteLength, got.length]).toEqual([
          true,
          true,
          length,
          length,
        ]);
        await store.commit({ expect: [], writes: [{ key: key("a"), value: got }] });
        got.fill(0);
        ranged.fill(0);
        expect(expected.equals((await store.get(key("a"))) as MetadataBytes)).toBe(true);
      }
    },
  },
  {
    name: "keeps a value of 1 MiB and keys of 1978 bytes, and refuses what is larger or empty",
    async run(store) {
      const longKey = key("k".repeat(1978));
      const large = patternBytes(1024 * 1024, 3) as MetadataBytes;
      await store.commit({ expect: [{ key: longKey, value: null }], writes: [{ key: longKey, value: large }] });
      expect(Buffer.compare((await store.get(longKey)) as MetadataBytes, large)).toBe(0);
      for (const refused of ["", `${longKey}k`]) {
        await expect(write(store, put("other", "1"), put(refused, "1"))).rejects.toThrow(RangeError);
        await expect(store.commit({ expect: [{ key: key(refused), value: null }], writes: [] })).rejects.toThrow(
          RangeError,
        );
        await expect(store.get(key(refused))).rejects.toThrow(RangeError);
      }
      expect(await textAt(store, "other")).toBeNull();
    },
  },
];

const committing: readonly Check<MetadataStore>[] = [
  {
    name: "commits when every expectation holds, and writes nothing when one does not",
    async run(store) {
      await write(store, put("a", "1"), put("empty", ""));
      const conflicting: Expectation[] = [
        { key: key("a"), value: bytes("2") },
        { key: key("a"), value: bytes("") },
        { key: key("a"), value: null },
        { key: key("absent"), value: bytes("1") },
        { key: key("absent"), value: bytes("") },
        { key: key("empty"), value: null },
      ];
      for (const expectation of conflicting) {
        const expected = [{ key: key("a"), value: bytes("1") }, expectation];
        expect(await store.commit({ expect: expected, writes: [put("new", "1"), remove("a")] })).toBe("conflict");
      }
      expect(await keysIn(store, { start: "", end: "z" })).toEqual(["a", "empty"]);
      const holding: Expectation[] = [
        { key: key("a"), value: bytes("1") },
        { key: key("empty"), value: bytes("") },
        { key: key("absent"), value: null },
      ];
      expect(await store.commit({ expect: holding, writes: [put("new", "1"), remove("a")] })).toBe("committed");
      expect(await keysIn(store, { start: "", end: "z" })).toEqual(["empty", "new"]);
    },
  },
  {
    name: "lets the neighbours of a conflict commit, and shows each commit the ones before it",
    async run(store) {
      const claim = (text: string): Promise<string> =>
        store.commit({ expect: [{ key: key("a"), value: null }], writes: [put("a", text), put(`of ${text}`, text)] });
      const outcomes = await Promise.all([
        write(store, put("b", "1")),
        claim("1"),
        claim("2"),
        claim("3"),
        write(store, put("c", "1")),
      ]);
      expect([...outcomes].sort()).toEqual(["committed", "committed", "committed", "conflict", "conflict"]);
      const winner = await textAt(store, "a");
      expect(outcomes[Number(winner)]).toBe("committed");
      expect(await keysIn(store, { start: "", end: "z" })).toEqual(["a", "b", "c", `of ${winner}`]);
    },
  },
  {
    name: "loses no update when many count at the same time",
    async run(store) {
      let conflicts = 0;
      const countUp = async (): Promise<void> => {
        for (;;) {
          const value = await store.get(key("count"));
          const next = value === null ? 1 : Number(Buffer.from(value).toString()) + 1;
          const outcome = await store.commit({
            expect: [{ key: key("count"), value }],
            writes: [put("count", `${next}`)],
          });
          if (outcome === "committed") return;
          conflicts++;
        }
      };
      await Promise.all(Array.from({ length: 20 }, countUp));
      expect(await textAt(store, "count")).toBe("20");
      expect(conflicts).toBeGreaterThan(0);
    },
  },
  {
    name: "commits a thousand batches at once, each whole",
    async run(store) {
      const names = Array.from({ length: 1000 }, (_, i) => `n${i}`);
      const outcomes = await Promise.all(
        names.map((name) =>
          store.commit({ expect: [{ key: key(name), value: null }], writes: [put(name, name), put(`${name}/`, name)] }),
        ),
      );
      expect(new Set(outcomes)).toEqual(new Set(["committed"]));
      expect(await keysIn(store, { start: "n", end: "o", limit: 5000 })).toHaveLength(2000);
    },
  },
  {
    name: "shows a commit to the reads that follow it",
    async run(store) {
      for (let i = 0; i < 100; i++) {
        const before = await textAt(store, "a");
        expect(before).toBe(i === 0 ? null : `${i - 1}`);
        await write(store, put("a", `${i}`));
        expect(await textAt(store, "a")).toBe(`${i}`);
        expect(await keysIn(store, { start: "a", end: "b" })).toEqual(["a"]);
      }
    },
  },
  {
    name: "refuses everything once it is closed, after finishing what it had taken",
    async run(store, subject) {
      const running = write(store, put("a", "1"));
      if (subject.reopen === null) await store.close();
      else expect(await textAt(await subject.reopen(), "a")).toBe("1");
      expect(await running).toBe("committed");
      await expect(store.get(key("a"))).rejects.toThrow("closed");
      await expect(keysIn(store, { start: "a", end: "b" })).rejects.toThrow("closed");
      await expect(write(store, put("a", "2"))).rejects.toThrow("closed");
    },
  },
  {
    name: "keeps everything across reopening",
    persistent: true,
    async run(store, subject) {
      await write(store, ...ODD_KEYS.map((odd) => put(odd, odd)), put("gone", "1"));
      await write(store, remove("gone"));
      const reopened = await (subject.reopen as () => Promise<MetadataStore>)();
      expect(await keysIn(reopened, { start: "", end: "\u{10ffff}\u{10ffff}" })).toEqual(ODD_KEYS);
      expect(await write(reopened, put("a", "after"))).toBe("committed");
    },
  },
];

type Operation =
  | {
      readonly kind: "commit";
      readonly expect: readonly string[];
      readonly stale: boolean;
      readonly writes: readonly [string, string | null][];
    }
  | {
      readonly kind: "range";
      readonly start: string;
      readonly end: string;
      readonly limit: number;
      readonly reverse: boolean;
    };

const anyKey = fc.string({
  unit: fc.constantFrom("\u0000", "\u0001", "\u0002", "a", "b", "é", "\uffff", "\u{10000}"),
  minLength: 1,
  maxLength: 4,
});
const anyOperation: fc.Arbitrary<Operation> = fc.oneof(
  fc.record({
    kind: fc.constant("commit" as const),
    expect: fc.array(anyKey, { maxLength: 3 }),
    stale: fc.boolean(),
    writes: fc.array(fc.tuple(anyKey, fc.option(fc.string({ maxLength: 5 }))), { maxLength: 5 }),
  }),
  fc.record({
    kind: fc.constant("range" as const),
    start: anyKey,
    end: anyKey,
    limit: fc.integer({ min: 1, max: 5 }),
    reverse: fc.boolean(),
  }),
);

/** The contract in a few lines: what any store must agree with. */
class Model {
  readonly values = new Map<string, string>();

  commit(
    expected: readonly (readonly [string, string | null])[],
    writes: readonly (readonly [string, string | null])[],
  ): string {
    if (expected.some(([name, text]) => (this.values.get(name) ?? null) !== text)) return "conflict";
    for (const [name, text] of writes) {
      if (text === null) this.values.delete(name);
      else this.values.set(name, text);
    }
    return "committed";
  }

  range({ start, end, limit, reverse }: { start: string; end: string; limit: number; reverse: boolean }): string[] {
    const compare = (a: string, b: string): number => Buffer.compare(Buffer.from(a), Buffer.from(b));
    const found = [...this.values.keys()]
      .filter((name) => compare(name, start) >= 0 && compare(name, end) < 0)
      .sort(compare);
    return (reverse ? found.toReversed() : found).slice(0, limit).map((name) => `${name}=${this.values.get(name)}`);
  }
}

async function followModel(store: MetadataStore, prefix: string, operations: readonly Operation[]): Promise<void> {
  const model = new Model();
  for (const operation of operations) {
    if (operation.kind === "range") {
      const { limit, reverse } = operation;
      const query = { start: key(prefix + operation.start), end: key(prefix + operation.end), limit, reverse };
      const entries = await store.range(query);
      const found = entries.map((entry) => `${entry.key.slice(prefix.length)}=${Buffer.from(entry.value).toString()}`);
      expect(found).toEqual(model.range(operation));
      continue;
    }
    const expected = operation.expect.map((name, i) => {
      const text = model.values.get(name) ?? null;
      return [name, operation.stale && i === 0 ? `${text ?? ""}?` : text] as const;
    });
    const outcome = await store.commit({
      expect: expected.map(([name, text]) => ({ key: key(prefix + name), value: text === null ? null : bytes(text) })),
      writes: operation.writes.map(([name, text]) =>
        text === null ? remove(prefix + name) : put(prefix + name, text),
      ),
    });
    expect(outcome).toBe(model.commit(expected, operation.writes));
  }
}

const modelled: Check<MetadataStore> = {
  name: "agrees with a simple model on random commits and ranges",
  async run(store) {
    let run = 0;
    const property = fc.asyncProperty(fc.array(anyOperation, { maxLength: 25 }), (operations) =>
      followModel(store, `run${run++}\u0001`, operations),
    );
    await fc.assert(property, { numRuns: 30 });
  },
};

export const metadataChecks: readonly Check<MetadataStore>[] = [...reading, ...committing, modelled];

/** Every adapter of MetadataStore passes this. */
export function metadataConformance(adapter: string, open: OpenSubject<MetadataStore>): void {
  registerChecks(`MetadataStore contract: ${adapter}`, metadataChecks, open);
}
