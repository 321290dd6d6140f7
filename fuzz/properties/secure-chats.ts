import fc from "fast-check";
import { NATIVE_CRYPTO } from "../../platform/native-crypto.ts";
import { Accepting } from "../../protocol/secure/accepting.ts";
import { SecureChats } from "../../protocol/secure/chats.ts";
import { encodePacket } from "../../protocol/secure/handshake.ts";
import { assert } from "../../protocol/violation.ts";
import { hex } from "../envelope/watched-crypto.ts";
import { property, type Seen } from "../property.ts";
import { arrived, judgeOrder, kindOf } from "../secure/chat-judge.ts";
import {
  ChatNet,
  type ChatNode,
  PARAMETERS,
  type Packet,
  START_MS,
  TERMS,
  toldOf,
} from "../secure/chat-net.ts";
import { confirmedBy, Meeting, type MeetingPlan, readAs } from "../secure/meeting.ts";
import { isRefused, meetingPlan } from "./secure-handshake.ts";

const NAMES = [
  ["alice", "phone"],
  ["alice", "laptop"],
  ["bob", "phone"],
] as const;

interface Move {
  readonly act: "offer" | "arrive" | "drop" | "say" | "close" | "replay" | "wait" | "early";
  readonly who: number;
  readonly other: number;
}

/** Devices on a network that keeps everything and brings it again. */
class Replays {
  readonly net = new ChatNet();
  readonly nodes: readonly ChatNode[] = NAMES.map(([user, device]) => this.net.add(user, device));
  /** What a device has taken. */
  readonly #taken: Packet[] = [];
  readonly #seen: Seen;
  #count = 0;

  constructor(seen: Seen) {
    this.#seen = seen;
  }

  run({ act, who, other }: Move): void {
    const { net } = this;
    const node = this.nodes[who % NAMES.length] as ChatNode;
    const to = this.nodes[(who + 1 + (other % (NAMES.length - 1))) % NAMES.length] as ChatNode;
    switch (act) {
      case "offer": {
        const result = node.chats.offer(to.own, TERMS, net.at(node));
        if (result.kind === "done") net.run(node, result.effects);
        return;
      }
      case "arrive":
        return this.#arrive(net.packets.splice(other % Math.max(1, net.packets.length), 1)[0]);
      case "drop":
        net.packets.splice(other % Math.max(1, net.packets.length), 1);
        return;
      case "say":
        return this.#say(node, other);
      case "close": {
        const open = toldOf(node, "open").at(-1 - (other % 3));
        if (open !== undefined) net.close(node, open.sessionId);
        return;
      }
      case "replay":
        return this.#replay(this.#taken[other % Math.max(1, this.#taken.length)]);
      case "wait":
        net.elapse(other * 997);
        return;
      case "early":
        return this.#early(node);
    }
  }

