import assert from "node:assert/strict";
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { after, before, test } from "node:test";
import { promisify } from "node:util";
import { build } from "esbuild";

const ROOT = join(import.meta.dirname, "..");
const run = promisify(execFile);
/** Programs of the package run on this very Node, whatever the system's is. */
const env = {
  ...process.env,
  PATH: `${dirname(process.execPath)}${delimiter}${process.env.PATH}`,
};

let project: string;

before(async () => {
  project = await mkdtemp(join(tmpdir(), "posthorn-package-"));
  await writeFile(join(project, "package.json"), '{ "type": "module", "private": true }\n');
  const packed = await run("npm", ["pack", "--silent", "--pack-destination", project], {
    cwd: ROOT,
    env,
  });
  const tarball = join(project, packed.stdout.trim().split("\n").at(-1) as string);
  const install = ["install", "--no-audit", "--no-fund", "--prefer-offline", tarball];
  await run("npm", install, { cwd: project, env });
});
after(() => rm(project, { recursive: true, force: true }));

async function serve(): Promise<{ readonly child: ChildProcess; readonly port: number }> {
  const args = ["posthorn", "serve", "--port", "0", "--log-level", "silent"];
  const child = spawn("npx", args, {
    cwd: project,
    env,
    stdio: ["ignore", "pipe", "inherit"],
    // npx starts a process of its own: the whole group is stopped.
    detached: true,
  });
  let output = "";
  for (;;) {
    const [chunk] = (await once(child.stdout, "data")) as [Buffer];
    output += chunk.toString();
    const match = /tcp:\/\/127\.0\.0\.1:(\d+)/.exec(output);
    if (match !== null) return { child, port: Number(match[1]) };
  }
}

test("the installed package serves, and the README's program sends and receives through it", async () => {
  const { child, port } = await serve();
  try {
    const readme = await readFile(join(ROOT, "README.md"), "utf8");
    const blocks = [...readme.matchAll(/```ts\n(import[\s\S]*?)```/g)].map(([, block]) => block);
    const [program = "", talk = "", secure = ""] = blocks;
    assert.match(program, /connect/);
    assert.match(talk, /conversationsOf/);
    assert.match(secure, /SecureMessenger/);
    await writeFile(join(project, "program.ts"), program.replaceAll("4370", String(port)));
    const client = 'import type { Client } from "posthorn";\ndeclare const client: Client;\n';
    await writeFile(join(project, "talk.ts"), client + talk);
    await writeFile(join(project, "secure.ts"), client + secure);
    const tsc = join(ROOT, "node_modules", ".bin", "tsc");
    const flags = ["--strict", "--module", "nodenext", "--target", "es2022", "--skipLibCheck"];
    const types = ["--types", "node", "--typeRoots", join(ROOT, "node_modules", "@types")];
    await run(tsc, [...flags, ...types, "program.ts", "talk.ts", "secure.ts"], {
      cwd: project,
      env,
    });
    const { stdout } = await run("node", ["program.js"], { cwd: project, env, timeout: 20_000 });
    assert.equal(stdout, "alice Hello, myself\n");
  } finally {
    const exited = once(child, "exit");
    process.kill(-(child.pid as number), "SIGTERM");
    await exited;
    child.stdout?.destroy();
  }
});

test("the browser entry bundles without any node: module", async () => {
  const result = await build({
    stdin: { contents: 'export * from "posthorn"', resolveDir: project },
    bundle: true,
    platform: "browser",
    format: "esm",
    write: false,
    logLevel: "silent",
    metafile: true,
  });
  const text = result.outputFiles[0]?.text ?? "";
  assert.ok(text.length > 10_000);
  assert.doesNotMatch(text, /from "node:|require\("node:/);
  const outside = Object.values(result.metafile.inputs).flatMap(({ imports }) =>
    imports.filter(({ external }) => external),
  );
  assert.deepEqual(outside, []);
});

test("the package holds the schemas and the specification, and no sources or tests", async () => {
  const { stdout } = await run("npm", ["pack", "--dry-run", "--json", "--ignore-scripts"], {
    cwd: ROOT,
    env,
  });
  const [{ files }] = JSON.parse(stdout) as [{ files: { path: string }[] }];
  const paths = files.map(({ path }) => path);
  for (const wanted of ["proto/posthorn/v1/frame.proto", "spec/05-sequencing.md", "LICENSE"]) {
    assert.ok(paths.includes(wanted), wanted);
  }
  const unwanted = paths.filter((path) => /\.test\.|testdata|(^|[^d])\.ts$/.test(path));
  assert.deepEqual(unwanted, []);
});
