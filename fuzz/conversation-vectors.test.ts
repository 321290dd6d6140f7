import assert from "node:assert/strict";
import { test } from "node:test";
import { fromBinary, toJson } from "@bufbuild/protobuf";
import { type Event, EventSchema } from "../gen/posthorn/v1/event_pb.ts";
import { IndexSchema } from "../gen/posthorn/v1/session_pb.ts";
import { NATIVE_CRYPTO } from "../platform/native-crypto.ts";
import {
  directConversationId,
  directUsers,
  isConversationId,
  madeConversationId,
} from "../protocol/conversation-id.ts";
import {
  bounded,
  count,
  decodeNumberSet,
  encodeNumberSet,
  intersection,
  type NumberSet,
  numbersFrom,
  union,
  without,
} from "../protocol/number-set.ts";
import { decodePlain, encodePlain } from "../protocol/plain.ts";
import {
  addReader,
  countReaders,
  decodeReadBitmap,
  encodeReadBitmap,
  hasRead,
  mergeReaders,
  type ReadBitmap,
} from "../protocol/read-bitmap.ts";
import { indexBytes, readIndex, writeIndex } from "../protocol/timeline-index.ts";
import {
  derived,
  type Members,
  Refusal,
  same,
  testVectors,
  type VectorCheck,
} from "./secure/vector-reader.ts";

const FILES = ["ids", "number-sets", "read-bitmaps", "indexes", "events"];

/** What may be wrong on purpose. */
function mistaken(ours: unknown, theirs: unknown): void {
  try {
    assert.deepEqual(ours, theirs);
  } catch {
    throw new Refusal("MISTAKE");
  }
}

function setIn(of: Members, name: string): NumberSet {
  const set = decodeNumberSet(of.bytes(name));
  if (set === undefined) throw new Refusal("MARK_INVALID");
  return set;
}

function bitmapIn(of: Members, name: string): ReadBitmap {
  const bitmap = decodeReadBitmap(of.bytes(name));
  if (bitmap === undefined) throw new Refusal("MARK_INVALID");
  return bitmap;
}

function rangesOf(set: NumberSet): number[][] {
  return set.map(({ from, through }) => [from, through]);
}

const ID_CHECKS: Readonly<Record<string, VectorCheck>> = {
  "direct-id": (of) => {
    const [first, second] = of.json("user_ids") as [string, string];
    const id = directConversationId(first, second);
    assert.equal(directConversationId(second, first), id);
    mistaken(id, of.text("conversation_id"));
  },
  "made-id": (of, crypto) => {
    const id = madeConversationId(crypto.sha256, of.text("user_id"), of.bytes("nonce"));
    if (id === undefined) throw new Refusal("CONVERSATION_INVALID");
    mistaken(id, of.text("conversation_id"));
  },
  "conversation-id": (of) => {
    const id = of.text("conversation_id");
    if (!isConversationId(id)) throw new Refusal("CONVERSATION_UNKNOWN");
    assert.deepEqual(directUsers(id), of.json("user_ids"));
  },
};

const SET_CHECKS: Readonly<Record<string, VectorCheck>> = {
  "number-set": (of) => {
    const set = setIn(of, "set");
    assert.deepEqual(rangesOf(set), of.json("ranges"));
    assert.equal(count(set), of.number("count"));
    same(encodeNumberSet(set), of.bytes("set"), "set");
  },
  mark: (of) => {
    const read = setIn(of, "read");
    const highest = Math.max(read.at(-1)?.through ?? 0, of.number("delivered_through"));
    if (highest === 0 || highest > of.number("newest")) throw new Refusal("MARK_INVALID");
    assert.deepEqual(rangesOf(read), of.json("ranges"));
  },
  "number-sets": (of) => {
    const [one, other] = [setIn(of, "one"), setIn(of, "other")];
    const both = bounded(union(one, other));
    assert.deepEqual(bounded(union(other, one)), both);
    derived(of, "union", encodeNumberSet(both));
    mistaken(count(both), of.number("union_count"));
    const left = without(one, other);
    derived(of, "difference", encodeNumberSet(left));
    mistaken(count(left), of.number("difference_count"));
  },
  marks: (of) => {
    const marks = of.hexes("marks").map((bytes) => decodeNumberSet(bytes) as NumberSet);
    for (const order of [marks, marks.toReversed(), [...marks, ...marks]]) {
      derived(of, "merged", encodeNumberSet(order.reduce(union)));
    }
  },
};

const BITMAP_CHECKS: Readonly<Record<string, VectorCheck>> = {
  "read-bitmap": (of) => {
    const bitmap = bitmapIn(of, "bitmap");
    const above = of.json("above") as readonly number[];
    assert.equal(bitmap.watermark, of.number("watermark"));
    const ordinals = [...Array(8 * bitmap.bits.length).keys()].map((at) => at + bitmap.watermark);
    assert.deepEqual(
      ordinals.filter((ordinal) => hasRead(bitmap, ordinal)),
      above,
    );
    assert.equal(countReaders(bitmap), of.number("count"));
    same(encodeReadBitmap(bitmap), of.bytes("bitmap"), "bitmap");
  },
  "read-bitmaps": (of) => {
    const [one, other] = [bitmapIn(of, "one"), bitmapIn(of, "other")];
    const merged = mergeReaders(one, other);
    derived(of, "merged", encodeReadBitmap(merged));
    derived(of, "merged", encodeReadBitmap(mergeReaders(other, one)));
    mistaken(countReaders(merged), of.number("count"));
  },
  "read-bitmap-adds": (of) => {
    const ordinals = of.json("ordinals") as readonly number[];
    const before = bitmapIn(of, "before");
    derived(of, "after", encodeReadBitmap(ordinals.reduce(addReader, before)));
    derived(of, "after", encodeReadBitmap(ordinals.toReversed().reduce(addReader, before)));
  },
};

