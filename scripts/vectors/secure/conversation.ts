import type { About } from "../envelope/lies.ts";
import { drawn } from "../envelope/primitives.ts";
import { type SecureCase, type SecureFailure, secureCase } from "./cases.ts";
import { PARAMETERS, type VectorParameters } from "./handshake-builder.ts";
import { encapsulated, kemKey } from "./identity-builder.ts";
import { type ContentInit, contentOf, type MessageLies, sealMessage } from "./message-builder.ts";
import { chainStart, messageKeyAt, nextChain, nextEpoch } from "./schedule.ts";

// Both sides of a session at once. Whoever makes vectors knows all keys, so that there is nothing
// to be found or tried here: what a side does is told, and only its counters are kept.

export type Role = "initiator" | "responder";

export const START_MS = 1_767_225_603_000;

export const other = (role: Role): Role => (role === "initiator" ? "responder" : "initiator");
/** [SEC-55] */
const offersIn = (epoch: number): Role => (epoch % 2 === 1 ? "initiator" : "responder");

interface Carried {
  readonly kind: "ratchetKey" | "ciphertext";
  readonly bytes: Uint8Array;
  /** Messages since it was made. */
  count: number;
}

interface SideState {
  epoch: number;
  n: number;
  pn: number;
  /** Sealed and opened in this epoch. */
  count: number;
  sinceMs: number;
  /** Opened since anything was sealed. */
  unanswered: number;
  carried: Carried | undefined;
}

/** A message on its way. */
export interface Saying {
  readonly from: Role;
  readonly epoch: number;
  readonly n: number;
  readonly content: Uint8Array;
  readonly counts: boolean;
  readonly carried: Carried | undefined;
  readonly message: Uint8Array;
  readonly frankingKey: Uint8Array | undefined;
}

/** An answer to a ratchet key. */
export interface VectorAnswer {
  readonly randomness: Uint8Array;
  readonly ciphertext: Uint8Array;
  readonly secret: Uint8Array;
}

interface EpochMade {
  readonly root: Uint8Array;
  /** What its root came of; the first one's came of the handshake. */
  readonly seed?: Uint8Array;
  readonly ratchetKey?: Uint8Array;
  readonly answer?: VectorAnswer;
  readonly salt?: Uint8Array;
  readonly transcript?: Uint8Array;
}

export interface ConversationPlan {
  readonly name: string;
  readonly root?: Uint8Array;
  readonly sessionId?: Uint8Array;
  readonly parameters?: Partial<VectorParameters>;
  readonly startMs?: number;
}

export class Conversation {
  readonly name: string;
  readonly sessionId: Uint8Array;
  readonly parameters: VectorParameters;
  readonly startMs: number;
  /** By their numbers, from 1. */
  readonly epochs: (EpochMade | undefined)[] = [undefined];
  /** By the clock of both. */
  nowMs: number;
  readonly #sides: Readonly<Record<Role, SideState>>;
  readonly #steps: Readonly<Record<Role, object[]>> = { initiator: [], responder: [] };
  /** Of the key that ends an epoch, by the epoch. */
  readonly #seeds = new Map<number, Uint8Array>();

  constructor(plan: ConversationPlan) {
    this.name = plan.name;
    this.sessionId = plan.sessionId ?? drawn(`secure ${plan.name} session`, 16);
    this.parameters = { ...PARAMETERS, ...plan.parameters };
    this.startMs = plan.startMs ?? START_MS;
    this.nowMs = this.startMs;
    this.epochs.push({ root: plan.root ?? drawn(`secure ${plan.name} root`, 64) });
    const side = (): SideState => ({
      epoch: 1,
      n: 0,
      pn: 0,
      count: 0,
      sinceMs: this.startMs,
      unanswered: 0,
      carried: undefined,
    });
    this.#sides = { initiator: side(), responder: side() };
  }

  /** Time passes. */
  later(ms: number): this {
    this.nowMs += ms;
    return this;
  }

