/** What users and accounts here never have, so that whoever asks is told of none: passwords, MFA devices, certificates and the like. */
import { noSuchLoginProfile, noSuchPasswordPolicy } from "../entity-errors.ts";
import { decodeMarker, type PageRequest } from "../pagination.ts";
import { describe, existing, listAccess, ownerAccess } from "../row.ts";
import type { OwnerTarget, Row } from "../row.ts";
import type { Operations } from "../shapes.generated.ts";

type OfUser = "ListMFADevices" | "ListSSHPublicKeys" | "ListSigningCertificates" | "ListServiceSpecificCredentials";

/** A list of the user that the request names or, where it names none, of the caller. @throws NoSuchEntity */
const ofUser = <Name extends OfUser>(name: Name, output: Operations[Name]["output"]): Row<Name, OwnerTarget> => ({
  event: "management",
  readOnly: true,
  describe,
  access: ownerAccess(`iam:${name}`),
  async handle(_context, input: PageRequest, target) {
    if (target.type === "user") existing(target);
    decodeMarker(input);
    return { output };
  },
});

type OfAccount = "ListVirtualMFADevices" | "ListServerCertificates" | "ListSAMLProviders";

const ofAccount = <Name extends OfAccount>(name: Name, output: Operations[Name]["output"]): Row<Name, null> => ({
  event: "management",
  readOnly: true,
  describe,
  access: listAccess(`iam:${name}`),
  async handle(_context, input: PageRequest) {
    decodeMarker(input);
    return { output };
  },
});

export const listMfaDevices: Row<"ListMFADevices", OwnerTarget> = ofUser("ListMFADevices", {
  MFADevices: [],
  IsTruncated: false,
});
export const listSshPublicKeys: Row<"ListSSHPublicKeys", OwnerTarget> = ofUser("ListSSHPublicKeys", {
  SSHPublicKeys: [],
  IsTruncated: false,
});
export const listSigningCertificates: Row<"ListSigningCertificates", OwnerTarget> = ofUser("ListSigningCertificates", {
  Certificates: [],
  IsTruncated: false,
});
const serviceSpecificOfUser = ofUser("ListServiceSpecificCredentials", {
  ServiceSpecificCredentials: [],
  IsTruncated: false,
});
/** `AllUsers` asks for those of the whole account. */
export const listServiceSpecificCredentials: Row<"ListServiceSpecificCredentials", OwnerTarget> = {
  ...serviceSpecificOfUser,
  async access(context, input) {
    if (input.AllUsers !== true) return await serviceSpecificOfUser.access(context, input);
    const { checks } = await listAccess("iam:ListServiceSpecificCredentials")(context);
    return { checks, target: { type: "root" } };
  },
};

export const listVirtualMfaDevices: Row<"ListVirtualMFADevices", null> = ofAccount("ListVirtualMFADevices", {
  VirtualMFADevices: [],
  IsTruncated: false,
});
export const listServerCertificates: Row<"ListServerCertificates", null> = ofAccount("ListServerCertificates", {
  ServerCertificateMetadataList: [],
  IsTruncated: false,
});
export const listSamlProviders: Row<"ListSAMLProviders", null> = ofAccount("ListSAMLProviders", {
  SAMLProviderList: [],
});

export const getLoginProfile: Row<"GetLoginProfile", OwnerTarget> = {
  event: "management",
  readOnly: true,
  describe,
  access: ownerAccess("iam:GetLoginProfile"),
  async handle({ call }, _input, target) {
    throw noSuchLoginProfile(target.type === "user" ? existing(target).userName : call.principal.accountId);
  },
};

export const getAccountPasswordPolicy: Row<"GetAccountPasswordPolicy", null> = {
  event: "management",
  readOnly: true,
  describe,
  access: listAccess("iam:GetAccountPasswordPolicy"),
  async handle({ call }) {
    throw noSuchPasswordPolicy(call.principal.accountId);
  },
};
