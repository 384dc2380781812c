import { randomBytes } from "node:crypto";
import type { Random } from "../../../base/random.ts";
import type { SecretBox } from "../../../envelope/secret-box.ts";
import { sealedText } from "../../../store/table.ts";
import type { Write } from "../../../store/metadata-store.ts";
import type { Reader } from "../../../store/table.ts";
import type { AccessKeyUse } from "../access-key-use.ts";
import { accessDenied, invalidInput, noSuchAccessKey, quotaExceeded } from "../errors.ts";
import { ACCESS_KEYS_PER_USER_MAX, foldedName, newAccessKeyId, userArn } from "../model.ts";
import { pageOfList } from "../pagination.ts";
import { accessKeys, accessKeyUses, accounts, users } from "../records.ts";
import type { AccessKeyOwner, AccessKeyRecord } from "../records.ts";
import { accountOf, describe, existing, ownerAccess, responseElements, userResource } from "../row.ts";
import type { OwnerTarget, Row } from "../row.ts";

/** The purpose under which secret access keys are sealed; the binding is the access key id. */
export const SECRET_PURPOSE = "iam.secret-access-key";

/** 30 bytes are 40 characters of base64: the length of AWS's secrets, 240 bits. */
const SECRET_ENTROPY_BYTES = 30;

/** Makes a new access key and the record that keeps its secret sealed. The secret leaves with the answer and is nowhere else. */
export function newAccessKey(
  deps: { readonly random: Random; readonly secretBox: SecretBox },
  accountId: string,
  owner: AccessKeyOwner,
  nowMs: number,
): { readonly record: AccessKeyRecord; readonly secretAccessKey: string } {
  const accessKeyId = newAccessKeyId(deps.random);
  const secretAccessKey = randomBytes(SECRET_ENTROPY_BYTES).toString("base64");
  const secret = new TextEncoder().encode(secretAccessKey);
  const sealed = deps.secretBox.seal(SECRET_PURPOSE, accessKeyId, secret);
  secret.fill(0);
  return {
    secretAccessKey,
    record: {
      accessKeyId,
      accountId,
      owner,
      sealedSecret: sealedText(sealed),
      status: "Active",
      createdMs: nowMs,
      version: deps.random.uuid(),
    },
  };
}

/** An owner with its keys, and how to write that they have changed. */
interface KeyRing {
  readonly owner: AccessKeyOwner;
  /** As answers name the owner; root goes by the account's name. */
  readonly shownName: string;
  readonly accessKeyIds: readonly string[];
  readonly put: (accessKeyIds: readonly string[]) => Write;
}

async function keyRing(read: Reader, accountId: string, target: OwnerTarget): Promise<KeyRing> {
  if (target.type === "root") {
    const account = await accountOf(read, accountId);
    return {
      owner: { type: "root" },
      shownName: account.name,
      accessKeyIds: account.rootAccessKeyIds,
      put: (rootAccessKeyIds) => accounts.put([accountId], { ...account, rootAccessKeyIds }),
    };
  }
  const user = existing(target);
  return {
    owner: { type: "user", userName: user.userName, userId: user.userId, arn: user.arn },
    shownName: user.userName,
    accessKeyIds: user.accessKeyIds,
    put: (accessKeyIds) => users.put([accountId, foldedName(user.userName)], { ...user, accessKeyIds }),
  };
}

async function ownedKey(read: Reader, ring: KeyRing, accessKeyId: string): Promise<AccessKeyRecord> {
  const key = ring.accessKeyIds.includes(accessKeyId) ? await read.get(accessKeys, [accessKeyId]) : null;
  if (key === null) throw noSuchAccessKey(accessKeyId);
  return key;
}

const ownerResources = (target: OwnerTarget) =>
  target.type === "root" || target.record === null ? [] : [userResource(target.record)];

export const createAccessKey = (deps: {
  readonly random: Random;
  readonly secretBox: SecretBox;
}): Row<"CreateAccessKey", OwnerTarget> => ({
  event: "management",
  readOnly: false,
  describe,
  access: ownerAccess("iam:CreateAccessKey"),
  async handle({ call, read }, _input, target) {
    const { accountId } = call.principal;
    const ring = await keyRing(read, accountId, target);
    if (ring.accessKeyIds.length >= ACCESS_KEYS_PER_USER_MAX) {
      throw quotaExceeded("AccessKeysPerUser", ACCESS_KEYS_PER_USER_MAX);
    }
    const { record, secretAccessKey } = newAccessKey(deps, accountId, ring.owner, call.nowMs);
    const shown = {
      UserName: ring.shownName,
      AccessKeyId: record.accessKeyId,
      Status: record.status,
      CreateDate: record.createdMs,
    };
    return {
      output: { AccessKey: { ...shown, SecretAccessKey: secretAccessKey } },
      writes: [accessKeys.put([record.accessKeyId], record), ring.put([...ring.accessKeyIds, record.accessKeyId])],
      audit: { responseElements: responseElements({ AccessKey: shown }), resources: ownerResources(target) },
    };
  },
});

