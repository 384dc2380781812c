/** The errors of Service Quotas. Wordings are AWS's where they were seen. */
import { ServiceError } from "../../base/errors.ts";

const noSuchResource = (message: string): ServiceError => new ServiceError("NoSuchResourceException", message);

export const noSuchService = (): ServiceError =>
  noSuchResource("The request failed because the specified service does not exist.");

export const noSuchQuota = (service: string, code: string): ServiceError =>
  noSuchResource(`The request failed because the specified quota ${code} does not exist for service ${service}.`);

export const noSuchRequest = (): ServiceError =>
  noSuchResource("The request failed because the specified quota increase request does not exist.");

export const noSuchContext = (): ServiceError =>
  noSuchResource("The request failed because applied value for the specified context Id do not exist.");

const illegalArgument = (message: string): ServiceError => new ServiceError("IllegalArgumentException", message);

export const notAdjustable = (): ServiceError =>
  illegalArgument("The request failed because the specified quota is not adjustable.");

export const notGreater = (): ServiceError =>
  illegalArgument("You must provide a quota value greater than the current quota value.");

export const invalidToken = (): ServiceError =>
  new ServiceError("InvalidPaginationTokenException", "The pagination token is not valid for this request.");
