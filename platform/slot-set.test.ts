import assert from "node:assert/strict";
import { test } from "node:test";
import { SlotSet } from "./slot-set.ts";

test("[SEC-96] a set of slots holds what was added and not taken out, however far apart", () => {
  const set = new SlotSet();
  assert.equal(set.last, -1);
  const slots = [0, 7, 8, 511, 512, 4_095, 4_096, 100_003];
  for (const slot of slots) set.add(slot);
  for (const slot of slots) {
    assert.ok(set.has(slot) && !set.has(slot + 2), `${slot}`);
  }
  assert.equal(set.last, 100_003);
  assert.ok(set.delete(100_003));
  assert.ok(!set.delete(100_003));
  assert.ok(!set.delete(9_999_999), "beyond what it has room for");
  assert.equal(set.last, 4_096);
  assert.deepEqual(
    slots.filter((slot) => set.has(slot)),
    slots.slice(0, -1),
  );
});

test("[CNV-62] a set of slots takes over bits, the first in the lowest", () => {
  const set = new SlotSet();
  set.setBits(4_096, Uint8Array.of(0b1000_0001, 0b10));
  const held = Array.from({ length: 8_192 }, (_, slot) => slot).filter((slot) => set.has(slot));
  assert.deepEqual(held, [4_096, 4_103, 4_105]);
  assert.equal(set.last, 4_105);
});