  epochOf(role: Role): number {
    return this.#sides[role].epoch;
  }

  /** @throws TypeError for an epoch that has not begun */
  rootOf(epoch: number): Uint8Array {
    const root = this.epochs[epoch]?.root;
    if (root === undefined) throw new TypeError(`epoch ${epoch} has not begun`);
    return root;
  }

  /** The keys at a place: of the chain and of the message. */
  keysAt(from: Role, epoch: number, n: number) {
    let chain = chainStart(this.rootOf(epoch), from === "initiator" ? "i2r" : "r2i", epoch);
    for (let at = 0; at < n; at += 1) chain = nextChain(chain, at);
    return { chain, messageKey: messageKeyAt(chain, n) };
  }

  /** A side seals a text. */
  says(from: Role, text: string, init: Partial<ContentInit> = {}): Saying {
    return this.seals(from, this.textContent(text, init));
  }

  textContent(text: string, init: Partial<ContentInit> = {}): Uint8Array {
    const kind = { case: "text", value: text } as const;
    return contentOf({ sentMs: BigInt(this.nowMs), kind, ...init });
  }

  /** A side seals a content, and takes its place in the chain. */
  seals(from: Role, content: Uint8Array, how: "seals" | "closes" | "replies" = "seals"): Saying {
    const seed = this.#due(from);
    const saying = this.#next(from, content, how !== "seals");
    const { frankingKey: franking_key, message } = saying;
    const step = { seed, franking_key, message };
    if (how === "seals") this.#steps[from].push({ at_ms: this.nowMs, seals: { content, ...step } });
    if (how === "closes") this.#steps[from].push({ at_ms: this.nowMs, closes: step });
    if (how === "replies") Object.assign(this.#steps[from].at(-1) as object, { replies: step });
    return saying;
  }

  closes(from: Role): Saying {
    return this.seals(from, this.#empty("close"), "closes");
  }

  #empty(kind: "close" | "nothing"): Uint8Array {
    return contentOf({ sentMs: BigInt(this.nowMs), kind: { case: kind, value: {} } });
  }

  /** Offers a key if that is due. @returns its seed [SEC-55] */
  #due(from: Role): Uint8Array | undefined {
    const side = this.#sides[from];
    const { rekey_messages, rekey_s } = this.parameters;
    const isOld = this.nowMs - side.sinceMs >= rekey_s * 1000;
    if (side.carried !== undefined || offersIn(side.epoch) !== from) return undefined;
    if (!isOld && side.count < rekey_messages) return undefined;
    const seed = drawn(`secure ${this.name} seed ${side.epoch}`, 32);
    this.#seeds.set(side.epoch, seed);
    side.carried = { kind: "ratchetKey", bytes: kemKey(seed).publicKey, count: 0 };
    return seed;
  }

