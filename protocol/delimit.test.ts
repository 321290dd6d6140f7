import assert from "node:assert/strict";
import { test } from "node:test";
import { Delimiter } from "./delimit.ts";

test("[FRM-3] [SEQ-16] a length that was only announced sets no memory aside", () => {
  const bytesMax = 2 ** 28;
  const delimiter = new Delimiter(bytesMax);
  const announced = Uint8Array.of(0xff, 0xff, 0xff, 0x7f, 1);
  const before = process.memoryUsage().arrayBuffers;
  assert.equal(
    delimiter.push(announced, () => assert.fail("nothing is whole")),
    undefined,
  );
  delimiter.push(Uint8Array.of(2), () => assert.fail("nothing is whole"));
  const set = process.memoryUsage().arrayBuffers - before;
  assert.ok(set < 1 << 20, `${set} bytes were set aside for 2`);
  assert.equal(delimiter.unfinished, true);
});
