import assert from "node:assert/strict";
import { test } from "node:test";
import { readArguments, readPositionals } from "./arguments.ts";
import { UsageError } from "./command.ts";

const OPTIONS = {
  port: { type: "string" },
  file: { type: "string", multiple: true },
  json: { type: "boolean", short: "j" },
} as const;

test("reads values, switches, repeated flags and what follows --", () => {
  const args = ["a", "--port", "1", "--file=x", "--json", "--file", "y", "--", "--port"];
  const { values, positionals } = readArguments(args, OPTIONS);
  assert.deepEqual({ ...values }, { port: "1", file: ["x", "y"], json: true });
  assert.deepEqual(positionals, ["a", "--port"]);
  assert.deepEqual({ ...readArguments(["-j"], OPTIONS).values }, { json: true });
  assert.equal(readArguments(["--port=-1"], OPTIONS).values.port, "-1");
  assert.equal(readArguments(["--port="], OPTIONS).values.port, "");
  assert.equal(readArguments(["--port", "-"], OPTIONS).values.port, "-");
});

const wrong: readonly (readonly [readonly string[], string])[] = [
  [["--prot", "1"], "--prot: unknown; did you mean --port?"],
  [["--no-such-flag"], "--no-such-flag: unknown"],
  [["--constructor"], "--constructor: unknown"],
  [["-x"], "-x: unknown"],
  [["--port"], "--port: needs a value"],
  [["--port", "--json"], "--port: needs a value; one that begins with a dash goes --port=--json"],
  [["--json=yes"], "--json: takes no value"],
  [["--port", "1", "--port", "2"], "--port: given twice"],
  [["--json", "-j"], "-j: given twice"],
];
for (const [args, message] of wrong) {
  test(`${args.join(" ")} is refused`, () => {
    assert.throws(
      () => readArguments(args, OPTIONS),
      (error) => {
        assert.ok(error instanceof UsageError);
        assert.equal(error.message, message);
        return true;
      },
    );
  });
}

test("positional arguments are as many as their names", () => {
  assert.deepEqual(readPositionals({ positionals: ["alice"] }, ["USER"]), ["alice"]);
  assert.throws(() => readPositionals({ positionals: [] }, ["USER"]), {
    message: "USER is missing",
  });
  const message = '"b" is one argument too many';
  assert.throws(() => readPositionals({ positionals: ["a", "b"] }, ["USER"]), { message });
});
