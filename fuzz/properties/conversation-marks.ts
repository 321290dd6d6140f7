import { deepEqual } from "node:assert/strict";
import fc from "fast-check";
import { encodeNumberSet, type NumberSet } from "../../protocol/number-set.ts";
import { deliveredRef, readRef } from "../../server/operations/read-state.ts";
import type { Asked } from "../conversations/asked.ts";
import { Bench, DEVICES, TENANT } from "../conversations/bench.ts";
import { countsOf } from "../conversations/judge.ts";
import { directId, type ModelConversation } from "../conversations/model-state.ts";
import { Play } from "../conversations/play.ts";
import { property, type Seen } from "../property.ts";

const MESSAGES = 16;
const HERE = directId("ann", "ben");
const READER = "ben";

interface Marks {
  /** Of one device each: which messages, as bits, and how many have come. */
  readonly marks: readonly { readonly bits: number; readonly delivered: number }[];
  /** Two orders in which they are submitted, with repeats. */
  readonly orders: readonly (readonly number[])[];
  /** Which of them are planned on the same state as the one after them. */
  readonly together: number;
}

function setOf(bits: number): NumberSet {
  const set: { from: number; through: number }[] = [];
  for (let number = 1; number <= MESSAGES; number += 1) {
    if ((bits >> (number - 1)) % 2 === 0) continue;
    const last = set.at(-1);
    if (last?.through === number - 1) last.through = number;
    else set.push({ from: number, through: number });
  }
  return set;
}

/** Submits marks in an order. @returns what is kept then */
async function marked({ marks, together }: Marks, order: readonly number[], seen: Seen) {
  const bench = await Bench.start();
  try {
    const play = new Play(bench, seen);
    const messages = Array.from({ length: MESSAGES }, (_, index): Asked => {
      return { kind: "direct", to: READER, text: `said-${index}.` };
    });
    await play.submit(0, messages);
    const devices = [...DEVICES.keys()].filter((index) => DEVICES[index]?.userId === READER);
    for (const [turn, which] of [...order, ...marks.keys()].entries()) {
      const { bits, delivered } = marks[which % marks.length] ?? { bits: 1, delivered: 0 };
      const read = encodeNumberSet(setOf(bits));
      const numbers = setOf(bits).flatMap(({ from, through }) =>
        Array.from({ length: through - from + 1 }, (_, index) => from + index),
      );
      const asked: Asked = { kind: "mark", in: HERE, read, numbers, delivered };
      const device = devices[which % devices.length] as number;
      await play.finishAll(device);
      if ((together >> (turn % 16)) % 2 === 1) await play.begin(device, [asked]);
      else await play.submit(device, [asked]);
    }
    await play.end();
    const { documents } = await bench.store.loadForPlanning({
      users: [],
      documents: [readRef(TENANT, HERE, READER), deliveredRef(TENANT, HERE, READER)],
    });
    const conversation = play.model.state.conversations.get(HERE) as ModelConversation;
    const { unread } = await countsOf(bench.store, conversation, READER);
    return {
      unread,
      kept: [...documents.values()].map(({ bytes }) => Buffer.from(bytes).toString("hex")),
    };
  } finally {
    await bench.stop();
  }
}

export const conversationsMarks = property<Marks>({
  name: "conversations-marks",
  title:
    "[CNV-30] [CNV-33] marks of several devices come to the same, in any order and however often " +
    "(P4)",
  smokeRuns: 8,
  kinds: ["mark done"],
  arbitrary: fc.record({
    marks: fc.array(fc.record({ bits: fc.nat(2 ** MESSAGES - 1), delivered: fc.nat(MESSAGES) }), {
      minLength: 1,
      maxLength: 6,
    }),
    orders: fc.array(fc.array(fc.nat(11), { maxLength: 10 }), { minLength: 2, maxLength: 2 }),
    together: fc.nat(0xffff),
  }),
  start: (seen) => ({
    check: async (drawn) => {
      const [one, other] = drawn.orders;
      const first = await marked(drawn, one ?? [], seen);
      deepEqual(await marked(drawn, other ?? [], seen), first, "another order, another set");
      const all = drawn.marks.reduce((bits, mark) => bits | mark.bits, 0);
      const read = setOf(all).reduce((sum, { from, through }) => sum + through - from + 1, 0);
      deepEqual(first.unread, MESSAGES - read, "what is left to read");
    },
  }),
});
