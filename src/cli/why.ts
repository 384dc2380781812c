import { existsSync } from "node:fs";
import { dataDirectory } from "../config.ts";
import type { WhyAnswer } from "../server/why.ts";
import { askServer } from "./admin-client.ts";
import { CommandError } from "./command-error.ts";
import { quoted } from "./shell.ts";

interface WhyOptions {
  readonly dataDir?: string;
  readonly json?: boolean;
}

type Denial = WhyAnswer["denials"][number];

/** What `askServer` exits with when no server runs. */
const EXIT_NO_SERVER = 3;

/** Says why a request was denied, or lists the latest denials: asked of the server, else read from the directory. */
export async function why(id: string | null, options: WhyOptions): Promise<void> {
  const dataDir = dataDirectory(options.dataDir);
  if (!existsSync(dataDir))
    throw new CommandError(`${dataDir} does not exist: name the data directory with --data-dir.`, 1);
  const answer = await ask(dataDir, id);
  if (id !== null && answer.denials.length === 0) {
    throw new CommandError(
      `No denial of the last 7 days has the id ${printable(id)}. It is the x-amzn-RequestId of the refused answer, ` +
        "or the id of its audit event.",
      1,
    );
  }
  if (options.json) process.stdout.write(`${JSON.stringify(answer)}\n`);
  else process.stdout.write(id === null ? listed(answer.denials, dataDir) : answer.denials.map(explained).join("\n"));
}

async function ask(dataDir: string, id: string | null): Promise<WhyAnswer> {
  try {
    return (await askServer(dataDir, "POST", "/why", id === null ? {} : { id })) as unknown as WhyAnswer;
  } catch (error) {
    if (!(error instanceof CommandError) || error.exitCode !== EXIT_NO_SERVER) throw error;
  }
  const { storedDenials } = await import("../main.ts");
  return await storedDenials(dataDir, id);
}

/** What callers sent is shown on a terminal: nothing in it may move the cursor or colour the text. */
const printable = (text: string): string =>
  // oxlint-disable-next-line no-control-regex -- they are what must not be printed
  text.replace(/[\u0000-\u001f\u007f-\u009f\u2028-\u202e\u2066-\u2069]/g, "�");

const KINDS: Readonly<Record<Exclude<Denial["decision"]["kind"], "service">, string>> = {
  identity: "identity-based policy",
  resource: "policy of the resource",
  session: "session policy",
  boundary: "permissions boundary",
  "service control": "service control policy",
};

function reason({ decision: { kind, statement } }: Denial): string {
  if (kind === "service") return "the service refuses it, whatever policies say";
  return statement === null
    ? `no ${KINDS[kind]} allows it`
    : `denied by a statement of ${kind === "identity" ? "an" : "a"} ${KINDS[kind]}`;
}

function listed(denials: readonly Denial[], dataDir: string): string {
  if (denials.length === 0) return "Nothing was denied in the last 7 days.\n";
  const lines = denials.map((denial) =>
    printable(
      `${denial.time}  ${denial.requestId}  ${denial.principal.arn}  ${denial.action}  ${denial.resource}  ${reason(denial)}`,
    ),
  );
  return `${lines.join("\n")}\n\nAll of one: npx waxseal why ID --data-dir ${quoted(dataDir)}\n`;
}

/** One denial for people: who, what, on what, when; what decided; the request; what to do next. */
function explained(denial: Denial): string {
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
    "",
    `Policies that were looked at:${denial.policies.length === 0 ? " none" : ""}`,
    ...denial.policies.map(({ kind, ids }) => `  ${KINDS[kind]}: ${ids.length === 0 ? "none" : ids.join(", ")}`),
    "",
    "The request (* a policy asked for it):",
    ...denial.conditions.map(({ key, values, asked }) => `${asked ? "*" : " "} ${key} = ${values.join(", ")}`),
    ...(denial.conditionsLeftOut === 0 ? [] : [`  and ${denial.conditionsLeftOut} keys that found no room`]),
    "",
    `Next: ${advice(denial)}`,
  ];
  return `${lines.map(printable).join("\n")}\n`;
}

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
  const { decision, action, resource } = denial;
  // Of a session it is the role that has policies.
  const who = denial.conditions.find(({ key }) => key === "aws:PrincipalArn")?.values[0] ?? denial.principal.arn;
  if (decision.kind === "service") return "no policy changes this: ask for something else, or as somebody else.";
  if (decision.reason === "explicit") {
    return `change the statement above, or one of the values that it asks for. A deny wins over every allow.`;
  }
  const acrossAccounts = denial.accountId !== denial.resourceAccountId;
  switch (decision.kind) {
    case "identity":
      return `attach a policy to ${who} that allows ${action} on ${resource}.`;
    case "resource":
      return acrossAccounts
        ? `let the policy of ${resource} allow ${action} to ${who}; it belongs to another account.`
        : `let the policy of ${resource} allow ${action} to ${who}, or delegate to its account.`;
    case "boundary":
      return `let the permissions boundary of ${who} allow ${action}, too: it limits what other policies give.`;
    case "session":
      return `ask for the session with a policy that allows ${action}, or without one.`;
    case "service control":
      return `let a service control policy of each level above account ${denial.accountId} allow ${action}.`;
  }
}
