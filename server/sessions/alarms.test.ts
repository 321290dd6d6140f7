import assert from "node:assert/strict";
import { test } from "node:test";
import { Alarms, TICK_MS } from "./alarms.ts";

/** A clock and a timer turned by hand. */
function handTurned() {
  let nowMs = 10_000;
  let waiting: (() => void) | undefined;
  const alarms = new Alarms({
    nowMs: () => nowMs,
    timer: (_delayMs, callback) => {
      waiting = callback;
      return () => {
        waiting = undefined;
      };
    },
  });
  return {
    alarms,
    pass: (ms: number) => {
      nowMs += ms;
      const callback = waiting;
      waiting = undefined;
      callback?.();
    },
    idle: () => waiting === undefined,
  };
}

test("[SES-10] an alarm rings once, not early and at most a tick late", () => {
  const { alarms, pass, idle } = handTurned();
  const rung: number[] = [];
  alarms.alarm((nowMs) => rung.push(nowMs)).set(10_101);
  for (let step = 0; step < 20; step += 1) pass(10);
  assert.equal(rung.length, 1);
  const [at = 0] = rung;
  assert.ok(at >= 10_101 && at <= 10_101 + 2 * TICK_MS, String(at));
  assert.ok(idle(), "nothing is set: no timer runs");
});

test("an alarm that is set later rings at its earlier time; set earlier it rings earlier", () => {
  const { alarms, pass } = handTurned();
  let rung = 0;
  const alarm = alarms.alarm(() => {
    rung += 1;
  });
  alarm.set(10_200);
  alarm.set(10_900);
  alarm.set(10_060);
  pass(100);
  assert.equal(rung, 1);
  pass(1_000);
  assert.equal(rung, 1);
});

test("cancelled alarms do not ring; others of the same moment do", () => {
  const { alarms, pass } = handTurned();
  const rung: string[] = [];
  const cancel = alarms.schedule(10_050, () => rung.push("cancelled"));
  alarms.schedule(10_050, () => rung.push("kept"));
  cancel();
  pass(200);
  assert.deepEqual(rung, ["kept"]);
});

test("[SEQ-15] a clock that jumps an hour rings what is due, once, and goes on (P24)", () => {
  const { alarms, pass } = handTurned();
  const rung: string[] = [];
  alarms.schedule(10_050, () => rung.push("first"));
  alarms.schedule(10_900, () => rung.push("second"));
  pass(3_600_000);
  assert.deepEqual(rung, ["first", "second"]);
  alarms.schedule(3_611_000, () => rung.push("third"));
  pass(-3_600_000);
  assert.equal(rung.length, 2);
  pass(7_300_000);
  assert.deepEqual(rung, ["first", "second", "third"]);
});
