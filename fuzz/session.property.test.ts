import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { fuzzParameters } from "./parameters.ts";
import { World } from "./sim/world.ts";

const FAULTS_AND_PARTS = 13;
const FLOW = 13;
const SUBMIT = 0;
const APPLY = 5;
const ATTACH = 7;
/** Most of the time things flow: faults then meet a session in the middle of something. */
const command = fc.oneof(
  { weight: 5, arbitrary: fc.constant(FLOW) },
  { weight: 3, arbitrary: fc.constantFrom(SUBMIT, APPLY, ATTACH) },
  { weight: 4, arbitrary: fc.nat(FAULTS_AND_PARTS - 1) },
);
const schedule = fc.array(fc.tuple(command, fc.nat(255)), {
  minLength: 30,
  maxLength: 200,
  size: "max",
});

type Schedule = [number, number][];

/**
 * Results that a Welcome brought were claimed as held before the journal had them; then the device
 * crashed.
 */
const CLAIMED_TOO_EARLY: Schedule = [
  [SUBMIT, 0],
  [FLOW, 67],
  [SUBMIT, 147],
  [12, 0],
  [FLOW, 0],
  [6, 0],
  [ATTACH, 0],
  [FLOW, 0],
  [8, 0],
  ...Array.from({ length: 5 }, (): [number, number] => [FLOW, 0]),
];

function play(steps: readonly (readonly [number, number])[]): World {
  const world = new World();
  world.attach();
  for (const [command, amount] of steps) world.step(command, amount);
  return world;
}

test("[SEQ-4] [SEQ-7] [SEQ-10] [SEQ-14] exactly once and in order, whatever is cut, crashes or repeats (P6, P9, P11, P12, P19)", () => {
  fc.assert(
    fc.property(schedule, (steps) => {
      const world = play(steps);
      assert.ok(world.settleDown(), "everything drains after faults stop (P15)");
      const { timeline, handled, submitted, accepted } = world;
      assert.deepEqual(
        handled,
        timeline,
        "the application handled the timeline, once and in order",
      );
      const own = timeline.filter((message) => message > 0);
      // A device that crashed before its journal held a submit never sent it: what it sent is in
      // order and once.
      assert.deepEqual(
        own,
        [...new Set(own)].sort((a, b) => a - b),
      );
      const known = new Set(submitted);
      assert.ok(own.every((message) => known.has(message)));
      const settled = [...new Set(accepted)].sort((a, b) => a - b);
      assert.deepEqual(accepted, settled, "each submit has one result, told once");
      assert.ok(accepted.every((message) => own.includes(message)));
    }),
    { ...fuzzParameters(300), examples: [[CLAIMED_TOO_EARLY]] },
  );
});

test("[SEQ-7] what the journal holds is sent: without a crash of the device nothing is missing", () => {
  const steps = schedule.map((all) => all.filter(([command]) => command !== 8));
  fc.assert(
    fc.property(steps, (some) => {
      const world = play(some);
      assert.ok(world.settleDown());
      const own = world.timeline.filter((message) => message > 0);
      assert.deepEqual(own, world.submitted);
      assert.deepEqual(world.accepted, world.submitted);
    }),
    fuzzParameters(200),
  );
});

test("[SES-16] resuming many times over makes progress each time and needs no extra attach (P9, P15)", () => {
  const world = new World();
  for (let life = 0; life < 40; life += 1) {
    world.attach();
    world.submit(3);
    const before = world.attachCount;
    assert.ok(world.settleDown());
    assert.equal(world.attachCount, before);
    world.cut();
  }
  assert.equal(world.handled.length, 120);
  assert.deepEqual(world.handled, world.timeline);
});
