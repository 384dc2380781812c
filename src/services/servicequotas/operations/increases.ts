import type { Random } from "../../../base/random.ts";
import type { Call, OperationContext, Quota } from "../../../gateway/contract.ts";
import { appliedValues, findQuota, findService } from "../catalogue.ts";
import { noSuchContext, noSuchRequest, notAdjustable, notGreater } from "../errors.ts";
import { pageEnd, pageOf } from "../pages.ts";
import { type RequestRecord, appliedTable, requestIdTable, requestTable } from "../records.ts";
import { type Parts, type Row, accessTo, describe, quotaArn, reading } from "../row.ts";
import type { RequestedServiceQuotaChange } from "../shapes.generated.ts";

/** Up to this multiple of the figure before increases they are granted at once; beyond it never. */
const GRANTED_MULTIPLE_MAX: Readonly<Record<Quota["kind"], number>> = { rate: 100, count: 10 };

const TIME_DIGITS = 12;
const ID_RANDOM_DIGITS = 20;

/** There is no support to decide later: what is reasonable is granted at once, the rest is not, and both are on record. */
export const requestServiceQuotaIncrease = (
  parts: Parts,
  random: Pick<Random, "uuid">,
): Row<"RequestServiceQuotaIncrease"> => ({
  event: "management",
  readOnly: false,
  describe,
  async access({ call }, { ServiceCode: service, QuotaCode: code }) {
    return {
      checks: [accessTo(call, "RequestServiceQuotaIncrease", quotaArn(call, service, code), service)],
      target: null,
    };
  },
  async handle({ call, read }, input) {
    const { ServiceCode: service, QuotaCode: code, DesiredValue: desiredValue } = input;
    const quota = findQuota(parts.catalogue, service, code);
    if (input.ContextId !== undefined) throw noSuchContext();
    if (!quota.adjustable) throw notAdjustable();
    const { accountId } = call.principal;
    const id = [accountId, call.region, service, code];
    const figure = parts.figures.of(quota, call.region);
    // Read through this reader, so that of two increases at once one sees the other.
    const current = await appliedValues(read, parts.figures).valueOf(accountId, call.region, service, quota);
    if (desiredValue <= current) throw notGreater();
    const record: RequestRecord = {
      requestId: requestIdAt(call.nowMs, random),
      service,
      code,
      desiredValue,
      status: desiredValue <= figure * GRANTED_MULTIPLE_MAX[quota.kind] ? "APPROVED" : "NOT_APPROVED",
      createdMs: call.nowMs,
      requester: call.principal.arn,
    };
    return {
      output: { RequestedQuota: changeOf(parts, call, quota, record) },
      writes: [
        ...(record.status === "APPROVED" ? [appliedTable.put(id, { value: desiredValue })] : []),
        requestTable.put([...id, record.requestId], record),
        requestIdTable.put([...id.slice(0, 2), record.requestId], { service, code }),
      ],
      audit: { responseElements: { requestedQuota: { id: record.requestId, status: record.status } } },
    };
  },
});

export const getRequestedServiceQuotaChange = (parts: Parts): Row<"GetRequestedServiceQuotaChange"> =>
  reading("GetRequestedServiceQuotaChange", async ({ call, read }, { RequestId: requestId }) => {
    const owner = [call.principal.accountId, call.region];
    const named = await read.get(requestIdTable, [...owner, requestId]);
    const record = named && (await read.get(requestTable, [...owner, named.service, named.code, requestId]));
    if (record === null) throw noSuchRequest();
    return { RequestedQuota: changeOf(parts, call, findQuota(parts.catalogue, record.service, record.code), record) };
  });

export const listRequestedServiceQuotaChangeHistory = (parts: Parts): Row<"ListRequestedServiceQuotaChangeHistory"> =>
  reading("ListRequestedServiceQuotaChangeHistory", async (context, input) => {
    const { ServiceCode: service } = input;
    if (service !== undefined) findService(parts.catalogue, service);
    return await history(parts, context, service === undefined ? [] : [service], input);
  });

export const listRequestedServiceQuotaChangeHistoryByQuota = (
  parts: Parts,
): Row<"ListRequestedServiceQuotaChangeHistoryByQuota"> =>
  reading("ListRequestedServiceQuotaChangeHistoryByQuota", async (context, input) => {
    const { ServiceCode: service, QuotaCode: code } = input;
    findQuota(parts.catalogue, service, code);
    return await history(parts, context, [service, code], input);
  });

/** By service, quota and time. With a Status a page may be short, and more may follow. */
async function history(
  parts: Parts,
  { call, read }: OperationContext,
  of: readonly string[],
  input: {
    readonly MaxResults?: number | undefined;
    readonly NextToken?: string | undefined;
    readonly Status?: string | undefined;
    readonly QuotaRequestedAtLevel?: string | undefined;
  },
): Promise<{ readonly RequestedQuotas: readonly RequestedServiceQuotaChange[]; readonly NextToken?: string }> {
  if (input.QuotaRequestedAtLevel === "RESOURCE") return { RequestedQuotas: [] };
  const scope = `history ${of.join("/")} ${input.Status ?? ""}`;
  const { limit, after } = pageOf(input, scope);
  const owner = [call.principal.accountId, call.region];
  const found = await read.list(requestTable, {
    prefix: [...owner, ...of],
    after: after === undefined ? undefined : [...owner, ...after.split("/")],
    limit: limit + 1,
  });
  const page = found.slice(0, limit);
  const shown = page.filter(({ value }) => input.Status === undefined || value.status === input.Status);
  return {
    RequestedQuotas: shown.map(({ value }) =>
      changeOf(parts, call, findQuota(parts.catalogue, value.service, value.code), value),
    ),
    ...pageEnd(scope, page.at(-1)?.id.slice(owner.length).join("/"), found.length > limit),
  };
}

function changeOf(parts: Parts, call: Call, quota: Quota, record: RequestRecord): RequestedServiceQuotaChange {
  return {
    Id: record.requestId,
    ServiceCode: record.service,
    ServiceName: findService(parts.catalogue, record.service).title,
    QuotaCode: quota.code,
    QuotaName: quota.name,
    DesiredValue: record.desiredValue,
    Status: record.status,
    Created: record.createdMs,
    LastUpdated: record.createdMs,
    Requester: JSON.stringify({ accountId: call.principal.accountId, callerArn: record.requester }),
    QuotaArn: quotaArn(call, record.service, quota.code),
    GlobalQuota: false,
    Unit: "None",
    QuotaRequestedAtLevel: "ACCOUNT",
  };
}

/** Ids of one quota order by time. */
const requestIdAt = (nowMs: number, random: Pick<Random, "uuid">): string =>
  nowMs.toString(16).padStart(TIME_DIGITS, "0") + random.uuid().replaceAll("-", "").slice(0, ID_RANDOM_DIGITS);
