import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import { Delimiter } from "../delimit.ts";
import { decodeFrame, type Frame, FrameWriter, isViolation } from "../frames.ts";
import { indexBytes, type TimelineIndex, writeIndex } from "../timeline-index.ts";
import { DeliveryInbox } from "./delivery-inbox.ts";
import type { TimelinePage } from "./facts.ts";
import { TimelineFeed } from "./timeline-feed.ts";

const WINDOW = { count: 3, bytes: 100 };
const told = (through: number) => [
  { conversationId: "d:ann:bob", told: [{ from: 1, through }], read: [] },
];
const whole = (seq: number, size = 4) => ({
  seq,
  conversationSeq: 0,
  committedMs: 0,
  event: new Uint8Array(size),
});
const index = (firstSeq: number, seq: number, events: readonly number[] = []): TimelineIndex => ({
  firstSeq,
  seq,
  conversations: told(1),
  events: events.map((one) => whole(one)),
});

describe("the device's half of the timeline", () => {
  const inbox = (indexAbove?: number) =>
    new DeliveryInbox({ epoch: 1, seq: 4 }, { deliveryWindow: WINDOW, indexAbove });
  const given = (box: DeliveryInbox, one: TimelineIndex) => box.indexed(writeIndex(one), 0);
  const seqs = (box: DeliveryInbox) =>
    box.take().flatMap((one) => {
      if (one.kind === "deliver") return one.deliveries.map(({ seq }) => seq);
      const { firstSeq, seq, events } = one.index;
      return [`${firstSeq}-${seq}`, ...events.map((event) => event.seq)];
    });

  test("[CAT-1] [CAT-6] one that was not asked for, or is malformed, is refused", () => {
    assert.equal(given(inbox(), index(5, 9))?.code, ErrorCode.INDEX_UNASKED);
    const malformed = given(inbox(0), index(5, 9, [10]));
    assert.equal(malformed?.code, ErrorCode.INDEX_MALFORMED);
  });

  test("[CAT-7] an index is next, a duplicate or a gap", () => {
    const box = inbox(0);
    assert.equal(given(box, index(5, 9, [7])), undefined);
    assert.equal(given(box, index(5, 9, [7])), undefined, "a duplicate");
    assert.equal(given(box, index(3, 6)), undefined, "an older one");
    assert.deepEqual(seqs(box), ["5-9", 7]);
    for (const other of [index(11, 12), index(9, 12), index(8, 10)]) {
      assert.equal(given(box, other)?.code, ErrorCode.SEQUENCE_GAP, `${other.firstSeq}`);
    }
    assert.equal(box.received(whole(10), 0), undefined);
    assert.deepEqual(seqs(box), [10]);
  });

  test("[CAT-7] of one that reaches beyond an earlier link's no event is taken again", () => {
    const box = inbox(0);
    box.received(whole(5), 0);
    given(box, index(6, 8, [7]));
    assert.deepEqual(seqs(box), [5, "6-8", 7]);
    box.relinked();
    assert.equal(given(box, index(5, 9, [5, 7, 9])), undefined);
    assert.deepEqual(seqs(box), ["5-9", 9]);
  });

  test("[CAT-8] [CAT-10] it is one item of the window until its end is handled", () => {
    const box = inbox(0);
    for (const one of [index(5, 9, [7]), index(10, 10), index(11, 14)]) {
      assert.equal(given(box, one), undefined);
    }
    assert.equal(given(box, index(15, 15))?.code, ErrorCode.CREDIT_EXCEEDED, "a fourth");
    box.applied({ epoch: 1, seq: 6 }, 0);
    assert.equal(box.acks.waiting, false, "the first is handled in part");
    assert.equal(box.acknowledge(), 6);
    assert.equal(given(box, index(15, 15))?.code, ErrorCode.CREDIT_EXCEEDED, "it still counts");
    box.applied({ epoch: 1, seq: 9 }, 0);
    assert.equal(box.acks.waiting, true);
    assert.equal(box.acknowledge(), 9);
    box.relinked();
    assert.equal(box.received(whole(10), 0), undefined, "known");
    assert.deepEqual(seqs(box), ["5-9", 7, "10-10", "11-14"]);
  });

  test("[SEQ-13] what comes again in fewer bytes leaves the service more room than before", () => {
    const box = inbox();
    assert.equal(box.received(whole(5, 90), 0), undefined);
    box.relinked();
    // It was recalled meanwhile.
    for (const one of [whole(5, 4), whole(6, 90)]) assert.equal(box.received(one, 0), undefined);
    assert.equal(box.received(whole(7, 90), 0)?.code, ErrorCode.CREDIT_EXCEEDED);
    assert.deepEqual(seqs(box), [5, 6]);
  });

  test("[SEQ-13] what is not handled is bounded, however many links bring it", () => {
    const deliveryWindow = { count: 20, bytes: 10 };
    const many = new DeliveryInbox({ epoch: 1, seq: 4 }, { deliveryWindow });
    const codes = [5, 6, 7, 8, 9].map((seq) => {
      many.relinked();
      for (let again = 5; again < seq; again += 1) many.received(whole(again, 0), 0);
      return many.received(whole(seq, 10), 0)?.code;
    });
    assert.deepEqual(codes, [undefined, undefined, undefined, undefined, ErrorCode.TOO_SLOW]);
  });

  test("[CAT-8] its bytes count, but one may always be outstanding", () => {
    const box = inbox(0);
    const large = { ...index(5, 6), events: [whole(6, 200)] };
    assert.equal(given(box, large), undefined);
    assert.equal(given(box, index(7, 7))?.code, ErrorCode.CREDIT_EXCEEDED);
  });
});

