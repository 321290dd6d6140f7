import fc from "fast-check";
import { NATIVE_CRYPTO } from "../../platform/native-crypto.ts";
import { signedText } from "../../protocol/envelope/transcript.ts";
import { areNoMoreThan, encodePacket } from "../../protocol/secure/handshake.ts";
import {
  certify,
  decodeDevice,
  deviceFingerprint,
  encodeDevice,
  isComposite,
  readCertificate,
  type SecureSigner,
  type SignedPurpose,
} from "../../protocol/secure/identity.ts";
import { judgeSafetyCode, safetyCode, safetyNumber } from "../../protocol/secure/safety-number.ts";
import { assert } from "../../protocol/violation.ts";
import { drawn } from "../envelope/drawn.ts";
import { hex } from "../envelope/watched-crypto.ts";
import { property, type Seen } from "../property.ts";
import { START_MS } from "../secure/chat-net.ts";
import { signerOf } from "../secure/devices.ts";
import {
  flipped,
  Meeting,
  type MeetingPlan,
  PEOPLE_COUNT,
  personOf,
  readAs,
} from "../secure/meeting.ts";
import { isRefused, meetingPlan, parameters } from "./secure-handshake.ts";

const CRYPTO = NATIVE_CRYPTO;

interface Names {
  readonly plan: MeetingPlan;
  readonly lie: "offer own" | "offer peer" | "accept own" | "accept peer" | "forwarded" | "more";
  /** Whose fingerprint is put in. */
  readonly as: number;
  readonly more: MeetingPlan["offered"];
  /** Letters, and where a user's name ends in them. */
  readonly letters: string;
  readonly cuts: readonly [number, number];
}

function lie({ plan, lie: kind, as, more }: Names, seen: Seen): void {
  const { fingerprint } = personOf(as);
  const side = kind.endsWith("own") ? "own" : "peer";
  const lies = { [side]: fingerprint };
  const isOffer = kind.startsWith("offer");
  const honest = new Meeting(plan);
  const isTrue =
    fingerprint ===
    ((side === "own") === isOffer ? honest.from.fingerprint : honest.to.fingerprint);
  if (isOffer) {
    const meeting = new Meeting(plan, { lies });
    const made = meeting.accept(meeting.offering.packet);
    assert(isRefused(made) !== isTrue, "an offer names who it is from and to [SEC-17]");
    seen(isTrue ? "true" : kind);
  } else if (kind === "forwarded") {
    const other = new Meeting({ ...plan, distance: (plan.distance % (PEOPLE_COUNT - 1)) + 1 });
    const made = other.accept(honest.offering.packet);
    assert(isRefused(made), "an offer to somebody else is not answered [SEC-17]");
    seen(kind);
  } else {
    const isMore = kind === "more";
    const answer = honest.acceptLying(honest.offering.packet, isMore ? { parameters: more } : lies);
    const isRight = isMore ? areNoMoreThan(more, plan.offered) : isTrue;
    const made = honest.confirm(answer.packet);
    assert(isRefused(made) !== isRight, "an answer says who answers what [SEC-18] [SEC-19]");
    seen(isRight ? "true" : kind);
  }
}

/** Names that are the same letters, cut elsewhere, are other devices. */
function cut({ letters, cuts, plan }: Names): void {
  const { keys } = personOf(plan.from).signer;
  const [first, second] = cuts.map((at) => {
    const end = 1 + (at % (letters.length - 1));
    const names = { userId: letters.slice(0, end), deviceId: letters.slice(end) };
    const bytes = encodeDevice({ ...names, keys });
    const read = decodeDevice(bytes);
    assert(read?.userId === names.userId && read.deviceId === names.deviceId, "D is read [SEC-3]");
    return { end, fingerprint: hex(deviceFingerprint(CRYPTO, bytes)) };
  });
  const isSame = first?.end === second?.end;
  assert((first?.fingerprint === second?.fingerprint) === isSame, "names have one end [SEC-3]");
}

/** Somebody who signs with his own key and says that he is, or talks to, somebody else. */
export const secureIds = property<Names>({
  name: "secure-ids",
  title:
    "[SEC-3] [SEC-4] [SEC-17] [SEC-18] [SEC-19] a handshake is between the two that it names, " +
    "with nothing above its offer, and names that begin alike are not the same (P25)",
  smokeRuns: 25,
  kinds: ["offer own", "offer peer", "accept own", "accept peer", "forwarded", "more", "true"],
  arbitrary: fc.record({
    plan: meetingPlan,
    lie: fc.constantFrom<Names["lie"][]>(
      "offer own",
      "offer peer",
      "accept own",
      "accept peer",
      "forwarded",
      "more",
    ),
    as: fc.nat(PEOPLE_COUNT - 1),
    more: parameters,
    letters: fc.stringMatching(/^[a-z0-9]{3,20}$/),
    cuts: fc.tuple(fc.nat(), fc.nat()),
  }),
  start: (seen) => ({
    check: (names) => {
      lie(names, seen);
      cut(names);
    },
  }),
});

const HALVES = ["right", "of another key", "of another text", "flipped", "zero"] as const;
type Half = (typeof HALVES)[number];

