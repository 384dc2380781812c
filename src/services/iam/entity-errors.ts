/** Errors about groups, instance profiles, OpenID Connect providers, account aliases and reports, in AWS's words. */
import { ServiceError } from "../../base/errors.ts";

const noSuchEntity = (message: string): ServiceError => new ServiceError("NoSuchEntity", message, { status: 404 });
const alreadyExists = (message: string): ServiceError =>
  new ServiceError("EntityAlreadyExists", message, { status: 409 });

export const notInGroup = (userName: string, groupName: string): ServiceError =>
  noSuchEntity(`User ${userName} not in group ${groupName}`);
export const groupExists = (groupName: string): ServiceError =>
  alreadyExists(`Group with name ${groupName} already exists.`);

export const noSuchInstanceProfile = (name: string): ServiceError =>
  noSuchEntity(`Instance Profile ${name} cannot be found.`);
export const notInInstanceProfile = (roleName: string, name: string): ServiceError =>
  noSuchEntity(`Role ${roleName} not in Instance Profile ${name}`);
export const instanceProfileExists = (name: string): ServiceError =>
  alreadyExists(`Instance Profile ${name} already exists.`);

export const noSuchOidcProvider = (arn: string): ServiceError =>
  noSuchEntity(`OpenIDConnect Provider not found for arn ${arn}`);
export const oidcProviderExists = (url: string): ServiceError =>
  alreadyExists(`Provider with url ${url} already exists.`);

export const noSuchAccountAlias = (alias: string): ServiceError =>
  noSuchEntity(`The account alias ${alias} cannot be found.`);
export const accountAliasExists = (alias: string): ServiceError =>
  alreadyExists(`The account alias ${alias} already exists.`);

export const noSuchLoginProfile = (userName: string): ServiceError =>
  noSuchEntity(`Login Profile for User ${userName} cannot be found.`);
export const noSuchPasswordPolicy = (accountId: string): ServiceError =>
  noSuchEntity(`The Password Policy with domain name ${accountId} cannot be found.`);

// AWS's text for both is the single word "Unknown"; the codes are what clients look at.
export const reportNotPresent = (): ServiceError => new ServiceError("ReportNotPresent", "Unknown", { status: 410 });
export const reportExpired = (): ServiceError => new ServiceError("ReportExpired", "Unknown", { status: 410 });
