import assert from "node:assert/strict";
import { appendFile, cp, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, type TestContext, test } from "node:test";
import { baselineOf, checkBreaking } from "./breaking.ts";
import { runCommand } from "./command.ts";

const ROOT = join(import.meta.dirname, "..");
const EVENTS = "proto/posthorn/v1/event.proto";

describe("nothing earlier, nothing to break", () => {
  test("no repository", async (t) => {
    const root = await schemas(t);
    await breakSchema(root);
    assert.deepEqual(await checkBreaking(root), { isOk: true, output: "" });
  });

  test("no commit", async (t) => {
    const root = await repository(t);
    await breakSchema(root);
    assert.deepEqual(await checkBreaking(root), { isOk: true, output: "" });
  });

  test("no schemas in the earlier commit", async (t) => {
    const root = await schemas(t);
    await git(root, "init", "--quiet", "--initial-branch=main");
    await git(root, "commit", "--quiet", "--allow-empty", "--message=Nothing");
    await commit(root);
    assert.deepEqual(await checkBreaking(root), { isOk: true, output: "" });
  });
});

test("an edit that breaks is reported against the last commit", async (t) => {
  const root = await repository(t);
  await commit(root);
  assert.deepEqual(await checkBreaking(root), { isOk: true, output: "" });
  await breakSchema(root);
  await reportsBreak(root, "HEAD");
});

test("a commit that breaks is reported against the one before", async (t) => {
  const root = await repository(t);
  await commit(root);
  await breakSchema(root);
  await commit(root);
  await reportsBreak(root, "HEAD~1");
});

test("an addition breaks nothing", async (t) => {
  const root = await repository(t);
  await commit(root);
  await appendFile(join(root, EVENTS), "// Added.\nmessage Added {}\n");
  assert.deepEqual(await checkBreaking(root), { isOk: true, output: "" });
});

test("a branch is compared with where it left main", async (t) => {
  const root = await repository(t);
  await commit(root);
  await git(root, "switch", "--quiet", "--create", "branch");
  await breakSchema(root);
  await commit(root);
  await commit(root);
  await commit(root);
  await reportsBreak(root, "main");
});

test("the newest release is what counts, however long ago", async (t) => {
  const root = await repository(t);
  await commit(root);
  await git(root, "tag", "v0.9.0");
  await commit(root);
  await git(root, "tag", "v0.10.0");
  await git(root, "tag", "other");
  await breakSchema(root);
  await commit(root);
  await commit(root);
  await reportsBreak(root, "v0.10.0");
});

test("a shallow clone is compared with the one commit that it has", async (t) => {
  const origin = await repository(t);
  await commit(origin);
  await commit(origin);
  const folder = await temporaryFolder(t);
  const root = join(folder, "clone");
  await git(origin, "clone", "--quiet", "--depth=1", `file://${origin}`, root);
  await symlink(join(ROOT, "node_modules"), join(root, "node_modules"));
  assert.deepEqual(await checkBreaking(root), { isOk: true, output: "" });
  await breakSchema(root);
  await reportsBreak(root, "HEAD");
});

async function reportsBreak(root: string, baseline: string): Promise<void> {
  assert.equal(await baselineOf(root), await git(root, "rev-parse", `${baseline}^{commit}`));
  const { isOk, output } = await checkBreaking(root);
  assert.equal(isOk, false);
  assert.match(output, /event\.proto:\d+:\d+:Previously present field "1"/);
}

/** Changes the number of a message's field, which every reader relies on. */
async function breakSchema(root: string): Promise<void> {
  const path = join(root, EVENTS);
  const text = await readFile(path, "utf8");
  await writeFile(path, text.replace(/^( +\w+ \w+ = )1;$/m, "$1901;"));
  assert.notEqual(await readFile(path, "utf8"), text);
}

async function commit(root: string): Promise<void> {
  await git(root, "add", "buf.yaml", "proto");
  await git(root, "commit", "--quiet", "--allow-empty", "--message=A commit");
}

async function repository(t: TestContext): Promise<string> {
  const root = await schemas(t);
  await git(root, "init", "--quiet", "--initial-branch=main");
  return root;
}

async function schemas(t: TestContext): Promise<string> {
  const root = await temporaryFolder(t);
  await cp(join(ROOT, "buf.yaml"), join(root, "buf.yaml"));
  await cp(join(ROOT, "proto"), join(root, "proto"), { recursive: true });
  await symlink(join(ROOT, "node_modules"), join(root, "node_modules"));
  return root;
}

async function temporaryFolder(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "posthorn-breaking-"));
  t.after(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

/** What Git prints; its user's own configuration and hooks stay out. */
async function git(root: string, ...args: readonly string[]): Promise<string> {
  const who = ["user.name=Someone", "user.email=someone@example.org", "commit.gpgSign=false"];
  const settings = [...who, "core.hooksPath=", "tag.gpgSign=false"].flatMap((value) => [
    "-c",
    value,
  ]);
  const { isOk, output } = await runCommand(root, "git", [...settings, ...args]);
  assert.ok(isOk, output);
  return output.trim();
}
