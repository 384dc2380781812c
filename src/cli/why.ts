import { existsSync } from "node:fs";
import { dataDirectory } from "../config.ts";
import type { WhyAnswer, WhyQuestion } from "../server/why.ts";
import { EXIT_NO_SERVER, askServer } from "./admin-client.ts";
import { CommandError } from "./command-error.ts";
import { quoted } from "./shell.ts";

interface WhyOptions {
  readonly dataDir?: string;
  readonly json?: boolean;
  readonly limit?: number;
  readonly principal?: string;
  readonly account?: string;
}

type Denial = WhyAnswer["denials"][number];

/** The longest list that there is (server/why.ts). */
const LIMIT_MAX = 1_000;

/** What `askServer` exits with when no server runs. */

/** Says why a request was denied, or lists the latest denials: asked of the server, else read from the directory. */
export async function why(id: string | null, options: WhyOptions): Promise<void> {
  const dataDir = dataDirectory(options.dataDir);
  if (!existsSync(dataDir))
    throw new CommandError(`${dataDir} does not exist: name the data directory with --data-dir.`, 1);
  const { limit, principal, account } = options;
  const answer = await ask(dataDir, {
    ...(id === null ? {} : { id }),
    ...(limit === undefined ? {} : { limit }),
    ...(principal === undefined ? {} : { principal }),
    ...(account === undefined ? {} : { account }),
  });
  if (id !== null && answer.denials.length === 0) {
    throw new CommandError(
      `No denial of the last 7 days has the id ${printable(id)}. It is the x-amzn-RequestId of the refused answer, ` +
        "or the id of its audit event.",
      1,
    );
  }
  if (options.json) process.stdout.write(`${JSON.stringify(answer)}\n`);
  else process.stdout.write(id === null ? listed(answer, options, dataDir) : answer.denials.map(explained).join("\n"));
}

async function ask(dataDir: string, question: WhyQuestion): Promise<WhyAnswer> {
  try {
    return (await askServer(dataDir, "POST", "/why", { ...question })) as unknown as WhyAnswer;
  } catch (error) {
    if (!(error instanceof CommandError) || error.exitCode !== EXIT_NO_SERVER) throw error;
  }
  const { storedDenials } = await import("../offline.ts");
  return await storedDenials(dataDir, question);
}

/** What callers sent is shown on a terminal: nothing in it may move the cursor or colour the text. */
const printable = (text: string): string => text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, "�");

const KINDS: Readonly<Record<Exclude<Denial["decision"]["kind"], "service">, string>> = {
  identity: "identity-based policy",
  resource: "policy of the resource",
  session: "session policy",
  boundary: "permissions boundary",
  "service control": "service control policy",
};

/** Why nothing is permitted though no policy says so. */
const STOPS: Readonly<Record<NonNullable<Denial["decision"]["stop"]>["reason"], string>> = {
  deleted: "the user or role behind these credentials was deleted",
  replaced: "the user or role behind these credentials was deleted, and another one has its name now",
  renamed: "the user behind these credentials has another name or path now",
  unreadable: "a policy that decides cannot be read, and may have denied it",
};

function reason(denial: Denial): string {
  const { kind, statement, stop } = denial.decision;
  if (kind === "service") return "the service refuses it, whatever policies say";
  if (stop !== undefined) return STOPS[stop.reason];
  if (isOfMissingRole(denial)) return "there was no such role";
  if (kind === "resource" && isOfTrust(denial)) {
    return statement === null
      ? "the role's trust policy does not allow it"
      : "denied by a statement of the role's trust policy";
  }
  return statement === null
    ? `no ${KINDS[kind]} allows it`
    : `denied by a statement of ${kind === "identity" ? "an" : "a"} ${KINDS[kind]}`;
}

/** The list, a line for each. */
export function listed({ denials, more }: WhyAnswer, { principal, account }: WhyOptions, dataDir: string): string {
  const filtered = principal !== undefined || account !== undefined;
  if (denials.length === 0) return `Nothing was denied in the last 7 days${filtered ? " that fits" : ""}.\n`;
  const lines = denials.map((denial) =>
    printable(
      `${denial.time}  ${denial.requestId}  ${denial.principal.arn}  ${denial.action}  ${denial.resource}  ${reason(denial)}`,
    ),
  );
  const all = Math.min(denials.length + more, LIMIT_MAX);
  const rest = more === 0 ? "" : `and ${more} older: --limit ${all} lists them, --principal and --account fewer\n`;
  return `${lines.join("\n")}\n${rest}\nAll of one: npx waxseal why ID --data-dir ${quoted(dataDir)}\n`;
}

const ROLE = /^arn:[^:]*:iam::[^:]*:role\//;

/** A role's trust policy is looked at whenever there is the role; its caller is not told that there is none. */
const isOfMissingRole = (denial: Denial): boolean =>
  denial.decision.kind !== "service" && isOfTrust(denial) && !denial.policies.some(({ kind }) => kind === "resource");

const isOfTrust = ({ action, resource }: Denial): boolean => action.startsWith("sts:") && ROLE.test(resource);

