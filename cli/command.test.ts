import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { ErrorCode } from "../gen/posthorn/v1/error_pb.ts";
import { ConfigError } from "../server/config-error.ts";
import { StoreError } from "../server/store/store.ts";
import { EXIT, errorLine, exitOf, UsageError } from "./command.ts";

function thrownBy(run: () => unknown): unknown {
  try {
    run();
  } catch (error) {
    return error;
  }
  throw new assert.AssertionError({ message: "nothing was thrown" });
}

test("[ERR-1] an error with a code is one line with the code's name, and no stack", () => {
  const locked = new StoreError(ErrorCode.DATA_LOCKED, "in use");
  assert.equal(errorLine(locked), "DATA_LOCKED: in use");
  assert.equal(exitOf(locked), EXIT.failed);
  const config = new ConfigError({ key: "port", problem: "unknown" });
  assert.equal(errorLine(config), "CONFIG_INVALID: port: unknown");
  assert.equal(exitOf(config), EXIT.usage);
  assert.equal(exitOf(new UsageError("what?")), EXIT.usage);
});

test("the system's own error is its one line, a defect is a stack", () => {
  const missing = thrownBy(() => readFileSync("/does/not/exist"));
  assert.equal(errorLine(missing), "ENOENT: no such file or directory, open '/does/not/exist'");
  assert.equal(exitOf(missing), EXIT.failed);
  const defect = thrownBy(() => (undefined as never as { x: number }).x);
  assert.match(errorLine(defect), /^INTERNAL: TypeError: .*\n +at /);
  assert.equal(exitOf(defect), EXIT.failed);
  assert.equal(errorLine("odd"), "INTERNAL: odd");
  assert.equal(exitOf(undefined), EXIT.failed);
});
