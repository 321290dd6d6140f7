import assert from "node:assert/strict";
import {
  appendFile,
  cp,
  mkdtemp,
  readdir,
  readFile,
  rm,
  symlink,
  writeFile,
} from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, type TestContext, test } from "node:test";
import { STEPS } from "./check.ts";
import { runCommand } from "./command.ts";

const ROOT = join(import.meta.dirname, "..");

interface Plant {
  readonly step: string;
  readonly title: string;
  /** Added at the end of a file, which is made where there is none. */
  readonly path: string;
  readonly text: string;
  /** What the step has to say. */
  readonly says: RegExp;
}

const FRAMES = "protocol/frames.ts";
const FROM_SERVER =
  'import { createServer } from "../server/server.ts";\nexport { createServer };\n';

const PLANTS: readonly Plant[] = [
  {
    step: "types",
    title: "a value of another type",
    path: "server/planted.ts",
    text: 'export const count: number = "one";\n',
    says: /server\/planted\.ts\(1,14\): error TS2322/,
  },
  {
    step: "types",
    title: "syntax that Node cannot strip",
    path: "server/planted.ts",
    text: "export enum Planted {\n  One,\n}\n",
    says: /server\/planted\.ts\(1,13\): error TS1294/,
  },
  ...[
    "setTimeout(() => {}, 1)",
    "Buffer.from([])",
    "console.log(1)",
    'fetch("")',
    "new TextEncoder()",
    "crypto.randomUUID()",
    "performance.now()",
    'import("node:net")',
    "Promise.withResolvers()",
  ].map((expression) => ({
    step: "types-protocol",
    title: `${expression} in the protocol`,
    path: FRAMES,
    text: `export const planted = ${expression};\n`,
    says: /protocol\/frames\.ts\(\d+,\d+\): error TS\d+: /,
  })),
  ...["Buffer.from([])", 'import("node:net")'].map((expression) => ({
    step: "types-client",
    title: `${expression} in what runs in a browser`,
    path: "client/race.ts",
    text: `export const planted = ${expression};\n`,
    says: /client\/race\.ts\(\d+,\d+\): error TS\d+: /,
  })),
  {
    step: "types-client-tests",
    title: "a value of another type in a test of the client",
    path: "client/planted.test.ts",
    text: 'export const count: number = "one";\n',
    says: /client\/planted\.test\.ts\(1,14\): error TS2322/,
  },
  {
    step: "types-package",
    title: "what Node 20 does not have",
    path: "server/planted.ts",
    text: "export const planted = Promise.withResolvers<void>();\n",
    says: /server\/planted\.ts\(1,32\): error TS2550/,
  },
  ...[
    ["another layout", "server/planted.ts", "export const a = [1,2]\n", /formatter would have/i],
    ["the server in the protocol", FRAMES, FROM_SERVER, /noRestrictedImports/],
    ["Node in the protocol", FRAMES, 'export * as net from "node:net";\n', /noNodejsModules/],
    [
      "the clock in the protocol",
      FRAMES,
      "export const now = Date.now();\n",
      /noRestrictedGlobals/,
    ],
    [
      "Node in the browser",
      "client/race.ts",
      'export * as n from "node:net";\n',
      /noNodejsModules/,
    ],
    [
      "the server in the client",
      "client/race.ts",
      'export { Hub } from "../server/sessions/hub.ts";\n',
      /noRestrictedImports/,
    ],
    [
      "the client in the server",
      "server/planted.ts",
      'export { Client } from "../client/client.ts";\n',
      /noRestrictedImports/,
    ],
    [
      "a promise that nobody awaits",
      "server/planted.ts",
      "async function later() {}\n\nexport function now() {\n  later();\n}\n",
      /noFloatingPromises/,
    ],
    [
      "a cycle of imports",
      "server/nearest.ts",
      'export { configFrom } from "./config.ts";\n',
      /noImportCycles/,
    ],
    [
      "an import without its extension",
      "server/planted.ts",
      'export { nearest } from "./nearest";\n',
      /useImportExtensions/,
    ],
    ["any", "server/planted.ts", "export const a = (b: any) => b;\n", /noExplicitAny/],
    ["a default export", "server/planted.ts", "export default 1;\n", /noDefaultExport/],
  ].map(([title, path, text, says]) => ({ step: "lint", title, path, text, says }) as Plant),
  {
    step: "tidy",
    title: "the server in the protocol",
    path: FRAMES,
    text: FROM_SERVER,
    says: /protocol\/frames\.ts:\d+ \[import-direction\] protocol does not read server\/server\.ts/,
  },
  {
    step: "vectors",
    title: "an edited vector",
    path: "spec/vectors/sniffing.json",
    text: "\n",
    says: /stale: spec\/vectors\/sniffing\.json/,
  },
  {
    step: "trace",
    title: "a requirement that does not exist",
    path: FRAMES,
    text: "// [SEQ-99]\n",
    says: /protocol\/frames\.ts:\d+: there is no requirement SEQ-99/,
  },
  ...[
    ["a MUST without an id", "A device MUST sing.\n", /a MUST or SHOULD without an id/],
    ["an id that is used twice", "- [SEQ-1] Again.\n", /SEQ-1 is already at spec/],
    ["a requirement that nobody accepted", "- [SEQ-98] MUST hum.\n", /SEQ-98 is new/],
    ["a reworded requirement", "  And sing.\n", /was reworded: npm run trace -- --accept/],
  ].map(
    ([title, text, says]) =>
      ({ step: "trace", title, path: "spec/08-errors.md", text, says }) as Plant,
  ),
  {
    step: "trace",
    title: "a pitfall without a reason",
    path: "spec/10-pitfalls.md",
    text: "| P36 | more | tested |\n",
    says: /P36 is no pitfall/,
  },
  {
    step: "generated",
    title: "a line that was not generated",
    path: "gen/posthorn/v1/frame_pb.ts",
    text: "// mine\n",
    says: /stale: gen\/posthorn\/v1\/frame_pb\.ts/,
  },
  {
    step: "generated",
    title: "a file that was not generated",
    path: "spec/generated/planted.md",
    text: "# Mine\n",
    says: /stale: spec\/generated\/planted\.md/,
  },
  {
    step: "generated",
    title: "a schema that changed",
    path: "proto/posthorn/v1/event.proto",
    text: "// Planted.\nmessage Planted {}\n",
    says: /stale: gen\/posthorn\/v1\/event_pb\.ts/,
  },
  {
    step: "schema-lint",
    title: "a message without a comment",
    path: "proto/posthorn/v1/event.proto",
    text: "message planted {}\n",
    says: /comment for documentation.*event\.proto:\d+:9:.* should be PascalCase/s,
  },
];

