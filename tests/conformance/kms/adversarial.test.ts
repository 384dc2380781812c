import { randomBytes } from "node:crypto";
import type { KMS } from "@aws-sdk/client-kms";
import { beforeAll, describe, expect, test } from "vitest";
import { type RawResponse, send, sign, targeted } from "../../support/wire.ts";
import { expectAllAlike, flipped } from "./alike.ts";
import { bytes, type Caller, given, kmsSuite, type Refusal, refusalOf } from "./suite.ts";
import { importMaterial, wrap } from "./wrapping.ts";

/** Everything a caller can get hold of, changed in every way: refused by the right name, and no answer tells more than it. */
const suite = kmsSuite();
const { kms } = suite;

let first = "";
let second = "";
let grantee: Caller;
const newKey = async (input: Parameters<KMS["createKey"]>[0] = {}): Promise<string> =>
  given((await kms().createKey(input)).KeyMetadata?.KeyId);
beforeAll(async () => {
  first = await newKey();
  second = await newKey();
  grantee = await suite.user("grantee", []);
});

const seal = async (KeyId: string, EncryptionContext?: Record<string, string>): Promise<Buffer> =>
  Buffer.from(given((await kms().encrypt({ KeyId, Plaintext: bytes("plain"), EncryptionContext })).CiphertextBlob));
/** The length of a ciphertext's header: all but commitment, one byte per plaintext byte, and tag. */
const HEADER_END = (blob: Uint8Array): number => blob.length - 32 - "plain".length - 16;
const INVALID_CIPHERTEXT: Refusal = { code: "InvalidCiphertextException", status: 400, message: "" };