  #next(from: Role, content: Uint8Array, isEmpty: boolean): Saying {
    const side = this.#sides[from];
    const { epoch, n } = side;
    const { carried } = side;
    const isCarried = carried !== undefined && (isEmpty || carries(carried.count));
    if (carried !== undefined) carried.count += 1;
    const saying = this.#saying(from, content, isCarried ? carried : undefined);
    side.n += 1;
    side.count += 1;
    side.unanswered = 0;
    return { ...saying, epoch, n, counts: !isEmpty };
  }

  #saying(from: Role, content: Uint8Array, carried: Carried | undefined, lies?: MessageLies) {
    const { epoch, n, pn } = this.#sides[from];
    const { franking } = this.parameters;
    const drawnFor = `secure ${this.name} franking ${from} ${epoch} ${n}`;
    const frankingKey = franking ? drawn(drawnFor, 32) : undefined;
    const step = carried && { [carried.kind]: carried.bytes };
    const said = { sessionId: this.sessionId, epoch, n, pn, ...step };
    const { messageKey } = this.keysAt(from, epoch, n);
    const { message } = sealMessage({ messageKey, said, content, frankingKey, lies });
    return { from, epoch, n, content, counts: true, carried, message, frankingKey };
  }

  /** What a side would say next, but lying; its place is not taken. */
  lies(from: Role, lies: MessageLies, content = this.textContent("a lie")): Uint8Array {
    const { carried } = this.#sides[from];
    const isCarried = carried !== undefined && carries(carried.count);
    return this.#saying(from, content, isCarried ? carried : undefined, lies).message;
  }

  /** The other side opens it. */
  hears({ from, epoch, n, content, counts, carried, message }: Saying): this {
    const role = other(from);
    const side = this.#sides[role];
    if (epoch === side.epoch + 1) this.#begins(role, epoch);
    if (epoch === side.epoch) {
      side.count += 1;
      if (side.carried?.kind === "ciphertext") side.carried = undefined;
    }
    const isNewKey = carried?.kind === "ratchetKey" && epoch === side.epoch;
    const answer = isNewKey ? this.#answers(role, carried.bytes) : undefined;
    const opens = { epoch, n, content };
    this.#steps[role].push({ at_ms: this.nowMs, message, opens, answer });
    if (!counts) return this;
    side.unanswered += 1;
    if (side.unanswered >= this.parameters.rekey_messages) {
      this.#lastReply = this.seals(role, this.#empty("nothing"), "replies");
    }
    return this;
  }

  #lastReply: Saying | undefined;

  /** What a side was made to say by [SEC-62]. */
  reply(): Saying {
    if (this.#lastReply === undefined) throw new TypeError("nobody had to reply");
    return this.#lastReply;
  }

  /** Says and hears, with no more ado. */
  passes(from: Role, text: string): this {
    return this.hears(this.says(from, text));
  }

  #begins(role: Role, epoch: number): void {
    const side = this.#sides[role];
    side.pn = side.n;
    side.n = 0;
    side.count = 0;
    side.epoch = epoch;
    side.sinceMs = this.nowMs;
    side.carried = undefined;
  }

  /** [SEC-57] */
  #answers(role: Role, ratchetKey: Uint8Array): VectorAnswer {
    const side = this.#sides[role];
    const epoch = side.epoch + 1;
    const randomness = drawn(`secure ${this.name} answer ${epoch}`, 64);
    const answer = { randomness, ...encapsulated(ratchetKey, randomness) };
    const seed = this.#seeds.get(epoch - 1);
    const { sessionId } = this;
    const root = this.rootOf(side.epoch);
    const made = nextEpoch({ root, sessionId, epoch, ratchetKey, ...answer });
    this.epochs[epoch] = { ...(seed && { seed }), ratchetKey, answer, ...made };
    this.#begins(role, epoch);
    side.carried = { kind: "ciphertext", bytes: answer.ciphertext, count: 0 };
    return answer;
  }

  /** A message that is refused and changes nothing, or one that ends the session. */
  refuses(role: Role, message: Uint8Array, fails: SecureFailure): this {
    this.#steps[role].push({ at_ms: this.nowMs, message, fails });
    return this;
  }

  /** One whose content is none: refused, and its place is taken. [SEC-68] */
  wastes(role: Role, message: Uint8Array): this {
    this.#sides[other(role)].n += 1;
    this.#sides[role].count += 1;
    return this.refuses(role, message, "SECURE_MALFORMED");
  }

  /** All that one side has gone through. */
  of(role: Role, about: About, failure?: SecureFailure): SecureCase {
    const steps = this.#steps[role].map((step, index, { length }) => {
      if (failure === undefined || index + 1 < length) return step;
      // Here it is the case that says so.
      return { ...step, fails: undefined };
    });
    const members = {
      role,
      session_id: this.sessionId,
      root: this.rootOf(1),
      parameters: this.parameters,
      established_ms: this.startMs,
      steps,
    };
    return secureCase(about, "session", members, failure);
  }
}

/** [SEC-56] */
function carries(count: number): boolean {
  return count < 3 || count % 8 === 2;
}
