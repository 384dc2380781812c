import { ServiceError } from "../../../base/errors.ts";
import type { Call, Operation } from "../../../gateway/contract.ts";
import type { StreamTarget } from "../access.ts";
import { accessTo, activeStream, describeRequest, streamResource, targetOfInput } from "../access.ts";
import type { Environment } from "../environment.ts";
import { invalidArgument, limitExceeded, withKmsErrors } from "../errors.ts";
import type { StreamRecord } from "../model.ts";
import { ENCRYPTION_CHANGES_PER_DAY_MAX, withEncryption, withinDay, withoutEncryption } from "../model.ts";
import { streamKey, streams } from "../records.ts";
import type {
  EncryptionType,
  Nothing,
  StartStreamEncryptionInput,
  StopStreamEncryptionInput,
} from "../shapes.generated.ts";

/** The part of KMS's KeyMetadata that matters here. */
interface KeyMetadata {
  readonly Arn: string;
  readonly KeyState: string;
  readonly KeySpec: string;
  readonly KeyUsage: string;
}

function keyMetadataOf(answer: unknown): KeyMetadata {
  const metadata = (answer as { readonly KeyMetadata?: Partial<KeyMetadata> }).KeyMetadata;
  const { Arn, KeyState, KeySpec, KeyUsage } = metadata ?? {};
  if (Arn === undefined || KeyState === undefined || KeySpec === undefined || KeyUsage === undefined) {
    throw new Error("DescribeKey answered without metadata");
  }
  return { Arn, KeyState, KeySpec, KeyUsage };
}

/**
 * Asks KMS about the key as the caller, which also makes the AWS managed key on its first use. Throws KMS's refusals under
 * this service's names.
 */
async function usableKey(env: Environment, call: Call, target: StreamTarget, keyId: string): Promise<KeyMetadata> {
  const key = keyMetadataOf(await withKmsErrors(() => env.dispatch.run(call, "kms", "DescribeKey", { KeyId: keyId })));
  env.kmsUse?.note({ operation: "DescribeKey", streamArn: target.arn, keyArn: key.Arn });
  if (key.KeySpec !== "SYMMETRIC_DEFAULT" || key.KeyUsage !== "ENCRYPT_DECRYPT") {
    throw invalidArgument(`${key.Arn} can not encrypt a stream: only symmetric encryption keys can.`);
  }
  if (key.KeyState === "Disabled") throw new ServiceError("KMSDisabledException", `${key.Arn} is disabled.`);
  if (key.KeyState !== "Enabled") {
    const state = key.KeyState.replaceAll(/(?<=[a-z])(?=[A-Z])/g, " ").toLowerCase();
    throw new ServiceError("KMSInvalidStateException", `${key.Arn} is ${state}.`);
  }
  return key;
}

/** No record that is put now is dated earlier than this: behind the newest one in any shard, and behind its shard's beginning. */
async function newestArrivalMs(env: Environment, stream: StreamRecord): Promise<number> {
  const { shards } = await env.shardMaps.of(stream);
  let newestMs = 0;
  for (const { ref, record } of shards) {
    const lastMs = (await env.records.last(ref))?.lastArrivalMs ?? 0;
    newestMs = Math.max(newestMs, lastMs, record.openedAtMs ?? 0);
  }
  return newestMs;
}

function checkType(type: EncryptionType): void {
  if (type !== "KMS") throw invalidArgument("EncryptionType must be KMS.");
}

/** Throws LimitExceededException; otherwise the instants to keep, this one included. */
function counted(instantsMs: readonly number[], nowMs: number, what: string): readonly number[] {
  const recent = withinDay(instantsMs, nowMs);
  if (recent.length < ENCRYPTION_CHANGES_PER_DAY_MAX) return [...recent, nowMs];
  throw limitExceeded(
    `You have ${what} this stream ${recent.length} times in the last 24 hours. The limit is ${ENCRYPTION_CHANGES_PER_DAY_MAX}.`,
  );
}

export function startStreamEncryption(env: Environment): Operation<StartStreamEncryptionInput, Nothing, StreamTarget> {
  return {
    event: "management",
    readOnly: false,
    describe: (input) => describeRequest(input, { encryptionType: input.EncryptionType, keyId: input.KeyId }),
    access: async ({ call }, input) => accessTo("StartStreamEncryption", targetOfInput(call, input)),
    handle: async ({ call, read }, input, target) => {
      const stream = await activeStream(read, target, call.nowMs);
      checkType(input.EncryptionType);
      const encryptionStartsMs = counted(stream.encryptionStartsMs, call.nowMs, "started encryption of");
      const key = await usableKey(env, call, target, input.KeyId);
      const encryption = { keyId: input.KeyId, keyArn: key.Arn };
      const changed: StreamRecord = {
        ...withEncryption(stream, encryption, Math.floor(call.nowMs), await newestArrivalMs(env, stream)),
        encryptionStartsMs,
      };
      return { output: {}, writes: [streams.put(streamKey(target), changed)], audit: streamResource(target) };
    },
  };
}

export const stopStreamEncryption: Operation<StopStreamEncryptionInput, Nothing, StreamTarget> = {
  event: "management",
  readOnly: false,
  describe: (input) => describeRequest(input, { encryptionType: input.EncryptionType, keyId: input.KeyId }),
  access: async ({ call }, input) => accessTo("StopStreamEncryption", targetOfInput(call, input)),
  handle: async ({ call, read }, input, target) => {
    const stream = await activeStream(read, target, call.nowMs);
    checkType(input.EncryptionType);
    const changed: StreamRecord = {
      ...withoutEncryption(stream, Math.floor(call.nowMs)),
      encryptionStopsMs: counted(stream.encryptionStopsMs, call.nowMs, "stopped encryption of"),
    };
    return { output: {}, writes: [streams.put(streamKey(target), changed)], audit: streamResource(target) };
  },
};
