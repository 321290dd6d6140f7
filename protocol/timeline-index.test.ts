import assert from "node:assert/strict";
import { test } from "node:test";
import { ErrorCode } from "../gen/posthorn/v1/error_pb.ts";
import { INDEX_CONVERSATIONS_MAX, INDEX_EVENTS_MAX } from "./limits.ts";
import {
  type IndexedMessages,
  type IndexPlain,
  indexBytes,
  readIndex,
  type TimelineIndex,
  writeIndex,
} from "./timeline-index.ts";

const span = (from: number, through: number) => ({ from, through });
const direct = (userId: string, more: Partial<IndexedMessages> = {}): IndexedMessages => ({
  conversationId: `d:${userId}:zoe`,
  told: [span(1, 3)],
  read: [],
  ...more,
});
const whole = (seq: number) => ({
  seq,
  conversationSeq: 0,
  committedMs: 5,
  event: Uint8Array.of(1, 2, 3),
});
const INDEX: TimelineIndex = {
  firstSeq: 11,
  seq: 20,
  conversations: [direct("ann", { read: [span(2, 3)] }), direct("bob", { told: [span(7, 7)] })],
  events: [whole(11), whole(20)],
};
const with_ = (more: Partial<TimelineIndex>) => readIndex(writeIndex({ ...INDEX, ...more }));
const many = (count: number) =>
  Array.from({ length: count }, (_, at) => {
    return direct(`u${String(at).padStart(4, "0")}`, { told: [span(1, 1)] });
  });

test("[CAT-5] [CAT-6] what was written is read, up to the limits", () => {
  assert.deepEqual(readIndex(writeIndex(INDEX)), INDEX);
  const largest = {
    firstSeq: 1,
    seq: INDEX_EVENTS_MAX,
    conversations: many(INDEX_CONVERSATIONS_MAX),
    events: [],
  };
  assert.deepEqual(readIndex(writeIndex(largest)), largest);
});

test("[CAT-8] ids, sets and events count, and nothing else", () => {
  const plain = writeIndex(INDEX);
  // Two ids of 9 bytes, sets of 2, 2 and 2 bytes, events of 3 and 3.
  assert.equal(indexBytes(plain), 18 + 6 + 6);
});

test("[CAT-5] [CAT-6] what breaks the form is refused, and says so", () => {
  const { conversations } = INDEX;
  const [ann, bob] = conversations as [IndexedMessages, IndexedMessages];
  const broken: Readonly<Record<string, ReturnType<typeof readIndex>>> = {
    "a first number of 0": with_({ firstSeq: 0, seq: 9 }),
    "an end before the beginning": with_({ firstSeq: 21 }),
    "more events than one covers": with_({ firstSeq: 11, seq: 11 + INDEX_EVENTS_MAX }),
    "no conversation": with_({ conversations: [] }),
    "too many conversations": with_({
      seq: 2_000,
      conversations: many(INDEX_CONVERSATIONS_MAX + 1),
    }),
    "ids that fall": with_({ conversations: [bob, ann] }),
    "an id twice": with_({ conversations: [ann, ann] }),
    "an id that is none": with_({ conversations: [{ ...ann, conversationId: "d:ann" }] }),
    "nothing told": with_({ conversations: [{ ...ann, read: [], told: [] }] }),
    "read below what is told": with_({ conversations: [{ ...bob, read: [span(6, 7)] }] }),
    "read above what is told": with_({ conversations: [{ ...bob, read: [span(7, 8)] }] }),
    "an event before it": with_({ events: [whole(10)] }),
    "an event behind it": with_({ events: [whole(21)] }),
    "events that fall": with_({ events: [whole(20), whole(11)] }),
    "an event twice": with_({ events: [whole(11), whole(11)] }),
    "more than it covers": with_({ firstSeq: 16 - 1, seq: 20, events: [15, 16, 17].map(whole) }),
    "a number told that it cannot cover": with_({
      conversations: [{ ...ann, told: [span(1, 2 ** 40)] }],
    }),
  };
  for (const [why, read] of Object.entries(broken)) {
    assert.ok("code" in read, why);
    assert.equal(read.code, ErrorCode.INDEX_MALFORMED, why);
  }
});

test("[CAT-6] a set in another form than its shortest is refused", () => {
  const plain = writeIndex(INDEX);
  const other = (bytes: Uint8Array, field: "told" | "read"): IndexPlain => {
    const [first, ...more] = plain.conversations;
    return { ...plain, conversations: [{ ...first, [field]: bytes } as never, ...more] };
  };
  for (const field of ["told", "read"] as const) {
    // Ranges that touch; a varint of two bytes for 0; half a range.
    for (const bytes of [[0, 0, 0, 0], [0x80, 0, 0], [1]]) {
      const read = readIndex(other(Uint8Array.from(bytes), field));
      assert.ok("code" in read, `${field} ${bytes}`);
    }
  }
});
