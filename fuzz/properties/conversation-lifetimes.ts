import { assert } from "../../protocol/violation.ts";
import { messageLog } from "../../server/operations/conversations.ts";
import { messageIn } from "../../server/operations/entries.ts";
import { type Store, userRefOf } from "../../server/store/store.ts";
import type { Asked } from "../conversations/asked.ts";
import { Bench, TENANT, USERS } from "../conversations/bench.ts";
import { ALL_STEPS, drawnHistory, type History } from "../conversations/drawn.ts";
import type { Answer } from "../conversations/model-state.ts";
import { type Play, playHistory, type Watch } from "../conversations/play.ts";
import { property } from "../property.ts";

const WHOLE = { count: 1_000_000, bytes: 1e9 };
const SAID = /said-\d+\./g;

/** What was said for a time, written down as it was told, and when that is over. */
interface Spoken {
  readonly text: string;
  readonly expiresMs: number;
}

export const conversationsLifetimes = property<History>({
  name: "conversations-lifetimes",
  title:
    "[CNV-91] [CNV-92] [CNV-93] [CNV-96] [CNV-98] what has expired is on no path, and once it " +
    "was swept nowhere in anything that is kept, whatever the clock shows then",
  smokeRuns: 10,
  kinds: [
    "expired",
    "sweep",
    "send done",
    "edit done",
    "recall done",
    "stale",
    "send LIFETIME_INVALID",
  ],
  arbitrary: drawnHistory({
    asked: { send: 14, edit: 6, recall: 3, react: 3, direct: 1, settings: 3, change: 1, join: 1 },
    steps: { ...ALL_STEPS, begin: 6, cross: 6, later: 5, earlier: 2, sweep: 5, reopen: 0 },
    batchMax: 2,
  }),
  start: (seen) => ({
    check: async (drawn) =>
      playHistory(drawn, await Bench.start(), { seen, watch: watchLifetimes }),
  }),
});

/** Told by the service's own words: only the rule that it shall keep them is written down here. */
function watchLifetimes({ bench, model }: Play): Watch {
  const spoken = new Map<string, Spoken[]>();
  const swept = new Set<string>();
  const note = async (asked: Asked, answer: Answer) => {
    if (typeof answer !== "number" || (asked.kind !== "send" && asked.kind !== "edit")) return;
    const place = `${asked.in}#${answer}`;
    const before = spoken.get(place)?.[0];
    const log = messageLog(TENANT, asked.in);
    const { entries } = await bench.store.loadLog(log, { from: answer, through: answer }, WHOLE);
    const told = messageIn(entries[0]?.event ?? new Uint8Array(0));
    // By what came behind it in the same batch: from then on it does not expire. [CNV-99]
    if (told !== undefined && told.recalledByUserId !== "") return;
    const expiresMs = before?.expiresMs ?? Number(told?.expiresMs ?? 0n);
    assert(Number(told?.expiresMs) === expiresMs, "an edit changes no lifetime [CNV-91]");
    spoken.set(place, [{ text: asked.text, expiresMs }, ...(spoken.get(place) ?? [])]);
  };
  const overNow = () =>
    [...spoken.values()].flat().filter((one) => one.expiresMs > 0 && one.expiresMs <= bench.nowMs);
  const judge = async () => {
    const over = new Set([...overNow().map(({ text }) => text), ...swept]);
    const ids = [...model.state.conversations].map(([id, { messages }]) => ({
      id,
      head: messages.length,
    }));
    for (const bytes of await read(bench.store, ids)) {
      for (const [found] of Buffer.from(bytes).toString("latin1").matchAll(SAID)) {
        assert(!over.has(found), `${found} has expired, and is told`);
      }
    }
  };
  return {
    committed: (asked, _, answer) => note(asked, answer),
    settled: judge,
    passed: async (isSwept) => {
      if (isSwept) {
        for (const { text } of overNow()) swept.add(text);
        judgeKept(bench, swept);
      }
      await judge();
    },
  };
}

/** Everything that a store gives anybody. */
async function read(
  store: Store,
  ids: readonly { readonly id: string; readonly head: number }[],
): Promise<readonly Uint8Array[]> {
  const found: Uint8Array[] = [];
  for (const userId of USERS) {
    const { entries } = await store.loadTimeline(userRefOf(TENANT, userId), 0, WHOLE);
    found.push(...entries.map(({ event }) => event));
  }
  for (const { id, head } of ids) {
    const log = messageLog(TENANT, id);
    for (const fromEnd of [false, true]) {
      const page = await store.loadLog(log, { from: 1, through: head, fromEnd }, WHOLE);
      found.push(...page.entries.map(({ event }) => event));
    }
    const entries = Array.from({ length: head }, (_, index) => ({ log, seq: index + 1 }));
    const planning = await store.loadForPlanning({ users: [], entries });
    found.push(...[...planning.entries.values()].map(({ event }) => event));
  }
  return found;
}

/** Nothing of it is kept. [CNV-96] */
function judgeKept({ disk: { documents, logs } }: Bench, swept: ReadonlySet<string>): void {
  const kept = [
    ...[...documents.values()].map(({ bytes }) => bytes),
    ...[...logs.values()].flatMap((entries) =>
      entries.flatMap(({ event, expiry }) => [event, expiry?.event ?? new Uint8Array(0)]),
    ),
  ];
  for (const bytes of kept) {
    for (const [found] of Buffer.from(bytes).toString("latin1").matchAll(SAID)) {
      assert(!swept.has(found), `${found} was swept, and is kept`);
    }
  }
}
