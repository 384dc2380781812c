import type { Call, Quota } from "../../../gateway/contract.ts";
import { findQuota, findService } from "../catalogue.ts";
import { noSuchContext } from "../errors.ts";
import { pageEnd, pageOf, pageOfList } from "../pages.ts";
import { type Parts, type Row, quotaArn, reading } from "../row.ts";
import type { ServiceQuota } from "../shapes.generated.ts";

export const listServices = ({ catalogue }: Parts): Row<"ListServices"> =>
  reading("ListServices", async (_context, input) => {
    const services = [...catalogue].map(([code, { title }]) => ({ ServiceCode: code, ServiceName: title }));
    const { page, last, more } = pageOfList(services, (service) => service.ServiceCode, pageOf(input, "services"));
    return { Services: page, ...pageEnd("services", last, more) };
  });

export const getServiceQuota = (parts: Parts): Row<"GetServiceQuota"> =>
  reading("GetServiceQuota", async ({ call }, input) => {
    const quota = findQuota(parts.catalogue, input.ServiceCode, input.QuotaCode);
    // No quota here is a single resource's.
    if (input.ContextId !== undefined) throw noSuchContext();
    return { Quota: await appliedQuota(parts, call, input.ServiceCode, quota) };
  });

export const listServiceQuotas = (parts: Parts): Row<"ListServiceQuotas"> =>
  reading("ListServiceQuotas", async ({ call }, input) => {
    const { ServiceCode: service, QuotaCode: code } = input;
    const { quotas } = findService(parts.catalogue, service);
    if (input.QuotaAppliedAtLevel === "RESOURCE") return { Quotas: [] };
    const listed = code === undefined ? quotas : [findQuota(parts.catalogue, service, code)];
    const scope = `quotas ${service} ${code ?? ""}`;
    const { page, last, more } = pageOfList(listed, (quota) => quota.code, pageOf(input, scope));
    const shown: ServiceQuota[] = [];
    for (const quota of page) shown.push(await appliedQuota(parts, call, service, quota));
    return { Quotas: shown, ...pageEnd(scope, last, more) };
  });

export const getAwsDefaultServiceQuota = (parts: Parts): Row<"GetAWSDefaultServiceQuota"> =>
  reading("GetAWSDefaultServiceQuota", async ({ call }, input) => {
    const quota = findQuota(parts.catalogue, input.ServiceCode, input.QuotaCode);
    return { Quota: defaultQuota(parts, call, input.ServiceCode, quota) };
  });

export const listAwsDefaultServiceQuotas = (parts: Parts): Row<"ListAWSDefaultServiceQuotas"> =>
  reading("ListAWSDefaultServiceQuotas", async ({ call }, input) => {
    const { ServiceCode: service } = input;
    const { quotas } = findService(parts.catalogue, service);
    const scope = `defaults ${service}`;
    const { page, last, more } = pageOfList(quotas, (quota) => quota.code, pageOf(input, scope));
    return {
      Quotas: page.map((quota) => defaultQuota(parts, call, service, quota)),
      ...pageEnd(scope, last, more),
    };
  });

async function appliedQuota(parts: Parts, call: Call, service: string, quota: Quota): Promise<ServiceQuota> {
  return {
    ...describedQuota(parts, call, service, quota),
    Value: await parts.values.valueOf(call.principal.accountId, call.region, service, quota),
    QuotaAppliedAtLevel: "ACCOUNT",
  };
}

/** The operator's figure, where there is one, is this deployment's default. */
const defaultQuota = (parts: Parts, call: Call, service: string, quota: Quota): ServiceQuota => ({
  ...describedQuota(parts, call, service, quota),
  Value: parts.figures.of(quota, call.region),
});

const describedQuota = ({ catalogue }: Parts, call: Call, service: string, quota: Quota): ServiceQuota => ({
  ServiceCode: service,
  ServiceName: findService(catalogue, service).title,
  QuotaArn: quotaArn(call, service, quota.code),
  QuotaCode: quota.code,
  QuotaName: quota.name,
  Unit: "None",
  Adjustable: quota.adjustable,
  GlobalQuota: false,
  ...(quota.kind === "rate" ? { Period: { PeriodValue: 1, PeriodUnit: "SECOND" } } : {}),
});
