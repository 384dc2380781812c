import type { ContextValues } from "../../../authz/types.ts";
import type { AccessCheck, Call, Operation } from "../../../gateway/contract.ts";
import {
  accountAccess,
  auditedKeys,
  changedCheck,
  keyAccess,
  kindConditions,
  lowerCamel,
  policyAuthor,
  requestTagConditions,
} from "../access.ts";
import { keyAlreadyExists, keyNotFound, unsupported } from "../errors.ts";
import {
  changedKey,
  creationParameters,
  metadataElements,
  replicaElements,
  replicationParameters,
} from "../event-members.ts";
import { replicaMaterials } from "../material-family.ts";
import { type KeyOperationName, keyArnOf, keyMetadata, requireCustomerManaged, requireState } from "../model.ts";
import {
  partitionOf,
  REGION_TRANSITION_MS,
  relatedKeys,
  requirePrimary,
  withPrimary,
  withReplica,
} from "../multi-region.ts";
import type { KmsParts } from "../parts.ts";
import { defaultKeyPolicy } from "../policy.ts";
import { idOfKey, type KeyRecord, keyTable } from "../records.ts";
import { type NamedKey, recordOf, resolveKey } from "../resolve.ts";
import { rotationWrites } from "../rotation.ts";
import { serviceEvent } from "../service-events.ts";
import type { ReplicateKeyRequest, ReplicateKeyResponse, UpdatePrimaryRegionRequest } from "../shapes.generated.ts";
import { tagsOf } from "../tags.ts";

type Nothing = Readonly<Record<string, never>>;

/** A primary, and the replica that is to be made of it; null: the primary cannot be seen. */
interface Replication {
  readonly named: NamedKey;
  readonly draft: KeyRecord | null;
}

/** A primary, and the replica that is to take its place; null: there is none. */
interface Succession {
  readonly named: NamedKey;
  readonly successor: KeyRecord | null;
}

/**
 * Makes a replica of a multi-Region primary key in another Region. It needs permission on the primary in its Region, and
 * to create a key in the other one (developer guide, "Creating multi-Region replica keys").
 */
export const replicateKey = (kms: KmsParts): Operation<ReplicateKeyRequest, ReplicateKeyResponse, Replication> => ({
  event: "management",
  readOnly: false,
  describe: (input) => ({ requestParameters: replicationParameters(input) }),

  async access(context, input) {
    const named = await resolveKey(kms, context, input.KeyId);
    const draft = named.record === null ? null : draftReplica(named.record, input, context.call);
    const replicate = keyAccess(kms, context, named, "kms:ReplicateKey", {
      conditions: () => ({
        "kms:ReplicaRegion": input.ReplicaRegion,
        "kms:BypassPolicyLockoutSafetyCheck": String(input.BypassPolicyLockoutSafetyCheck ?? false),
        ...requestTagConditions(tagsOf(input.Tags)),
      }),
    });
    const create = draft === null ? [] : creationAccess(context.call, draft, input);
    return { checks: [replicate, ...create], target: { named, draft } };
  },

  async check({ call, read }, input, { named, draft }) {
    const primary = recordOf(named, "kms:ReplicateKey");
    requirePrimaryFor(primary, "ReplicateKey", call.nowMs);
    requireServed(kms, primary, input.ReplicaRegion);
    if (draft === null) return;
    // One that is past its deletion date is there until its record is removed: the primary still counts with it.
    if ((await read.get(keyTable, idOfKey(draft))) !== null) throw keyAlreadyExists(keyArnOf(draft));
  },

  async handle(context, input, { named, draft }) {
    const { call, read } = context;
    const primary = recordOf(named, "kms:ReplicateKey");
    if (draft === null) throw keyNotFound(named.arn);
    const accepted =
      input.Policy === undefined
        ? {}
        : await kms.policies.accept(input.Policy, keyArnOf(draft), policyAuthor(context, draft, input));
    const made = await replicaMaterials(kms.materials, read, primary, { ...draft, ...accepted });
    const multiRegion = withReplica(requirePrimary(primary), input.ReplicaRegion);
    const replica: KeyRecord = { ...made.replica, multiRegion };
    const metadata = keyMetadata(replica, call.nowMs);
    const responseElements = { replicaKeyMetadata: replicaElements(metadata), replicaPolicy: replica.policy };
    return {
      output: {
        ReplicaKeyMetadata: metadata,
        ReplicaPolicy: replica.policy,
        ReplicaTags: replica.tags.map(({ key, value }) => ({ TagKey: key, TagValue: value })),
      },
      writes: [
        ...made.writes,
        ...putAll([replica, made.primary, ...made.others], { multiRegion }),
        ...kms.auditLog.entry(
          serviceEvent(primary, { eventName: "SynchronizeMultiRegionKey" }, kms.random.uuid(), call.nowMs),
        ),
      ],
      audit: { ...auditedKeys(primary), responseElements },
      furtherEvents: [
        {
          region: replica.region,
          operation: "CreateKey",
          details: {
            ...auditedKeys(replica),
            requestParameters: replicaParameters(replica, input),
            responseElements: { keyMetadata: metadataElements(metadata) },
          },
        },
      ],
    };
  },
});

/**
 * Makes a replica the primary, and the primary a replica. Both have to be in use, and the caller needs permission on both,
 * each by its own policy.
 */
