import { expect, test } from "vitest";
import { PAGE_LENGTH_MAX, pageOfList, pageOfNames, pageRoom } from "./pagination.ts";

test("a page has room for what was asked for, and for no more bytes than a megabyte and its last item", () => {
  const byCount = pageRoom({ MaxItems: 2 });
  byCount.take("a");
  expect(byCount.isFull()).toBe(false);
  byCount.take("b");
  expect(byCount.isFull()).toBe(true);
  const byLength = pageRoom({ MaxItems: 1_000 });
  // Two bytes each.
  byLength.take("é".repeat(PAGE_LENGTH_MAX / 2 - 2));
  expect(byLength.isFull()).toBe(false);
  byLength.take("é");
  expect(byLength.isFull()).toBe(true);
});

test("a list whose items are long is cut where they get too long, and goes on behind that", async () => {
  const long = (name: string): string => name.repeat(400_000);
  const names = ["d", "a", "c", "b"];
  const show = async (name: string) => (name === "b" ? null : long(name));
  const first = await pageOfNames(names, {}, show);
  expect(first).toEqual({ items: [long("a"), long("c"), long("d")], tail: { IsTruncated: false } });
  const list = [...names, "e"].map(long);
  const cut = pageOfList(list, (item) => item.charAt(0), {});
  expect(cut.items.map((item) => item.charAt(0))).toEqual(["a", "b", "c"]);
  expect(cut.tail.IsTruncated).toBe(true);
  const rest = pageOfList(list, (item) => item.charAt(0), { Marker: cut.tail.Marker });
  expect(rest.items.map((item) => item.charAt(0))).toEqual(["d", "e"]);
  expect(rest.tail).toEqual({ IsTruncated: false });
});
