import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** A file of the tree under inspection. Paths are relative to its root and use forward slashes. */
export interface SourceFile {
  readonly path: string;
  readonly text: string;
  readonly lines: readonly string[];
  /** TypeScript only: `text` with comments and the insides of strings and regular expressions blanked, offsets unchanged. */
  readonly code: string;
}

/** Not ours, not source, or (the last one) wrong on purpose. Paths from the root. */
const SKIPPED_DIRECTORIES: ReadonlySet<string> = new Set(["node_modules", "dist", ".git", ".bench", "tools/fixtures"]);

/** Reads every .ts and .md file below `root`, in path order. */
export function readTree(root: string): readonly SourceFile[] {
  const files: SourceFile[] = [];
  const walk = (directory: string): void => {
    const entries = readdirSync(join(root, directory), { withFileTypes: true });
    for (const entry of entries.toSorted((a, b) => (a.name < b.name ? -1 : 1))) {
      const path = directory === "" ? entry.name : `${directory}/${entry.name}`;
      if (entry.isDirectory()) {
        if (!SKIPPED_DIRECTORIES.has(path)) walk(path);
      } else if (/\.(ts|md)$/.test(entry.name)) {
        const text = readFileSync(join(root, path), "utf8");
        files.push({ path, text, lines: text.split("\n"), code: path.endsWith(".ts") ? blankProse(text) : "" });
      }
    }
  };
  walk("");
  return files;
}

/** Directories directly below `path`; none when it does not exist. */
export function directoriesIn(root: string, path: string): readonly string[] {
  try {
    const entries = readdirSync(join(root, path), { withFileTypes: true });
    return entries.filter((entry) => entry.isDirectory()).map((entry) => entry.name);
  } catch {
    return [];
  }
}

/** Line number, from 1, of an offset. */
export function lineAt(file: SourceFile, offset: number): number {
  let line = 1;
  for (let at = file.text.indexOf("\n"); at !== -1 && at < offset; at = file.text.indexOf("\n", at + 1)) line += 1;
  return line;
}

/** After these a slash begins a regular expression; after anything else it divides. */
const BEFORE_REGEX = /(?:^|[([{,;:=!&|?+\-*%~^<>]|\b(?:return|typeof|case|in|of|do|else|await|yield|void|delete))$/;

/**
 * Blanks what is not code, so that a rule never trips over a word in a comment or a message. Newlines, the quotes and
 * the code inside `${}` stay where they are.
 */
export function blankProse(text: string): string {
  const out: string[] = [];
  /** For each open `${`: how many braces were opened inside it. */
  const templates: number[] = [];
  let at = 0;
  const keep = (count: number): void => {
    out.push(text.slice(at, at + count));
    at += count;
  };
  const blankTo = (end: number): void => {
    out.push(text.slice(at, end).replaceAll(/[^\n]/g, " "));
    at = end;
  };
  const template = (): void => {
    let end = at;
    while (end < text.length && text[end] !== "`" && !text.startsWith("${", end)) end += text[end] === "\\" ? 2 : 1;
    blankTo(Math.min(end, text.length));
    if (text.startsWith("${", at)) {
      keep(2);
      templates.push(0);
    } else keep(1);
  };

  while (at < text.length) {
    const char = text.charAt(at);
    if (text.startsWith("//", at)) {
      const end = text.indexOf("\n", at);
      blankTo(end === -1 ? text.length : end);
    } else if (text.startsWith("/*", at)) {
      const end = text.indexOf("*/", at + 2);
      blankTo(end === -1 ? text.length : end + 2);
    } else if (char === '"' || char === "'") {
      keep(1);
      let end = at;
      while (end < text.length && text[end] !== char && text[end] !== "\n") end += text[end] === "\\" ? 2 : 1;
      blankTo(Math.min(end, text.length));
      keep(1);
    } else if (char === "`") {
      keep(1);
      template();
    } else if (char === "/" && BEFORE_REGEX.test(out.slice(-80).join("").trimEnd())) {
      keep(1);
      blankTo(endOfRegex(text, at));
    } else {
      const depth = templates.at(-1);
      if (depth !== undefined && char === "{") templates[templates.length - 1] = depth + 1;
      if (depth !== undefined && char === "}") {
        if (depth === 0) {
          templates.pop();
          keep(1);
          template();
          continue;
        }
        templates[templates.length - 1] = depth - 1;
      }
      keep(1);
    }
  }
  return out.join("");
}

/** Offset behind a regular expression whose first character stands at `at`. */
function endOfRegex(text: string, at: number): number {
  let inClass = false;
  let end = at;
  while (end < text.length && text[end] !== "\n") {
    const char = text[end];
    if (char === "\\") end += 1;
    else if (char === "[") inClass = true;
    else if (char === "]") inClass = false;
    else if (char === "/" && !inClass) return end + 1;
    end += 1;
  }
  return end;
}
