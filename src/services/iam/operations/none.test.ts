import { expect, test } from "vitest";
import { ACCOUNT, iamRoom, userPrincipal } from "../testing/iam-room.ts";

const OF_USER = [
  ["ListMFADevices", "MFADevices"],
  ["ListSSHPublicKeys", "SSHPublicKeys"],
  ["ListSigningCertificates", "Certificates"],
  ["ListServiceSpecificCredentials", "ServiceSpecificCredentials"],
] as const;

test.each(OF_USER)("%s: none, of a user, of the caller and of root; nobody is not told of", async (name, member) => {
  const room = await iamRoom();
  await room.run("CreateUser", { UserName: "ann" });
  const none = { [member]: [], IsTruncated: false };
  expect(await room.run(name, { UserName: "ann" })).toEqual(none);
  expect(await room.run(name, {}, userPrincipal("ann"))).toEqual(none);
  expect(await room.run(name, {})).toEqual(none);
  const gone = "NoSuchEntity 404: The user with name bob cannot be found.";
  expect(await room.failure(name, { UserName: "bob" })).toBe(gone);
  const [check] = await room.checks(name, { UserName: "bob" });
  expect(check).toMatchObject({ action: `iam:${name}`, resource: `arn:aws:iam::${ACCOUNT}:user/bob` });
  expect(await room.failure(name, { UserName: "ann", Marker: "x" })).toMatch(/^ValidationError/);
});

test("all users' service credentials are asked for on the account", async () => {
  const room = await iamRoom();
  const none = { ServiceSpecificCredentials: [], IsTruncated: false };
  expect(await room.run("ListServiceSpecificCredentials", { AllUsers: true })).toEqual(none);
  expect(await room.checks("ListServiceSpecificCredentials", { AllUsers: true })).toMatchObject([{ resource: "*" }]);
});

test("an account has no virtual devices, no certificates and no SAML providers", async () => {
  const room = await iamRoom();
  expect(await room.run("ListVirtualMFADevices", {})).toEqual({ VirtualMFADevices: [], IsTruncated: false });
  const certificates = { ServerCertificateMetadataList: [], IsTruncated: false };
  expect(await room.run("ListServerCertificates", {})).toEqual(certificates);
  expect(await room.run("ListSAMLProviders", {})).toEqual({ SAMLProviderList: [] });
});

test("there are no passwords and no policy for them, in AWS's words", async () => {
  const room = await iamRoom();
  await room.run("CreateUser", { UserName: "ann" });
  const login = "NoSuchEntity 404: Login Profile for User ann cannot be found.";
  expect(await room.failure("GetLoginProfile", { UserName: "ann" })).toBe(login);
  expect(await room.failure("GetLoginProfile", {}, userPrincipal("ann"))).toBe(login);
  expect(await room.failure("GetLoginProfile", { UserName: "bob" })).toMatch(/The user with name bob/);
  expect(await room.failure("GetAccountPasswordPolicy", {})).toBe(
    `NoSuchEntity 404: The Password Policy with domain name ${ACCOUNT} cannot be found.`,
  );
});
