import { randomUUID } from "node:crypto";
import { type FileHandle, link, mkdir, open, readFile, rename, rm } from "node:fs/promises";
import { dirname } from "node:path";

/** The text of a file; undefined when there is none. @throws what the system says otherwise */
export async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, "utf8");
  } catch (cause) {
    if ((cause as { code?: unknown }).code === "ENOENT") return undefined;
    throw cause;
  }
}

/**
 * Writes a file that nobody but its owner may read: whole or not at all, whatever instruction the
 * process dies at, and durable when it resolves. Makes its folder.
 */
export async function replacePrivately(path: string, text: string): Promise<void> {
  await put(path, text, (fresh) => rename(fresh, path));
}

/**
 * Writes a file that nobody but its owner may read, unless there is one: of two programs one is
 * first.
 *
 * @returns whether this one was
 */
export async function createPrivately(path: string, text: string): Promise<boolean> {
  try {
    await put(path, text, (fresh) => link(fresh, path));
    return true;
  } catch (error) {
    if ((error as { code?: unknown }).code === "EEXIST") return false;
    throw error;
  }
}

/** Writes a file of another name, durably, and gives it the name that it is to have. */
async function put(path: string, text: string, name: (fresh: string) => Promise<void>) {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  const fresh = `${path}.${randomUUID()}`;
  try {
    await withFile(await open(fresh, "wx", 0o600), async (file) => {
      await file.writeFile(text);
      await file.sync();
    });
    await name(fresh);
  } finally {
    await rm(fresh, { force: true });
  }
  await withFile(await open(dirname(path), "r"), (folder) => folder.sync());
}

async function withFile(file: FileHandle, work: (file: FileHandle) => Promise<void>) {
  try {
    await work(file);
  } finally {
    await file.close();
  }
}
