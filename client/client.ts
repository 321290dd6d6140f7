import type {
  DescMessage,
  DescMethodUnary,
  MessageInitShape,
  MessageShape,
} from "@bufbuild/protobuf";
import { ErrorCode } from "../gen/posthorn/v1/error_pb.ts";
import { errorRule } from "../gen/posthorn/v1/error_rules.ts";
import type { DialledLink, LinkHandler } from "../protocol/link.ts";
import { ClientSession } from "../protocol/session/client.ts";
import type { ClientEffect, WelcomePlain } from "../protocol/session/client-effects.ts";
import type { TimelineCursor } from "../protocol/session/resume.ts";
import type { Settlement } from "../protocol/session/settlement.ts";
import type { Credential } from "../protocol/session/welcome.ts";
import { unreachable } from "../protocol/violation.ts";
import { orAborted } from "./abortable.ts";
import { BACKOFF_DEFAULT, Backoff } from "./backoff.ts";
import { Calls } from "./calls.ts";
import type { MessageContent } from "./conversations/content.ts";
import type { Dialer } from "./dialer.ts";
import { type ClientEvent, EventQueue } from "./events.ts";
import type { JournalState } from "./journal.ts";
import { credentialOn } from "./link-trust.ts";
import { sendDirect } from "./operations.ts";
import { type ClientOptions, type ClientStatus, sessionOptions, tokenOf } from "./options.ts";
import { discard, type RaceResult } from "./race.ts";
import { RefusedError, type SendResult, SessionError, tellResult, type Waiter } from "./results.ts";
import { Signals } from "./signals.ts";
import { SteadyClock } from "./steady-clock.ts";
import { Transports } from "./transports.ts";

/** Submits without a result beyond which `send` waits: bounds the outbox. */
const UNSETTLED_MAX = 10_000;
/**
 * Links that end for a permanent reason of LINK scope, in a row, before the client gives up (P15).
 */
const PERMANENT_MAX = 4;
/** A session this old has made progress, whatever flowed. */
const PROGRESS_MS = 5_000;

/**
 * Opens the journal and starts a client, which attaches by itself and stays attached until it is
 * closed.
 */
export async function connect(options: ClientOptions): Promise<Client> {
  const state = await options.journal.load();
  return new Client(options, new ClientSession(sessionOptions(options), state));
}

/** How a link ended, and what to do then. */
interface LinkEnd {
  readonly code: ErrorCode;
  readonly slotMs?: number;
}

/** Drives a {@link ClientSession} between links, journal, timers and the application. */
export class Client {
  /** Typing, presence and what else is said in passing: no events, and never acknowledged. */
  readonly signals: Signals;
  readonly #options: ClientOptions;
  readonly #session: ClientSession;
  readonly #clock = new SteadyClock();
  readonly #transports: Transports;
  readonly #backoff: Backoff;
  readonly #over = new AbortController();
  readonly #events: EventQueue;
  readonly #calls: Calls;
  readonly #waiting = new Map<number, Waiter>();
  readonly #statusListeners = new Set<(status: ClientStatus) => void>();
  readonly #finished: Promise<void>;
  #link: DialledLink | undefined;
  #endLink: ((end: LinkEnd) => void) | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #timerMs = Number.POSITIVE_INFINITY;
  #welcome: WelcomePlain | undefined;
  #state: ClientStatus["state"] = "connecting";
  #error: ErrorCode | undefined;
  #failure: Error | undefined;
  #progressed = false;
  /** Since when the link in use is open; Infinity before. */
  #openSinceMs = Number.POSITIVE_INFINITY;
  /** Set while the session moves out of the service's way: its slot. */
  #draining: number | undefined;
  /** Handled and not yet with the journal; the last cursor given to the journal. */
  #handled: TimelineCursor | undefined;
  #advanced: TimelineCursor = { epoch: 0, seq: 0 };
  /** The journal's promise of that cursor, until it is confirmed; for ever when it failed. */
  #advancing: Promise<void> | undefined;
  #room: (() => void)[] = [];
  /** Resolves when all that was given to the journal is there, and was told. */
  #journalled: Promise<void> = Promise.resolve();

