import { deepEqual } from "node:assert/strict";
import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import { assert } from "../../protocol/violation.ts";
import type { Sender } from "../../server/operations/plan.ts";
import type { SubmitOutcome } from "../../server/store/store.ts";
import type { Seen } from "../property.ts";
import { codeText } from "../sim/frame-text.ts";
import { type Asked, encodeAsked } from "./asked.ts";
import { type Bench, DEVICES, LIMITS, type Underway, USERS } from "./bench.ts";
import { askedOf, type DrawnAsked, type Step } from "./drawn.ts";
import { judgeConversation, judgeLists, judgeTimeline } from "./judge.ts";
import { Model } from "./model.ts";
import type { Answer, By } from "./model-state.ts";

const ATTEMPTS_MAX = 3;
const WAIT_MS = 400;
/** What is refused by what was read, and not looked at again when it is committed. */
const UNGUARDED: readonly ErrorCode[] = [ErrorCode.MARK_INVALID, ErrorCode.CONVERSATIONS_FULL];

interface Begun {
  readonly underway: Underway;
  readonly asked: readonly Asked[];
  /** As everything was when it was planned. */
  readonly before: Model;
}

/** What a history does besides what the model checks. */
export interface Watch {
  /** After an operation took effect, and everything agrees with the model. */
  committed?(asked: Asked, by: By, answer: Answer): void | Promise<void>;
  line?(text: string): void;
}

/** A history of operations, on the real path and in the model at once. */
export class Play {
  readonly bench: Bench;
  readonly model: Model = new Model(LIMITS);
  readonly #seen: Seen;
  readonly #watch: Watch;
  readonly #begun = new Map<number, Begun>();
  readonly #done = new Map<number, { underway: Underway; results: readonly SubmitOutcome[] }>();
  readonly #judged = new Map<string, number>();
  #texts = 0;

  constructor(bench: Bench, seen: Seen, watch: Watch = {}) {
    this.bench = bench;
    this.#seen = seen;
    this.#watch = watch;
    for (const userId of USERS) this.model.addUser(userId);
  }

  async step({ kind, device: number, asked }: Step): Promise<void> {
    const device = number % DEVICES.length;
    const begun = this.#begun.get(device);
    switch (kind) {
      case "submit":
        if (begun !== undefined) await this.#finish(begun);
        return await this.#finish(await this.#begin(device, asked));
      case "begin":
        if (begun !== undefined) return await this.#finish(begun);
        await this.#begin(device, asked);
        return;
      case "finish": {
        const next = begun ?? [...this.#begun.values()][0];
        if (next !== undefined) await this.#finish(next);
        return;
      }
      case "together":
        return await this.#together(device, asked);
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
    await this.#plan(device, asked);
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
    await this.#finish(await this.#plan(device, asked));
    return this.#done.get(device)?.results ?? [];
  }

  /** Ends what has begun, and judges the whole. */
  async end(): Promise<void> {
    for (const begun of [...this.#begun.values()]) await this.#finish(begun);
    await this.judge();
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

  async #begin(device: number, drawn: readonly DrawnAsked[]): Promise<Begun> {
    const { userId } = DEVICES[device] as Sender;
    const nextText = () => {
      this.#texts += 1;
      return `said-${this.#texts}.`;
    };
    const asked = drawn.map((one) => askedOf(one, { userId, model: this.model, nextText }));
    return await this.#plan(device, asked);
  }

  async #plan(device: number, asked: readonly Asked[]): Promise<Begun> {
    const before = this.model.copy();
    const underway = await this.bench.plan(device, asked.map(encodeAsked));
    const begun = { underway, asked, before };
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
      next = await this.#plan(device, next.asked);
    }
    throw new Error("plans are stale again and again");
  }

  /** Several devices plan on the same state, and their commits come at once. */
  async #together(first: number, drawn: readonly DrawnAsked[]): Promise<void> {
    const all: Begun[] = [];
    for (const index of drawn.keys()) {
      const device = (first + index * 3) % DEVICES.length;
      const begun = this.#begun.get(device);
      if (begun !== undefined) await this.#finish(begun);
    }
    for (const [index, one] of drawn.entries()) {
      all.push(await this.#begin((first + index * 3) % DEVICES.length, [one]));
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
    for (const { asked, by, answer } of applied) await this.#watch.committed?.(asked, by, answer);
  }

  #apply({ underway, asked: all, before }: Begun, results: readonly SubmitOutcome[]) {
    const { device, plannedMs } = underway;
    this.#begun.delete(device);
    this.#done.set(device, { underway, results });
    const { userId, deviceId } = DEVICES[device] as Sender;
    const by = { userId, deviceId, plannedMs, committedMs: this.bench.nowMs };
    const headsBefore = headsOf(before);
    return all.map((asked, index) => {
      const result = results[index] as SubmitOutcome;
      const answer = this.#answerTo(asked, by, { result, before, headsBefore });
      const isDone = typeof answer === "number";
      this.#seen(`${asked.kind} ${isDone ? "done" : codeText(result.code)}`);
      this.#watch.line?.(`${userId} ${JSON.stringify(asked)}: ${codeText(result.code)}`);
      deepEqual(result.conversationSeq, isDone ? answer : 0, "the number that is told");
      deepEqual(result.committedMs, by.committedMs, "the time that is told");
      return { asked, by, answer };
    });
  }

  /** What the model says, where the result is one that it can be. */
  #answerTo(
    asked: Asked,
    by: By,
    given: { result: SubmitOutcome; before: Model; headsBefore: ReadonlyMap<string, number> },
  ): Answer {
    const { result, before, headsBefore } = given;
    const { code } = result;
    const planned = before.submit(asked, by);
    if (code !== ErrorCode.UNSPECIFIED && isUnguarded(asked, code, { planned, headsBefore })) {
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
      this.#judged.set(userId, this.model.timeline(userId).length);
    }
    for (const id of new Set(all.map((one) => ("in" in one ? one.in : "")))) {
      await judgeConversation(store, this.model, id);
    }
    await judgeLists(store, this.model);
  }
}

function headsOf({ state }: Model): ReadonlyMap<string, number> {
  return new Map([...state.conversations].map(([id, { messages }]) => [id, messages.length]));
}

/**
 * Some refusals hold for what was read, whatever was committed meanwhile: nobody can know the
 * number of a message that is not there yet.
 */
function isUnguarded(
  asked: Asked,
  code: ErrorCode,
  { planned, headsBefore }: { planned: Answer; headsBefore: ReadonlyMap<string, number> },
): boolean {
  if (code === ErrorCode.MESSAGE_UNKNOWN && "in" in asked) {
    const seq = asked.kind === "send" ? asked.reference?.seq : "seq" in asked ? asked.seq : 0;
    return (seq ?? 0) > (headsBefore.get(asked.in) ?? 0);
  }
  return UNGUARDED.includes(code) && typeof planned !== "number" && planned.includes(code);
}
