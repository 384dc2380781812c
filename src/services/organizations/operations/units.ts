import type { Random } from "../../../base/random.ts";
import { constraintViolation, duplicateUnit, unitNotEmpty, unitNotFound } from "../errors.ts";
import { responseElements } from "../event.ts";
import { FULL_ACCESS_ID, nameKey, newUnitId, UNIT_DEPTH_MAX, UNITS_MAX } from "../model.ts";
import { pageOfTable } from "../pages.ts";
import { releaseAttached } from "../policy-use.ts";
import { children, nodes, organizations, THE_ORGANIZATION, type UnitRecord, unitNames } from "../records.ts";
import { managementRow, type Row } from "../row.ts";
import type { OrganizationalUnit } from "../shapes.generated.ts";
import { tagsWith } from "../tags.ts";
import { attachChild, detachChild, findUnit, requireParent, unitOut } from "../tree.ts";

export const createOrganizationalUnit = (random: Random): Row<"CreateOrganizationalUnit"> =>
  managementRow("CreateOrganizationalUnit", {
    readOnly: false,
    on: ({ ParentId }) => [ParentId],
    tags: ({ Tags }) => Tags,
    makes: "ou",
    async handle({ call, read }, input, organization) {
      const parent = await requireParent(read, input.ParentId);
      const depth = (parent.type === "ROOT" ? 0 : parent.depth) + 1;
      if (depth > UNIT_DEPTH_MAX) {
        throw constraintViolation("OU_DEPTH_LIMIT_EXCEEDED", `Units can be ${UNIT_DEPTH_MAX} levels deep at most.`);
      }
      if (organization.unitCount >= UNITS_MAX) {
        throw constraintViolation("OU_NUMBER_LIMIT_EXCEEDED", `An organization has at most ${UNITS_MAX} units.`);
      }
      const nameId = [parent.id, nameKey(input.Name)];
      if ((await read.get(unitNames, nameId)) !== null) throw duplicateUnit();
      const unit: UnitRecord = {
        type: "ORGANIZATIONAL_UNIT",
        id: newUnitId(random, organization.rootId),
        parentId: parent.id,
        name: input.Name,
        createdMs: call.nowMs,
        tags: tagsWith([], input.Tags),
        depth,
        childCount: 0,
        policyIds: [FULL_ACCESS_ID],
        policyEpoch: organization.policyEpoch,
      };
      const output = { OrganizationalUnit: await unitOut(read, organization, unit) };
      return {
        output,
        writes: [
          nodes.put([unit.id], unit),
          unitNames.put(nameId, { id: unit.id }),
          ...attachChild(parent, unit),
          organizations.put(THE_ORGANIZATION, { ...organization, unitCount: organization.unitCount + 1 }),
        ],
        audit: responseElements(output),
      };
    },
  });

export const describeOrganizationalUnit: Row<"DescribeOrganizationalUnit"> = managementRow(
  "DescribeOrganizationalUnit",
  {
    readOnly: true,
    on: ({ OrganizationalUnitId }) => [OrganizationalUnitId],
    async handle({ read }, input, organization) {
      const unit = await findUnit(read, input.OrganizationalUnitId);
      if (unit === null) throw unitNotFound();
      return { output: { OrganizationalUnit: await unitOut(read, organization, unit) } };
    },
  },
);

export const updateOrganizationalUnit: Row<"UpdateOrganizationalUnit"> = managementRow("UpdateOrganizationalUnit", {
  readOnly: false,
  on: ({ OrganizationalUnitId }) => [OrganizationalUnitId],
  async handle({ read }, input, organization) {
    const unit = await findUnit(read, input.OrganizationalUnitId);
    if (unit === null) throw unitNotFound();
    const after: UnitRecord = { ...unit, name: input.Name ?? unit.name };
    const output = { OrganizationalUnit: await unitOut(read, organization, after) };
    if (after.name === unit.name) return { output, audit: responseElements(output) };
    const nameId = [unit.parentId, nameKey(after.name)];
    if ((await read.get(unitNames, nameId)) !== null) throw duplicateUnit();
    return {
      output,
      writes: [
        nodes.put([unit.id], after),
        unitNames.remove([unit.parentId, nameKey(unit.name)]),
        unitNames.put(nameId, { id: unit.id }),
      ],
      audit: responseElements(output),
    };
  },
});

export const deleteOrganizationalUnit: Row<"DeleteOrganizationalUnit"> = managementRow("DeleteOrganizationalUnit", {
  readOnly: false,
  on: ({ OrganizationalUnitId }) => [OrganizationalUnitId],
  async handle({ read }, input, organization) {
    const unit = await findUnit(read, input.OrganizationalUnitId);
    if (unit === null) throw unitNotFound();
    if (unit.childCount > 0) throw unitNotEmpty();
    return {
      output: {},
      writes: [
        nodes.remove([unit.id]),
        unitNames.remove([unit.parentId, nameKey(unit.name)]),
        ...detachChild(await requireParent(read, unit.parentId), unit),
        ...(await releaseAttached(read, organization, unit)),
        organizations.put(THE_ORGANIZATION, { ...organization, unitCount: organization.unitCount - 1 }),
      ],
    };
  },
});

export const listOrganizationalUnitsForParent: Row<"ListOrganizationalUnitsForParent"> = managementRow(
  "ListOrganizationalUnitsForParent",
  {
    readOnly: true,
    on: ({ ParentId }) => [ParentId],
    async handle({ read }, input, organization) {
      const parent = await requireParent(read, input.ParentId);
      const prefix = [parent.id, "ORGANIZATIONAL_UNIT"];
      const { items, tail } = await pageOfTable(read, children, { prefix, input, scope: `units ${parent.id}` });
      const units: OrganizationalUnit[] = [];
      for (const { id } of items) {
        const unit = await findUnit(read, id);
        if (unit !== null) units.push(await unitOut(read, organization, unit));
      }
      return { output: { OrganizationalUnits: units, ...tail } };
    },
  },
);
