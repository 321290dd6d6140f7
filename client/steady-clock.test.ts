import assert from "node:assert/strict";
import { test } from "node:test";
import { SteadyClock } from "./steady-clock.ts";

const HOUR_MS = 3_600_000;

test("[SEQ-15] never goes back, and goes on through sleep and a wall clock set back (P24)", () => {
  let wallMs = 1_000;
  let monotonicMs = 0;
  const clock = new SteadyClock({ wallMs: () => wallMs, monotonicMs: () => monotonicMs });
  const passed = (wall: number, monotonic: number) => {
    const before = clock.nowMs();
    wallMs += wall;
    monotonicMs += monotonic;
    return clock.nowMs() - before;
  };
  assert.equal(clock.nowMs(), 1_000);
  assert.equal(passed(20, 20), 20);
  assert.equal(passed(-HOUR_MS, 20), 20, "the wall clock is set back");
  assert.equal(passed(20, 20), 20);
  assert.equal(passed(HOUR_MS, 0), HOUR_MS, "the machine slept");
  assert.equal(passed(-5, 0), 0);
});