interface Composite {
  readonly purpose: SignedPurpose;
  readonly signer: number;
  readonly text: string;
  readonly halves: readonly [Half, Half];
  readonly bit: number;
}

function composite({ purpose, signer, text, halves, bit }: Composite, seen: Seen): void {
  const own = personOf(signer).signer;
  const other = personOf((signer + 1) % PEOPLE_COUNT).signer;
  const meant = drawn(text, 64);
  const right = own.sign(purpose, meant);
  const half = (of: Half, part: 0 | 1): Uint8Array => {
    const [begin, end] = part === 0 ? [0, 64] : [64, right.length];
    switch (of) {
      case "right":
        return right.subarray(begin, end);
      case "of another key":
        return other.sign(purpose, meant).subarray(begin, end);
      case "of another text":
        return own.sign(purpose, drawn(`${text}.`, 64)).subarray(begin, end);
      case "flipped":
        return flipped(right.subarray(begin, end), bit);
      case "zero":
        return new Uint8Array(end - begin);
    }
  };
  const signature = Buffer.concat([half(halves[0], 0), half(halves[1], 1)]);
  const isRight = halves.every((of) => of === "right");
  const isTaken = isComposite(CRYPTO, own.keys, { purpose, meant, signature });
  assert(isTaken === isRight, `Ed25519 ${halves[0]}, ML-DSA ${halves[1]}: ${isTaken} [SEC-6]`);
  seen(halves.map((of) => (of === "right" ? "right" : "wrong")).join(" and "));
}

/** Both halves of a signature, each right or wrong in its own way. */
export const secureComposite = property<Composite>({
  name: "secure-composite",
  title: "[SEC-6] a signature is both of its halves, over the same text and of the same owner",
  smokeRuns: 40,
  kinds: ["right and right", "right and wrong", "wrong and right", "wrong and wrong"],
  arbitrary: fc.record({
    purpose: fc.constantFrom<SignedPurpose[]>("certificate", "offer", "accept"),
    signer: fc.nat(PEOPLE_COUNT - 1),
    text: fc.string(),
    halves: fc.tuple(fc.constantFrom("right", ...HALVES), fc.constantFrom("right", ...HALVES)),
    bit: fc.nat(),
  }),
  start: (seen) => ({ check: (input) => composite(input, seen) }),
});

/** What keys sign in this project, each with a name of its own. */
const CONTEXTS = [
  "Posthorn device certificate v1",
  "Posthorn secure chat v1 offer",
  "Posthorn secure chat v1 accept",
  "Posthorn link v1 server signature",
  "Posthorn login v1",
  "",
] as const;
const PURPOSES: Readonly<Record<SignedPurpose, (typeof CONTEXTS)[number]>> = {
  certificate: CONTEXTS[0],
  offer: CONTEXTS[1],
  accept: CONTEXTS[2],
};

interface Context {
  readonly name: string;
  readonly signed: (typeof CONTEXTS)[number];
  readonly purpose: SignedPurpose;
}

function context({ name, signed, purpose }: Context, seen: Seen): void {
  const keys = [
    CRYPTO.ed25519Key(drawn("any account ed25519", 32)),
    CRYPTO.mlDsa65Key(drawn("any account ml-dsa-65", 32)),
  ];
  const meant = drawn(name, 64);
  const text = signedText(signed, meant);
  const signature = Buffer.concat(keys.map((key) => key.sign(text)));
  const [ed25519, mlDsa65] = keys.map(({ publicKey }) => publicKey) as [Uint8Array, Uint8Array];
  const isTaken = isComposite(CRYPTO, { ed25519, mlDsa65 }, { purpose, meant, signature });
  assert(isTaken === (PURPOSES[purpose] === signed), `${signed} as ${purpose} [SEC-7]`);
  seen(isTaken ? "its own" : "another");
  assert(signedPacket(name, purpose), "packets are not certificates [SEC-7]");
}

/** An offer's core and signature as an answer's, and as a certificate's, with the same key. */
function signedPacket(name: string, purpose: SignedPurpose): boolean {
  const plan = { name, from: 0, distance: 1, ttlS: 60, ...TERMS };
  const meeting = new Meeting(plan);
  const offer = readAs(meeting.offering.packet, "offer");
  assert(offer !== undefined, "honest");
  const { coreBytes: core, signature } = offer;
  if (purpose === "accept") {
    const tag = new Uint8Array(32);
    return isRefused(
      meeting.confirm(encodePacket({ case: "accept", value: { core, signature, tag } })),
    );
  }
  const account = personOf(0).signer;
  const expected = { account: account.keys, userId: personOf(0).userId, nowMs: START_MS };
  return "code" in readCertificate(CRYPTO, { core, signature }, expected);
}

const TERMS = {
  offered: { rekeyMessages: 32, rekeyS: 600, lifetimeS: 86_400, franking: false },
  most: { rekeyMessages: 32, rekeyS: 600, lifetimeS: 86_400, franking: false },
};

