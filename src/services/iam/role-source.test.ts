import { expect, test } from "vitest";
import type { Write } from "../../store/metadata-store.ts";
import { accounts, oidcProviders, roles } from "./records.ts";
import type { OidcProviderRecord, RoleRecord } from "./records.ts";
import { createRoleSource } from "./role-source.ts";
import { ACCOUNT, iamRoom, policyText, tinyCompile } from "./testing/iam-room.ts";

const arn = `arn:aws:iam::${ACCOUNT}:role/team/Reader`;

const role: RoleRecord = {
  accountId: ACCOUNT,
  roleName: "Reader",
  roleId: "AROAREADER",
  path: "/team/",
  arn,
  createdMs: 0,
  description: null,
  maxSessionSeconds: 7_200,
  trustDocument: policyText("Allow", "sts:AssumeRole"),
  trustPrincipalIds: { x: "AIDAX" },
  tags: [{ key: "env", value: "prod" }],
  inlinePolicies: [],
  attachedPolicyArns: [],
  boundaryArn: null,
  instanceProfileNames: [],
};

const provider: OidcProviderRecord = {
  accountId: ACCOUNT,
  arn: `arn:aws:iam::${ACCOUNT}:oidc-provider/idp.test/a`,
  url: "https://idp.test/a",
  clientIds: ["app"],
  thumbprints: [],
  createdMs: 0,
  tags: [],
};

async function sourceRoom(...writes: readonly Write[]) {
  const room = await iamRoom();
  await room.store.commit({ expect: [], writes });
  const compiled: unknown[] = [];
  const unusable: string[] = [];
  const source = createRoleSource({
    compileTrustPolicy(document, id, ids) {
      compiled.push(ids);
      return tinyCompile(document, id);
    },
    onUnusableTrustPolicy: (roleArn) => unusable.push(roleArn),
  });
  return { ...room, source, compiled, unusable };
}

test("a role is found by its whole ARN, with its trust policy compiled once and bound to unique ids", async () => {
  const { source, reader, compiled } = await sourceRoom(roles.put([ACCOUNT, "reader"], role));
  const found = await source.find(reader, arn);
  expect(found).toMatchObject({
    arn,
    tags: { env: "prod" },
    roleName: "Reader",
    roleId: "AROAREADER",
    maxSessionSeconds: 7_200,
  });
  expect(await source.find(reader, arn)).toBe(found);
  expect(compiled).toEqual([{ x: "AIDAX" }]);
  for (const other of [
    arn.replace("team/", ""),
    arn.replace("Reader", "reader"),
    arn.replace(ACCOUNT, "999999999999"),
    arn.replace(ACCOUNT, "1\n2"),
    arn.replace(":role/", ":user/"),
    `${arn}/`,
    "arn:aws:iam::1:role/x",
    "",
  ]) {
    expect(await source.find(reader, other), other).toBeNull();
  }
});

test("a role of a closed account is as good as absent", async () => {
  const { source, reader, store } = await sourceRoom(roles.put([ACCOUNT, "reader"], role));
  expect(await source.find(reader, arn)).not.toBeNull();
  const account = await reader.get(accounts, [ACCOUNT]);
  if (account === null) throw new Error("no account");
  await store.commit({ expect: [], writes: [accounts.put([ACCOUNT], { ...account, status: "SUSPENDED" })] });
  expect(await source.find(reader, arn)).toBeNull();
});

test("a role whose trust policy cannot be read is there, and trusts nobody", async () => {
  const { source, reader, unusable } = await sourceRoom(
    roles.put([ACCOUNT, "reader"], { ...role, trustDocument: "{" }),
  );
  expect((await source.find(reader, arn))?.trustPolicy.statements).toEqual([]);
  expect(unusable).toEqual([arn]);
});

test("a provider is found by the very issuer of the account", async () => {
  const { source, reader } = await sourceRoom(oidcProviders.put([ACCOUNT, provider.arn], provider));
  expect(await source.findProvider(reader, ACCOUNT, provider.url)).toMatchObject({ arn: provider.arn });
  for (const issuer of [
    "http://idp.test/a",
    "https://idp.test/a/",
    "idp.test/a",
    "https://idp.test/A",
    "https://\u0001",
  ]) {
    expect(await source.findProvider(reader, ACCOUNT, issuer), issuer).toBeNull();
  }
  expect(await source.findProvider(reader, "999999999999", provider.url)).toBeNull();
});

test("a managed policy is the account's own or one of AWS's", async () => {
  const { source, reader } = await sourceRoom();
  expect(await source.hasPolicy(reader, ACCOUNT, "arn:aws:iam::aws:policy/AdministratorAccess")).toBe(true);
  expect(await source.hasPolicy(reader, ACCOUNT, `arn:aws:iam::${ACCOUNT}:policy/missing`)).toBe(false);
  expect(await source.hasPolicy(reader, ACCOUNT, "arn:aws:iam::1:user/x")).toBe(false);
});
