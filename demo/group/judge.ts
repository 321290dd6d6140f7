import type { Delivered } from "./member.ts";
import { idIn, type Meant } from "./truth.ts";

/** What a device was delivered, and what it should have been. */
export interface Witness {
  readonly userId: string;
  readonly delivered: readonly Delivered[];
  /** It came when everything was over: nothing that is gone may come to it. */
  readonly isLate: boolean;
}

export interface GroupVerdict {
  /** Devices' views of a conversation that are what they should be. */
  readonly views: number;
  readonly wrongViews: number;
  readonly lost: number;
  readonly duplicated: number;
  readonly misordered: number;
  readonly leaked_after_recall: number;
  readonly missed_mentions: number;
}

/** @param members by conversation */
export function judgeGroups(
  witnesses: readonly Witness[],
  meant: readonly Meant[],
  members: ReadonlyMap<string, ReadonlySet<string>>,
): GroupVerdict {
  const verdict = {
    views: 0,
    wrongViews: 0,
    lost: 0,
    duplicated: 0,
    misordered: 0,
    leaked_after_recall: 0,
    missed_mentions: 0,
  };
  const numbers = new Map<number, number>();
  for (const witness of witnesses) {
    witness.delivered.forEach(({ seq }, index) => {
      const before = witness.delivered[index - 1]?.seq ?? 0;
      if (seq <= before) verdict.misordered += 1;
    });
    for (const [conversationId, userIds] of members) {
      const seen = witness.delivered.filter((one) => one.conversationId === conversationId);
      if (!userIds.has(witness.userId)) {
        // What is not for it must not come to it.
        verdict.duplicated += seen.length;
        continue;
      }
      const wanted = meant.filter((one) => one.conversationId === conversationId);
      const found = judgeView(witness, seen, { wanted, numbers });
      let isWrong = false;
      for (const [name, count] of Object.entries(found)) {
        verdict[name as keyof Fault] += count;
        if (count > 0) isWrong = true;
      }
      if (isWrong) verdict.wrongViews += 1;
      else verdict.views += 1;
    }
  }
  return verdict;
}

/** Whether every view is what it should be, and there is one. */
export function isGood({ views, ...faults }: GroupVerdict): boolean {
  const names = [
    "wrongViews",
    "lost",
    "duplicated",
    "misordered",
    "leaked_after_recall",
    "missed_mentions",
  ] as const;
  return views > 0 && names.every((name) => faults[name] === 0);
}

type Fault = Omit<GroupVerdict, "views" | "wrongViews">;

function judgeView(
  { userId, isLate }: Witness,
  seen: readonly Delivered[],
  {
    wanted,
    numbers,
  }: {
    readonly wanted: readonly Meant[];
    /** Of messages, by number of the text: the same for everybody. */
    readonly numbers: Map<number, number>;
  },
): Fault {
  const fault = {
    lost: 0,
    duplicated: 0,
    misordered: 0,
    leaked_after_recall: 0,
    missed_mentions: 0,
  };
  const byId = new Map(wanted.map((one) => [one.id, one]));
  const last = new Map<number, Delivered>();
  const times = new Map<number, number>();
  let highest = 0;
  for (const one of seen) {
    const { conversationSeq: seq, text } = one;
    if (!last.has(seq)) {
      if (seq <= highest) fault.misordered += 1;
      highest = Math.max(highest, seq);
    }
    const before = last.get(seq);
    if (before !== undefined && before.text === undefined && text !== undefined) {
      fault.leaked_after_recall += 1;
    }
    if (before !== undefined && one.editCount < before.editCount && text !== undefined) {
      fault.misordered += 1;
    }
    last.set(seq, one);
    times.set(seq, (times.get(seq) ?? 0) + 1);
    const id = text === undefined ? undefined : idIn(text);
    const sent = id === undefined ? undefined : byId.get(id);
    if (id === undefined) continue;
    if (sent === undefined) fault.duplicated += 1;
    else if (isLate && (sent.isRecalled || text !== sent.texts.at(-1))) {
      fault.leaked_after_recall += 1;
    }
    const number = numbers.get(id) ?? seq;
    numbers.set(id, number);
    if (number !== seq) fault.duplicated += 1;
  }
  for (const sent of wanted) {
    const seq = numbers.get(sent.id);
    const now = seq === undefined ? undefined : last.get(seq);
    // One that was recalled before anybody was delivered it has no text to know it by.
    if (now === undefined) {
      if (!sent.isRecalled || seq !== undefined) fault.lost += 1;
      continue;
    }
    const isRight = sent.isRecalled ? now.text === undefined : now.text === sent.texts.at(-1);
    if (!isRight) fault.lost += 1;
    const count = times.get(now.conversationSeq) ?? 0;
    if (count > 1 + sent.changeCount) fault.duplicated += 1;
    if (count < 1 + sent.changeCount) fault.lost += 1;
    const wasCalled = now.text === undefined || now.mentioned.includes(userId);
    if (sent.mentioned.includes(userId) && !wasCalled) fault.missed_mentions += 1;
  }
  for (let seq = 1; seq <= highest; seq += 1) if (!last.has(seq)) fault.lost += 1;
  // Recalled ones that nobody knows by their text are there by their numbers all the same.
  if (last.size !== wanted.length) fault.lost += Math.abs(last.size - wanted.length);
  return fault;
}
