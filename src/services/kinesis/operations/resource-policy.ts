import type { Access, AuditDetails, Call, Operation, OperationContext } from "../../../gateway/contract.ts";
import type { Write } from "../../../store/metadata-store.ts";
import type { StreamTarget } from "../access.ts";
import { existingStream, streamResource, targetOfArn } from "../access.ts";
import { consumerOfArn, existingConsumer } from "../consumers.ts";
import { policyNotFound, streamNotActive } from "../errors.ts";
import type { StreamRecord } from "../model.ts";
import { servesData, statusOf } from "../model.ts";
import type { PolicyRecord } from "../records.ts";
import { resourcePolicies, streamKey, streams } from "../records.ts";
import type { ResourcePolicies } from "../resource-policies.ts";
import { namedResource } from "../resource-policies.ts";
import type {
  DeleteResourcePolicyInput,
  GetResourcePolicyInput,
  GetResourcePolicyOutput,
  Nothing,
  PutResourcePolicyInput,
} from "../shapes.generated.ts";

/** What AWS answers for a stream without a policy (recorded). */
const EMPTY_POLICY = "{}";

interface Target extends StreamTarget {
  /** Of the stream, or of the consumer of it that the policy is for. */
  readonly resourceArn: string;
  readonly part: string;
}

interface NamesResource {
  readonly ResourceARN: string;
}

const describe = ({ ResourceARN }: NamesResource, extra: object = {}): AuditDetails => ({
  requestParameters: { resourceARN: ResourceARN, ...extra },
});

/** Throws InvalidArgumentException for what is no stream or consumer of this Region. */
function accessToResource(action: string, call: Call, { ResourceARN: resourceArn }: NamesResource): Access<Target> {
  const named = namedResource(resourceArn);
  const isConsumer = named !== null && named.part !== "stream";
  const stream = targetOfArn(call, isConsumer ? resourceArn.slice(0, -named.part.length - 1) : resourceArn);
  const target = { ...stream, resourceArn, part: named?.part ?? "stream" };
  const check = { action: `kinesis:${action}`, resource: resourceArn, resourceAccountId: stream.accountId };
  return { checks: [check], target };
}

const policyKey = (stream: StreamRecord, { part }: Target): readonly string[] => [stream.streamId, part];

/** Throws ResourceNotFoundException where the stream, or the consumer that the policy is for, is not there. */
async function existing({ call, read }: OperationContext, target: Target): Promise<StreamRecord> {
  const stream = await existingStream(read, target, call.nowMs);
  if (target.part === "stream") return stream;
  await existingConsumer(read, stream, consumerOfArn(call, target.resourceArn), call.nowMs);
  return stream;
}

async function changeable(context: OperationContext, target: Target): Promise<StreamRecord> {
  const { call } = context;
  const stream = await existing(context, target);
  const status = statusOf(stream, call.nowMs);
  if (!servesData(status)) throw streamNotActive(target, status ?? "DELETING");
  return stream;
}

/** A consumer's policy is looked for without a mark on the stream. */
const marked = (stream: StreamRecord, target: Target, hasPolicy: boolean): readonly Write[] =>
  target.part === "stream" ? [streams.put(streamKey(target), { ...stream, hasPolicy })] : [];

export const putResourcePolicy = (policies: ResourcePolicies): Operation<PutResourcePolicyInput, Nothing, Target> => ({
  event: "management",
  readOnly: false,
  describe: (input) => describe(input, { policy: input.Policy }),
  access: async ({ call }, input) => accessToResource("PutResourcePolicy", call, input),
  handle: async (context, input, target) => {
    const stream = await changeable(context, target);
    const policy: PolicyRecord = await policies.accept(context.read, input.Policy, target.resourceArn);
    return {
      output: {},
      writes: [resourcePolicies.put(policyKey(stream, target), policy), ...marked(stream, target, true)],
      audit: streamResource(target),
    };
  },
});

export const getResourcePolicy = (
  policies: ResourcePolicies,
): Operation<GetResourcePolicyInput, GetResourcePolicyOutput, Target> => ({
  event: "management",
  readOnly: true,
  describe: (input) => describe(input),
  access: async ({ call }, input) => accessToResource("GetResourcePolicy", call, input),
  handle: async (context, _input, target) => {
    const { read } = context;
    const stream = await existing(context, target);
    const policy = await read.get(resourcePolicies, policyKey(stream, target));
    const Policy = policy === null ? EMPTY_POLICY : await policies.shown(read, policy);
    return { output: { Policy }, audit: streamResource(target) };
  },
});

export const deleteResourcePolicy: Operation<DeleteResourcePolicyInput, Nothing, Target> = {
  event: "management",
  readOnly: false,
  describe: (input) => describe(input),
  access: async ({ call }, input) => accessToResource("DeleteResourcePolicy", call, input),
  handle: async (context, _input, target) => {
    const stream = await changeable(context, target);
    const key = policyKey(stream, target);
    if ((await context.read.get(resourcePolicies, key)) === null) throw policyNotFound(target.resourceArn);
    return {
      output: {},
      writes: [resourcePolicies.remove(key), ...marked(stream, target, false)],
      audit: streamResource(target),
    };
  },
};
