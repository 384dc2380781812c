import type { Clock } from "../base/clock.ts";
import { ServiceError } from "../base/errors.ts";
import type { DenialRecord } from "../gateway/denial-record.ts";
import { createDenials, type DenialFilter } from "../gateway/denials.ts";
import type { MetadataStore } from "../store/metadata-store.ts";

/** Denials, as whoever owns the data directory may see them: whole. */
export interface WhyAnswer {
  readonly denials: readonly (DenialRecord & { readonly time: string })[];
  /** How many more a list could go on with. */
  readonly more: number;
}

/** What is asked: the denials of one id, or a list of the latest. */
export interface WhyQuestion {
  readonly id?: string | null;
  readonly limit?: number;
  readonly principal?: string;
  readonly account?: string;
}

/** How many are listed unless more are asked for. */
const LATEST_COUNT = 20;
const LATEST_COUNT_MAX = 1_000;
const ID_LENGTH_MAX = 100;
const PRINCIPAL_LENGTH_MAX = 2_048;
const ACCOUNT_ID = /^\d{12}$/;

/** The denials of a request or event, oldest first; without an id the latest, newest first. The question is checked here. */
export async function answerWhy(
  deps: { readonly store: MetadataStore; readonly clock: Clock },
  question: { readonly [name in keyof WhyQuestion]?: unknown },
): Promise<WhyAnswer> {
  const denials = createDenials({ ...deps, onError: () => undefined });
  const { id } = question;
  if (id !== undefined && id !== null) {
    if (typeof id !== "string" || id.length > ID_LENGTH_MAX) throw invalid("The id is not the id of a request.");
    return { denials: (await denials.find(id)).map(dated), more: 0 };
  }
  const { limit, filter } = listOptions(question);
  const latest = await denials.latest(limit, filter);
  return { denials: latest.denials.map(dated), more: latest.more };
}

const dated = (denial: DenialRecord): WhyAnswer["denials"][number] => ({
  time: new Date(denial.timeMs).toISOString(),
  ...denial,
});

const invalid = (message: string): ServiceError => new ServiceError("ValidationException", message);

function listOptions({
  limit = LATEST_COUNT,
  principal,
  account,
}: { readonly [name in keyof WhyQuestion]?: unknown }): {
  readonly limit: number;
  readonly filter: DenialFilter;
} {
  if (typeof limit !== "number" || !Number.isInteger(limit) || limit < 1 || limit > LATEST_COUNT_MAX) {
    throw invalid(`The limit is a number from 1 to ${LATEST_COUNT_MAX}.`);
  }
  if (principal !== undefined && (typeof principal !== "string" || principal.length > PRINCIPAL_LENGTH_MAX)) {
    throw invalid("The principal is an ARN or a part of one.");
  }
  if (account !== undefined && (typeof account !== "string" || !ACCOUNT_ID.test(account))) {
    throw invalid("The account is not an account id of 12 digits.");
  }
  return {
    limit,
    filter: {
      ...(principal === undefined ? {} : { principal }),
      ...(account === undefined ? {} : { accountId: account }),
    },
  };
}
