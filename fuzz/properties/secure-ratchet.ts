import fc from "fast-check";
import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import { NATIVE_CRYPTO } from "../../platform/native-crypto.ts";
import {
  encodeHeader,
  encodeMessage,
  type MessageHeader,
  parseMessage,
  taggedText,
} from "../../protocol/secure/message.ts";
import { offersIn } from "../../protocol/secure/ratchet.ts";
import { messageKey, messageKeys } from "../../protocol/secure/schedule.ts";
import type { SecureSession } from "../../protocol/secure/session.ts";
import { assert } from "../../protocol/violation.ts";
import { drawn } from "../envelope/drawn.ts";
import { hex } from "../envelope/watched-crypto.ts";
import { property, type Seen } from "../property.ts";
import { textInner } from "../secure/liar.ts";
import { epochRoot, u32, xl } from "../secure/reference.ts";
import { establishedFor, otherSide, SessionPair, type Side } from "../secure/sessions.ts";
import { type StolenState, stolenFrom } from "../secure/stored.ts";
import { withToyKem } from "../secure/toy-kem.ts";

const CRYPTO = withToyKem(NATIVE_CRYPTO);
const SIDES: readonly Side[] = ["initiator", "responder"];
const side = fc.constantFrom<Side>("initiator", "responder");

function stateOf(session: SecureSession): StolenState {
  const state = session.snapshot();
  const read = state === undefined ? undefined : stolenFrom(state);
  assert(read !== undefined, "an open session has a state");
  return read;
}

/** Two sides, and what is under way to each. */
class Talk {
  readonly pair: SessionPair;
  readonly queues: Record<Side, Uint8Array[]> = { initiator: [], responder: [] };
  /** By epoch: the key that was offered in it, and the ciphertext that began it. */
  readonly keys = new Map<number, Uint8Array>();
  readonly ciphertexts = new Map<number, Uint8Array>();
  readonly #waiting: Record<Side, Uint8Array[]> = { initiator: [], responder: [] };

  constructor(rekeyMessages: number) {
    this.pair = new SessionPair(CRYPTO, { rekeyMessages });
  }

  send(from: Side): void {
    this.#put(otherSide(from), this.pair.send(from, from));
  }

  #put(to: Side, message: Uint8Array): void {
    const header = parseMessage(message)?.header;
    if (header?.step?.kind === "key") this.keys.set(header.epoch, header.step.bytes);
    if (header?.step?.kind === "ciphertext") this.ciphertexts.set(header.epoch, header.step.bytes);
    this.queues[to].push(message);
  }

  /** One of those under way; what is too early comes again after the next one that was not. */
  deliver(to: Side, index: number): void {
    const queue = this.queues[to];
    const [message] = queue.splice(index % Math.max(1, queue.length), 1);
    if (message === undefined) return;
    const received = this.pair.receive(to, message);
    if (received.kind === "opened") {
      if (received.reply !== undefined) this.#put(otherSide(to), received.reply);
      queue.push(...this.#waiting[to].splice(0));
    } else {
      assert(this.pair.sides[to].open, "no honest message ends a session");
      this.#waiting[to].push(message);
    }
  }

  deliverAll(): void {
    while (SIDES.some((to) => this.queues[to].length > 0)) {
      for (const to of SIDES) this.deliver(to, 0);
    }
  }
}

/** Where the next root comes from, out of the first root and what was on the wire. [SEC-57] */
function saltOf({ keys, ciphertexts }: Talk, last: number): Uint8Array {
  const { sessionId, root } = establishedFor("initiator", {});
  let salt = xl(root, "derived", u32(2));
  for (let epoch = 2; epoch <= last; epoch += 1) {
    const key = keys.get(epoch - 1);
    const ciphertext = ciphertexts.get(epoch);
    assert(key !== undefined && ciphertext !== undefined, "each epoch began with both");
    const secret = CRYPTO.xwingDecapsulate(ciphertext, key) as Uint8Array;
    const next = epochRoot(salt, secret, [sessionId, epoch, key, ciphertext]);
    salt = xl(next, "derived", u32(epoch + 1));
  }
  return salt;
}

interface Interleaving {
  readonly moves: readonly { readonly side: Side; readonly index: number | null }[];
  readonly rekeyMessages: number;
}

