import { create, toBinary } from "@bufbuild/protobuf";
import fc from "fast-check";
import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import { OperationSchema } from "../../gen/posthorn/v1/operation_pb.ts";
import { encodeFrame } from "../../protocol/frames.ts";
import { assert } from "../../protocol/violation.ts";
import { LIMITS } from "../links/limits.ts";
import { FORMS, type Form, pollRequest, requestOf, sendRequest } from "../links/long-poll.ts";
import { PipePeer } from "../links/pipe-peer.ts";
import { Rig } from "../links/rig.ts";
import type { Leaving } from "../links/wire.ts";
import { property, type Seen } from "../property.ts";

/** A part of what goes up: from a position near where the service is. */
interface Part {
  readonly back: number;
  readonly bytes: number;
}

type Step =
  | { readonly do: "send"; readonly form: Form; readonly part: Part }
  | { readonly do: "pipeline"; readonly form: Form; readonly parts: readonly Part[] }
  | {
      readonly do: "break send" | "forget send";
      readonly part: Part;
      readonly at: number;
      readonly leaving: Leaving;
    }
  | { readonly do: "poll" | "forget"; readonly form: Form }
  | {
      readonly do: "break poll";
      readonly form: Form;
      readonly at: number;
      readonly leaving: Leaving;
    }
  | { readonly do: "keep"; readonly bytes: number }
  | { readonly do: "rival"; readonly form: Form; readonly count: number }
  | { readonly do: "stale poll" | "poll ahead"; readonly form: Form; readonly by: bigint }
  | { readonly do: "far"; readonly form: Form; readonly offset: bigint; readonly isPoll: boolean }
  | { readonly do: "forged"; readonly form: Form; readonly id: Uint8Array }
  | { readonly do: "large"; readonly form: Form }
  | { readonly do: "nonsense"; readonly form: Form; readonly body: Uint8Array };

interface Case {
  readonly texts: readonly number[];
  readonly pollBytesMax: number;
  readonly steps: readonly Step[];
}

function operation(toUserId: string, text: string): Uint8Array {
  const content = { kind: { case: "text" as const, value: text } };
  const kind = { case: "sendDirect" as const, value: { toUserId, content } };
  return toBinary(OperationSchema, create(OperationSchema, { kind }));
}

async function play(rig: Rig, { texts, pollBytesMax, steps }: Case, seen: Seen): Promise<void> {
  const userId = rig.freshUser();
  const peer = await PipePeer.open(rig.doors, { pollBytesMax });
  await peer.attach({ userId, deviceId: "d" });
  const said = texts.map((length, index) => `${index} `.padEnd(length, "x"));
  said.forEach((text, index) => {
    const value = { seq: index + 1, operation: operation(userId, text) };
    peer.queue(encodeFrame({ kind: "submit", value }));
  });
  for (const step of steps) {
    if (await take(peer, step)) seen(step.do);
  }
  await peer.sendAll();
  while (!hasAll(peer, said.length)) await peer.poll("proto");
  arrivedOnce(peer, said);
  await peer.close();
}

/** @returns false where there is nothing to do it with */
async function take(peer: PipePeer, step: Step): Promise<boolean> {
  const { linkId } = peer;
  const partOf = ({ back, bytes }: Part) => {
    return { from: Math.min(Math.max(0, peer.received - back), peer.upBytes), bytes };
  };
  switch (step.do) {
    case "send": {
      const { from, bytes } = partOf(step.part);
      await peer.send(step.form, from, bytes);
      return true;
    }
    case "pipeline":
      await peer.pipeline(step.form, step.parts.map(partOf));
      return true;
    case "break send":
      await peer.breakSend(partOf(step.part), step.at, step.leaving);
      return true;
    case "forget send":
      await peer.forgetSend(partOf(step.part), step.at, step.leaving);
      return true;
    case "poll":
    case "forget":
      await peer.poll(step.form, step.do === "forget");
      return true;
    case "break poll":
      await peer.breakPoll(step.form, step.at, step.leaving);
      return true;
    case "keep":
      peer.keep(Math.min(peer.acked + step.bytes, peer.downBytes));
      return true;
    case "rival":
      await peer.rival(step.form, step.count);
      return true;
    case "stale poll":
    case "poll ahead": {
      const isStale = step.do === "stale poll";
      const from = isStale ? peer.told : peer.downBytes + 1_000_000;
      const receivedOffset = BigInt(from) + (isStale ? -step.by : step.by);
      if (receivedOffset < 0n) return false;
      const request = pollRequest(step.form, { linkId, receivedOffset });
      await peer.refused(step.form, request, ErrorCode.OFFSET_INVALID);
      return true;
    }
    default:
      await refused(peer, step);
      return true;
  }
}

