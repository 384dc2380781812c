import { isGenerated, isTest } from "./laws.ts";
import { lineAt, type SourceFile } from "./source.ts";

export interface Violation {
  readonly path: string;
  readonly line: number;
  readonly rule: string;
  /** What is wrong and what to do about it. */
  readonly message: string;
  /** A warning is printed and does not fail. */
  readonly warning?: true;
}

/** Words that mark unfinished work. Written so that this file does not hold them itself. */
const UNFINISHED = new RegExp(
  `\\b(${["TO", "FIX", "XX"].map((head, index) => head + ["DO", "ME", "X"][index]).join("|")})\\b`,
);

const LINE_LENGTH_MAX = 140;
/** A line with a token this long (a test vector, a URL) can't be broken. */
const UNBREAKABLE_LENGTH = 80;
const FILE_LINES_WARNING = 400;
const FILE_LINES_MAX = 600;

/** A pattern that only some files may hold. Matched against code without comments and strings. */
interface Ban {
  readonly rule: string;
  readonly pattern: RegExp;
  readonly appliesTo: (path: string) => boolean;
  readonly instead: string;
}

/** Code that runs in a server. */
const inServer = (path: string): boolean => path.startsWith("src/") && !isTest(path);
const inServerExcept =
  (...allowed: readonly RegExp[]) =>
  (path: string): boolean =>
    inServer(path) && !allowed.some((pattern) => pattern.test(path));

const CLOCK = /^src\/base\/clock\.ts$/;
const RANDOM = /^src\/base\/random\.ts$/;
const CONFIG = /^src\/config\.ts$/;
const CLI = /^src\/cli\//;

