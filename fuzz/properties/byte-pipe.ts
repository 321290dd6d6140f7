import { deepEqual, equal } from "node:assert/strict";
import fc from "fast-check";
import { PipeReceiver, PipeSender } from "../../protocol/byte-pipe.ts";
import { assert } from "../../protocol/violation.ts";
import { property, type Seen } from "../property.ts";

const FATES = ["arrives", "is lost", "arrives, its answer is lost", "is repeated later"] as const;

/** One step of a network of requests: what is sent, and what becomes of it and of its answer. */
interface Step {
  readonly write: Uint8Array;
  readonly bytesMax: number;
  readonly fate: (typeof FATES)[number];
}

export const bytePipe = property<Step[]>({
  name: "byte-pipe",
  title:
    "[LNK-7] [LNK-8] [LNK-12] lost, repeated and reordered requests lose and double nothing " +
    "(P1, P2, P3, P34)",
  smokeRuns: 400,
  kinds: FATES,
  arbitrary: fc.array(
    fc.record({
      write: fc.uint8Array({ maxLength: 40 }),
      bytesMax: fc.integer({ min: 1, max: 50 }),
      fate: fc.constantFrom(...FATES),
    }),
    { maxLength: 60 },
  ),
  start: (seen) => ({ check: (steps) => play(steps, seen) }),
});

function play(steps: readonly Step[], seen: Seen): void {
  const sender = new PipeSender();
  const receiver = new PipeReceiver();
  const written: number[] = [];
  const received: number[] = [];
  const late: { readonly offset: number; readonly data: Uint8Array }[] = [];
  const arrive = (offset: number, data: Uint8Array): number => {
    const fresh = receiver.take(offset, data);
    assert(!("code" in fresh), "what the sender sends is no violation");
    received.push(...fresh);
    return receiver.received;
  };
  for (const { write, bytesMax, fate } of steps) {
    seen(fate);
    sender.write(write);
    written.push(...write);
    const request = { offset: sender.base, data: sender.peek(bytesMax).slice() };
    if (fate === "is lost") continue;
    const answer = arrive(request.offset, request.data);
    if (fate === "arrives") equal(sender.acknowledged(answer), undefined);
    if (fate === "is repeated later") late.push(request);
    // An old request comes again at any time, and changes nothing.
    const old = late[steps.length % Math.max(1, late.length)];
    if (old !== undefined) arrive(old.offset, old.data);
    assert(sender.waitingBytes <= written.length, "no more waits than was written");
  }
  while (sender.waitingBytes > 0) {
    const answer = arrive(sender.base, sender.peek(30).slice());
    equal(sender.acknowledged(answer), undefined);
  }
  deepEqual(received, written);
  equal(sender.end, written.length);
}
