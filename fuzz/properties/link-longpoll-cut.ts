import fc from "fast-check";
import { encodeFrame } from "../../protocol/frames.ts";
import { assert } from "../../protocol/violation.ts";
import { requestBytes } from "../links/http.ts";
import { FORMS, type Form } from "../links/long-poll.ts";
import { PipePeer } from "../links/pipe-peer.ts";
import { Rig } from "../links/rig.ts";
import type { Leaving } from "../links/wire.ts";
import { property, type Seen } from "../property.ts";

interface Case {
  /** How many pings wait to be answered, a few bytes each. */
  readonly pings: number;
  readonly form: Form;
  readonly leaving: Leaving;
  /** After how many cuts the device keeps one byte more of what came before. */
  readonly keepEvery: number;
}

/** About what an answer has before its body. */
const HEAD_BYTES = 220;

/**
 * Breaks the answer of a poll at every one of its bytes, each on a connection of its own, and then
 * takes what is left.
 */
async function play(rig: Rig, given: Case, seen: Seen): Promise<void> {
  const { pings, form, leaving, keepEvery } = given;
  const peer = await PipePeer.open(rig.doors, { pollBytesMax: 0 });
  await peer.attach({ userId: rig.freshUser(), deviceId: "d" });
  for (let id = 1; id <= pings; id += 1) {
    peer.queue(encodeFrame({ kind: "ping", value: { id, sentThrough: 0 } }));
  }
  await peer.sendAll();
  const answerBytes = HEAD_BYTES + (await peer.poll(form, true));
  for (let at = 0; at < answerBytes; at += 1) {
    await peer.breakPoll(form, at, leaving);
    if (at % keepEvery === 0) peer.keep(Math.min(peer.acked + 1, peer.downBytes - 1));
    seen(`cut ${form}`);
  }
  while (peer.log.frames.length < pings + 1) await peer.poll(form);
  const ids = peer.log.frames.flatMap((frame) => (frame.kind === "pong" ? [frame.value.id] : []));
  assert(ids.length === pings, `${ids.length} pongs of ${pings} pings`);
  assert(
    ids.every((id, index) => id === index + 1),
    "each pong once, in order (P1)",
  );
  await breakSends(peer, { form, leaving });
  await peer.close();
}

/** Breaks a Send, then the answer of one: it is as if it never was, or it came once. */
async function breakSends(
  peer: PipePeer,
  { form, leaving }: { readonly form: Form; readonly leaving: Leaving },
): Promise<void> {
  peer.queue(encodeFrame({ kind: "ping", value: { id: 77, sentThrough: 0 } }));
  const part = { from: peer.received, bytes: 20 };
  const { length } = requestBytes(peer.partRequest("proto", part.from, part.bytes));
  for (let at = 0; at < length; at += 7) await peer.breakSend(part, at, leaving);
  for (let at = 1; at < length; at += 37) await peer.forgetSend(part, at, leaving);
  const isAnswered = () => peer.log.last("pong")?.id === 77;
  while (!isAnswered()) await peer.poll(form);
  await peer.poll(form);
  const again = peer.log.frames.filter((frame) => frame.kind === "pong" && frame.value.id === 77);
  assert(again.length === 1, "a Ping that was sent again and again is answered once (P2)");
}

/** A cut is an everyday event, wherever it falls. */
export const linkLongPollCut = property<Case>({
  name: "link-longpoll-cut",
  title:
    "[LNK-7] [LNK-8] [LNK-12] an answer that is cut at any of its bytes is asked for again and " +
    "comes again, once (P1, P2, P34)",
  smokeRuns: 2,
  kinds: FORMS.map((form) => `cut ${form}`),
  arbitrary: fc.record({
    pings: fc.integer({ min: 1, max: 40 }),
    form: fc.constantFrom(...FORMS),
    leaving: fc.constantFrom<Leaving[]>("destroy", "reset", "finish"),
    keepEvery: fc.integer({ min: 1, max: 9 }),
  }),
  start: async (seen) => {
    const rig = await Rig.start();
    return {
      check: (given) => rig.run(() => play(rig, given, seen)),
      stop: () => rig.stop(),
    };
  },
});