/** All pairs of what was signed and what it is taken for. */
export const secureContexts = property<Context>({
  name: "secure-contexts",
  title: "[SEC-7] [SEC-8] a signature for one purpose is none for another",
  smokeRuns: 25,
  kinds: ["its own", "another"],
  arbitrary: fc.record({
    name: fc.string(),
    signed: fc.constantFrom(...CONTEXTS),
    purpose: fc.constantFrom<SignedPurpose[]>("certificate", "offer", "accept"),
  }),
  start: (seen) => ({ check: (input) => context(input, seen) }),
});

interface Vouched {
  readonly account: number;
  readonly userId: string;
  readonly asked: string;
  readonly createdMs: number;
  readonly lastsMs: number;
  readonly nowMs: number;
  readonly bit: number;
}

const SIGNERS: readonly SecureSigner[] = [0, 1].map((index) => signerOf(`voucher ${index}`));
const SKEW_MS = 300_000;

function vouch(
  { account, userId, asked, createdMs, lastsMs, nowMs, bit }: Vouched,
  seen: Seen,
): void {
  const { keys } = personOf(0).signer;
  const expiresMs = lastsMs === 0 ? 0 : createdMs + lastsMs;
  const device = { userId, deviceId: "phone", keys };
  const [voucher, other] = SIGNERS as [SecureSigner, SecureSigner];
  const certificate = certify(CRYPTO, voucher, { device, createdMs, expiresMs });
  const key = account === 0 ? voucher.keys : other.keys;
  const expected = { account: key, userId: asked, nowMs };
  const read = readCertificate(CRYPTO, certificate, expected);
  const isEarly = createdMs > nowMs + SKEW_MS;
  const isLate = expiresMs !== 0 && expiresMs + SKEW_MS < nowMs;
  const isRight = account === 0 && userId === asked && !isEarly && !isLate;
  assert("code" in read !== isRight, `a certificate: ${isRight} [SEC-8] [SEC-9]`);
  const core = flipped(certificate.core, bit);
  const bent = readCertificate(CRYPTO, { ...certificate, core }, expected);
  assert("code" in bent, "a changed core is not vouched for [SEC-8]");
  seen(isRight ? "in force" : account === 1 ? "another key" : isEarly || isLate ? "time" : "user");
}

/** Certificates of right and wrong accounts, users and times. */
export const secureCertificates = property<Vouched>({
  name: "secure-certificates",
  title: "[SEC-8] [SEC-9] an account's word holds for its own devices, in its time (P25)",
  smokeRuns: 25,
  kinds: ["in force", "another key", "time", "user"],
  arbitrary: fc.record({
    account: fc.constantFrom(0, 0, 1),
    userId: fc.constantFrom("ann", "ann1"),
    asked: fc.constantFrom("ann", "ann", "ann1", "an"),
    createdMs: fc.integer({ min: 1, max: 2_000_000 }),
    lastsMs: fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 2_000_000 })),
    nowMs: fc.integer({ min: 1, max: 5_000_000 }),
    bit: fc.nat(),
  }),
  start: (seen) => ({ check: (input) => vouch(input, seen) }),
});

interface Numbers {
  readonly users: readonly [string, string];
  readonly changed: "nothing" | "ed25519" | "mlDsa65" | "user" | "order";
  readonly bit: number;
}

function numbers({ users, changed, bit }: Numbers, seen: Seen): void {
  const [first, second] = SIGNERS as [SecureSigner, SecureSigner];
  const own = { userId: users[0], keys: first.keys };
  const peer = { userId: users[1], keys: second.keys };
  const before = safetyNumber(CRYPTO, own, peer);
  assert(/^(\d{5} ){11}\d{5}$/.test(before), "sixty digits [SEC-12]");
  let other = peer;
  if (changed === "user") other = { ...peer, userId: `${peer.userId}1` };
  if (changed === "ed25519" || changed === "mlDsa65") {
    const keys = { ...peer.keys, [changed]: flipped(peer.keys[changed], bit) };
    other = { ...peer, keys };
  }
  const after = safetyNumber(CRYPTO, other, own);
  const isSame = changed === "nothing" || changed === "order";
  assert((before === after) === isSame, `${changed}: the number ${after} [SEC-12]`);
  const scanned = safetyCode(CRYPTO, other, own);
  const verdict = judgeSafetyCode(CRYPTO, scanned, { own, peer });
  const expected = isSame ? "same" : changed === "user" ? "other-people" : "different";
  assert(verdict === expected, `${changed}: ${verdict} [SEC-13]`);
  seen(changed);
}

/** What two people compare. */
export const secureNumber = property<Numbers>({
  name: "secure-number",
  title: "[SEC-5] [SEC-12] [SEC-13] the safety number changes if a key or a name does, only then",
  smokeRuns: 3,
  kinds: ["nothing", "ed25519", "mlDsa65", "user", "order"],
  arbitrary: fc.record({
    users: fc.tuple(fc.constantFrom("ann", "bob"), fc.constantFrom("ann", "carol")),
    changed: fc.constantFrom("nothing", "ed25519", "mlDsa65", "user", "order"),
    bit: fc.nat(),
  }),
  start: (seen) => ({ check: (input) => numbers(input, seen) }),
});
