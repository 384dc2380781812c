/** The table of this service: leases and checkpoints of applications that share a stream's shards. */
import type { Clock } from "../../base/clock.ts";
import type { Service } from "../../gateway/contract.ts";
import type { MetadataStore } from "../../store/metadata-store.ts";
import type { Reader } from "../../store/table.ts";
import { createCleaning } from "./cleaning.ts";
import { deleteApplication, listApplications, registerApplication } from "./operations/applications.ts";
import {
  deleteLeases,
  listLeases,
  putCheckpoint,
  releaseLease,
  renewLeases,
  requestLease,
  takeLease,
} from "./operations/leases.ts";
import type { StreamLookup } from "./row.ts";
import { model, type OperationName } from "./shapes.ts";

export interface ConsumersDeps {
  readonly streamId: StreamLookup;
  /** For background work only. */
  readonly store: MetadataStore;
  readonly reader: Reader;
  readonly clock: Clock;
  readonly onError: (error: unknown) => void;
}

export function createConsumersService(deps: ConsumersDeps): Service {
  const lookup = deps.streamId;
  const operations = {
    DeleteApplication: deleteApplication(lookup),
    DeleteLeases: deleteLeases(lookup),
    ListApplications: listApplications(lookup),
    ListLeases: listLeases(lookup),
    PutCheckpoint: putCheckpoint(lookup),
    RegisterApplication: registerApplication(lookup),
    ReleaseLease: releaseLease(lookup),
    RenewLeases: renewLeases(lookup),
    RequestLease: requestLease(lookup),
    TakeLease: takeLease(lookup),
  } satisfies Record<OperationName, unknown>;
  return { model, operations, start: createCleaning(deps) };
}
