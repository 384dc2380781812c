import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, expect } from "vitest";
import { removeDirectory, temporaryDirectory } from "../../support/server.ts";
import { eventually } from "../../support/wait.ts";
import { given, kmsSuite, refusalOf } from "./suite.ts";

/** The errors of quotas, under figures small enough to reach. */
const directory = temporaryDirectory();
afterAll(() => removeDirectory(directory));
const figures = join(directory, "figures.json");
writeFileSync(
  figures,
  JSON.stringify({ "Customer Master Keys (CMKs)": 3, "Grants per CMK": 2, "GetKeyPolicy request rate": 1 }),
);
const suite = kmsSuite({ args: ["--kms-quotas", figures] });
const { kms, refuses, works } = suite;

const root = (): string => `arn:aws:iam::${suite.server().accountId}:root`;

refuses("CreateGrant", "LimitExceededException", "one more than a key may have", async () => {
  const KeyId = given((await kms().createKey({})).KeyMetadata?.KeyId);
  const grant = async (Name: string): Promise<unknown> =>
    kms().createGrant({ KeyId, GranteePrincipal: root(), Operations: ["Decrypt"], Name });
  await grant("one");
  await grant("two");
  return grant("three");
});
refuses("CreateKey", "LimitExceededException", "one more than the account may have", async () => {
  for (let count = 0; count < 3; count += 1) await kms().createKey({});
  return kms().createKey({});
});
refuses(
  "GetKeyPolicy",
  "ThrottlingException",
  "more often than once a second",
  async () => {
    const { Keys } = await kms().listKeys({ Limit: 1 });
    const KeyId = given(Keys?.[0]?.KeyId);
    for (let count = 0; count < 10; count += 1) await kms().getKeyPolicy({ KeyId });
  },
  "You have exceeded the rate at which you may call KMS. Reduce the frequency of your calls.",
);
works("GetKeyPolicy", "again when a second has passed", async () => {
  const { Keys } = await kms().listKeys({ Limit: 1 });
  const answered = await eventually(async () => {
    const refused = await refusalOf(kms().getKeyPolicy({ KeyId: given(Keys?.[0]?.KeyId) }));
    return refused.code === "ThrottlingException" ? null : refused.code;
  });
  expect(answered).toBe("(succeeded)");
});
