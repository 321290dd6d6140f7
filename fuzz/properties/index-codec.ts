import { deepEqual, equal } from "node:assert/strict";
import fc from "fast-check";
import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import { decodeFrame, encodeFrame, isViolation } from "../../protocol/frames.ts";
import { type NumberSet, union } from "../../protocol/number-set.ts";
import {
  type IndexPlain,
  readIndex,
  type TimelineIndex,
  writeIndex,
} from "../../protocol/timeline-index.ts";
import { assert } from "../../protocol/violation.ts";
import { property } from "../property.ts";

const IDS = ["d:a:a", "d:a:b", "d:b:c", `g:${"a".repeat(26)}`, `g:${"z7".repeat(13)}`];
const NO_IDS = ["", "d:a", "d:b:a", "g:a", `g:${"A".repeat(26)}`];

interface Case {
  readonly index: TimelineIndex;
  readonly nearly: IndexPlain;
}

const set = (most: number) =>
  fc.array(fc.tuple(fc.integer({ min: 1, max: most }), fc.nat(3)), { maxLength: 4 }).map(
    (ranges): NumberSet =>
      union(
        ranges.map(([from, more]) => ({ from, through: from + more })),
        [],
      ),
  );

const whole = (seq: number, event: Uint8Array) => {
  return { seq, conversationSeq: 0, committedMs: 1, event };
};

const legal = fc
  .record({
    firstSeq: fc.oneof(fc.integer({ min: 1, max: 9 }), fc.constant(2 ** 53 - 70_000)),
    named: fc.uniqueArray(
      fc.record({ id: fc.constantFrom(...IDS), told: set(40), read: set(40) }),
      {
        selector: ({ id }) => id,
        minLength: 1,
      },
    ),
    whole: fc.array(fc.tuple(fc.nat(5), fc.uint8Array({ maxLength: 4 })), { maxLength: 4 }),
    more: fc.nat(20),
  })
  .map(({ firstSeq, named, whole: events, more }): TimelineIndex => {
    let seq = firstSeq - 1;
    const told = named.map(({ id, told: numbers, read }) => {
      const own = numbers.length === 0 ? [{ from: 3, through: 3 }] : numbers;
      const [from, through] = [own[0]?.from ?? 0, own.at(-1)?.through ?? 0];
      const within = read.flatMap((range) => {
        const cut = { from: Math.max(from, range.from), through: Math.min(through, range.through) };
        return cut.from <= cut.through ? [cut] : [];
      });
      return { conversationId: id, told: own, read: within };
    });
    const wholes = events.map(([gap, event]) => {
      seq += 1 + gap;
      return whole(seq, event);
    });
    const least = told.reduce((sum, one) => sum + sizeOf(one.told), wholes.length);
    return {
      firstSeq,
      seq: Math.max(seq, firstSeq + least - 1) + more,
      conversations: told.sort((a, b) => (a.conversationId < b.conversationId ? -1 : 1)),
      events: wholes,
    };
  });

const sizeOf = (numbers: NumberSet) =>
  numbers.reduce((sum, { from, through }) => sum + through - from + 1, 0);

/** Small numbers and few ids, so that every rule is kept and broken often. */
const drawnAnyhow = fc.record({
  firstSeq: fc.nat(4),
  seq: fc.oneof(fc.nat(14), fc.constantFrom(65_536, 65_537, 65_540, 70_000)),
  conversations: fc.array(
    fc.record({
      conversationId: fc.oneof(
        { weight: 9, arbitrary: fc.constantFrom(...IDS) },
        { weight: 1, arbitrary: fc.constantFrom(...NO_IDS) },
      ),
      told: numberBytes(1),
      read: numberBytes(3),
    }),
    { maxLength: 3 },
  ),
  events: fc.array(
    fc.nat(14).map((seq) => whole(seq, new Uint8Array(1))),
    { maxLength: 3 },
  ),
});

/** Legal but for some of its fields. */
const nearly = fc
  .record({
    plain: legal.map(writeIndex),
    other: drawnAnyhow,
    fields: fc.subarray(["firstSeq", "seq", "conversations", "events"] as const, { maxLength: 2 }),
  })
  .map(({ plain, other, fields }): IndexPlain => {
    const changed = fields.map((field) => [field, other[field]] as const);
    return { ...plain, ...Object.fromEntries(changed) };
  });

