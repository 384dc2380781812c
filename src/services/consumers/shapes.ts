/** Shapes of the operations. Written by hand: no service of AWS has them. */
import type { OperationShape, ServiceModel, Shape } from "../../protocol/model.ts";
import type { Start } from "./records.ts";

interface OfStream {
  readonly StreamName?: string;
  readonly StreamARN?: string;
}

interface OfApplication extends OfStream {
  readonly Application: string;
}

interface OfLease extends OfApplication {
  readonly ShardId: string;
  readonly Owner: string;
}

export interface ApplicationDescription {
  readonly Application: string;
  readonly Start: Start;
  /** Absent: at the oldest record. */
  readonly StartTimestamp?: number;
  readonly CreationTimestamp: number;
}

export interface LeaseDescription {
  readonly ShardId: string;
  readonly Counter: number;
  /** Who holds it, by the server's time. Absent: nobody. */
  readonly Owner?: string;
  readonly RemainingMs?: number;
  /** Who asked the holder to hand it over. */
  readonly RequestedBy?: string;
  readonly SequenceNumber?: string;
  readonly SubSequenceNumber?: number;
  readonly Ended: boolean;
}

interface LeaseCounter {
  readonly ShardId: string;
  readonly Counter: number;
}

interface Lease {
  readonly Lease: LeaseDescription;
}

export interface Operations {
  readonly RegisterApplication: {
    readonly input: OfApplication & { readonly Start: Start; readonly Timestamp?: number };
    readonly output: ApplicationDescription;
  };
  readonly ListApplications: {
    readonly input: OfStream;
    readonly output: { readonly Applications: readonly ApplicationDescription[] };
  };
  readonly DeleteApplication: { readonly input: OfApplication; readonly output: Record<string, never> };
  readonly ListLeases: {
    readonly input: OfApplication & { readonly MaxResults?: number; readonly NextToken?: string };
    readonly output: { readonly Leases: readonly LeaseDescription[]; readonly NextToken?: string };
  };
  readonly TakeLease: {
    readonly input: OfLease & { readonly Counter: number; readonly DurationMs: number };
    readonly output: { readonly Taken: boolean; readonly Lease?: LeaseDescription };
  };
  readonly RenewLeases: {
    readonly input: OfApplication & {
      readonly Owner: string;
      readonly DurationMs: number;
      readonly Leases: readonly LeaseCounter[];
    };
    readonly output: { readonly Leases: readonly LeaseDescription[]; readonly Lost: readonly string[] };
  };
  readonly RequestLease: {
    readonly input: OfLease & { readonly DurationMs: number };
    readonly output: { readonly Requested: boolean };
  };
  readonly ReleaseLease: {
    readonly input: OfLease & { readonly Counter: number };
    readonly output: { readonly Released: boolean };
  };
  readonly PutCheckpoint: {
    readonly input: OfLease & {
      readonly Counter: number;
      readonly SequenceNumber?: string;
      readonly SubSequenceNumber?: number;
      readonly Ended?: boolean;
    };
    readonly output: Lease;
  };
  readonly DeleteLeases: {
    readonly input: OfApplication & { readonly ShardIds: readonly string[] };
    readonly output: { readonly Deleted: readonly string[] };
  };
}

export type OperationName = keyof Operations;

const STREAM = { StreamName: "StreamName", StreamARN: "StreamARN" };
const APPLICATION = { ...STREAM, Application: "ApplicationName" };
const LEASE = { ...APPLICATION, ShardId: "ShardId", Owner: "Owner" };

const structure = (members: Readonly<Record<string, string>>, required: readonly string[] = []): Shape => ({
  type: "structure",
  members,
  required,
});

const DESCRIPTION = structure({
  Application: "ApplicationName",
  Start: "Start",
  StartTimestamp: "Timestamp",
  CreationTimestamp: "Timestamp",
});