function converge({ moves, rekeyMessages }: Interleaving, seen: Seen): void {
  const talk = new Talk(rekeyMessages);
  for (const { side: who, index } of moves) {
    if (index === null) talk.send(who);
    else talk.deliver(who, index);
  }
  talk.deliverAll();
  const states = () => SIDES.map((who) => stateOf(talk.pair.sides[who]));
  // Each says something: whoever has gone on says so.
  for (let round = 0; round < 3 && states()[0]?.epoch !== states()[1]?.epoch; round += 1) {
    for (const who of SIDES) {
      talk.send(who);
      talk.deliverAll();
    }
  }
  const [one, other] = states() as [StolenState, StolenState];
  assert(one.epoch === other.epoch, `epochs ${one.epoch} and ${other.epoch} [SEC-58]`);
  assert(hex(one.salt) === hex(other.salt), "one root [SEC-57]");
  assert(hex(one.salt) === hex(saltOf(talk, one.epoch)), "the root is the chapter's [SEC-57]");
  for (const [sender, receiver] of [
    [one, other],
    [other, one],
  ] as const) {
    const key = hex((sender.chains[0] as { key: Uint8Array }).key);
    assert(
      receiver.chains.slice(1).some((chain) => hex(chain.key) === key),
      "one chain [SEC-40]",
    );
  }
  seen(one.epoch === 1 ? "first epoch" : one.epoch < 4 ? "some epochs" : "many epochs");
}

/** Both send when they like, and everything comes some time. */
export const secureConverge = property<Interleaving>({
  name: "secure-converge",
  title: "[SEC-40] [SEC-55] [SEC-57] [SEC-58] whatever overtakes what, both sides end in one epoch",
  smokeRuns: 30,
  kinds: ["first epoch", "some epochs", "many epochs"],
  arbitrary: fc.record({
    moves: fc.array(fc.record({ side, index: fc.option(fc.nat(6), { nil: null, freq: 1 }) }), {
      maxLength: 90,
      size: "max",
    }),
    rekeyMessages: fc.integer({ min: 1, max: 6 }),
  }),
  start: (seen) => ({ check: (input) => converge(input, seen) }),
});

type Lie = "nothing" | "key" | "ciphertext" | "pn";

interface Insider {
  readonly senders: readonly Side[];
  readonly rekeyMessages: number;
  readonly liar: Side;
  readonly lie: Lie;
}

/** The next message of a side, sealed by who has its state: with the header that it wants. */
function forged(state: StolenState, lie: Partial<MessageHeader>): Uint8Array {
  const { sessionId, epoch, pn, chains } = state;
  const [{ key: chain, next: n }] = chains as [StolenState["chains"][0]];
  const header = { sessionId, epoch, n, pn, step: undefined, commitment: undefined, ...lie };
  const headerBytes = encodeHeader(header);
  const { key, nonce, tagKey } = messageKeys(CRYPTO, messageKey(CRYPTO, chain, n));
  const text = textInner("lie");
  const ciphertext = new Uint8Array(text.length + 16);
  CRYPTO.aead("aes-256-gcm", key).seal({ nonce, header: headerBytes, text }, ciphertext);
  const tag = CRYPTO.hmacSha512(tagKey, taggedText(headerBytes, ciphertext)).subarray(0, 32);
  return encodeMessage({ headerBytes, ciphertext, tag });
}

function lieOf(lie: Lie, pn: number): Partial<MessageHeader> {
  switch (lie) {
    case "nothing":
      return {};
    case "key":
      return { step: { kind: "key", bytes: drawn("another key", 1216) } };
    case "ciphertext":
      return { step: { kind: "ciphertext", bytes: drawn("another ciphertext", 1120) } };
    case "pn":
      return { pn: pn + 1 };
  }
}

function insider({ senders, rekeyMessages, liar, lie }: Insider, seen: Seen): void {
  const talk = new Talk(rekeyMessages);
  for (const who of senders) {
    talk.send(who);
    talk.deliverAll();
  }
  const to = otherSide(liar);
  const receiver = talk.pair.sides[to];
  const state = stateOf(talk.pair.sides[liar]);
  const hasSpoken = (state.chains[0] as { next: number }).next > 0;
  const message = forged(state, lieOf(lie, state.pn));
  const { epoch: present } = receiver;
  const received = talk.pair.receive(to, message);
  const code = received.kind === "opened" ? ErrorCode.UNSPECIFIED : received.code;
  const expected = expectedOf({ lie, liar, state, present, hasSpoken });
  const isRight = expected.includes(code);
  assert(isRight, `${lie} in epoch ${state.epoch} of ${present}: ${code} [SEC-59]`);
  const isBroken = code === ErrorCode.SECURE_RATCHET_BROKEN;
  assert(receiver.open === !isBroken, "a contradiction ends the session, nothing else [SEC-59]");
  assert((receiver.snapshot() === undefined) === isBroken, "and nothing of it is left [SEC-65]");
  const isTaken = code === ErrorCode.UNSPECIFIED;
  seen(`${lie} ${isBroken ? "broken" : isTaken ? "taken" : "refused"}`);
}