function meaningOf({ kind }: Event): string {
  switch (kind.case) {
    case "message":
      if (kind.value.recalledByUserId !== "") return "message-recalled";
      if (kind.value.content === undefined) return "message-expired";
      return kind.value.editCount > 0 ? "message-edited" : "message";
    case "reactionChanged":
      return kind.value.removed ? "reaction-removed" : "reaction";
    case "marksChanged":
      return "marks";
    case "conversationChanged":
      return "conversation";
    case "preferencesChanged":
      return "preferences";
    case "draftChanged":
      return kind.value.draft?.content === undefined ? "draft-gone" : "draft";
    case "muteChanged":
      return kind.value.untilMs === 0n ? "unmute" : "mute";
    case "todoChanged":
      return TODO_MEANS[kind.value.todo?.state ?? 0] ?? "unknown";
    case "deviceChanged":
      return "device";
    case "profileChanged":
      return "profile";
    case "contactsChanged":
      return "contacts";
    case "blocksChanged":
      return "blocks";
    default:
      return "unknown";
  }
}

const TODO_MEANS = ["todo-removed", "todo-open", "todo-done"];

/** What a device shows of a message. */
function shownAs(conversation_seq: number, event: Event) {
  const means = meaningOf(event);
  const content = event.kind.case === "message" ? event.kind.value.content?.kind : undefined;
  return content?.case === "text"
    ? { conversation_seq, means, text: content.value }
    : { conversation_seq, means };
}

const EVENT_CHECKS: Readonly<Record<string, VectorCheck>> = {
  event: (of) => {
    const event = fromBinary(EventSchema, of.bytes("encoded"));
    mistaken(meaningOf(event), of.text("means"));
    mistaken(toJson(EventSchema, event), of.json("event"));
    if (event.kind.case !== "marksChanged") return;
    const read = decodeNumberSet(event.kind.value.read);
    if (read === undefined) throw new Refusal("MARK_INVALID");
    assert.deepEqual(rangesOf(read), of.json("read"));
  },
  shown: (of) => {
    const shown = new Map<number, object>();
    for (const delivery of of.list("deliveries")) {
      const seq = delivery.number("conversation_seq");
      shown.set(seq, shownAs(seq, fromBinary(EventSchema, delivery.bytes("event"))));
    }
    const numbers = [...shown.keys()].sort((one, other) => one - other);
    mistaken(
      numbers.map((seq) => shown.get(seq)),
      of.json("shown"),
    );
  },
  unread: (of) => {
    const visible = numbersFrom(of.number("visible_from"), of.number("newest"));
    const gone = union(setIn(of, "read"), setIn(of, "recalled"));
    const unread = without(visible, gone);
    derived(of, "unread", encodeNumberSet(unread));
    mistaken(count(unread), of.number("unread_count"));
    const called = of.hexes("mentioned").map((bytes) => decodeNumberSet(bytes) as NumberSet);
    const mentions = intersection(called.reduce(union), unread);
    derived(of, "mentions", encodeNumberSet(mentions));
    mistaken(count(mentions), of.number("mention_count"));
  },
};

const INDEX_CHECKS: Readonly<Record<string, VectorCheck>> = {
  index: (of) => {
    const plain = decodePlain(IndexSchema, of.bytes("encoded"));
    assert.ok(typeof plain !== "string");
    const index = readIndex(plain);
    if ("code" in index) throw new Refusal("INDEX_MALFORMED");
    const conversations = index.conversations.map(({ conversationId, told, read }) => {
      return { conversation_id: conversationId, told: rangesOf(told), read: rangesOf(read) };
    });
    assert.deepEqual(conversations, of.json("conversations"));
    assert.equal(index.firstSeq, of.number("first_seq"));
    assert.equal(index.seq, of.number("seq"));
    const seqs = index.events.map(({ seq }) => seq);
    assert.deepEqual(seqs, of.json("event_seqs"));
    assert.equal(indexBytes(plain), of.number("window_bytes"));
    same(encodePlain(IndexSchema, writeIndex(index)), of.bytes("encoded"), "encoded");
  },
};

const CHECKS = {
  ...ID_CHECKS,
  ...SET_CHECKS,
  ...BITMAP_CHECKS,
  ...INDEX_CHECKS,
  ...EVENT_CHECKS,
};
testVectors(FILES, CHECKS, [NATIVE_CRYPTO], "conversation");

test("every kind of vector of conversations is judged", () => {
  assert.equal(Object.keys(CHECKS).length, 14);
});
