import { dataDirectory } from "../config.ts";

/** Which stream of which server. */
export interface StreamOptions {
  readonly dataDir?: string;
  readonly stream: string;
  readonly region?: string;
  readonly account?: string;
  readonly json?: boolean;
}

/** The same, as the admin socket takes it. */
export const chosenStream = ({ stream, region, account }: StreamOptions): Record<string, unknown> => ({
  stream,
  ...(region === undefined ? {} : { region }),
  ...(account === undefined ? {} : { accountId: account }),
});

export const directoryOf = (options: { readonly dataDir?: string }): string => dataDirectory(options.dataDir);

/** Says on a terminal how far something is; elsewhere nothing. `end` removes what was said. */
export function progressLine(): { readonly say: (text: string) => void; readonly end: () => void } {
  const { stderr } = process;
  if (!stderr.isTTY) return { say: () => undefined, end: () => undefined };
  return {
    say: (text) => void stderr.write(`\r\u001b[K${text}`),
    end: () => void stderr.write("\r\u001b[K"),
  };
}

/** `done` of `total` as a percentage; nothing to do is all done. */
export const percent = (done: number, total: number): string =>
  `${total === 0 ? 100 : Math.min(100, Math.floor((done / total) * 100))} %`;

/** Rows under a head, each column as wide as its widest cell; those named by `right` stand flush right. */
export function tableText(rows: readonly (readonly string[])[], right: readonly number[] = []): string {
  const widths = (rows[0] ?? []).map((_, at) => Math.max(...rows.map((row) => (row[at] ?? "").length)));
  const padded = (cell: string, at: number): string =>
    right.includes(at) ? cell.padStart(widths[at] ?? 0) : cell.padEnd(widths[at] ?? 0);
  return rows.map((row) => `${row.map(padded).join("  ").trimEnd()}\n`).join("");
}

/** `1.5 MiB`. */
export function sizeText(bytes: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let value = bytes;
  let unit = 0;
  for (; value >= 1024 && unit < units.length - 1; unit++) value /= 1024;
  return `${unit === 0 ? value : value.toFixed(1)} ${units[unit] ?? ""}`;
}
