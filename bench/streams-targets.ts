/** What is asked of the stream service, as ratios within one run, beside what was measured. */
import { addedCpuUs, type Measurements, type Operation, rateRatio, type Side } from "./streams-measurements.ts";
import { cpuUsPerRecord, type Measured, number, tableText } from "./support/report.ts";
import { quantile } from "./support/load.ts";

export interface Asked {
  readonly name: string;
  readonly target: { readonly atMost: number } | { readonly atLeast: number };
  /** Null: not measured in this run. */
  readonly measured: number | null;
  readonly holds: boolean | null;
}

type Target = Asked["target"];

const cpuRatio = (one: Measured, other: Measured): number => cpuUsPerRecord(one) / cpuUsPerRecord(other);

const CPU_BESIDE_KINESALITE: readonly [Side, Operation, number][] = [
  ["AES", "PutRecords", 1 / 5],
  ["AES", "GetRecords", 0.4],
  ["AES", "PutRecord", 0.65],
  ["XChaCha", "PutRecords", 1 / 8],
  ["XChaCha", "GetRecords", 1 / 4],
];
const RATE_BESIDE_KINESALITE: readonly [Side, Operation, number][] = [
  ["AES", "PutRecords", 5],
  ["AES", "GetRecords", 2.5],
  ["AES", "PutRecord", 1.4],
];
/** Microseconds of server CPU per record. */
const ADDED_BY_ENCRYPTION: readonly [Side, Operation, number][] = [
  ["AES", "PutRecords", 14],
  ["AES", "GetRecords", 11],
  ["XChaCha", "PutRecords", 5],
  ["XChaCha", "GetRecords", 5],
];
const RATE_BESIDE_UNENCRYPTED: readonly [Side, Operation, number][] = [
  ["XChaCha", "PutRecords", 0.7],
  ["XChaCha", "GetRecords", 0.7],
  ["AES", "PutRecord", 0.85],
  ["XChaCha", "PutRecord", 0.85],
];
const P99_TO_P50_MAX = 4;

export function askedRatios(measured: Measurements): readonly Asked[] {
  const row = (name: string, target: Target, value: number | null): Asked => ({
    name,
    target,
    measured: value,
    holds: value === null ? null : "atMost" in target ? value <= target.atMost : value >= target.atLeast,
  });
  const rows = (
    what: string,
    other: Side,
    list: readonly [Side, Operation, number][],
    compare: (one: Measured, other: Measured) => number,
    target: (bound: number) => Target,
  ): readonly Asked[] =>
    list.map(([side, operation, bound]) =>
      row(`${operation}, ${side}: ${what}`, target(bound), measured.compared(operation, [side, other], compare)),
    );
  const atMost = (bound: number): Target => ({ atMost: bound });
  const atLeast = (bound: number): Target => ({ atLeast: bound });
  return [
    ...rows("server CPU to kinesalite's", "kinesalite", CPU_BESIDE_KINESALITE, cpuRatio, atMost),
    ...rows("records/s to kinesalite's", "kinesalite", RATE_BESIDE_KINESALITE, rateRatio, atLeast),
    ...(["not encrypted", "AES", "XChaCha"] as const).map((side) =>
      row(`PutRecord, ${side}: p99 to p50, 16 connections`, atMost(P99_TO_P50_MAX), p99ToP50(measured, side)),
    ),
    ...rows("added by encryption, us/record", "not encrypted", ADDED_BY_ENCRYPTION, addedCpuUs, atMost),
    ...rows("records/s to unencrypted", "not encrypted", RATE_BESIDE_UNENCRYPTED, rateRatio, atLeast),
  ];
}

function p99ToP50(measured: Measurements, side: Side): number | null {
  const latencies = measured.of("PutRecord", side).flatMap(({ slice }) => slice.latenciesMs);
  return latencies.length === 0 ? null : quantile(latencies, 0.99) / quantile(latencies, 0.5);
}

export function askedText(asked: readonly Asked[]): string {
  return tableText(
    ["asked", "target", "measured", "holds"],
    asked.map(({ name, target, measured, holds }) => [
      name,
      "atMost" in target ? `<= ${number(target.atMost, 3)}` : `>= ${number(target.atLeast, 2)}`,
      number(measured, 3),
      holds === null ? "-" : holds ? "yes" : "NO",
    ]),
  );
}