interface Told {
  readonly lie: Lie;
  readonly liar: Side;
  readonly state: StolenState;
  /** The receiver's epoch. */
  readonly present: number;
  readonly hasSpoken: boolean;
}

function expectedOf({ lie, liar, state, present, hasSpoken }: Told): readonly ErrorCode[] {
  const { epoch } = state;
  const taken = ErrorCode.UNSPECIFIED;
  const broken = ErrorCode.SECURE_RATCHET_BROKEN;
  if (lie === "pn" && epoch === 1) return [ErrorCode.SECURE_MALFORMED];
  if (present < epoch) {
    // Without the right answer to its key the receiver finds nothing of the next epoch.
    if (lie === "ciphertext") return [ErrorCode.SECURE_TAG_INVALID];
    return [ErrorCode.SECURE_OUT_OF_WINDOW, ErrorCode.SECURE_TAG_INVALID];
  }
  if (lie === "nothing") return [taken];
  if (lie === "pn") return hasSpoken ? [broken] : [taken, broken];
  if (lie === "ciphertext") return [broken];
  const isFirst = offersIn(liar, epoch) && present === epoch;
  return isFirst ? [taken] : [broken];
}

/** A side that has the right keys, and contradicts itself. */
export const secureTurns = property<Insider>({
  name: "secure-turns",
  title:
    "[SEC-55] [SEC-57] [SEC-59] [SEC-60] [SEC-65] a key out of turn, a second key or ciphertext, " +
    "another length: each ends the session, with nothing left",
  smokeRuns: 40,
  kinds: [
    ...["nothing taken", "key taken", "key broken", "ciphertext broken", "pn broken"],
    ...["pn refused", "ciphertext refused"],
  ],
  arbitrary: fc.record({
    senders: fc.array(side, { maxLength: 20, size: "max" }),
    rekeyMessages: fc.integer({ min: 1, max: 5 }),
    liar: side,
    lie: fc.constantFrom<Lie[]>("nothing", "key", "ciphertext", "pn"),
  }),
  start: (seen) => ({ check: (input) => insider(input, seen) }),
});

interface Flow {
  readonly senders: readonly Side[];
  readonly rekeyMessages: number;
}

function progress({ senders, rekeyMessages }: Flow, seen: Seen): void {
  const talk = new Talk(rekeyMessages);
  let [since, apart, newest] = [0, 0, 1];
  for (const who of senders) {
    talk.send(who);
    talk.deliverAll();
    const epochs = SIDES.map((side) => talk.pair.sides[side].epoch);
    const [older, newer] = [Math.min(...epochs), Math.max(...epochs)];
    since = newer === newest ? since + 1 : 0;
    apart = newer === older ? 0 : apart + 1;
    newest = newer;
    // Whoever only listens answers by itself, after as many messages: nobody holds the keys still.
    // At most so many until the other side knows of the epoch, in it, and since it last spoke.
    assert(since <= 3 * rekeyMessages + 4, `${since} messages in one epoch [SEC-55] [SEC-62]`);
    assert(newer - older <= 1, "one epoch apart at most [SEC-58]");
    assert(apart <= rekeyMessages + 1, `${apart} messages without the answer [SEC-62]`);
  }
  seen(newest > 1 ? "went on" : "stayed");
}

/** Traffic of any shape, without loss: the keys go on. */
export const secureProgress = property<Flow>({
  name: "secure-progress",
  title: "[SEC-55] [SEC-58] [SEC-62] an epoch lasts no longer than agreed, whoever speaks",
  smokeRuns: 20,
  kinds: ["went on", "stayed"],
  arbitrary: fc.record({
    senders: fc
      .array(fc.tuple(side, fc.integer({ min: 1, max: 30 })), { minLength: 1, maxLength: 8 })
      .map((parts) => parts.flatMap(([who, count]) => Array.from({ length: count }, () => who))),
    rekeyMessages: fc.integer({ min: 1, max: 12 }),
  }),
  start: (seen) => ({ check: (input) => progress(input, seen) }),
});
