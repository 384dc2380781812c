import { expect, test } from "vitest";
import { statementPositions } from "./statement-positions.ts";

const flat = (document: string): number[][] =>
  statementPositions(document).map(({ start, end }) => [
    start.Line ?? 0,
    start.Column ?? 0,
    end.Line ?? 0,
    end.Column ?? 0,
  ]);

test("a statement by itself, as in the example of the AWS command line for simulate-custom-policy", () => {
  const document =
    '{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"dynamodb:*","Resource":"*",' +
    '"Condition":{"DateGreaterThan":{"aws:CurrentTime":"2015-08-16T12:00:00Z"}}}}';
  expect(flat(document)).toEqual([[1, 38, 1, document.length]]);
});

test("a list over several lines, as in the example for simulate-principal-policy", () => {
  const document = `{
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Action": "codecommit:ListRepositories",
            "Resource": "*",
            "Sid": "x"
        }, {"Effect": "Deny", "Action": "*", "Resource": "*"}
    ]
}`;
  expect(flat(document)).toEqual([
    [3, 19, 9, 10],
    [9, 10, 9, 62],
  ]);
});

test("braces, brackets and quotes in texts are not structure, nor is a text that says Statement", () => {
  const document = String.raw`{"Id":"Statement","Stat\u0065ment":[{"Sid":"a}]\"{"},{"Sid":"\\"}] }`;
  expect(flat(document).map(([, start = 0, , end = 0]) => document.slice(start - 1, end - 1))).toEqual([
    String.raw`{"Sid":"a}]\"{"}`,
    String.raw`,{"Sid":"\\"}`,
  ]);
});