/** What cannot be granted, whatever the link has carried. */
async function refused(
  peer: PipePeer,
  step: Extract<Step, { do: "far" | "forged" | "large" | "nonsense" }>,
): Promise<void> {
  const { form } = step;
  const { linkId } = peer;
  switch (step.do) {
    case "far": {
      const { offset, isPoll } = step;
      const data = Uint8Array.of(1);
      const request = isPoll
        ? pollRequest(form, { linkId, receivedOffset: offset + 1n })
        : sendRequest(form, { linkId, offset, data });
      return await peer.refused(form, request, ErrorCode.COUNTER_OUT_OF_RANGE);
    }
    case "forged": {
      const request = pollRequest(form, { linkId: step.id, receivedOffset: 0n });
      return await peer.refused(form, request, ErrorCode.LINK_UNKNOWN);
    }
    case "large": {
      const data = new Uint8Array(LIMITS.sendBytesMax + 1);
      const request = sendRequest(form, { linkId, offset: 0n, data });
      return await peer.refused(form, request, ErrorCode.REQUEST_INVALID);
    }
    case "nonsense":
      return await peer.refused(
        form,
        requestOf("Send", form, step.body),
        ErrorCode.REQUEST_INVALID,
      );
  }
}

function hasAll({ log }: PipePeer, count: number): boolean {
  const delivered = log.last("deliver")?.seq ?? 0;
  const acked = log.last("submitAck")?.through ?? 0;
  assert(log.close === undefined, "the link goes on whatever was refused [LNK-9]");
  return delivered >= count && acked >= count;
}

/** Each submit has one result and one delivery, in order: nothing lost, nothing doubled. */
function arrivedOnce({ log }: PipePeer, said: readonly string[]): void {
  let [delivered, acked] = [0, 0];
  for (const frame of log.frames) {
    if (frame.kind === "deliver") {
      const { seq, event } = frame.value;
      assert(seq === delivered + 1, `delivery ${seq} after ${delivered} [SEQ-10]`);
      const text = said[delivered] as string;
      assert(Buffer.from(event).includes(text), `delivery ${seq} says what was submitted`);
      delivered = seq;
    }
    if (frame.kind === "submitAck") {
      const { through, results } = frame.value;
      assert(through === acked + results.length, "each result once [SEQ-4]");
      acked = through;
    }
  }
  assert(delivered === said.length && acked === said.length, "all of them, and no more");
}

const one = <const Value>(value: Value) => fc.constant(value);
const form = fc.oneof(
  { weight: 4, arbitrary: one("proto" as const) },
  { weight: 2, arbitrary: fc.constantFrom(...FORMS) },
);
const part: fc.Arbitrary<Part> = fc.record({
  back: fc.oneof(one(0), fc.integer({ min: -40, max: 300 })),
  bytes: fc.oneof(fc.nat(300), one(LIMITS.sendBytesMax)),
});
const leaving = fc.constantFrom<Leaving[]>("destroy", "reset", "finish");
const at = fc.nat(900);
/** A field that is longer than all that follows; as JSON it is nothing either. */
const nonsense = fc.uint8Array({ maxLength: 20 }).map((rest) => Uint8Array.of(0x0a, 0x7f, ...rest));
const far = fc.constantFrom(2n ** 53n - 1n, 2n ** 53n, 2n ** 63n, 2n ** 64n - 2n);
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 8, arbitrary: fc.record({ do: one("send" as const), form, part }) },
  {
    weight: 2,
    arbitrary: fc.record({
      do: one("pipeline" as const),
      form,
      parts: fc.array(part, { minLength: 2, maxLength: 5 }),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({ do: fc.constantFrom("break send", "forget send"), part, at, leaving }),
  },
  { weight: 5, arbitrary: fc.record({ do: fc.constantFrom("poll", "forget"), form }) },
  { weight: 6, arbitrary: fc.record({ do: one("break poll" as const), form, at, leaving }) },
  { weight: 2, arbitrary: fc.record({ do: one("keep" as const), bytes: fc.nat(60) }) },
  {
    weight: 1,
    arbitrary: fc.record({
      do: one("rival" as const),
      form,
      count: fc.integer({ min: 2, max: 4 }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constantFrom("stale poll", "poll ahead"),
      form,
      by: fc.bigInt(1n, 200n),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ do: one("far" as const), form, offset: far, isPoll: fc.boolean() }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      do: one("forged" as const),
      form,
      id: fc.uint8Array({ maxLength: 20 }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: one("large" as const), form }) },
  { weight: 1, arbitrary: fc.record({ do: one("nonsense" as const), form, body: nonsense }) },
);

/** The byte pipe of the long poll, by every way in which a network tears requests apart. */
export const linkLongPoll = property<Case>({
  name: "link-longpoll",
  title:
    "[LNK-1] [LNK-7] [LNK-8] [LNK-9] [LNK-10] [LNK-11] [LNK-12] [ERR-1] however requests are " +
    "repeated, reordered, cut, forged and racing, nothing is lost and nothing doubled " +
    "(P1, P2, P3, P31, P34)",
  smokeRuns: 60,
  kinds: (
    "send,pipeline,break send,forget send,poll,forget,break poll,keep,rival,stale poll," +
    "poll ahead,far,forged,large,nonsense"
  ).split(","),
  arbitrary: fc.record({
    texts: fc.array(fc.integer({ min: 3, max: 700 }), { minLength: 1, maxLength: 12 }),
    pollBytesMax: fc.constantFrom(0, 48, 200),
    steps: fc.array(step, { maxLength: 16, size: "max" }),
  }),
  start: async (seen) => {
    const rig = await Rig.start();
    return {
      check: (given) => rig.run(() => play(rig, given, seen)),
      stop: () => rig.stop(),
    };
  },
});
