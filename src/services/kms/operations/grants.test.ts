import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { countTable } from "../grants/records.ts";
import { type KmsHarness, ACCOUNT, kmsHarness, OTHER_ACCOUNT, REGION, rootOf } from "../testing/harness.ts";

const ANN = `arn:aws:iam::${ACCOUNT}:user/ann`;
const BOB = `arn:aws:iam::${ACCOUNT}:user/team/bob`;
const SERVICE = "rds.amazonaws.com";
const SOURCE = `arn:aws:rds:${REGION}:${ACCOUNT}:db:orders`;

let kms: KmsHarness;
let KeyId = "";

beforeAll(async () => {
  kms = await kmsHarness();
  KeyId = await kms.newKey();
});
afterAll(() => kms.close());

const grantInput = (changes: object = {}): object => ({
  KeyId,
  GranteePrincipal: ANN,
  Operations: ["Encrypt", "Decrypt"],
  ...changes,
});

describe("CreateGrant", () => {
  test("answers an id and a token; ListGrants shows the grant as it was asked for, without the token", async () => {
    const key = await kms.newKey();
    const { GrantId, GrantToken } = await kms.run(
      "CreateGrant",
      grantInput({
        KeyId: key,
        Name: "for/ann",
        RetiringPrincipal: BOB,
        Operations: ["Encrypt", "Decrypt", "Encrypt"],
        Constraints: { EncryptionContextSubset: { Department: "IT" } },
      }),
    );
    expect(GrantId).toMatch(/^[0-9a-f]{64}$/);
    expect(GrantToken).toMatch(/^[A-Za-z0-9+/]+=*$/);
    const { Grants, Truncated } = await kms.run("ListGrants", { KeyId: key });
    expect(Truncated).toBe(false);
    expect(Grants).toEqual([
      {
        KeyId: `arn:aws:kms:${REGION}:${ACCOUNT}:key/${key}`,
        GrantId,
        Name: "for/ann",
        CreationDate: kms.clock.wallMs(),
        GranteePrincipal: ANN,
        RetiringPrincipal: BOB,
        IssuingAccount: `arn:aws:iam::${ACCOUNT}:root`,
        Operations: ["Decrypt", "Encrypt"],
        Constraints: { EncryptionContextSubset: { Department: "IT" } },
      },
    ]);
  });

  test("leaves an event without tokens", async () => {
    const { GrantToken } = await kms.run("CreateGrant", grantInput());
    const { GrantId } = await kms.run("CreateGrant", grantInput({ GrantTokens: [GrantToken] }));
    expect(kms.last.audit.requestParameters).toEqual({
      keyId: KeyId,
      granteePrincipal: ANN,
      operations: ["Encrypt", "Decrypt"],
    });
    expect(kms.last.audit.responseElements).toMatchObject({ grantId: GrantId });
    expect(JSON.stringify(kms.last.audit)).not.toContain(GrantToken);
  });

  test("the same name with the same terms is the same grant with another token; other terms make another grant", async () => {
    const named = grantInput({ Name: "once", Constraints: { EncryptionContextEquals: { a: "1", b: "2" } } });
    const first = await kms.run("CreateGrant", named);
    const again = await kms.run("CreateGrant", {
      ...named,
      Operations: ["Decrypt", "Encrypt"],
      Constraints: { EncryptionContextEquals: { b: "2", a: "1" } },
    });
    expect(again["GrantId"]).toBe(first["GrantId"]);
    expect(again["GrantToken"]).not.toBe(first["GrantToken"]);
    for (const changes of [
      { Name: "twice" },
      { GranteePrincipal: BOB },
      { Operations: ["Encrypt"] },
      { Constraints: {} },
    ]) {
      const other = await kms.run("CreateGrant", { ...named, ...changes });
      expect(other["GrantId"]).not.toBe(first["GrantId"]);
    }
    const unnamed = [await kms.run("CreateGrant", grantInput()), await kms.run("CreateGrant", grantInput())];
    expect(unnamed[0]?.["GrantId"]).not.toBe(unnamed[1]?.["GrantId"]);
    await kms.run("RevokeGrant", { KeyId, GrantId: first["GrantId"] });
    expect((await kms.run("CreateGrant", named))["GrantId"]).not.toBe(first["GrantId"]);
  });

  test("a dry run makes nothing", async () => {
    const key = await kms.newKey();
    expect(await kms.failure("CreateGrant", grantInput({ KeyId: key, DryRun: true }))).toBe(
      "DryRunOperationException: The request would have succeeded, but the DryRun option is set.",
    );
    expect((await kms.run("ListGrants", { KeyId: key }))["Grants"]).toEqual([]);
  });

  test("a grant to a service needs a source and somebody who retires it", async () => {
    const service = {
      KeyId,
      GranteeServicePrincipal: SERVICE,
      RetiringServicePrincipal: SERVICE,
      Operations: ["Decrypt"],
      Constraints: { SourceArn: SOURCE },
    };
    const { GrantId } = await kms.run("CreateGrant", service);
    const { Grants } = await kms.run("ListGrants", { KeyId, GrantId });
    expect(Grants[0]).toMatchObject({
      GranteeServicePrincipal: SERVICE,
      RetiringServicePrincipal: SERVICE,
      Constraints: { SourceArn: SOURCE },
    });
    expect(Grants[0]).not.toHaveProperty("GranteePrincipal");
    const { Constraints: _constraints, ...unbound } = service;
    const { RetiringServicePrincipal: _retiring, ...endless } = service;
    for (const refused of [
      unbound,
      endless,
      { ...service, GranteePrincipal: ANN },
      { ...service, RetiringPrincipal: ANN },
      { ...service, GranteeServicePrincipal: "rds" },
      { KeyId, Operations: ["Decrypt"] },
    ]) {
      expect(await kms.failure("CreateGrant", refused)).toMatch(/^ValidationException: /);
    }
  });

  test.each([
    ["a group", `arn:aws:iam::${ACCOUNT}:group/all`],
    ["a bare account id", ACCOUNT],
    ["a service", SERVICE],
    ["no ARN", "ann"],
    ["an ARN of another partition", `arn:aws-cn:iam::${ACCOUNT}:user/ann`],
    ["a user without a name", `arn:aws:iam::${ACCOUNT}:user/`],
    ["a session without a name", `arn:aws:sts::${ACCOUNT}:assumed-role/app`],
    ["an ARN with a region", `arn:aws:iam:${REGION}:${ACCOUNT}:user/ann`],
  ])("%s is no principal of a grant", async (_what, arn) => {
    expect(await kms.failure("CreateGrant", grantInput({ GranteePrincipal: arn }))).toMatch(/^InvalidArnException: /);
    expect(await kms.failure("CreateGrant", grantInput({ RetiringPrincipal: arn }))).toMatch(/^InvalidArnException: /);
  });

  test.each([
    `arn:aws:iam::${OTHER_ACCOUNT}:root`,
    BOB,
    `arn:aws:iam::${ACCOUNT}:role/aws-service-role/x.amazonaws.com/Role`,
    `arn:aws:sts::${ACCOUNT}:assumed-role/app/session@1`,
    `arn:aws:sts::${ACCOUNT}:federated-user/fay`,
  ])("%s is", async (arn) => {
    expect(await kms.failure("CreateGrant", grantInput({ GranteePrincipal: arn, RetiringPrincipal: arn }))).toBe(
      "none",
    );
  });

  test.each([
    [
      "SYMMETRIC_DEFAULT",
      "ENCRYPT_DECRYPT",
      ["GenerateDataKeyPair", "ReEncryptTo"],
      ["Sign", "GetPublicKey", "GenerateMac"],
    ],
    ["RSA_2048", "ENCRYPT_DECRYPT", ["Decrypt", "ReEncryptFrom", "GetPublicKey"], ["GenerateDataKey", "Sign"]],
    ["ECC_NIST_P256", "SIGN_VERIFY", ["Sign", "Verify", "GetPublicKey"], ["Encrypt", "DeriveSharedSecret"]],
    ["ECC_NIST_P256", "KEY_AGREEMENT", ["DeriveSharedSecret", "GetPublicKey"], ["Sign"]],
    ["HMAC_256", "GENERATE_VERIFY_MAC", ["GenerateMac", "VerifyMac"], ["GetPublicKey", "Encrypt"]],
    ["ML_KEM_512", "ENCAPSULATE_DECAPSULATE", ["Encapsulate", "Decapsulate", "GetPublicKey"], ["Decrypt"]],
  ])("a %s key for %s has grants for what it can do", async (KeySpec, KeyUsage, can, cannot) => {
    const key = await kms.newKey({ KeySpec, KeyUsage });
    await kms.run(
      "CreateGrant",
      grantInput({ KeyId: key, Operations: ["CreateGrant", "DescribeKey", "RetireGrant", ...can] }),
    );
    for (const operation of cannot) {
      expect(await kms.failure("CreateGrant", grantInput({ KeyId: key, Operations: [operation] }))).toBe(
        `ValidationException: Operation ${operation} is not valid for a KMS key with key spec ${KeySpec} and key usage ${KeyUsage}.`,
      );
    }
    if (KeySpec === "SYMMETRIC_DEFAULT") return;
    const constrained = grantInput({
      KeyId: key,
      Operations: can,
      Constraints: { EncryptionContextSubset: { a: "b" } },
    });
    expect(await kms.failure("CreateGrant", constrained)).toMatch(/^ValidationException: /);
  });

  test.each([
    ["only CreateGrant", { Operations: ["CreateGrant"] }, "Grants must not contain only the CreateGrant operation."],
    ["no operations", { Operations: [] }, "Operations must contain at least one grant operation."],
    [
      "two constraints",
      { Constraints: { EncryptionContextEquals: {}, EncryptionContextSubset: { a: "b" } } },
      "More than one constraint supplied",
    ],
    [
      "nine pairs",
      { Constraints: { EncryptionContextEquals: Object.fromEntries("abcdefghi".split("").map((name) => [name, ""])) } },
      "A grant constraint can have at most 8 encryption context pairs.",
    ],
    [
      "a value of 385 characters",
      { Constraints: { EncryptionContextSubset: { a: "x".repeat(385) } } },
      "The names and values of a grant constraint can have at most 384 characters.",
    ],
  ])("%s are refused", async (_what, changes, message) => {
    expect(await kms.failure("CreateGrant", grantInput(changes))).toBe(`ValidationException: ${message}`);
  });

  test("8 pairs and 384 characters are not too many", async () => {
    const pairs = Object.fromEntries("abcdefgh".split("").map((name) => [name, "x".repeat(384)]));
    expect(await kms.failure("CreateGrant", grantInput({ Constraints: { EncryptionContextEquals: pairs } }))).toBe(
      "none",
    );
  });

  test("a key has 50,000 grants at most", async () => {
    const key = await kms.newKey();
    const count = async (part: string, value: number): Promise<unknown> =>
      kms.store.commit({ expect: [], writes: [countTable.put([ACCOUNT, REGION, key, part], { count: value })] });
    for (const part of "0123456789abcdef") await count(part, 3_125);
    await count("7", 3_124);
    const { GrantId } = await kms.run("CreateGrant", grantInput({ KeyId: key, Name: "last" }));
    expect(await kms.failure("CreateGrant", grantInput({ KeyId: key }))).toBe(
      "LimitExceededException: A KMS key can have at most 50000 grants.",
    );
    // One that is there already takes no room.
    expect((await kms.run("CreateGrant", grantInput({ KeyId: key, Name: "last" })))["GrantId"]).toBe(GrantId);
    await kms.run("RevokeGrant", { KeyId: key, GrantId });
    await kms.run("CreateGrant", grantInput({ KeyId: key }));
  });
});

