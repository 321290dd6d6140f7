import assert from "node:assert/strict";
import { cp, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, type TestContext, test } from "node:test";
import { brokenRules, RULE_SOURCES } from "./breaking-rules.ts";

const ROOT = join(import.meta.dirname, "..");
const FRAMES = "gen/posthorn/v1/frame_rules.ts";
const ERRORS = "gen/posthorn/v1/error_rules.ts";
const PHASES = "protocol/session/phases.ts";

/** A copy of the tables with one text replaced. */
async function tables(
  t: TestContext,
  edit?: { readonly file: string; readonly find: string | RegExp; readonly replace: string },
): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "posthorn-rules-"));
  t.after(() => rm(folder, { recursive: true, force: true }));
  for (const file of RULE_SOURCES) await cp(join(ROOT, file), join(folder, file));
  if (edit === undefined) return folder;
  const path = join(folder, edit.file);
  const text = await readFile(path, "utf8");
  const edited = text.replace(edit.find, edit.replace);
  assert.notEqual(edited, text);
  await writeFile(path, edited);
  return folder;
}

test("the same tables break nothing, and neither does an addition", async (t) => {
  const before = await tables(t);
  assert.deepEqual(await brokenRules(before, await tables(t)), []);
  const find = "  linked: { detached";
  const replace = '  woken: { open: "open" },\n  linked: { detached';
  const more = await tables(t, { file: PHASES, find, replace });
  assert.deepEqual(await brokenRules(before, more), []);
});

test("a root without tables has nothing to compare", async (t) => {
  const empty = await mkdtemp(join(tmpdir(), "posthorn-rules-"));
  t.after(() => rm(empty, { recursive: true, force: true }));
  assert.deepEqual(await brokenRules(empty, await tables(t)), []);
});

describe("a changed rule is reported", () => {
  const changes = [
    {
      title: "who may send a frame",
      edit: { file: FRAMES, find: 'sender: "client",', replace: 'sender: "both",' },
      says: /^frame hello was 1 from client in opening .*, is 1 from both in opening/,
    },
    {
      title: "the phase of a frame",
      edit: { file: FRAMES, find: 'phases: ["joining"]', replace: 'phases: ["open"]' },
      says: /^frame ready was 3 from client in joining .* is 3 from client in open/,
    },
    {
      title: "the counter that a frame consumes",
      edit: { file: FRAMES, find: 'counter: "outbox"', replace: 'counter: "none"' },
      says: /^frame submit .* consuming outbox, is .* consuming none/,
    },
    {
      title: "what an error ends",
      edit: { file: ERRORS, find: 'scope: "session"', replace: 'scope: "link"' },
      says: /^error 40 was VERSION_UNSUPPORTED of session, .* is VERSION_UNSUPPORTED of link/,
    },
    {
      title: "whether to try again",
      edit: { file: ERRORS, find: 'retry: "elsewhere"', replace: 'retry: "same"' },
      says: /^error 1 .* retry elsewhere, is .* retry same/,
    },
    {
      title: "where a fact leads",
      edit: { file: PHASES, find: 'readied: { joining: "attaching" }', replace: "readied: {}" },
      says: /^service readied in joining was to attaching, is gone/,
    },
  ];
  for (const { title, edit, says } of changes) {
    test(title, async (t) => {
      const broken = await brokenRules(await tables(t), await tables(t, edit));
      assert.equal(broken.length, 1);
      assert.match(broken[0] as string, says);
    });
  }
});
