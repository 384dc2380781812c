/** The errors of this service, under the names that AWS's stream service gives to the like. */
import { ServiceError } from "../../base/errors.ts";

export const invalidArgument = (message: string): ServiceError => new ServiceError("InvalidArgumentException", message);

export const noSuchStream = (arn: string): ServiceError =>
  new ServiceError("ResourceNotFoundException", `Stream ${arn} not found.`);

export const noSuchApplication = (name: string): ServiceError =>
  new ServiceError("ResourceNotFoundException", `Application ${name} is not registered with this stream.`);

export const tooManyApplications = (max: number): ServiceError =>
  new ServiceError("LimitExceededException", `A stream has at most ${max} applications.`);

export const tooManyLeases = (max: number): ServiceError =>
  new ServiceError("LimitExceededException", `An application has at most ${max} leases of one stream.`);

export const applicationInUse = (name: string): ServiceError =>
  new ServiceError("ResourceInUseException", `A consumer of application ${name} is running: stop it first.`);

/** Who gets this must stop working on the shard: another one may be at it. */
export const leaseLost = (shardId: string): ServiceError =>
  new ServiceError("LeaseLostException", `The lease of ${shardId} is not yours any more.`);
