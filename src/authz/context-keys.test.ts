import { expect, test } from "vitest";
import { contextKeysOf } from "./context-keys.ts";

const document = (version: string): string =>
  JSON.stringify({
    Version: version,
    Statement: [
      {
        Effect: "Allow",
        Action: "*",
        Resource: ["arn:aws:kms:*:*:key/${aws:username}", "arn:aws:s3:::${aws:PrincipalTag/team, 'none'}/${*}"],
        Condition: {
          StringLike: { "aws:UserName": "a*", "k:x": ["${k:y}-${k:z,'q'}", "$${"] },
          NumericEquals: { "k:n": 1 },
        },
      },
      { Effect: "Deny", Action: "*", NotResource: "arn:aws:s3:::${k:last}", Condition: { Null: { "K:X": true } } },
    ],
  });

test("the keys of conditions and variables, each once, as written first", () => {
  expect(contextKeysOf(document("2012-10-17"))).toEqual([
    "aws:username",
    "aws:PrincipalTag/team",
    "k:x",
    "k:y",
    "k:z",
    "k:n",
    "k:last",
  ]);
});

test("the older language has no variables", () => {
  expect(contextKeysOf(document("2008-10-17"))).toEqual(["aws:UserName", "k:x", "k:n"]);
});
