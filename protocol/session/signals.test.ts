import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { PresenceState } from "../../gen/posthorn/v1/signal_pb.ts";
import { encodeFrame, type FrameContents } from "../frames.ts";
import { HINTS_BYTES_MAX, HINTS_EVERY_MS, HINTS_WAITING_MAX, TYPING_MS } from "../limits.ts";
import { DeviceSignals } from "./device-signals.ts";
import { type Hint, HintQueue, hintsIn } from "./hint-queue.ts";
import { PassingTally } from "./passing-tally.ts";
import { ReceivedSignals, type SignalPlain } from "./received-signals.ts";

const typing = (conversationId: string, active = true): SignalPlain => ({
  case: "typing",
  value: { conversationId, active },
});
const presence = (state: PresenceState): SignalPlain => ({ case: "setPresence", value: { state } });
const watch = (...userIds: readonly string[]): SignalPlain => ({
  case: "watch",
  value: { userIds },
});

describe("the service's half of signals", () => {
  const hearing = (nowMs = 1_000) => {
    const signals = new ReceivedSignals(nowMs, new PassingTally());
    const say = (kind: SignalPlain, atMs: number) => signals.received({ kind }, atMs);
    return { signals, say };
  };

  test("[SIG-3] twenty at once and ten a second more are heard, of typing no more", () => {
    const { signals, say } = hearing();
    for (let said = 0; said < 300; said += 1) say(typing("c"), 1_000);
    assert.equal(signals.take().length, 20);
    for (let ms = 0; ms < 10_000; ms += 10) say(typing("c"), 1_000 + ms);
    const count = signals.take().length;
    assert.ok(count >= 99 && count <= 100, `${count}`);
    assert.equal(signals.deadlineMs, Number.POSITIVE_INFINITY, "what was dropped does not wait");
  });

  test("[SIG-4] of presence and of what is watched the latest waits for its time", () => {
    const { signals, say } = hearing();
    for (let said = 0; said < 20; said += 1) say(typing("c"), 1_000);
    signals.take();
    for (const state of [PresenceState.AWAY, PresenceState.BUSY]) say(presence(state), 1_000);
    say(watch("a"), 1_000);
    say(watch("b"), 1_000);
    assert.deepEqual(signals.take(), []);
    const heard: SignalPlain[] = [];
    const times: number[] = [];
    for (let turn = 0; turn < 4 && signals.deadlineMs < 10_000; turn += 1) {
      times.push(signals.deadlineMs);
      signals.elapsed(signals.deadlineMs);
      heard.push(...signals.take());
    }
    assert.deepEqual(heard, [presence(PresenceState.BUSY), watch("b")]);
    assert.deepEqual(times, [1_100, 2_100]);
  });

  test("[SIG-2] what says nothing that is known costs nothing", () => {
    const signals = new ReceivedSignals(0, new PassingTally());
    for (let said = 0; said < 100; said += 1) signals.received({ kind: { case: undefined } }, 0);
    assert.deepEqual(signals.take(), []);
    signals.received({ kind: typing("c") }, 0);
    assert.equal(signals.take().length, 1);
  });
});

const reachable = (userId: string, state: PresenceState = PresenceState.ONLINE): Hint => ({
  kind: "presence",
  value: { userId, state, lastSeenMs: 0 },
});
const types = (userId: string, active = true): Hint => ({
  kind: "typing",
  value: { conversationId: "c", userId, active },
});
const grown = (head: number): Hint => ({ kind: "head", value: { conversationId: "c", head } });
const taken = (queue: HintQueue): readonly Hint[] => {
  const frame = queue.take();
  return frame === undefined ? [] : hintsIn(frame);
};

describe("hints on their way", () => {
  test("[SIG-6] the first goes at once, the next 250 ms later, of each thing the latest", () => {
    const queue = new HintQueue(0, new PassingTally());
    queue.add([grown(1)], 10);
    assert.deepEqual(taken(queue), [grown(1)]);
    for (let head = 2; head <= 50; head += 1)
      queue.add([grown(head), types("a", head % 2 > 0)], 20);
    assert.deepEqual(taken(queue), []);
    assert.equal(queue.deadlineMs, 10 + HINTS_EVERY_MS);
    queue.elapsed(queue.deadlineMs);
    assert.deepEqual(taken(queue), [types("a", false), grown(50)]);
    assert.equal(queue.deadlineMs, Number.POSITIVE_INFINITY, "nothing waits");
  });

  test("[SIG-5] while the link takes no more typing drops, the rest coalesces", () => {
    const queue = new HintQueue(0, new PassingTally());
    queue.add([types("a"), reachable("b")], 0);
    queue.paused(true);
    queue.add([types("a"), reachable("b", PresenceState.AWAY), grown(7)], 1_000);
    assert.deepEqual(taken(queue), []);
    assert.equal(queue.deadlineMs, Number.POSITIVE_INFINITY);
    queue.paused(false);
    assert.deepEqual(taken(queue), [], "nobody has said yet what time it is");
    queue.elapsed(60_000);
    assert.deepEqual(taken(queue), [reachable("b", PresenceState.AWAY), grown(7)]);
    queue.add([grown(8)], 60_010);
    assert.deepEqual(taken(queue), [], "250 ms later");
  });

  test("[SIG-5] only so many wait: the oldest make way", () => {
    const queue = new HintQueue(0, new PassingTally());
    queue.paused(true);
    const count = HINTS_WAITING_MAX + 10;
    for (let user = 0; user < count; user += 1) queue.add([reachable(`u${user}`)], 0);
    queue.paused(false);
    const names: string[] = [];
    for (let nowMs = 0; nowMs < 60_000; nowMs += HINTS_EVERY_MS) {
      queue.elapsed(nowMs);
      for (const { value } of taken(queue)) names.push("userId" in value ? value.userId : "");
    }
    assert.equal(names.length, HINTS_WAITING_MAX);
    assert.equal(names[0], "u10");
  });

  test("[SIG-6] no frame is larger than it may be, and what does not fit comes later", () => {
    const queue = new HintQueue(0, new PassingTally());
    const long = "x".repeat(60);
    const names = Array.from({ length: 1_000 }, (_, index) => `${long}${index}`);
    queue.add(
      names.map((name) => reachable(name)),
      0,
    );
    const told: string[] = [];
    let frames = 0;
    for (let nowMs = 0; told.length < names.length; nowMs += HINTS_EVERY_MS) {
      queue.elapsed(nowMs);
      const value = queue.take() as FrameContents["hints"];
      assert.ok(encodeFrame({ kind: "hints", value }).length <= HINTS_BYTES_MAX);
      told.push(...value.presence.map(({ userId }) => userId));
      frames += 1;
    }
    assert.deepEqual(told, names);
    assert.ok(frames <= 8, `${frames}`);
  });
});

