/** What an organization here never has, so that whoever asks is told of none. */
import { pageOfList, type PageRequest } from "../pages.ts";
import { managementRow, organizationOf, type Row } from "../row.ts";
import { describe } from "../event.ts";

/** Refuses a token that no page of an empty list can have given. */
const noPage = (input: PageRequest): void => void pageOfList([], input, "none");

export const listAwsServiceAccess: Row<"ListAWSServiceAccessForOrganization"> = managementRow(
  "ListAWSServiceAccessForOrganization",
  {
    readOnly: true,
    async handle(_context, input) {
      noPage(input);
      return { output: { EnabledServicePrincipals: [] } };
    },
  },
);

export const listDelegatedAdministrators: Row<"ListDelegatedAdministrators"> = managementRow(
  "ListDelegatedAdministrators",
  {
    readOnly: true,
    async handle(_context, input) {
      noPage(input);
      return { output: { DelegatedAdministrators: [] } };
    },
  },
);

export const listHandshakesForOrganization: Row<"ListHandshakesForOrganization"> = managementRow(
  "ListHandshakesForOrganization",
  {
    readOnly: true,
    async handle(_context, input) {
      noPage(input);
      return { output: { Handshakes: [] } };
    },
  },
);

/** Of the caller's own account: a member may ask, too. */
export const listHandshakesForAccount: Row<"ListHandshakesForAccount"> = {
  event: "management",
  readOnly: true,
  describe,
  async access({ call, read }) {
    const { accountId } = call.principal;
    return {
      target: await organizationOf(read),
      checks: [{ action: "organizations:ListHandshakesForAccount", resource: "*", resourceAccountId: accountId }],
    };
  },
  async handle(_context, input) {
    noPage(input);
    return { output: { Handshakes: [] } };
  },
};
