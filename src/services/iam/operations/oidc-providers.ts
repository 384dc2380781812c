import type { ContextValues } from "../../../authz/types.ts";
import type { Access, AuditResource, OperationContext } from "../../../gateway/contract.ts";
import { resourceTagContext } from "../entities.ts";
import { noSuchOidcProvider, oidcProviderExists } from "../entity-errors.ts";
import { invalidInput, quotaExceeded } from "../errors.ts";
import { isOidcProviderArn, oidcProviderArn, requireProviderUrl, withoutScheme } from "../oidc-url.ts";
import { pageOfList } from "../pagination.ts";
import { accounts, oidcProviders } from "../records.ts";
import type { OidcProviderRecord } from "../records.ts";
import { accountOf, creationChecks, describe, listAccess, requestTagContext, responseElements } from "../row.ts";
import type { Row } from "../row.ts";
import type { Tag } from "../shapes.generated.ts";
import { tagsFrom, tagsOut, tagsWithout } from "../tags.ts";

/** IAM User Guide, "IAM and AWS STS quotas". */
export const OIDC_PROVIDERS_PER_ACCOUNT_MAX = 100;
const CLIENT_IDS_MAX = 100;
const THUMBPRINTS_MAX = 5;
/** SHA-1, in hexadecimal digits. */
const THUMBPRINT = /^[0-9A-Fa-f]{40}$/;

type ProviderNamed = { readonly OpenIDConnectProviderArn: string };

/** A provider as a request names it; the record is null when there is none. */
interface ProviderTarget {
  readonly arn: string;
  readonly provider: OidcProviderRecord | null;
}

function existingProvider(target: ProviderTarget): OidcProviderRecord {
  if (target.provider === null) throw noSuchOidcProvider(target.arn);
  return target.provider;
}

const providerResource = ({ arn, accountId }: OidcProviderRecord): AuditResource => ({
  type: "AWS::IAM::OIDCProvider",
  arn,
  accountId,
});

const putProvider = (provider: OidcProviderRecord) => oidcProviders.put([provider.accountId, provider.arn], provider);

/** Access to one provider. That of another account is as good as absent. */
function providerAccess<Input extends ProviderNamed>(
  action: string,
  extra: (input: Input) => ContextValues = () => ({}),
): (context: OperationContext, input: Input) => Promise<Access<ProviderTarget>> {
  return async ({ call, read }, input) => {
    const { accountId } = call.principal;
    const arn = input.OpenIDConnectProviderArn;
    if (!isOidcProviderArn(arn)) throw invalidInput(`ARN ${arn} is not valid.`);
    const provider = await read.get(oidcProviders, [accountId, arn]);
    return {
      target: { arn, provider },
      checks: [
        {
          action,
          resource: arn,
          resourceAccountId: accountId,
          context: { ...resourceTagContext(provider?.tags ?? []), ...extra(input) },
        },
      ],
    };
  };
}

/** Each once, in the order given. */
function clientIdsFrom(given: readonly string[]): readonly string[] {
  const clientIds = [...new Set(given)];
  if (clientIds.length > CLIENT_IDS_MAX) throw quotaExceeded("ClientIdsPerOpenIdConnectProvider", CLIENT_IDS_MAX);
  return clientIds;
}

function thumbprintsFrom(given: readonly string[]): readonly string[] {
  if (given.length > THUMBPRINTS_MAX) throw invalidInput("Thumbprint list must contain fewer than 5 entries.");
  if (!given.every((thumbprint) => THUMBPRINT.test(thumbprint))) {
    throw invalidInput("A thumbprint has 40 hexadecimal digits.");
  }
  return [...new Set(given.map((thumbprint) => thumbprint.toLowerCase()))];
}

export const createOidcProvider: Row<"CreateOpenIDConnectProvider", string> = {
  event: "management",
  readOnly: false,
  describe,
  async access({ call }, input) {
    const { accountId } = call.principal;
    requireProviderUrl(input.Url);
    const arn = oidcProviderArn(accountId, input.Url);
    return {
      target: arn,
      checks: creationChecks(
        { action: "iam:CreateOpenIDConnectProvider", resource: arn, resourceAccountId: accountId },
        "iam:TagOpenIDConnectProvider",
        input.Tags,
      ),
    };
  },
  async handle({ call, read }, input, arn) {
    const { accountId } = call.principal;
    const provider: OidcProviderRecord = {
      accountId,
      arn,
      url: input.Url,
      clientIds: clientIdsFrom(input.ClientIDList ?? []),
      thumbprints: thumbprintsFrom(input.ThumbprintList ?? []),
      createdMs: call.nowMs,
      tags: tagsFrom([], input.Tags ?? []),
    };
    if ((await read.get(oidcProviders, [accountId, arn])) !== null) throw oidcProviderExists(input.Url);
    const account = await accountOf(read, accountId);
    const count = account.oidcProviderCount ?? 0;
    if (count >= OIDC_PROVIDERS_PER_ACCOUNT_MAX) {
      throw quotaExceeded("OpenIdConnectProvidersPerAccount", OIDC_PROVIDERS_PER_ACCOUNT_MAX);
    }
    const output = {
      OpenIDConnectProviderArn: arn,
      ...(provider.tags.length > 0 ? { Tags: tagsOut(provider.tags) } : {}),
    };
    return {
      output,
      writes: [putProvider(provider), accounts.put([accountId], { ...account, oidcProviderCount: count + 1 })],
      audit: { responseElements: responseElements(output), resources: [providerResource(provider)] },
    };
  },
};

