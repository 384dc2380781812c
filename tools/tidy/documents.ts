import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import type { Violation } from "./rules.ts";
import { directoriesIn, type SourceFile } from "./source.ts";

/** Links in documents lead somewhere, and every service's room is furnished. */
export function checkDocuments(root: string, files: readonly SourceFile[]): readonly Violation[] {
  return [
    ...files.filter((file) => file.path.endsWith(".md")).flatMap((file) => checkLinks(root, file)),
    ...checkServices(root),
  ];
}

function checkLinks(root: string, file: SourceFile): readonly Violation[] {
  const found: Violation[] = [];
  let inFence = false;
  for (const [index, line] of file.lines.entries()) {
    if (line.trimStart().startsWith("```")) inFence = !inFence;
    if (inFence) continue;
    const prose = line.replaceAll(/`[^`]*`/g, "");
    for (const [, target = ""] of prose.matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^([a-z]+:|#)/.test(target)) continue;
      const path = target.replace(/#.*$/, "");
      if (existsSync(join(root, dirname(file.path), path))) continue;
      found.push({
        path: file.path,
        line: index + 1,
        rule: "links",
        message: `${target} does not exist: mend or remove the link`,
      });
    }
  }
  return found;
}

function checkServices(root: string): readonly Violation[] {
  return directoriesIn(root, "src/services").flatMap((service) =>
    ["README.md", "api.ts"]
      .filter((name) => !existsSync(join(root, "src/services", service, name)))
      .map((name) => ({
        path: `src/services/${service}/${name}`,
        line: 1,
        rule: "service-rooms",
        message: `missing: every service has its table (api.ts) and says what it serves and how it differs from AWS (README.md)`,
      })),
  );
}
