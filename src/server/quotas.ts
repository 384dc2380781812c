import type { Clock } from "../base/clock.ts";
import { OperatorError } from "../base/operator-error.ts";
import type { QuotaValues } from "../gateway/contract.ts";
import { createRequestQuotas, type RequestQuotas } from "../gateway/quotas.ts";
import { kmsQuotas } from "../services/kms/quotas.ts";
import { appliedValues, type Catalogue, Figures } from "../services/servicequotas/catalogue.ts";
import type { Reader } from "../store/table.ts";

/**
 * How often KMS may be called: "none": as often as the machine can; "aws": as AWS allows; else the operator's figures by quota
 * code or name, and what they don't name as often as the machine can. Quotas of resources hold in any case.
 */
export type QuotaProfile =
  | "none"
  | "aws"
  | { readonly path: string; readonly figures: Readonly<Record<string, number>> };

export interface Quotas {
  readonly catalogue: Catalogue;
  readonly figures: Figures;
  readonly values: QuotaValues;
  /** Null: nothing is counted. */
  readonly requests: RequestQuotas | null;
}

const catalogue = (): Catalogue => new Map([["kms", kmsQuotas]]);

/**
 * Throws OperatorError for figures of quotas that there are not, with the file that they stand in. Asked before a data
 * directory is made: a typing error must leave nothing behind.
 */
export function requireKnownQuotas(profile: QuotaProfile): void {
  figuresOf(profile, catalogue());
}

function figuresOf(profile: QuotaProfile, services: Catalogue): Figures {
  if (typeof profile === "string") return new Figures(services);
  try {
    return new Figures(services, profile.figures);
  } catch (error) {
    throw error instanceof OperatorError ? new OperatorError(`${profile.path}: ${error.message}`, error) : error;
  }
}

/** Throws OperatorError for figures of quotas that there are not. */
export function createQuotas(deps: {
  readonly profile: QuotaProfile;
  readonly reader: Pick<Reader, "get">;
  readonly clock: Clock;
}): Quotas {
  const { profile, clock } = deps;
  const services = catalogue();
  const figures = figuresOf(profile, services);
  const values = appliedValues(deps.reader, figures);
  if (profile === "none") return { catalogue: services, figures, values, requests: null };
  const enforced = profile === "aws" ? values : onlyOwn(values, figures);
  return { catalogue: services, figures, values, requests: createRequestQuotas({ clock, values: enforced }) };
}

const onlyOwn = (values: QuotaValues, figures: Figures): QuotaValues => ({
  valueOf: (accountId, region, service, quota) =>
    figures.isOwn(quota) ? values.valueOf(accountId, region, service, quota) : Promise.resolve(Infinity),
});
