import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { type TestContext, test } from "node:test";
import { runTests, type TestRunOptions } from "./test.ts";

const HEAD = 'import { describe, test } from "node:test";\n';

/** Each file fails for one reason; what is printed of it says so. */
const FAILING: Readonly<Record<string, { readonly text: string; readonly says: RegExp }>> = {
  "assertion.test.ts": {
    text: 'describe("a", () => { test("b", () => { throw new TypeError("c"); }); });',
    says: /^ {2}✖ a › b \(assertion\.test\.ts:2\)\n {4}TypeError: c$/m,
  },
  "subtest.test.ts": {
    text: 'test("a", async (t) => { await t.test("b", () => { throw new Error("c"); }); });',
    says: /^ {2}✖ a › b \(subtest\.test\.ts:2\)\n {4}Error: c$/m,
  },
  "import.test.ts": {
    text: 'throw new Error("while loading");',
    says: /✖ import\.test\.ts .*\n {4}Error: while loading/,
  },
  "syntax.test.ts": { text: "test(;", says: /✖ syntax\.test\.ts .*\n.*SyntaxError/s },
  "none.test.ts": { text: "", says: /✖ none\.test\.ts .*\n {4}has no tests/ },
  "exit.test.ts": {
    text: 'test("a", () => process.exit(0)); test("b", () => {});',
    says: /✖ exit\.test\.ts left before all tests had run\n {4}while running: a/,
  },
  "late.test.ts": {
    text: 'test("a", () => { setImmediate(() => { throw new Error("too late"); }); });',
    says: /✖ late\.test\.ts ended with exit status \d+\n.*too late/,
  },
  "killed.test.ts": {
    text: 'test("a", () => { process.kill(process.pid, "SIGKILL"); });',
    says: /✖ killed\.test\.ts was killed by SIGKILL\n {4}while running: a/,
  },
  "busy.test.ts": {
    text: 'test("a", () => { for (;;) {} });',
    says: /✖ busy\.test\.ts was killed after 1 s\n {4}while running: a/,
  },
  "open.test.ts": {
    text: 'test("a", () => { setInterval(() => {}, 1_000); });',
    says: /✖ open\.test\.ts was killed after 1 s\n {4}no test was running/,
  },
};

for (const [file, { text, says }] of Object.entries(FAILING)) {
  test(`${file} fails and says why`, async (t) => {
    const { isGood, printed } = await runIn(t, { [file]: HEAD + text }, { fileTimeoutMs: 1_000 });
    assert.equal(isGood, false);
    assert.match(printed.join("\n"), says);
    assert.match(printed.at(-1) as string, /^\d+ passed, [12] failed$/);
  });
}

test("a process that a test left behind ends with its file", async (t) => {
  const server = createServer((socket) => socket.resume()).listen(0, "127.0.0.1");
  t.after(() => server.close());
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const left = new Promise((resolve) => {
    server.once("connection", (socket) => socket.once("error", resolve).once("close", resolve));
  });
  const program = `require("node:net").connect(${port}, "127.0.0.1", () => console.log("up"))`;
  const { isGood } = await runIn(t, {
    "a.test.ts": `${HEAD}import { spawn } from "node:child_process";
import { once } from "node:events";
test("a", async () => {
  const child = spawn(process.execPath, ["-e", ${JSON.stringify(program)}]);
  await once(child.stdout, "data");
  for (const stream of child.stdio) stream.destroy();
  child.unref();
});
`,
  });
  assert.equal(isGood, true);
  await left;
});

test("every file below the root runs, but what is installed or built", async (t) => {
  const one = `${HEAD}test("a", () => {});\n`;
  const { isGood, printed } = await runIn(t, {
    "a.test.ts": one,
    "b/c.test.ts": `${one}describe("suite", () => { test("b", () => {}); });\n`,
    "b/d.ts": "throw new Error();\n",
    "node_modules/e/e.test.ts": "throw new Error();\n",
    "dist/f.test.ts": "throw new Error();\n",
  });
  assert.equal(isGood, true);
  assert.equal(printed.at(-1), "3 passed, 0 failed");
});

test("a pattern picks files by a part of their path; none is a failure", async (t) => {
  const files = { "a/b.test.ts": `${HEAD}test("a", () => {});\n`, "c.test.ts": "throw 1;\n" };
  const picked = await runIn(t, files, { patterns: ["a/"] });
  assert.deepEqual([picked.isGood, picked.printed.at(-1)], [true, "1 passed, 0 failed"]);
  const none = await runIn(t, files, { patterns: ["nothing"] });
  assert.deepEqual([none.isGood, none.printed.at(-1)], [false, "0 passed, 0 failed"]);
});

test("a skipped test is named with its reason, and fails in CI", async (t) => {
  const files = {
    "a.test.ts": `${HEAD}test("a", () => {}); test("b", (t) => t.skip("no redis"));\n`,
  };
  const here = await runIn(t, files);
  assert.deepEqual([here.isGood, here.printed.at(-1)], [true, "1 passed, 0 failed, 1 skipped"]);
  assert.ok(here.printed.includes("skipped a.test.ts: b: no redis"));
  const inCi = await runIn(t, files, { skipFails: true });
  assert.deepEqual([inCi.isGood, inCi.printed.at(-1)], [false, "1 passed, 1 failed"]);
});

test("what a file prints is shown when it fails, and only then", async (t) => {
  const files = {
    "good.test.ts": `${HEAD}test("a", () => console.log("good chatter"));\n`,
    "bad.test.ts": `${HEAD}test("a", () => { console.error("bad chatter"); throw 1; });\n`,
  };
  const { printed } = await runIn(t, files);
  assert.match(printed.join("\n"), /bad chatter/);
  assert.doesNotMatch(printed.join("\n"), /good chatter/);
});

async function runIn(
  t: TestContext,
  files: Readonly<Record<string, string>>,
  options: Partial<TestRunOptions> = {},
): Promise<{ readonly isGood: boolean; readonly printed: readonly string[] }> {
  const root = mkdtempSync(join(tmpdir(), "posthorn-runner-"));
  t.after(() => rmSync(root, { recursive: true }));
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
  }
  const printed: string[] = [];
  const isGood = await runTests({
    root,
    patterns: [],
    fileTimeoutMs: 60_000,
    skipFails: false,
    print: (line) => printed.push(line),
    ...options,
  });
  return { isGood, printed };
}
