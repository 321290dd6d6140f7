import { createHmac } from "node:crypto";
import fc from "fast-check";
import { NATIVE_CRYPTO } from "../../platform/native-crypto.ts";
import { signedText } from "../../protocol/envelope/transcript.ts";
import { Accepting } from "../../protocol/secure/accepting.ts";
import type { EstablishedSecure } from "../../protocol/secure/established.ts";
import { agreedParameters, encodePacket } from "../../protocol/secure/handshake.ts";
import type { SecureKeys } from "../../protocol/secure/identity.ts";
import { assert, type Violation } from "../../protocol/violation.ts";
import { drawn } from "../envelope/drawn.ts";
import { hex } from "../envelope/watched-crypto.ts";
import { property, type Seen } from "../property.ts";
import {
  confirmedBy,
  flipped,
  Meeting,
  type MeetingPlan,
  type Met,
  PEOPLE_COUNT,
  readAs,
} from "../secure/meeting.ts";
import { extract, th, xl } from "../secure/reference.ts";

const LABEL = "phorn-sc-1";

export const parameters = fc.record({
  rekeyMessages: fc.integer({ min: 1, max: 128 }),
  rekeyS: fc.integer({ min: 1, max: 86_400 }),
  lifetimeS: fc.integer({ min: 1, max: 604_800 }),
  franking: fc.boolean(),
});
export const meetingPlan: fc.Arbitrary<MeetingPlan> = fc.record({
  name: fc.string(),
  from: fc.nat(PEOPLE_COUNT - 1),
  distance: fc.integer({ min: 1, max: PEOPLE_COUNT - 1 }),
  offered: parameters,
  most: parameters,
  ttlS: fc.integer({ min: 1, max: 86_400 }),
});

/** Whether a step of a handshake came to nothing. */
export function isRefused(made: object | undefined): made is Violation | undefined {
  return made === undefined || "code" in made;
}

function agree(plan: MeetingPlan, seen: Seen): void {
  const meeting = new Meeting(plan);
  const met = meeting.whole();
  const { initiator, responder } = met;
  assert(hex(initiator.root) === hex(responder.root), "one root [SEC-15]");
  assert(hex(initiator.sessionId) === hex(responder.sessionId), "one session");
  for (const { own, peer, role } of [initiator, responder]) {
    const [mine, theirs] = role === "initiator" ? [meeting.from, meeting.to] : both(meeting);
    assert(hex(own) === hex(mine.fingerprint), `the ${role} is itself [SEC-17]`);
    assert(hex(peer) === hex(theirs.fingerprint), `the ${role} knows the other [SEC-17]`);
  }
  const agreed = agreedParameters(plan.offered, plan.most);
  for (const one of [initiator, responder]) judgeParameters(one, agreed);
  judgeBytes(plan, met, meeting);
  const again = new Meeting({ ...plan, name: `${plan.name} again` }).whole();
  assert(hex(again.initiator.root) !== hex(initiator.root), "no two sessions share a root");
  seen(agreed.franking ? "franking" : "no franking");
}

function both(meeting: Meeting) {
  return [meeting.to, meeting.from] as const;
}

function judgeParameters({ parameters: agreed, role }: EstablishedSecure, expected: object): void {
  for (const [name, value] of Object.entries(expected)) {
    const is = agreed[name as keyof typeof agreed];
    assert(is === value, `${name} of the ${role}: ${is}, not ${value} [SEC-18]`);
  }
}

/** Every hash, signature, tag and root is what chapter 12 says, computed a second time. */
function judgeBytes({ name }: MeetingPlan, { packets, initiator }: Met, meeting: Meeting): void {
  const offer = readAs(packets[0], "offer");
  const accept = readAs(packets[1], "accept");
  const confirm = readAs(packets[2], "confirm");
  assert(offer !== undefined && accept !== undefined && confirm !== undefined, "they are read");
  const said = [offer.coreBytes, offer.signature, accept.coreBytes, accept.signature];
  const context = "Posthorn secure chat v1";
  judgeSigned(meeting.from.signer.keys, offer.signature, [
    `${context} offer`,
    th(LABEL, said.slice(0, 1)),
  ]);
  judgeSigned(meeting.to.signer.keys, accept.signature, [
    `${context} accept`,
    th(LABEL, said.slice(0, 3)),
  ]);
  const th2s = th(LABEL, said);
  const seedA = drawn(`${name} offer 1`, 64).subarray(0, 32);
  const seedB = drawn(`${name} accept 2`, 128).subarray(64, 96);
  const first = NATIVE_CRYPTO.xwingDecapsulate(accept.core.ciphertext, seedA) as Uint8Array;
  const second = NATIVE_CRYPTO.xwingDecapsulate(confirm.core.ciphertext, seedB) as Uint8Array;
  const rk0 = extract(th2s, first);
  assert(hex(accept.tag) === tagOf(xl(rk0, "confirm r", th2s), th2s), "the answer's tag [SEC-15]");
  const th3 = th(LABEL, [...said, accept.tag, confirm.coreBytes]);
  const rk1 = extract(xl(rk0, "derived", th3), second);
  assert(hex(confirm.tag) === tagOf(xl(rk1, "confirm i", th3), th3), "the confirm's tag [SEC-15]");
  assert(hex(initiator.root) === hex(rk1), "the root is RK1 [SEC-15]");
}

