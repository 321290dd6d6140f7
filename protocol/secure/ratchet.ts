import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import { copyOf, equalBytes } from "../envelope/octets.ts";
import type { CryptoProvider } from "../envelope/provider.ts";
import { assert, type Violation, violation } from "../violation.ts";
import { eraseReach, JUMP_MAX, type Reach, ReceivingChain, SendingChain } from "./chain.ts";
import { type EpochSecrets, epochSecrets, eraseEpochSecrets, nextEpochSecrets } from "./epoch.ts";
import type { EstablishedSecure } from "./established.ts";
import { COUNTER_MAX, type MessageHeader } from "./message.ts";
import { type ChainDirection, SECRET_BYTES } from "./schedule.ts";
import { SkippedKeys } from "./skipped-keys.ts";
import { StepCarrier } from "./step-carrier.ts";
import type { StateReader, StateWriter } from "./stored-state.ts";

/** How many epochs such a chain outlives. [SEC-61] */
const OLD_CHAIN_EPOCHS = 2;
const RATCHET_SEED_BYTES = 32;

type SessionRole = EstablishedSecure["role"];

/** What never changes in a session. */
export interface RatchetPlan {
  readonly sessionId: Uint8Array;
  readonly role: SessionRole;
  readonly rekeyMessages: number;
  readonly rekeyS: number;
}

/** The place of our next message, and its key, which is the caller's to erase. */
export interface Place {
  readonly header: Omit<MessageHeader, "commitment">;
  readonly messageKey: Uint8Array;
}

/** Where a message would be, and its key on a copy. Nothing has changed yet. [SEC-51] */
export interface Candidate {
  readonly header: MessageHeader;
  readonly messageKey: Uint8Array;
  /** Undefined for a message that was overtaken. */
  readonly way: Reach | undefined;
  /** The chain that it is in; undefined when that is gone. */
  readonly chain: ReceivingChain | undefined;
  /** Set when the message begins an epoch here; `chain` has its part of them. */
  readonly begins: EpochSecrets | undefined;
}

interface RatchetState {
  readonly sending: SendingChain;
  /** By their epochs; the last one is of the present epoch. */
  readonly receiving: ReceivingChain[];
  readonly salt: Uint8Array;
  readonly startedMs: number;
  /** Messages of this epoch, both ways. */
  readonly count: number;
}

/**
 * The epochs of a session: two chains each, and the way to the next one by an X-Wing key that one
 * side sends and the other one answers, in turn. [SEC-55]
 *
 * Source: the chains of the Double Ratchet §2 and 3, the turns of SPQR and PQ3.
 */
export class Ratchet {
  readonly #crypto: CryptoProvider;
  readonly #plan: RatchetPlan;
  readonly #skipped = new SkippedKeys();
  #sending: SendingChain;
  #receiving: ReceivingChain[];
  readonly #salt: Uint8Array;
  #startedMs: number;
  #count: number;
  /** Of the key that we have offered in this epoch. */
  #seed: Uint8Array | undefined;
  /** What goes with our messages until the other side shows that it has it. */
  #carrier: StepCarrier | undefined;

  private constructor(crypto: CryptoProvider, plan: RatchetPlan, state: RatchetState) {
    this.#crypto = crypto;
    this.#plan = plan;
    this.#sending = state.sending;
    this.#receiving = state.receiving;
    this.#salt = state.salt;
    this.#startedMs = state.startedMs;
    this.#count = state.count;
  }

  /** The first epoch. @param root erased here */
  static begin(
    crypto: CryptoProvider,
    plan: RatchetPlan,
    { root, nowMs }: { readonly root: Uint8Array; readonly nowMs: number },
  ): Ratchet {
    const { epoch, chains, salt } = epochSecrets(crypto, root, 1);
    const [own, theirs] = directionsOf(plan.role);
    const sending = new SendingChain({ epoch, pn: 0, key: chains[own] });
    const receiving = [new ReceivingChain(epoch, chains[theirs])];
    return new Ratchet(crypto, plan, { sending, receiving, salt, startedMs: nowMs, count: 0 });
  }

  get epoch(): number {
    return this.#sending.epoch;
  }