/** One denial for people: who, what, on what, when; what decided; the request; what to do next. */
export function explained(denial: Denial): string {
  const { principal, action, resource, decision, via } = denial;
  const lines = [
    principal.arn,
    `was denied  ${action}`,
    `on          ${resource}`,
    `at          ${denial.time}, in ${denial.region}${via === null ? "" : `, by a call that ${via} made for it`}`,
    `request     ${denial.requestId}, audit event ${denial.eventId}`,
    "",
    `Why: ${reason(denial)}.`,
    `  ${denial.message}`,
    ...statementLines(decision.statement),
    ...noteLines(denial),
    "",
    `Policies that were looked at:${denial.policies.length === 0 ? " none" : ""}`,
    ...denial.policies.map(({ kind, ids }) => `  ${KINDS[kind]}: ${ids.length === 0 ? "none" : ids.join(", ")}`),
    ...requestLines(denial),
    "",
    `Next: ${advice(denial)}`,
  ];
  return `${lines.map(printable).join("\n")}\n`;
}

/** Of a call that a service refused by itself nothing is kept. */
function requestLines({ conditions, absent = [], conditionsLeftOut }: Denial): readonly string[] {
  if (conditions.length + absent.length + conditionsLeftOut === 0) return [];
  return [
    "",
    "The request (* a policy asked for it):",
    ...absent.filter(({ unasked }) => unasked !== true).map(({ key }) => `* ${key} (not in the request)`),
    ...conditions.map(({ key, values, asked }) => `${asked ? "*" : " "} ${key} = ${values.join(", ")}`),
    ...(conditionsLeftOut === 0 ? [] : [`  and ${conditionsLeftOut} keys that found no room`]),
  ];
}

/** What else is known of the reason. */
function noteLines(denial: Denial): readonly string[] {
  const { stop, formerPrincipal, stoppedByAbsence } = denial.decision;
  return [
    ...(isOfMissingRole(denial) ? [`  Its caller was not told so.`] : []),
    ...(stop?.reason === "unreadable" ? [`  policy     ${stop.policyId}`] : []),
    ...(formerPrincipal === undefined
      ? []
      : [
          `  The ${policyOfResource(denial)} names ${formerPrincipal.name}, and means the one that had this name when the`,
          `  policy was put (${formerPrincipal.id}). That one was deleted or renamed; who has the name now is another.`,
        ]),
    ...(stoppedByAbsence ?? []).map(
      (one) =>
        `  ${named(one)} of ${one.policyId} ${denial.decision.reason === "explicit" ? "asks for" : "would allow it, but asks for"} ` +
        `${one.keys.join(", ")}, which the request does not have.`,
    ),
  ];
}

const policyOfResource = (denial: Denial): string => (isOfTrust(denial) ? "trust policy" : "policy of the resource");

const named = ({ sid, index }: { readonly sid: string | null; readonly index: number }): string =>
  sid === null ? `Statement number ${index + 1}` : `Statement "${sid}"`;

function statementLines(statement: Denial["decision"]["statement"]): readonly string[] {
  if (statement === null) return [];
  const name = statement.sid === null ? `number ${statement.index + 1}` : `"${statement.sid}"`;
  return [
    `  policy     ${statement.policyId}`,
    `  statement  ${name}`,
    ...(statement.text === null ? [] : [`  ${statement.text}`]),
  ];
}

function advice(denial: Denial): string {
  const { decision } = denial;
  if (decision.kind === "service") return "no policy changes this: ask for something else, or as somebody else.";
  const { stop, formerPrincipal, stoppedByAbsence = [] } = decision;
  if (stop !== undefined) {
    return stop.reason === "unreadable"
      ? "put that policy again, or detach it. The server's log says what is wrong with it."
      : "use credentials of a user or role that there is: no policy gives these their power back.";
  }
  if (isOfMissingRole(denial)) return "check the role's ARN (account, path and name), or make the role.";
  const keys = [...new Set(stoppedByAbsence.flatMap((one) => one.keys))].join(", ");
  if (decision.reason === "explicit") {
    return keys === ""
      ? "change the statement above, or one of the values that it asks for. A deny wins over every allow."
      : `send ${keys} with the request, or change the statement above. A deny wins over every allow.`;
  }
  if (formerPrincipal !== undefined) {
    return `put the ${policyOfResource(denial)} again, to mean the ${formerPrincipal.name} of today.`;
  }
  if (keys !== "") {
    const whose = stoppedByAbsence.some(({ kind }) => kind === "resource") && isOfTrust(denial);
    return `send ${keys} with the request, or change the condition${whose ? " of the trust policy" : ""} that asks for it.`;
  }
  return missingAllow(denial);
}

function missingAllow(denial: Denial): string {
  const { decision, action, resource } = denial;
  // Of a session it is the role that has policies.
  const who = denial.conditions.find(({ key }) => key === "aws:PrincipalArn")?.values[0] ?? denial.principal.arn;
  const acrossAccounts = denial.accountId !== denial.resourceAccountId;
  const policy = isOfTrust(denial) ? "trust policy" : "policy";
  switch (decision.kind) {
    case "resource":
      return acrossAccounts
        ? `let the ${policy} of ${resource} allow ${action} to ${who}; it belongs to another account.`
        : `let the ${policy} of ${resource} allow ${action} to ${who}, or delegate to its account.`;
    case "boundary":
      return `let the permissions boundary of ${who} allow ${action}, too: it limits what other policies give.`;
    case "session":
      return `ask for the session with a policy that allows ${action}, or without one.`;
    case "service control":
      return `let a service control policy of each level above account ${denial.accountId} allow ${action}.`;
    default:
      return `attach a policy to ${who} that allows ${action} on ${resource}.`;
  }
}
