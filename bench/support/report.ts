import { median, quantile, type Slice } from "./load.ts";

/** One case over all rounds: medians over the rounds, quantiles over all requests. */
export interface CaseResult {
  readonly name: string;
  readonly recordsPerSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** Null when the server's CPU time could not be read. */
  readonly serverCpuUsPerRecord: number | null;
}

export interface Measured {
  readonly slice: Slice;
  readonly cpuUs: number | null;
}

/** NaN when the server's CPU time could not be read. */
export const cpuUsPerRecord = ({ slice, cpuUs }: Measured): number =>
  cpuUs === null ? Number.NaN : cpuUs / Math.max(1, slice.records);

export function caseResult(name: string, rounds: readonly Measured[]): CaseResult {
  const latencies = rounds.flatMap((round) => round.slice.latenciesMs);
  const cpu = rounds.map(cpuUsPerRecord);
  return {
    name,
    recordsPerSecond: median(rounds.map((round) => (round.slice.records / round.slice.elapsedMs) * 1000)),
    p50Ms: quantile(latencies, 0.5),
    p99Ms: quantile(latencies, 0.99),
    serverCpuUsPerRecord: cpu.some(Number.isNaN) ? null : median(cpu),
  };
}

/** A table for people: columns are padded to their widest cell, numbers stand to the right. */
export function tableText(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = header.map((title, column) =>
    Math.max(title.length, ...rows.map((row) => (row[column] ?? "").length)),
  );
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, column) => (column === 0 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0)))
      .join("  ");
  return [line(header), line(widths.map((width) => "-".repeat(width))), ...rows.map(line)].join("\n");
}

export const number = (value: number | null, digits = 1): string =>
  value === null || Number.isNaN(value) ? "-" : value.toFixed(digits);
