import type { Clock } from "../base/clock.ts";
import { ServiceError } from "../base/errors.ts";
import type { DenialRecord } from "../gateway/denial-record.ts";
import { createDenials } from "../gateway/denials.ts";
import type { MetadataStore } from "../store/metadata-store.ts";

/** Denials, as whoever owns the data directory may see them: whole. */
export interface WhyAnswer {
  readonly denials: readonly (DenialRecord & { readonly time: string })[];
}

/** How many are listed. */
const LATEST_COUNT = 20;
const ID_LENGTH_MAX = 100;

/** The denials of a request or event, oldest first; without an id the latest, newest first. */
export async function answerWhy(
  deps: { readonly store: MetadataStore; readonly clock: Clock },
  id: unknown,
): Promise<WhyAnswer> {
  const denials = createDenials({ ...deps, onError: () => undefined });
  if (id !== undefined && id !== null && (typeof id !== "string" || id.length > ID_LENGTH_MAX)) {
    throw new ServiceError("ValidationException", "The id is not the id of a request.");
  }
  const found = typeof id === "string" ? await denials.find(id) : await denials.latest(LATEST_COUNT);
  return { denials: found.map((denial) => ({ time: new Date(denial.timeMs).toISOString(), ...denial })) };
}
