import type { CreateGrantCommandInput } from "@aws-sdk/client-kms";
import { beforeAll, expect } from "vitest";
import { bytes, type Caller, expectRefusal, given, kmsSuite } from "./suite.ts";

/** Grants: whom they let do what, until when, and who may end them. */
const suite = kmsSuite();
const { kms, works, refuses } = suite;

let keyId = "";
let keyArn = "";
let grantee: Caller;
let retirer: Caller;
let bystander: Caller;
beforeAll(async () => {
  const { KeyMetadata } = await kms().createKey({});
  keyId = given(KeyMetadata?.KeyId);
  keyArn = given(KeyMetadata?.Arn);
  grantee = await suite.user("grantee", []);
  retirer = await suite.user("retirer", []);
  bystander = await suite.user("bystander", []);
});

interface Grant {
  readonly GrantId: string;
  readonly GrantToken: string;
}
const grant = async (input: Partial<CreateGrantCommandInput>): Promise<Grant> => {
  const made = await kms().createGrant({
    KeyId: keyId,
    GranteePrincipal: grantee.arn,
    Operations: ["Encrypt", "Decrypt"],
    ...input,
  });
  return { GrantId: given(made.GrantId), GrantToken: given(made.GrantToken) };
};
const newKey = async (): Promise<string> => given((await kms().createKey({})).KeyMetadata?.KeyId);
const encrypt = async (
  who: Caller,
  KeyId: string,
  EncryptionContext?: Record<string, string>,
  GrantTokens?: string[],
): Promise<Uint8Array> =>
  given((await who.kms.encrypt({ KeyId, Plaintext: bytes("x"), EncryptionContext, GrantTokens })).CiphertextBlob);
const denied = async (call: Promise<unknown>): Promise<void> => expectRefusal(call, "AccessDeniedException");

works("CreateGrant", "the grantee may do what it lists, with or without the token, and nothing else", async () => {
  const KeyId = await newKey();
  await denied(encrypt(grantee, KeyId));
  const { GrantToken } = await grant({ KeyId, Operations: ["Encrypt"] });
  const CiphertextBlob = await encrypt(grantee, KeyId, undefined, [GrantToken]);
  await encrypt(grantee, KeyId);
  await denied(grantee.kms.decrypt({ KeyId, CiphertextBlob }));
  await denied(encrypt(bystander, KeyId));
});
works("CreateGrant", "with a context to equal: that one and no other", async () => {
  const KeyId = await newKey();
  await grant({ KeyId, Constraints: { EncryptionContextEquals: { a: "1", b: "2" } } });
  const CiphertextBlob = await encrypt(grantee, KeyId, { b: "2", a: "1" });
  await grantee.kms.decrypt({ CiphertextBlob, EncryptionContext: { a: "1", b: "2" } });
  for (const context of [undefined, { a: "1" }, { a: "1", b: "2", c: "3" }, { a: "1", b: "3" }])
    await denied(encrypt(grantee, KeyId, context));
});
works("CreateGrant", "with a context to contain: more is allowed, less is not", async () => {
  const KeyId = await newKey();
  await grant({ KeyId, Constraints: { EncryptionContextSubset: { a: "1" } } });
  await encrypt(grantee, KeyId, { a: "1" });
  await encrypt(grantee, KeyId, { a: "1", z: "9" });
  for (const context of [undefined, { z: "9" }, { a: "2" }]) await denied(encrypt(grantee, KeyId, context));
});
works("CreateGrant", "a grantee who may create grants gives away no more than it has", async () => {
  const KeyId = await newKey();
  await grant({
    KeyId,
    Operations: ["Encrypt", "CreateGrant"],
    Constraints: { EncryptionContextSubset: { a: "1" } },
  });
  const child = { KeyId, GranteePrincipal: bystander.arn };
  await grantee.kms.createGrant({
    ...child,
    Operations: ["Encrypt"],
    Constraints: { EncryptionContextSubset: { a: "1", b: "2" } },
  });
  await encrypt(bystander, KeyId, { a: "1", b: "2" });
  await denied(encrypt(bystander, KeyId, { a: "1" }));
  for (const wider of [
    { Operations: ["Encrypt"] },
    { Operations: ["Encrypt"], Constraints: { EncryptionContextSubset: { b: "2" } } },
    { Operations: ["Encrypt", "Decrypt"], Constraints: { EncryptionContextSubset: { a: "1" } } },
  ] as const)
    await denied(
      grantee.kms.createGrant({
        ...child,
        ...wider,
        Operations: [...wider.Operations],
      }),
    );
});
works("CreateGrant", "to a service principal, for a source ARN", async () => {
  const SourceArn = "arn:aws:s3:::a-bucket-of-theirs";
  const made = await kms().createGrant({
    KeyId: keyId,
    GranteeServicePrincipal: "s3.amazonaws.com",
    RetiringServicePrincipal: "s3.amazonaws.com",
    Operations: ["Decrypt"],
    Constraints: { SourceArn },
  });
  const { Grants } = await kms().listGrants({ KeyId: keyId, GrantId: made.GrantId });
  expect(Grants).toMatchObject([{ GranteeServicePrincipal: "s3.amazonaws.com", Constraints: { SourceArn } }]);
});
works("CreateGrant", "twice under one name is one grant with two tokens", async () => {
  const KeyId = await newKey();
  const one = await grant({ KeyId, Name: "once" });
  const two = await grant({ KeyId, Name: "once" });
  expect(two.GrantId).toBe(one.GrantId);
  expect(two.GrantToken).not.toBe(one.GrantToken);
  expect((await kms().listGrants({ KeyId })).Grants).toHaveLength(1);
});
for (const [how, input] of Object.entries({
  "no operation": { Operations: [] },
  "an operation that no symmetric key has": { Operations: ["Sign"] },
  "a context to equal and one to contain": {
    Constraints: { EncryptionContextEquals: { a: "1" }, EncryptionContextSubset: { a: "1" } },
  },
  "a service principal without source ARN": {
    GranteePrincipal: undefined,
    GranteeServicePrincipal: "s3.amazonaws.com",
  },
  "no grantee": { GranteePrincipal: undefined },
  "a name with a space": { Name: "not this" },
} as Record<string, Partial<CreateGrantCommandInput>>))
  refuses("CreateGrant", "ValidationException", how, async () => grant(input));
