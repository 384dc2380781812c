import { readFileSync } from "node:fs";
import { CommandError } from "./command-error.ts";

export interface PassphraseOptions {
  readonly passphraseFile?: string;
  readonly passphraseFd?: string;
}

const PASSPHRASE_BYTES_MAX = 1024;

/** Whether a source of a passphrase was named. Throws when two were. */
export function isPassphraseGiven(options: PassphraseOptions): boolean {
  if (options.passphraseFile !== undefined && options.passphraseFd !== undefined)
    throw new CommandError("Give --passphrase-file or --passphrase-fd, not both.", 2);
  return options.passphraseFile !== undefined || options.passphraseFd !== undefined;
}

/**
 * The passphrase from a file, a file descriptor or a prompt; never from the command line, where every user of the machine
 * could read it. One trailing line break is not part of it. Null when no source was named and nobody can be asked. A new one
 * is asked for twice: what was mistyped once would be lost for good.
 */
export async function readPassphrase(options: PassphraseOptions, which: "existing" | "new"): Promise<string | null> {
  if (options.passphraseFile !== undefined) return fromFile(options.passphraseFile, options.passphraseFile);
  if (options.passphraseFd !== undefined) {
    const descriptor = Number(options.passphraseFd);
    if (!Number.isInteger(descriptor) || descriptor < 0)
      throw new CommandError("--passphrase-fd takes the number of an open file descriptor.", 2);
    return fromFile(descriptor, `file descriptor ${descriptor}`);
  }
  if (!process.stdin.isTTY) return null;
  if (which === "existing") return ask("Passphrase: ");
  const passphrase = await ask("New passphrase: ");
  if ((await ask("The same again: ")) === passphrase) return passphrase;
  throw new CommandError("The two passphrases differ. Nothing was sealed; start again.", 1);
}

function fromFile(source: string | number, name: string): string {
  let bytes: Buffer;
  try {
    bytes = readFileSync(source);
  } catch (error) {
    throw new CommandError(
      `Cannot read the passphrase from ${name}: ${(error as NodeJS.ErrnoException).code ?? "error"}.`,
      2,
    );
  }
  if (bytes.length > PASSPHRASE_BYTES_MAX)
    throw new CommandError(`The passphrase in ${name} is longer than ${PASSPHRASE_BYTES_MAX} bytes.`, 2);
  const text = bytes.toString("utf8").replace(/\r?\n$/, "");
  bytes.fill(0);
  if (text.length === 0) throw new CommandError(`The passphrase in ${name} is empty.`, 2);
  return text;
}

/** Asks on the terminal without showing what is typed. */
function ask(prompt: string): Promise<string> {
  process.stderr.write(prompt);
  const { stdin } = process;
  stdin.setRawMode(true);
  stdin.resume();
  return new Promise((done, fail) => {
    let typed = "";
    const finish = (): void => {
      stdin.off("data", onData);
      stdin.setRawMode(false);
      stdin.pause();
      process.stderr.write("\n");
    };
    const onData = (chunk: Buffer): void => {
      for (const key of chunk.toString("utf8")) {
        if (key === "\r" || key === "\n" || key === "\u0004") {
          finish();
          done(typed);
          return;
        }
        if (key === "\u0003") {
          finish();
          fail(new CommandError("Cancelled.", 1));
          return;
        }
        typed = key === "\u007f" || key === "\b" ? typed.slice(0, -1) : typed + key;
      }
    };
    stdin.on("data", onData);
  });
}
