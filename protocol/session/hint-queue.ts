import type { HeadHint, PresenceHint, TypingHint } from "../../gen/posthorn/v1/signal_pb.ts";
import type { FrameContents } from "../frames.ts";
import { HINTS_BYTES_MAX, HINTS_EVERY_MS, HINTS_WAITING_MAX } from "../limits.ts";
import type { Plain } from "../plain.ts";
import { unreachable } from "../violation.ts";
import type { PassingTally } from "./passing-tally.ts";

/** One thing that is so now. */
export type Hint =
  | { readonly kind: "typing"; readonly value: Plain<TypingHint> }
  | { readonly kind: "presence"; readonly value: Plain<PresenceHint> }
  | { readonly kind: "head"; readonly value: Plain<HeadHint> };

/** More than a hint's tags, lengths and numbers take besides its names. */
const HINT_REST_BYTES = 32;

interface WaitingHints {
  readonly typing: Map<string, Hint>;
  readonly rest: Map<string, Hint>;
}

/**
 * Hints on their way to one device. Of what is said of the same thing the latest stays; typing does
 * not wait while the link takes no more. Costs nothing while nothing waits. [SIG-5] [SIG-6]
 */
export class HintQueue {
  #waiting: WaitingHints | undefined;
  #paused = false;
  #nowMs: number;
  #nextMs: number;
  readonly #tally: PassingTally;

  constructor(nowMs: number, tally: PassingTally) {
    this.#tally = tally;
    this.#nowMs = nowMs;
    this.#nextMs = nowMs;
  }

  add(hints: readonly Hint[], nowMs: number): void {
    this.#nowMs = nowMs;
    this.#waiting ??= { typing: new Map(), rest: new Map() };
    for (const hint of hints) this.#add(hint, this.#waiting);
    this.#forgetEmpty(this.#waiting);
  }

  elapsed(nowMs: number): void {
    this.#nowMs = nowMs;
  }

  /** The link takes no more for now, or takes again. */
  paused(paused: boolean): void {
    this.#paused = paused;
    // How long that took is not known before the next time is told.
    this.#nowMs = Number.NEGATIVE_INFINITY;
    if (!paused || this.#waiting === undefined) return;
    this.#tally.add("hintsDropped", this.#waiting.typing.size);
    this.#waiting.typing.clear();
    this.#forgetEmpty(this.#waiting);
  }

  /** When to call {@link elapsed}; Infinity when never. */
  get deadlineMs(): number {
    const isStill = this.#waiting === undefined || this.#paused || this.#nowMs >= this.#nextMs;
    return isStill ? Number.POSITIVE_INFINITY : this.#nextMs;
  }

  /** The next frame, where one is due: typing first, then what has waited longest. */
  take(): FrameContents["hints"] | undefined {
    const waiting = this.#waiting;
    if (waiting === undefined || this.#paused || this.#nowMs < this.#nextMs) return undefined;
    this.#nextMs = this.#nowMs + HINTS_EVERY_MS;
    const hints: Hint[] = [];
    let bytes = 0;
    for (const some of [waiting.typing, waiting.rest]) {
      for (const [key, hint] of some) {
        bytes += key.length + HINT_REST_BYTES;
        if (bytes > HINTS_BYTES_MAX) break;
        some.delete(key);
        hints.push(hint);
      }
    }
    this.#tally.add("hintsWritten", hints.length);
    this.#forgetEmpty(waiting);
    return {
      typing: hints.flatMap(({ kind, value }) => (kind === "typing" ? [value] : [])),
      presence: hints.flatMap(({ kind, value }) => (kind === "presence" ? [value] : [])),
      heads: hints.flatMap(({ kind, value }) => (kind === "head" ? [value] : [])),
    };
  }

  #add(hint: Hint, { typing, rest }: WaitingHints): void {
    const key = keyOf(hint);
    if (hint.kind === "typing") {
      if (!this.#paused && typing.size < HINTS_WAITING_MAX) typing.set(key, hint);
      else this.#tally.add("hintsDropped");
      return;
    }
    rest.set(key, hint);
    if (rest.size <= HINTS_WAITING_MAX) return;
    for (const oldest of rest.keys()) {
      rest.delete(oldest);
      this.#tally.add("hintsDropped");
      return;
    }
  }

  #forgetEmpty({ typing, rest }: WaitingHints): void {
    if (typing.size === 0 && rest.size === 0) this.#waiting = undefined;
  }
}

/** One by one, in the order of a frame. */
export function hintsIn({ typing, presence, heads }: FrameContents["hints"]): readonly Hint[] {
  return [
    ...typing.map((value) => ({ kind: "typing", value }) as const),
    ...presence.map((value) => ({ kind: "presence", value }) as const),
    ...heads.map((value) => ({ kind: "head", value }) as const),
  ];
}

/** Of what a hint is; no id holds a space. */
function keyOf(hint: Hint): string {
  switch (hint.kind) {
    case "typing":
      return `t ${hint.value.conversationId} ${hint.value.userId}`;
    case "presence":
      return `p ${hint.value.userId}`;
    case "head":
      return `h ${hint.value.conversationId}`;
    default:
      return unreachable(hint);
  }
}