refuses("CreateGrant", "InvalidArnException", "a grantee who is no principal", async () =>
  grant({ GranteePrincipal: "arn:aws:s3:::a-bucket-of-theirs" }),
);
refuses("CreateGrant", "InvalidArnException", "a grantee who is not there", async () =>
  grant({ GranteePrincipal: `${grantee.arn}-nobody` }),
);
refuses("CreateGrant", "InvalidArnException", "a retiring principal who is not there", async () =>
  grant({ RetiringPrincipal: retirer.arn.replace(":user/", ":role/") }),
);

works("ListGrants", "what was granted, never a token", async () => {
  const KeyId = await newKey();
  const Constraints = { EncryptionContextEquals: { a: "1" } };
  const { GrantId, GrantToken } = await grant({ KeyId, Name: "listed", RetiringPrincipal: retirer.arn, Constraints });
  const answer = await kms().listGrants({ KeyId });
  expect(answer.Truncated).toBe(false);
  expect(answer.Grants).toEqual([
    {
      KeyId: keyArn.replace(keyId, KeyId),
      GrantId,
      Name: "listed",
      CreationDate: expect.any(Date) as Date,
      GranteePrincipal: grantee.arn,
      RetiringPrincipal: retirer.arn,
      IssuingAccount: `arn:aws:iam::${suite.server().accountId}:root`,
      Operations: expect.arrayContaining(["Encrypt", "Decrypt"]) as string[],
      Constraints,
    },
  ]);
  expect(JSON.stringify(answer)).not.toContain(GrantToken);
});
works("ListGrants", "page by page, by grantee and by id", async () => {
  const KeyId = await newKey();
  const ids: string[] = [];
  for (let index = 0; index < 5; index += 1) ids.push((await grant({ KeyId, Name: `grant-${index}` })).GrantId);
  const other = await grant({ KeyId, GranteePrincipal: bystander.arn });
  const listed: string[] = [];
  let Marker: string | undefined;
  do {
    const page = await kms().listGrants({ KeyId, Limit: 2, Marker });
    listed.push(...(page.Grants ?? []).map(({ GrantId }) => given(GrantId)));
    Marker = page.Truncated === true ? page.NextMarker : undefined;
  } while (Marker !== undefined);
  expect(listed.toSorted()).toEqual([...ids, other.GrantId].toSorted());
  const theirs = await kms().listGrants({ KeyId, GranteePrincipal: bystander.arn });
  expect(theirs.Grants?.map(({ GrantId }) => GrantId)).toEqual([other.GrantId]);
  const one = await kms().listGrants({ KeyId, GrantId: given(ids[2]) });
  expect(one.Grants?.map(({ GrantId }) => GrantId)).toEqual([ids[2]]);
});
refuses("ListGrants", "InvalidGrantIdException", "an id of no form that grants have", async () =>
  kms().listGrants({ KeyId: keyId, GrantId: "not an id!" }),
);

