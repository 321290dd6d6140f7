import { inspect } from "node:util";
import fc from "fast-check";
import { NATIVE_CRYPTO } from "../../platform/native-crypto.ts";
import { Accepting } from "../../protocol/secure/accepting.ts";
import { SecureSession } from "../../protocol/secure/session.ts";
import { assert } from "../../protocol/violation.ts";
import { drawn } from "../envelope/drawn.ts";
import { hex } from "../envelope/watched-crypto.ts";
import { property, type Seen } from "../property.ts";
import { arrived, kindOf } from "../secure/chat-judge.ts";
import { ChatNet, type ChatNode, type Packet, toldOf } from "../secure/chat-net.ts";
import { flipped, Meeting, type MeetingPlan, readAs } from "../secure/meeting.ts";
import { nonZeroBytes } from "../secure/reachable.ts";
import { th } from "../secure/reference.ts";
import { SecretLog } from "../secure/secret-log.ts";
import { establishedFor, otherSide, SessionPair, type Side } from "../secure/sessions.ts";
import { withToyKem } from "../secure/toy-kem.ts";
import { isRefused, meetingPlan } from "./secure-handshake.ts";

const SIDES: readonly Side[] = ["initiator", "responder"];

interface Ending {
  readonly plan: MeetingPlan;
  /** What becomes of the handshake. */
  readonly handshake: "whole" | "offer given up" | "answer given up" | "refused";
  readonly talk: readonly { readonly side: Side; readonly comes: boolean }[];
  readonly rekeyMessages: number;
  readonly end: "close" | "time" | "restored";
}

/** Everything secret that is left after a handshake: the root, for the session. */
function handshake({ plan, handshake: how }: Ending, seen: Seen): void {
  const log = new SecretLog(NATIVE_CRYPTO);
  const entropy = drawn(plan.name, 64);
  const meeting = new Meeting(plan, { crypto: log.provider, entropy });
  assert(
    entropy.every((byte) => byte === 0),
    "what an offer was drawn from is erased [SEC-16]",
  );
  const publics: string[] = [];
  const left = () =>
    log.alive.map(hex).filter((secret) => !publics.some((known) => secret.startsWith(known)));
  seen(how);
  if (how === "offer given up") {
    meeting.offering.erase();
    assert(left().length === 0, "the seed of an offer that ended is erased [SEC-23]");
    return;
  }
  const accepting = meeting.accept(meeting.offering.packet);
  assert(accepting instanceof Accepting, "honest");
  const accept = readAs(accepting.packet, "accept");
  const offer = readAs(meeting.offering.packet, "offer");
  assert(accept !== undefined && offer !== undefined, "honest");
  // Two tags, whose other halves are nobody's key, and the hash that a root is extracted with.
  const said = [offer.coreBytes, offer.signature, accept.coreBytes, accept.signature];
  publics.push(hex(accept.tag), hex(transcript(said)));
  if (how === "answer given up" || how === "refused") {
    if (how === "refused")
      assert(isRefused(meeting.confirm(flipped(accepting.packet, 60))), "bent");
    accepting.erase();
    meeting.offering.erase();
    assert(left().length === 0, `${how}: ${left().length} secrets are left [SEC-23]`);
    return;
  }
  const confirmed = meeting.confirm(accepting.packet);
  assert(!isRefused(confirmed), "honest");
  const confirm = readAs(confirmed.packet, "confirm");
  assert(confirm !== undefined, "honest");
  const established = accepting.confirmed(confirm, accepting.expiresMs - 1);
  assert(!isRefused(established), "honest");
  publics.push(hex(confirm.tag), hex(confirmed.established.root));
  assert(left().length === 0, `${left().length} secrets outlive a handshake [SEC-23]`);
  for (const one of [confirmed.established, established]) {
    const session = new SecureSession(log.provider, one);
    assert(
      one.root.every((byte) => byte === 0),
      "a session erases its root [SEC-41]",
    );
    session.close({ nowMs: one.establishedMs, entropy: drawn("close", 128) });
  }
  assert(left().length === 0, "and nothing is left after its end [SEC-65]");
}

function transcript(said: readonly Uint8Array[]): Uint8Array {
  return th("phorn-sc-1", said);
}

