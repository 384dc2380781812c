import type { Reader, Table } from "../../../store/table.ts";
import type { AccessKeyUse } from "../access-key-use.ts";
import type { EntityRecord } from "../entities.ts";
import { iamValidationError } from "../errors.ts";
import { encodedDocument } from "../model.ts";
import { decodeMarker, encodeMarker, pageRoom } from "../pagination.ts";
import { ownPolicy, policiesOfService } from "../policy-lookup.ts";
import type { ManagedPolicy } from "../policy-lookup.ts";
import { useOf } from "../policy-use.ts";
import { groups, policies, roles, users } from "../records.ts";
import type { GroupRecord, RoleRecord, UserRecord } from "../records.ts";
import { describe, listAccess } from "../row.ts";
import type { Row } from "../row.ts";
import type {
  AttachedPolicy,
  EntityType,
  GroupDetail,
  ManagedPolicyDetail,
  PolicyDetail,
  RoleDetail,
  UserDetail,
} from "../shapes.generated.ts";
import { nameOf } from "./attachments.ts";
import { groupOut } from "./groups.ts";
import { profilesOf } from "./instance-profiles.ts";
import { policyOut } from "./policies.ts";
import { versionDocument, versionOut } from "./policy-versions.ts";
import { roleDetails, roleLastUsed, roleOut } from "./roles.ts";
import { userOut } from "./users.ts";

const LIST_CHUNK_COUNT = 50;

/** In the order in which pages go through them. */
const SECTIONS = ["User", "Group", "Role", "LocalManagedPolicy", "AWSManagedPolicy"] as const satisfies EntityType[];

/** Where a page starts: behind the entity of this name in this section. */
interface Position {
  readonly section: number;
  readonly after: string | undefined;
}

/** The lists of one answer while it is put together. */
interface Lists {
  readonly users: UserDetail[];
  readonly groups: GroupDetail[];
  readonly roles: RoleDetail[];
  readonly policies: ManagedPolicyDetail[];
}

/** One entity on its way into an answer. Shown only when it has a place there. */
interface Entry {
  readonly section: number;
  readonly key: string;
  /** Puts it in, and returns what it put. */
  readonly show: (lists: Lists) => Promise<object>;
}

interface Source {
  readonly read: Reader;
  readonly uses: AccessKeyUse;
  readonly accountId: string;
}

export const getAccountAuthorizationDetails = (uses: AccessKeyUse): Row<"GetAccountAuthorizationDetails", null> => ({
  event: "management",
  readOnly: true,
  describe,
  access: listAccess("iam:GetAccountAuthorizationDetails"),
  async handle({ call, read }, input) {
    const source: Source = { read, uses, accountId: call.principal.accountId };
    const room = pageRoom(input);
    const lists: Lists = { users: [], groups: [], roles: [], policies: [] };
    let last: Entry | null = null;
    let more = false;
    for await (const entry of entries(source, wantedSections(input.Filter), positionOf(decodeMarker(input)))) {
      more = room.isFull();
      if (more) break;
      room.take(await entry.show(lists));
      last = entry;
    }
    return {
      output: {
        UserDetailList: lists.users,
        GroupDetailList: lists.groups,
        RoleDetailList: lists.roles,
        Policies: lists.policies,
        ...(more && last !== null
          ? { IsTruncated: true, Marker: encodeMarker(`${last.section}:${last.key}`) }
          : { IsTruncated: false }),
      },
    };
  },
});

const wantedSections = (filter: readonly EntityType[] | undefined): readonly boolean[] =>
  SECTIONS.map((section) => filter === undefined || filter.length === 0 || filter.includes(section));

function positionOf(marker: string | null): Position {
  if (marker === null) return { section: 0, after: undefined };
  const match = /^([0-4]):(.{1,200})$/.exec(marker);
  if (match === null) throw iamValidationError("The specified value for Marker is not valid.");
  return { section: Number(match[1]), after: match[2] };
}

async function* entries(source: Source, wanted: readonly boolean[], from: Position): AsyncGenerator<Entry> {
  for (const [section] of SECTIONS.entries()) {
    if (section < from.section || wanted[section] !== true) continue;
    const after = section === from.section ? from.after : undefined;
    for await (const { key, show } of entriesOf(source, section, after)) yield { section, key, show };
  }
}

