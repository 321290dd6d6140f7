import assert from "node:assert/strict";
import { test } from "node:test";
import { columns, styleFor } from "./terminal.ts";

test("text is set off on a terminal only, and there only if it is wanted", () => {
  const bold = (isTTY: boolean | undefined, env: Record<string, string>) =>
    styleFor({ isTTY }, env).bold("x");
  assert.equal(bold(true, {}), "\u001b[1mx\u001b[22m");
  assert.equal(bold(true, { NO_COLOR: "" }), "\u001b[1mx\u001b[22m");
  assert.equal(bold(true, { NO_COLOR: "1" }), "x");
  assert.equal(bold(true, { TERM: "dumb" }), "x");
  assert.equal(bold(false, {}), "x");
  assert.equal(bold(undefined, {}), "x");
});

test("columns are as wide as their longest label", () => {
  const rows = [
    ["a", "1"],
    ["long", "2"],
  ] as const;
  assert.equal(columns(rows), "  a     1\n  long  2\n");
});
