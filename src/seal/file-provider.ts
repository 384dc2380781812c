import { type FileHandle, mkdir, open, rename, unlink } from "node:fs/promises";
import { dirname } from "node:path";
import { GuardedKey } from "../crypto/guarded.ts";
import { ownBytes, wipe } from "../crypto/wipe.ts";
import { SealError } from "./errors.ts";
import type { SealProvider } from "./provider.ts";
import { ROOT_KEY_FILE_BYTES, decodeRootKeyFile, encodeRootKeyFile } from "./root-key-file.ts";

/** Permission bits of everyone but the owner. */
const OTHERS_MASK = 0o077;

/** The root key in a file that only its owner may read: by default DIR/private/root.key. */
export function fileSealProvider(path: string): SealProvider {
  return {
    kind: "file",
    adopt: async () => await readKey(path),
    async protect(rootKey) {
      await writeKey(path, rootKey);
      return { kind: "file" };
    },
    async open(configuration) {
      if (configuration.kind !== "file") throw wrongProvider(configuration.kind);
      const rootKey = await readKey(path);
      if (rootKey !== null) return rootKey;
      throw new SealError(
        "root-key-missing",
        `The root key file ${path} does not exist. Put it back from your copy or name its place; ` +
          "without it nothing that this store sealed can be opened.",
      );
    },
  };
}

const wrongProvider = (kind: string): SealError =>
  new SealError(
    "wrong-provider",
    `This store is sealed with a ${kind}, and the server was started with a root key file.`,
  );

/** Null when there is no such file. */
async function readKey(path: string): Promise<GuardedKey | null> {
  let file: FileHandle;
  try {
    file = await open(path, "r");
  } catch (error) {
    if (codeOf(error) === "ENOENT") return null;
    throw new SealError("root-key-permissions", `The root key file ${path} cannot be read (${codeOf(error)}).`, error);
  }
  // One byte more than a key file has: a longer file must show.
  const bytes = ownBytes(ROOT_KEY_FILE_BYTES + 1);
  try {
    await checkAccess(file, path);
    let length = 0;
    for (let got = 1; got > 0 && length < bytes.byteLength; length += got) {
      got = (await file.read(bytes, length, bytes.byteLength - length)).bytesRead;
    }
    return GuardedKey.take(decodeRootKeyFile(bytes.subarray(0, length), path));
  } finally {
    wipe(bytes);
    await file.close();
  }
}

async function checkAccess(file: FileHandle, path: string): Promise<void> {
  const stat = await file.stat();
  if (!stat.isFile()) throw new SealError("root-key-malformed", `${path} is not a regular file.`);
  if (process.platform === "win32") return;
  if ((stat.mode & OTHERS_MASK) !== 0) {
    const mode = (stat.mode & 0o777).toString(8).padStart(4, "0");
    throw new SealError(
      "root-key-permissions",
      `The root key file ${path} has mode ${mode}: others than its owner may have read it. Set it to 0600.`,
    );
  }
  const owner = process.geteuid?.();
  if (stat.uid !== owner && stat.uid !== 0) {
    throw new SealError("root-key-permissions", `The root key file ${path} belongs to another user (id ${stat.uid}).`);
  }
}

/**
 * Written aside, synced, renamed, directory synced: after a crash there is either no key file or a whole one. A key file
 * that is already there stays if it holds this key and is never replaced if it holds another.
 */
async function writeKey(path: string, rootKey: GuardedKey): Promise<void> {
  const present = await readKey(path);
  if (present !== null) {
    try {
      const same = rootKey.use((wanted) => present.use((found) => Buffer.compare(wanted, found) === 0));
      if (same) return;
    } finally {
      present.destroy();
    }
    throw new SealError("root-key-exists", `The file ${path} holds another root key; it is left alone.`);
  }
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  const aside = `${path}.new`;
  await unlink(aside).catch(ignoreMissing);
  const bytes = rootKey.use((key) => encodeRootKeyFile(key));
  try {
    const file = await open(aside, "wx", 0o600);
    try {
      await file.writeFile(bytes);
      await file.sync();
    } finally {
      await file.close();
    }
  } finally {
    wipe(bytes);
  }
  await rename(aside, path);
  const directory = await open(dirname(path), "r");
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

const codeOf = (error: unknown): string =>
  error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : "unknown error";

const ignoreMissing = (error: unknown): void => {
  if (codeOf(error) !== "ENOENT") throw error;
};