const shapes: Readonly<Record<string, Shape>> = {
  StreamName: { type: "string", min: 1, max: 128, pattern: "[a-zA-Z0-9_.-]+" },
  StreamARN: { type: "string", min: 1, max: 2048, pattern: "arn:aws.*:kinesis:.*:\\d{12}:stream/\\S+" },
  ApplicationName: { type: "string", min: 1, max: 128, pattern: "[a-zA-Z0-9_.-]+" },
  ShardId: { type: "string", min: 20, max: 20, pattern: "shardId-\\d{12}" },
  Owner: { type: "string", min: 1, max: 128, pattern: "[a-zA-Z0-9_.:@/+=-]+" },
  Start: { type: "string", enum: ["TRIM_HORIZON", "LATEST", "AT_TIMESTAMP"] },
  Timestamp: { type: "timestamp" },
  Counter: { type: "long", min: 0, max: Number.MAX_SAFE_INTEGER - 1 },
  // A lease shorter than a second would be lost to any pause; one longer than five minutes leaves a dead consumer's shards lying.
  DurationMs: { type: "integer", min: 1_000, max: 300_000 },
  SequenceNumber: { type: "string", min: 1, max: 129, pattern: "0|([1-9]\\d{0,128})" },
  SubSequenceNumber: { type: "long", min: 0, max: 10_000_000 },
  Remaining: { type: "long" },
  MaxResults: { type: "integer", min: 1, max: 1_000 },
  Flag: { type: "boolean" },
  ShardIds: { type: "list", member: "ShardId", min: 1, max: 100 },
  LostShardIds: { type: "list", member: "ShardId" },
  LeaseCounter: structure({ ShardId: "ShardId", Counter: "Counter" }, ["ShardId", "Counter"]),
  LeaseCounters: { type: "list", member: "LeaseCounter", min: 1, max: 100 },
  LeaseDescription: structure({
    ShardId: "ShardId",
    Counter: "Counter",
    Owner: "Owner",
    RemainingMs: "Remaining",
    RequestedBy: "Owner",
    SequenceNumber: "SequenceNumber",
    SubSequenceNumber: "SubSequenceNumber",
    Ended: "Flag",
  }),
  LeaseDescriptions: { type: "list", member: "LeaseDescription" },
  ApplicationDescription: DESCRIPTION,
  ApplicationDescriptions: { type: "list", member: "ApplicationDescription" },

  RegisterApplicationInput: structure({ ...APPLICATION, Start: "Start", Timestamp: "Timestamp" }, [
    "Application",
    "Start",
  ]),
  RegisterApplicationOutput: DESCRIPTION,
  ListApplicationsInput: structure(STREAM),
  ListApplicationsOutput: structure({ Applications: "ApplicationDescriptions" }),
  DeleteApplicationInput: structure(APPLICATION, ["Application"]),
  DeleteApplicationOutput: structure({}),
  ListLeasesInput: structure({ ...APPLICATION, MaxResults: "MaxResults", NextToken: "ShardId" }, ["Application"]),
  ListLeasesOutput: structure({ Leases: "LeaseDescriptions", NextToken: "ShardId" }),
  TakeLeaseInput: structure({ ...LEASE, Counter: "Counter", DurationMs: "DurationMs" }, [
    "Application",
    "ShardId",
    "Owner",
    "Counter",
    "DurationMs",
  ]),
  TakeLeaseOutput: structure({ Taken: "Flag", Lease: "LeaseDescription" }),
  RenewLeasesInput: structure({ ...APPLICATION, Owner: "Owner", DurationMs: "DurationMs", Leases: "LeaseCounters" }, [
    "Application",
    "Owner",
    "DurationMs",
    "Leases",
  ]),
  RenewLeasesOutput: structure({ Leases: "LeaseDescriptions", Lost: "LostShardIds" }),
  RequestLeaseInput: structure({ ...LEASE, DurationMs: "DurationMs" }, [
    "Application",
    "ShardId",
    "Owner",
    "DurationMs",
  ]),
  RequestLeaseOutput: structure({ Requested: "Flag" }),
  ReleaseLeaseInput: structure({ ...LEASE, Counter: "Counter" }, ["Application", "ShardId", "Owner", "Counter"]),
  ReleaseLeaseOutput: structure({ Released: "Flag" }),
  PutCheckpointInput: structure(
    {
      ...LEASE,
      Counter: "Counter",
      SequenceNumber: "SequenceNumber",
      SubSequenceNumber: "SubSequenceNumber",
      Ended: "Flag",
    },
    ["Application", "ShardId", "Owner", "Counter"],
  ),
  PutCheckpointOutput: structure({ Lease: "LeaseDescription" }),
  DeleteLeasesInput: structure({ ...APPLICATION, ShardIds: "ShardIds" }, ["Application", "ShardIds"]),
  DeleteLeasesOutput: structure({ Deleted: "LostShardIds" }),
};

const NAMES: readonly OperationName[] = [
  "DeleteApplication",
  "DeleteLeases",
  "ListApplications",
  "ListLeases",
  "PutCheckpoint",
  "RegisterApplication",
  "ReleaseLease",
  "RenewLeases",
  "RequestLease",
  "TakeLease",
];

export const model: ServiceModel = {
  name: "consumers",
  protocol: "awsJson1.1",
  targetPrefix: "Waxseal_20261101",
  apiVersion: "2026-11-01",
  signingName: "waxseal",
  eventSource: "consumers.waxseal",
  xmlNamespace: "",
  operations: Object.fromEntries(
    NAMES.map((name): [string, OperationShape] => [
      name,
      { input: `${name}Input`, output: `${name}Output`, errors: [] },
    ]),
  ),
  shapes,
};