export const updatePrimaryRegion = (kms: KmsParts): Operation<UpdatePrimaryRegionRequest, Nothing, Succession> => ({
  event: "management",
  readOnly: false,
  describe: (input) => ({ requestParameters: lowerCamel(input) }),

  async access(context, input) {
    const named = await resolveKey(kms, context, input.KeyId);
    const related = named.record === null ? [] : await relatedKeys(context.read, named.record);
    const successor = related.find(({ region }) => region === input.PrimaryRegion) ?? null;
    const conditions = (): ContextValues => ({ "kms:PrimaryRegion": input.PrimaryRegion });
    const checks = [keyAccess(kms, context, named, "kms:UpdatePrimaryRegion", { conditions })];
    if (successor !== null) {
      const { region, accountId } = successor;
      const there = { ...context, call: { ...context.call, region } };
      const target = { arn: keyArnOf(successor), accountId, record: successor, alias: null, isNew: false };
      checks.push(changedCheck(keyAccess(kms, there, target, "kms:UpdatePrimaryRegion", { conditions }), { region }));
    }
    return { checks, target: { named, successor } };
  },

  check({ call }, input, { named, successor }) {
    const primary = recordOf(named, "kms:UpdatePrimaryRegion");
    requirePrimaryFor(primary, "UpdatePrimaryRegion", call.nowMs);
    if (input.PrimaryRegion === primary.region) {
      throw unsupported(`${keyArnOf(primary)} is the primary key already.`);
    }
    if (successor === null) throw keyNotFound(keyArnOf({ ...primary, region: input.PrimaryRegion }));
    requireState(successor, "UpdatePrimaryRegion", call.nowMs);
  },

  async handle({ call, read }, input, { named, successor }) {
    const primary = recordOf(named, "kms:UpdatePrimaryRegion");
    if (successor === null) throw keyNotFound(named.arn);
    const multiRegion = withPrimary(requirePrimary(primary), successor.region);
    const transition = { state: "Updating", untilMs: call.nowMs + REGION_TRANSITION_MS } as const;
    const others = (await relatedKeys(read, primary)).filter(({ region }) => region !== successor.region);
    return {
      output: {},
      writes: [
        ...putAll([primary, successor], { multiRegion, transition }),
        ...putAll(others, { multiRegion }),
        // The primary is the one of them that is rotated by the clock.
        ...rotationWrites(primary, { ...primary, multiRegion }),
        ...rotationWrites(successor, { ...successor, multiRegion }),
      ],
      audit: changedKey(primary),
      // AWS writes the call into both Regions.
      furtherEvents: [
        {
          region: successor.region,
          operation: "UpdatePrimaryRegion",
          details: { ...changedKey(successor), requestParameters: lowerCamel(input) },
        },
      ],
    };
  },
});

/** What a replica shares with its primary, and what is its own. */
function draftReplica(primary: KeyRecord, input: ReplicateKeyRequest, call: Call): KeyRecord {
  return {
    ...primary,
    region: input.ReplicaRegion,
    createdMs: call.nowMs,
    description: input.Description ?? "",
    policy: input.Policy ?? defaultKeyPolicy(primary.accountId),
    policyPrincipalIds: {},
    tags: tagsOf(input.Tags),
    aliases: [],
    enabled: true,
    deletionDateMs: null,
    // A public key is known once its private key is imported here, too.
    publicKey: primary.origin === "EXTERNAL" ? null : primary.publicKey,
    transition: { state: "Creating", untilMs: call.nowMs + REGION_TRANSITION_MS },
    replicaDeletionDays: null,
  };
}

/** The permissions that the replica needs where it is made. */
function creationAccess(call: Call, draft: KeyRecord, input: ReplicateKeyRequest): readonly AccessCheck[] {
  const { region } = draft;
  const there: Call = { ...call, region };
  const tags = requestTagConditions(draft.tags);
  const create = accountAccess(there, "kms:CreateKey", "*", {
    ...kindConditions(draft),
    "kms:BypassPolicyLockoutSafetyCheck": String(input.BypassPolicyLockoutSafetyCheck ?? false),
    ...tags,
  });
  const tag = accountAccess(there, "kms:TagResource", keyArnOf(draft), tags);
  return (draft.tags.length === 0 ? [create] : [create, tag]).map((check) => ({ ...check, region }));
}

/** The event in the replica's Region says what a CreateKey with the same outcome would have said. */
const replicaParameters = (replica: KeyRecord, input: ReplicateKeyRequest): Readonly<Record<string, unknown>> =>
  creationParameters({
    Description: replica.description,
    Policy: replica.policy,
    KeySpec: replica.keySpec,
    KeyUsage: replica.keyUsage,
    Origin: replica.origin,
    MultiRegion: true,
    BypassPolicyLockoutSafetyCheck: input.BypassPolicyLockoutSafetyCheck,
    Tags: input.Tags,
  });

function requirePrimaryFor(key: KeyRecord, operation: KeyOperationName, nowMs: number): void {
  requireCustomerManaged(key, operation);
  requirePrimary(key);
  requireState(key, operation, nowMs);
}

function requireServed(kms: KmsParts, primary: KeyRecord, region: string): void {
  if (partitionOf(region) !== partitionOf(primary.region)) {
    throw unsupported(`${region} is in another partition than ${keyArnOf(primary)}.`);
  }
  if (!kms.regions.includes(region)) throw unsupported(`The Region ${region} is not served here.`);
}

const putAll = (
  keys: readonly KeyRecord[],
  change: Partial<Pick<KeyRecord, "multiRegion" | "transition">>,
): ReturnType<typeof keyTable.put>[] => keys.map((key) => keyTable.put(idOfKey(key), { ...key, ...change }));
