import fc from "fast-check";
import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import { NATIVE_CRYPTO } from "../../platform/native-crypto.ts";
import type { SecureContentPlain } from "../../protocol/secure/established.ts";
import { parseMessage } from "../../protocol/secure/message.ts";
import { SecureSession } from "../../protocol/secure/session.ts";
import { assert } from "../../protocol/violation.ts";
import { drawn } from "../envelope/drawn.ts";
import { hex } from "../envelope/watched-crypto.ts";
import { property, type Seen } from "../property.ts";
import { flipped } from "../secure/meeting.ts";
import { SecretLog } from "../secure/secret-log.ts";
import { otherSide, SessionPair, type Side } from "../secure/sessions.ts";
import { stolenFrom } from "../secure/stored.ts";
import { withToyKem } from "../secure/toy-kem.ts";

const SIDES: readonly Side[] = ["initiator", "responder"];

type Step =
  | { readonly act: "send"; readonly side: Side; readonly size: number }
  | { readonly act: "deliver" | "repeat" | "lose"; readonly side: Side; readonly index: number }
  | { readonly act: "bend"; readonly side: Side; readonly index: number; readonly bend: Bend }
  | { readonly act: "store"; readonly side: Side }
  | { readonly act: "wait"; readonly seconds: number };

/** What is done to a copy of a message. */
interface Bend {
  readonly how: "flip" | "header" | "cut" | "longer" | "tag" | "reflect";
  readonly at: number;
}

interface Traffic {
  readonly steps: readonly Step[];
  readonly rekeyMessages: number;
  readonly franking: boolean;
}

interface Sent {
  readonly message: Uint8Array;
  readonly said: string;
  readonly epoch: number;
  opened: boolean;
  /** It never comes again. */
  lost: boolean;
}

/** Two sides of a session, and a network between them. */
class Wire {
  readonly log = new SecretLog(withToyKem(NATIVE_CRYPTO));
  readonly pair: SessionPair;
  /** By receiver: all that was sent. */
  readonly sent: Record<Side, Sent[]> = { initiator: [], responder: [] };
  /** By receiver: what is under way. */
  readonly queued: Record<Side, Sent[]> = { initiator: [], responder: [] };
  readonly #seen: Seen;
  #count = 0;

  constructor({ rekeyMessages, franking }: Traffic, seen: Seen) {
    this.#seen = seen;
    const options = { rekeyMessages, franking, lifetimeS: 604_800 };
    this.pair = new SessionPair(this.log.provider, options);
  }

  run(step: Step): void {
    if (step.act === "send") return this.#send(step);
    if (step.act === "wait") {
      this.pair.nowMs += step.seconds * 1000;
      for (const side of SIDES) this.pair.sides[side].elapsed(this.pair.at());
      return;
    }
    if (step.act === "store") return this.#store(step.side);
    const queue = this.queued[step.side];
    const at = step.index % Math.max(1, queue.length);
    const one = queue[at];
    if (one === undefined) return;
    if (step.act === "bend") return this.#bend(step.side, one, step.bend);
    if (step.act !== "repeat") queue.splice(at, 1);
    if (step.act === "lose") one.lost = true;
    else this.deliver(step.side, one);
    this.#seen(step.act);
  }

  #send({ side, size }: { readonly side: Side; readonly size: number }): void {
    this.#count += 1;
    const bytes = drawn(`body ${this.#count}`, Math.max(1, size));
    const value = hex(bytes).slice(0, Math.max(1, size));
    const kind =
      size % 2 === 0
        ? ({ case: "text", value } as const)
        : ({ case: "custom", value: bytes } as const);
    const content = { sentMs: this.pair.nowMs + this.#count, lifetimeS: size, kind };
    const sealed = this.pair.sides[side].send(content, this.pair.at());
    const isTooLong = size > 65_536 - 64;
    if (sealed.kind === "refused") {
      assert(isTooLong && sealed.code === ErrorCode.MESSAGE_TOO_LARGE, `not sent: ${sealed.code}`);
      this.#seen("too long");
      return;
    }
    this.#put(otherSide(side), sealed.message, saidBy(content));
    if (size > 10_000) this.#seen("large");
  }

