import { describe, expect, it } from "vitest";
import { CommitQueue } from "./commit-queue.ts";

/** Commits up to `most` jobs at a time; each commit ends when `next` is called. */
function controlled(most: number): {
  queue: CommitQueue<string, string>;
  groups: string[][];
  next: (error?: Error) => Promise<void>;
} {
  const groups: string[][] = [];
  const waiting: ((error?: Error) => void)[] = [];
  const queue = new CommitQueue<string, string>((queued) => {
    const group = queued.slice(0, most);
    if (group.includes("unplannable")) throw new Error("unplannable");
    groups.push(group);
    const results = new Promise<string[]>((resolve, reject) => {
      waiting.push((error) => (error === undefined ? resolve(group.map((job) => `${job}!`)) : reject(error)));
    });
    return { taken: group.length, results };
  });
  const turns = async (): Promise<void> => {
    for (let i = 0; i < 20; i++) await Promise.resolve();
  };
  const next = async (error?: Error): Promise<void> => {
    await turns();
    waiting.shift()?.(error);
    await turns();
  };
  return { queue, groups, next };
}

describe("group commit", () => {
  it("commits what was asked for in one turn together, and what came meanwhile next, in order", async () => {
    const { queue, groups, next } = controlled(10);
    const first = [queue.push("a"), queue.push("b")];
    await next();
    expect(await Promise.all(first)).toEqual(["a!", "b!"]);
    const second = queue.push("c");
    await Promise.resolve().then(() => Promise.resolve());
    const third = [queue.push("d"), queue.push("e")];
    await next();
    expect([await second, groups.length]).toEqual(["c!", 3]);
    await next();
    await Promise.all(third);
    expect(groups).toEqual([["a", "b"], ["c"], ["d", "e"]]);
  });

  it("leaves for the next group what the commit did not take", async () => {
    const { queue, groups, next } = controlled(2);
    const jobs = ["a", "b", "c"].map((job) => queue.push(job));
    await next();
    await next();
    expect([await Promise.all(jobs), groups]).toEqual([
      ["a!", "b!", "c!"],
      [["a", "b"], ["c"]],
    ]);
  });

  it("rejects the group that failed, and goes on", async () => {
    const { queue, next } = controlled(2);
    const settled = Promise.allSettled(["a", "b", "c"].map((job) => queue.push(job)));
    await next(new Error("full"));
    await next();
    expect((await settled).map(({ status }) => status)).toEqual(["rejected", "rejected", "fulfilled"]);
  });

  it("rejects a job that cannot be planned instead of planning it for ever", async () => {
    const { queue, next } = controlled(1);
    const settled = Promise.allSettled(["unplannable", "b"].map((job) => queue.push(job)));
    await next();
    expect((await settled).map(({ status }) => status)).toEqual(["rejected", "fulfilled"]);
  });

  it("finishes what it took before it is closed, and takes nothing more", async () => {
    const { queue, next } = controlled(1);
    const jobs = Promise.all([queue.push("a"), queue.push("b")]);
    let closed = false;
    const closing = queue.close().then(() => (closed = true));
    await next();
    expect(closed).toBe(false);
    await expect(queue.push("c")).rejects.toThrow("closed");
    await next();
    await closing;
    expect(await jobs).toEqual(["a!", "b!"]);
  });
});