export const deleteAccessKey: Row<"DeleteAccessKey", OwnerTarget> = {
  event: "management",
  readOnly: false,
  describe,
  access: ownerAccess("iam:DeleteAccessKey"),
  async handle({ call, read }, input, target) {
    const ring = await keyRing(read, call.principal.accountId, target);
    const key = await ownedKey(read, ring, input.AccessKeyId);
    return {
      output: {},
      writes: [
        accessKeys.remove([key.accessKeyId]),
        accessKeyUses.remove([key.accessKeyId]),
        ring.put(ring.accessKeyIds.filter((id) => id !== key.accessKeyId)),
      ],
      audit: { resources: ownerResources(target) },
    };
  },
};

export const updateAccessKey: Row<"UpdateAccessKey", OwnerTarget> = {
  event: "management",
  readOnly: false,
  describe,
  access: ownerAccess("iam:UpdateAccessKey"),
  async handle({ call, read }, input, target) {
    const ring = await keyRing(read, call.principal.accountId, target);
    const key = await ownedKey(read, ring, input.AccessKeyId);
    // The shape knows a third state, which only AWS itself sets.
    if (input.Status === "Expired") throw invalidInput("The status of an access key is Active or Inactive.");
    return {
      output: {},
      writes: [accessKeys.put([key.accessKeyId], { ...key, status: input.Status })],
      audit: { resources: ownerResources(target) },
    };
  },
};

export const listAccessKeys: Row<"ListAccessKeys", OwnerTarget> = {
  event: "management",
  readOnly: true,
  describe,
  access: ownerAccess("iam:ListAccessKeys"),
  async handle({ call, read }, input, target) {
    const ring = await keyRing(read, call.principal.accountId, target);
    const { items, tail } = pageOfList(ring.accessKeyIds, (id) => id, input);
    const keys = await Promise.all(items.map((id) => read.get(accessKeys, [id])));
    return {
      output: {
        AccessKeyMetadata: keys.flatMap((key) =>
          key === null
            ? []
            : [
                {
                  UserName: ring.shownName,
                  AccessKeyId: key.accessKeyId,
                  Status: key.status,
                  CreateDate: key.createdMs,
                },
              ],
        ),
        ...tail,
      },
      audit: { resources: ownerResources(target) },
    };
  },
};

const NOT_USED = "N/A";

export const getAccessKeyLastUsed = (uses: AccessKeyUse): Row<"GetAccessKeyLastUsed", AccessKeyRecord | null> => ({
  event: "management",
  readOnly: true,
  describe,
  async access({ call, read }, input) {
    const { accountId } = call.principal;
    const found = await read.get(accessKeys, [input.AccessKeyId]);
    const key = found?.accountId === accountId ? found : null;
    const anyUser = userArn(accountId, "/", "*");
    const resource = key?.owner.type === "user" ? key.owner.arn : anyUser;
    return {
      target: key,
      // A denial does not tell whose key it is, nor that there is such a key.
      checks: [{ action: "iam:GetAccessKeyLastUsed", resource, shownResource: anyUser, resourceAccountId: accountId }],
    };
  },
  async handle({ call, read }, input, key) {
    // AWS answers for absent keys and for those of other accounts alike, so that nobody learns which exist.
    if (key === null) {
      throw accessDenied(call.principal.arn, "iam:GetAccessKeyLastUsed", `access key ${input.AccessKeyId}`);
    }
    const account = key.owner.type === "root" ? await accountOf(read, key.accountId) : null;
    const use = await uses.lastUse(read, key.accessKeyId);
    return {
      output: {
        UserName: key.owner.type === "user" ? key.owner.userName : (account?.name ?? ""),
        AccessKeyLastUsed:
          use === null
            ? { ServiceName: NOT_USED, Region: NOT_USED }
            : { LastUsedDate: use.lastUsedMs, ServiceName: use.serviceName, Region: use.region },
      },
    };
  },
});
