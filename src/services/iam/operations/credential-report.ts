import { accountRootArn } from "../../../base/arn.ts";
import type { Reader } from "../../../store/table.ts";
import type { AccessKeyUse } from "../access-key-use.ts";
import { reportExpired, reportNotPresent } from "../entity-errors.ts";
import { ACCESS_KEYS_PER_USER_MAX } from "../model.ts";
import { accessKeys, credentialReports, users } from "../records.ts";
import type { AccountRecord, UserRecord } from "../records.ts";
import { accountOf, describe, listAccess } from "../row.ts";
import type { Row } from "../row.ts";

/** For so long a report is the latest one, and can be had (IAM User Guide, "Generate credential reports"). */
const REPORT_AGE_MS_MAX = 4 * 3_600_000;

const KEY_COLUMNS = ["active", "last_rotated", "last_used_date", "last_used_region", "last_used_service"];

/** AWS's header line as it is in force; the user guide names one more column, for users with more than two keys. */
const HEADER = [
  "user,arn,user_creation_time,password_enabled,password_last_used,password_last_changed,password_next_rotation,mfa_active",
  ...[1, 2].map((number) => KEY_COLUMNS.map((column) => `access_key_${number}_${column}`).join(",")),
  "cert_1_active,cert_1_last_rotated,cert_2_active,cert_2_last_rotated",
].join(",");

const NONE = "N/A";
/** Whether there is a password, when it was used, changed and has to be changed. There are none here. */
const USER_PASSWORD = ["false", NONE, NONE, NONE];
const ROOT_PASSWORD = ["false", NONE, NONE, "not_supported"];
const MFA = "false";
const CERTIFICATES = ["false", NONE, "false", NONE];

const LIST_CHUNK_COUNT = 500;

export const generateCredentialReport = (uses: AccessKeyUse): Row<"GenerateCredentialReport", null> => ({
  event: "management",
  readOnly: true,
  describe,
  access: listAccess("iam:GenerateCredentialReport"),
  async handle({ call, read }) {
    const { accountId } = call.principal;
    const before = await read.get(credentialReports, [accountId]);
    if (before !== null && call.nowMs - before.generatedMs <= REPORT_AGE_MS_MAX)
      return { output: { State: "COMPLETE" } };
    // A report is made within the call, so nobody finds one in progress. Clients ask again until they read COMPLETE.
    const csv = await reportOf(read, uses, await accountOf(read, accountId));
    return {
      output: {
        State: "STARTED",
        ...(before === null ? { Description: "No report exists. Starting a new report generation task" } : {}),
      },
      writes: [credentialReports.put([accountId], { generatedMs: call.nowMs, csv })],
    };
  },
});

export const getCredentialReport: Row<"GetCredentialReport", null> = {
  event: "management",
  readOnly: true,
  describe,
  access: listAccess("iam:GetCredentialReport"),
  async handle({ call, read }) {
    const report = await read.get(credentialReports, [call.principal.accountId]);
    if (report === null) throw reportNotPresent();
    if (call.nowMs - report.generatedMs > REPORT_AGE_MS_MAX) throw reportExpired();
    return {
      output: {
        Content: new TextEncoder().encode(report.csv),
        ReportFormat: "text/csv",
        GeneratedTime: report.generatedMs,
      },
    };
  },
};

/** The root first, then the users by name. No line ends the last row. */
async function reportOf(read: Reader, uses: AccessKeyUse, account: AccountRecord): Promise<string> {
  const { accountId } = account;
  const root = [
    "<root_account>",
    accountRootArn(accountId),
    timeText(account.createdMs),
    ...ROOT_PASSWORD,
    MFA,
    ...(await keyColumns(read, uses, account.rootAccessKeyIds)),
    ...CERTIFICATES,
  ];
  const lines = [HEADER, lineOf(root)];
  let chunk: readonly { readonly id: readonly string[]; readonly value: UserRecord }[];
  let last: readonly string[] | undefined;
  do {
    chunk = await read.list(users, { prefix: [accountId], after: last, limit: LIST_CHUNK_COUNT });
    for (const { value: user } of chunk) {
      const keys = await keyColumns(read, uses, user.accessKeyIds);
      const created = timeText(user.createdMs);
      lines.push(lineOf([user.userName, user.arn, created, ...USER_PASSWORD, MFA, ...keys, ...CERTIFICATES]));
    }
    last = chunk.at(-1)?.id;
  } while (chunk.length === LIST_CHUNK_COUNT);
  return lines.join("\n");
}

async function keyColumns(read: Reader, uses: AccessKeyUse, ids: readonly string[]): Promise<readonly string[]> {
  const columns: string[] = [];
  for (const id of [...ids].sort()) {
    const key = await read.get(accessKeys, [id]);
    if (key === null) continue;
    const use = await uses.lastUse(read, id);
    columns.push(
      String(key.status === "Active"),
      timeText(key.createdMs),
      ...(use === null ? [NONE, NONE, NONE] : [timeText(use.lastUsedMs), use.region, use.serviceName]),
    );
  }
  const width = ACCESS_KEYS_PER_USER_MAX * KEY_COLUMNS.length;
  while (columns.length < width) columns.push("false", NONE, NONE, NONE, NONE);
  return columns.slice(0, width);
}

/** `2026-01-02T03:04:05+00:00`: AWS leaves milliseconds out, and writes UTC as an offset. */
const timeText = (timeMs: number): string => new Date(timeMs).toISOString().replace(/\.\d{3}Z$/, "+00:00");

/** Names may hold commas (RFC 4180, section 2). */
const lineOf = (fields: readonly string[]): string =>
  fields.map((field) => (/[",\n]/.test(field) ? `"${field.replaceAll('"', '""')}"` : field)).join(",");