function tagOf(key: Uint8Array, transcript: Uint8Array): string {
  return createHmac("sha512", key).update(transcript).digest("hex").slice(0, 64);
}

function judgeSigned(
  keys: SecureKeys,
  signature: Uint8Array,
  [context, meant]: readonly [string, Uint8Array],
): void {
  const text = signedText(context, meant);
  const [first, second] = [signature.subarray(0, 64), signature.subarray(64)];
  assert(NATIVE_CRYPTO.ed25519Verify(keys.ed25519, text, first), `${context}: Ed25519 [SEC-6]`);
  assert(NATIVE_CRYPTO.mlDsa65Verify(keys.mlDsa65, text, second), `${context}: ML-DSA [SEC-6]`);
}

/** Honest handshakes between devices whose names are nearly the same. */
export const secureAgree = property<MeetingPlan>({
  name: "secure-agree",
  title:
    "[SEC-1] [SEC-2] [SEC-6] [SEC-15] [SEC-17] [SEC-18] both devices come to one root, name each " +
    "other, and every byte is what the chapter says (P22)",
  smokeRuns: 12,
  kinds: ["franking", "no franking"],
  arbitrary: meetingPlan,
  start: (seen) => ({ check: (plan) => agree(plan, seen) }),
});

interface Tampering {
  readonly plan: MeetingPlan;
  readonly message: "offer" | "accept" | "confirm";
  readonly bits: readonly number[];
}

function tamper({ plan, message, bits }: Tampering, seen: Seen): void {
  const meeting = new Meeting(plan);
  const { packet: offer } = meeting.offering;
  for (const bit of message === "offer" ? bits : []) {
    const made = meeting.accept(flipped(offer, bit));
    assert(isRefused(made), "a changed offer is not answered [SEC-17]");
    seen(made === undefined ? "unreadable" : `${message} ${made.requirement}`);
  }
  const accepting = meeting.accept(offer);
  assert(accepting instanceof Accepting, "the offer itself is answered [SEC-26]");
  for (const bit of message === "accept" ? bits : []) {
    const made = meeting.confirm(flipped(accepting.packet, bit));
    assert(isRefused(made), "a changed answer is not confirmed [SEC-19]");
    seen(made === undefined ? "unreadable" : `${message} ${made.requirement}`);
  }
  const confirmed = meeting.confirm(accepting.packet);
  assert(!isRefused(confirmed), "the answer itself is confirmed [SEC-26]");
  for (const bit of message === "confirm" ? bits : []) {
    const made = confirmedBy(accepting, flipped(confirmed.packet, bit));
    assert(isRefused(made), "a changed confirm opens nothing [SEC-20]");
    seen(made === undefined ? "unreadable" : `${message} ${made.requirement}`);
  }
  const established = confirmedBy(accepting, confirmed.packet);
  assert(!isRefused(established), "the confirm itself is taken [SEC-26]");
  assert(isRefused(confirmedBy(accepting, confirmed.packet)), "once [SEC-30]");
  assert(isRefused(meeting.confirm(accepting.packet)), "the answer too [SEC-30]");
}