  #put(to: Side, message: Uint8Array, said: string): void {
    const parsed = parseMessage(message);
    assert(parsed !== undefined, "what is sent has the form of a message [SEC-44]");
    const { epoch, step } = parsed.header;
    const one = { message: Uint8Array.from(message), said, epoch, opened: false, lost: false };
    this.sent[to].push(one);
    this.queued[to].push(one);
    if (step !== undefined) this.#seen(step.kind);
  }

  /** @returns whether it was opened */
  deliver(to: Side, one: Sent): boolean {
    const received = this.pair.receive(to, one.message);
    if (received.kind === "refused") {
      const isLate = received.code === ErrorCode.SECURE_OUT_OF_WINDOW;
      const isAgain = received.code === ErrorCode.SECURE_REPLAYED;
      assert(isLate || isAgain, `an honest message is refused with ${received.code}`);
      assert(isAgain || !one.opened || isLate, "what was opened is over");
      return false;
    }
    assert(!one.opened, "no message is opened twice [SEC-54]");
    one.opened = true;
    assert(saidBy(received.content) === one.said, "what comes is what was sent");
    if (received.reply !== undefined) this.#put(otherSide(to), received.reply, NOTHING);
    return true;
  }

  /** Whatever is changed, nothing happens: no state, no cipher under a wrong TAG. */
  #bend(to: Side, { message }: Sent, bend: Bend): void {
    const session = this.pair.sides[to];
    const bent = this.#bent(to, message, bend);
    if (bent === undefined) return;
    const before = session.snapshot();
    const opens = this.log.opens;
    const received = session.receive(bent, this.pair.at());
    assert(received.kind === "refused", `${bend.how}: a changed message is refused [SEC-45]`);
    assert(session.open, `${bend.how}: and the session lives [SEC-52]`);
    assert(
      this.log.opens === opens,
      `${bend.how}: the cipher is not asked before the TAG [SEC-51]`,
    );
    const after = session.snapshot();
    assert(hex(before as Uint8Array) === hex(after as Uint8Array), "nothing has changed [SEC-52]");
    this.#seen(bend.how);
  }

  #bent(to: Side, message: Uint8Array, { how, at }: Bend): Uint8Array | undefined {
    switch (how) {
      case "flip":
        return flipped(message, at);
      case "header":
        // Behind two bytes of its length: version, type, flags, session, epoch, n, pn.
        return flipped(message, 16 + (at % (32 * 8)));
      case "tag":
        return flipped(message, (message.length - 32) * 8 + (at % 256));
      case "cut":
        return message.subarray(0, at % message.length);
      case "longer":
        return Buffer.concat([message, drawn("more", 1 + (at % 40))]);
      case "reflect":
        return this.sent[otherSide(to)].at(at % Math.max(1, this.sent[otherSide(to)].length))
          ?.message;
    }
  }

  #store(side: Side): void {
    const state = this.pair.sides[side].snapshot() as Uint8Array;
    const restored = SecureSession.restore(this.log.provider, state);
    assert(restored !== undefined, "what was stored is restored [SEC-70]");
    assert(hex(restored.snapshot() as Uint8Array) === hex(state), "as it was [SEC-70]");
    this.pair.sides[side] = restored;
    this.#seen("store");
  }

  /** Everything that is not lost comes, in order, until nothing more is opened. */
  settle(): void {
    for (const side of SIDES) this.queued[side] = [];
    for (let isMoving = true; isMoving; ) {
      isMoving = false;
      for (const to of SIDES) {
        for (const one of [...this.sent[to]]) {
          if (one.lost || one.opened) continue;
          if (this.deliver(to, one)) isMoving = true;
        }
      }
    }
    for (const to of SIDES) this.#judgeLeft(to);
  }

  /** What was not opened was two epochs too late, or its epoch's beginning was lost. [SEC-61] */
  #judgeLeft(to: Side): void {
    const { epoch: present } = this.pair.sides[to];
    for (const { epoch, opened, lost } of this.sent[to]) {
      const isOver = epoch < present - 2;
      const isAhead = epoch > present && this.sent[to].some((one) => one.lost);
      assert(opened || lost || isOver || isAhead, `a message of epoch ${epoch} is not opened`);
    }
    const isSame = this.pair.sides.initiator.epoch === this.pair.sides.responder.epoch;
    const isLossless = SIDES.every((side) => this.sent[side].every((one) => !one.lost));
    assert(isSame || !isLossless || this.#isAnswerDue(), "epochs meet [SEC-58]");
  }

  /** A side has gone on and has not said anything since: the other one cannot know. */
  #isAnswerDue(): boolean {
    const { initiator, responder } = this.pair.sides;
    const ahead = initiator.epoch > responder.epoch ? "initiator" : "responder";
    const { epoch } = this.pair.sides[ahead];
    return !this.sent[otherSide(ahead)].some((one) => one.epoch === epoch);
  }
}

