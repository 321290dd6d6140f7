import { deepEqual } from "node:assert/strict";
import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import { assert } from "../../protocol/violation.ts";
import type { Sender } from "../../server/operations/plan.ts";
import type { SubmitOutcome } from "../../server/store/store.ts";
import type { Seen } from "../property.ts";
import { codeText } from "../sim/frame-text.ts";
import { type Asked, encodeAsked } from "./asked.ts";
import { type Bench, DEVICES, LIMITS, type Underway, USERS } from "./bench.ts";
import { askedOf, type DrawnAsked, type History, type Step } from "./drawn.ts";
import { judgeConversation, judgeLists, judgeTimeline } from "./judge.ts";
import { Model } from "./model.ts";
import type { Answer, By } from "./model-state.ts";

const ATTEMPTS_MAX = 3;
/** Twice is exactly as long as a sender may recall. */
const WAIT_MS = 500;
/** What can change the lists of conversations. */
const LISTING: readonly Asked["kind"][] = ["create", "change", "join", "leave", "send", "direct"];
/** What is refused by what was read, and not looked at again when it is committed. */
const BY_WHAT_WAS: readonly Asked["kind"][] = ["mark", "create", "change", "join"];
const UNGUARDED: readonly ErrorCode[] = [ErrorCode.MARK_INVALID, ErrorCode.CONVERSATIONS_FULL];

type When = "now" | "later";
type Heads = ReadonlyMap<string, number>;

interface Begun {
  readonly underway: Underway;
  readonly asked: readonly Asked[];
  /** As everything was when it was planned, where that is what it is judged by. */
  readonly before?: Model;
  /** The newest number of each conversation then. */
  readonly heads: ReadonlyMap<string, number>;
}

/** What a history does besides what the model checks. */
export interface Watch {
  /** After an operation took effect, and everything agrees with the model. */
  committed?(asked: Asked, by: By, answer: Answer): void | Promise<void>;
  /** After all operations of a batch, which took effect at once. */
  settled?(): void | Promise<void>;
  /** After everything, and after the model has judged the whole. */
  ended?(): void | Promise<void>;
  line?(text: string): void;
}

/** Plays a whole history, judged against the model after every step. */
export async function playHistory(
  { made, steps }: History,
  bench: Bench,
  given: { readonly seen: Seen; readonly watch?: (play: Play) => Watch },
): Promise<void> {
  try {
    const play = new Play(bench, given.seen);
    play.watch = given.watch?.(play) ?? {};
    for (const [index, one] of made.entries()) {
      await play.step({ kind: "submit", device: index * 2, asked: [one] });
    }
    for (const step of steps) await play.step(step);
    await play.end();
  } finally {
    await bench.stop();
  }
}

/** A history of operations, on the real path and in the model at once. */
export class Play {
  readonly bench: Bench;
  readonly model: Model = new Model(LIMITS);
  readonly #seen: Seen;
  watch: Watch = {};
  readonly #begun = new Map<number, Begun>();
  readonly #done = new Map<number, { underway: Underway; results: readonly SubmitOutcome[] }>();
  readonly #judged = new Map<string, number>();
  #texts = 0;

  constructor(bench: Bench, seen: Seen) {
    this.bench = bench;
    this.#seen = seen;
    for (const userId of USERS) this.model.addUser(userId);
  }

