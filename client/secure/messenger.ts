import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import type { SecureChatsEffect } from "../../protocol/secure/chat-effects.ts";
import { SecureChats } from "../../protocol/secure/chats.ts";
import { CHATS_ENTROPY_BYTES } from "../../protocol/secure/entropy.ts";
import { idOf } from "../../protocol/secure/handshakes.ts";
import type { DeviceAddress, DirectoryAnswer, SecurePeer } from "../../protocol/secure/peer.ts";
import type { SafetyVerdict } from "../../protocol/secure/safety-number.ts";
import { unreachable } from "../../protocol/violation.ts";
import type { Client } from "../client.ts";
import type { ClientEvent } from "../events.ts";
import { RefusedError, type SendResult } from "../results.ts";
import { sleep } from "../sleep.ts";
import { SteadyClock } from "../steady-clock.ts";
import { SecureChat, type SecureChatState, type SecureSaying } from "./chat.ts";
import { type PeerDevices, publish, revoke } from "./directory.ts";
import { DisappearingMessages } from "./disappearing.ts";
import type { SecureClientEvent } from "./events.ts";
import { Keeper } from "./keeper.ts";
import type { PeerTrust } from "./known-peers.ts";
import { Lookups } from "./lookups.ts";
import {
  chatsOptionsOf,
  type PublishOptions,
  SECURE_PARAMETERS_DEFAULT,
  type SecureMessengerOptions,
} from "./options.ts";
import { type OutgoingPacket, OutgoingPackets, type Sent } from "./outgoing.ts";
import { type SafetyNumber, SecurePeers } from "./peers.ts";
import { hasLostSession, Renewals } from "./renewals.ts";
import { ToldEvents } from "./told-events.ts";
import type { Unhandled } from "./unhandled.ts";

/** How long an offer waits for a device that is away. */
const OFFER_TTL_S = 86_400;

interface Work {
  readonly effect: SecureChatsEffect;
  /** Of a message. */
  readonly id?: string;
  /** For who waits until it is durable at the service. */
  readonly sent?: Sent;
}

/**
 * Secure chats on a client: drives {@link SecureChats}, with the service between the devices.
 *
 * Without a vault nothing of a chat outlives the process: a new one begins with new chats, and what
 * comes for the old ones is refused.
 */
