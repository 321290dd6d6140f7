import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { NAMED_KEYS } from "./config.ts";
import { configHelp, configReference } from "./config-reference.ts";

test("help and reference hold every key once", () => {
  const help = configHelp().split("\n");
  const reference = configReference().split("\n");
  for (const { path, flag, env } of NAMED_KEYS) {
    assert.equal(help.filter((line) => line.startsWith(`  --${flag} `)).length, 1, flag);
    const rows = reference.filter((line) => line.startsWith(`| \`${path}\` | \`--${flag}\` `));
    assert.equal(rows.length, 1, path);
    assert.ok(rows[0]?.includes(`\`${env}\``));
  }
});

test("docs/configuration.md is what `posthorn serve --reference` prints", () => {
  const printed = readFileSync(new URL("../docs/configuration.md", import.meta.url), "utf8");
  assert.equal(printed, configReference());
});
