import assert from "node:assert/strict";
import { test } from "node:test";
import { AddressBudget } from "./address-budget.ts";

const NONE = { atOnce: 1, perSecond: 0 };
const OFF = { addressLinks: NONE, addressCalls: NONE, addressFailures: NONE };
const FEW = { atOnce: 3, perSecond: 1 };

function budgetOf(rates: Partial<typeof OFF>) {
  const clock = { ms: 0 };
  const refusals: string[] = [];
  const refused = (kind: string) => refusals.push(kind);
  const budget = new AddressBudget({ ...OFF, ...rates }, () => clock.ms, refused);
  return { budget, clock, refusals };
}

test("[LIM-11] an address opens so many links and makes so many calls, each for itself", () => {
  const { budget, clock, refusals } = budgetOf({ addressLinks: FEW, addressCalls: FEW });
  const links = Array.from({ length: 5 }, () => budget.takeLink("192.0.2.1"));
  assert.deepEqual(links, [0, 0, 0, 1_000, 1_000]);
  assert.equal(budget.takeLink("::ffff:192.0.2.1"), 1_000, "the same, as another socket says it");
  assert.equal(budget.takeLink("192.0.2.2"), 0);
  assert.deepEqual([budget.takeCall("192.0.2.1"), budget.takeCall("192.0.2.1")], [0, 0]);
  clock.ms = 400;
  assert.equal(budget.takeLink("192.0.2.1"), 600);
  assert.deepEqual(new Set(refusals), new Set(["address-links"]));
});

test("[LIM-11] who has one address of a prefix of IPv6 has no more by all of them", () => {
  const { budget } = budgetOf({ addressCalls: FEW });
  const waits = Array.from({ length: 200_000 }, (_, at) => {
    return budget.takeCall(`2001:db8::${(at >> 16).toString(16)}:${(at & 0xffff).toString(16)}`);
  });
  assert.equal(waits.filter((ms) => ms === 0).length, 3);
  assert.equal(budget.takeCall("2001:db8:0:1::1"), 0, "its neighbour is another one");
});

test("[LIM-10] attempts are counted that fail, and no others", () => {
  const { budget, clock, refusals } = budgetOf({ addressFailures: FEW });
  const waits = Array.from({ length: 100 }, () => budget.attemptWaitMs("192.0.2.1"));
  assert.ok(waits.every((ms) => ms === 0));
  for (let failed = 0; failed < 10; failed += 1) budget.attemptFailed("192.0.2.1");
  assert.equal(budget.attemptWaitMs("192.0.2.1"), 1_000, "many at once cost no more than all");
  assert.equal(budget.attemptWaitMs("192.0.2.2"), 0);
  clock.ms = 1_000;
  assert.equal(budget.attemptWaitMs("192.0.2.1"), 0);
  assert.deepEqual(refusals, ["address-failures"]);
});

test("[LIM-2] [LIM-10] a flood of addresses gives none of them more, and locks nobody out for good", () => {
  const { budget, clock } = budgetOf({ addressFailures: { atOnce: 3, perSecond: 1 } });
  const fails = (address: string) => {
    if (budget.attemptWaitMs(address) > 0) return false;
    budget.attemptFailed(address);
    return true;
  };
  const flood = Array.from(
    { length: 150_000 },
    (_, at) => `2001:db8:${(at >> 16).toString(16)}:${(at & 0xffff).toString(16)}::1`,
  );
  assert.equal(Array.from({ length: 9 }, () => fails("192.0.2.1")).filter(Boolean).length, 3);
  const failed = flood.map(fails).filter(Boolean).length;
  // So many have a place, and all others together one bucket.
  assert.equal(failed, 100_000 - 1 + 3);
  assert.equal(fails("192.0.2.1"), false, "who had spent its own did not get it anew");
  assert.equal(fails("198.51.100.7"), false, "newcomers share what the flood has left of one");
  clock.ms = 3_000;
  assert.equal(fails("198.51.100.7"), true);
});
