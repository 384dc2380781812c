/** Service Quotas' table: which operations are served. */
import type { Random } from "../../base/random.ts";
import type { QuotaValues, Service } from "../../gateway/contract.ts";
import type { Catalogue, Figures } from "./catalogue.ts";
import {
  getRequestedServiceQuotaChange,
  listRequestedServiceQuotaChangeHistory,
  listRequestedServiceQuotaChangeHistoryByQuota,
  requestServiceQuotaIncrease,
} from "./operations/increases.ts";
import {
  getAwsDefaultServiceQuota,
  getServiceQuota,
  listAwsDefaultServiceQuotas,
  listServiceQuotas,
  listServices,
} from "./operations/quotas.ts";
import type { Rows } from "./row.ts";
import { model } from "./shapes.generated.ts";

export interface ServiceQuotasDeps {
  readonly catalogue: Catalogue;
  readonly figures: Figures;
  readonly values: QuotaValues;
  readonly random: Pick<Random, "uuid">;
}

export function createServiceQuotasService(deps: ServiceQuotasDeps): Service {
  const operations: Rows = {
    GetAWSDefaultServiceQuota: getAwsDefaultServiceQuota(deps),
    GetRequestedServiceQuotaChange: getRequestedServiceQuotaChange(deps),
    GetServiceQuota: getServiceQuota(deps),
    ListAWSDefaultServiceQuotas: listAwsDefaultServiceQuotas(deps),
    ListRequestedServiceQuotaChangeHistory: listRequestedServiceQuotaChangeHistory(deps),
    ListRequestedServiceQuotaChangeHistoryByQuota: listRequestedServiceQuotaChangeHistoryByQuota(deps),
    ListServiceQuotas: listServiceQuotas(deps),
    ListServices: listServices(deps),
    RequestServiceQuotaIncrease: requestServiceQuotaIncrease(deps, deps.random),
  };
  return { model, operations };
}
