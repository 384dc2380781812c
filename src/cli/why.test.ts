import { describe, expect, test } from "vitest";
import type { WhyAnswer } from "../server/why.ts";
import { explained, listed } from "./why.ts";

type Denial = WhyAnswer["denials"][number];
type Decision = Partial<Denial["decision"]>;

const ROLE = "arn:aws:iam::111122223333:role/app";
const ANN = "arn:aws:iam::111122223333:user/ann";

const denialOf = (decision: Decision, changes: Partial<Denial> = {}): Denial => ({
  time: "2026-01-01T00:00:00.000Z",
  requestId: "r",
  eventId: "e",
  timeMs: 0,
  accountId: "111122223333",
  resourceAccountId: "111122223333",
  principal: { type: "User", arn: ANN, id: "AIDAANN" },
  service: "sts",
  operation: "AssumeRole",
  region: "us-east-1",
  via: null,
  action: "sts:AssumeRole",
  resource: ROLE,
  message: "User is not authorized",
  policies: [
    { kind: "resource", ids: [ROLE] },
    { kind: "identity", ids: [] },
  ],
  conditions: [],
  conditionsLeftOut: 0,
  ...changes,
  decision: { kind: "resource", reason: "implicit", statement: null, ...decision },
});

const nextOf = (denial: Denial): string => explained(denial).split("Next: ")[1] ?? "";

describe("an explanation", () => {
  test("lists what a policy asked for in vain, and points there", () => {
    const stop = { kind: "resource" as const, policyId: ROLE, sid: null, index: 0, keys: ["sts:ExternalId"] };
    const denial = denialOf({ stoppedByAbsence: [stop] }, { absent: [{ key: "sts:ExternalId", kinds: ["resource"] }] });
    expect(explained(denial)).toContain("\n* sts:ExternalId (not in the request)\n");
    expect(nextOf(denial)).toBe(
      "send sts:ExternalId with the request, or change the condition of the trust policy that asks for it.\n",
    );
  });

  test.each([
    ["deleted", "was deleted", "use credentials of a user or role that there is"],
    ["replaced", "another one has its name now", "use credentials of a user or role that there is"],
    ["renamed", "another name or path now", "use credentials of a user or role that there is"],
    ["unreadable", "cannot be read", "put that policy again"],
  ] as const)("of what stops everything: %s", (reason, why, next) => {
    const denial = denialOf({ kind: "identity", stop: { reason, policyId: ANN } });
    expect(explained(denial)).toContain(why);
    expect(explained(denial)).not.toContain("statement");
    expect(nextOf(denial)).toContain(next);
  });

  test("shows nothing of what a caller sent that could steer the terminal, or hide", () => {
    for (const code of [0x0a, 0x1b, 0x7f, 0x9b, 0xad, 0x061c, 0x200b, 0x200f, 0x2028, 0x202e, 0x2066, 0xe0041]) {
      const sent = String.fromCodePoint(code);
      expect(explained(denialOf({}, { resource: `a${sent}b` })), code.toString(16)).toContain("a\u{fffd}b\n");
    }
  });

  test("tells the owner of the directory that there is no such role", () => {
    const denial = denialOf({}, { policies: [{ kind: "identity", ids: [] }] });
    expect(explained(denial)).toContain("Why: there was no such role.");
    expect(nextOf(denial)).toContain("make the role");
    expect(explained(denialOf({}))).toContain("Why: the role's trust policy does not allow it.");
  });

  test("tells that a policy means a principal that is gone", () => {
    const denial = denialOf({ formerPrincipal: { name: ANN, id: "AIDAOLD" } });
    expect(explained(denial)).toContain("(AIDAOLD). That one was deleted or renamed");
    expect(nextOf(denial)).toBe(`put the trust policy again, to mean the ${ANN} of today.\n`);
  });
});

test("a list says how many more there are, and how to see them", () => {
  const denials = [denialOf({}), denialOf({ kind: "service" }, { resource: "*" })];
  expect(listed({ denials, more: 5 }, {}, "/d")).toContain("and 5 older: --limit 7 lists them");
  expect(listed({ denials, more: 0 }, {}, "/d")).not.toContain("older");
  expect(listed({ denials: [], more: 0 }, { account: "1" }, "/d")).toContain("that fits");
});
