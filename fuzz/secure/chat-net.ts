import { NATIVE_CRYPTO } from "../../platform/native-crypto.ts";
import { equalBytes } from "../../protocol/envelope/octets.ts";
import type { CryptoProvider } from "../../protocol/envelope/provider.ts";
import type { SecureChatsEffect } from "../../protocol/secure/chat-effects.ts";
import { SecureChats, type SecureChatsResult } from "../../protocol/secure/chats.ts";
import { CHATS_ENTROPY_BYTES } from "../../protocol/secure/entropy.ts";
import type { Moment, OwnDevice } from "../../protocol/secure/handshake.ts";
import { idOf } from "../../protocol/secure/handshakes.ts";
import type { DeviceAddress } from "../../protocol/secure/peer.ts";
import { assert } from "../../protocol/violation.ts";
import { drawn } from "../envelope/drawn.ts";
import { TestAccount } from "./devices.ts";

export const START_MS = 1_800_000_000_000;
export const PARAMETERS = { rekeyMessages: 32, rekeyS: 600, lifetimeS: 604_800, franking: false };
export const TERMS = { parameters: PARAMETERS, ttlS: 3_600 };

/** A packet under way. */
export interface Packet {
  readonly from: DeviceAddress;
  readonly to: DeviceAddress;
  readonly bytes: Uint8Array;
}

/** One device's chats, and everything that they said. */
export interface ChatNode {
  readonly own: OwnDevice;
  readonly chats: SecureChats;
  readonly told: SecureChatsEffect[];
  /** What a store of this device holds, session by session. */
  readonly stored: Map<string, Uint8Array>;
  /** Added to the clock. */
  skewMs: number;
}

/** Devices, a directory, and a network that does what it is told. Time and chance repeat. */
export class ChatNet {
  readonly accounts = new Map<string, TestAccount>();
  readonly nodes = new Map<string, ChatNode>();
  /** Under way, the oldest first. */
  packets: Packet[] = [];
  /** All that ever was under way. */
  readonly log: Packet[] = [];
  nowMs = START_MS;
  /** Whether questions are answered at once. */
  answers = true;
  readonly #crypto: CryptoProvider;
  #drawn = 0;

  constructor(crypto: CryptoProvider = NATIVE_CRYPTO) {
    this.#crypto = crypto;
  }

  /** A device with nothing open; of a new user where there is none yet. */
  add(userId: string, deviceId: string, parameters = PARAMETERS, rekeyMessagesMin = 1): ChatNode {
    const account = this.accounts.get(userId) ?? new TestAccount(userId);
    this.accounts.set(userId, account);
    const own = account.add(deviceId, this.nowMs);
    const chats = new SecureChats(this.#crypto, { ...own, parameters, rekeyMessagesMin });
    const node: ChatNode = { own, chats, told: [], stored: new Map(), skewMs: 0 };
    this.nodes.set(`${userId}/${deviceId}`, node);
    return node;
  }

  /** The same device after a restart, with what it has stored. */
  resume(node: ChatNode): ChatNode {
    const fresh = this.restart(node);
    for (const [id, state] of node.stored) {
      assert(fresh.chats.restore(state) !== undefined, "what is stored is a session [SEC-70]");
      fresh.stored.set(id, state);
    }
    return fresh;
  }

  /** The same device with nothing open; what it was told is forgotten. */
  restart(node: ChatNode): ChatNode {
    const { own, skewMs } = node;
    const chats = new SecureChats(this.#crypto, { ...own, parameters: PARAMETERS });
    const fresh: ChatNode = { own, chats, told: [], stored: new Map(), skewMs };
    this.nodes.set(`${own.userId}/${own.deviceId}`, fresh);
    return fresh;
  }

  at({ own, skewMs }: ChatNode): Moment {
    this.#drawn += 1;
    const name = `${own.userId} ${own.deviceId} ${this.#drawn}`;
    const entropy = Uint8Array.from(drawn(name, CHATS_ENTROPY_BYTES));
    return { nowMs: this.nowMs + skewMs, entropy };
  }

  /** Does what a machine says, once its store has what has changed. */
  run(node: ChatNode, effects: readonly SecureChatsEffect[]): void {
    store(node, effects);
    for (const effect of effects) {
      node.told.push(effect);
      if (effect.kind === "send") {
        const { userId, deviceId } = node.own;
        const packet = { from: { userId, deviceId }, to: effect.to, bytes: effect.packet };
        this.packets.push(packet);
        this.log.push(packet);
      }
      if (effect.kind === "look-up" && this.answers) this.resolve(node, effect.userId);
    }
  }

  resolve(node: ChatNode, userId: string): void {
    const answer = this.accounts.get(userId)?.answer;
    this.run(node, node.chats.resolved(userId, answer, this.at(node)));
  }

  offer(node: ChatNode, to: ChatNode, terms = TERMS): Uint8Array {
    const result = node.chats.offer(to.own, terms, this.at(node));
    return this.#done(node, result);
  }

  say(node: ChatNode, sessionId: Uint8Array, text: string): void {
    const kind = { case: "text", value: text } as const;
    const content = { sentMs: this.nowMs, lifetimeS: 0, kind };
    this.#done(node, node.chats.send(sessionId, content, this.at(node)));
  }

  #done(node: ChatNode, result: SecureChatsResult): Uint8Array {
    assert(result.kind === "done", "the machine does it");
    this.run(node, result.effects);
    return result.sessionId;
  }

  close(node: ChatNode, sessionId: Uint8Array): void {
    this.run(node, node.chats.close(sessionId, this.at(node)));
  }

  elapse(ms: number): void {
    this.nowMs += ms;
    for (const node of this.nodes.values()) {
      if (node.chats.deadlineMs() <= this.nowMs + node.skewMs) {
        this.run(node, node.chats.elapsed(this.at(node)));
      }
    }
  }

  /** One packet arrives. */
  arrive({ from, to, bytes }: Packet): void {
    const node = this.nodes.get(`${to.userId}/${to.deviceId}`);
    if (node !== undefined) this.run(node, node.chats.received(bytes, from, this.at(node)));
  }

  /** Everything arrives, and what comes of it too. */
  settle(): void {
    for (let packet = this.packets.shift(); packet; packet = this.packets.shift()) {
      this.arrive(packet);
    }
  }
}

/** Stores what is said to have changed; then the store has everything as it is. [SEC-69] */
function store({ chats, stored }: ChatNode, effects: readonly SecureChatsEffect[]): void {
  for (const id of chats.takeChanged()) {
    const state = chats.snapshot(id);
    if (state === undefined) stored.delete(id);
    else stored.set(id, state);
  }
  for (const [id, state] of stored) {
    const fresh = chats.snapshot(id);
    assert(fresh !== undefined && equalBytes(fresh, state), "it stores the newest state [SEC-71]");
  }
  for (const effect of effects) {
    if (effect.kind !== "open" || chats.stateOf(effect.sessionId) !== "open") continue;
    assert(stored.has(idOf(effect.sessionId)), "a new session is stored [SEC-69]");
  }
}

/** What a device was told of one kind. */
export function toldOf<Kind extends SecureChatsEffect["kind"]>(
  { told }: ChatNode,
  kind: Kind,
): Extract<SecureChatsEffect, { kind: Kind }>[] {
  return told.filter((effect) => effect.kind === kind) as Extract<
    SecureChatsEffect,
    { kind: Kind }
  >[];
}

/** The texts that a device was given. */
export function textsOf(node: ChatNode): string[] {
  return toldOf(node, "deliver").map(({ content }) => `${content.kind.value}`);
}