describe("a ciphertext of a symmetric key", () => {
  test("with any one byte changed is invalid, in answers that do not differ", async () => {
    const sealed = await seal(first);
    const calls = Array.from(sealed, (_, at) => async () => kms().decrypt({ CiphertextBlob: flipped(sealed, at) }));
    await expectAllAlike(calls, INVALID_CIPHERTEXT);
  });
  test("with any one byte changed is never opened under the key that it was made with", async () => {
    const sealed = await seal(first, { a: "b" });
    const codes = new Set<string>();
    for (let at = 0; at < sealed.length; at += 1) {
      const call = kms().decrypt({
        KeyId: first,
        CiphertextBlob: flipped(sealed, at, 0x80),
        EncryptionContext: { a: "b" },
      });
      codes.add((await refusalOf(call)).code);
    }
    // A header that names another key is IncorrectKey when the request names this one, as on AWS.
    expect([...codes].filter((code) => code !== "IncorrectKeyException")).toEqual(["InvalidCiphertextException"]);
  });
  test("cut or lengthened is invalid", async () => {
    const sealed = await seal(first);
    const changed = [
      ...Array.from({ length: sealed.length - 1 }, (_, length) => sealed.subarray(0, length + 1)),
      sealed.subarray(1),
      Buffer.concat([sealed, Buffer.alloc(1)]),
      Buffer.concat([sealed, sealed]),
      Buffer.alloc(sealed.length),
      randomBytes(sealed.length),
    ];
    await expectAllAlike(
      changed.map((CiphertextBlob) => async () => kms().decrypt({ CiphertextBlob })),
      INVALID_CIPHERTEXT,
    );
  });
  test("with one key's header on another's body is invalid, either way", async () => {
    const [ofFirst, ofSecond] = [await seal(first), await seal(second)];
    const end = HEADER_END(ofFirst);
    const mixed = Buffer.concat([ofFirst.subarray(0, end), ofSecond.subarray(end)]);
    const other = Buffer.concat([ofSecond.subarray(0, end), ofFirst.subarray(end)]);
    await expectAllAlike(
      [mixed, other].flatMap((CiphertextBlob, index) => [
        async () => kms().decrypt({ CiphertextBlob }),
        async () => kms().decrypt({ CiphertextBlob, KeyId: index === 0 ? first : second }),
      ]),
      INVALID_CIPHERTEXT,
    );
  });
  test("with the material id of an earlier or of no material is invalid", async () => {
    const KeyId = await newKey();
    const before = await seal(KeyId);
    await kms().rotateKeyOnDemand({ KeyId });
    const after = await seal(KeyId);
    // The material id stands before the nonce of 16 bytes.
    const [from, to] = [HEADER_END(after) - 48, HEADER_END(after) - 16];
    const swap = (target: Buffer, id: Uint8Array): Buffer =>
      Buffer.concat([target.subarray(0, from), id, target.subarray(to)]);
    expect((await kms().decrypt({ CiphertextBlob: before })).KeyMaterialId).toBe(
      before.subarray(from, to).toString("hex"),
    );
    await expectAllAlike(
      [
        swap(after, before.subarray(from, to)),
        swap(before, after.subarray(from, to)),
        swap(after, randomBytes(32)),
      ].map((CiphertextBlob) => async () => kms().decrypt({ CiphertextBlob })),
      INVALID_CIPHERTEXT,
    );
  });
  test("opens in its own context alone: no joining, no splitting, no order or case lets another pass", async () => {
    const sealed = await seal(first, { a: "bc" });
    const contexts: (Record<string, string> | undefined)[] = [
      undefined,
      {},
      { ab: "c" },
      { "": "abc" },
      { abc: "" },
      { a: "bc", "": "" },
      { a: "b", c: "" },
      { A: "bc" },
      { a: "BC" },
      { a: "bc " },
      { a: "bc\u0000" },
      { "a\u0000": "bc" },
      { bc: "a" },
      { a: "b\u0441" },
      { 'a":"bc': "" },
    ];
    for (const EncryptionContext of contexts) {
      const refused = await refusalOf(kms().decrypt({ CiphertextBlob: sealed, EncryptionContext }));
      expect([EncryptionContext, refused]).toEqual([EncryptionContext, INVALID_CIPHERTEXT]);
    }
    expect((await kms().decrypt({ CiphertextBlob: sealed, EncryptionContext: { a: "bc" } })).Plaintext).toBeDefined();
  });
  test("is the same refusal in ReEncrypt", async () => {
    const sealed = await seal(first, { a: "b" });
    const from = { DestinationKeyId: second };
    await expectAllAlike(
      [
        async () => kms().reEncrypt({ ...from, CiphertextBlob: sealed }),
        async () =>
          kms().reEncrypt({
            ...from,
            CiphertextBlob: flipped(sealed, sealed.length - 1),
            SourceEncryptionContext: { a: "b" },
          }),
        async () =>
          kms().reEncrypt({ ...from, CiphertextBlob: sealed.subarray(0, 60), SourceEncryptionContext: { a: "b" } }),
        async () => kms().reEncrypt({ ...from, CiphertextBlob: randomBytes(200) }),
      ],
      INVALID_CIPHERTEXT,
    );
  });
  test("of a key of another account, there or not, is refused alike", async () => {
    const sealed = await seal(first);
    // Account id: 6 bytes behind version, suite, form and key id.
    sealed.writeUIntBE(999_988_887_777, 19, 6);
    const answers = await Promise.all(
      [sealed, flipped(sealed, 5)].map(async (CiphertextBlob) => refusalOf(kms().decrypt({ CiphertextBlob }))),
    );
    // The message may name the key that the blob names; nothing else may differ.
    const alike = answers.map(({ code, status, message }) => ({
      code,
      status,
      message: message.replace(/key\/[0-9a-f-]+/, "key/…"),
    }));
    expect(alike[0]).toEqual(alike[1]);
    expect(alike[0]?.status).toBe(400);
    expect(["AccessDeniedException", "InvalidCiphertextException"]).toContain(alike[0]?.code);
  });
});