/** After the end nothing is reachable, nothing that was ever used is left, and nothing opens. */
function ending({ talk, rekeyMessages, end }: Ending, seen: Seen): void {
  const log = new SecretLog(withToyKem(NATIVE_CRYPTO));
  const pair = new SessionPair(log.provider, { rekeyMessages });
  const wire: { readonly to: Side; readonly message: Uint8Array }[] = [];
  for (const { side, comes } of talk) {
    const message = pair.send(side, "text");
    wire.push({ to: otherSide(side), message });
    const received = comes ? pair.receive(otherSide(side), message) : undefined;
    if (received?.kind !== "opened" || received.reply === undefined) continue;
    wire.push({ to: side, message: received.reply });
  }
  if (end === "restored") restoreBoth(pair, log);
  if (end === "time") {
    pair.nowMs += 25 * 3_600_000;
    for (const side of SIDES) pair.sides[side].elapsed(pair.at());
  } else {
    for (const side of SIDES) {
      const message = pair.sides[side].close(pair.at());
      if (message !== undefined) wire.push({ to: otherSide(side), message });
    }
  }
  seen(end);
  for (const entropy of pair.entropies) entropy.fill(0);
  // A state that was stored before is the store's to erase; here is what the process holds.
  assert(log.alive.length === 0, `${log.alive.length} secrets outlive a session [SEC-65]`);
  for (const side of SIDES) {
    const session = pair.sides[side];
    const { sessionId, own, peer } = establishedFor(side, {});
    const known = [sessionId, own, peer].map((bytes) => Array.from(bytes).join());
    const found = nonZeroBytes(session).filter((at) => !known.some((text) => at.endsWith(text)));
    assert(found.length === 0, `reachable: ${found[0]?.slice(0, 80)} [SEC-65]`);
    assert(session.snapshot() === undefined, "an ended session stores nothing [SEC-65]");
    for (const { message } of wire) {
      const received = session.receive(message, pair.at());
      assert(received.kind === "refused", "what was recorded opens nowhere [SEC-65]");
    }
  }
}

function restoreBoth(pair: SessionPair, log: SecretLog): void {
  for (const side of SIDES) {
    const state = pair.sides[side].snapshot() as Uint8Array;
    // The one before is over, without a word: its keys are in the state now.
    pair.sides[side].elapsed({ ...pair.at(), nowMs: pair.nowMs + 1e9 });
    pair.sides[side] = SecureSession.restore(log.provider, state) as SecureSession;
  }
}

/** Handshakes and sessions to every end that there is. */
export const secureErasure = property<Ending>({
  name: "secure-erasure",
  title:
    "[SEC-16] [SEC-23] [SEC-41] [SEC-42] [SEC-65] after a handshake one root is left, after a " +
    "session nothing, and everything that was recorded opens nowhere",
  smokeRuns: 6,
  kinds: [
    ...["whole", "offer given up", "answer given up", "refused"],
    ...["close", "time", "restored"],
  ],
  arbitrary: fc.record({
    plan: meetingPlan,
    handshake: fc.constantFrom<Ending["handshake"][]>(
      ...(["whole", "whole", "offer given up", "answer given up", "refused"] as const),
    ),
    talk: fc.array(
      fc.record({
        side: fc.constantFrom<Side>("initiator", "responder"),
        comes: fc.constantFrom(true, true, true, false),
      }),
      { maxLength: 30, size: "max" },
    ),
    rekeyMessages: fc.integer({ min: 1, max: 5 }),
    end: fc.constantFrom("close", "time", "restored"),
  }),
  start: (seen) => ({
    check: (input) => {
      handshake(input, seen);
      ending(input, seen);
    },
  }),
});

const FAULTS = ["noise", "flip", "cut", "sender", "receiver", "mixed", "empty", "long"] as const;
type Fault = (typeof FAULTS)[number];

interface Faults {
  /** How far two devices are when the faults come. */
  readonly steps: number;
  readonly faults: readonly { readonly fault: Fault; readonly at: number; readonly of: number }[];
}

const CANARY = "canary-1f9a-of-the-plain-text";

/** Alice and Bob, somewhere in a handshake or behind it; Carol watches and sends. */
function between(log: SecretLog, steps: number): { net: ChatNet; nodes: readonly ChatNode[] } {
  const net = new ChatNet(log.provider);
  const nodes = ["alice", "bob", "carol"].map((user) => net.add(user, "phone"));
  const [alice, bob] = nodes as [ChatNode, ChatNode, ChatNode];
  const id = net.offer(alice, bob);
  for (let step = 0; step < steps; step += 1) {
    const packet = net.packets.shift();
    if (packet !== undefined) net.arrive(packet);
    else if (alice.chats.stateOf(id) === "open") net.say(step % 2 === 0 ? alice : bob, id, CANARY);
  }
  return { net, nodes };
}

function bent(net: ChatNet, { fault, at, of }: Faults["faults"][0]): Packet | undefined {
  const packet = net.log[of % net.log.length];
  const other = net.log[at % net.log.length];
  const carol = { userId: "carol", deviceId: "phone" };
  if (packet === undefined || other === undefined) return undefined;
  const { bytes } = packet;
  switch (fault) {
    case "noise":
      return { ...packet, bytes: drawn(`${at}`, at % 9_000) };
    case "flip":
      return { ...packet, bytes: flipped(bytes, at) };
    case "cut":
      return { ...packet, bytes: bytes.subarray(0, at % bytes.length) };
    case "sender":
      return { ...packet, from: carol };
    case "receiver":
      return { ...packet, to: carol };
    case "mixed": {
      if (other === packet) return undefined;
      const middle = at % bytes.length;
      const mixed = Buffer.concat([bytes.subarray(0, middle), other.bytes.subarray(middle)]);
      return net.log.some((one) => mixed.equals(one.bytes))
        ? undefined
        : { ...packet, bytes: mixed };
    }
    case "empty":
      return { ...packet, bytes: new Uint8Array(0) };
    case "long":
      return { ...packet, bytes: Buffer.concat([bytes, drawn("long", 1 + (at % 90_000))]) };
  }
}

