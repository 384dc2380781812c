import type { Operation } from "../../../gateway/contract.ts";
import type { KmsParts } from "../parts.ts";
import type { NamedKey } from "../resolve.ts";
import type { GetKeyLastUsageRequest, GetKeyLastUsageResponse } from "../shapes.generated.ts";
import { keyOperation } from "./key-operation.ts";

/** An empty KeyLastUsage means: not since TrackingStartDate. */
export const getKeyLastUsage = (kms: KmsParts): Operation<GetKeyLastUsageRequest, GetKeyLastUsageResponse, NamedKey> =>
  keyOperation<GetKeyLastUsageRequest, GetKeyLastUsageResponse>(kms, {
    name: "GetKeyLastUsage",
    readOnly: true,
    async handle({ read }, _input, key) {
      const usage = await kms.lastUsage.of(read, key);
      return {
        output: {
          KeyId: key.keyId,
          KeyLastUsage:
            usage === null
              ? {}
              : {
                  Operation: usage.operation,
                  Timestamp: usage.usedMs,
                  CloudTrailEventId: usage.eventId,
                  KmsRequestId: usage.requestId,
                },
          TrackingStartDate: await kms.lastUsage.trackedSinceMs(read, key),
          KeyCreationDate: key.createdMs,
        },
      };
    },
  });
