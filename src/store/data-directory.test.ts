import { chmod, mkdtemp, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { openDataDirectory } from "./data-directory.ts";

let parent: string;

beforeEach(async () => {
  parent = await mkdtemp(join(tmpdir(), "waxseal-data-"));
});

afterEach(() => rm(parent, { recursive: true }));

it("makes the whole layout for its owner only, and opens it again", async () => {
  const path = join(parent, "deep", "data");
  const directory = await openDataDirectory(path);
  expect(directory).toEqual({
    path,
    privatePath: join(path, "private"),
    storePath: join(path, "store"),
    runPath: join(path, "run"),
  });
  for (const part of Object.values(directory)) expect((await stat(part)).mode & 0o777).toBe(0o700);
  expect(await openDataDirectory(path)).toEqual(directory);
});

it("refuses directories that others can look into or exchange, and says how to mend it", async () => {
  const { path, privatePath } = await openDataDirectory(join(parent, "data"));
  await chmod(path, 0o755);
  await openDataDirectory(path);
  await chmod(path, 0o777);
  await expect(openDataDirectory(path)).rejects.toThrow(`chmod 700 ${path}`);
  await chmod(path, 0o700);
  await chmod(privatePath, 0o740);
  await expect(openDataDirectory(path)).rejects.toThrow(`chmod 700 ${privatePath}`);
});