  async step({ kind, device: number, asked }: Step): Promise<void> {
    const device = number % DEVICES.length;
    const begun = this.#begun.get(device);
    switch (kind) {
      case "submit":
        if (begun !== undefined) await this.#finish(begun);
        return await this.#finish(await this.#begin(device, asked, "now"));
      case "begin":
        if (begun !== undefined) return await this.#finish(begun);
        await this.#begin(device, asked, "later");
        return;
      case "finish": {
        const next = begun ?? [...this.#begun.values()][0];
        if (next !== undefined) await this.#finish(next);
        return;
      }
      case "together":
        return await this.#together(device, asked);
      case "cross":
        return await this.#cross(device, asked);
      case "repeat":
        return await this.#repeat(device);
      case "wait":
        this.bench.nowMs += WAIT_MS;
        return;
      case "reopen":
        return await this.bench.reopen();
    }
  }

  /** Plans operations on what is there now, to be committed later. */
  async begin(device: number, asked: readonly Asked[]): Promise<void> {
    await this.#plan(device, asked, "later");
  }

  /** Commits what has begun, planned anew where it has to be. @returns what it came to */
  async finish(device: number): Promise<readonly SubmitOutcome[]> {
    const begun = this.#begun.get(device);
    assert(begun !== undefined, "something has begun");
    await this.#finish(begun);
    return this.#done.get(device)?.results ?? [];
  }

  /** Operations at once. @returns what they came to */
  async submit(device: number, asked: readonly Asked[]): Promise<readonly SubmitOutcome[]> {
    await this.#finish(await this.#plan(device, asked, "now"));
    return this.#done.get(device)?.results ?? [];
  }

  /** Commits what a device has begun, if anything. */
  async finishAll(device: number): Promise<void> {
    const begun = this.#begun.get(device);
    if (begun !== undefined) await this.#finish(begun);
  }

  /** Ends what has begun, and judges the whole. */
  async end(): Promise<void> {
    for (const begun of [...this.#begun.values()]) await this.#finish(begun);
    await this.judge();
    await this.watch.ended?.();
  }

  /** Everything is what the model says. */
  async judge(): Promise<void> {
    const { store } = this.bench;
    for (const userId of USERS) await judgeTimeline(store, this.model, userId);
    for (const id of this.model.state.conversations.keys()) {
      await judgeConversation(store, this.model, id);
    }
    await judgeLists(store, this.model);
  }

  async #begin(device: number, drawn: readonly DrawnAsked[], when: When): Promise<Begun> {
    const { userId } = DEVICES[device] as Sender;
    const nextText = () => {
      this.#texts += 1;
      return `said-${this.#texts}.`;
    };
    const asked = drawn.map((one) => askedOf(one, { userId, model: this.model, nextText }));
    return await this.#plan(device, asked, when);
  }

  async #plan(device: number, asked: readonly Asked[], when: When): Promise<Begun> {
    const heads = headsOf(this.model);
    const underway = await this.bench.plan(device, asked.map(encodeAsked));
    const planned = { underway, asked, heads };
    const isJudged = when === "later" && asked.some(({ kind }) => BY_WHAT_WAS.includes(kind));
    const begun = isJudged ? { ...planned, before: this.model.copy() } : planned;
    this.#begun.set(device, begun);
    return begun;
  }

  async #finish(begun: Begun): Promise<void> {
    let next = begun;
    for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt += 1) {
      const { device, commits } = next.underway;
      const results = await this.bench.commit(next.underway);
      if (results !== undefined) return await this.#committed(next, results);
      this.#seen("stale");
      assert(commits < this.bench.commits, "stale, and nothing has happened");
      next = await this.#plan(device, next.asked, "now");
    }
    throw new Error("plans are stale again and again");
  }

  /** Several devices plan on the same state, and their commits come at once. */
  async #together(first: number, drawn: readonly DrawnAsked[]): Promise<void> {
    const all: Begun[] = [];
    // Often the same, of all of them: that is what gets into each other's way.
    const asked = first % 2 === 0 ? drawn : drawn.map(() => drawn[0] as DrawnAsked);
    for (const index of drawn.keys()) {
      const device = (first + index * 3) % DEVICES.length;
      const begun = this.#begun.get(device);
      if (begun !== undefined) await this.#finish(begun);
    }
    for (const [index, one] of asked.entries()) {
      all.push(await this.#begin((first + index * 3) % DEVICES.length, [one], "later"));
    }
    const results = await Promise.all(all.map(({ underway }) => this.bench.commit(underway)));
    const stale: Begun[] = [];
    for (const [index, begun] of all.entries()) {
      const own = results[index];
      if (own === undefined) stale.push(begun);
      else this.#apply(begun, own);
    }
    this.#seen("together");
    await this.#judge(all.flatMap(({ asked }) => asked));
    for (const begun of stale) await this.#finish(begun);
  }

  /** Something is done between what a device plans and what it commits. */
  async #cross(device: number, [one, ...others]: readonly DrawnAsked[]): Promise<void> {
    // Half of the time by the other device of the same user.
    const other = (one?.b ?? 0) % 2 === 0 ? device ^ 1 : (device + 2) % DEVICES.length;
    await this.finishAll(device);
    await this.finishAll(other);
    const begun = await this.#begin(device, one === undefined ? [] : [one], "later");
    if (others.length > 0) await this.#finish(await this.#begin(other, others, "now"));
    await this.#finish(begun);
  }

  async #repeat(device: number): Promise<void> {
    const done = this.#done.get(device);
    if (done === undefined) return;
    const begun = this.#begun.get(device);
    if (begun !== undefined) await this.#finish(begun);
    const last = this.#done.get(device) ?? done;
    const planned = await this.bench.plan(device, last.underway.operations);
    const submits = planned.submits.map((submit, index) => ({
      ...submit,
      seq: last.underway.submits[index]?.seq ?? 0,
    }));
    deepEqual(await this.bench.repeat({ ...planned, submits }), last.results, "a repeat [SEQ-4]");
    this.#seen("repeat");
    await this.judge();
  }

  async #committed(begun: Begun, results: readonly SubmitOutcome[]): Promise<void> {
    const applied = this.#apply(begun, results);
    await this.#judge(begun.asked);
    for (const { asked, by, answer } of applied) await this.watch.committed?.(asked, by, answer);
    await this.watch.settled?.();
  }

  #apply({ underway, asked: all, before, heads }: Begun, results: readonly SubmitOutcome[]) {
    const { device, plannedMs } = underway;
    this.#begun.delete(device);
    this.#done.set(device, { underway, results });
    const { userId, deviceId } = DEVICES[device] as Sender;
    const by = { userId, deviceId, plannedMs, committedMs: this.bench.nowMs };
    return all.map((asked, index) => {
      const result = results[index] as SubmitOutcome;
      const answer = this.#answerTo(asked, by, { result, before, heads });
      const isDone = typeof answer === "number";
      this.#seen(`${asked.kind} ${isDone ? "done" : codeText(result.code)}`);
      this.watch.line?.(`${userId} ${JSON.stringify(asked)}: ${codeText(result.code)}`);
      deepEqual(result.conversationSeq, isDone ? answer : 0, "the number that is told");
      deepEqual(result.committedMs, by.committedMs, "the time that is told");
      return { asked, by, answer };
    });
  }

  /** What the model says, where the result is one that it can be. */
  #answerTo(
    asked: Asked,
    by: By,
    given: { result: SubmitOutcome; before: Model | undefined; heads: Heads },
  ): Answer {
    const { result, before, heads } = given;
    const { code } = result;
    const planned = before?.submit(asked, by);
    if (code !== ErrorCode.UNSPECIFIED && isUnguarded(asked, code, { planned, heads })) {
      return [code];
    }
    const answer = this.model.submit(asked, by);
    if (typeof answer !== "number" && code === ErrorCode.UNSPECIFIED) {
      const isQuota = answer.every((one) => one === ErrorCode.CONVERSATIONS_FULL);
      const waived = isQuota && typeof planned === "number";
      if (waived) return this.model.submit(asked, { ...by, waived });
    }
    const allowed = typeof answer === "number" ? [ErrorCode.UNSPECIFIED] : answer;
    const words = `${by.userId} ${JSON.stringify(asked)} is ${codeText(code)}`;
    assert(allowed.includes(code), `${words}, and not ${allowed.map(codeText).join(" or ")}`);
    return answer;
  }

  /** What happened is what should have; all of it where what was there already has changed. */
  async #judge(all: readonly Asked[]): Promise<void> {
    const { store } = this.bench;
    const isWhole = all.some(({ kind }) => kind === "edit" || kind === "recall");
    for (const userId of USERS) {
      const after = isWhole ? 0 : (this.#judged.get(userId) ?? 0);
      await judgeTimeline(store, this.model, userId, after);
      this.#judged.set(userId, this.model.state.users.get(userId)?.timeline.length ?? 0);
    }
    for (const id of new Set(all.map((one) => ("in" in one ? one.in : "")))) {
      await judgeConversation(store, this.model, id);
    }
    if (all.some(({ kind }) => LISTING.includes(kind))) await judgeLists(store, this.model);
  }
}

function headsOf({ state }: Model): Heads {
  return new Map([...state.conversations].map(([id, { messages }]) => [id, messages.length]));
}

/**
 * Some refusals hold for what was read, whatever was committed meanwhile: nobody can know the
 * number of a message that is not there yet.
 */
function isUnguarded(
  asked: Asked,
  code: ErrorCode,
  { planned, heads }: { planned: Answer | undefined; heads: Heads },
): boolean {
  if (code === ErrorCode.MESSAGE_UNKNOWN && "in" in asked) {
    const seq = asked.kind === "send" ? asked.reference?.seq : "seq" in asked ? asked.seq : 0;
    return (seq ?? 0) > (heads.get(asked.in) ?? 0);
  }
  return UNGUARDED.includes(code) && typeof planned === "object" && planned.includes(code);
}
