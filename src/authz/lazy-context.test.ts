import { expect, test } from "vitest";
import { systemClock } from "../base/clock.ts";
import { type CallFacts, lazyContext, requestContext } from "./context.ts";

const CALL: CallFacts = {
  principal: {
    type: "AssumedRole",
    arn: "arn:aws:sts::111122223333:assumed-role/app/s",
    accountId: "111122223333",
    userId: "AROA:s",
    session: {
      issuerArn: "arn:aws:iam::111122223333:role/app",
      issuedAtMs: 1_700_000_000_000,
      mfa: true,
      tags: { Team: "session" },
    },
  },
  region: "eu-central-1",
  nowMs: 1_700_000_060_000,
  sourceIp: "192.0.2.7",
  userAgent: "test",
  secureTransport: true,
};
const OWN = {
  "kms:EncryptionContext:Team": "a",
  "kms:EncryptionContext:team": "b",
  "kms:EncryptionContext:TEAM": ["c"],
  "aws:RequestTag/x": "own",
  "aws:PrincipalTag/other": "own",
  "aws:PrincipalTag/team": "forged",
  "aws:CurrentTime": "forged",
  "aws:SourceIp": "forged",
};

test("keys made when they are asked for are those of the whole context, in whichever order they are asked for", () => {
  const options = { principalTags: { team: "role", stage: "prod" }, resourceAccountId: "444455556666" };
  const all = requestContext(CALL, { ...options, own: OWN });
  const names = [...all.keys(), "aws:username", "kms:none", "aws:principaltag/none"];
  expect(all.get("aws:principaltag/team")).toBe("session");
  expect(all.get("aws:sourceip")).toBe("192.0.2.7");
  expect(all.get("aws:currenttime")).toBe("2023-11-14T22:14:20Z");
  expect(all.get("kms:encryptioncontext:team")).toEqual({ alternatives: ["a", "b", ["c"]] });
  for (const order of [names, names.toReversed(), ...names.map((name) => [name])]) {
    const lazy = lazyContext(CALL, { ...options, own: () => OWN, onAsked: () => undefined });
    for (const name of order) expect([name, lazy.get(name)]).toEqual([name, all.get(name)]);
  }
});

test("the same for any number of own keys, and each is looked for once", () => {
  const options = { principalTags: {}, resourceAccountId: "444455556666" };
  for (const count of [0, 1, 23, 24, 25, 100]) {
    const own = Object.fromEntries(
      Array.from({ length: count }, (_, at) => [`k:Name${at % 40}${"Aa".charAt(at & 1)}`, `${at}`]),
    );
    const all = requestContext(CALL, { ...options, own });
    let made = 0;
    const lazy = lazyContext(CALL, {
      ...options,
      own: () => {
        made++;
        return own;
      },
      onAsked: () => undefined,
    });
    for (const name of [...all.keys(), ...all.keys(), "k:none", "k:[ame0a"]) {
      expect([name, lazy.get(name)]).toEqual([name, all.get(name)]);
    }
    expect(made).toBe(1);
  }
});

test("a long name that is asked for again and again costs the server one look", () => {
  const name = (first: string): string => `kms:EncryptionContext:${first}${"n".repeat(300)}`;
  const own = Object.fromEntries(Array.from({ length: 24 }, (_, at) => [name(String.fromCharCode(0x61 + at)), "v"]));
  const lazy = lazyContext(CALL, {
    principalTags: {},
    resourceAccountId: "444455556666",
    own: () => own,
    onAsked: () => undefined,
  });
  const clock = systemClock();
  const beganMs = clock.monotonicMs();
  const asked = name("0").toLowerCase();
  for (let count = 0; count < 125_000; count++) lazy.get(asked);
  expect(clock.monotonicMs() - beganMs).toBeLessThan(250);
});
