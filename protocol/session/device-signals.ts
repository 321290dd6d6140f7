import { PresenceState, type Typing, type TypingHint } from "../../gen/posthorn/v1/signal_pb.ts";
import type { FrameContents } from "../frames.ts";
import { TYPING_AGAIN_MS, TYPING_HEARD_MAX, TYPING_MS } from "../limits.ts";
import type { Plain } from "../plain.ts";
import type { SignalPlain } from "./received-signals.ts";

/** Conversations of which a device remembers when it has said last that its user types. */
const TYPING_SAID_MAX = 64;

/**
 * The device's half of signals. What it says of itself and what it watches is said again on each
 * link; that somebody types is not. [SIG-2] [SIG-8] [SIG-9]
 */
export class DeviceSignals {
  #presence: PresenceState = PresenceState.ONLINE;
  #presenceTold: PresenceState = PresenceState.ONLINE;
  #watched: readonly string[] = [];
  #watchedTold: readonly string[] = [];
  /** What is to be said, and since when it was said last, by conversation. */
  readonly #typing = new Map<string, Plain<Typing>>();
  readonly #saidMs = new Map<string, number>();
  /** Until when others type. */
  readonly #heard = new Map<string, { readonly hint: Plain<TypingHint>; readonly ms: number }>();

  setPresence(state: PresenceState): void {
    this.#presence = state;
  }

  watch(userIds: readonly string[]): void {
    this.#watched = userIds;
  }

  /** The user types, or has stopped. Saying it again and again costs nothing. */
  typing(conversationId: string, active: boolean, nowMs: number): void {
    const saidMs = this.#saidMs.get(conversationId);
    const isOver = saidMs === undefined || nowMs >= saidMs + TYPING_MS;
    if (!active && isOver) return;
    if (active && saidMs !== undefined && nowMs < saidMs + TYPING_AGAIN_MS) return;
    this.#saidMs.delete(conversationId);
    if (active) this.#saidMs.set(conversationId, nowMs);
    for (const oldest of this.#saidMs.keys()) {
      if (this.#saidMs.size <= TYPING_SAID_MAX) break;
      this.#saidMs.delete(oldest);
    }
    this.#typing.set(conversationId, { conversationId, active });
  }

  /** A link is open: what was said on the one before is not known on this one. */
  opened(): void {
    this.#presenceTold = PresenceState.ONLINE;
    this.#watchedTold = [];
    this.#typing.clear();
    this.#saidMs.clear();
  }

  /** What to say now, in order. */
  take(): readonly SignalPlain[] {
    const signals: SignalPlain[] = [];
    if (this.#presence !== this.#presenceTold) {
      this.#presenceTold = this.#presence;
      signals.push({ case: "setPresence", value: { state: this.#presence } });
    }
    if (
      this.#watched !== this.#watchedTold &&
      this.#watched.length + this.#watchedTold.length > 0
    ) {
      signals.push({ case: "watch", value: { userIds: this.#watched } });
    }
    this.#watchedTold = this.#watched;
    for (const value of this.#typing.values()) signals.push({ case: "typing", value });
    this.#typing.clear();
    return signals;
  }

  /** What the service says. Whoever types is remembered until that is over. */
  received({ typing }: FrameContents["hints"], nowMs: number): void {
    for (const hint of typing) {
      const key = `${hint.conversationId} ${hint.userId}`;
      this.#heard.delete(key);
      if (!hint.active || this.#heard.size >= TYPING_HEARD_MAX) continue;
      this.#heard.set(key, { hint, ms: nowMs + TYPING_MS });
    }
  }

  /** Those who do not type any more and have not said so; when the link ended, all of them. */
  expired(nowMs: number): readonly Plain<TypingHint>[] {
    const over: Plain<TypingHint>[] = [];
    for (const [key, { hint, ms }] of this.#heard) {
      if (ms > nowMs) break;
      this.#heard.delete(key);
      over.push({ ...hint, active: false });
    }
    return over;
  }

  /** When to call {@link expired}; Infinity when never. */
  get deadlineMs(): number {
    // Each is put at the end when it is heard: the first one is over first.
    for (const { ms } of this.#heard.values()) return ms;
    return Number.POSITIVE_INFINITY;
  }
}
