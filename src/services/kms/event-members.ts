/** Members of KMS's CloudTrail events that are not written as the API writes them (developer guide, "Examples of log entries"). */
import type { Call } from "../../gateway/contract.ts";
import { auditedKeys, lowerCamel } from "./access.ts";
import { SYMMETRIC_DEFAULT, aliasArnOf, keyArnOf } from "./model.ts";
import type { KeyRecord } from "./records.ts";
import type { CreateKeyRequest, KeyMetadata, MultiRegionKey, ReplicateKeyRequest } from "./shapes.generated.ts";

type Members = Readonly<Record<string, unknown>>;

const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/** `Aug 10, 2022, 10:38:27 PM`, in UTC. By hand: Intl puts a narrow no-break space before AM and PM, CloudTrail a plain one. */
export function eventDate(timeMs: number): string {
  const date = new Date(timeMs);
  const hour = date.getUTCHours();
  const [minutes, seconds] = [date.getUTCMinutes(), date.getUTCSeconds()].map((part) => String(part).padStart(2, "0"));
  const day = `${MONTHS[date.getUTCMonth()]} ${date.getUTCDate()}, ${date.getUTCFullYear()}`;
  return `${day}, ${hour % 12 === 0 ? 12 : hour % 12}:${minutes}:${seconds} ${hour < 12 ? "AM" : "PM"}`;
}

const dated = (timeMs: number | undefined): string | undefined =>
  timeMs === undefined ? undefined : eventDate(timeMs);

/** A key's metadata as CreateKey's events show it. */
export function metadataElements(metadata: KeyMetadata): Members {
  const { AWSAccountId, CreationDate, DeletionDate, ValidTo, MultiRegionConfiguration: related, ...rest } = metadata;
  return {
    // AWS keeps the capitals of this one.
    ...(AWSAccountId === undefined ? {} : { AWSAccountId }),
    ...lowerCamel({
      ...rest,
      CreationDate: dated(CreationDate),
      DeletionDate: dated(DeletionDate),
      ValidTo: dated(ValidTo),
      MultiRegionConfiguration:
        related &&
        lowerCamel({
          MultiRegionKeyType: related.MultiRegionKeyType,
          PrimaryKey: relatedKey(related.PrimaryKey),
          ReplicaKeys: related.ReplicaKeys?.map(relatedKey),
        }),
    }),
  };
}

const relatedKey = (key: MultiRegionKey | undefined): Members | undefined => key && lowerCamel(key);

/** A replica's metadata as ReplicateKey's events show it: there AWS writes `aWSAccountId`, unlike in those of CreateKey. */
export function replicaElements(metadata: KeyMetadata): Members {
  const { AWSAccountId: aWSAccountId, ...rest } = metadataElements(metadata);
  return { aWSAccountId, ...rest };
}

/** CreateKey's request parameters: AWS fills in the defaults. */
export function creationParameters(input: CreateKeyRequest): Members {
  const { Tags, MultiRegion, ...given } = input;
  const spec = input.KeySpec ?? input.CustomerMasterKeySpec ?? SYMMETRIC_DEFAULT;
  return lowerCamel({
    ...given,
    Description: input.Description ?? "",
    Origin: input.Origin ?? "AWS_KMS",
    BypassPolicyLockoutSafetyCheck: input.BypassPolicyLockoutSafetyCheck ?? false,
    CustomerMasterKeySpec: input.CustomerMasterKeySpec ?? spec,
    KeySpec: spec,
    KeyUsage: input.KeyUsage ?? "ENCRYPT_DECRYPT",
    ...(MultiRegion ? { MultiRegion } : {}),
    ...(Tags === undefined ? {} : { Tags: Tags.map(lowerCamel) }),
  });
}

/** ReplicateKey's request parameters, with the defaults that AWS fills in. */
export const replicationParameters = (input: ReplicateKeyRequest): Members =>
  lowerCamel({
    ...input,
    BypassPolicyLockoutSafetyCheck: input.BypassPolicyLockoutSafetyCheck ?? false,
    Description: input.Description ?? "",
    Tags: input.Tags?.map(lowerCamel),
  });

/** The event of an operation that answers nothing names its key all the same, and CloudTrail finds it by the alias, too. */
export function changedAlias(call: Call, key: KeyRecord, aliasName: string): ReturnType<typeof changedKey> {
  const { accountId } = call.principal;
  const alias = { type: "AWS::KMS::Key", arn: aliasArnOf(call.region, accountId, aliasName), accountId };
  const changed = changedKey(key);
  return { ...changed, resources: [...(changed.resources ?? []), alias] };
}

/** What the event of a change says when the operation itself answers nothing: which key it was. */
export const changedKey = (
  key: KeyRecord,
): ReturnType<typeof auditedKeys> & { readonly responseElements: { readonly keyId: string } } => ({
  ...auditedKeys(key),
  responseElements: { keyId: keyArnOf(key) },
});