describe("the service's half of the timeline", () => {
  const feed = (indexAbove: number | undefined, window = WINDOW) => {
    const one = new TimelineFeed();
    one.begin({ head: 14, cursor: 4, window, indexAbove });
    return one;
  };
  const page = (one?: TimelineIndex, entries: TimelinePage["entries"] = []): TimelinePage => ({
    bounds: { epoch: 1, head: 14, floor: 1 },
    index: one,
    entries,
  });
  const load = (one: TimelineFeed, given: TimelinePage): Frame[] => {
    const writer = new FrameWriter();
    one.answered();
    assert.equal(one.loaded(given, writer), undefined);
    const frames: Frame[] = [];
    new Delimiter(1 << 20).push(writer.take(), (from, at, end) => {
      const frame = decodeFrame(from, { at, end }, { sender: "server", phase: "open" });
      assert.ok(!isViolation(frame));
      frames.push(frame);
      return true;
    });
    return frames;
  };

  test("[CAT-1] an index is asked for only above what the device says", () => {
    assert.equal(feed(undefined).next()?.mayIndex, false);
    assert.equal(feed(10).next()?.mayIndex, false, "ten are missing");
    assert.equal(feed(9).next()?.mayIndex, true);
    assert.equal(feed(0).next()?.mayIndex, true);
  });

  test("[CAT-7] [CAT-8] an index moves the counter to its end, and is one item", () => {
    const one = feed(0);
    one.next();
    assert.deepEqual(
      load(one, page(index(5, 12), [whole(13)])).map(({ kind }) => kind),
      ["index", "deliver"],
    );
    assert.equal(one.sentThrough, 13);
    assert.deepEqual(one.next()?.limit, {
      count: 1,
      bytes: 100 - 4 - indexBytes(writeIndex(index(5, 12))),
    });
    one.answered();
    one.acknowledged(8);
    assert.equal(one.next()?.limit.count, 1, "the index is outstanding still");
    one.answered();
    one.acknowledged(12);
    assert.deepEqual(one.next()?.limit, { count: 2, bytes: 96 });
  });

  test("[CAT-8] what the window does not admit is not sent, nor loaded again before an ack", () => {
    const one = feed(0, { count: 3, bytes: 40 });
    one.next();
    const large = { ...index(7, 8), events: [whole(8, 30)] };
    assert.equal(load(one, page(index(5, 6))).length, 1);
    one.next();
    assert.equal(load(one, page(large)).length, 0);
    assert.equal(one.sentThrough, 6);
    assert.equal(one.next(), undefined);
    one.acknowledged(6);
    assert.equal(one.next()?.after, 6);
  });
});
