import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { describe, type TestContext, test } from "node:test";
import { findingText, RULES, tidy } from "./tidy.ts";

interface Plant {
  readonly rule: string;
  readonly path: string;
  readonly text: string;
}

const CALLER = 'import { thing } from "';
const PLANTS: readonly Plant[] = [
  ...directions({
    "protocol/a.ts": "../server/server.ts",
    "protocol/session/a.ts": "../../client/client.ts",
    "gen/posthorn/v1/a.ts": "../../../protocol/frames.ts",
    "platform/a.ts": "../server/server.ts",
    "client/a.ts": "../server/server.ts",
    "client/b.ts": "../platform/lock-file.ts",
    "client/node.ts": "../server/server.ts",
    "server/a.ts": "../client/client.ts",
    "server/links/a.ts": "../sessions/hub.ts",
    "server/sessions/a.ts": "../links/listener.ts",
    "server/operations/a.ts": "../sessions/hub.ts",
    "server/operations/b.ts": "../auth/authenticate.ts",
    "server/services/a.ts": "../sessions/hub.ts",
    "server/auth/a.ts": "../server.ts",
    "server/store/a.ts": "../operations/plan.ts",
    "codegen/a.ts": "../gen/posthorn/v1/frame_pb.ts",
    "cli/a.ts": "../demo/main.ts",
    "demo/a.ts": "../bench/main.ts",
    "bench/a.ts": "../scripts/check.ts",
  }),
  { rule: "import-direction", path: "loose.ts", text: "export const a = 1;\n" },
  ...packages({
    "protocol/a.ts": "node:buffer",
    "protocol/b.ts": "ws",
    "protocol/c.ts": "@bufbuild/protobuf-evil",
    "client/a.ts": "node:net",
    "server/operations/a.ts": "node:crypto",
    "server/a.ts": "buffer",
    "server/b.ts": "fast-check",
    "cli/a.ts": "not-installed",
    "fuzz/a.ts": "not-installed",
  }),
  ...imports("import-test", {
    "server/store/a.ts": "./memory.test.ts",
    "server/store/b.ts": "./contract.ts",
    "server/store/c.ts": "./testdata/fill.ts",
  }),
  ...imports("import-store", { "cli/a.ts": "../server/store/lmdb.ts" }),
  {
    rule: "re-export",
    path: "protocol/a.ts",
    text: 'export { frame } from "./frames.ts";\n',
  },
  { rule: "file-size", path: "server/a.ts", text: "export {};\n".repeat(501) },
  {
    rule: "function-size",
    path: "server/a.ts",
    text: `export function a() {\n${"  b();\n".repeat(69)}}\n`,
  },
  {
    rule: "parameters",
    path: "server/a.ts",
    text: "export const a = (b: 1, c: 2, d: 3, e: 4, f: 5) => b;\n",
  },
  { rule: "line-length", path: "server/a.ts", text: `// ${"a ".repeat(49)}\n` },
  ...["camelCase.ts", "snake_case.ts", "utils.ts", "helper.test.ts", "types.ts"].map((name) => ({
    rule: "file-name",
    path: `server/${name}`,
    text: "export {};\n",
  })),
  { rule: "file-name", path: "server/common/a.ts", text: "export {};\n" },
  { rule: "file-name", path: "server/core/a.ts", text: "export {};\n" },
  { rule: "file-name", path: "proto/posthorn/v1/long-poll.proto", text: "\n" },
  { rule: "empty-word", path: "server/a.ts", text: "export class SessionManager {}\n" },
  { rule: "empty-word", path: "server/a.ts", text: "export const storeImpl = 1;\n" },
  ...code("impure", "protocol/a.ts", [
    "Math.random()",
    "Date.now()",
    "performance.now()",
    "new Date(0)",
    "setTimeout(() => {}, 1)",
    "globalThis.setInterval(() => {}, 1)",
  ]),
  ...code("impure", "server/operations/a.ts", ["Math.random()", "new Date()"]),
  ...code("impure", "fuzz/sim/a.ts", ["Date.now()"]),
  ...code("timer", "server/a.ts", ["setTimeout(() => {}, 1)", "setInterval(() => {}, 1)"]),
  ...code("timer", "client/a.ts", ["setTimeout(() => {}, 1)"]),
  ...code("durable-cast", "server/sessions/a.ts", ["b as Durable<Receipt>"]),
  ...code("any", "server/a.ts", ["b as any", "(c: any) => c", "new Map<string, any>()"]),
  { rule: "default-export", path: "server/a.ts", text: "export default 1;\n" },
  { rule: "open-end", path: "docs/a.md", text: `Later. TO${"DO"}: all of it.\n` },
  { rule: "open-end", path: "server/a.ts", text: `// FIX${"ME"}\n` },
  ...["/ro", "/wo", "/tm"].map((begin, index) => ({
    rule: "machine-path",
    path: "docs/a.md",
    text: `Look into ${begin}${["ot", "rk", "p"][index]}/data.\n`,
  })),
  { rule: "machine-path", path: "server/a.ts", text: `const a = "/ho${"me"}/me/data";\n` },
  { rule: "registry-host", path: "docs/a.json", text: `"https://registry.npm${"js"}.org/ws"\n` },
];