export const getOidcProvider: Row<"GetOpenIDConnectProvider", ProviderTarget> = {
  event: "management",
  readOnly: true,
  describe,
  access: providerAccess("iam:GetOpenIDConnectProvider"),
  async handle(_context, _input, target) {
    const provider = existingProvider(target);
    return {
      output: {
        Url: withoutScheme(provider.url),
        ClientIDList: provider.clientIds,
        ThumbprintList: provider.thumbprints,
        CreateDate: provider.createdMs,
        Tags: tagsOut(provider.tags),
      },
      audit: { resources: [providerResource(provider)] },
    };
  },
};

export const listOidcProviders: Row<"ListOpenIDConnectProviders", null> = {
  event: "management",
  readOnly: true,
  describe,
  access: listAccess("iam:ListOpenIDConnectProviders"),
  async handle({ call, read }) {
    const prefix = [call.principal.accountId];
    const found = await read.list(oidcProviders, { prefix, limit: OIDC_PROVIDERS_PER_ACCOUNT_MAX });
    return { output: { OpenIDConnectProviderList: found.map(({ value }) => ({ Arn: value.arn })) } };
  },
};

export const deleteOidcProvider: Row<"DeleteOpenIDConnectProvider", ProviderTarget> = {
  event: "management",
  readOnly: false,
  describe,
  access: providerAccess("iam:DeleteOpenIDConnectProvider"),
  async handle({ call, read }, _input, { provider }) {
    // Deleting what is not there is no error (IAM API Reference, DeleteOpenIDConnectProvider).
    if (provider === null) return { output: {} };
    const { accountId } = call.principal;
    const account = await accountOf(read, accountId);
    const oidcProviderCount = Math.max(0, (account.oidcProviderCount ?? 0) - 1);
    return {
      output: {},
      writes: [
        oidcProviders.remove([accountId, provider.arn]),
        accounts.put([accountId], { ...account, oidcProviderCount }),
      ],
      audit: { resources: [providerResource(provider)] },
    };
  },
};

/** A row that changes a provider and answers nothing. */
const changes = <Input extends ProviderNamed>(
  action: string,
  change: (provider: OidcProviderRecord, input: Input) => OidcProviderRecord,
  extra?: (input: Input) => ContextValues,
) => ({
  event: "management" as const,
  readOnly: false,
  describe,
  access: providerAccess<Input>(action, extra),
  async handle(_context: OperationContext, input: Input, target: ProviderTarget) {
    const provider = existingProvider(target);
    return {
      output: {},
      writes: [putProvider(change(provider, input))],
      audit: { resources: [providerResource(provider)] },
    };
  },
});

type ClientNamed = ProviderNamed & { readonly ClientID: string };

/** Adding one that is there, and removing one that is not, are no errors (IAM API Reference). */
export const addClientId: Row<"AddClientIDToOpenIDConnectProvider", ProviderTarget> = changes<ClientNamed>(
  "iam:AddClientIDToOpenIDConnectProvider",
  (provider, { ClientID }) => ({ ...provider, clientIds: clientIdsFrom([...provider.clientIds, ClientID]) }),
);

export const removeClientId: Row<"RemoveClientIDFromOpenIDConnectProvider", ProviderTarget> = changes<ClientNamed>(
  "iam:RemoveClientIDFromOpenIDConnectProvider",
  (provider, { ClientID }) => ({ ...provider, clientIds: provider.clientIds.filter((id) => id !== ClientID) }),
);

export const updateThumbprints: Row<"UpdateOpenIDConnectProviderThumbprint", ProviderTarget> = changes<
  ProviderNamed & { readonly ThumbprintList: readonly string[] }
>("iam:UpdateOpenIDConnectProviderThumbprint", (provider, { ThumbprintList }) => ({
  ...provider,
  thumbprints: thumbprintsFrom(ThumbprintList),
}));

export const tagOidcProvider: Row<"TagOpenIDConnectProvider", ProviderTarget> = changes<
  ProviderNamed & { readonly Tags: readonly Tag[] }
>(
  "iam:TagOpenIDConnectProvider",
  (provider, { Tags }) => ({ ...provider, tags: tagsFrom(provider.tags, Tags) }),
  ({ Tags }) => requestTagContext(Tags),
);

export const untagOidcProvider: Row<"UntagOpenIDConnectProvider", ProviderTarget> = changes<
  ProviderNamed & { readonly TagKeys: readonly string[] }
>(
  "iam:UntagOpenIDConnectProvider",
  (provider, { TagKeys }) => ({ ...provider, tags: tagsWithout(provider.tags, TagKeys) }),
  ({ TagKeys }) => ({ "aws:TagKeys": TagKeys }),
);

export const listOidcProviderTags: Row<"ListOpenIDConnectProviderTags", ProviderTarget> = {
  event: "management",
  readOnly: true,
  describe,
  access: providerAccess("iam:ListOpenIDConnectProviderTags"),
  async handle(_context, input, target) {
    const { items, tail } = pageOfList(existingProvider(target).tags, ({ key }) => key, input);
    return { output: { Tags: tagsOut(items), ...tail } };
  },
};
