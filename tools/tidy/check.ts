import { checkDocuments } from "./documents.ts";
import { checkImports } from "./imports.ts";
import { checkFile, type Violation } from "./rules.ts";
import { readTree } from "./source.ts";

/** Everything that is against the laws in the tree below `root`, by path and line. */
export function tidy(root: string): readonly Violation[] {
  const files = readTree(root);
  const found = [...files.flatMap((file) => checkFile(file)), ...checkImports(files), ...checkDocuments(root, files)];
  return found.toSorted((a, b) => (a.path === b.path ? a.line - b.line : a.path < b.path ? -1 : 1));
}
