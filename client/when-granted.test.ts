import assert from "node:assert/strict";
import { test } from "node:test";
import { ErrorCode } from "../gen/posthorn/v1/error_pb.ts";
import { RefusedError } from "./results.ts";
import { whenGranted } from "./when-granted.ts";

const tooOften = (ms: number) => new RefusedError(ErrorCode.TOO_OFTEN, ms);

/** Refuses with each of these in turn, and grants then. */
function asking(...refusals: readonly Error[]) {
  const waits: number[] = [];
  let asked = 0;
  const ask = async () => {
    asked += 1;
    const refusal = refusals[asked - 1];
    if (refusal !== undefined) throw refusal;
    return asked;
  };
  const sleep = async (ms: number) => void waits.push(ms);
  return { ask, sleep, waits };
}

test("[LIM-12] what was refused is asked again after the time that was said", async () => {
  const { ask, sleep, waits } = asking(tooOften(700), tooOften(20));
  assert.equal(await whenGranted(ask, { sleep }), 3);
  assert.deepEqual(waits, [700, 20]);
});

test("[LIM-12] what says no time, too long a one, or is the last is thrown", async () => {
  const refused = new RefusedError(ErrorCode.NOT_PERMITTED);
  for (const [given, triesMax] of [
    [[refused], 5],
    [[tooOften(60_001)], 5],
    [[new TypeError("another")], 5],
    [[tooOften(1), tooOften(2)], 2],
  ] as const) {
    const { ask, sleep, waits } = asking(...given);
    await assert.rejects(whenGranted(ask, { sleep, triesMax }), given.at(-1));
    assert.equal(waits.length, given.length - 1);
  }
});

test("[LIM-12] who waits can be called back", async () => {
  const over = new AbortController();
  const { ask } = asking(tooOften(50_000));
  const waiting = whenGranted(ask, { signal: over.signal });
  setImmediate(() => over.abort(new RangeError("enough")));
  await assert.rejects(waiting, RangeError);
  await assert.rejects(whenGranted(ask, { signal: over.signal }), RangeError);
});

test("[LIM-12] a refusal says its time to people too", () => {
  assert.match(tooOften(1_201).message, /^TOO_OFTEN: .* \(again in 1\.3 s\)$/);
  assert.doesNotMatch(new RefusedError(ErrorCode.TOO_OFTEN).message, /again/);
});