const BANS: readonly Ban[] = [
  {
    rule: "time",
    pattern:
      /\bDate\s*\.\s*now\b|\bDate\s*\[|\bnew\s+Date\s*\(\s*\)|\bnew\s+Date\b(?!\s*\()|[=(,]\s*Date\s*[;,)]|(?<!new\s)\bDate\s*\(/g,
    appliesTo: inServerExcept(CLOCK, CLI),
    instead: "read the Clock that is handed in (src/base/clock.ts), so that tests can move time",
  },
  {
    rule: "time",
    pattern: /\bperformance\s*\.\s*(?:now|timeOrigin)\b|\bprocess\s*\.\s*(?:hrtime|uptime)\b/g,
    appliesTo: inServerExcept(CLOCK, CLI),
    instead: "read the Clock's monotonicMs (src/base/clock.ts)",
  },
  {
    rule: "timers",
    // A method of that name (socket.setTimeout) is another thing; globalThis.setTimeout is not.
    pattern: /(?:(?<![.\w$])|\bglobalThis\s*\.\s*)set(?:Timeout|Interval|Immediate)\b(?!\s*[?:]?\s*:)/g,
    appliesTo: inServerExcept(CLOCK, CLI),
    instead: "use clock.after (src/base/clock.ts)",
  },
  {
    rule: "randomness",
    pattern: /\bMath\s*\.\s*random\b|\bMath\s*\[/g,
    appliesTo: (path) => !RANDOM.test(path),
    instead: "draw from the Random that is handed in (src/base/random.ts), or from a seed in tests",
  },
  {
    rule: "environment",
    pattern: /\bprocess\s*\.\s*env\b|\bprocess\s*\[|=\s*process\s*[;,]/g,
    appliesTo: inServerExcept(CONFIG, CLI),
    instead: "let src/config.ts read it and take the value as an argument",
  },
  {
    rule: "console",
    pattern: /\bconsole\s*[.[]/g,
    appliesTo: inServerExcept(CLI),
    instead: "use the logger that is handed in; only the command line talks to people",
  },
  {
    rule: "clear-bytes",
    pattern: /\bas\s+ClearBytes\b|(?<![\w$>\])])<\s*ClearBytes\s*>/g,
    appliesTo: inServerExcept(/^src\/envelope\/clear\.ts$/),
    instead: "call leftInClear (src/envelope/clear.ts): every call site is a line of the report of what lies in clear",
  },
  {
    rule: "sealed-bytes",
    pattern: /\bas\s+SealedBytes\b|(?<![\w$>\])])<\s*SealedBytes\s*>/g,
    appliesTo: inServerExcept(/^src\/(envelope|seal)\//, /^src\/store\/(table|lmdb-[^/]*|memory-[^/]*)\.ts$/),
    instead: "take sealed bytes from envelope/ or seal/: the type is the proof that they were encrypted",
  },
  {
    rule: "module-state",
    pattern: /\bstatic\s+(?!readonly\b)#?[\w$]+\s*(?::[^=;({]+)?=(?!>)/g,
    appliesTo: inServer,
    instead: "make the field an instance's own, or readonly",
  },
];

/** Rules on one file's text. */
export function checkFile(file: SourceFile): readonly Violation[] {
  return [...checkText(file), ...(file.path.endsWith(".ts") ? [...checkBans(file), ...checkModuleState(file)] : [])];
}

function checkBans(file: SourceFile): readonly Violation[] {
  return BANS.filter((ban) => ban.appliesTo(file.path)).flatMap((ban) =>
    [...file.code.matchAll(ban.pattern)].map((match) => ({
      path: file.path,
      line: lineAt(file, match.index + match[0].search(/\S/)),
      rule: ban.rule,
      message: `\`${match[0].trim()}\` is not allowed here: ${ban.instead}`,
    })),
  );
}

function checkText(file: SourceFile): readonly Violation[] {
  const found: Violation[] = [];
  const add = (line: number, rule: string, message: string): void =>
    void found.push({ path: file.path, line, rule, message });

  for (const [index, line] of file.lines.entries()) {
    const unfinished = UNFINISHED.exec(line);
    if (unfinished !== null)
      add(index + 1, "unfinished", `finish it, or open an issue and delete the "${unfinished[0]}"`);
    if (!file.path.endsWith(".ts") || isGenerated(file.path) || line.length <= LINE_LENGTH_MAX) continue;
    if (line.split(/\s/).some((token) => token.length > UNBREAKABLE_LENGTH)) continue;
    add(index + 1, "line-length", `${line.length} characters, at most ${LINE_LENGTH_MAX}: break the line`);
  }

  if (!file.path.endsWith(".ts") || isGenerated(file.path)) return found;
  const count = file.lines.length - 1;
  const message = `${count} lines: one file, one reason to change; split it along what changes together`;
  if (count > FILE_LINES_MAX) add(count, "file-length", message);
  else if (count > FILE_LINES_WARNING)
    found.push({ path: file.path, line: count, rule: "file-length", message, warning: true });
  return found;
}

const MUTATING_METHODS = "push|pop|shift|unshift|splice|sort|reverse|fill|copyWithin|set|add|delete|clear";

/** State that outlives its maker: a module's own variables are shared by every server and every test in the process. */
function checkModuleState(file: SourceFile): readonly Violation[] {
  if (isTest(file.path) || !/^(src|bench)\//.test(file.path)) return [];
  const found: Violation[] = [];
  const add = (offset: number, message: string): void =>
    void found.push({ path: file.path, line: lineAt(file, offset), rule: "module-state", message });

  for (const match of file.code.matchAll(/^(?:export\s+)?(let|var|const)\s+([\w$]+|[[{])([^\n]*)/gm)) {
    const [, keyword = "", name = "", rest = ""] = match;
    if (keyword !== "const") {
      add(
        match.index,
        `a module-level \`${keyword}\` is state shared by the whole process: hold it in what main.ts builds`,
      );
      continue;
    }
    const declaration = rest.includes("=") ? rest : file.code.slice(match.index, match.index + 400);
    const made = /=\s*new\s+(Map|Set|WeakMap|WeakSet|LruMap)\b/.exec(declaration);
    if (made !== null && !new RegExp(`:\\s*Readonly${made[1]}\\b`).test(declaration)) {
      const constant =
        made[1] === "Map" || made[1] === "Set" ? `, or declare what never changes as Readonly${made[1]}` : "";
      add(match.index, `a module-level ${made[1]} is shared state: hold it in what main.ts builds${constant}`);
      continue;
    }
    if (!/^[\w$]+$/.test(name)) continue;
    const escaped = name.replaceAll("$", "\\$");
    const mutation = new RegExp(
      `(?<![.\\w$])${escaped}(?:\\s*\\.\\s*(?:${MUTATING_METHODS})\\s*\\(|(?:\\.[\\w$]+|\\[[^\\]\\n]*\\])+\\s*(?:[-+*/|&^]?=(?![=>])|\\+\\+|--))`,
    ).exec(file.code);
    if (mutation !== null && !isShadowed(file.code, escaped)) {
      add(
        mutation.index,
        `\`${name}\` is a module-level constant and is changed here: hold state in what main.ts builds`,
      );
    }
  }
  return found;
}

/** A parameter or inner variable of the same name: then a change of that name says nothing about the constant. */
const isShadowed = (code: string, name: string): boolean =>
  new RegExp(`^\\s+(?:const|let|var)\\s+${name}\\b|[(,]\\s*${name}\\s*[:,)]`, "m").test(code);
