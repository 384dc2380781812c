import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { OperationContext } from "../../../gateway/contract.ts";
import type { Reader } from "../../../store/table.ts";
import { keyTable, type KeyRecord } from "../records.ts";
import { ACCOUNT, type KmsHarness, kmsHarness, REGION } from "../testing/harness.ts";
import { roleArnOf, sessionOf, userOf } from "../testing/authorized-room.ts";
import { appliedGrants, type GrantQuestion } from "./applied.ts";

let kms: KmsHarness;
beforeAll(async () => {
  kms = await kmsHarness();
});
afterAll(() => kms.close());

const ANN = userOf("ann");
const GRANTS = 400;

async function keyWith(inputs: readonly object[]): Promise<KeyRecord> {
  const KeyId = await kms.newKey();
  for (const input of inputs) {
    await kms.run("CreateGrant", { KeyId, GranteePrincipal: ANN.arn, Operations: ["Decrypt", "Encrypt"], ...input });
  }
  const key = await kms.reader.get(keyTable, [ACCOUNT, REGION, KeyId]);
  if (key === null) throw new Error("no key");
  return key;
}

/** Whether a grant was found, and how many records were read for it. */
async function lookUp(
  question: GrantQuestion,
  principal = ANN,
): Promise<{ readonly match: string | undefined; readonly records: number }> {
  let records = 0;
  const read: Reader = {
    get: (from, id) => (records++, kms.reader.get(from, id)),
    async list(from, query) {
      const found = await kms.reader.list(from, query);
      records += found.length + 1;
      return found;
    },
  };
  const call = { principal, region: REGION } as OperationContext["call"];
  const [applied] = await appliedGrants({ call, read }, question);
  return { match: applied?.match, records };
}

const many = (input: (at: number) => object): readonly object[] => Array.from({ length: GRANTS }, (_, at) => input(at));

describe("a look-up reads a few records, however many grants there are", () => {
  test.each<[string, (at: number) => object, Partial<GrantQuestion>]>([
    ["without constraints", () => ({}), {}],
    [
      "with contexts of their own",
      (at) => ({ Constraints: { EncryptionContextEquals: { id: String(at) } } }),
      { context: { ID: "17" } },
    ],
    [
      "with a pair in common, and one of their own",
      (at) => ({ Constraints: { EncryptionContextSubset: { app: "x", zone: "y", id: String(at) } } }),
      { context: { app: "x", zone: "y", id: "17", more: "m" } },
    ],
    [
      "with the same constraint",
      () => ({ Constraints: { EncryptionContextSubset: { app: "x" } } }),
      { context: { app: "x" } },
    ],
    [
      "that let grants be made",
      (at) => ({
        Operations: ["CreateGrant", "Decrypt"],
        Constraints: { EncryptionContextSubset: { id: String(at) } },
      }),
      {
        operation: "CreateGrant",
        child: { operations: ["Decrypt"], limits: { equals: { id: "17", a: "b" }, subset: null, sourceArn: null } },
      },
    ],
  ])("%s", async (_what, input, asked) => {
    const key = await keyWith(many(input));
    const question: GrantQuestion = { key, operation: "Decrypt", ...asked };
    const hit = await lookUp(question);
    expect(hit.match).toBe("exact");
    expect(hit.records).toBeLessThan(40);
    const miss = await lookUp({ key, operation: "GenerateDataKey", context: { id: "17" } });
    expect(miss.match).toBeUndefined();
    expect(miss.records).toBeLessThan(10);
    const wrong = await lookUp({ ...question, context: { app: "z", id: "none" } });
    expect(wrong.records).toBeLessThan(40);
  });

  test("by a context of thousands of pairs, too", async () => {
    const key = await keyWith(
      Array.from({ length: 6 }, (_, at) => ({ Constraints: { EncryptionContextSubset: { [`name${at}`]: "1" } } })),
    );
    const pairs = Object.fromEntries(Array.from({ length: 2700 }, (_, at) => [at.toString(36), ""]));
    const miss = await lookUp({ key, operation: "Encrypt", context: pairs });
    expect(miss.match).toBeUndefined();
    expect(miss.records).toBeLessThan(40);
    const hit = await lookUp({ key, operation: "Encrypt", context: { ...pairs, NAME4: "1" } });
    expect(hit.match).toBe("exact");
    expect(hit.records).toBeLessThan(40);
  });

  test("at a bounded number of places where both contexts and constraints are many", async () => {
    const key = await keyWith(
      many((at) => ({ Constraints: { EncryptionContextSubset: { [`n${at}`]: "1", z: "z" } } })),
    );
    const pairs = Object.fromEntries(Array.from({ length: 1500 }, (_, at) => [`n${at}`, "1"]));
    const { records } = await lookUp({ key, operation: "Encrypt", context: pairs });
    expect(records).toBeLessThan(1000);
    const few = Object.fromEntries(Object.entries(pairs).slice(300, 400));
    expect((await lookUp({ key, operation: "Encrypt", context: { ...few, z: "z" } })).match).toBe("exact");
  });

  test("with every kind of match there is, the strongest is found", async () => {
    const session = sessionOf("app", "one");
    const key = await keyWith([
      { GranteePrincipal: `arn:aws:iam::${ACCOUNT}:root`, Operations: ["Decrypt", "Encrypt", "DescribeKey"] },
      { GranteePrincipal: roleArnOf("app"), Operations: ["Decrypt", "Encrypt"] },
      { GranteePrincipal: session.arn, Operations: ["Decrypt"] },
    ]);
    const matchOf = async (operation: GrantQuestion["operation"]): Promise<string | undefined> =>
      (await lookUp({ key, operation }, session)).match;
    expect(await matchOf("Decrypt")).toBe("exact");
    expect(await matchOf("Encrypt")).toBe("role");
    expect(await matchOf("DescribeKey")).toBe("account");
    expect(await matchOf("ReEncryptTo")).toBeUndefined();
  });
});
