import { median } from "./support/load.ts";
import { caseResult, type CaseResult, cpuUsPerRecord, type Measured } from "./support/report.ts";

/** Who is measured: our server's streams by what seals them, and the other server. */
export type Side = "not encrypted" | "AES" | "XChaCha" | "kinesalite";

export type Operation = "PutRecord" | "PutRecord x64" | "PutRecords" | "GetRecords";

/** The slices of each case, one per round: what ran in one round ran close together. */
export class Measurements {
  readonly #slices = new Map<string, Measured[]>();

  add(operation: Operation, side: Side, measured: Measured): void {
    const name = `${operation}, ${side}`;
    this.#slices.set(name, [...(this.#slices.get(name) ?? []), measured]);
  }

  of(operation: Operation, side: Side): readonly Measured[] {
    return this.#slices.get(`${operation}, ${side}`) ?? [];
  }

  cases(): readonly CaseResult[] {
    return [...this.#slices].map(([name, rounds]) => caseResult(name, rounds));
  }

  /** The median, over the rounds, of what `compare` makes of both sides. Null where one of them was not measured. */
  compared(
    operation: Operation,
    sides: readonly [Side, Side],
    compare: (a: Measured, b: Measured) => number,
  ): number | null {
    const others = this.of(operation, sides[1]);
    const values = this.of(operation, sides[0]).flatMap((one, round) => {
      const other = others[round];
      return other === undefined ? [] : [compare(one, other)];
    });
    return values.length === 0 || values.some(Number.isNaN) ? null : median(values);
  }
}

export const addedCpuUs = (one: Measured, other: Measured): number => cpuUsPerRecord(one) - cpuUsPerRecord(other);
export const rateRatio = ({ slice: one }: Measured, { slice: other }: Measured): number =>
  one.records / one.elapsedMs / (other.records / other.elapsedMs);