works("ListRetirableGrants", "those that a principal may retire, of all keys", async () => {
  const ids = [
    (await grant({ KeyId: await newKey(), RetiringPrincipal: bystander.arn })).GrantId,
    (await grant({ KeyId: await newKey(), RetiringPrincipal: bystander.arn })).GrantId,
  ];
  const first = await kms().listRetirableGrants({ RetiringPrincipal: bystander.arn, Limit: 1 });
  expect(first.Truncated).toBe(true);
  const rest = await kms().listRetirableGrants({ RetiringPrincipal: bystander.arn, Marker: first.NextMarker });
  const found = [...(first.Grants ?? []), ...(rest.Grants ?? [])].map(({ GrantId }) => GrantId);
  expect(new Set(found)).toEqual(new Set(ids));
});
refuses("ListRetirableGrants", "InvalidArnException", "what is no principal's ARN", async () =>
  kms().listRetirableGrants({ RetiringPrincipal: "arn:aws:s3:::a-bucket-of-theirs" }),
);

works("RetireGrant", "by its retiring principal, with the token", async () => {
  const KeyId = await newKey();
  const { GrantToken } = await grant({ KeyId, RetiringPrincipal: retirer.arn });
  await denied(bystander.kms.retireGrant({ GrantToken }));
  await retirer.kms.retireGrant({ GrantToken });
  await denied(encrypt(grantee, KeyId));
});
works("RetireGrant", "by key and id, and by a grantee whose grant says so", async () => {
  const KeyId = await newKey();
  const { GrantId } = await grant({ KeyId, Operations: ["Encrypt", "RetireGrant"] });
  const KeyArn = keyArn.replace(keyId, KeyId);
  await grantee.kms.retireGrant({ KeyId: KeyArn, GrantId });
  expect((await kms().listGrants({ KeyId })).Grants).toEqual([]);
});
refuses("RetireGrant", "InvalidGrantTokenException", "a token that nobody issued", async () =>
  kms().retireGrant({ GrantToken: "AQpAbogus" }),
);
refuses("RetireGrant", "NotFoundException", "an id that is not there", async () =>
  kms().retireGrant({ KeyId: keyArn, GrantId: "0".repeat(64) }),
);
refuses("RetireGrant", "InvalidArnException", "an ARN that is none of KMS", async () =>
  kms().retireGrant({ KeyId: keyArn.replace(":kms:", ":s3:"), GrantId: "0".repeat(64) }),
);
refuses("RetireGrant", "InvalidGrantIdException", "an id of no form that grants have", async () =>
  kms().retireGrant({ KeyId: keyArn, GrantId: "not an id!" }),
);
refuses("RetireGrant", "ValidationException", "neither token nor id", async () => kms().retireGrant({}));
refuses("RetireGrant", "AccessDeniedException", "a caller who is not named in it", async () =>
  bystander.kms.retireGrant({ KeyId: keyArn, GrantId: (await grant({ RetiringPrincipal: retirer.arn })).GrantId }),
);
refuses("RetireGrant", "DryRunOperationException", "what would have succeeded, and did not", async () => {
  const { GrantId } = await grant({});
  const call = kms().retireGrant({ KeyId: keyArn, GrantId, DryRun: true });
  await call.catch(() => undefined);
  expect((await kms().listGrants({ KeyId: keyId, GrantId })).Grants).toHaveLength(1);
  return call;
});

works("RevokeGrant", "ends it at once, for holders of the token too", async () => {
  const KeyId = await newKey();
  const { GrantId, GrantToken } = await grant({ KeyId });
  await encrypt(grantee, KeyId);
  await kms().revokeGrant({ KeyId, GrantId });
  await denied(encrypt(grantee, KeyId));
  await expect(encrypt(grantee, KeyId, undefined, [GrantToken])).rejects.toThrow(
    /not authorized|UnknownError|[Gg]rant/,
  );
});
refuses("RevokeGrant", "NotFoundException", "an id that is not there", async () =>
  kms().revokeGrant({ KeyId: keyId, GrantId: "0".repeat(64) }),
);
refuses("RevokeGrant", "InvalidGrantIdException", "an id of no form that grants have", async () =>
  kms().revokeGrant({ KeyId: keyId, GrantId: "not an id!" }),
);
refuses("RevokeGrant", "DryRunOperationException", "what would have succeeded", async () =>
  kms().revokeGrant({ KeyId: keyId, GrantId: (await grant({})).GrantId, DryRun: true }),
);
refuses("ListGrants", "ValidationException", "a limit of 101", async () =>
  kms().listGrants({ KeyId: keyId, Limit: 1001 }),
);
