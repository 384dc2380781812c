import { lstatSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** A form in which a secret could have been written down. */
interface Form {
  readonly name: string;
  readonly bytes: Buffer;
}

/**
 * Every way in which text commonly ends up in a file or a log: as it is, in base64 at each of the three alignments (only
 * the characters that don't depend on the neighbours), in both alphabets, in hex, and in UTF-16 of both byte orders.
 */
export function formsOf(secret: Uint8Array): readonly Form[] {
  const raw = Buffer.from(secret);
  const utf16 = Buffer.from(raw.toString("utf8"), "utf16le");
  const forms: Form[] = [
    { name: "raw", bytes: raw },
    { name: "hex", bytes: Buffer.from(raw.toString("hex")) },
    { name: "HEX", bytes: Buffer.from(raw.toString("hex").toUpperCase()) },
    { name: "UTF-16LE", bytes: utf16 },
    { name: "UTF-16BE", bytes: Buffer.from(utf16).swap16() },
  ];
  for (const alignment of [0, 1, 2]) {
    const shifted = Buffer.concat([Buffer.alloc(alignment), raw]);
    for (const encoding of ["base64", "base64url"] as const) {
      // The first characters hold bits of what stands before, the last ones bits of what follows.
      const steady = shifted
        .toString(encoding)
        .replace(/=+$/, "")
        .slice(alignment === 0 ? 0 : 4, -2);
      forms.push({ name: `${encoding}+${alignment}`, bytes: Buffer.from(steady) });
    }
  }
  return forms;
}

/** Which secrets occur in `haystack`, and how. */
export function findIn(
  haystack: Uint8Array | string,
  secrets: Readonly<Record<string, Uint8Array>>,
): readonly string[] {
  const bytes = typeof haystack === "string" ? Buffer.from(haystack, "utf8") : Buffer.from(haystack);
  return Object.entries(secrets).flatMap(([name, secret]) =>
    formsOf(secret)
      .filter((form) => bytes.includes(form.bytes))
      .map((form) => `${name} as ${form.name}`),
  );
}

/** Which secrets occur in any file below `directory`, and where. */
export function findBelow(directory: string, secrets: Readonly<Record<string, Uint8Array>>): readonly string[] {
  return readdirSync(directory, { recursive: true, encoding: "utf8" }).flatMap((name) => {
    const path = join(directory, name);
    const found = lstatSync(path).isFile() ? findIn(readFileSync(path), secrets) : [];
    return [...findIn(name, secrets), ...found].map((what) => `${name}: ${what}`);
  });
}
