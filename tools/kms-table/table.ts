/** What a test of the conformance suite says of itself. */
export interface Proof {
  readonly operation: string;
  /** `happy`, or the code of an error. */
  readonly shows: string;
  /** The errors that the service model gives the operation. */
  readonly documented: readonly string[];
}

/** The parts of vitest's JSON report that say what was proved. */
export interface Report {
  readonly testResults: readonly {
    readonly assertionResults: readonly {
      readonly status: string;
      readonly meta?: { readonly kms?: Proof };
    }[];
  }[];
}

/** What a proof shows that is no error. */
const HAPPY = "happy";
const BEGIN = "<!-- operations: written by `npm run kms:table` -->";
const END = "<!-- end of operations -->";

export function isReport(value: unknown): value is Report {
  return typeof value === "object" && value !== null && Array.isArray((value as { testResults?: unknown }).testResults);
}

/** One row for each operation: whether it works, and which errors were shown. Throws if a failed test was to prove something. */
export function tableOf(report: Report): string {
  const found = new Map<string, { readonly shown: Set<string>; readonly documented: readonly string[] }>();
  for (const { assertionResults } of report.testResults) {
    for (const { status, meta } of assertionResults) {
      if (meta?.kms === undefined) continue;
      const { operation, shows, documented } = meta.kms;
      if (status !== "passed") throw new Error(`a test of ${operation} did not pass: the table waits for it`);
      const row = found.get(operation) ?? { shown: new Set(), documented };
      row.shown.add(shows);
      found.set(operation, row);
    }
  }
  const rows = [...found]
    .toSorted(([one], [other]) => (one < other ? -1 : 1))
    .map(([operation, { shown, documented }]) => [
      operation,
      shown.has(HAPPY) ? "yes" : "no",
      listed([...shown].filter((code) => code !== HAPPY)),
      listed(documented.filter((code) => !shown.has(code))),
    ]);
  return render(["operation", "works", "errors shown", "documented, not shown"], rows);
}

/** Codes without the ending that they all have. */
const listed = (codes: readonly string[]): string =>
  codes
    .map((code) => code.replace(/Exception$/, ""))
    .toSorted()
    .join(", ");

/** The README with this table between its two markers. Throws when it has none. */
export function withTable(readme: string, table: string): string {
  const begin = readme.indexOf(BEGIN);
  const end = readme.indexOf(END);
  if (begin === -1 || end < begin) throw new Error(`the README has no place for the table: ${BEGIN} … ${END}`);
  return `${readme.slice(0, begin + BEGIN.length)}\n\n${table}\n\n${readme.slice(end)}`;
}

/** Columns padded as the formatter does. */
function render(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = head.map((name, column) => Math.max(name.length, ...rows.map((row) => (row[column] ?? "").length)));
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(" | ")} |`;
  return [line(head), line(widths.map((width) => "-".repeat(width))), ...rows.map(line)].join("\n");
}
