import { dirname, posix } from "node:path";
import { isTest, PACKAGES, roomOf, serviceOf } from "./laws.ts";
import type { Violation } from "./rules.ts";
import { lineAt, type SourceFile } from "./source.ts";

interface Import {
  readonly from: SourceFile;
  readonly line: number;
  readonly specifier: string;
  /** Erased at run time: `import type` or `export type … from`. */
  readonly typeOnly: boolean;
}

const NAMED = String.raw`(?:\*(?:\s+as\s+[\w$]+)?|\{[^}]*\}|[\w$]+(?:\s*,\s*(?:\{[^}]*\}|\*\s+as\s+[\w$]+))?)`;
const STATIC = new RegExp(String.raw`\b(?:import|export)\s+(type\s+)?${NAMED}\s*from\s*["']`, "g");
const SIDE_EFFECT = /\bimport\s*["']/g;
const DYNAMIC = /\b(?:import|require)\s*\(\s*["'`]/g;

/** Every import of a file, re-exports and dynamic ones included. */
export function importsOf(file: SourceFile): readonly Import[] {
  const found: Import[] = [];
  const add = (match: RegExpExecArray, typeOnly: boolean): void => {
    // Strings are blank in `code` but stand at the same place in `text`.
    const start = match.index + match[0].length;
    const quote = file.text.charAt(start - 1);
    const specifier = file.text.slice(start, file.text.indexOf(quote, start));
    found.push({ from: file, line: lineAt(file, match.index), specifier, typeOnly });
  };
  for (const match of file.code.matchAll(STATIC)) add(match, match[1] !== undefined);
  for (const match of file.code.matchAll(SIDE_EFFECT)) add(match, false);
  for (const match of file.code.matchAll(DYNAMIC)) add(match, false);
  return found;
}

/** The import laws over a whole tree: rooms, packages, missing targets and cycles. */
export function checkImports(files: readonly SourceFile[]): readonly Violation[] {
  const sources = files.filter((file) => file.path.endsWith(".ts"));
  const known = new Set(sources.map((file) => file.path));
  const edges = new Map<string, Import[]>();
  const found: Violation[] = [];

  for (const file of sources) {
    const room = roomOf(file.path);
    if (room === undefined) {
      found.push({
        path: file.path,
        line: 1,
        rule: "rooms",
        message:
          "no room of the design holds this file: move it, or add its room to tools/tidy/laws.ts with a decision record",
      });
      continue;
    }
    for (const entry of importsOf(file)) {
      const target = resolve(entry, known);
      const message = target === null ? checkPackage(entry) : checkRooms(entry, target);
      if (message !== null) found.push({ path: file.path, line: entry.line, rule: "imports", message });
      if (target !== null) edges.set(file.path, [...(edges.get(file.path) ?? []), { ...entry, specifier: target }]);
    }
  }
  return [...found, ...findCycles(edges)];
}

/** Path of the imported file within the tree, or null for a package. */
function resolve(entry: Import, known: ReadonlySet<string>): string | null {
  if (!entry.specifier.startsWith(".")) return null;
  const path = posix.join(dirname(entry.from.path), entry.specifier);
  return known.has(path) ? path : path.replace(/\.js$/, ".ts");
}

function checkPackage(entry: Import): string | null {
  for (const { name, allowed, instead } of PACKAGES) {
    if (name.test(entry.specifier) && !allowed.test(entry.from.path))
      return `"${entry.specifier}" does not belong here: ${instead}`;
  }
  return null;
}

function checkRooms(entry: Import, target: string): string | null {
  const from = roomOf(entry.from.path);
  const to = roomOf(target);
  if (from === undefined || to === undefined) return null;

  const ownService = serviceOf(entry.from.path);
  const otherService = serviceOf(target);
  if (ownService !== undefined && otherService !== undefined && ownService !== otherService) {
    return `services/${ownService} may not import services/${otherService}: reach it through a port handed in by main.ts`;
  }
  if (from.name === to.name || from.values.includes("*") || from.values.includes(to.name)) return null;
  // Black-box suites stay outside; tests beside the code may build what it works with.
  if (isTest(entry.from.path) && entry.from.path.startsWith("src/") && !["cli", "bench", "main"].includes(to.name))
    return null;
  if (isTest(entry.from.path) && ["bench", "tools"].includes(from.name)) return null;

  const asType = from.types.includes(to.name) || from.types.includes(target);
  if (asType && entry.typeOnly) return null;
  if (asType)
    return `${from.name} may import only types of ${target}: write \`import type\`, and have main.ts hand the value in`;
  const allowed = [...from.values, ...from.types.map((name) => `types of ${name}`)];
  return `${from.name} may not import ${to.name}, only ${allowed.length === 0 ? "itself" : allowed.join(", ")}`;
}

/** Import cycles, types included: what can't be read one file after the other can't be understood so either. */
function findCycles(edges: ReadonlyMap<string, readonly Import[]>): readonly Violation[] {
  const found: Violation[] = [];
  const done = new Set<string>();
  const path: string[] = [];
  const visit = (file: string): void => {
    if (done.has(file)) return;
    path.push(file);
    for (const entry of edges.get(file) ?? []) {
      const start = path.indexOf(entry.specifier);
      if (start === -1) visit(entry.specifier);
      else {
        const cycle = [...path.slice(start), entry.specifier].join(" -> ");
        const message = `import cycle ${cycle}: move what both need into a file of its own`;
        found.push({ path: file, line: entry.line, rule: "cycles", message });
      }
    }
    path.pop();
    done.add(file);
  };
  for (const file of edges.keys()) visit(file);
  return found;
}