  get skippedCount(): number {
    return this.#skipped.count;
  }

  /**
   * Takes the place of our next message.
   *
   * @param seed fresh, 32 bytes: of the key that is offered if that is due
   * @param carriesStep whether the message carries a step that is under way in any case [SEC-56]
   */
  next(at: { nowMs: number; seed: Uint8Array; carriesStep: boolean }): Place {
    if (this.#isDue(at.nowMs)) this.#offer(at.seed);
    const step = this.#carrier?.next(at.carriesStep);
    const { epoch, n, pn } = this.#sending;
    const messageKey = this.#sending.take(this.#crypto);
    this.#count += 1;
    return { header: { sessionId: this.#plan.sessionId, epoch, n, pn, step }, messageKey };
  }

  /** Finds the key of a message, or says why there is none. Changes nothing. [SEC-51] */
  locate(header: MessageHeader, nowMs: number): Candidate | Violation {
    const { epoch, n } = header;
    if (epoch === this.epoch + 1) return this.#locateNextEpoch(header);
    if (epoch > this.epoch) return outOfWindow(`epoch ${epoch} has not begun`);
    const chain = this.#chainOf(epoch);
    const kept = this.#skipped.find(epoch, n, nowMs);
    if (kept !== undefined) {
      const messageKey = copyOf(kept);
      return { header, messageKey, way: undefined, chain, begins: undefined };
    }
    if (chain !== undefined && n < chain.next) {
      // Opened before, or its key is not kept any more: both are over. [SEC-54]
      const detail = `message ${n} of epoch ${epoch} was here before`;
      return violation(ErrorCode.SECURE_REPLAYED, "SEC-54", detail);
    }
    if (!chain?.isWithin(n, nowMs)) return outOfWindow(`message ${n} of epoch ${epoch}`);
    const way = chain.reach(this.#crypto, n);
    return { header, messageKey: way.messageKey, way, chain, begins: undefined };
  }

  /** The message was not what it claimed to be. [SEC-52] */
  discard({ messageKey, way, begins }: Candidate): void {
    messageKey.fill(0);
    if (way !== undefined) eraseReach(way);
    if (begins !== undefined) eraseEpochSecrets(begins);
  }

  /**
   * The message was right: its key is used up, and what its header says happens. After a violation
   * the session is over. [SEC-51] [SEC-59]
   *
   * @param randomness fresh, 64 bytes: of the answer if a key is offered
   */
  commit(
    candidate: Candidate,
    at: { readonly nowMs: number; readonly randomness: Uint8Array },
  ): Violation | undefined {
    const contradiction = this.#contradiction(candidate);
    if (contradiction !== undefined) {
      this.discard(candidate);
      return contradiction;
    }
    const { header, way, begins, chain } = candidate;
    if (begins !== undefined) this.#begin(begins, chain, at.nowMs);
    if (way === undefined) this.#skipped.used(header.epoch, header.n);
    else {
      const keep = (n: number, key: Uint8Array) =>
        this.#skipped.keep(header.epoch, n, key, at.nowMs);
      chain?.commit(this.#crypto, way, keep);
    }
    candidate.messageKey.fill(0);
    this.#heard(candidate, at.nowMs);
    return this.#takeStep(candidate, at);
  }

  /** When something is to be erased. */
  get deadlineMs(): number {
    const chains = this.#receiving.map(({ deadlineMs }) => deadlineMs);
    return Math.min(this.#skipped.deadlineMs, ...chains);
  }

  elapsed(nowMs: number): void {
    this.#skipped.elapsed(nowMs);
    for (const chain of this.#receiving) {
      if (nowMs >= chain.deadlineMs) chain.erase();
    }
  }

  /** Erases every secret; the ratchet is used no more. [SEC-65] */
  erase(): void {
    this.#skipped.erase();
    this.#sending.erase();
    for (const chain of this.#receiving) chain.erase();
    this.#receiving = [];
    this.#salt.fill(0);
    this.#eraseStep();
  }

  store(into: StateWriter): void {
    this.#sending.store(into);
    into.list(this.#receiving, (chain) => chain.store(into));
    into.bytes(this.#salt);
    into.u64(this.#startedMs);
    into.u32(this.#count);
    into.maybe(this.#seed, (seed) => into.bytes(seed));
    into.maybe(this.#carrier, (carrier) => carrier.store(into));
    this.#skipped.store(into);
  }

  /** @returns undefined for what was never stored */
  static restore(
    crypto: CryptoProvider,
    plan: RatchetPlan,
    from: StateReader,
  ): Ratchet | undefined {
    const sending = SendingChain.restore(from);
    const receiving = from.list(OLD_CHAIN_EPOCHS + 1, () => ReceivingChain.restore(from));
    const salt = from.bytes(SECRET_BYTES);
    const startedMs = from.u64();
    const ratchet = new Ratchet(crypto, plan, {
      sending,
      receiving,
      salt,
      startedMs,
      count: from.u32(),
    });
    ratchet.#seed = from.maybe(() => from.bytes(RATCHET_SEED_BYTES));
    ratchet.#carrier = from.maybe(() => StepCarrier.restore(from));
    ratchet.#skipped.restore(from);
    if (receiving.at(-1)?.epoch === sending.epoch) return ratchet;
    ratchet.erase();
    return undefined;
  }

  /** Whether a new key is to be offered now: our turn, none under way, and it is time. [SEC-55] */
  #isDue(nowMs: number): boolean {
    if (this.#carrier !== undefined || this.epoch === COUNTER_MAX) return false;
    if (!offersIn(this.#plan.role, this.epoch)) return false;
    const isOld = nowMs - this.#startedMs >= this.#plan.rekeyS * 1000;
    return isOld || this.#count >= this.#plan.rekeyMessages;
  }

  #offer(seed: Uint8Array): void {
    this.#seed = copyOf(seed);
    this.#carrier = new StepCarrier("key", this.#crypto.xwingPublicKey(seed));
  }

  #chainOf(epoch: number): ReceivingChain | undefined {
    return this.#receiving.find((chain) => chain.epoch === epoch);
  }

  /** A message of the epoch after this one opens only with the answer to our key. [SEC-58] */
  #locateNextEpoch(header: MessageHeader): Candidate | Violation {
    const { epoch, n, step } = header;
    const seed = this.#seed;
    if (seed === undefined || step?.kind !== "ciphertext" || n > JUMP_MAX) {
      return outOfWindow(`message ${n} of epoch ${epoch}, which has not begun`);
    }
    const secret = this.#crypto.xwingDecapsulate(step.bytes, seed);
    if (secret === undefined) {
      const detail = "the ciphertext is none of X-Wing";
      return violation(ErrorCode.SECURE_KEY_INVALID, "SEC-58", detail);
    }
    const begins = this.#secretsOf(secret, step.bytes);
    const [, theirs] = directionsOf(this.#plan.role);
    const chain = new ReceivingChain(epoch, begins.chains[theirs]);
    chain.answered = this.#crypto.sha512(step.bytes);
    const way = chain.reach(this.#crypto, n);
    return { header, messageKey: way.messageKey, way, chain, begins };
  }

  /** @param ratchetKey ours when it is not given */
  #secretsOf(secret: Uint8Array, ciphertext: Uint8Array, ratchetKey?: Uint8Array): EpochSecrets {
    const key = ratchetKey ?? this.#carrier?.bytes;
    assert(key !== undefined, "an epoch begins with a key");
    return nextEpochSecrets(this.#crypto, {
      salt: this.#salt,
      sessionId: this.#plan.sessionId,
      epoch: this.epoch + 1,
      ratchetKey: key,
      ciphertext,
      secret,
    });
  }

  /** What of an authentic message contradicts what its sender has said or may say. [SEC-59] */
  #contradiction({ header, chain }: Candidate): Violation | undefined {
    const { epoch, pn, step } = header;
    if (chain === undefined) return undefined;
    const before = this.#chainOf(epoch - 1);
    const isShort = chain.pn === undefined && before !== undefined && pn < before.next;
    if (isShort || (chain.pn !== undefined && chain.pn !== pn)) {
      return broken("SEC-60", `epoch ${epoch - 1} had another length than ${pn}`);
    }
    if (step === undefined) return undefined;
    const hash = this.#crypto.sha512(step.bytes);
    if (step.kind === "ciphertext") {
      if (chain.answered !== undefined && equalBytes(chain.answered, hash)) return undefined;
      return broken("SEC-59", `another ciphertext for epoch ${epoch}`);
    }
    if (!offersIn(otherRole(this.#plan.role), epoch) || epoch === COUNTER_MAX) {
      return broken("SEC-55", `a key in epoch ${epoch} out of turn`);
    }
    const isFirst = chain.offered === undefined && epoch === this.epoch;
    const isSame = chain.offered !== undefined && equalBytes(chain.offered, hash);
    return isFirst || isSame ? undefined : broken("SEC-59", `another key in epoch ${epoch}`);
  }

  /** Goes to the next epoch: what belonged to this one is erased. [SEC-57] [SEC-58] */
  #begin(secrets: EpochSecrets, chain: ReceivingChain | undefined, nowMs: number): void {
    const { epoch, chains, salt } = secrets;
    const [own, theirs] = directionsOf(this.#plan.role);
    const pn = this.#sending.n;
    this.#sending.erase();
    this.#sending = new SendingChain({ epoch, pn, key: chains[own] });
    this.#receiving.push(chain ?? new ReceivingChain(epoch, chains[theirs]));
    while ((this.#receiving[0]?.epoch ?? epoch) < epoch - OLD_CHAIN_EPOCHS) {
      this.#receiving.shift()?.erase();
    }
    this.#salt.set(salt);
    salt.fill(0);
    this.#eraseStep();
    this.#startedMs = nowMs;
    this.#count = 0;
  }

  #heard({ header, chain }: Candidate, nowMs: number): void {
    const { epoch, pn } = header;
    if (chain !== undefined) chain.pn = pn;
    for (const earlier of this.#receiving) {
      if (earlier.epoch >= epoch) break;
      earlier.becomeOld(nowMs, earlier.epoch === epoch - 1 ? pn : undefined);
    }
    if (epoch !== this.epoch) return;
    this.#count += 1;
    // The other side has our answer: it is sealed with what came of it. [SEC-58]
    if (this.#carrier?.kind === "ciphertext") this.#eraseStep();
  }

  /** Answers a key that is new here: once, at once. [SEC-57] */
  #takeStep(
    { header, chain }: Candidate,
    { nowMs, randomness }: { readonly nowMs: number; readonly randomness: Uint8Array },
  ): Violation | undefined {
    const { step } = header;
    if (step?.kind !== "key" || chain === undefined || chain.offered !== undefined) return;
    const made = this.#crypto.xwingEncapsulate(step.bytes, randomness);
    if (made === undefined) return broken("SEC-57", "the key is none of X-Wing");
    chain.offered = this.#crypto.sha512(step.bytes);
    const secrets = this.#secretsOf(made.secret, made.ciphertext, step.bytes);
    this.#begin(secrets, undefined, nowMs);
    this.#carrier = new StepCarrier("ciphertext", made.ciphertext);
    return undefined;
  }

  #eraseStep(): void {
    this.#seed?.fill(0);
    this.#seed = undefined;
    this.#carrier = undefined;
  }
}

/** Who offers the key that ends an epoch: by turns, the initiator in the first one. [SEC-55] */
export function offersIn(role: SessionRole, epoch: number): boolean {
  return (epoch % 2 === 1) === (role === "initiator");
}

function otherRole(role: SessionRole): SessionRole {
  return role === "initiator" ? "responder" : "initiator";
}

/** Ours, then theirs. */
function directionsOf(role: SessionRole): readonly [ChainDirection, ChainDirection] {
  return role === "initiator" ? ["i2r", "r2i"] : ["r2i", "i2r"];
}

function outOfWindow(detail: string): Violation {
  return violation(ErrorCode.SECURE_OUT_OF_WINDOW, "SEC-53", detail);
}

function broken(requirement: string, detail: string): Violation {
  return violation(ErrorCode.SECURE_RATCHET_BROKEN, requirement, detail);
}