function numberBytes(emptyWeight: number) {
  return fc.oneof(
    { weight: emptyWeight, arbitrary: fc.constant(new Uint8Array(0)) },
    {
      weight: 5,
      arbitrary: fc.constantFrom([0, 0], [1, 0], [0, 2], [0, 1, 2, 0], [2, 1]).map(toBytes),
    },
    {
      weight: 1,
      arbitrary: fc.constantFrom([0], [0, 0, 0, 0], [0x80, 0, 0], [0, 0, 1]).map(toBytes),
    },
  );
}

function toBytes(list: readonly number[]): Uint8Array {
  return Uint8Array.from(list);
}

/** The rules of section 23.3 once more, number by number. */
function isLegal({ firstSeq, seq, conversations, events }: IndexPlain): boolean {
  if (firstSeq < 1 || seq < firstSeq || seq - firstSeq >= 65_536) return false;
  if (conversations.length < 1 || conversations.length > 256) return false;
  let left = seq - firstSeq + 1;
  for (const [at, { conversationId, told, read }] of conversations.entries()) {
    if (!IDS.includes(conversationId)) return false;
    if (at > 0 && conversationId <= (conversations[at - 1]?.conversationId ?? "")) return false;
    const numbers = numbersOf(told);
    const readNumbers = numbersOf(read);
    if (numbers === undefined || readNumbers === undefined || numbers.length === 0) return false;
    const [first = 0, last = 0] = [numbers[0], numbers.at(-1)];
    if (readNumbers.some((number) => number < first || number > last)) return false;
    left -= numbers.length;
  }
  const seqs = events.map((event) => event.seq);
  const isInOrder = seqs.every(
    (one, at) => one >= firstSeq && one <= seq && (at === 0 || one > (seqs[at - 1] ?? 0)),
  );
  return isInOrder && left >= seqs.length;
}

/** Of bytes below 0x80 only, which is what is drawn, but for one that is not its shortest form. */
function numbersOf(bytes: Uint8Array): number[] | undefined {
  if (bytes.length % 2 === 1) return undefined;
  const numbers: number[] = [];
  let next = 1;
  for (let at = 0; at < bytes.length; at += 2) {
    const [gap = 0, more = 0] = [bytes[at], bytes[at + 1]];
    if (at > 0 && gap === 0) return undefined;
    for (let count = 0; count <= more; count += 1) numbers.push(next + gap + count);
    next += gap + more + 1;
  }
  return numbers;
}

export const indexCodec = property<Case>({
  name: "index-codec",
  title: "[CAT-5] [CAT-6] an index is what was written, in one form, or refused",
  smokeRuns: 400,
  kinds: ["legal", "malformed"],
  arbitrary: fc.record({ index: legal, nearly }),
  start: (seen) => ({
    check: ({ index, nearly: plain }) => {
      deepEqual(throughFrame(writeIndex(index)), writeIndex(index));
      const read = readIndex(writeIndex(index));
      deepEqual(read, index);
      const other = readIndex(throughFrame(plain) ?? plain);
      const isRead = !("code" in other);
      seen(isRead ? "legal" : "malformed");
      equal(isRead, isLegal(plain), "the rules of section 23.3");
      if (isRead)
        deepEqual(throughFrame(writeIndex(other)), throughFrame(plain), "there is one form");
      else equal(other.code, ErrorCode.INDEX_MALFORMED);
    },
  }),
});

/** Undefined for one that no frame can hold. */
function throughFrame(value: IndexPlain): IndexPlain | undefined {
  const bytes = encodeFrame({ kind: "index", value });
  const at = (bytes[0] as number) < 0x80 ? 1 : 2;
  const range = { at, end: bytes.length };
  const frame = decodeFrame(bytes, range, { sender: "server", phase: "open" });
  if (isViolation(frame)) {
    equal(value.seq, 0, "only a counter of 0 is no frame");
    return undefined;
  }
  assert(frame.kind === "index", "an index stays one");
  return frame.value;
}
