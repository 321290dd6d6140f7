import { ErrorCode } from "../gen/posthorn/v1/error_pb.ts";
import type { ClientSession } from "../protocol/session/client.ts";
import { type Dialer, LinkError } from "./dialer.ts";
import { credentialOn } from "./link-trust.ts";
import { type ClientOptions, tokenOf } from "./options.ts";
import { discard, type RaceResult, raceDialers, Verdicts } from "./race.ts";
import { sleep } from "./sleep.ts";
import type { SteadyClock } from "./steady-clock.ts";
import { serviceAnswers } from "./trial.ts";

const UPGRADE_MS = 60_000;

/** What the choice of a transport is made with. */
interface TransportsParts {
  readonly options: ClientOptions;
  readonly clock: SteadyClock;
  /** Aborted when the client ends: no link is left open then. */
  readonly over: AbortSignal;
  readonly session: ClientSession;
  /** A link was dialled ahead and is for the next {@link Transports.dial}: leave the one in use. */
  readonly onAhead: () => void;
}

/**
 * Chooses the transports of a client and owns each link until {@link dial} hands it out. [LNK-15]
 */
export class Transports {
  readonly #parts: TransportsParts;
  readonly #verdicts: Verdicts;
  #dialers: readonly Dialer[];
  /** Dialled before the link in use was left. */
  #ahead: RaceResult | undefined;
  /** Aborted while a link is dialled ahead, and at the end. */
  #turn = new AbortController();

  constructor(parts: TransportsParts) {
    this.#parts = parts;
    this.#verdicts = parts.options.verdicts ?? new Verdicts();
    this.#dialers = parts.options.dialers;
    parts.over.addEventListener("abort", () => this.#end(), { once: true });
  }

  /** Whether a dial or a wait is at its end: a link was dialled ahead, or the client ended. */
  get turned(): boolean {
    return this.#turn.signal.aborted;
  }

  /**
   * The next link: the one that was dialled ahead, or the winner of a race, which one that is
   * dialled ahead ends.
   *
   * @throws LinkError when none can be opened; the reason when the race ended
   */
  async dial(): Promise<RaceResult> {
    const ahead = this.#ahead;
    if (ahead === undefined) return await this.#race(this.#dialers, this.#turn.signal);
    this.#ahead = undefined;
    this.#turn = new AbortController();
    return ahead;
  }

  /** Waits between links, until one is dialled ahead. */
  async wait(ms: number): Promise<void> {
    await sleep(ms, this.#turn.signal).catch(() => {});
  }

  /**
   * Dials other transports now, for the next link.
   *
   * @throws LinkError when none can be opened; they are for the links to come all the same
   */
  async move(dialers: readonly Dialer[]): Promise<void> {
    this.#dialers = dialers;
    this.#goAhead(await this.#race(dialers, this.#parts.over));
  }

  /** Gives up a link that was dialled ahead: it cannot be used now. */
  dropAhead(): void {
    if (this.#ahead === undefined) return;
    discard(this.#ahead.link);
    this.#ahead = undefined;
    this.#turn = new AbortController();
  }

  /** Remembers that a session made progress over a transport. */
  succeeded(dialer: Dialer): void {
    this.#verdicts.succeeded(dialer);
  }

  /** Remembers that a transport could not be dialled, or its link ended before any progress. */
  failed(dialer: Dialer): void {
    this.#verdicts.failed(dialer, this.#parts.clock.nowMs());
  }

  /** Tries what is preferred to the link in use, in the background, until aborted. [LNK-15] */
  watchForBetter(current: Dialer): AbortController {
    const stop = new AbortController();
    const everyMs = this.#parts.options.upgradeMs ?? UPGRADE_MS;
    const look = async () => {
      while (everyMs > 0 && !stop.signal.aborted) {
        await sleep(everyMs, stop.signal);
        await this.#tryBetter(current, stop.signal).catch(() => {});
      }
    };
    look().catch(() => {});
    return stop;
  }

  /**
   * Moves to a better transport once the service has answered on it. What it said is for the trial:
   * the working link goes on meanwhile, so that the move states the positions anew.
   */
  async #tryBetter(current: Dialer, signal: AbortSignal): Promise<void> {
    const { clock, options, session } = this.#parts;
    const better = this.#verdicts.better(this.#dialers, current, clock.nowMs());
    if (better.length === 0 || !session.open) return;
    const token = await tokenOf(options);
    const won = await this.#race(better, signal);
    const { dialer, link } = won;
    const credential = await credentialOn(won, token, options);
    if (credential === undefined) {
      discard(link);
      return this.failed(dialer);
    }
    const trial = { session: session.forTrial(), credential, clock, signal };
    const answers = await serviceAnswers(link, trial);
    if (signal.aborted) return;
    if (!answers) return this.failed(dialer);
    this.#goAhead(await this.#race([dialer], signal));
  }

  #race(dialers: readonly Dialer[], signal: AbortSignal): Promise<RaceResult> {
    const inOrder = this.#verdicts.order(dialers, this.#parts.clock.nowMs());
    const onFailure = (dialer: Dialer) => this.failed(dialer);
    // A journal is one device's, and every link of it has the same one.
    const owner = this.#parts.options.journal;
    return raceDialers(inOrder, { signal, sleep, onFailure, owner });
  }

  #goAhead(next: RaceResult): void {
    // Meanwhile the client ended, or moved elsewhere.
    const isLate = this.#parts.over.aborted || !this.#dialers.includes(next.dialer);
    if (isLate) return discard(next.link);
    this.dropAhead();
    this.#ahead = next;
    this.#turn.abort(new LinkError(ErrorCode.LINK_LOST, "another link was dialled"));
    this.#parts.onAhead();
  }

  #end(): void {
    this.dropAhead();
    this.#turn.abort(this.#parts.over.reason);
  }
}
