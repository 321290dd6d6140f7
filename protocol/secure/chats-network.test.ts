import assert from "node:assert/strict";
import { test } from "node:test";
import { ChatNet, type ChatNode, type Packet, TERMS, toldOf } from "../../fuzz/secure/chat-net.ts";

/** Mulberry32: chance that repeats itself. */
function chanceOf(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex");

/** A network that loses, repeats, keeps, bends and mixes packets, and people who offer and talk. */
class Play {
  readonly net = new ChatNet();
  readonly nodes: readonly ChatNode[];
  readonly said = new Map<string, number>();
  readonly #chance: (below: number) => number;

  constructor(seed: number) {
    this.#chance = chanceOf(seed);
    const names = [
      ["alice", "phone"],
      ["alice", "laptop"],
      ["bob", "phone"],
    ] as const;
    this.nodes = names.map(([userId, deviceId]) => this.net.add(userId, deviceId));
  }

  step(): void {
    const { net } = this;
    switch (this.#chance(10)) {
      case 0:
        return this.#offer();
      case 1:
        return this.#say();
      case 2:
        return net.elapse(this.#chance(400_000));
      case 3:
        return this.#arrive(this.#bent());
      case 4:
        return this.#arrive(this.#any(net.log));
      case 5:
        net.packets.splice(this.#chance(8), 1);
        return undefined;
      default:
        return this.#arrive(net.packets.splice(this.#chance(net.packets.length || 1), 1)[0]);
    }
  }

  #any<Item>(items: readonly Item[]): Item | undefined {
    return items[this.#chance(items.length || 1)];
  }

  #arrive(packet: Packet | undefined): void {
    if (packet !== undefined) this.net.arrive(packet);
  }

  #offer(): void {
    const [from, to] = [this.#any(this.nodes), this.#any(this.nodes)];
    if (from === undefined || to === undefined) return;
    const result = from.chats.offer(to.own, TERMS, this.net.at(from));
    if (result.kind === "done") this.net.run(from, result.effects);
  }

  #say(): void {
    const from = this.#any(this.nodes);
    const open = from && this.#any(toldOf(from, "open"));
    if (from === undefined || open === undefined) return;
    if (from.chats.stateOf(open.sessionId) !== "open") return;
    const text = `${hex(open.sessionId)} ${from.own.deviceId} ${this.said.size}`;
    this.said.set(text, 0);
    this.net.say(from, open.sessionId, text);
  }

  /** A packet with a changed byte, another sender, another receiver, or another's second half. */
  #bent(): Packet | undefined {
    const packet = this.#any(this.net.log);
    const other = this.#any(this.net.log);
    if (packet === undefined || other === undefined) return undefined;
    const bytes = Uint8Array.from(packet.bytes);
    const at = this.#chance(bytes.length);
    const mixed = this.#chance(4);
    if (mixed === 0) bytes.set(other.bytes.subarray(at, bytes.length), at);
    if (mixed === 1) bytes[at] = (bytes[at] as number) ^ (1 << this.#chance(8));
    if (mixed === 2) return { ...packet, from: other.from };
    if (mixed === 3) return { ...packet, to: other.to };
    return { ...packet, bytes };
  }

  check(): void {
    for (const node of this.nodes) {
      const opened = toldOf(node, "open").map(({ sessionId }) => hex(sessionId));
      assert.equal(new Set(opened).size, opened.length, "no session opens twice");
      for (const { sessionId, peer, role } of toldOf(node, "open")) {
        const other = this.net.nodes.get(`${peer.userId}/${peer.deviceId}`) as ChatNode;
        assert.deepEqual(peer.fingerprint, other.own.fingerprint);
        // Whoever accepts has been confirmed; whoever offers may be alone.
        if (role === "initiator") continue;
        const mirrored = toldOf(other, "open").find((one) => hex(one.sessionId) === hex(sessionId));
        assert.deepEqual(mirrored?.peer.fingerprint, node.own.fingerprint);
      }
      for (const { content, sessionId } of toldOf(node, "deliver")) {
        const text = `${content.kind.value}`;
        assert.ok(text.startsWith(hex(sessionId)) && this.said.has(text), "what was said here");
      }
    }
    const delivered = this.nodes.flatMap((node) =>
      toldOf(node, "deliver").map(({ content }) => content.kind.value),
    );
    assert.equal(new Set(delivered).size, delivered.length, "nothing is delivered twice");
  }
}

test("[SEC-15] [SEC-26] [SEC-30] whatever the network does, sessions have two honest ends", () => {
  let opened = 0;
  let delivered = 0;
  for (let seed = 1; seed <= 12; seed += 1) {
    const play = new Play(seed);
    for (let step = 0; step < 120; step += 1) play.step();
    play.check();
    play.net.settle();
    play.check();
    opened += play.nodes.flatMap((node) => toldOf(node, "open")).length;
    delivered += play.nodes.flatMap((node) => toldOf(node, "deliver")).length;
  }
  assert.ok(opened > 20 && delivered > 20, `${opened} opened, ${delivered} delivered`);
});