describe("grant tokens", () => {
  test("one that the server did not make is refused wherever it is sent", async () => {
    const { GrantToken } = await kms.run("CreateGrant", grantInput());
    await kms.run("Encrypt", { KeyId, Plaintext: Buffer.from("x"), GrantTokens: [GrantToken] });
    const bytes = Buffer.from(GrantToken as string, "base64");
    for (const at of [0, 1, 5, 20, bytes.length - 1]) {
      const forged = Buffer.from(bytes);
      forged[at] = (forged[at] ?? 0) ^ 1;
      const GrantTokens = [forged.toString("base64")];
      expect(await kms.failure("Encrypt", { KeyId, Plaintext: Buffer.from("x"), GrantTokens })).toMatch(
        /^InvalidGrantTokenException/,
      );
    }
    for (const token of ["none", `${GrantToken} `, "AQ=="]) {
      for (const [operation, input] of [
        ["DescribeKey", {}],
        ["CreateGrant", grantInput()],
        ["GenerateDataKey", { NumberOfBytes: 32 }],
      ] as const) {
        expect(await kms.failure(operation, { KeyId, ...input, GrantTokens: [token] })).toMatch(
          /^InvalidGrantTokenException/,
        );
      }
      expect(await kms.failure("RetireGrant", { GrantToken: token })).toMatch(/^InvalidGrantTokenException/);
    }
  });

  test("one outlives the domain key it was sealed under being replaced", async () => {
    const { GrantToken } = await kms.run("CreateGrant", grantInput());
    await kms.keyring.seal();
    await kms.keyring.unseal(kms.sealProvider);
    expect(await kms.failure("RetireGrant", { GrantToken })).toBe("none");
  });
});