/** Every bit of a handshake matters, and a wrong packet does not end an honest one. */
export const secureTamper = property<Tampering>({
  name: "secure-tamper",
  title:
    "[SEC-14] [SEC-17] [SEC-19] [SEC-20] [SEC-26] [SEC-30] whatever bit of a handshake is " +
    "flipped, nobody has a session of it, and the right packet is still taken (P22)",
  smokeRuns: 25,
  kinds: ["unreadable", "offer SEC-17", "accept SEC-19", "confirm SEC-20"],
  arbitrary: fc.record({
    plan: meetingPlan,
    message: fc.constantFrom("offer", "accept", "confirm"),
    bits: fc.array(fc.oneof(fc.nat(200), fc.nat(60_000), fc.integer({ min: -256, max: -1 })), {
      minLength: 1,
      maxLength: 6,
    }),
  }),
  start: (seen) => ({ check: (input) => tamper(input, seen) }),
});

interface Splice {
  readonly plans: readonly MeetingPlan[];
  /** Whether all sessions have the same id: who offers, chooses it. */
  readonly oneId: boolean;
  /** Whether all are between the same two. */
  readonly onePair: boolean;
  /** For each part of a packet, of which session it is. */
  readonly parts: readonly number[];
}

function splice({ plans, oneId, onePair, parts }: Splice, seen: Seen): void {
  const runs = plans.map((plan, index) => {
    const { from, distance } = onePair ? (plans[0] as MeetingPlan) : plan;
    const named = { ...plan, from, distance, name: `${plan.name} ${index}` };
    const meeting = new Meeting(named, oneId ? { sessionName: "one" } : {});
    const accepting = meeting.accept(meeting.offering.packet);
    assert(accepting instanceof Accepting, "honest");
    return { meeting, accepting };
  });
  const at = (part: number) => runs[(parts[part] as number) % runs.length] as (typeof runs)[0];
  const [own] = runs as [(typeof runs)[0]];
  const isOwn = (...of: number[]) => of.every((part) => at(part) === own);
  const offers = runs.map(({ meeting }) => readAs(meeting.offering.packet, "offer"));
  const accepts = runs.map(({ accepting }) => readAs(accepting.packet, "accept"));
  const offerPart = (part: number) => offers[runs.indexOf(at(part))] as (typeof offers)[0] & object;
  const acceptPart = (part: number) =>
    accepts[runs.indexOf(at(part))] as (typeof accepts)[0] & object;

  const offer = { core: offerPart(0).coreBytes, signature: offerPart(1).signature };
  const answered = own.meeting.accept(encodePacket({ case: "offer", value: offer }));
  if (at(0) !== at(1)) assert(isRefused(answered), "halves of two offers are none [SEC-17]");

  const { coreBytes: core } = acceptPart(2);
  const value = { core, signature: acceptPart(3).signature, tag: acceptPart(4).tag };
  const confirmed = own.meeting.confirm(encodePacket({ case: "accept", value }));
  assert(isRefused(confirmed) !== isOwn(2, 3, 4), "an answer is to one offer [SEC-19]");
  seen(isRefused(confirmed) ? "accept spliced" : "accept whole");

  const confirms = runs.map(({ meeting, accepting }) => {
    const made = meeting === own.meeting && !isRefused(confirmed) ? confirmed : undefined;
    const packet = made ?? meeting.confirm(accepting.packet);
    assert(!isRefused(packet), "honest");
    return readAs(packet.packet, "confirm");
  });
  const confirmPart = (part: number) =>
    confirms[runs.indexOf(at(part))] as (typeof confirms)[0] & object;
  const third = { core: confirmPart(5).coreBytes, tag: confirmPart(6).tag };
  const packet = encodePacket({ case: "confirm", value: third });
  const established = confirmedBy(own.accepting, packet);
  assert(isRefused(established) !== isOwn(5, 6), "a confirm is to one answer [SEC-20]");
  seen(isRefused(established) ? "confirm spliced" : "confirm whole");
}

/** Parts of several handshakes, put together. */
export const secureSplice = property<Splice>({
  name: "secure-splice",
  title:
    "[SEC-15] [SEC-17] [SEC-19] [SEC-20] packets of parts of two handshakes complete none, also " +
    "under one session id and between the same two",
  smokeRuns: 12,
  kinds: ["accept spliced", "accept whole", "confirm spliced", "confirm whole"],
  arbitrary: fc.record({
    plans: fc.array(meetingPlan, { minLength: 2, maxLength: 3 }),
    oneId: fc.boolean(),
    onePair: fc.boolean(),
    parts: fc.array(fc.oneof(fc.constant(0), fc.nat(2)), { minLength: 7, maxLength: 7 }),
  }),
  start: (seen) => ({ check: (input) => splice(input, seen) }),
});
