import type { OrganizationPlace } from "../../authz/context.ts";
import type { Reader } from "../../store/table.ts";
import { nodes, organizations, THE_ORGANIZATION } from "./records.ts";
import { findMember, pathOf } from "./tree.ts";

/** Where an account stands, for `aws:PrincipalOrgID` and its kin; null for an account that is not in the organization. */
export const organizationPlace =
  (read: Reader): ((accountId: string) => Promise<OrganizationPlace | null>) =>
  async (accountId) => {
    const organization = await read.get(organizations, THE_ORGANIZATION);
    const account = organization === null ? null : await findMember(read, accountId);
    if (organization === null || account === null) return null;
    const parent = await read.get(nodes, [account.parentId]);
    if (parent === null) return null;
    return { id: organization.organizationId, path: await pathOf(read, organization, parent) };
  };