describe("RevokeGrant and RetireGrant", () => {
  test("remove the grant and all that was stored of it", async () => {
    const key = await kms.newKey();
    const before = await allKeys();
    const make = async (): Promise<{ readonly GrantId: string; readonly GrantToken: string }> =>
      (await kms.run(
        "CreateGrant",
        grantInput({
          KeyId: key,
          Name: "n",
          RetiringPrincipal: BOB,
          Operations: ["CreateGrant", "Decrypt", "DescribeKey"],
          Constraints: { EncryptionContextSubset: { a: "1", b: "2" } },
        }),
      )) as { readonly GrantId: string; readonly GrantToken: string };
    const revoked = await make();
    await kms.run("RevokeGrant", { KeyId: key, GrantId: revoked.GrantId });
    await kms.run("RetireGrant", { GrantToken: (await make()).GrantToken });
    await kms.run("RetireGrant", { KeyId: key, GrantId: (await make()).GrantId });
    const left = (await allKeys()).filter((name) => !before.includes(name));
    expect(left.every((name) => name.startsWith("kms.grant-count"))).toBe(true);
    expect(await kms.failure("RevokeGrant", { KeyId: key, GrantId: revoked.GrantId })).toMatch(/^NotFoundException/);
    expect(await kms.failure("RetireGrant", { GrantToken: revoked.GrantToken })).toMatch(/^NotFoundException/);
  });

  test("a dry run removes nothing", async () => {
    const { GrantId, GrantToken } = await kms.run("CreateGrant", grantInput());
    for (const [operation, input] of [
      ["RevokeGrant", { KeyId, GrantId }],
      ["RetireGrant", { KeyId, GrantId }],
      ["RetireGrant", { GrantToken }],
    ] as const) {
      expect(await kms.failure(operation, { ...input, DryRun: true })).toMatch(/^DryRunOperationException/);
    }
    expect((await kms.run("ListGrants", { KeyId, GrantId }))["Grants"]).toHaveLength(1);
  });

  test("name exactly one grant", async () => {
    const { GrantId, GrantToken } = await kms.run("CreateGrant", grantInput());
    for (const input of [{}, { KeyId }, { GrantId }, { KeyId, GrantId, GrantToken }]) {
      expect(await kms.failure("RetireGrant", input)).toMatch(/^ValidationException/);
    }
    const alien = { KeyId, GrantId: "0".repeat(64) };
    expect(await kms.failure("RevokeGrant", alien)).toMatch(/^NotFoundException/);
    expect(await kms.failure("RetireGrant", alien)).toMatch(/^NotFoundException/);
    for (const operation of ["RevokeGrant", "RetireGrant", "ListGrants"]) {
      expect(await kms.failure(operation, { KeyId, GrantId: "grant" })).toMatch(/^InvalidGrantIdException/);
    }
    const elsewhere = await kms.newKey();
    expect(await kms.failure("RevokeGrant", { KeyId: elsewhere, GrantId })).toMatch(/^NotFoundException/);
  });
});

