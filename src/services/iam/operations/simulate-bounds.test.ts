/** What a caller can make of the simulator: work, answers, and questions about accounts that are not its own. */
import { describe, expect, test } from "vitest";
import { afterThisTurn } from "../../../base/clock.ts";
import { systemRandom } from "../../../base/random.ts";
import { newAccount } from "../accounts.ts";
import { ACCOUNT, iamRoom, plainBox, rootPrincipal, simulator, type IamRoom } from "../testing/iam-room.ts";

const OTHER = "444455556666";
const KEY = `arn:aws:kms:eu-central-1:${ACCOUNT}:key/1234`;
const ANN = `arn:aws:iam::${ACCOUNT}:user/ann`;
const ALL = { Effect: "Allow", Action: "*", Resource: "*" };

const document = (statements: readonly object[]): string =>
  JSON.stringify({ Version: "2012-10-17", Statement: statements });
const actions = (count: number): string[] => Array.from({ length: count }, (_, at) => `kms:Action${at}`);

/** How often others had their turn while this ran. */
async function turnsDuring(run: () => Promise<unknown>): Promise<number> {
  let [turns, isOver] = [0, false];
  const count = (): void => {
    if (isOver) return;
    turns++;
    afterThisTurn(count);
  };
  afterThisTurn(count);
  await run();
  isOver = true;
  return turns;
}

describe("documents of thousands of statements", () => {
  const PolicyInputList = Array.from({ length: 4 }, () => document(Array.from({ length: 2000 }, () => ALL)));
  const input = { PolicyInputList, ActionNames: actions(1000), ResourceArns: [KEY], MaxItems: 1000 };

  test("end the page early, which the next one continues", async () => {
    const room = await iamRoom();
    const first = await room.run("SimulateCustomPolicy", input);
    const results = first.EvaluationResults ?? [];
    expect(first.IsTruncated).toBe(true);
    expect(results.length).toBeLessThan(50);
    expect(results[0]).toMatchObject({ EvalActionName: "kms:Action0", EvalDecision: "allowed" });
    expect(results[0]?.MatchedStatements).toHaveLength(200);
    expect(JSON.stringify(first).length).toBeLessThan(1_500_000);
    const second = await room.run("SimulateCustomPolicy", { ...input, Marker: first.Marker });
    expect(second.EvaluationResults?.[0]?.EvalActionName).toBe(`kms:Action${results.length}`);
  });

  test("let others go first, however many simulations there are", async () => {
    const room = await iamRoom();
    const one = await turnsDuring(() => room.run("SimulateCustomPolicy", input));
    expect(one).toBeGreaterThan(10);
    const four = await turnsDuring(() =>
      Promise.all(Array.from({ length: 4 }, () => room.run("SimulateCustomPolicy", input))),
    );
    expect(four).toBeGreaterThan(2 * one);
    const keys = () => room.run("GetContextKeysForCustomPolicy", { PolicyInputList });
    expect(await turnsDuring(keys)).toBeGreaterThan(5);
  });

  test("none of which allows: they cost all the same", async () => {
    const room = await iamRoom();
    const denied = PolicyInputList.map((text) => text.replaceAll('"Allow"', '"Deny"'));
    const { EvaluationResults, IsTruncated } = await room.run("SimulateCustomPolicy", {
      ...input,
      PolicyInputList: denied,
    });
    expect(EvaluationResults?.length).toBeLessThan(50);
    expect(EvaluationResults?.[0]).toMatchObject({ EvalDecision: "explicitDeny" });
    expect(IsTruncated).toBe(true);
  });
});

test("a page ends when its answer has grown long, counted as XML writes it", async () => {
  const room = await iamRoom();
  const { EvaluationResults, IsTruncated } = await room.run("SimulateCustomPolicy", {
    PolicyInputList: [document([ALL])],
    ActionNames: actions(10),
    ResourceArns: Array.from({ length: 100 }, () => `${KEY}${'"'.repeat(1900)}`),
    MaxItems: 1000,
  });
  expect(EvaluationResults?.length).toBeGreaterThan(10);
  expect(EvaluationResults?.length).toBeLessThan(100);
  expect(IsTruncated).toBe(true);
});

describe("other accounts", () => {
  async function roomWithBob(): Promise<IamRoom> {
    const room = await iamRoom();
    const account = { accountId: OTHER, name: "other", random: systemRandom(), secretBox: plainBox, nowMs: 0 };
    await room.store.commit({ expect: [], writes: newAccount(account).writes });
    const other = { ...rootPrincipal, accountId: OTHER, arn: `arn:aws:iam::${OTHER}:root`, userId: OTHER };
    await room.run("CreateUser", { UserName: "bob", Tags: [{ Key: "cost", Value: "xk7" }] }, other);
    return room;
  }
  const operations = ["SimulatePrincipalPolicy", "GetContextKeysForPrincipalPolicy"] as const;

  test.each(operations)(
    "%s tells nothing of their users: those that exist are like those that do not",
    async (name) => {
      const room = await roomWithBob();
      const asking = (userName: string) => ({
        PolicySourceArn: `arn:aws:iam::${OTHER}:user/${userName}`,
        ActionNames: ["kms:Sign"],
      });
      for (const userName of ["bob", "nobody"]) {
        expect(await room.checks(name, asking(userName))).toEqual([
          { action: `iam:${name}`, resource: asking(userName).PolicySourceArn, resourceAccountId: OTHER, context: {} },
        ]);
        expect(await room.failure(name, asking(userName))).toBe(
          `NoSuchEntity 404: The user with name ${userName} cannot be found.`,
        );
      }
    },
  );

  test("a CallerArn of another account does not ask for that account's service control policies", async () => {
    const asked: string[] = [];
    const room = await iamRoom({
      simulator: {
        ...simulator,
        serviceControlsOf: async (accountId) => {
          asked.push(accountId);
          return [];
        },
      },
    });
    await room.run("CreateUser", { UserName: "ann" });
    await room.run("PutUserPolicy", {
      UserName: "ann",
      PolicyName: "own",
      PolicyDocument: document([{ ...ALL, Action: "kms:*" }]),
    });
    const { EvaluationResults } = await room.run("SimulatePrincipalPolicy", {
      PolicySourceArn: ANN,
      CallerArn: `arn:aws:iam::${OTHER}:user/x`,
      ActionNames: ["kms:Decrypt"],
    });
    expect(EvaluationResults).toMatchObject([{ EvalDecision: "allowed" }]);
    expect(asked).toEqual([ACCOUNT]);
  });
});
