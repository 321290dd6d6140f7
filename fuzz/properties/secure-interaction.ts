import fc from "fast-check";
import { NATIVE_CRYPTO } from "../../platform/native-crypto.ts";
import { SecureChats } from "../../protocol/secure/chats.ts";
import type { SecureContentPlain } from "../../protocol/secure/established.ts";
import { assert } from "../../protocol/violation.ts";
import { drawn } from "../envelope/drawn.ts";
import { hex } from "../envelope/watched-crypto.ts";
import { property, type Seen } from "../property.ts";
import { judgeOrder } from "../secure/chat-judge.ts";
import { ChatNet, type ChatNode, type Packet, TERMS, toldOf } from "../secure/chat-net.ts";
import { SecretLog } from "../secure/secret-log.ts";

const NAMES = [
  ["alice", "phone"],
  ["alice", "laptop"],
  ["bob", "phone"],
  ["carol", "phone"],
] as const;
const PARAMETERS = { rekeyMessages: 3, rekeyS: 600, lifetimeS: 604_800, franking: true };

interface Action {
  readonly act:
    | ("offer" | "say" | "arrive" | "drop" | "reorder" | "duplicate")
    | ("restart" | "close" | "wait");
  readonly who: number;
  readonly other: number;
  readonly size: number;
}

interface Said {
  readonly by: string;
  readonly session: string;
  /** In its session and direction. */
  readonly index: number;
  readonly content: string;
}

/** What one thing is that was said or came: comparable. */
function textOf({ sentMs, lifetimeS, kind }: SecureContentPlain): string {
  const value = kind.value instanceof Uint8Array ? hex(kind.value) : kind.value;
  return `${sentMs} ${lifetimeS} ${kind.case} ${value}`;
}

/** Devices of three people, and a service that keeps packets for each and may do as it likes. */
class World {
  readonly net = new ChatNet(new SecretLog(NATIVE_CRYPTO).provider);
  nodes: ChatNode[];
  readonly #said = new Map<string, Said>();
  readonly #came = new Set<string>();
  readonly #counts = new Map<string, number>();
  /** How far each node's story was judged. */
  readonly #judged = new Map<ChatNode, number>();
  /** Sessions whose packets came as they were sent so far. */
  readonly #disturbed = new Set<string>();
  /** By session and direction: what came last. */
  readonly #last = new Map<string, number>();
  readonly #seen: Seen;
  #count = 0;

  constructor(seen: Seen) {
    this.#seen = seen;
    this.nodes = NAMES.map(([user, device]) => this.net.add(user, device, PARAMETERS));
  }

  run({ act, who, other, size }: Action): void {
    const { net } = this;
    const index = who % NAMES.length;
    const node = this.nodes[index] as ChatNode;
    const at = other % Math.max(1, net.packets.length);
    const packet = net.packets[at];
    switch (act) {
      case "offer": {
        const to = this.nodes[(index + 1 + (other % (NAMES.length - 1))) % NAMES.length];
        return this.#offer(node, to as ChatNode);
      }
      case "say":
        return this.#say(node, other, size);
      case "arrive":
        // A service's queue: the oldest of one device first.
        return this.#arrive(0);
      case "drop":
        if (packet !== undefined) this.#disturb(packet);
        net.packets.splice(at, 1);
        break;
      case "reorder":
        if (packet !== undefined && at > 0) this.#disturb(packet);
        return this.#arrive(at);
      case "duplicate":
        if (packet !== undefined) net.packets.push(packet);
        break;
      case "restart":
        this.#restart(node, index);
        break;
      case "close": {
        const open = this.#openOf(node, other);
        if (open !== undefined) net.close(node, open);
        break;
      }
      case "wait":
        net.elapse(1 + other * 20_000);
    }
    this.#seen(act);
  }

