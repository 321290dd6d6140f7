import { create, toBinary } from "@bufbuild/protobuf";
import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import { OperationSchema } from "../../gen/posthorn/v1/operation_pb.ts";
import type { CryptoProvider } from "../../protocol/envelope/provider.ts";
import type { SecureChatsEffect } from "../../protocol/secure/chat-effects.ts";
import { SecureChats } from "../../protocol/secure/chats.ts";
import { CHATS_ENTROPY_BYTES } from "../../protocol/secure/entropy.ts";
import type { SecureParametersPlain } from "../../protocol/secure/established.ts";
import type { DeviceAddress, DirectoryAnswer, SecurePeer } from "../../protocol/secure/peer.ts";
import { safetyNumber } from "../../protocol/secure/safety-number.ts";
import { unreachable } from "../../protocol/violation.ts";
import type { Client } from "../client.ts";
import type { ClientEvent } from "../events.ts";
import { RefusedError, type SendResult } from "../results.ts";
import { sleep } from "../sleep.ts";
import { SteadyClock } from "../steady-clock.ts";
import { SecureChat, type SecureSaying } from "./chat.ts";
import { lookUp, type PeerDevices, publish, revoke } from "./directory.ts";
import { DisappearingMessages } from "./disappearing.ts";
import type { SecureClientEvent } from "./events.ts";
import type { SecureIdentity } from "./identity.ts";
import { continuityOf, judgePeer, type PeerMemory, type PeerTrust } from "./known-peers.ts";

export interface SecureMessengerOptions {
  readonly crypto: CryptoProvider;
  readonly identity: SecureIdentity;
  /** Whom this device has met. */
  readonly peers: PeerMemory;
  /** How sessions are kept that this device offers, and at most that it agrees to. */
  readonly parameters?: SecureParametersPlain;
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

/** What two people compare. */
export interface SafetyNumber {
  /** Sixty, in groups of five; the same on both sides. */
  readonly digits: string;
  readonly trust: PeerTrust;
}

interface Work {
  readonly effect: SecureChatsEffect;
  /** For who waits until it is durable at the service. */
  readonly sent?: { resolve(result: SendResult): void; reject(error: Error): void };
}

/**
 * Secure chats on a client: drives {@link SecureChats}, with the service between the devices.
 *
 * Nothing of a chat outlives the process: a new one begins with new chats, and what comes for the
 * old ones is refused.
 */
export class SecureMessenger {
  readonly #client: Client;
  readonly #options: SecureMessengerOptions;
  readonly #chats: SecureChats;
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