function entriesOf(source: Source, section: number, after: string | undefined): AsyncGenerator<Omit<Entry, "section">> {
  switch (SECTIONS[section]) {
    case "User":
      return entriesIn(source, users, after, async (user, to) => added(to.users, await userDetail(source, user)));
    case "Group":
      return entriesIn(source, groups, after, async (group, to) => added(to.groups, groupDetail(group)));
    case "Role":
      return entriesIn(source, roles, after, async (role, to) => added(to.roles, await roleDetail(source, role)));
    case "LocalManagedPolicy":
      return entriesIn(source, policies, after, async (record, to) =>
        added(to.policies, await policyDetail(source, ownPolicy(record))),
      );
    default:
      return policiesOfServiceInUse(source, after);
  }
}

function added<T>(list: T[], detail: T): T {
  list.push(detail);
  return detail;
}

async function* entriesIn<T>(
  { read, accountId }: Source,
  from: Table<T>,
  after: string | undefined,
  show: (record: T, lists: Lists) => Promise<object>,
): AsyncGenerator<Omit<Entry, "section">> {
  let last = after === undefined ? undefined : [accountId, after];
  let chunk: readonly { readonly id: readonly string[]; readonly value: T }[];
  do {
    chunk = await read.list(from, { prefix: [accountId], after: last, limit: LIST_CHUNK_COUNT });
    for (const { id, value } of chunk) {
      last = [...id];
      yield { key: id.at(-1) ?? "", show: (lists) => show(value, lists) };
    }
  } while (chunk.length === LIST_CHUNK_COUNT);
}

/** Of AWS's policies those that something in the account uses: nobody asks for the whole catalogue here. */
async function* policiesOfServiceInUse(
  source: Source,
  after: string | undefined,
): AsyncGenerator<Omit<Entry, "section">> {
  for (const policy of policiesOfService()) {
    if (after !== undefined && policy.policyName <= after) continue;
    const { attachmentCount, boundaryCount } = await useOf(source.read, source.accountId, policy.arn);
    if (attachmentCount + boundaryCount === 0) continue;
    yield {
      key: policy.policyName,
      show: async (lists) => added(lists.policies, await policyDetail(source, policy)),
    };
  }
}

const inlineDetails = ({ inlinePolicies }: EntityRecord): readonly PolicyDetail[] =>
  inlinePolicies.map(({ name, document }) => ({ PolicyName: name, PolicyDocument: encodedDocument(document) }));

const attachedDetails = ({ attachedPolicyArns }: EntityRecord): readonly AttachedPolicy[] =>
  attachedPolicyArns.map((arn) => ({ PolicyName: nameOf(arn), PolicyArn: arn }));

async function userDetail({ read, accountId }: Source, user: UserRecord): Promise<UserDetail> {
  const found = await Promise.all((user.groupNames ?? []).map((name) => read.get(groups, [accountId, name])));
  return {
    ...userOut(user, "full"),
    UserPolicyList: inlineDetails(user),
    GroupList: found.flatMap((group) => (group === null ? [] : [group.groupName])),
    AttachedManagedPolicies: attachedDetails(user),
  };
}

const groupDetail = (group: GroupRecord): GroupDetail => ({
  ...groupOut(group),
  GroupPolicyList: inlineDetails(group),
  AttachedManagedPolicies: attachedDetails(group),
});

async function roleDetail({ read, uses }: Source, role: RoleRecord): Promise<RoleDetail> {
  const { Description: _, MaxSessionDuration: __, ...shown } = await roleOut(read, role);
  return {
    ...shown,
    ...roleDetails(role),
    ...roleLastUsed(await uses.lastUseOfRole(read, role)),
    InstanceProfileList: await profilesOf(read, role),
    RolePolicyList: inlineDetails(role),
    AttachedManagedPolicies: attachedDetails(role),
  };
}

async function policyDetail({ read, accountId }: Source, policy: ManagedPolicy): Promise<ManagedPolicyDetail> {
  const versions = await Promise.all(
    policy.versions.map(async (version) => ({ version, document: await versionDocument(read, policy, version) })),
  );
  return {
    ...(await policyOut(read, accountId, policy, "listed")),
    ...(policy.description === "" ? {} : { Description: policy.description }),
    PolicyVersionList: versions.flatMap(({ version, document }) =>
      document === null ? [] : [{ Document: encodedDocument(document), ...versionOut(policy, version) }],
    ),
  };
}