  #disturb(packet: Packet): void {
    const session = this.net.nodes
      .get(nameOf(packet.from))
      ?.told.find((one) => one.kind === "send" && one.packet === packet.bytes);
    if (session?.kind === "send") this.#disturbed.add(hex(session.sessionId));
  }

  #offer(node: ChatNode, to: ChatNode): void {
    const terms = { ...TERMS, parameters: PARAMETERS };
    const result = node.chats.offer(to.own, terms, this.net.at(node));
    if (result.kind === "done") this.net.run(node, result.effects);
    this.#seen(`offer ${result.kind}`);
  }

  #openOf(node: ChatNode, other: number): Uint8Array | undefined {
    const open = toldOf(node, "open").filter(
      ({ sessionId }) => node.chats.stateOf(sessionId) === "open",
    );
    return open[other % Math.max(1, open.length)]?.sessionId;
  }

  #say(node: ChatNode, other: number, size: number): void {
    const sessionId = this.#openOf(node, other);
    if (sessionId !== undefined) this.say(node, sessionId, size);
  }

  say(node: ChatNode, sessionId: Uint8Array, size: number): void {
    this.#count += 1;
    const body = drawn(`body ${this.#count}`, Math.max(1, size));
    const kind =
      this.#count % 2 === 0
        ? ({ case: "custom", value: body } as const)
        : ({ case: "text", value: hex(body).slice(0, Math.max(1, size)) } as const);
    const content = { sentMs: this.net.nowMs, lifetimeS: this.#count, kind };
    const result = node.chats.send(sessionId, content, this.net.at(node));
    assert(result.kind === "done", "an open session takes a content");
    const [by, session] = [nameOf(node.own), hex(sessionId)];
    const index = this.#counts.get(`${session} ${by}`) ?? 0;
    this.#counts.set(`${session} ${by}`, index + 1);
    this.#said.set(textOf(content), { by, session, index, content: textOf(content) });
    this.net.run(node, result.effects);
    if (size > 10_000) this.#seen("large");
  }

  #arrive(at: number): void {
    const [packet] = this.net.packets.splice(at, 1);
    if (packet !== undefined) this.net.arrive(packet);
    for (const node of this.nodes) this.#judge(node);
  }

  /** The device has lost everything but its identity. */
  #restart({ own, skewMs }: ChatNode, index: number): void {
    const options = { ...own, parameters: PARAMETERS };
    const node = {
      own,
      chats: new SecureChats(NATIVE_CRYPTO, options),
      told: [],
      stored: new Map(),
      skewMs,
    };
    this.nodes[index] = node;
    this.net.nodes.set(nameOf(own), node);
  }

  /** What came is what was said, by whom, once, and later than what came before. */
  #judge(node: ChatNode): void {
    const from = this.#judged.get(node) ?? 0;
    this.#judged.set(node, node.told.length);
    for (const effect of node.told.slice(from)) {
      if (effect.kind !== "deliver") continue;
      const said = this.#said.get(textOf(effect.content));
      assert(said !== undefined, "nothing comes that nobody said");
      assert(said.session === hex(effect.sessionId), "in its session [SEC-47]");
      assert(said.by === nameOf(effect.peer), "and of whom it is said to be [SEC-31]");
      assert(!this.#came.has(said.content), "once [SEC-54]");
      this.#came.add(said.content);
      this.#seen("came");
      const way = `${said.session} ${said.by}`;
      const last = this.#last.get(way) ?? -1;
      this.#last.set(way, Math.max(last, said.index));
      if (this.#disturbed.has(said.session)) continue;
      assert(said.index === last + 1, "in order, without a gap");
      this.#seen("in order");
    }
  }

  /** When the service behaves again, any two devices come to talk. */
  settle(): void {
    const { net } = this;
    while (net.packets.length > 0) this.#arrive(0);
    // What was half open is over some day, and offers are made again.
    net.elapse(4_200_000);
    while (net.packets.length > 0) this.#arrive(0);
    for (const node of this.nodes) judgeOrder(node);
    const [one, other] = [this.nodes[0], this.nodes[2]] as [ChatNode, ChatNode];
    const before = toldOf(one, "open").length;
    this.#offer(one, other);
    while (net.packets.length > 0) this.#arrive(0);
    const opened = toldOf(one, "open").slice(before)[0];
    assert(opened !== undefined, "a new session opens");
    for (const [node, size] of [
      [one, 140],
      [other, 3_000],
      [one, 1],
    ] as const) {
      const count = this.#came.size;
      this.say(node, opened.sessionId, size);
      while (net.packets.length > 0) this.#arrive(0);
      assert(this.#came.size === count + 1, "and everything comes");
    }
  }
}

function nameOf({ userId, deviceId }: { readonly userId: string; readonly deviceId: string }) {
  return `${userId}/${deviceId}`;
}

const ACTS: readonly Action["act"][] = [
  ...(["offer", "offer", "say", "say", "say", "say", "say"] as const),
  ...(["arrive", "arrive", "arrive", "arrive", "arrive", "arrive", "arrive"] as const),
  ...(["drop", "reorder", "duplicate", "restart", "close", "wait"] as const),
];

/** Several devices of several people, and everything that can happen to them. */
export const secureInteraction = property<readonly Action[]>({
  name: "secure-interaction",
  title:
    "[SEC-24] [SEC-30] [SEC-31] [SEC-34] [SEC-42] [SEC-47] [SEC-54] four devices, any network, " +
    "restarts: what comes was said, by whom it is said to be, once, and in order where nothing " +
    "was disturbed (P2, P22)",
  smokeRuns: 8,
  turns: 3,
  kinds: [
    ...["drop", "duplicate", "restart", "close", "wait", "large", "came", "in order"],
    ...["offer done", "offer refused"],
  ],
  arbitrary: fc.array(
    fc.record({
      act: fc.constantFrom(...ACTS),
      who: fc.nat(3),
      other: fc.nat(12),
      size: fc.oneof(
        { weight: 30, arbitrary: fc.nat(140) },
        { weight: 1, arbitrary: fc.integer({ min: 10_000, max: 65_000 }) },
      ),
    }),
    { minLength: 5, maxLength: 80, size: "max" },
  ),
  start: (seen) => ({
    check: (actions) => {
      const world = new World(seen);
      for (const action of actions) world.run(action);
      world.settle();
    },
  }),
});