  constructor(client: Client, options: SecureMessengerOptions) {
    const { crypto, identity, parameters = SECURE_PARAMETERS_DEFAULT } = options;
    const { userId, deviceId } = identity.device;
    this.#client = client;
    this.#options = options;
    this.#chats = new SecureChats(crypto, {
      userId,
      deviceId,
      signer: identity.signer,
      parameters,
    });
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
  async devicesOf(userId: string): Promise<(PeerDevices & { trust: PeerTrust }) | undefined> {
    const { crypto, peers } = this.#options;
    const found = await lookUp(this.#client, crypto, { userId, nowMs: this.#clock.nowMs() });
    if (found === undefined) return undefined;
    return { ...found, trust: await judgePeer(peers, userId, found.fingerprint) };
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
  async safetyNumber(userId: string): Promise<SafetyNumber> {
    const { crypto, identity } = this.#options;
    const found = await this.devicesOf(userId);
    const { accountKey } = identity;
    if (found === undefined || accountKey === undefined) {
      throw new RefusedError(ErrorCode.SECURE_PEER_UNKNOWN);
    }
    if (found.trust === "changed") throw new RefusedError(ErrorCode.PEER_IDENTITY_CHANGED);
    const own = { userId: identity.device.userId, keys: accountKey };
    const digits = safetyNumber(crypto, own, { userId, keys: found.account });
    return { digits, trust: found.trust };
  }

  /** The people have compared their safety number, and it was the same. */
  async verify(userId: string): Promise<void> {
    await this.#remember(userId, { verified: true, mayChange: false });
  }

  /** The user takes the account as it is now for somebody's, though it is another one. */
  async trust(userId: string): Promise<void> {
    await this.#remember(userId, { verified: false, mayChange: true });
  }

  /**
   * The client's events, with the packets opened. An event counts as handled when the next one is
   * asked for, as with {@link Client.events}. One consumer at a time.
   */
  async *events(): AsyncIterableIterator<SecureClientEvent> {
    const timeline = this.#client.events();
    let next = timeline.next();
    try {
      for (;;) {
        yield* this.#taken();
        const came = await Promise.race([next, this.#woken()]);
        if (came === undefined) continue;
        if (came.done) return;
        const event = came.value;
        await this.#received(event);
        yield* this.#taken();
        if (event.kind !== "packet") yield event;
        next = timeline.next();
      }
    } finally {
      // Nobody hears of what goes wrong with what nobody asks for any more.
      next.catch(() => {});
      await timeline.return?.();
    }
  }

  /** Ends all chats, tells the other devices, and erases everything. The client goes on. */
  async close(): Promise<void> {
    this.#obey(this.#chats.closeAll(this.#moment()));
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
    for (const effect of effects) {
      if (effect.kind === "send" && waits !== undefined) {
        this.#work.push({ effect, sent: waits });
        waits = undefined;
      } else this.#work.push({ effect });
    }
    this.#working ??= this.#run().finally(() => {
      this.#working = undefined;
    });
    this.#setTimer();
  }

  /** What is to be done is done in order; answers of the directory are waited for by nobody. */
  async #run(): Promise<void> {
    for (let work = this.#work.shift(); work !== undefined; work = this.#work.shift()) {
      await this.#do(work);
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
        return this.#changed(effect, { state: "offered", trust: await this.#trustIn(effect.peer) });
      case "accepted":
        return this.#changed(effect, {
          state: "accepted",
          trust: await this.#trustIn(effect.peer),
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
    const asked = this.#answerFor(userId)
      .then((answer) => {
        if (this.#over.signal.aborted) return;
        this.#obey(this.#chats.resolved(userId, answer, this.#moment()));
      })
      .finally(() => this.#asking.delete(userId));
    this.#asking.set(userId, asked);
  }

  /** Undefined: there is no answer, as the client has ended, or none was given. */
  async #answerFor(userId: string): Promise<DirectoryAnswer | undefined> {
    try {
      const found = await this.devicesOf(userId);
      if (found === undefined) return undefined;
      const { account, certificates, trust } = found;
      return { accountKey: account, devices: certificates, continuity: continuityOf(trust) };
    } catch {
      return undefined;
    }
  }

  async #opened(effect: SecureChatsEffect & { kind: "open" }): Promise<void> {
    const { peer } = effect;
    const { userId, accountFingerprint: fingerprint } = peer;
    const { peers } = this.#options;
    if ((await peers.load(userId)) === undefined) {
      const firstSeenMs = this.#clock.nowMs();
      await peers.save(userId, { fingerprint, verified: false, firstSeenMs });
    }
    // Seen for the first time it stays for this chat, though it is remembered from now on.
    const trust = peer.continuity === "first-seen" ? "first-seen" : await this.#trustIn(peer);
    this.#changed(effect, { state: trust === "verified" ? "verified" : "confirmed", trust });
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

  async #trustIn({ userId, accountFingerprint }: SecurePeer): Promise<PeerTrust> {
    return await judgePeer(this.#options.peers, userId, accountFingerprint);
  }

  async #remember(
    userId: string,
    { verified, mayChange }: { readonly verified: boolean; readonly mayChange: boolean },
  ): Promise<void> {
    const found = await this.devicesOf(userId);
    if (found === undefined) throw new RefusedError(ErrorCode.SECURE_PEER_UNKNOWN);
    if (found.trust === "changed" && !mayChange) {
      throw new RefusedError(ErrorCode.PEER_IDENTITY_CHANGED);
    }
    const { peers } = this.#options;
    const { fingerprint, trust } = found;
    const known = trust === "changed" ? undefined : await peers.load(userId);
    const firstSeenMs = known?.firstSeenMs ?? this.#clock.nowMs();
    await peers.save(userId, { fingerprint, verified, firstSeenMs });
    for (const chat of this.#byId.values()) {
      if (chat.peer.userId !== userId || !chat.isOpen) continue;
      const state = verified ? "verified" : "confirmed";
      chat.changed({ state, trust: verified ? "verified" : "seen-before" });
      this.#tell({ kind: "secure-chat", chat });
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
    if (this.#told.length > 0) return Promise.resolve(undefined);
    return new Promise((resolve) => {
      this.#wake = () => resolve(undefined);
    });
  }
}

function idOf(sessionId: Uint8Array): string {
  return Array.from(sessionId, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
