import fc from "fast-check";
import { NATIVE_CRYPTO } from "../../platform/native-crypto.ts";
import { XWING_CIPHERTEXT_BYTES } from "../../protocol/envelope/provider.ts";
import { parseMessage } from "../../protocol/secure/message.ts";
import { SecureSession } from "../../protocol/secure/session.ts";
import { assert } from "../../protocol/violation.ts";
import { drawn } from "../envelope/drawn.ts";
import { hex } from "../envelope/watched-crypto.ts";
import { property, type Seen } from "../property.ts";
import { epochRoot, u32, xl } from "../secure/reference.ts";
import { SecretLog } from "../secure/secret-log.ts";
import { otherSide, SessionPair, type Side, textContent } from "../secure/sessions.ts";
import { type StolenState, stolenFrom } from "../secure/stored.ts";

// What somebody learns who has all that a device keeps, and all that was ever on the wire. The key
// agreement is the real one: a stand-in would leak what is looked for.

interface Theft {
  /** Who sends, and whether it comes. */
  readonly talk: readonly { readonly side: Side; readonly comes: boolean }[];
  readonly rekeyMessages: number;
  /** After so many messages the state is copied. */
  readonly at: number;
  readonly of: Side;
}

interface Sealed {
  readonly message: Uint8Array;
  readonly from: Side;
  readonly epoch: number;
  /** Of the AEAD. */
  readonly key: string;
  readonly isBefore: boolean;
  readonly comes: boolean;
}

/** A session with the real key agreement, of which one side's state is copied on the way. */
class Robbed {
  readonly log = new SecretLog(NATIVE_CRYPTO);
  readonly pair: SessionPair;
  readonly sealed: Sealed[] = [];
  stolen: Uint8Array | undefined;

  constructor({ talk, rekeyMessages, at, of }: Theft) {
    this.pair = new SessionPair(this.log.provider, { rekeyMessages });
    for (const [index, { side, comes }] of talk.entries()) {
      if (index === at % talk.length) this.stolen = this.pair.sides[of].snapshot();
      this.#exchange(side, comes);
    }
  }

  #exchange(from: Side, comes: boolean): void {
    const message = this.pair.send(from, "text");
    this.#note(message, from, comes);
    if (!comes) return;
    const received = this.pair.receive(otherSide(from), message);
    if (received.kind === "opened" && received.reply !== undefined) {
      this.#note(received.reply, otherSide(from), true);
      this.pair.receive(from, received.reply);
    }
  }

  #note(message: Uint8Array, from: Side, comes: boolean): void {
    const epoch = parseMessage(message)?.header.epoch ?? 0;
    const key = this.log.sealedWith.at(-1) as string;
    this.sealed.push({ message, from, epoch, key, isBefore: this.stolen === undefined, comes });
  }
}

/** How far along a chain somebody looks who has one of its keys. */
const AHEAD = 24;

/**
 * Keys of the AEAD that follow from a state and from ciphertexts that were on the wire: all labels,
 * all numbers near to where the chains stand.
 */
function closure(state: StolenState, ciphertexts: readonly Uint8Array[]): Set<string> {
  const keys = new Set<string>();
  const message = (secret: Uint8Array) => keys.add(hex(xl(secret, "enc", undefined, 32)));
  const chain = (start: Uint8Array, first: number) => {
    let key = start;
    for (let n = first; n < first + AHEAD; n += 1) {
      message(xl(key, "msg", u32(n)));
      key = xl(key, "next", u32(n));
    }
    // As if numbers were lower than they are.
    for (let n = Math.max(0, first - 4); n < first; n += 1) message(xl(start, "msg", u32(n)));
  };
  const root = (secret: Uint8Array, epoch: number) => {
    chain(xl(secret, "chain i2r", u32(epoch)), 0);
    chain(xl(secret, "chain r2i", u32(epoch)), 0);
  };
  for (const { key, next } of state.chains) chain(key, next);
  for (const key of state.skipped) message(key);
  for (const epoch of [state.epoch, state.epoch + 1]) root(state.salt, epoch);
  const { seed, step, salt, sessionId, epoch } = state;
  if (seed === undefined || step === undefined) return keys;
  for (const ciphertext of ciphertexts) {
    const secret = NATIVE_CRYPTO.xwingDecapsulate(ciphertext, seed);
    if (secret === undefined) continue;
    const next = epochRoot(salt, secret, [sessionId, epoch + 1, step, ciphertext]);
    root(next, epoch + 1);
  }
  return keys;
}

function ciphertextsOf(sealed: readonly Sealed[]): readonly Uint8Array[] {
  const found = new Map<string, Uint8Array>();
  for (const { message } of sealed) {
    const step = parseMessage(message)?.header.step;
    if (step?.bytes.length === XWING_CIPHERTEXT_BYTES) found.set(hex(step.bytes), step.bytes);
  }
  return [...found.values()].slice(-4);
}