export class SecureMessenger {
  readonly #client: Client;
  readonly #options: SecureMessengerOptions;
  readonly #chats: SecureChats;
  readonly #peers: SecurePeers;
  readonly #clock = new SteadyClock();
  /** By session id. */
  readonly #byId = new Map<string, SecureChat>();
  readonly #over = new AbortController();
  readonly #disappearing: DisappearingMessages;
  readonly #lookups: Lookups;
  readonly #outgoing: OutgoingPackets;
  readonly #renewals = new Renewals();
  #stopped = false;
  #work: Work[] = [];
  #working: Promise<void> = Promise.resolve();
  #isWorking = false;
  readonly #told = new ToldEvents((event) => {
    if (event.kind === "secure-message") this.#keeper.handled(event.id);
  });
  readonly #keeper: Keeper;
  #timer = new AbortController();
  #messageCount = 0;

  /** As a new one, with the chats that its vault holds. @throws what the vault throws */
  static async open(client: Client, options: SecureMessengerOptions): Promise<SecureMessenger> {
    const messenger = new SecureMessenger(client, options);
    const kept = await messenger.#keeper.take(() => messenger.#newId());
    for (const { sessionId, peer } of kept.chats) {
      const trust = await messenger.#peers.trustIn(peer);
      if (trust === "changed") {
        messenger.#endChanged(sessionId);
        continue;
      }
      messenger.#changed({ sessionId, peer }, { state: stateFor(trust), trust });
      // The directory may have changed meanwhile.
      messenger.#lookups.ask(peer.userId);
    }
    for (const { id, said } of kept.messages) messenger.#say(id, said);
    messenger.#setTimer();
    return messenger;
  }

  private constructor(client: Client, options: SecureMessengerOptions) {
    const { crypto, identity, peers: memory } = options;
    this.#client = client;
    this.#options = options;
    this.#chats = new SecureChats(crypto, chatsOptionsOf(options));
    this.#keeper = new Keeper(options.vault, this.#chats);
    this.#peers = new SecurePeers({ client, crypto, identity, memory, clock: this.#clock });
    const over = this.#over.signal;
    this.#outgoing = new OutgoingPackets({
      client,
      clock: this.#clock,
      over,
      gaveUp: (packet, code) => this.#undelivered(packet, code),
    });
    this.#lookups = new Lookups({
      ask: (userId, signal) => this.#peers.lookedUp(userId, signal),
      answered: (userId, answer) => this.#lookedUp(userId, answer),
      matters: (userId) => this.#isTalkedTo(userId),
      clock: this.#clock,
      over,
    });
    this.#disappearing = new DisappearingMessages(this.#clock, (chat, id) =>
      this.#told.tell({ kind: "secure-expired", chat, id }),
    );
  }

  /**
   * Puts this device into its user's directory, so that others can find it; to be done before
   * anything else. Again with `replaceAccount` where it fails with PEER_IDENTITY_CHANGED, and the
   * user wants this device's account key to take the place of the other one.
   *
   * @throws RefusedError as {@link publish}
   */
  async publish({ replaceAccount = false, signal }: PublishOptions = {}): Promise<void> {
    const { crypto, identity } = this.#options;
    const nowMs = this.#clock.nowMs();
    const ends = AbortSignal.any([this.#over.signal, ...(signal === undefined ? [] : [signal])]);
    await publish(this.#client, crypto, { identity, nowMs, replaceAccount, signal: ends });
  }

  /** Takes a device of this user out of the directory: peers end their chats with it. */
  async revoke(deviceId: string): Promise<void> {
    const { crypto, identity } = this.#options;
    await revoke(this.#client, crypto, { userId: identity.device.userId, deviceId });
  }

  /** Somebody's devices, and how far their account is known; undefined where there are none. */
  devicesOf(userId: string): Promise<(PeerDevices & { trust: PeerTrust }) | undefined> {
    return this.#peers.devicesOf(userId);
  }

  /** All chats that are not closed. */
  get chats(): readonly SecureChat[] {
    return [...this.#byId.values()];
  }

  /**
   * Asks a device for a secure chat. It is "offered" until that device answers, for a day at most.
   *
   * @throws RefusedError SECURE_HALF_OPEN when too many wait already; SECURE_PEER_UNKNOWN for this
   *   device itself
   */
  secureChat(to: DeviceAddress): SecureChat {
    const parameters = this.#options.parameters ?? SECURE_PARAMETERS_DEFAULT;
    const asked = this.#chats.offer(to, { parameters, ttlS: OFFER_TTL_S }, this.#moment());
    if (asked.kind === "refused") throw new RefusedError(asked.because.code);
    const { sessionId, effects } = asked;
    const chat = this.#chat({ sessionId, peer: to, isOurs: true, state: "asking" });
    this.#obey(effects);
    return chat;
  }

  /** What the people compare: of the account that the directory shows now; look at its `trust`. */
  safetyNumber(userId: string): Promise<SafetyNumber> {
    return this.#peers.safetyNumber(userId);
  }

  /** What a code says that was scanned from the other side's screen; then {@link verify}. */
  judgeCode(userId: string, scanned: Uint8Array): Promise<SafetyVerdict> {
    return this.#peers.judgeCode(userId, scanned);
  }

  /**
   * The people have compared what was shown, and it was the same.
   *
   * @throws RefusedError PEER_IDENTITY_CHANGED when another account is known
   */
  async verify(shown: SafetyNumber): Promise<void> {
    await this.#peers.verify(shown);
    await this.#judgeAnew(shown.userId);
  }

  /** The user takes the account that was shown for somebody's, though another one was known. */
  async trust(shown: SafetyNumber): Promise<void> {
    await this.#peers.trust(shown);
    await this.#judgeAnew(shown.userId);
  }

  /**
   * The client's events, with the packets opened. An event counts as handled when the next one is
   * asked for, as with {@link Client.events}. One consumer at a time.
   */
  async *events(): AsyncIterableIterator<SecureClientEvent> {
    // Ends a wait for the next event, which would keep the iterator from returning.
    const left = new AbortController();
    const timeline = this.#client.events({ signal: left.signal });
    let next = timeline.next();
    try {
      for (;;) {
        yield* this.#told.taken();
        const came = await Promise.race([next, this.#told.woken()]);
        if (came === undefined) continue;
        if (came.done) return;
        const event = came.value;
        await this.#received(event);
        yield* this.#told.taken();
        if (event.kind !== "packet") yield event;
        next = timeline.next();
      }
    } finally {
      left.abort();
      // Nobody hears of what goes wrong with what nobody asks for any more.
      await next.catch(() => {});
    }
  }

  /** Ends all chats, tells the other devices, and erases everything. The client goes on. */
  async close(): Promise<void> {
    this.#obey(this.#chats.closeAll(this.#moment()));
    await this.stop();
  }

  /** Lets go, with the chats as they are: with a vault they go on in the next life. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#timer.abort();
    this.#disappearing.stop();
    await this.#working;
    // From here on nothing is kept: it would take the place of what a next life has kept. [SEC-71]
    this.#over.abort();
  }

  async #received(event: ClientEvent): Promise<void> {
    if (event.kind === "directory") {
      if (this.#isTalkedTo(event.userId)) this.#lookups.ask(event.userId, event.revision);
      return;
    }
    if (event.kind !== "packet" || event.packet === undefined || this.#stopped) return;
    const { packet, senderUserId: userId, senderDeviceId: deviceId } = event;
    if (this.#options.isBlocked?.(userId)) return;
    this.#obey(this.#chats.received(packet, { userId, deviceId }, this.#moment()));
    // It is acknowledged when what came of it has happened; nobody waits for the directory.
    await this.#working;
  }

  #isTalkedTo(userId: string): boolean {
    return [...this.#byId.values()].some(({ peer }) => peer.userId === userId);
  }

  /** Who has no devices any more has no chats. [SEC-35] */
  #lookedUp(userId: string, answer: DirectoryAnswer | undefined): void {
    if (this.#stopped) return;
    this.#obey(this.#chats.resolved(userId, answer, this.#moment()));
    if (answer !== undefined) return;
    for (const { sessionId, peer, isOpen } of [...this.#byId.values()]) {
      if (peer.userId !== userId || !isOpen) continue;
      this.#obey(this.#chats.close(sessionId, this.#moment()));
    }
  }

  async #send(chat: SecureChat, { content, lifetimeS }: SecureSaying): Promise<SendResult> {
    if (this.#stopped) throw new RefusedError(ErrorCode.SECURE_NOT_OPEN);
    // Before it is sealed: a place that is used up and not sent is one too many. [SEC-42]
    if (!this.#outgoing.hasRoom(chat.sessionId)) {
      throw new RefusedError(ErrorCode.PACKET_QUEUE_FULL);
    }
    const kind =
      typeof content === "string"
        ? { case: "text" as const, value: content }
        : { case: "custom" as const, value: content };
    const said = { sentMs: this.#clock.nowMs(), lifetimeS, kind };
    const sealed = this.#chats.send(chat.sessionId, said, this.#moment());
    if (sealed.kind === "refused") throw new RefusedError(sealed.because.code);
    return await new Promise((resolve, reject) => {
      this.#obey(sealed.effects, { resolve, reject });
    });
  }

  /** @param sent of the first packet among the effects */
  #obey(effects: readonly SecureChatsEffect[], sent?: Work["sent"]): void {
    let waits = sent;
    const { failure } = this.#told;
    if (failure !== undefined) return sent?.reject(failure);
    if (this.#over.signal.aborted) return;
    for (const effect of effects) {
      if (effect.kind === "send" && waits !== undefined) {
        this.#work.push({ effect, sent: waits });
        waits = undefined;
      } else if (effect.kind === "deliver") {
        // With the session's state, from now on: nobody can open it again. [SEC-69]
        const id = this.#newId();
        this.#keeper.opened(id, effect);
        this.#work.push({ effect, id });
      } else this.#work.push({ effect });
    }
    if (!this.#isWorking) this.#working = this.#run();
    this.#setTimer();
  }

  /** In order; answers of the directory are waited for by nobody. */
  async #run(): Promise<void> {
    this.#isWorking = true;
    try {
      for (;;) {
        // In the same turn as the look for work: what is done was kept, whatever came meanwhile.
        while (this.#keeper.isBehind) await this.#keeper.keep();
        const work = this.#work.shift();
        if (work === undefined) break;
        await this.#do(work);
      }
    } catch (error) {
      this.#fail(error as Error);
    }
    this.#isWorking = false; // In the same turn as the look for more work.
  }

  /** What is not kept must not leave: all that waits is given up, and the reader of events told. */
  #fail(error: Error): void {
    this.#told.fail(error);
    for (const { sent } of this.#work) sent?.reject(error);
    this.#work = [];
    this.#timer.abort();
  }

  async #do({ effect, id = "", sent }: Work): Promise<void> {
    switch (effect.kind) {
      case "send":
        return this.#outgoing.push(effect, sent);
      case "look-up":
        return this.#lookups.ask(effect.userId);
      case "offered":
        return this.#changed(effect, {
          state: "offered",
          trust: await this.#peers.trustIn(effect.peer),
        });
      case "accepted":
        return this.#changed(effect, {
          state: "accepted",
          trust: await this.#peers.trustIn(effect.peer),
        });
      case "open":
        return await this.#opened(effect);
      case "deliver":
        return this.#say(id, effect);
      case "closed":
        return this.#closed(effect);
      case "refused":
        return await this.#refused(effect);
      default:
        return unreachable(effect);
    }
  }

  async #refused(effect: SecureChatsEffect & { kind: "refused" }): Promise<void> {
    const { from, because } = effect;
    const { code } = because;
    if (code === ErrorCode.PEER_IDENTITY_CHANGED) {
      this.#told.tell({ kind: "secure-identity-changed", userId: from.userId });
    }
    this.#told.tell({ kind: "secure-refused", from, code });
    if (!hasLostSession(effect)) return;
    const isKnown = (await this.#options.peers.load(from.userId)) !== undefined;
    const hasOffer = [...this.#byId.values()].some(
      ({ peer: { userId, deviceId }, isOpen }) =>
        !isOpen && userId === from.userId && deviceId === from.deviceId,
    );
    if (!isKnown || hasOffer || this.#stopped) return;
    if (!this.#renewals.take(from, this.#clock.nowMs())) return;
    try {
      this.secureChat(from);
    } catch {
      // Too many wait: the other device may ask.
    }
  }

  /** The service will never take it: what hangs on it is over. */
  #undelivered({ sessionId, to }: OutgoingPacket, code: ErrorCode): void {
    if (this.#stopped) return;
    this.#told.tell({ kind: "secure-refused", from: to, code });
    this.#byId.get(idOf(sessionId))?.changed({ code });
    if (code === ErrorCode.DEVICE_UNKNOWN) this.#lookups.ask(to.userId);
    this.#obey(this.#chats.close(sessionId, this.#moment()));
  }

  async #opened(effect: SecureChatsEffect & { kind: "open" }): Promise<void> {
    const trust = await this.#peers.met(effect.peer);
    if (trust === "changed") return this.#endChanged(effect.sessionId);
    this.#changed(effect, { state: stateFor(trust), trust });
  }

  /** Another account came to be known meanwhile. [SEC-11] */
  #endChanged(sessionId: Uint8Array): void {
    const chat = this.#byId.get(idOf(sessionId));
    chat?.changed({ code: ErrorCode.PEER_IDENTITY_CHANGED });
    if (chat) this.#told.tell({ kind: "secure-identity-changed", userId: chat.peer.userId });
    this.#obey(this.#chats.close(sessionId, this.#moment()));
  }

  #say(id: string, { sessionId, peer, content }: Unhandled): void {
    // Of a chat that is over, it still was said.
    const state = this.#chats.stateOf(sessionId) === "open" ? "confirmed" : "closed";
    const chat = this.#byId.get(idOf(sessionId)) ?? this.#made({ sessionId, peer, state });
    const { kind, sentMs, lifetimeS } = content;
    if (kind.case !== "text" && kind.case !== "custom") return;
    this.#told.tell({ kind: "secure-message", chat, id, sentMs, lifetimeS, content: kind.value });
    if (lifetimeS > 0) this.#disappearing.add(chat, id, lifetimeS);
  }

  #newId(): string {
    this.#messageCount += 1;
    return `${this.#clock.nowMs()}-${this.#messageCount}`;
  }

  #closed({ sessionId, because }: SecureChatsEffect & { kind: "closed" }): void {
    const chat = this.#byId.get(idOf(sessionId));
    if (chat === undefined) return;
    this.#byId.delete(idOf(sessionId));
    if (because.code === ErrorCode.PEER_IDENTITY_CHANGED) {
      this.#told.tell({ kind: "secure-identity-changed", userId: chat.peer.userId });
    }
    chat.changed({ state: "closed", code: chat.code ?? because.code });
    this.#told.tell({ kind: "secure-chat", chat });
  }

  #changed(
    { sessionId, peer }: { readonly sessionId: Uint8Array; readonly peer: SecurePeer },
    change: Pick<SecureChat, "state" | "trust">,
  ): void {
    const chat = this.#chat({ sessionId, peer, isOurs: false, state: change.state });
    chat.changed(change);
    this.#told.tell({ kind: "secure-chat", chat });
  }

  #chat(of: Pick<SecureChat, "sessionId" | "peer" | "isOurs" | "state">): SecureChat {
    const id = idOf(of.sessionId);
    const known = this.#byId.get(id);
    if (known !== undefined) return known;
    const chat = this.#made(of);
    this.#byId.set(id, chat);
    return chat;
  }

  #made({ peer: { userId, deviceId }, isOurs = false, ...rest }: NewChat): SecureChat {
    const driver = {
      send: (chat: SecureChat, saying: SecureSaying) => this.#send(chat, saying),
      close: async ({ sessionId }: SecureChat) => {
        if (this.#stopped) return;
        this.#obey(this.#chats.close(sessionId, this.#moment()));
        await this.#working;
      },
    };
    return new SecureChat(driver, { ...rest, isOurs, peer: { userId, deviceId } });
  }

  async #judgeAnew(userId: string): Promise<void> {
    for (const chat of [...this.#byId.values()]) {
      const peer = this.#chats.peerOf(chat.sessionId);
      if (peer?.userId !== userId) continue;
      const trust = await this.#peers.trustIn(peer);
      if (trust === "changed") this.#endChanged(chat.sessionId);
      else this.#changed({ sessionId: chat.sessionId, peer }, { state: stateFor(trust), trust });
    }
  }

  #setTimer(): void {
    this.#timer.abort();
    const deadlineMs = this.#chats.deadlineMs();
    if (this.#stopped || deadlineMs === Number.POSITIVE_INFINITY) return;
    this.#timer = new AbortController();
    // A timer of more than 24.8 days would fire at once.
    const delayMs = Math.min(Math.max(0, deadlineMs - this.#clock.nowMs()), 86_400_000);
    sleep(delayMs, this.#timer.signal).then(
      () => this.#obey(this.#chats.elapsed(this.#moment())),
      () => {},
    );
  }

  #moment() {
    const entropy = globalThis.crypto.getRandomValues(new Uint8Array(CHATS_ENTROPY_BYTES));
    return { nowMs: this.#clock.nowMs(), entropy };
  }
}

interface NewChat extends Pick<SecureChat, "sessionId" | "peer" | "state"> {
  readonly isOurs?: boolean;
}

function stateFor(trust: PeerTrust): SecureChatState {
  return trust === "verified" ? "verified" : "confirmed";
}
