/** What the events of Organizations say: names as CloudTrail writes them, and no account's name or e-mail address. */
import type { AuditDetails } from "../../gateway/contract.ts";

/** CloudTrail shows both as asterisks (Organizations user guide, "Logging with CloudTrail"). */
const HIDDEN: ReadonlySet<string> = new Set(["email", "accountName", "masterAccountEmail"]);
const ASTERISKS = "****";

const lowerFirst = (name: string): string => name.charAt(0).toLowerCase() + name.slice(1);

function recorded(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(recorded);
  if (typeof value !== "object" || value === null) return value;
  const members: Record<string, unknown> = {};
  for (const [wireName, member] of Object.entries(value)) {
    if (member === undefined) continue;
    const name = lowerFirst(wireName);
    if (HIDDEN.has(name)) members[name] = ASTERISKS;
    else if (name.endsWith("Timestamp") && typeof member === "number") members[name] = new Date(member).toISOString();
    else members[name] = recorded(member);
  }
  return members;
}

const recordedObject = (value: object): Readonly<Record<string, unknown>> =>
  recorded(value) as Readonly<Record<string, unknown>>;

export const describe = (input: object): AuditDetails => ({ requestParameters: recordedObject(input) });

export const responseElements = (output: object): AuditDetails => ({ responseElements: recordedObject(output) });