const NOTHING = "nothing";

function saidBy({ sentMs, lifetimeS, kind }: SecureContentPlain): string {
  if (kind.case === "nothing") return NOTHING;
  const value = typeof kind.value === "string" ? kind.value : hex(kind.value as Uint8Array);
  return `${sentMs} ${lifetimeS} ${kind.case} ${value}`;
}

const side = fc.constantFrom<Side>("initiator", "responder");
const size = fc.oneof(
  { weight: 20, arbitrary: fc.nat(140) },
  { weight: 2, arbitrary: fc.nat(5_000) },
  { weight: 1, arbitrary: fc.integer({ min: 30_000, max: 65_700 }) },
);
const bend = fc.record({
  how: fc.constantFrom<Bend["how"][]>("flip", "header", "cut", "longer", "tag", "reflect"),
  at: fc.nat(),
});
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 8, arbitrary: fc.record({ act: fc.constant("send" as const), side, size }) },
  {
    weight: 9,
    arbitrary: fc.record({ act: fc.constant("deliver" as const), side, index: fc.nat(7) }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      act: fc.constantFrom("repeat" as const, "repeat" as const, "lose" as const),
      side,
      index: fc.nat(7),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ act: fc.constant("bend" as const), side, index: fc.nat(7), bend }),
  },
  { weight: 1, arbitrary: fc.record({ act: fc.constant("store" as const), side }) },
  {
    weight: 1,
    arbitrary: fc.record({ act: fc.constant("wait" as const), seconds: fc.nat(20) }),
  },
);

/** Any network between two sides, who send, store and wait as they like. */
export const secureMessages = property<Traffic>({
  name: "secure-messages",
  title:
    "[SEC-42] [SEC-44] [SEC-45] [SEC-51] [SEC-52] [SEC-54] [SEC-58] [SEC-61] [SEC-70] " +
    "any network: each message at most once and as sent, all that is in time, no key twice, no " +
    "change by what is bent, no cipher before the TAG, and epochs meet (P2, P22, P23)",
  smokeRuns: 40,
  turns: 2,
  kinds: [
    ...["deliver", "repeat", "lose", "store", "large", "too long", "key", "ciphertext"],
    ...["flip", "header", "cut", "longer", "tag", "reflect"],
  ],
  arbitrary: fc.record({
    steps: fc.array(step, { minLength: 1, maxLength: 90, size: "max" }),
    rekeyMessages: fc.integer({ min: 1, max: 8 }),
    franking: fc.boolean(),
  }),
  start: (seen) => ({
    check: (traffic) => {
      const wire = new Wire(traffic, seen);
      for (const one of traffic.steps) wire.run(one);
      wire.settle();
    },
  }),
});

