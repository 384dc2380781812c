import { afterEach, describe, expect, it } from "vitest";
import { systemClock } from "../../base/clock.ts";
import { KeyWorkersError } from "./key-workers-error.ts";
import type { KeyWorkers, LentPrivateKey } from "./key-workers.ts";
import { type CountedKey, lend } from "./testing/lent-keys.ts";
import { createKeyWorkers, type KeyWorkersOptions } from "./worker-pool.ts";

const SPEC = "ECC_NIST_P256";
const message = Buffer.from("a message");
const opened: KeyWorkers[] = [];

function workersWith(options: KeyWorkersOptions = { operationThreadCount: 1 }): KeyWorkers {
  const workers = createKeyWorkers(options);
  opened.push(workers);
  return workers;
}

afterEach(async () => {
  await Promise.all(opened.splice(0).map((workers) => workers.clear()));
});

const newKey = async (workers: KeyWorkers, id = "key/1 a"): Promise<CountedKey> =>
  lend(id, (await workers.generate(SPEC)).privateKey);
const signWith = (workers: KeyWorkers, key: LentPrivateKey): Promise<Uint8Array> =>
  workers.sign(SPEC, key, "ECDSA_SHA_256", "RAW", message);

/** "answered", why there was no answer, or the error of another. */
async function endOf(promise: Promise<unknown>): Promise<unknown> {
  try {
    await promise;
    return "answered";
  } catch (error) {
    return error instanceof KeyWorkersError ? error.reason : error;
  }
}

describe("private keys on loan", () => {
  it("are copied once for each thread, and again only after they were forgotten", async () => {
    const workers = workersWith();
    const [key, other] = [await newKey(workers), await newKey(workers, "key/2 a")];
    for (let round = 0; round < 5; round += 1) await Promise.all([signWith(workers, key), signWith(workers, other)]);
    expect([key.copies(), other.copies()]).toEqual([1, 1]);
    workers.forget("key/1 ");
    await Promise.all([signWith(workers, key), signWith(workers, other)]);
    expect([key.copies(), other.copies()]).toEqual([2, 1]);
  });

  it("leave when 256 others came after them", async () => {
    const workers = workersWith();
    const { privateKey } = await workers.generate(SPEC);
    const first = lend("first", privateKey);
    const last = lend("last", privateKey);
    await signWith(workers, first);
    for (let index = 0; index < 255; index += 1) await signWith(workers, lend(`key/${index}`, privateKey));
    await signWith(workers, first);
    expect(first.copies()).toBe(1);
    for (let index = 300; index < 555; index += 1) await signWith(workers, lend(`key/${index}`, privateKey));
    await signWith(workers, last);
    await signWith(workers, first);
    expect([first.copies(), last.copies()]).toEqual([2, 1]);
  });

  it("that are none fail each time, as does lending that fails", async () => {
    const workers = workersWith();
    const broken = lend("broken", new Uint8Array(40));
    const both = [endOf(signWith(workers, broken)), endOf(signWith(workers, broken))];
    expect(await Promise.all(both)).toEqual(["failed", "failed"]);
    expect(await endOf(signWith(workers, broken))).toBe("failed");
    const refused = new Error("the material was dropped");
    const copy = (): never => {
      throw refused;
    };
    expect(await endOf(signWith(workers, { id: "gone", copy }))).toBe(refused);
    expect(await endOf(signWith(workers, await newKey(workers)))).toBe("answered");
  });

  it("are overwritten after use, and other arguments left alone", async () => {
    const workers = workersWith();
    const { privateKey, publicKey } = await workers.generate(SPEC);
    const before = [Uint8Array.from(publicKey), Uint8Array.from(message)];
    let copied: Uint8Array<ArrayBuffer> | null = null;
    const key: LentPrivateKey = { id: "a", copy: () => (copied = lend("a", privateKey).copy()) };
    const signature = await signWith(workers, key);
    // Handed over, so that this thread has nothing left to overwrite.
    expect(copied).toHaveLength(0);
    expect(await workers.verify(SPEC, publicKey, "ECDSA_SHA_256", "RAW", message, signature)).toBe(true);
    expect([publicKey, Uint8Array.from(message)]).toEqual(before);
  });
});

describe("errors", () => {
  it("say where it failed, and nothing of what was secret", async () => {
    const workers = workersWith();
    const key = await newKey(workers);
    await expect(workers.sign(SPEC, key, "ECDSA_SHA_256", "DIGEST", message)).rejects.toMatchObject({
      name: "KeyWorkersError",
      reason: "failed",
      message: "sign failed in a key thread",
      cause: { message: expect.stringMatching(/^RangeError\n {4}at .*elliptic/) },
    });
  });
});

