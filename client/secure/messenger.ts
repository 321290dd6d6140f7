import { create, toBinary } from "@bufbuild/protobuf";
import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import { OperationSchema } from "../../gen/posthorn/v1/operation_pb.ts";
import type { CryptoProvider } from "../../protocol/envelope/provider.ts";
import type { SecureChatsEffect } from "../../protocol/secure/chat-effects.ts";
import { SecureChats } from "../../protocol/secure/chats.ts";
import { CHATS_ENTROPY_BYTES } from "../../protocol/secure/entropy.ts";
import type { SecureParametersPlain } from "../../protocol/secure/established.ts";
import type { DeviceAddress, SecurePeer } from "../../protocol/secure/peer.ts";
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
import type { SecureIdentity } from "./identity.ts";
import type { PeerMemory, PeerTrust } from "./known-peers.ts";
import { type SafetyNumber, SecurePeers } from "./peers.ts";
import type { SecureVault } from "./vault.ts";

export interface SecureMessengerOptions {
  readonly crypto: CryptoProvider;
  readonly identity: SecureIdentity;
  /** Whom this device has met. */
  readonly peers: PeerMemory;
  /** How sessions are kept that this device offers, and at most that it agrees to. */
  readonly parameters?: SecureParametersPlain;
  /** Where open chats survive a restart. None: they do not. */
  readonly vault?: SecureVault;
  /** Whose offers are not even answered. */
  readonly isBlocked?: (userId: string) => boolean;
}

/** 32 messages or ten minutes between new keys, a week of life. */
export const SECURE_PARAMETERS_DEFAULT: SecureParametersPlain = {
  rekeyMessages: 32,
  rekeyS: 600,
  lifetimeS: 604_800,
  franking: false,
};
/** How long an offer waits for a device that is away. */
const OFFER_TTL_S = 86_400;

interface Work {
  readonly effect: SecureChatsEffect;
  /** For who waits until it is durable at the service. */
  readonly sent?: { resolve(result: SendResult): void; reject(error: Error): void };
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
  /** Whom the directory is being asked about. */
  readonly #asking = new Map<string, Promise<void>>();
  #work: Work[] = [];
  #working: Promise<void> | undefined;
  #told: SecureClientEvent[] = [];
  #wake: (() => void) | undefined;
  #timer = new AbortController();
  #messageCount = 0;
  /** The chats are in another state than the vault. */
  #changedSince = false;
  /** Why the vault, or the memory of peers, failed: nothing leaves any more. */
  #failure: Error | undefined;

  /** As a new one, with the chats that its vault holds. @throws what the vault throws */
  static async open(client: Client, options: SecureMessengerOptions): Promise<SecureMessenger> {
    const messenger = new SecureMessenger(client, options);
    const state = await options.vault?.take();
    if (state === undefined) return messenger;
    const restored = messenger.#chats.restore(state) ?? [];
    state.fill(0);
    // Taken out of the vault they would be lost with this process: they are put back at once.
    messenger.#changedSince = true;
    await messenger.#keep();
    for (const { sessionId, peer } of restored) {
      const trust = await messenger.#peers.trustIn(peer);
      messenger.#changed({ sessionId, peer }, { state: stateFor(trust), trust });
      // The directory may have changed meanwhile.
      messenger.#ask(peer.userId);
    }
    messenger.#setTimer();
    return messenger;
  }

