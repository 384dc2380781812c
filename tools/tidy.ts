/** `npm run tidy`: checks the tree against the laws of the design. Prints what is wrong and what to do; exits 1 if anything is. */
import { tidy } from "./tidy/check.ts";

const found = tidy(process.argv[2] ?? process.cwd());
for (const { path, line, rule, message, warning } of found) {
  console.log(`${path}:${line}  ${warning === true ? "warning " : ""}${rule}  ${message}`);
}
const errorCount = found.filter((violation) => violation.warning !== true).length;
console.log(`tidy: ${errorCount} errors, ${found.length - errorCount} warnings`);
process.exitCode = errorCount === 0 ? 0 : 1;
