import assert from "node:assert/strict";
import { test } from "node:test";
import { isGood, judgeGroups, type Witness } from "./judge.ts";
import type { Delivered } from "./member.ts";
import type { Meant } from "./truth.ts";

const GROUP = "g:one";
const MEMBERS = new Map([[GROUP, new Set(["ann", "bob"])]]);

function meant(part: Partial<Meant> & { readonly id: number }): Meant {
  return {
    conversationId: GROUP,
    senderUserId: "ann",
    mentioned: [],
    texts: [`#${part.id} said`],
    isRecalled: false,
    changeCount: 0,
    ...part,
  };
}

const MEANT = [
  meant({ id: 1 }),
  meant({ id: 2, mentioned: ["bob"] }),
  meant({ id: 3, texts: ["#3 said", "#3 better"], changeCount: 1 }),
  meant({ id: 4, isRecalled: true, changeCount: 1 }),
];

type Line = readonly [number, string | undefined, number?, string?];

const RIGHT: readonly Line[] = [
  [1, "#1 said"],
  [2, "#2 said", 0, "bob"],
  [3, "#3 said"],
  [4, "#4 said"],
  [3, "#3 better", 1],
  [4, undefined],
];

function witness(userId: string, lines: readonly Line[], isLate = false): Witness {
  const delivered = lines.map(([conversationSeq, text, editCount = 0, called], index) => {
    const mentioned = called === undefined ? [] : [called];
    const at = { seq: index + 1, conversationId: GROUP, conversationSeq };
    return { ...at, text, editCount, mentioned } satisfies Delivered;
  });
  return { userId, delivered, isLate };
}

const judged = (lines: readonly Line[], isLate = false) =>
  judgeGroups([witness("ann", RIGHT), witness("bob", lines, isLate)], MEANT, MEMBERS);

test("a view that is what was meant is good", () => {
  const verdict = judged(RIGHT);
  assert.equal(verdict.views, 2);
  assert.ok(isGood(verdict), JSON.stringify(verdict));
});

test("the judge tells every fault apart: the demo can fail", () => {
  const without = (index: number) => RIGHT.filter((_, at) => at !== index);
  const faults: readonly (readonly [keyof ReturnType<typeof judged>, readonly Line[], boolean?])[] =
    [
      ["lost", without(0)],
      ["lost", without(4)],
      ["lost", without(5)],
      ["duplicated", [...RIGHT, [1, "#1 said"]]],
      ["duplicated", [...RIGHT, [5, "#1 said"]]],
      ["misordered", [RIGHT[1] as Line, RIGHT[0] as Line, ...RIGHT.slice(2)]],
      ["leaked_after_recall", [...RIGHT, [4, "#4 said"]]],
      ["leaked_after_recall", RIGHT, true],
      ["missed_mentions", RIGHT.map(([seq, text, edits = 0]) => [seq, text, edits] as const)],
    ];
  for (const [name, lines, isLate] of faults) {
    const verdict = judged(lines, isLate);
    assert.ok(verdict[name] > 0, `${name}: ${JSON.stringify(verdict)}`);
    assert.ok(!isGood(verdict));
  }
});

test("what is not for somebody counts against the view", () => {
  const verdict = judgeGroups([witness("eve", RIGHT)], MEANT, MEMBERS);
  assert.ok(!isGood(verdict));
});