  #arrive(packet: Packet | undefined): void {
    if (packet === undefined) return;
    if (arrived(this.net, packet).isTaken) this.#taken.push(packet);
  }

  #say(node: ChatNode, other: number): void {
    const { sessionId } = toldOf(node, "open").at(-1 - (other % 3)) ?? {};
    if (sessionId === undefined || node.chats.stateOf(sessionId) !== "open") return;
    this.#count += 1;
    this.net.say(node, sessionId, `${this.#count}`);
  }

  /** What was taken is not taken again, and nobody else notices. [SEC-28] [SEC-30] [SEC-54] */
  #replay(packet: Packet | undefined): void {
    if (packet === undefined) return;
    const { packets, log } = this.net;
    const counts = [packets.length, log.length];
    const states = this.#states();
    const { effects } = arrived(this.net, packet);
    const kind = kindOf(packet.bytes);
    const [effect] = effects;
    const [answer] = effects.slice(-1);
    if (kind === "offer" && answer?.kind === "send") {
      // Its handshake waits still: it has the same answer, and no offer of ours stands against it.
      const isKept = log.slice(0, counts[1]).some(({ bytes }) => hex(bytes) === hex(answer.packet));
      assert(isKept, "the same answer again [SEC-28]");
      const crossed = effects.slice(0, -1).every((one) => one.kind === "closed");
      assert(crossed && kindOf(answer.packet) === "accept", "and nothing else [SEC-28]");
      return this.#seen("offer answered again");
    }
    const isRefused = effects.length === 1 && effect?.kind === "refused";
    assert(isRefused, `${kind} again: ${effects.map((one) => one.kind)} [SEC-30]`);
    assert(counts[0] === packets.length && counts[1] === log.length, "nothing is sent [SEC-26]");
    assert(this.#states() === states, "no session changes [SEC-30]");
    this.#seen(`${kind} again`);
  }

  #states(): string {
    return this.nodes
      .flatMap((node) => {
        const known = [...toldOf(node, "accepted"), ...toldOf(node, "offered")];
        return known.map(({ sessionId }) => node.chats.stateOf(sessionId));
      })
      .join();
  }

  /** Nobody says anything in a session that is half open. [SEC-24] */
  #early(node: ChatNode): void {
    const half = [...toldOf(node, "accepted"), ...toldOf(node, "offered")].find(
      ({ sessionId }) => node.chats.stateOf(sessionId) === "half-open",
    );
    if (half === undefined) return;
    const content = { sentMs: 1, lifetimeS: 0, kind: { case: "text", value: "early" } } as const;
    const sent = node.chats.send(half.sessionId, content, this.net.at(node));
    assert(sent.kind === "refused", "nothing is sent early [SEC-24]");
    this.#seen("early");
  }

  judge(): void {
    for (const node of this.nodes) judgeOrder(node);
    for (const node of this.nodes) {
      for (const { sessionId, role, peer } of toldOf(node, "open")) {
        if (role === "initiator") continue;
        const other = this.net.nodes.get(`${peer.userId}/${peer.deviceId}`);
        const opened = other && toldOf(other, "open").find((one) => same(one, sessionId));
        assert(opened?.role === "initiator", "a responder has been confirmed [SEC-20] [SEC-24]");
      }
    }
  }
}

function same({ sessionId }: { readonly sessionId: Uint8Array }, other: Uint8Array): boolean {
  return hex(sessionId) === hex(other);
}

/** A network that has kept everything. */
export const secureReplay = property<readonly Move[]>({
  name: "secure-replay",
  title:
    "[SEC-20] [SEC-24] [SEC-26] [SEC-28] [SEC-30] [SEC-54] what was taken once does nothing " +
    "again, at any time, and no content goes or comes before a handshake is over (P22)",
  smokeRuns: 8,
  turns: 2,
  kinds: [
    "offer again",
    "offer answered again",
    "accept again",
    "confirm again",
    "message again",
    "early",
  ],
  arbitrary: fc.array(
    fc.record({
      act: fc.constantFrom<Move["act"][]>(
        ...(["offer", "arrive", "arrive", "arrive", "arrive", "say", "say"] as const),
        ...(["replay", "replay", "drop", "close", "wait", "early"] as const),
      ),
      who: fc.nat(2),
      other: fc.nat(50),
    }),
    { minLength: 10, maxLength: 50, size: "max" },
  ),
  start: (seen) => ({
    check: (moves) => {
      const replays = new Replays(seen);
      for (const move of moves) replays.run(move);
      replays.judge();
    },
  }),
});

interface Flood {
  readonly offers: readonly { readonly from: number; readonly again: number }[];
  readonly answers: boolean;
  readonly ours: readonly number[];
}

const FLOODERS = 6;
const OFFERS_EACH = 4;
const PER_PEER_MAX = 2;
const PER_USER_MAX = 4;
const ALL_MAX = 8;

/** Offers of several devices to one, made once. */
function makeFlood() {
  const net = new ChatNet();
  const victim = net.add("victim", "phone");
  const nodes = Array.from({ length: FLOODERS }, (_, index) =>
    net.add(index % 2 === 0 ? "mallory" : `sybil${index}`, `d${index}`),
  );
  const offers = nodes.map((node) =>
    Array.from({ length: OFFERS_EACH }, () => {
      const id = net.offer(node, victim);
      const sent = toldOf(node, "send").at(-1);
      // Given up here at once, so that the next one may be made.
      net.close(node, id);
      assert(sent !== undefined, "an offer is made");
      return { from: node.own, to: victim.own, bytes: sent.packet };
    }),
  );
  return { net, offers, victim, nodes };
}

type Flooded = ReturnType<typeof makeFlood>;

