import { sleep } from "../sleep.ts";
import type { SteadyClock } from "../steady-clock.ts";
import type { SecureChat } from "./chat.ts";

/** Messages of one chat that wait for their end; beyond it the first of them ends at once. */
export const DISAPPEARING_MAX = 1_000;
/** The longest that a timer may run. */
const TIMER_MS_MAX = 86_400_000;

interface Ending {
  readonly chat: SecureChat;
  readonly id: string;
  readonly atMs: number;
}

/** Says of each message when its time is over. */
export class DisappearingMessages {
  readonly #clock: SteadyClock;
  readonly #ended: (chat: SecureChat, id: string) => void;
  /** The one that ends first is first. */
  #endings: Ending[] = [];
  readonly #counts = new WeakMap<SecureChat, number>();
  #timer = new AbortController();

  constructor(clock: SteadyClock, ended: (chat: SecureChat, id: string) => void) {
    this.#clock = clock;
    this.#ended = ended;
  }

  /** A message was read now. */
  add(chat: SecureChat, id: string, lifetimeS: number): void {
    const ending = { chat, id, atMs: this.#clock.nowMs() + lifetimeS * 1000 };
    const after = this.#endings.findIndex(({ atMs }) => atMs > ending.atMs);
    this.#endings.splice(after === -1 ? this.#endings.length : after, 0, ending);
    const count = (this.#counts.get(chat) ?? 0) + 1;
    this.#counts.set(chat, count);
    if (count > DISAPPEARING_MAX) {
      this.#end(this.#endings.findIndex((other) => other.chat === chat));
    }
    this.#setTimer();
  }

  stop(): void {
    this.#timer.abort();
    this.#endings = [];
  }

  #setTimer(): void {
    this.#timer.abort();
    const [first] = this.#endings;
    if (first === undefined) return;
    this.#timer = new AbortController();
    const delayMs = Math.min(Math.max(0, first.atMs - this.#clock.nowMs()), TIMER_MS_MAX);
    sleep(delayMs, this.#timer.signal).then(
      () => this.#elapsed(),
      () => {},
    );
  }

  #elapsed(): void {
    const nowMs = this.#clock.nowMs();
    while (this.#endings[0] !== undefined && this.#endings[0].atMs <= nowMs) this.#end(0);
    this.#setTimer();
  }

  #end(index: number): void {
    const [ending] = this.#endings.splice(index, 1);
    if (ending === undefined) return;
    const { chat, id } = ending;
    this.#counts.set(chat, (this.#counts.get(chat) ?? 1) - 1);
    this.#ended(chat, id);
  }
}