function past(theft: Theft, seen: Seen): void {
  const robbed = new Robbed(theft);
  const state = robbed.stolen && stolenFrom(robbed.stolen);
  assert(state !== undefined, "the state is read [SEC-70]");
  const keys = closure(state, ciphertextsOf(robbed.sealed));
  const isOwn = ({ from }: Sealed) => from === theft.of;
  for (const one of robbed.sealed) {
    // What did not come yet is kept open for it; what was sent or opened is over.
    if (!one.isBefore || !(isOwn(one) || one.comes)) continue;
    assert(!keys.has(one.key), `a key of epoch ${one.epoch} is found in ${state.epoch} [SEC-42]`);
    seen("past");
  }
  if (robbed.sealed.some((one) => !one.isBefore && keys.has(one.key))) seen("the present is open");
  if (state.skipped.length > 0) seen("keys were kept");
  if (state.seed !== undefined) seen("a key was under way");
  // With the state, chains go on: nothing that was opened opens in the copy either.
  const copy = SecureSession.restore(NATIVE_CRYPTO, robbed.stolen as Uint8Array);
  const at = { nowMs: robbed.pair.nowMs, entropy: drawn("thief", 128) };
  for (const { message, from, comes, isBefore } of robbed.sealed) {
    if (from === theft.of || !isBefore || !comes) continue;
    assert(copy?.receive(message, at).kind === "refused", "and the copy opens nothing [SEC-42]");
  }
}

function future(theft: Theft, seen: Seen): void {
  const robbed = new Robbed(theft);
  const state = robbed.stolen && stolenFrom(robbed.stolen);
  assert(state !== undefined, "the state is read [SEC-70]");
  const keys = closure(state, ciphertextsOf(robbed.sealed));
  const copy = SecureSession.restore(NATIVE_CRYPTO, robbed.stolen as Uint8Array);
  assert(copy !== undefined, "the copy runs");
  // A key that was under way ends the epoch after this one; the step behind that is honest.
  const lastOpen = state.epoch + (state.seed === undefined ? 0 : 1);
  let count = 0;
  for (const one of robbed.sealed.filter(({ isBefore }) => !isBefore)) {
    count += 1;
    const isFound = keys.has(one.key);
    const at = { nowMs: robbed.pair.nowMs, entropy: drawn(`thief ${count}`, 128) };
    const isOpened = one.from !== theft.of && copy.receive(one.message, at).kind === "opened";
    const isHealed = one.epoch > lastOpen;
    assert(!isHealed || !(isFound || isOpened), `epoch ${one.epoch} is open to a thief [SEC-57]`);
    seen(isHealed ? "healed" : isFound || isOpened ? "open" : "not reached");
  }
  takeOver(theft, robbed.pair, seen);
}

/** What is NOT claimed: a thief who speaks in the step itself stays in. It is shown, not hidden. */
function takeOver({ of }: Theft, pair: SessionPair, seen: Seen): void {
  const copied = pair.sides[of].snapshot() as Uint8Array;
  const thief = SecureSession.restore(NATIVE_CRYPTO, copied) as SecureSession;
  const peer = pair.sides[otherSide(of)];
  const content = textContent("not from whom you think", pair.nowMs);
  const { epoch } = peer;
  for (let count = 0; count < 30 && peer.epoch < epoch + 2; count += 1) {
    const sent = thief.send(content, pair.at());
    if (sent.kind === "refused") return;
    peer.receive(sent.message, pair.at());
    const back = peer.send(content, pair.at());
    if (back.kind === "sealed") thief.receive(back.message, pair.at());
  }
  if (peer.epoch >= epoch + 2) seen("an active thief stays");
}

const theft: fc.Arbitrary<Theft> = fc.record({
  talk: fc.array(
    fc.record({
      side: fc.constantFrom<Side>("initiator", "responder"),
      comes: fc.constantFrom(true, true, true, true, true, false),
    }),
    { minLength: 2, maxLength: 24, size: "max" },
  ),
  rekeyMessages: fc.integer({ min: 1, max: 4 }),
  at: fc.nat(),
  of: fc.constantFrom<Side>("initiator", "responder"),
});

/** A state that is copied, and everything that was on the wire before. */
export const securePast = property<Theft>({
  name: "secure-past",
  title:
    "[SEC-41] [SEC-42] [SEC-53] [SEC-57] from all that a device keeps, and all that was on the " +
    "wire, no key of an earlier message follows",
  smokeRuns: 12,
  kinds: ["past", "the present is open", "keys were kept", "a key was under way"],
  arbitrary: theft,
  start: (seen) => ({ check: (input) => past(input, seen) }),
});

/** A state that is copied, and everything that is on the wire afterwards. */
export const secureFuture = property<Theft>({
  name: "secure-future",
  title:
    "[SEC-41] [SEC-57] [SEC-58] one honest step later a copied state opens nothing more, unless " +
    "its thief took part in it",
  smokeRuns: 10,
  kinds: ["healed", "open", "an active thief stays"],
  arbitrary: theft,
  start: (seen) => ({ check: (input) => future(input, seen) }),
});