describe("a ciphertext of an RSA key", () => {
  test("changed anywhere, cut or foreign is invalid, in answers that do not differ", async () => {
    const KeyId = await newKey({ KeySpec: "RSA_2048", KeyUsage: "ENCRYPT_DECRYPT" });
    const EncryptionAlgorithm = "RSAES_OAEP_SHA_256";
    const { CiphertextBlob } = await kms().encrypt({ KeyId, Plaintext: bytes("plain"), EncryptionAlgorithm });
    const sealed = Buffer.from(given(CiphertextBlob));
    const changed = [
      ...Array.from({ length: 32 }, (_, index) => flipped(sealed, index * 8)),
      sealed.subarray(1),
      sealed.subarray(0, -1),
      Buffer.concat([Buffer.alloc(1), sealed]),
      Buffer.concat([sealed, Buffer.alloc(1)]),
      Buffer.alloc(256),
      Buffer.alloc(256, 0xff),
      Buffer.from([1]),
      randomBytes(256),
      await seal(first),
    ];
    await expectAllAlike(
      changed.map((blob) => async () => kms().decrypt({ KeyId, CiphertextBlob: blob, EncryptionAlgorithm })),
      INVALID_CIPHERTEXT,
    );
  });
});

test("an ML-KEM ciphertext of any other length is invalid; of the right one it always opens to something", async () => {
  const KeyId = await newKey({ KeySpec: "ML_KEM_512", KeyUsage: "ENCAPSULATE_DECAPSULATE" });
  const open = async (SharedSecretCiphertextBlob: Uint8Array): Promise<unknown> =>
    kms().decapsulate({ KeyId, EncapsulationAlgorithm: "ML_KEM", SharedSecretCiphertextBlob });
  await expectAllAlike(
    [1, 32, 767, 769, 1088, 1568, 6144].map((length) => async () => open(randomBytes(length))),
    INVALID_CIPHERTEXT,
  );
  for (const right of [Buffer.alloc(768), Buffer.alloc(768, 0xff), randomBytes(768)])
    expect(await open(right)).toMatchObject({ SharedSecret: expect.any(Uint8Array) as Uint8Array });
});

describe("a grant token", () => {
  const use = async (token: string, KeyId: string): Promise<unknown> =>
    grantee.kms.encrypt({ KeyId, Plaintext: bytes("x"), GrantTokens: [token] });
  test("changed, cut or made up is invalid, in answers that do not differ", async () => {
    const KeyId = await newKey();
    const { GrantToken } = await kms().createGrant({ KeyId, GranteePrincipal: grantee.arn, Operations: ["Encrypt"] });
    const token = given(GrantToken);
    await use(token, KeyId);
    const raw = Buffer.from(token, "base64");
    const changed = [
      ...Array.from({ length: raw.length }, (_, at) => flipped(raw, at).toString("base64")),
      token.slice(0, -4),
      token.slice(4),
      `${token}AAAA`,
      "x",
      randomBytes(raw.length).toString("base64"),
    ].filter((changedToken) => changedToken !== token);
    const answers = new Set<string>();
    for (const forged of changed) answers.add(JSON.stringify(await refusalOf(use(forged, KeyId))));
    expect([...answers]).toHaveLength(1);
    expect(JSON.parse([...answers][0] ?? "{}")).toMatchObject({ code: "InvalidGrantTokenException", status: 400 });
  });
  test("of another key gives nothing", async () => {
    const [mine, other] = [await newKey(), await newKey()];
    const { GrantToken } = await kms().createGrant({
      KeyId: mine,
      GranteePrincipal: grantee.arn,
      Operations: ["Encrypt"],
    });
    const refused = await refusalOf(use(given(GrantToken), other));
    expect(["AccessDeniedException", "InvalidGrantTokenException"]).toContain(refused.code);
  });
  test("in another's hand gives nothing", async () => {
    const KeyId = await newKey();
    const thief = await suite.user("thief", []);
    const { GrantToken } = await kms().createGrant({
      KeyId,
      GranteePrincipal: grantee.arn,
      Operations: ["Encrypt"],
    });
    const refused = await refusalOf(
      thief.kms.encrypt({ KeyId, Plaintext: bytes("x"), GrantTokens: [given(GrantToken)] }),
    );
    expect(["AccessDeniedException", "InvalidGrantTokenException"]).toContain(refused.code);
  });
});

