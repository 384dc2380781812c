import type { Credential, CredentialSource } from "../../authn/credentials.ts";
import { accountRootArn } from "../../base/arn.ts";
import type { SecretBox } from "../../envelope/secret-box.ts";
import type { Principal } from "../../gateway/contract.ts";
import { sealedBytes } from "../../store/table.ts";
import type { Reader } from "../../store/table.ts";
import { SECRET_PURPOSE } from "./operations/access-keys.ts";
import { accessKeys } from "./records.ts";
import type { AccessKeyRecord } from "./records.ts";

/** Long enough for every key id in use; what is longer is no id but an attempt. */
const ACCESS_KEY_ID = /^[A-Z0-9]{16,32}$/;

/** Finds access keys in IAM's records: one read each, and what is derived from a record is derived once. */
export function createCredentialSource(deps: {
  readonly reader: Reader;
  readonly secretBox: SecretBox;
}): CredentialSource {
  const known = new WeakMap<AccessKeyRecord, Credential>();
  return {
    async find(accessKeyId) {
      if (!ACCESS_KEY_ID.test(accessKeyId)) return null;
      const record = await deps.reader.get(accessKeys, [accessKeyId]);
      if (record === null) return null;
      const credential = known.get(record) ?? credentialOf(deps.secretBox, record);
      known.set(record, credential);
      return credential;
    },
  };
}

function credentialOf(secretBox: SecretBox, record: AccessKeyRecord): Credential {
  return {
    accessKeyId: record.accessKeyId,
    active: record.status === "Active",
    principal: principalOf(record),
    version: record.version,
    openSecret() {
      const secret = secretBox.open(SECRET_PURPOSE, record.accessKeyId, sealedBytes(record.sealedSecret));
      if (secret === null) throw new Error("the secret of a stored access key does not open");
      return secret;
    },
  };
}

function principalOf({ accountId, accessKeyId, owner }: AccessKeyRecord): Principal {
  return owner.type === "root"
    ? { type: "Root", arn: accountRootArn(accountId), accountId, userId: accountId, accessKeyId }
    : { type: "User", arn: owner.arn, accountId, userId: owner.userId, userName: owner.userName, accessKeyId };
}
