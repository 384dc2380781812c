import type { OperationContext } from "../../../gateway/contract.ts";
import { applicationInUse, invalidArgument, tooManyApplications } from "../errors.ts";
import { holderOf } from "../lease.ts";
import { type ApplicationRecord, applications, leases, streamIndex } from "../records.ts";
import { registered, type Row, row, type StreamLookup, streamIdOf, type Target } from "../row.ts";
import type { ApplicationDescription, Operations } from "../shapes.ts";

/** As many as a stream on AWS has consumers of fan-out, and then some: each keeps a lease for every shard. */
const APPLICATIONS_MAX = 50;
export const LEASES_MAX = 10_000;

const described = (application: ApplicationRecord): ApplicationDescription => ({
  Application: application.name,
  Start: application.start,
  ...(application.startMs === null ? {} : { StartTimestamp: application.startMs }),
  CreationTimestamp: application.createdAtMs,
});

/** Where to begin, as an instant. That of LATEST is the server's: a client's clock may be wrong. */
function startMsOf(input: Operations["RegisterApplication"]["input"], nowMs: number): number | null {
  if (input.Start !== "AT_TIMESTAMP") {
    if (input.Timestamp !== undefined) throw invalidArgument("Timestamp is for Start AT_TIMESTAMP alone.");
    return input.Start === "LATEST" ? nowMs : null;
  }
  if (input.Timestamp === undefined) throw invalidArgument("Start AT_TIMESTAMP needs a Timestamp.");
  if (input.Timestamp > nowMs) throw invalidArgument("The Timestamp is in the future.");
  return input.Timestamp;
}

/** The first one decides where the application begins; whoever comes later is told, and follows. */
export const registerApplication = (lookup: StreamLookup): Row<"RegisterApplication"> =>
  row("RegisterApplication", { event: "management", readOnly: false }, async (context, input, target) => {
    const streamId = await streamIdOf(lookup, context, target);
    const startMs = startMsOf(input, context.call.nowMs);
    const name = input.Application;
    const existing = await context.read.get(applications, [streamId, name]);
    if (existing !== null) return { output: described(existing) };
    const application: ApplicationRecord = {
      name,
      start: input.Start,
      startMs,
      createdAtMs: context.call.nowMs,
      leaseCount: 0,
    };
    const index = await counted(context, streamId, target, 1);
    return { output: described(application), writes: [applications.put([streamId, name], application), index] };
  });

export const listApplications = (lookup: StreamLookup): Row<"ListApplications"> =>
  row("ListApplications", { event: "management", readOnly: true }, async (context, _input, target) => {
    const streamId = await streamIdOf(lookup, context, target);
    const found = await context.read.list(applications, { prefix: [streamId], limit: APPLICATIONS_MAX });
    return { output: { Applications: found.map(({ value }) => described(value)) } };
  });

/** Forgets how far the application has come, so that it may begin anew. Not while a consumer of it runs. */
export const deleteApplication = (lookup: StreamLookup): Row<"DeleteApplication"> =>
  row("DeleteApplication", { event: "management", readOnly: false }, async (context, input, target) => {
    const { call, read } = context;
    const streamId = await streamIdOf(lookup, context, target);
    const { name } = await registered(read, streamId, input.Application);
    const held = await read.list(leases, { prefix: [streamId, name], limit: LEASES_MAX });
    if (held.some(({ value }) => holderOf(value, call.nowMs) !== null)) throw applicationInUse(name);
    const index = await counted(context, streamId, target, -1);
    const removals = held.map(({ id }) => leases.remove(id));
    return { output: {}, writes: [applications.remove([streamId, name]), index, ...removals] };
  });

async function counted(
  { read }: OperationContext,
  streamId: string,
  { accountId, region, name }: Target,
  change: 1 | -1,
): Promise<ReturnType<typeof streamIndex.put>> {
  const applicationCount = ((await read.get(streamIndex, [streamId]))?.applicationCount ?? 0) + change;
  if (applicationCount > APPLICATIONS_MAX) throw tooManyApplications(APPLICATIONS_MAX);
  return applicationCount <= 0
    ? streamIndex.remove([streamId])
    : streamIndex.put([streamId], { accountId, region, name, applicationCount });
}