describe("the device's half of signals", () => {
  test("[SIG-9] that the user types is said at once, again after 3 s, and that it is over once", () => {
    const signals = new DeviceSignals();
    signals.opened();
    const said: [number, boolean][] = [];
    const note = (nowMs: number) => {
      for (const { value } of signals.take()) said.push([nowMs, "active" in value && value.active]);
    };
    for (let nowMs = 0; nowMs <= 7_000; nowMs += 100) {
      signals.typing("c", true, nowMs);
      note(nowMs);
    }
    for (const nowMs of [7_100, 7_200]) {
      signals.typing("c", false, nowMs);
      note(nowMs);
    }
    assert.deepEqual(said, [
      [0, true],
      [3_000, true],
      [6_000, true],
      [7_100, false],
    ]);
    signals.typing("c", true, 8_000);
    signals.take();
    signals.typing("c", false, 8_000 + TYPING_MS);
    assert.deepEqual(signals.take(), [], "it was over by itself");
  });

  test("[SIG-2] presence and what is watched are said again on each link, typing is not", () => {
    const signals = new DeviceSignals();
    signals.setPresence(PresenceState.AWAY);
    signals.watch(["a", "b"]);
    signals.typing("c", true, 0);
    const said = [presence(PresenceState.AWAY), watch("a", "b")];
    for (let link = 0; link < 2; link += 1) {
      signals.opened();
      assert.deepEqual(signals.take(), said);
      assert.deepEqual(signals.take(), []);
    }
    signals.watch([]);
    signals.setPresence(PresenceState.ONLINE);
    assert.deepEqual(signals.take(), [presence(PresenceState.ONLINE), watch()]);
    signals.opened();
    assert.deepEqual(signals.take(), [], "what every device begins with is not said");
  });

  test("[SIG-8] who types does so for 6 s, or until the link ends", () => {
    const signals = new DeviceSignals();
    const heard = (userId: string, active: boolean, nowMs: number) => {
      const hint = { conversationId: "c", userId, active };
      signals.received({ typing: [hint], presence: [], heads: [] }, nowMs);
    };
    heard("a", true, 0);
    heard("b", true, 1_000);
    heard("a", true, 2_000);
    assert.equal(signals.deadlineMs, 1_000 + TYPING_MS);
    assert.deepEqual(signals.expired(6_999), []);
    const over = (userId: string) => ({ conversationId: "c", userId, active: false });
    assert.deepEqual(signals.expired(7_000), [over("b")]);
    heard("b", true, 7_500);
    heard("a", false, 7_600);
    assert.deepEqual(signals.expired(Number.POSITIVE_INFINITY), [over("b")]);
    assert.equal(signals.deadlineMs, Number.POSITIVE_INFINITY);
  });
});

test("[SIG-3] [SIG-5] what is heard, written and dropped is counted", () => {
  const tally = new PassingTally();
  const signals = new ReceivedSignals(1_000, tally);
  for (let said = 0; said < 30; said += 1) signals.received({ kind: typing("c") }, 1_000);
  const { AWAY, BUSY } = PresenceState;
  for (const state of [AWAY, BUSY, AWAY]) signals.received({ kind: presence(state) }, 1_000);
  const nothing = { signalsHeard: 0, signalsDropped: 0, hintsWritten: 0, hintsDropped: 0 };
  assert.deepEqual(tally.take(), { ...nothing, signalsHeard: 20, signalsDropped: 12 });
  assert.equal(tally.take(), undefined);
  signals.elapsed(2_000);
  assert.deepEqual(tally.take(), { ...nothing, signalsHeard: 1 });

  const hints = new HintQueue(1_000, tally);
  const types = (userId: string): Hint => {
    return { kind: "typing", value: { conversationId: "c", userId, active: true } };
  };
  const head = (at: number): Hint => {
    return { kind: "head", value: { conversationId: `g:${at}`, head: 1 } };
  };
  hints.add([types("ann"), types("bob"), head(1)], 1_000);
  hints.take();
  assert.deepEqual(tally.take(), { ...nothing, hintsWritten: 3 });
  hints.add([types("ann"), head(1), head(1)], 1_000);
  hints.paused(true);
  hints.add([types("bob")], 1_000);
  assert.deepEqual(tally.take(), { ...nothing, hintsDropped: 2 }, "typing waits for no room");
  const many = Array.from({ length: HINTS_WAITING_MAX + 5 }, (_, at) => head(at));
  hints.add(many, 1_000);
  assert.deepEqual(tally.take(), { ...nothing, hintsDropped: 5 }, "and the oldest make way");
});
