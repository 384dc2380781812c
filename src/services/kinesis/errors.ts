/** The errors of this service, in AWS's words where they are known. None repeats a payload or a partition key. */
import { ServiceError } from "../../base/errors.ts";

/** How a message names a stream. */
export interface StreamName {
  readonly name: string;
  readonly accountId: string;
}

const stream = ({ name, accountId }: StreamName): string => `Stream ${name} under account ${accountId}`;

export const invalidArgument = (message: string): ServiceError => new ServiceError("InvalidArgumentException", message);

export const limitExceeded = (message: string): ServiceError => new ServiceError("LimitExceededException", message);

export const streamNotFound = (of: StreamName): ServiceError =>
  new ServiceError("ResourceNotFoundException", `${stream(of)} not found.`);

export const streamIdNotFound = (streamId: string, accountId: string): ServiceError =>
  new ServiceError("ResourceNotFoundException", `Stream with id ${streamId} under account ${accountId} not found.`);

export const policyNotFound = (resourceArn: string): ServiceError =>
  new ServiceError("ResourceNotFoundException", `No resource policy found for resource ARN ${resourceArn}`);

export const validationFailed = (message: string): ServiceError => new ServiceError("ValidationException", message);

export const shardNotFound = (shardId: string, { name, accountId }: StreamName): ServiceError =>
  new ServiceError(
    "ResourceNotFoundException",
    `Shard ${shardId} in stream ${name} under account ${accountId} does not exist`,
  );

/** How operations that change shards say it. */
export const shardNotThere = (shardId: string, { name, accountId }: StreamName): ServiceError =>
  new ServiceError(
    "ResourceNotFoundException",
    `Could not find shard ${shardId} in stream ${name} under account ${accountId}.`,
  );

export const shardNotOpen = (shardId: string, { name, accountId }: StreamName): ServiceError =>
  invalidArgument(
    `Shard ${shardId} in stream ${name} under account ${accountId} has already been merged or split, and thus is not ` +
      "eligible for merging or splitting.",
  );

export const streamOnDemand = (of: StreamName): ServiceError =>
  new ServiceError("ValidationException", `Request is invalid. ${stream(of)} is in On-Demand mode.`);

export const streamExists = (of: StreamName): ServiceError =>
  new ServiceError("ResourceInUseException", `${stream(of)} already exists.`);

export const streamNotActive = (of: StreamName, status: string): ServiceError =>
  new ServiceError("ResourceInUseException", `${stream(of)} not ACTIVE, instead in state ${status}`);

export const throughputExceededMessage = (shardId: string, { name, accountId }: StreamName): string =>
  `Rate exceeded for shard ${shardId} in stream ${name} under account ${accountId}.`;

export const throughputExceeded = (shardId: string, of: StreamName): ServiceError =>
  new ServiceError("ProvisionedThroughputExceededException", throughputExceededMessage(shardId, of));

export const invalidIterator = (): ServiceError => invalidArgument("Invalid ShardIterator.");

/** `Thu Jan 22 01:22:02 UTC 2015`, as AWS's messages write times. */
function amazonTime(timeMs: number): string {
  const [day, date, month, year, time] = new Date(timeMs).toUTCString().replace(",", "").split(" ");
  return `${day} ${month} ${date} ${time} UTC ${year}`;
}

export const expiredIterator = (createdMs: number, nowMs: number, lifetimeMs: number): ServiceError =>
  new ServiceError(
    "ExpiredIteratorException",
    `Iterator expired. The iterator was created at time ${amazonTime(createdMs)} while right now it is ` +
      `${amazonTime(nowMs)} which is further in the future than the tolerated delay of ${lifetimeMs} milliseconds.`,
  );

export const expiredNextToken = (): ServiceError =>
  new ServiceError(
    "ExpiredNextTokenException",
    "The pagination token has expired. Start the listing again without a token.",
  );

export const invalidNextToken = (): ServiceError => invalidArgument("NextToken is invalid.");

export const dryRun = (): ServiceError =>
  new ServiceError("DryRunOperationException", "The request would have succeeded, but the DryRun parameter is set.");

export const writeFailed = (): ServiceError =>
  new ServiceError("InternalFailureException", "Internal service failure.", { status: 500 });

/**
 * Records that are stored but are not what was put. Names them, so that a reader can go on behind the last one: `first` and
 * `last` differ when a whole block is damaged.
 */
export function recordsDamaged(
  first: string,
  last: string,
  shardId: string,
  { name, accountId }: StreamName,
): ServiceError {
  const which =
    first === last
      ? `The record with sequence number ${last}`
      : `The records with sequence numbers ${first} to ${last}`;
  return new ServiceError(
    "InternalFailureException",
    `${which} in shard ${shardId} of stream ${name} under account ${accountId} failed the integrity check and cannot be ` +
      `returned. To read on, use AFTER_SEQUENCE_NUMBER with ${last}.`,
    { status: 500 },
  );
}

/** KMS's refusals as this service's callers know them. What is not here is no client's business. */
const KMS_ERRORS: Readonly<Record<string, string>> = {
  AccessDeniedException: "KMSAccessDeniedException",
  DisabledException: "KMSDisabledException",
  InvalidArnException: "KMSNotFoundException",
  InvalidKeyUsageException: "KMSInvalidStateException",
  KMSInvalidStateException: "KMSInvalidStateException",
  KeyUnavailableException: "KMSInvalidStateException",
  NotFoundException: "KMSNotFoundException",
  ThrottlingException: "KMSThrottlingException",
};

/** Runs what calls KMS and gives its errors this service's names, messages kept. */
export async function withKmsErrors<T>(run: () => Promise<T>): Promise<T> {
  try {
    return await run();
  } catch (error) {
    if (!(error instanceof ServiceError)) throw error;
    const code = KMS_ERRORS[error.code];
    if (code !== undefined) throw new ServiceError(code, error.message, { cause: error });
    if (error.code === "ValidationException") throw invalidArgument(error.message);
    throw new ServiceError("InternalFailureException", "The key service could not answer.", {
      status: 500,
      cause: error,
    });
  }
}

export const notConsumerArn = (arn: string): ServiceError => invalidArgument(`${arn} is not the ARN of a consumer.`);

/** How a message names a consumer. */
export interface ConsumerName extends StreamName {
  readonly consumerName: string;
}

export const consumerNotFound = ({ consumerName, accountId }: ConsumerName): ServiceError =>
  new ServiceError("ResourceNotFoundException", `Consumer ${consumerName}, account ${accountId} not found.`);

export const consumerExists = ({ consumerName, name, accountId }: ConsumerName): ServiceError =>
  new ServiceError(
    "ResourceInUseException",
    `Consumer ${consumerName} under stream ${name} already exists for account ${accountId}.`,
  );

export const consumerNotActive = ({ consumerName, name, accountId }: ConsumerName, status: string): ServiceError =>
  new ServiceError(
    "ResourceInUseException",
    `Consumer ${consumerName} of stream ${name} under account ${accountId} not ACTIVE, instead in state ${status}`,
  );

/** A second subscription that came too soon behind the first. */
export const subscriptionInUse = ({ consumerName, name, accountId }: ConsumerName, shardId: string): ServiceError =>
  new ServiceError(
    "ResourceInUseException",
    `Another active subscription exists for this consumer: ${accountId}:${name}:${shardId}:${consumerName}`,
  );

export const streamHasConsumers = (of: StreamName): ServiceError =>
  new ServiceError(
    "ResourceInUseException",
    `${stream(of)} has registered consumers. Deregister them, or set EnforceConsumerDeletion.`,
  );