test("an import token changed in any byte is invalid, and wrapped material changed in any is one error", async () => {
  const KeyId = await newKey({ Origin: "EXTERNAL" });
  const { ImportToken, PublicKey } = await kms().getParametersForImport({
    KeyId,
    WrappingAlgorithm: "RSA_AES_KEY_WRAP_SHA_256",
    WrappingKeySpec: "RSA_2048",
  });
  const token = Buffer.from(given(ImportToken));
  const material = randomBytes(32);
  const wrapped = wrap("RSA_AES_KEY_WRAP_SHA_256", given(PublicKey), material);
  const use = async (importToken: Uint8Array, EncryptedKeyMaterial: Uint8Array): Promise<unknown> =>
    kms().importKeyMaterial({
      KeyId,
      ImportToken: importToken,
      EncryptedKeyMaterial,
      ExpirationModel: "KEY_MATERIAL_DOES_NOT_EXPIRE",
    });
  const step = Math.max(1, Math.floor(token.length / 100));
  const tokens = Array.from({ length: Math.floor(token.length / step) }, (_, index) => flipped(token, index * step));
  const invalid = await refusalOf(use(randomBytes(token.length), wrapped));
  expect(invalid.code).toBe("InvalidImportTokenException");
  await expectAllAlike(
    [...tokens, token.subarray(0, -1), Buffer.concat([token, Buffer.alloc(1)]), Buffer.alloc(1)].map(
      (one) => async () => use(one, wrapped),
    ),
    invalid,
  );
  const broken = [
    ...Array.from({ length: 24 }, (_, index) => flipped(wrapped, Math.floor((index * wrapped.length) / 24))),
    wrapped.subarray(0, -8),
    wrapped.subarray(0, 256),
    Buffer.concat([wrapped, Buffer.alloc(8)]),
    randomBytes(wrapped.length),
  ];
  const refused = await refusalOf(use(token, given(broken[0])));
  expect(refused.code).toBe("InvalidCiphertextException");
  await expectAllAlike(
    broken.map((one) => async () => use(token, one)),
    refused,
  );
  // And after all that the right ones still work.
  await use(token, wrapped);
  expect(await refusalOf(importMaterial(kms(), KeyId, randomBytes(32)))).toMatchObject({
    code: "IncorrectKeyMaterialException",
  });
});

test("a marker of another list, another key or nobody is invalid", async () => {
  const KeyId = await newKey();
  for (const Name of ["a", "b", "c"])
    await kms().createGrant({ KeyId, GranteePrincipal: grantee.arn, Operations: ["Encrypt"], Name });
  const grants = given((await kms().listGrants({ KeyId, Limit: 1 })).NextMarker);
  const keys = given((await kms().listKeys({ Limit: 1 })).NextMarker);
  const calls: readonly (() => Promise<unknown>)[] = [
    async () => kms().listKeys({ Marker: grants }),
    async () => kms().listGrants({ KeyId, Marker: keys }),
    async () => kms().listKeys({ Marker: "../../etc/passwd" }),
    async () => kms().listGrants({ KeyId, Marker: "\u00ff\u00ff" }),
    async () => kms().listAliases({ Marker: keys }),
  ];
  await expectAllAlike(calls, await refusalOf(kms().listKeys({ Marker: "nonsense" })));
});

test("no answer, right or wrong, says what runs here", async () => {
  const { credentials } = suite.others();
  const answerTo = async (operation: string, body: string): Promise<RawResponse> => {
    const { endpoint, region } = suite.server();
    const request = targeted(`TrentService.${operation}`, body);
    return send(endpoint, sign(request, { endpoint, credentials, region, service: "kms" }));
  };
  for (const [operation, body] of [
    ["Decrypt", JSON.stringify({ CiphertextBlob: "AAAA" })],
    ["Decrypt", "{"],
    ["Encrypt", JSON.stringify({ KeyId: first, Plaintext: 7 })],
    ["Nothing", "{}"],
    ["DescribeKey", JSON.stringify({ KeyId: first })],
  ] as const) {
    const answer = await answerTo(operation, body);
    const all = `${JSON.stringify(answer.headers)}${answer.body.toString("utf8")}`;
    expect(all).not.toMatch(/\/work\/|node_modules|\.js:|\.ts:|stack|openssl|ERR_/i);
    if (answer.status >= 400) expect(JSON.parse(answer.body.toString("utf8"))).toHaveProperty("__type");
  }
});
