import { open, rename } from "node:fs/promises";

/** JSON in a file that only its owner may read; whole or absent after a crash. */
export async function writePrivateFile(path: string, content: Readonly<Record<string, unknown>>): Promise<void> {
  const aside = `${path}.new`;
  const file = await open(aside, "w", 0o600);
  try {
    await file.writeFile(`${JSON.stringify(content, null, 2)}\n`);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(aside, path);
}
