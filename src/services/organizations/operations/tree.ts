import { childNotFound } from "../errors.ts";
import { pageOfList, pageOfTable } from "../pages.ts";
import { children, nodes } from "../records.ts";
import { managementRow, type Row } from "../row.ts";
import { requireParent } from "../tree.ts";

export const listParents: Row<"ListParents"> = managementRow("ListParents", {
  readOnly: true,
  on: ({ ChildId }) => [ChildId],
  async handle({ read }, input) {
    const child = await read.get(nodes, [input.ChildId]);
    const parent = child === null || child.parentId === null ? null : await read.get(nodes, [child.parentId]);
    if (parent === null || parent.type === "ACCOUNT") throw childNotFound();
    const { items, tail } = pageOfList([{ Id: parent.id, Type: parent.type }], input, `parents ${input.ChildId}`);
    return { output: { Parents: items, ...tail } };
  },
});

export const listChildren: Row<"ListChildren"> = managementRow("ListChildren", {
  readOnly: true,
  on: ({ ParentId }) => [ParentId],
  async handle({ read }, input) {
    const parent = await requireParent(read, input.ParentId);
    const { items, tail } = await pageOfTable(read, children, {
      prefix: [parent.id, input.ChildType],
      input,
      scope: `children ${parent.id} ${input.ChildType}`,
    });
    return { output: { Children: items.map(({ id }) => ({ Id: id, Type: input.ChildType })), ...tail } };
  },
});