test("every step that needs no history has a plant, and lets an unplanted tree pass", async (t) => {
  const root = await copyOfTree(t);
  const planted = new Set(PLANTS.map(({ step }) => step));
  for (const [step, run] of Object.entries(STEPS)) {
    if (step === "schema-breaking") continue;
    assert.ok(planted.has(step), `${step} has no plant`);
    const { isOk, output } = await run(root);
    assert.ok(isOk, `${step} fails where nothing is planted:\n${output}`);
  }
});

describe("a planted fault makes its step fail", { concurrency: 2 }, () => {
  for (const { step, title, path, text, says } of PLANTS) {
    test(`${step}: ${title}`, async (t) => {
      const root = await copyOfTree(t);
      await appendFile(join(root, path), text);
      const { isOk, output } = await (STEPS[step] as (typeof STEPS)[string])(root);
      assert.equal(isOk, false);
      assert.match(output, says);
    });
  }
});

test("the command fails with its step, and says which", async (t) => {
  const root = await copyOfTree(t);
  await writeFile(join(root, "server/planted.ts"), "export default 1;\n");
  const args = ["scripts/check.ts", "tidy", "schema-lint"];
  const { isOk, output } = await runCommand(root, process.execPath, args);
  assert.equal(isOk, false);
  assert.match(output, /^FAILED tidy \(\d+\.\d s\)$/m);
  assert.match(output, /^ok +schema-lint \(\d+\.\d s\)$/m);
  assert.match(output, /^failed: tidy$/m);
});

test("an unknown step is named, with those there are", async () => {
  const args = ["scripts/check.ts", "tidiness"];
  const { isOk, output } = await runCommand(ROOT, process.execPath, args);
  assert.equal(isOk, false);
  assert.match(output, /^tidiness: the steps are types, /);
});

/** The tree as it could be committed, with the tools that are installed here. */
async function copyOfTree(t: TestContext): Promise<string> {
  const root = await mkdtemp(join(tmpdir(), "posthorn-check-"));
  t.after(() => rm(root, { recursive: true, force: true }));
  for (const name of await topLevelNames()) {
    await cp(join(ROOT, name), join(root, name), { recursive: true });
  }
  await symlink(join(ROOT, "node_modules"), join(root, "node_modules"));
  return root;
}

async function topLevelNames(): Promise<string[]> {
  const ignored = await readFile(join(ROOT, ".gitignore"), "utf8");
  const isIgnored = (name: string) => ignored.split("\n").includes(`${name}/`);
  return (await readdir(ROOT)).filter((name) => name !== ".git" && !isIgnored(name));
}