describe("ListGrants and ListRetirableGrants", () => {
  test("page through all, each grant once, and filter", async () => {
    const key = await kms.newKey();
    const retiring = `arn:aws:iam::${ACCOUNT}:user/pager`;
    const ids: string[] = [];
    for (let at = 0; at < 23; at++) {
      const { GrantId } = await kms.run(
        "CreateGrant",
        grantInput({ KeyId: key, GranteePrincipal: at % 3 === 0 ? BOB : ANN, RetiringPrincipal: retiring }),
      );
      ids.push(GrantId as string);
    }
    const all = async (operation: string, input: object): Promise<string[]> => {
      const found: string[] = [];
      let Marker: string | undefined;
      do {
        const page = await kms.run(operation, { ...input, Limit: 5, ...(Marker === undefined ? {} : { Marker }) });
        expect(page["Grants"].length).toBeLessThanOrEqual(5);
        found.push(...page["Grants"].map((grant: { readonly GrantId: string }) => grant.GrantId));
        Marker = page["Truncated"] ? (page["NextMarker"] as string) : undefined;
      } while (Marker !== undefined);
      return found;
    };
    const sorted = ids.toSorted();
    expect(await all("ListGrants", { KeyId: key })).toEqual(sorted);
    expect(await all("ListRetirableGrants", { RetiringPrincipal: retiring })).toEqual(sorted);
    const bobs = ids.filter((_id, at) => at % 3 === 0).toSorted();
    expect(await all("ListGrants", { KeyId: key, GranteePrincipal: BOB })).toEqual(bobs);
    expect(await all("ListGrants", { KeyId: key, GrantId: bobs[0] })).toEqual([bobs[0]]);
    expect(await all("ListGrants", { KeyId: key, GrantId: bobs[0], GranteePrincipal: ANN })).toEqual([]);
    expect(await all("ListGrants", { KeyId: key, GranteeServicePrincipal: SERVICE })).toEqual([]);
    expect(await kms.failure("ListGrants", { KeyId: key, Marker: "alien" })).toMatch(/^InvalidMarkerException/);
    expect(await kms.failure("ListRetirableGrants", { RetiringPrincipal: retiring, Marker: "YQ" })).toMatch(
      /^InvalidMarkerException/,
    );
  });

  test("retirable grants are those of one's own principals, on whosever keys", async () => {
    const other = `arn:aws:iam::${OTHER_ACCOUNT}:user/eve`;
    const { GrantId } = await kms.run("CreateGrant", grantInput({ RetiringPrincipal: other }));
    expect(await kms.failure("ListRetirableGrants", { RetiringPrincipal: other })).toMatch(/^InvalidArnException/);
    const theirs = await kms.run(
      "ListRetirableGrants",
      { RetiringPrincipal: other },
      { principal: rootOf(OTHER_ACCOUNT) },
    );
    expect(theirs["Grants"].map((grant: { readonly GrantId: string }) => grant.GrantId)).toEqual([GrantId]);
    expect(kms.last.checks).toMatchObject([{ action: "kms:ListRetirableGrants", resource: other }]);
  });
});

test("the grants of a deleted key go with it", async () => {
  const key = await kms.newKey();
  const before = await allKeys();
  for (let at = 0; at < 230; at++) await kms.run("CreateGrant", grantInput({ KeyId: key, RetiringPrincipal: BOB }));
  await kms.run("ScheduleKeyDeletion", { KeyId: key, PendingWindowInDays: 7 });
  kms.clock.advance(8 * 24 * 60 * 60 * 1000);
  // The look for keys that are due is the first thing that background work does.
  await kms.service.start?.()();
  expect(kms.errors).toEqual([]);
  const left = (await allKeys()).filter((name) => !before.includes(name));
  expect(left.filter((name) => name.startsWith("kms.grant"))).toEqual([]);
});

async function allKeys(): Promise<readonly string[]> {
  const entries = await kms.store.range({ start: "kms." as never, end: "kms/" as never, limit: 100_000 });
  return entries.map(({ key }) => key);
}