/** The victim as it was when it began. */
function freshVictim({ net, victim: { own } }: Flooded): ChatNode {
  const chats = new SecureChats(NATIVE_CRYPTO, { ...own, parameters: PARAMETERS });
  const node: ChatNode = { own, chats, told: [], stored: new Map(), skewMs: 0 };
  net.nodes.set("victim/phone", node);
  net.packets = [];
  return node;
}

function flood(made: Flooded, { offers, answers, ours }: Flood, seen: Seen): void {
  const { net } = made;
  const victim = freshVictim(made);
  net.answers = answers;
  for (const { from, again } of offers) {
    const packet = made.offers[from]?.[again];
    if (packet === undefined) continue;
    const { isTaken } = arrived(net, packet);
    seen(isTaken ? "taken" : "refused");
    judgeHalf(victim);
  }
  let own = 0;
  const counts = new Map<number, number>();
  for (const index of ours) {
    const to = made.nodes[index] as ChatNode;
    const { kind, effects } = offered(net, victim, to);
    const count = counts.get(index) ?? 0;
    const isRoom = own < ALL_MAX && count < PER_PEER_MAX;
    assert((kind === "done") === isRoom, `offer ${own} of ours, ${count} to one [SEC-27]`);
    if (!isRoom) seen("ours refused");
    else [own] = [own + 1, counts.set(index, count + 1)];
    net.run(victim, effects);
  }
  net.answers = true;
  for (const userId of net.accounts.keys()) net.resolve(victim, userId);
  judgeHalf(victim);
  // A day later all of it is over.
  const { nowMs } = net;
  net.nowMs += 86_400_000;
  net.run(victim, victim.chats.elapsed(net.at(victim)));
  net.nowMs = nowMs;
  const left = halfOpen(victim);
  assert(left.length === 0, `${left.length} wait after their time [SEC-22]`);
  assert(victim.chats.deadlineMs() === Number.POSITIVE_INFINITY, "and nothing is due");
}

function offered(net: ChatNet, victim: ChatNode, to: ChatNode) {
  const result = victim.chats.offer(to.own, TERMS, net.at(victim));
  return { kind: result.kind, effects: result.kind === "done" ? result.effects : [] };
}

function halfOpen(node: ChatNode): readonly string[] {
  return toldOf(node, "accepted")
    .filter(({ sessionId }) => node.chats.stateOf(sessionId) === "half-open")
    .map(({ peer }) => `${peer.userId}/${peer.deviceId}`);
}

/** [SEC-27] */
function judgeHalf(node: ChatNode): void {
  const peers = halfOpen(node);
  assert(peers.length <= ALL_MAX, `${peers.length} are half open [SEC-27]`);
  for (const peer of peers) {
    const count = peers.filter((one) => one === peer).length;
    assert(count <= PER_PEER_MAX, `${count} with ${peer} [SEC-27]`);
    const [user] = peer.split("/");
    const ofUser = peers.filter((one) => one.startsWith(`${user}/`)).length;
    assert(ofUser <= PER_USER_MAX, `${ofUser} with ${user} [SEC-27]`);
  }
}

/** More offers than anybody needs, with an answering directory and without one. */
export const secureHalfOpen = property<Flood>({
  name: "secure-half-open",
  title:
    "[SEC-22] [SEC-27] [SEC-32] two handshakes wait with a device, four with a user, " +
    "eight with all (P8)",
  smokeRuns: 8,
  kinds: ["taken", "refused", "ours refused"],
  arbitrary: fc.record({
    offers: fc.array(fc.record({ from: fc.nat(FLOODERS - 1), again: fc.nat(OFFERS_EACH - 1) }), {
      maxLength: 24,
      size: "max",
    }),
    answers: fc.boolean(),
    ours: fc.array(fc.nat(FLOODERS - 1), { maxLength: 12 }),
  }),
  start: (seen) => {
    let made: Flooded | undefined;
    return {
      check: (input) => {
        made ??= makeFlood();
        flood(made, input, seen);
      },
    };
  },
});

interface Crossing {
  readonly first: number;
  readonly order: readonly number[];
}

