import { expect, test } from "vitest";
import { attributesOf, hasAttribute } from "./event-attributes.ts";
import { numberedEvent } from "./testing/events.ts";

test("an event with a key and its alias is found by the ARN of either", () => {
  const accountId = "123456789012";
  const arns = ["key/1234", "alias/orders"].map((name) => `arn:aws:kms:us-east-1:${accountId}:${name}`);
  const resources = arns.map((ARN) => ({ ARN, accountId, type: "AWS::KMS::Key" }));
  const event = numberedEvent(1, 1_700_000_000_000, { resources });
  const attributes = attributesOf(event);
  expect(attributes.resources.map(({ name }) => name)).toEqual(arns);
  for (const value of arns) expect(hasAttribute(event, attributes, { key: "ResourceName", value })).toBe(true);
  const other = { key: "ResourceName", value: `${arns[1]}2` };
  expect(hasAttribute(event, attributes, other)).toBe(false);
});