describe("clear", () => {
  it("fails what is under way or waits, and the workers can be used again", async () => {
    const workers = workersWith();
    const key = await newKey(workers);
    const ends = Promise.all(Array.from({ length: 20 }, () => endOf(signWith(workers, key))));
    await workers.clear();
    expect(new Set(await ends)).toEqual(new Set(["ended"]));
    expect(await endOf(signWith(workers, key))).toBe("answered");
    expect(key.copies()).toBe(2);
  });

  it("does not wait for an RSA key that is being made", async () => {
    const workers = workersWith();
    const clock = systemClock();
    const key = await newKey(workers);
    // The first of several is under way at any rate.
    const ends = Promise.all(Array.from({ length: 4 }, () => endOf(workers.generate("RSA_4096"))));
    await signWith(workers, key);
    const order: string[] = [];
    const cleared = workers.clear().then(() => order.push("cleared"));
    const made = workers.generate("RSA_2048").then(() => order.push("made anew"));
    expect(await ends).toEqual(["ended", "ended", "ended", "ended"]);
    const beganMs = clock.monotonicMs();
    await cleared;
    expect(clock.monotonicMs() - beganMs).toBeLessThan(1_000);
    await made;
    expect(order).toEqual(["cleared", "made anew"]);
  });

  it("may come twice, at once, and before anything", async () => {
    const workers = workersWith();
    await workers.clear();
    const end = endOf(workers.generate(SPEC));
    await Promise.all([workers.clear(), workers.clear()]);
    expect(await end).toBe("ended");
    expect((await workers.generate(SPEC)).publicKey).toHaveLength(91);
  });
});

describe("refuse", () => {
  it("fails RSA keys that are made, wait or are asked for, at once, and leaves other work alone", async () => {
    const workers = workersWith();
    const clock = systemClock();
    const key = await newKey(workers);
    const ends = Promise.all(Array.from({ length: 10 }, () => endOf(workers.generate("RSA_4096"))));
    // So that one is being made.
    await new Promise((resolve) => clock.after(200, () => resolve(null)));
    const beganMs = clock.monotonicMs();
    workers.refuse("RSA generation");
    const all = [...(await ends), await endOf(workers.generate("RSA_2048"))];
    expect(clock.monotonicMs() - beganMs).toBeLessThan(50);
    expect(new Set(all)).toEqual(new Set(["ended"]));
    expect(await endOf(signWith(workers, key))).toBe("answered");
    workers.accept();
    expect(await endOf(workers.generate("RSA_2048"))).toBe("answered");
  });

  it("of everything outlasts clear, until accept", async () => {
    const workers = workersWith();
    const key = await newKey(workers);
    const waiting = Promise.all(Array.from({ length: 20 }, () => endOf(signWith(workers, key))));
    workers.refuse("everything");
    expect(new Set(await waiting)).toEqual(new Set(["ended"]));
    await workers.clear();
    expect(await endOf(signWith(workers, key))).toBe("ended");
    workers.accept();
    expect(await endOf(signWith(workers, key))).toBe("answered");
  });
});

describe("forget", () => {
  it("fails jobs that wait with the key, and no others", async () => {
    const workers = workersWith();
    const [key, other] = [await newKey(workers), await newKey(workers, "key/2 a")];
    const rounds = Array.from({ length: 10 }, () => [key, other]).flat();
    const ends = rounds.map((lent) => endOf(signWith(workers, lent)));
    workers.forget("key/1 ");
    const all = await Promise.all(ends);
    expect(all.slice(0, 4)).toEqual(["answered", "answered", "answered", "answered"]);
    expect(all.slice(4).filter((_end, index) => index % 2 === 0)).toEqual(Array(8).fill("forgotten"));
    expect(all.slice(4).filter((_end, index) => index % 2 === 1)).toEqual(Array(8).fill("answered"));
  });
});

describe("jobs", () => {
  it("that make RSA keys are refused as busy sooner than others: each holds up those behind it for a second", async () => {
    const workers = workersWith();
    const ends = Array.from({ length: 80 }, () => endOf(workers.generate("RSA_4096")));
    const busy = await Promise.all(ends.slice(70));
    expect(busy).toEqual(Array(10).fill("busy"));
    await workers.clear();
    expect(await Promise.all(ends.slice(0, 68))).toEqual(Array(68).fill("ended"));
  });

  it("are refused as busy beyond what may wait, and only those", async () => {
    const workers = workersWith({ operationThreadCount: 1, waitingJobsMax: 10 });
    const key = await newKey(workers);
    const ends = await Promise.all(Array.from({ length: 30 }, () => endOf(signWith(workers, key))));
    expect(ends.filter((end) => end === "answered").length).toBeGreaterThanOrEqual(10);
    expect(ends.filter((end) => end === "busy").length).toBeGreaterThanOrEqual(10);
    expect(ends.lastIndexOf("answered")).toBeLessThan(ends.indexOf("busy"));
    expect(await endOf(signWith(workers, key))).toBe("answered");
  });

  it("are not held up by an RSA key that is being made, nor is the event loop", async () => {
    const workers = workersWith();
    const clock = systemClock();
    const key = await newKey(workers);
    const order: string[] = [];
    const generated = workers.generate("RSA_4096").then(({ publicKey }) => {
      order.push("generated");
      return publicKey;
    });
    const waitsMs: number[] = [];
    for (let count = 0; count < 10; count += 1) {
      const beganMs = clock.monotonicMs();
      await signWith(workers, key);
      waitsMs.push(clock.monotonicMs() - beganMs);
      order.push("signed");
    }
    expect(await generated).toHaveLength(550);
    // Signing takes well below a millisecond, and so takes turns with nothing: making the key takes hundreds at the least.
    expect(order.slice(0, 10)).not.toContain("generated");
    expect(waitsMs.toSorted((one, other) => one - other)[5]).toBeLessThan(50);
  });
});
