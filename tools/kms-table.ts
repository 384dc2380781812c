/**
 * `npm run kms:table`: writes into `src/services/kms/README.md` what the conformance suite proved of each operation. With
 * `--check` it writes nothing and exits 1 if the table is stale. The first argument is vitest's JSON report: only tests that
 * passed count, and only for what they recorded of themselves (`tests/conformance/kms/suite.ts`).
 */
import { readFileSync, writeFileSync } from "node:fs";
import { isReport, tableOf, withTable } from "./kms-table/table.ts";

const README = "src/services/kms/README.md";

const [reportPath = "", option] = process.argv.slice(2);
const report: unknown = JSON.parse(readFileSync(reportPath, "utf8"));
if (!isReport(report)) throw new Error(`${reportPath} is no JSON report of vitest`);
const readme = readFileSync(README, "utf8");
const wanted = withTable(readme, tableOf(report));
if (option === "--check") {
  if (wanted !== readme) {
    console.error(`${README}: the table of operations is stale. Run \`npm run kms:table\` and commit what it writes.`);
    process.exitCode = 1;
  }
} else {
  writeFileSync(README, wanted);
}
