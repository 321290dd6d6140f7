import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import { Ajv2020 } from "ajv/dist/2020.js";
import { runCommand } from "./command.ts";
import { vectorFiles } from "./vectors.ts";

const ROOT = join(import.meta.dirname, "..");
const FOLDER = join(ROOT, "spec", "vectors");
const validate = new Ajv2020({
  allErrors: true,
  strictRequired: false,
  allowUnionTypes: true,
}).compile(JSON.parse(readFileSync(join(FOLDER, "schema.json"), "utf8")));

test("every file of vectors is what the schema describes", () => {
  for (const [path, text] of vectorFiles()) {
    const isValid = validate(JSON.parse(text));
    assert.ok(isValid, `${path}: ${JSON.stringify(validate.errors?.slice(0, 3))}`);
  }
});

test("the schema refuses what is none", () => {
  const [, text] = vectorFiles()[0] as readonly [string, string];
  const broken = (change: (file: { cases: Record<string, unknown>[] }) => void) => {
    const file = JSON.parse(text);
    change(file);
    return validate(file);
  };
  assert.equal(
    broken(({ cases }) => cases.splice(0)),
    false,
  );
  assert.equal(
    broken(({ cases }) => delete cases[0]?.requirements),
    false,
  );
  assert.equal(
    broken(({ cases }) => Object.assign(cases[0] ?? {}, { stream_hex: "0" })),
    false,
  );
  assert.equal(
    broken(({ cases }) => Object.assign(cases[0] ?? {}, { more: 1 })),
    false,
  );
});

test("a reader in Python, written from the chapters, agrees", async (t) => {
  const { isOk } = await runCommand(ROOT, "python3", ["--version"]);
  if (!isOk) return t.skip("python3 is not installed");
  const { stdout } = await promisify(execFile)("python3", [join(FOLDER, "check.py")]);
  assert.match(stdout, /^\d+ vectors agree\n$/);
});