function misbehave({ steps, faults }: Faults, seen: Seen): void {
  const log = new SecretLog(NATIVE_CRYPTO);
  const { net, nodes } = between(log, steps);
  const shown: unknown[] = [];
  for (const one of faults) {
    const packet = bent(net, one);
    if (packet === undefined) continue;
    const [sent, states] = [net.log.length, statesOf(nodes)];
    const { effects } = arrived(net, packet);
    const kinds = effects.map(({ kind }) => kind).filter((kind) => kind !== "look-up");
    assert(kinds.join() === "refused", `${one.fault}: ${kinds.join()}, not one refusal [SEC-26]`);
    assert(net.log.length === sent, `${one.fault}: something is answered [SEC-26] [SEC-52]`);
    assert(statesOf(nodes) === states, `${one.fault}: something has changed [SEC-26]`);
    shown.push(...effects);
    seen(one.fault);
    seen(kindOf(packet.bytes));
  }
  // Whatever came in between, the two go on.
  net.settle();
  const [alice, bob] = nodes as [ChatNode, ChatNode, ChatNode];
  const { sessionId } = toldOf(alice, "open")[0] ?? {};
  assert(sessionId !== undefined && bob.chats.stateOf(sessionId) === "open", "they meet [SEC-26]");
  net.say(alice, sessionId, CANARY);
  net.settle();
  assert(toldOf(bob, "deliver").at(-1)?.content.kind.value === CANARY, "and talk [SEC-52]");
  judgeShown(nodes, [...shown, ...thrown(alice)], log);
}

function statesOf(nodes: readonly ChatNode[]): string {
  const seenBy = (node: ChatNode) =>
    node.told.flatMap((one) => ("sessionId" in one ? [node.chats.stateOf(one.sessionId)] : []));
  return nodes.map((node) => `${seenBy(node)} ${node.chats.deadlineMs()}`).join(";");
}

/** What a bug of the caller is told. */
function thrown({ chats, own }: ChatNode): readonly unknown[] {
  const terms = { parameters: { rekeyMessages: 0, rekeyS: 1, lifetimeS: 1, franking: false } };
  const tries = [
    () => chats.received(new Uint8Array(1), own, { nowMs: 0, entropy: drawn("short", 5) }),
    () => chats.offer(own, { ...terms, ttlS: 1 }, { nowMs: 0, entropy: drawn("long", 64) }),
  ];
  return tries.map((attempt) => {
    try {
      return attempt();
    } catch (error) {
      return error instanceof Error ? `${error.message} ${error.stack}` : error;
    }
  });
}

/** Logs, errors and copies hold no key and no text. [SEC-75] */
function judgeShown(nodes: readonly ChatNode[], shown: readonly unknown[], log: SecretLog): void {
  const byteText = (_: string, value: unknown) =>
    value instanceof Uint8Array ? hex(value) : typeof value === "bigint" ? `${value}` : value;
  const machines = nodes.flatMap(({ chats, own }) => [chats, own.signer]);
  const texts = [
    ...shown.map((one) => JSON.stringify(one, byteText)),
    ...machines.flatMap((one) => [
      JSON.stringify(one, byteText),
      JSON.stringify(structuredClone(one), byteText),
      JSON.stringify({ ...one }, byteText),
      String(one),
      inspect(one, { depth: 5 }).replaceAll(/\s+/g, ""),
    ]),
  ];
  const all = texts.join("\n").toLowerCase();
  assert(!all.includes(CANARY), "what was said is in no log [SEC-75]");
  const seeds = nodes.flatMap(({ own: { userId, deviceId } }) =>
    ["ed25519", "ml-dsa-65"].map((of) => hex(drawn(`${userId} ${deviceId} ${of}`, 12))),
  );
  for (const mark of [...log.marks, ...seeds]) {
    if (/^0*$/.test(mark)) continue;
    assert(!all.includes(mark), "no key is in a log [SEC-75]");
    const decimals = Array.from(Buffer.from(mark, "hex")).join();
    assert(!all.includes(decimals), "nor in any other form [SEC-75]");
  }
}

/** Faults of every kind, at every point of a chat. */
export const secureFaults = property<Faults>({
  name: "secure-faults",
  title:
    "[SEC-26] [SEC-33] [SEC-52] [SEC-75] whatever is wrong, the other side learns nothing, the " +
    "chat goes on, and logs, errors and copies hold no key and no text (P23, P35)",
  smokeRuns: 8,
  kinds: [...FAULTS, "none", "offer", "accept", "confirm", "message"],
  arbitrary: fc.record({
    steps: fc.nat(8),
    faults: fc.array(
      fc.record({ fault: fc.constantFrom(...FAULTS), at: fc.nat(), of: fc.nat(12) }),
      { minLength: 1, maxLength: 12 },
    ),
  }),
  start: (seen) => ({ check: (input) => misbehave(input, seen) }),
});
