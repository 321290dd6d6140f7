import assert from "node:assert/strict";
import { test } from "node:test";
import { ErrorCode } from "../gen/posthorn/v1/error_pb.ts";
import type { DialledLink, LinkKind } from "../protocol/link.ts";
import { type Dialer, LinkError } from "./dialer.ts";
import { HEAD_START_MS, raceDialers, VERDICT_MS, VERDICT_MS_MAX, Verdicts } from "./race.ts";
import type { Sleep } from "./sleep.ts";

interface Attempt {
  open(): TestLink;
  fail(): void;
  aborted: boolean;
}

class TestLink implements DialledLink {
  readonly kind = "tcp";
  readonly peer = "";
  closed = false;
  start(): void {}
  write(): boolean {
    return true;
  }
  close(): void {
    this.closed = true;
  }
}

/** A dialler whose attempts end when the test says so. */
function handDialer(kind: LinkKind): Dialer & { readonly attempts: Attempt[] } {
  const attempts: Attempt[] = [];
  return {
    kind,
    address: kind,
    attempts,
    dial: (signal) =>
      new Promise((resolve, reject) => {
        const attempt: Attempt = {
          aborted: false,
          open: () => {
            const link = new TestLink();
            resolve(link);
            return link;
          },
          fail: () => reject(new LinkError(ErrorCode.LINK_LOST, kind)),
        };
        signal.addEventListener("abort", () => {
          attempt.aborted = true;
        });
        attempts.push(attempt);
      }),
  };
}

function handClock(): { readonly sleep: Sleep; pass(ms: number): Promise<void> } {
  let waits: { left: number; readonly resolve: () => void }[] = [];
  return {
    sleep: (ms) => new Promise((resolve) => waits.push({ left: ms, resolve })),
    pass: async (ms) => {
      for (const wait of waits) wait.left -= ms;
      for (const wait of waits) if (wait.left <= 0) wait.resolve();
      waits = waits.filter(({ left }) => left > 0);
      await settle();
    },
  };
}

const settle = () => new Promise((resolve) => setImmediate(resolve));
const signal = () => new AbortController().signal;

test("[LNK-15] the first dialler has a head start; the first usable link wins, the others are given up", async () => {
  const [best, second, third] = [
    handDialer("tcp"),
    handDialer("websocket"),
    handDialer("longpoll"),
  ];
  const { sleep, pass } = handClock();
  const race = raceDialers([best, second, third], { signal: signal(), sleep, onFailure: () => {} });
  await pass(HEAD_START_MS - 1);
  assert.equal(second.attempts.length, 0);
  await pass(1);
  assert.equal(second.attempts.length, 1);
  assert.equal(third.attempts.length, 0);
  const link = second.attempts[0]?.open();
  const won = await race;
  assert.equal(won.dialer, second);
  assert.equal(won.link, link);
  assert.equal(best.attempts[0]?.aborted, true);
  await pass(HEAD_START_MS);
  assert.equal(third.attempts.length, 0);
});

test("[LNK-15] a failure passes on at once, and a link that comes too late is closed", async () => {
  const [best, second] = [handDialer("tcp"), handDialer("websocket")];
  const { sleep } = handClock();
  const failed: string[] = [];
  const onFailure = (dialer: Dialer) => failed.push(dialer.kind);
  const race = raceDialers([best, second], { signal: signal(), sleep, onFailure });
  best.attempts[0]?.fail();
  await settle();
  assert.deepEqual(failed, ["tcp"]);
  second.attempts[0]?.open();
  assert.equal((await race).dialer, second);

  const [slow, quick] = [handDialer("tcp"), handDialer("websocket")];
  const clock = handClock();
  const again = raceDialers([slow, quick], { signal: signal(), sleep: clock.sleep, onFailure });
  await clock.pass(HEAD_START_MS);
  quick.attempts[0]?.open();
  await again;
  const late = slow.attempts[0]?.open();
  await settle();
  assert.equal(late?.closed, true);
});

test("[LNK-15] when all fail the best one's error is told; an abort ends everything (P4)", async () => {
  const [best, second] = [handDialer("tcp"), handDialer("websocket")];
  const { sleep } = handClock();
  const race = raceDialers([best, second], { signal: signal(), sleep, onFailure: () => {} });
  best.attempts[0]?.fail();
  await settle();
  second.attempts[0]?.fail();
  await assert.rejects(race, (error) => error instanceof LinkError && error.message === "tcp");

  const abort = new AbortController();
  const aborted = raceDialers([handDialer("tcp")], {
    signal: abort.signal,
    sleep,
    onFailure: () => {},
  });
  abort.abort(new Error("enough"));
  await assert.rejects(aborted, /enough/);
});

test("[LNK-15] failures are remembered for a time, and what is better is tried again after it", () => {
  const dialers = [handDialer("tcp"), handDialer("websocket"), handDialer("longpoll")];
  const [tcp, webSocket, longPoll] = dialers as unknown as [Dialer, Dialer, Dialer];
  const verdicts = new Verdicts();
  verdicts.failed(tcp, 1_000);
  assert.deepEqual(verdicts.order(dialers, 2_000), [webSocket, longPoll, tcp]);
  assert.deepEqual(verdicts.better(dialers, longPoll, 2_000), [webSocket]);
  assert.deepEqual(verdicts.better(dialers, longPoll, 1_000 + VERDICT_MS), [tcp, webSocket]);
  const kept = new Verdicts(verdicts.entries());
  assert.deepEqual(kept.order(dialers, 2_000), [webSocket, longPoll, tcp]);
  verdicts.succeeded(tcp);
  assert.deepEqual(verdicts.order(dialers, 2_000), dialers);
});

test("[LNK-15] a transport that fails again and again rests for longer and longer, up to a bound", () => {
  const tcp = handDialer("tcp");
  const webSocket = handDialer("websocket");
  const verdicts = new Verdicts();
  let nowMs = 1_000;
  const restsMs: number[] = [];
  const fail = () => {
    verdicts.failed(tcp, nowMs);
    const entry = verdicts.entries().find(([name]) => name === "tcp tcp");
    const restMs = (entry?.[1] ?? 0) - nowMs;
    restsMs.push(restMs / VERDICT_MS);
    nowMs += restMs;
  };
  for (let failure = 0; failure < 7; failure += 1) fail();
  assert.deepEqual(restsMs, [1, 2, 4, 8, 16, 30, VERDICT_MS_MAX / VERDICT_MS]);
  verdicts.succeeded(tcp);
  // An outage, during which it fails often, counts once.
  for (let failure = 0; failure < 100; failure += 1) verdicts.failed(tcp, nowMs + failure);
  assert.deepEqual(verdicts.better([tcp, webSocket], webSocket, nowMs + 99 + VERDICT_MS), [tcp]);
});