/** Two devices offer at the same time: one session comes of it, by the smaller fingerprint. */
function cross({ first, order }: Crossing, seen: Seen): void {
  const net = new ChatNet();
  const nodes = NAMES.map(([user, device]) => net.add(user, device));
  const [one, other] = [nodes[first], nodes[(first + 1) % nodes.length]] as [ChatNode, ChatNode];
  const ids = [net.offer(one, other), net.offer(other, one)] as const;
  for (const index of order) {
    const [packet] = net.packets.splice(index % Math.max(1, net.packets.length), 1);
    if (packet !== undefined) net.arrive(packet);
  }
  net.settle();
  const isSmaller = hex(one.own.fingerprint) < hex(other.own.fingerprint);
  const [standing, dropped] = isSmaller ? ids : [ids[1], ids[0]];
  for (const node of [one, other]) {
    assert(node.chats.stateOf(standing) === "open", "the smaller one's offer stands [SEC-29]");
    assert(node.chats.stateOf(dropped) !== "open", "the other one is dropped [SEC-29]");
    judgeOrder(node);
  }
  seen(isSmaller ? "the first one's" : "the second one's");
}

/** Offers that cross. */
export const secureCrossing = property<Crossing>({
  name: "secure-crossing",
  title: "[SEC-29] of two offers that cross, that of the smaller fingerprint becomes the session",
  smokeRuns: 6,
  kinds: ["the first one's", "the second one's"],
  arbitrary: fc.record({ first: fc.nat(2), order: fc.array(fc.nat(3), { maxLength: 6 }) }),
  start: (seen) => ({ check: (input) => cross(input, seen) }),
});

const SKEW_MS = 300_000;

interface Times {
  readonly plan: MeetingPlan;
  /** Of each step, after its border: the offer's beginning or its end, by each clock. */
  readonly offer: { readonly border: "begin" | "end"; readonly ms: number };
  readonly accept: number;
  readonly confirm: number;
}

function expire({ plan, offer, accept, confirm }: Times, seen: Seen): void {
  const meeting = new Meeting(plan);
  const ttlMs = plan.ttlS * 1000;
  const ends = START_MS + ttlMs + SKEW_MS;
  const border = offer.border === "begin" ? START_MS - SKEW_MS : ends;
  const cameMs = border + offer.ms;
  const isTimely = cameMs >= START_MS - SKEW_MS && cameMs < ends;
  const answered = meeting.accept(meeting.offering.packet, cameMs);
  assert(
    isRefused(answered) !== isTimely,
    `an offer ${offer.ms} ms off its ${offer.border} [SEC-22]`,
  );
  seen(isTimely ? "offer in time" : `offer off its ${offer.border}`);
  const accepting = meeting.accept(meeting.offering.packet);
  assert(accepting instanceof Accepting, "in time");
  const confirmed = meeting.confirm(accepting.packet, START_MS + ttlMs + accept);
  assert(isRefused(confirmed) !== accept < 0, `an answer ${accept} ms late [SEC-22]`);
  seen(accept < 0 ? "accept in time" : "accept late");
  const packet = isRefused(confirmed) ? meeting.confirm(accepting.packet) : confirmed;
  assert(!isRefused(packet), "in time");
  const read = readAs(packet.packet, "confirm");
  assert(read !== undefined, "honest");
  const { coreBytes: core, tag } = read;
  const third = encodePacket({ case: "confirm", value: { core, tag } });
  const opened = confirmedBy(accepting, third, ends + confirm);
  assert(isRefused(opened) !== confirm < 0, `a confirm ${confirm} ms late [SEC-22]`);
  seen(confirm < 0 ? "confirm in time" : "confirm late");
}

const near = fc.oneof(fc.integer({ min: -2, max: 2 }), fc.integer({ min: -900, max: 9e8 }));

/** Each step at the border of its time. */
export const secureExpiry = property<Times>({
  name: "secure-expiry",
  title: "[SEC-22] an offer has its time, with five minutes for clocks, and nothing counts after",
  smokeRuns: 15,
  kinds: [
    ...["offer in time", "offer off its begin", "offer off its end"],
    ...["accept in time", "accept late", "confirm in time", "confirm late"],
  ],
  arbitrary: fc.record({
    plan: meetingPlan,
    offer: fc.record({ border: fc.constantFrom("begin", "end"), ms: near }),
    accept: near,
    confirm: near,
  }),
  start: (seen) => ({ check: (input) => expire(input, seen) }),
});
