import { readFileSync } from "node:fs";

/**
 * The example of a page in docs/formats: the lines `name = value` of its fenced blocks marked `example`. A value that
 * continues on indented lines is joined.
 */
export function formatExample(page: string): (name: string) => string {
  const text = readFileSync(new URL(`../../../docs/formats/${page}`, import.meta.url), "utf8");
  const values = new Map<string, string>();
  for (const [, block = ""] of text.matchAll(/```text example\n([^]*?)```/g)) {
    for (const line of block.replaceAll(/\n +/g, "").trim().split("\n")) {
      const [name = "", value = ""] = line.split(/ = (.*)/);
      values.set(name, value);
    }
  }
  return (name) => {
    const value = values.get(name);
    if (value === undefined) throw new Error(`${page} has no example called ${name}`);
    return value;
  };
}

/** As `formatExample`, for values in hexadecimal digits. */
export function formatExampleBytes(page: string): (name: string) => Buffer {
  const example = formatExample(page);
  return (name) => Buffer.from(example(name), "hex");
}
