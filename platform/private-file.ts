import { randomUUID } from "node:crypto";
import {
  closeSync,
  fsyncSync,
  mkdirSync,
  openSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { type FileHandle, link, mkdir, open, readFile, rename, rm } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { syncNames } from "./folder-names.ts";

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

/** {@link replacePrivately} for those who cannot wait: a service that starts, or is asked. */
export function replacePrivatelyNow(path: string, text: string): void {
  const folder = dirname(path);
  const made = mkdirSync(folder, { recursive: true, mode: 0o700 });
  if (made !== undefined) syncNames(dirname(resolve(folder)));
  const fresh = `${path}.${randomUUID()}`;
  try {
    const target = openSync(fresh, "wx", 0o600);
    try {
      writeFileSync(target, text);
      fsyncSync(target);
    } finally {
      closeSync(target);
    }
    renameSync(fresh, path);
  } finally {
    rmSync(fresh, { force: true });
  }
  syncNames(folder);
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