  constructor(options: ClientOptions, session: ClientSession) {
    this.#options = options;
    this.#session = session;
    const pump = () => this.#pump();
    this.#calls = new Calls(session.calls, pump);
    this.signals = new Signals(session.signals, () => this.#clock.nowMs(), pump);
    this.#transports = new Transports({
      options,
      clock: this.#clock,
      over: this.#over.signal,
      session,
      onAhead: () => this.#endLink?.({ code: ErrorCode.LINK_LOST }),
    });
    this.#backoff = new Backoff(options.backoff ?? BACKOFF_DEFAULT, Math.random);
    this.#events = new EventQueue(options.deviceId, (cursor) => {
      this.#handled = cursor;
      this.#session.handled(cursor);
      if (this.#advancing === undefined) this.#advance();
    });
    this.#finished = this.#run();
    // Heard by whoever closes the client; nobody has to.
    this.#finished.catch(() => {});
  }

  get status(): ClientStatus {
    return {
      state: this.#state,
      link: this.#link?.kind,
      trust: this.#link?.trust,
      roundTripMs: this.#session.roundTripMs,
      unsettledCount: this.#session.unsettled.length,
      userId: this.#welcome?.userId,
      error: this.#error,
    };
  }

  /** Calls back whenever the status changes; returns how to stop. */
  onStatus(listener: (status: ClientStatus) => void): () => void {
    this.#statusListeners.add(listener);
    return () => this.#statusListeners.delete(listener);
  }

  /**
   * Sends a message to a user. It is in the journal before it leaves, and goes on after restarts.
   *
   * @returns when it is durable at the service
   * @throws RefusedError with the service's code, or at once with MESSAGE_TOO_LARGE when its frame
   *   is above the last Welcome's limit (262,144 bytes before one); SessionError when the client
   *   ended first; the signal's reason when aborted, which ends the waiting and not the sending
   */
  async send(
    toUserId: string,
    content: MessageContent,
    options: { readonly signal?: AbortSignal } = {},
  ): Promise<SendResult> {
    return await this.submit(sendDirect(toUserId, content), options);
  }

  /** Submits an encoded Operation; see {@link send}. */
  async submit(
    operation: Uint8Array,
    options: { readonly signal?: AbortSignal } = {},
  ): Promise<SendResult> {
    options.signal?.throwIfAborted();
    while (this.#session.unsettled.length >= UNSETTLED_MAX && this.#failure === undefined) {
      await new Promise<void>((resolve) => this.#room.push(resolve));
      options.signal?.throwIfAborted();
    }
    if (this.#over.signal.aborted) throw this.#failure ?? new SessionError(ErrorCode.GOODBYE);
    // Not even into the journal: it would be in the way of all that come after it. [SEQ-17]
    if (!this.#session.admits(operation)) throw new RefusedError(ErrorCode.MESSAGE_TOO_LARGE);
    const { id } = this.#session.submit(operation);
    const result = new Promise<SendResult>((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
    });
    this.#pump();
    return await orAborted(result, options.signal);
  }

  /**
   * Asks the service; asked again on the next link when one ends first. [RPC-3]
   *
   * @throws RefusedError with the service's code; otherwise as {@link send}
   */
  async call<I extends DescMessage, O extends DescMessage>(
    method: DescMethodUnary<I, O>,
    request: MessageInitShape<I>,
    options: { readonly signal?: AbortSignal } = {},
  ): Promise<MessageShape<O>> {
    if (this.#over.signal.aborted) throw this.#failure ?? new SessionError(ErrorCode.GOODBYE);
    return await this.#calls.call(method, request, options.signal);
  }

  /**
   * The timeline, in order, each event once. An event counts as handled when the next one is asked
   * for: only then is the cursor moved on and the event acknowledged. Nothing comes after `close`;
   * the event in hand still counts when the next one is asked for before that has resolved. One
   * consumer at a time.
   */
  events(options: { readonly signal?: AbortSignal } = {}): AsyncIterableIterator<ClientEvent> {
    return this.#events.iterate(options.signal);
  }

  /**
   * Moves to other diallers now, wherever the client stands: dials first, leaves the old link when
   * the new one is usable.
   *
   * @throws LinkError when none can be dialled; the client tries them again at its next attach
   */
  async move(dialers: readonly Dialer[]): Promise<void> {
    await this.#transports.move(dialers);
  }

  /** Asks now whether the service is there: after sleep, or when the network changed. */
  probe(): void {
    this.#session.probe(this.#clock.nowMs());
    this.#pump();
  }

  /**
   * Says good-bye and lets go of the journal. Unsettled submits stay there for the next life, and
   * what was handled is not handed out again.
   *
   * @throws JournalError when it cannot be made durable what was handled
   */
  async close(): Promise<void> {
    this.#session.close(ErrorCode.GOODBYE);
    this.#pump();
    this.#finish(undefined);
    await this.#finished;
  }

  async #run(): Promise<void> {
    let permanent = 0;
    while (!this.#over.signal.aborted) {
      const end = await this.#attachOnce();
      if (this.#over.signal.aborted) break;
      const rule = errorRule(end.code);
      permanent = rule.temporary || this.#progressed ? 0 : permanent + 1;
      const ends = !rule.temporary && (rule.scope !== "link" || permanent >= PERMANENT_MAX);
      // What was acknowledged before the end counts.
      if (ends) await this.#journalled.then(() => this.#finish(new SessionError(end.code)));
      else if (!this.#transports.turned) await this.#wait(end);
    }
    clearTimeout(this.#timer);
    try {
      // Each confirmation gives the journal what was handled meanwhile. [SEQ-11]
      while (this.#advancing !== undefined) await this.#advancing;
    } finally {
      await this.#options.journal.close();
    }
  }

  /** One link from dialling to its end. */
  async #attachOnce(): Promise<LinkEnd> {
    this.#progressed = false;
    this.#openSinceMs = Number.POSITIVE_INFINITY;
    this.#setState("connecting");
    let upgrade: AbortController | undefined;
    try {
      const token = await this.#token();
      const won = await this.#transports.dial();
      const { dialer, link } = won;
      const credential = await this.#credential(won, token);
      if (this.#transports.turned) {
        discard(link);
        return { code: ErrorCode.LINK_LOST };
      }
      if (credential === undefined) {
        discard(link);
        return { code: ErrorCode.LINK_NOT_TRUSTED };
      }
      const ended = this.#start(link, credential);
      upgrade = this.#transports.watchForBetter(dialer);
      const end = await ended;
      this.#progressed ||= this.#clock.nowMs() - this.#openSinceMs >= PROGRESS_MS;
      if (this.#progressed) {
        this.#backoff.progressed();
        this.#transports.succeeded(dialer);
        // A link that was left for another one has not failed.
      } else if (!this.#transports.turned) this.#transports.failed(dialer);
      return end;
    } catch (error) {
      const code = (error as { code?: unknown }).code;
      return { code: typeof code === "number" ? (code as ErrorCode) : ErrorCode.LINK_LOST };
    } finally {
      upgrade?.abort();
      this.#link = undefined;
      this.#endLink = undefined;
      this.#session.unlinked();
    }
  }

  #start(link: DialledLink, credential: Credential): Promise<LinkEnd> {
    return new Promise((resolve) => {
      const handler: LinkHandler = {
        received: (bytes) => {
          if (this.#link !== link) return;
          this.#session.received(bytes, this.#clock.nowMs());
          this.#pump();
        },
        drained: () => this.#pump(),
        closed: (code) => this.#link === link && resolve({ code }),
      };
      this.#link = link;
      this.#endLink = (end) => {
        if (this.#link !== link) return;
        this.#link = undefined;
        this.#session.unlinked();
        link.close(ErrorCode.GOODBYE);
        resolve(end);
      };
      this.#session.linked(credential, this.#clock.nowMs());
      link.start(handler);
      this.#pump();
    });
  }

  async #token(): Promise<string> {
    try {
      return await tokenOf(this.#options);
    } catch (error) {
      this.#transports.dropAhead();
      throw error;
    }
  }

  /** A memory of logins that fails ends the client, as a journal does. */
  async #credential(won: RaceResult, token: string): Promise<Credential | undefined> {
    try {
      return await credentialOn(won, token, this.#options);
    } catch (error) {
      discard(won.link);
      this.#finish(error as Error);
      throw error;
    }
  }

  async #wait(end: LinkEnd): Promise<void> {
    this.#error = end.code;
    this.#setState("waiting");
    const sameAgain = errorRule(end.code).retry === "same" && this.#progressed;
    const delayMs = end.slotMs ?? (sameAgain ? 0 : this.#backoff.nextMs());
    await this.#transports.wait(delayMs);
  }

  #pump(): void {
    const nowMs = this.#clock.nowMs();
    for (const effect of this.#session.effects(nowMs)) this.#obey(effect);
    this.#setTimer(this.#session.deadlineMs());
  }

  #obey(effect: ClientEffect): void {
    const { journal } = this.#options;
    switch (effect.kind) {
      case "append":
        return this.#journal(journal.append(effect.entry), () => this.#session.appended());
      case "install":
        return this.#install(effect);
      case "opened":
        this.#error = undefined;
        this.#openSinceMs = this.#clock.nowMs();
        this.#setState("open");
        return;
      case "deliver":
        return this.#events.push(effect.deliveries);
      case "index":
        return this.#events.pushIndex(effect.index);
      case "settle": {
        const { resultsThrough, settlements } = effect;
        this.#progressed = true;
        return this.#journal(journal.settle(resultsThrough), () => {
          this.#settle(settlements);
          this.#session.settled(resultsThrough, this.#clock.nowMs());
        });
      }
      case "answer":
        return this.#calls.answered(effect.answer);
      case "hints":
        return this.signals.heard(effect.hints);
      case "write":
        this.#link?.write(effect.bytes);
        return;
      case "drain":
        this.#session.close(ErrorCode.GOODBYE);
        queueMicrotask(() => this.#pump());
        this.#draining = effect.notice.slotMs;
        return;
      case "close":
        return this.#leave(effect.because.code);
      default:
        unreachable(effect);
    }
  }

  #leave(code: ErrorCode): void {
    const slotMs = this.#draining;
    this.#draining = undefined;
    if (slotMs === undefined) this.#endLink?.({ code });
    else this.#endLink?.({ code: ErrorCode.DRAINED, slotMs });
  }

  #install(effect: ClientEffect & { readonly kind: "install" }): void {
    const { state, welcome, cursorMoved } = effect;
    this.#welcome = welcome;
    this.#events.installed(effect);
    if (cursorMoved) this.#handled = undefined;
    // The journal may be ahead of the session by a cursor whose confirmation is on its way: never
    // back. [SEQ-11]
    const ahead =
      this.#advanced.epoch === state.cursor.epoch && this.#advanced.seq > state.cursor.seq;
    const cursor = ahead ? this.#advanced : state.cursor;
    this.#journal(this.#installed(welcome, { ...state, cursor }), () => {
      this.#settle(effect.settlements);
      this.#session.installed(this.#clock.nowMs());
    });
  }

  async #installed({ loginAccount }: WelcomePlain, state: JournalState): Promise<void> {
    const { journal, login } = this.#options;
    this.#link?.welcomed?.();
    await journal.install(state);
    if (loginAccount !== "") await login?.registered(loginAccount);
  }

  /**
   * One cursor at a time goes to the journal, always the newest: a fast consumer costs no write per
   * event.
   */
  #advance(): void {
    const cursor = this.#handled;
    this.#handled = undefined;
    this.#advancing = undefined;
    if (cursor === undefined) return;
    this.#advanced = cursor;
    const advancing = this.#options.journal.advance(cursor);
    this.#advancing = advancing;
    this.#journal(advancing, () => {
      this.#session.applied(cursor, this.#clock.nowMs());
      this.#progressed = true;
      this.#advance();
    });
  }

  /** Runs a journal operation: its confirmation goes on in order, its failure ends the client. */
  #journal(work: Promise<void>, then: () => void): void {
    this.#journalled = work.then(
      () => {
        then();
        this.#pump();
      },
      (error: Error) => this.#finish(error),
    );
  }

  #settle(settlements: readonly Settlement[]): void {
    for (const { entry, outcome } of settlements) {
      tellResult(this.#waiting.get(entry.id), outcome);
      this.#waiting.delete(entry.id);
    }
    const room = this.#room;
    this.#room = [];
    for (const resolve of room) resolve();
    this.#tellStatus();
  }

  #setTimer(atMs: number): void {
    if (atMs === this.#timerMs) return;
    clearTimeout(this.#timer);
    this.#timerMs = atMs;
    if (atMs === Number.POSITIVE_INFINITY) return;
    this.#timer = setTimeout(
      () => {
        this.#timerMs = Number.POSITIVE_INFINITY;
        this.#session.elapsed(this.#clock.nowMs());
        this.#pump();
      },
      Math.max(0, atMs - this.#clock.nowMs()),
    );
  }

  #setState(state: ClientStatus["state"]): void {
    this.#state = state;
    this.#tellStatus();
  }

  #tellStatus(): void {
    for (const listener of this.#statusListeners) listener(this.status);
  }

  #finish(failure: Error | undefined): void {
    if (this.#over.signal.aborted) return;
    this.#failure = failure;
    this.#endLink?.({ code: ErrorCode.GOODBYE });
    const reason = failure ?? new SessionError(ErrorCode.GOODBYE);
    this.#over.abort(reason);
    for (const { reject } of this.#waiting.values()) reject(reason);
    this.#waiting.clear();
    this.#calls.end(reason);
    for (const resolve of this.#room) resolve();
    this.#events.end(failure);
    if (failure instanceof SessionError) this.#error = failure.code;
    this.#setState("closed");
  }
}