  private constructor(client: Client, options: SecureMessengerOptions) {
    const { crypto, identity, peers: memory, parameters = SECURE_PARAMETERS_DEFAULT } = options;
    const { userId, deviceId } = identity.device;
    this.#client = client;
    this.#options = options;
    this.#chats = new SecureChats(crypto, {
      userId,
      deviceId,
      signer: identity.signer,
      parameters,
    });
    this.#peers = new SecurePeers({ client, crypto, identity, memory, clock: this.#clock });
    this.#disappearing = new DisappearingMessages(this.#clock, (chat, id) =>
      this.#tell({ kind: "secure-expired", chat, id }),
    );
  }

  /**
   * Puts this device into its user's directory, so that others can find it; to be done before
   * anything else. Again with `replaceAccount` where it fails with PEER_IDENTITY_CHANGED, and the
   * user wants this device's account key to take the place of the other one.
   *
   * @throws RefusedError as {@link publish}
   */
  async publish({ replaceAccount = false } = {}): Promise<void> {
    const { crypto, identity } = this.#options;
    const nowMs = this.#clock.nowMs();
    await publish(this.#client, crypto, { identity, nowMs, replaceAccount });
  }

  /** Takes a device of this user out of the directory: peers end their chats with it. */
  async revoke(deviceId: string): Promise<void> {
    const { crypto, identity } = this.#options;
    const { userId } = identity.device;
    await revoke(this.#client, crypto, { userId, deviceId, nowMs: this.#clock.nowMs() });
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

  /** @throws RefusedError PEER_IDENTITY_CHANGED when the account is another one than was known */
  safetyNumber(userId: string): Promise<SafetyNumber> {
    return this.#peers.safetyNumber(userId);
  }

  /** What a code says that was scanned from the other side's screen; then {@link verify}. */
  judgeCode(userId: string, scanned: Uint8Array): Promise<SafetyVerdict> {
    return this.#peers.judgeCode(userId, scanned);
  }

  /** The people have compared their safety number, and it was the same. */
  async verify(userId: string): Promise<void> {
    await this.#peers.verify(userId);
    await this.#judgeAnew(userId);
  }

  /** The user takes the account as it is now for somebody's, though it is another one. */
  async trust(userId: string): Promise<void> {
    await this.#peers.trust(userId);
    await this.#judgeAnew(userId);
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
        yield* this.#taken();
        if (this.#failure !== undefined) throw this.#failure;
        const came = await Promise.race([next, this.#woken()]);
        if (came === undefined) continue;
        if (came.done) return;
        const event = came.value;
        await this.#received(event);
        if (this.#failure !== undefined) throw this.#failure;
        yield* this.#taken();
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
    this.#over.abort();
    this.#timer.abort();
    this.#disappearing.stop();
    await this.#idle();
  }

  async #received(event: ClientEvent): Promise<void> {
    if (event.kind === "directory") return await this.#directoryChanged(event.userId);
    if (event.kind !== "packet" || event.packet === undefined) return;
    const { packet, senderUserId: userId, senderDeviceId: deviceId } = event;
    if (this.#options.isBlocked?.(userId)) return;
    this.#obey(this.#chats.received(packet, { userId, deviceId }, this.#moment()));
    // It is acknowledged when what came of it has happened.
    await this.#idle();
  }

  async #directoryChanged(userId: string): Promise<void> {
    if (![...this.#byId.values()].some(({ peer }) => peer.userId === userId)) return;
    this.#ask(userId);
    await this.#idle();
  }

  async #send(chat: SecureChat, { content, lifetimeS }: SecureSaying): Promise<SendResult> {
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
    if (this.#failure !== undefined) return sent?.reject(this.#failure);
    this.#changedSince = true;
    for (const effect of effects) {
      if (effect.kind === "send" && waits !== undefined) {
        this.#work.push({ effect, sent: waits });
        waits = undefined;
      } else this.#work.push({ effect });
    }
    this.#working ??= this.#run()
      .catch((error: Error) => this.#fail(error))
      .finally(() => {
        this.#working = undefined;
      });
    this.#setTimer();
  }

  /** What is to be done is done in order; answers of the directory are waited for by nobody. */
  async #run(): Promise<void> {
    await this.#keep();
    for (let work = this.#work.shift(); work !== undefined; work = this.#work.shift()) {
      await this.#do(work);
      await this.#keep();
    }
  }

  /** What is not kept must not leave: all that waits is given up, and the reader of events told. */
  #fail(error: Error): void {
    this.#failure ??= error;
    for (const { sent } of this.#work) sent?.reject(error);
    this.#work = [];
    this.#timer.abort();
    this.#wake?.();
  }

  /** Before anything leaves that was sealed since. [SEC-69] */
  async #keep(): Promise<void> {
    const { vault } = this.#options;
    if (vault === undefined || !this.#changedSince) return;
    this.#changedSince = false;
    const state = this.#chats.snapshot();
    try {
      await vault.keep(state);
    } finally {
      state.fill(0);
    }
  }

  async #idle(): Promise<void> {
    while (this.#working !== undefined || this.#asking.size > 0) {
      await this.#working;
      if (this.#over.signal.aborted) return;
      await Promise.all(this.#asking.values());
    }
  }

  async #do({ effect, sent }: Work): Promise<void> {
    switch (effect.kind) {
      case "send":
        return this.#submit(effect, sent);
      case "look-up":
        return this.#ask(effect.userId);
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
        return this.#deliver(effect);
      case "closed":
        return this.#closed(effect);
      case "refused": {
        const { from, because } = effect;
        if (because.code === ErrorCode.PEER_IDENTITY_CHANGED) {
          this.#tell({ kind: "secure-identity-changed", userId: from.userId });
        }
        return this.#tell({ kind: "secure-refused", from, code: because.code });
      }
      default:
        return unreachable(effect);
    }
  }

  /** In the outbox before the next one is: the order of a session's packets is kept. */
  #submit(effect: SecureChatsEffect & { kind: "send" }, sent: Work["sent"]): void {
    const { to, packet, ttlS } = effect;
    const value = { toUserId: to.userId, toDeviceId: to.deviceId, packet, ttlS };
    const operation = create(OperationSchema, { kind: { case: "sendPacket", value } });
    this.#client.submit(toBinary(OperationSchema, operation)).then(
      (result) => sent?.resolve(result),
      (error: Error) => {
        sent?.reject(error);
        if (error instanceof RefusedError) this.#undelivered(effect, error.code);
      },
    );
  }

  /** Nobody can answer what was not taken: a handshake would wait in vain. */
  #undelivered({ sessionId, to }: SecureChatsEffect & { kind: "send" }, code: ErrorCode): void {
    this.#tell({ kind: "secure-refused", from: to, code });
    const chat = this.#byId.get(idOf(sessionId));
    if (chat === undefined || chat.isOpen) return;
    chat.changed({ code });
    this.#obey(this.#chats.close(sessionId, this.#moment()));
  }

  #ask(userId: string): void {
    if (this.#asking.has(userId)) return;
    const asked = this.#peers
      .answerFor(userId)
      .then((answer) => {
        if (this.#over.signal.aborted) return;
        this.#obey(this.#chats.resolved(userId, answer, this.#moment()));
      })
      .finally(() => this.#asking.delete(userId));
    this.#asking.set(userId, asked);
  }

  async #opened(effect: SecureChatsEffect & { kind: "open" }): Promise<void> {
    const trust = await this.#peers.met(effect.peer);
    this.#changed(effect, { state: stateFor(trust), trust });
  }

  #deliver({ sessionId, peer, content, position }: SecureChatsEffect & { kind: "deliver" }): void {
    const chat = this.#chat({ sessionId, peer, isOurs: false, state: "confirmed" });
    const { kind, sentMs, lifetimeS } = content;
    if (kind.case !== "text" && kind.case !== "custom") return;
    const id = `${idOf(sessionId)}-${position.epoch}-${position.n}-${this.#messageCount}`;
    this.#messageCount += 1;
    this.#tell({ kind: "secure-message", chat, id, sentMs, lifetimeS, content: kind.value });
    if (lifetimeS > 0) this.#disappearing.add(chat, id, lifetimeS);
  }

  #closed({ sessionId, because }: SecureChatsEffect & { kind: "closed" }): void {
    const chat = this.#byId.get(idOf(sessionId));
    if (chat === undefined) return;
    this.#byId.delete(idOf(sessionId));
    if (because.code === ErrorCode.PEER_IDENTITY_CHANGED) {
      this.#tell({ kind: "secure-identity-changed", userId: chat.peer.userId });
    }
    chat.changed({ state: "closed", code: chat.code ?? because.code });
    this.#tell({ kind: "secure-chat", chat });
  }

  #changed(
    { sessionId, peer }: { readonly sessionId: Uint8Array; readonly peer: SecurePeer },
    change: Pick<SecureChat, "state" | "trust">,
  ): void {
    const chat = this.#chat({ sessionId, peer, isOurs: false, state: change.state });
    chat.changed(change);
    this.#tell({ kind: "secure-chat", chat });
  }

  #chat(of: Pick<SecureChat, "sessionId" | "peer" | "isOurs" | "state">): SecureChat {
    const id = idOf(of.sessionId);
    const known = this.#byId.get(id);
    if (known !== undefined) return known;
    const { userId, deviceId } = of.peer;
    const driver = {
      send: (chat: SecureChat, saying: SecureSaying) => this.#send(chat, saying),
      close: async ({ sessionId }: SecureChat) => {
        this.#obey(this.#chats.close(sessionId, this.#moment()));
        await this.#idle();
      },
    };
    const chat = new SecureChat(driver, { ...of, peer: { userId, deviceId } });
    this.#byId.set(id, chat);
    return chat;
  }

  async #judgeAnew(userId: string): Promise<void> {
    for (const chat of this.#byId.values()) {
      const peer = this.#chats.peerOf(chat.sessionId);
      if (peer?.userId !== userId) continue;
      const trust = await this.#peers.trustIn(peer);
      this.#changed({ sessionId: chat.sessionId, peer }, { state: stateFor(trust), trust });
    }
  }

  #setTimer(): void {
    this.#timer.abort();
    const deadlineMs = this.#chats.deadlineMs();
    if (this.#over.signal.aborted || deadlineMs === Number.POSITIVE_INFINITY) return;
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

  #tell(event: SecureClientEvent): void {
    this.#told.push(event);
    this.#wake?.();
  }

  *#taken(): IterableIterator<SecureClientEvent> {
    for (let told = this.#told.shift(); told !== undefined; told = this.#told.shift()) yield told;
  }

  #woken(): Promise<undefined> {
    if (this.#told.length > 0 || this.#failure !== undefined) return Promise.resolve(undefined);
    return new Promise((resolve) => {
      this.#wake = () => resolve(undefined);
    });
  }
}

function stateFor(trust: PeerTrust): SecureChatState {
  return trust === "verified" ? "verified" : "confirmed";
}

function idOf(sessionId: Uint8Array): string {
  return Array.from(sessionId, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
