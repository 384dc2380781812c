import { describe, expect, test } from "vitest";
import { type Report, tableOf, withTable } from "./kms-table/table.ts";

const report = (...proofs: readonly (readonly [string, string, string])[]): Report => ({
  testResults: [
    {
      assertionResults: [
        ...proofs.map(([operation, shows, status]) => ({
          status,
          meta: { kms: { operation, shows, documented: ["NotFoundException", "DryRunOperationException"] } },
        })),
        { status: "failed", meta: {} },
        { status: "passed" },
      ],
    },
  ],
});

describe("the table of operations", () => {
  test("has one row for each operation, with the errors in order and once, and what is left to show", () => {
    const table = tableOf(
      report(
        ["Sign", "happy", "passed"],
        ["Sign", "NotFoundException", "passed"],
        ["Sign", "DisabledException", "passed"],
        ["Sign", "DisabledException", "passed"],
        ["Decrypt", "NotFoundException", "passed"],
      ),
    );
    const rows = table.split("\n").map((row) =>
      row
        .split("|")
        .slice(1, -1)
        .map((cell) => cell.trim()),
    );
    expect(rows.slice(2)).toEqual([
      ["Decrypt", "no", "NotFound", "DryRunOperation"],
      ["Sign", "yes", "Disabled, NotFound", "DryRunOperation"],
    ]);
  });

  test("is not made of what failed", () => {
    expect(() => tableOf(report(["Sign", "happy", "failed"]))).toThrow("did not pass");
  });

  test("replaces what stood between the markers, and nothing else", () => {
    const begin = "<!-- operations: written by `npm run kms:table` -->";
    const end = "<!-- end of operations -->";
    const readme = `before\n${begin}\nold\n${end}\nafter\n`;
    const once = withTable(readme, "| new |");
    expect(once).toBe(`before\n${begin}\n\n| new |\n\n${end}\nafter\n`);
    expect(withTable(once, "| new |")).toBe(once);
    expect(() => withTable("no markers", "| new |")).toThrow("no place");
  });
});
