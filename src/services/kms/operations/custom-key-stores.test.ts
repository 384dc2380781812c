import { afterAll, beforeAll, expect, test } from "vitest";
import { type KmsHarness, kmsHarness } from "../testing/harness.ts";

let kms: KmsHarness;
beforeAll(async () => {
  kms = await kmsHarness();
});
afterAll(async () => kms.close());

test.each([
  ["ConnectCustomKeyStore", { CustomKeyStoreId: "cks-1" }],
  ["CreateCustomKeyStore", { CustomKeyStoreName: "store", KeyStorePassword: "do-not-tell" }],
  ["DeleteCustomKeyStore", { CustomKeyStoreId: "cks-1" }],
  ["DescribeCustomKeyStores", {}],
  ["DisconnectCustomKeyStore", { CustomKeyStoreId: "cks-1" }],
  [
    "UpdateCustomKeyStore",
    {
      CustomKeyStoreId: "cks-1",
      XksProxyAuthenticationCredential: { AccessKeyId: "ABCDEFGHIJKLMNOPQRST", RawSecretAccessKey: "do-not-tell" },
    },
  ],
])(
  "%s is permitted or denied by IAM policies, and then not supported; nothing secret is written down",
  async (name, input) => {
    expect(await kms.failure(name, input)).toBe(
      "UnsupportedOperationException: Custom key stores are not supported yet.",
    );
    expect(kms.last.checks).toMatchObject([{ action: `kms:${name}`, resource: "*" }]);
    expect(kms.last.checks[0]).not.toHaveProperty("resourcePolicy");
    expect(JSON.stringify(kms.last.audit)).not.toContain("do-not-tell");
  },
);