interface Jumps {
  /** How many messages are lost before one comes. */
  readonly lost: readonly number[];
  /** Numbers that are claimed, with nothing behind them. */
  readonly forged: readonly number[];
}

const JUMP_MAX = 256;
const KEPT_MAX = 512;
const DAY_MS = 24 * 3600 * 1000;

function jump({ lost, forged }: Jumps, seen: Seen): void {
  const log = new SecretLog(withToyKem(NATIVE_CRYPTO));
  const pair = new SessionPair(log.provider, { rekeyMessages: 128, lifetimeS: 604_800 });
  const { responder } = pair.sides;
  let next = 0;
  let sent = 0;
  const skipped: Uint8Array[] = [];
  for (const count of lost) {
    for (let index = 0; index < count; index += 1) skipped.push(pair.send("initiator", "lost"));
    const message = pair.send("initiator", "comes");
    sent += count + 1;
    const derived = log.derivations;
    const isNear = sent - 1 - next <= JUMP_MAX;
    const isOpened = pair.receive("responder", message).kind === "opened";
    assert(isOpened === isNear, `${sent - 1 - next} were lost: ${isOpened} [SEC-53]`);
    // For each that is skipped: the chain goes on, its key is kept. Then one message.
    const most = isNear ? 2 * (sent - next) + 40 : 0;
    assert(log.derivations - derived <= most, `${log.derivations - derived} derivations [SEC-53]`);
    if (isNear) next = sent;
    seen(isNear ? "near" : "far");
    const stolen = stolenFrom(responder.snapshot() as Uint8Array);
    assert(stolen !== undefined && stolen.skipped.length <= KEPT_MAX, "few are kept [SEC-53]");
    if (stolen.skipped.length === KEPT_MAX) seen("full");
  }
  const like = pair.send("initiator", "like this");
  for (const n of forged) {
    const message = Uint8Array.from(like);
    new DataView(message.buffer).setUint32(2 + 24, n);
    const derived = log.derivations;
    assert(pair.receive("responder", message).kind === "refused" || n === sent, "forged");
    assert(log.derivations - derived <= JUMP_MAX + 6, "a claim costs 256 steps [SEC-53]");
    assert(responder.open, "and no session [SEC-53]");
  }
  judgeOld(pair, skipped);
}

/** A day later nothing of what was lost opens any more. */
function judgeOld(pair: SessionPair, skipped: readonly Uint8Array[]): void {
  const { responder } = pair.sides;
  if (pair.receive("responder", pair.send("initiator", "near")).kind === "refused") return;
  pair.nowMs += DAY_MS - 1;
  pair.receive("responder", pair.send("initiator", "alive"));
  pair.nowMs += 1;
  assert(responder.deadlineMs() <= pair.nowMs || skipped.length === 0, "there is to be erased");
  pair.sides.responder.elapsed(pair.at());
  const stolen = stolenFrom(responder.snapshot() as Uint8Array);
  assert(stolen?.skipped.length === 0, "keys are kept for a day [SEC-53]");
  for (const old of skipped.slice(-3)) {
    assert(pair.receive("responder", old).kind === "refused", "what is a day late is over");
  }
}

/** Losses and lies up to the highest number. */
export const secureWindow = property<Jumps>({
  name: "secure-window",
  title:
    "[SEC-43] [SEC-53] a message beyond the window is lost and not the session, in bounded " +
    "memory and time (P8)",
  smokeRuns: 6,
  kinds: ["near", "far", "full"],
  arbitrary: fc.record({
    lost: fc.array(fc.oneof(fc.nat(20), fc.integer({ min: 180, max: 260 })), {
      minLength: 1,
      maxLength: 5,
    }),
    forged: fc.array(
      fc.oneof(
        fc.nat(600),
        fc.constantFrom(2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1, 2 ** 32 - 2),
        fc.integer({ min: 0, max: 2 ** 32 - 1 }),
      ),
      { maxLength: 4 },
    ),
  }),
  start: (seen) => ({ check: (input) => jump(input, seen) }),
});