describe("each rule reports what is planted, and no other rule does", () => {
  for (const { rule, path, text } of PLANTS) {
    test(`${rule}: ${path}: ${text.slice(0, 60).trim()}`, (t) => {
      const findings = tidy(treeWith(t, { [path]: text }));
      const reported = findings.map((finding) => `${finding.rule} ${finding.path}`);
      assert.deepEqual([...new Set(reported)], [`${rule} ${path}`]);
    });
  }
});

test("every rule has a plant", () => {
  const planted = new Set(PLANTS.map(({ rule }) => rule));
  assert.deepEqual(
    Object.keys(RULES).filter((rule) => !planted.has(rule)),
    [],
  );
});

test("what the rules allow is not reported", (t) => {
  const root = treeWith(t, {
    "protocol/a.ts": `import { create } from "@bufbuild/protobuf";\n${CALLER}../gen/a.ts";\n`,
    "protocol/a.test.ts": `import "node:test";\n${CALLER}../server/server.ts";\n`,
    "client/node.ts": `import "node:net";\n${CALLER}../platform/lock-file.ts";\n`,
    "client/index.ts": 'export { thing } from "./client.ts";\n',
    "server/server.ts": `${CALLER}./store/lmdb.ts";\nsetTimeout(() => {}, 1);\n`,
    "server/store/a.ts": "export const a = b as Durable<Receipt>;\n",
    "server/store/store.ts": 'export type { Receipt } from "./facts.ts";\n',
    "server/a.ts":
      "/* new Date(), any */\nexport const a = { any: 1, setTimeout: b.setTimeout(2) };\n" +
      'export const c = "as any; export default";\n// https://example.org/' +
      `${"long/".repeat(20)}\n`,
    "gen/posthorn/v1/hot_codecs.ts": `// ${"long ".repeat(30)}\n`,
    "bench/core.ts": "export {};\n",
    "proto/posthorn/v1/long_poll.proto": "\n",
  });
  assert.deepEqual(tidy(root).map(findingText), []);
});

test("without a repository, what is installed or built is passed over", (t) => {
  const text = "export default 1;\n";
  const root = treeWith(t, { "node_modules/a/a.ts": text, "dist/a.ts": text, "server/a.ts": text });
  assert.deepEqual(
    tidy(root).map(({ path }) => path),
    ["server/a.ts"],
  );
});

test("this tree is tidy", () => {
  assert.deepEqual(tidy(join(import.meta.dirname, "..")).map(findingText), []);
});

function directions(targets: Readonly<Record<string, string>>): Plant[] {
  return imports("import-direction", targets);
}

function packages(targets: Readonly<Record<string, string>>): Plant[] {
  return imports("import-package", targets);
}

function imports(rule: string, targets: Readonly<Record<string, string>>): Plant[] {
  return Object.entries(targets).map(([path, target]) => ({
    rule,
    path,
    text: `${CALLER}${target}";\n`,
  }));
}

function code(rule: string, path: string, expressions: readonly string[]): Plant[] {
  return expressions.map((expression) => ({
    rule,
    path,
    text: `export const a = ${expression};\n`,
  }));
}

function treeWith(t: TestContext, files: Readonly<Record<string, string>>): string {
  const root = mkdtempSync(join(tmpdir(), "posthorn-tidy-"));
  t.after(() => rmSync(root, { recursive: true }));
  const manifest = {
    dependencies: { "@bufbuild/protobuf": "1", ws: "1" },
    devDependencies: { "fast-check": "1" },
  };
  const all = { "package.json": JSON.stringify(manifest), ...files };
  for (const [path, text] of Object.entries(all)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
  }
  return root;
}
