import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { describe, test } from "node:test";
import { Program, posthorn } from "./testdata/program.ts";

const COMMANDS = [
  "serve",
  "chat",
  "send",
  "tail",
  "rooms",
  "history",
  "contacts",
  "profile",
  "devices",
  "token",
];
const cwd = tmpdir();

describe("posthorn", { concurrency: 2 }, () => {
  test("--help, help and nothing name every command and show how to begin", async (t) => {
    const { status, stdout, stderr } = await posthorn(t, ["--help"], { cwd });
    assert.equal(status, 0);
    assert.equal(stderr, "");
    for (const name of COMMANDS) assert.match(stdout, new RegExp(`^  ${name} +\\w`, "m"));
    assert.match(stdout, /^ {2}posthorn chat bob/m);
    assert.deepEqual(await posthorn(t, ["help"], { cwd }), { status: 0, stdout, stderr: "" });
    assert.deepEqual(await posthorn(t, [], { cwd }), { status: 2, stdout: "", stderr: stdout });
  });

  test("--version is the package's", async (t) => {
    const text = readFileSync(new URL("../package.json", import.meta.url), "utf8");
    const wanted = `${JSON.parse(text).version}\n`;
    const { status, stdout } = await posthorn(t, ["--version"], { cwd });
    assert.deepEqual({ status, stdout }, { status: 0, stdout: wanted });
  });

  test("an unknown command is refused with the one that was meant", async (t) => {
    const refused = async (args: readonly string[], line: string) => {
      const { status, stdout, stderr } = await posthorn(t, args, { cwd });
      assert.equal(stderr, `posthorn: CONFIG_INVALID: ${line}\nposthorn --help says more.\n`);
      assert.deepEqual({ status, stdout }, { status: 2, stdout: "" });
    };
    await refused(["srve"], 'no command "srve"; did you mean serve?');
    await refused(["help", "tokne"], 'no command "tokne"; did you mean token?');
    await refused(["--vresion"], 'no command "--vresion"; did you mean --version?');
    await refused(["xyzzy"], 'no command "xyzzy"');
  });

  for (const name of COMMANDS) {
    test(`${name} --help teaches with examples`, async (t) => {
      const { status, stdout, stderr } = await posthorn(t, [name, "--help"], { cwd });
      assert.deepEqual({ status, stderr }, { status: 0, stderr: "" });
      assert.match(stdout, new RegExp(`^posthorn ${name}`));
      assert.match(stdout, new RegExp(`^  posthorn ${name}`, "m"));
    });

    test(`${name} refuses a flag that it does not know, and says where to read`, async (t) => {
      const { status, stdout, stderr } = await posthorn(t, [name, "--nonsense", "1"], { cwd });
      assert.deepEqual({ status, stdout }, { status: 2, stdout: "" });
      const says = `posthorn ${name} --help says more.`;
      assert.equal(stderr, `posthorn: CONFIG_INVALID: --nonsense: unknown\n${says}\n`);
    });
  }

  test("help is given in every way of asking, but not to a message after --", async (t) => {
    const help = await posthorn(t, ["help", "send"], { cwd });
    assert.deepEqual(await posthorn(t, ["send", "--nonsense", "-h"], { cwd }), help);
    const { status, stdout } = await posthorn(t, ["send", "bob", "--", "--help"], { cwd });
    assert.deepEqual({ status, stdout }, { status: 2, stdout: "" });
  });

  test("prints to a reader that went away without a word of complaint", async (t) => {
    const program = new Program(t, ["serve", "--reference"], { cwd });
    program.closeStdout();
    const { status, stderr } = await program.ended;
    assert.deepEqual({ status, stderr }, { status: 0, stderr: "" });
  });
});
