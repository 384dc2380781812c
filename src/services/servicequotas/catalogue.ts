import { OperatorError } from "../../base/operator-error.ts";
import type { Quota, QuotaValues, ServiceQuotas } from "../../gateway/contract.ts";
import type { Reader } from "../../store/table.ts";
import { noSuchQuota, noSuchService } from "./errors.ts";
import { appliedTable } from "./records.ts";

/** The services that have quotas, by their codes. */
export type Catalogue = ReadonlyMap<string, ServiceQuotas>;

/** An operator's figures, by quota code or name. */
export type OwnFigures = Readonly<Record<string, number>>;

/** Throws NoSuchResourceException. */
export function findService(catalogue: Catalogue, service: string): ServiceQuotas {
  const found = catalogue.get(service);
  if (found === undefined) throw noSuchService();
  return found;
}

/** Throws NoSuchResourceException. */
export function findQuota(catalogue: Catalogue, service: string, code: string): Quota {
  const quota = findService(catalogue, service).quotas.find((one) => one.code === code);
  if (quota === undefined) throw noSuchQuota(service, code);
  return quota;
}

/** What is in force before increases: the operator's figures where there are some, else AWS's. */
export class Figures {
  readonly #own: ReadonlyMap<Quota, number>;

  /** Throws OperatorError for figures of quotas that there are not. */
  constructor(catalogue: Catalogue, own: OwnFigures = {}) {
    const quotas = [...catalogue.values()].flatMap((service) => service.quotas);
    this.#own = new Map(Object.entries(own).map(([named, value]) => [quotaNamed(quotas, named), value] as const));
  }

  of(quota: Quota, region: string): number {
    return this.#own.get(quota) ?? quota.defaultIn(region);
  }

  isOwn(quota: Quota): boolean {
    return this.#own.has(quota);
  }
}

function quotaNamed(quotas: readonly Quota[], named: string): Quota {
  const quota = quotas.find(({ code, name }) => code === named || name === named);
  if (quota === undefined) {
    throw new OperatorError(
      `There is no quota called ${JSON.stringify(named)}. \`aws service-quotas list-service-quotas --service-code kms\` ` +
        "lists their codes and names.",
    );
  }
  return quota;
}

/** The values in force: what was granted, or the figures where those are higher meanwhile. */
export const appliedValues = (read: Pick<Reader, "get">, figures: Figures): QuotaValues => ({
  async valueOf(accountId, region, service, quota) {
    const applied = await read.get(appliedTable, [accountId, region, service, quota.code]);
    return Math.max(applied?.value ?? 0, figures.of(quota, region));
  },
});
