import { CommandError } from "./command-error.ts";

/** Tells a story on stdout: numbered steps, facts, quotes, and expectations that end the story when they fail. */
export interface Narrator {
  title(text: string): void;
  step(text: string): void;
  fact(name: string, text: string): void;
  quote(text: string): void;
  /** Says what was seen; throws when it is not what was expected. */
  expect(what: string, seen: string, expected: string): void;
}

export function createNarrator(): Narrator {
  const colour = (code: number, text: string): string =>
    process.stdout.isTTY ? `\u001b[${code}m${text}\u001b[0m` : text;
  const print = (text: string): void => {
    process.stdout.write(`${text}\n`);
  };
  let steps = 0;
  return {
    title: (text) => print(`\n${colour(1, text)}`),
    step: (text) => print(`\n${colour(1, `${++steps}. ${text}`)}`),
    fact: (name, text) => print(`   ${name}: ${text}`),
    quote: (text) => print(`   ${colour(2, `| ${text}`)}`),
    expect(what, seen, expected) {
      const good = seen === expected;
      print(
        `   ${good ? colour(32, "ok") : colour(31, "NOT OK")}  ${what}: ${seen}${good ? "" : ` (expected ${expected})`}`,
      );
      if (!good) throw new CommandError(`The demo did not go as told: ${what}.`, 1);
    },
  };
}
