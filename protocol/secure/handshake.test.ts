import assert from "node:assert/strict";
import { test } from "node:test";
import { drawn } from "../../fuzz/envelope/drawn.ts";
import { certified, TestAccount } from "../../fuzz/secure/devices.ts";
import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import {
  SecureAcceptCoreSchema,
  SecureConfirmCoreSchema,
  SecureOfferCoreSchema,
  SecurePacketSchema,
} from "../../gen/posthorn/v1/secure_pb.ts";
import { NATIVE_CRYPTO } from "../../platform/native-crypto.ts";
import { NOBLE_CRYPTO } from "../envelope/noble.ts";
import { concat } from "../envelope/octets.ts";
import type { CryptoProvider } from "../envelope/provider.ts";
import { decodePlain, encodePlain } from "../plain.ts";
import type { Violation } from "../violation.ts";
import { ACCEPT_ENTROPY_BYTES, type Accepting, acceptOffer } from "./accepting.ts";
import {
  encodePacket,
  type OwnDevice,
  type ReadAccept,
  type ReadConfirm,
  type ReadOffer,
  readPacket,
} from "./handshake.ts";
import {
  CONFIRM_ENTROPY_BYTES,
  type Confirmed,
  OFFER_ENTROPY_BYTES,
  Offering,
} from "./offering.ts";
import { findPeer } from "./peer.ts";
import { SECURE_LABEL, secureHash } from "./schedule.ts";

const NOW = 1_800_000_000_000;
const PARAMETERS = { rekeyMessages: 32, rekeyS: 600, lifetimeS: 86_400, franking: false };
const ALICE = new TestAccount("alice").add("phone", NOW);
const BOB = new TestAccount("bob").add("laptop", NOW);
const EVE = new TestAccount("eve").add("laptop", NOW);

let count = 0;
const at = (length: number, nowMs = NOW) => {
  count += 1;
  return { nowMs, entropy: Uint8Array.from(drawn(`handshake ${count}`, length)) };
};

function offeringOf(crypto: CryptoProvider, own = ALICE, peer = BOB): Offering {
  const sessionId = at(16).entropy;
  const input = { sessionId, peer: certified(peer), parameters: PARAMETERS, ttlS: 60 };
  return new Offering(crypto, own, input, at(OFFER_ENTROPY_BYTES));
}

function read<Kind extends "offer" | "accept" | "confirm">(kind: Kind, packet: Uint8Array) {
  const found = readPacket(packet);
  assert.ok(!("code" in found) && found.kind === kind);
  return found as Extract<ReadOffer | ReadAccept | ReadConfirm, { kind: Kind }>;
}

function answerOf(
  crypto: CryptoProvider,
  offer: ReadOffer,
  { own = BOB, peer = ALICE, parameters = PARAMETERS } = {},
): Accepting | Violation {
  const input = { offer, peer: certified(peer), parameters };
  return acceptOffer(crypto, own, input, at(ACCEPT_ENTROPY_BYTES));
}

function accepted(answer: Accepting | Violation): Accepting {
  assert.ok(!("code" in answer), JSON.stringify(answer));
  return answer;
}

function confirmedBy(offering: Offering, accept: ReadAccept): Confirmed | Violation {
  return offering.accepted(accept, at(CONFIRM_ENTROPY_BYTES));
}

const codeOf = (answer: object) => ("code" in answer ? answer.code : "none");

for (const [one, other] of [
  [NATIVE_CRYPTO, NOBLE_CRYPTO],
  [NOBLE_CRYPTO, NATIVE_CRYPTO],
] as const) {
  test(`[SEC-15] both sides agree on one root, ${one.name} with ${other.name}`, () => {
    const offering = offeringOf(one);
    const accepting = accepted(answerOf(other, read("offer", offering.packet)));
    const confirmed = confirmedBy(offering, read("accept", accepting.packet));
    assert.ok(!("code" in confirmed));
    const established = accepting.confirmed(read("confirm", confirmed.packet), NOW);
    assert.ok(!("code" in established));
    const { role, own, peer, ...same } = established;
    const { role: firstRole, own: firstOwn, peer: firstPeer, ...first } = confirmed.established;
    assert.deepEqual(bare(same), bare(first));
    assert.deepEqual([firstRole, role], ["initiator", "responder"]);
    assert.deepEqual([own, peer], [firstPeer, firstOwn]);
    assert.deepEqual(own, BOB.fingerprint);
  });
}

function bare(value: object): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [
      key,
      item instanceof Uint8Array ? Buffer.from(item).toString("hex") : item,
    ]),
  );
}

test("[SEC-30] [SEC-23] an offer is accepted once and confirmed once, and keeps no seed", () => {
  const offering = offeringOf(NATIVE_CRYPTO);
  const offer = read("offer", offering.packet);
  const [first, second] = [0, 1].map(() => accepted(answerOf(NATIVE_CRYPTO, offer)));
  assert.ok(first && second);
  const confirmed = confirmedBy(offering, read("accept", first.packet));
  assert.ok(!("code" in confirmed));
  const again = confirmedBy(offering, read("accept", first.packet));
  assert.equal(codeOf(again), ErrorCode.SECURE_REPLAYED);
  const another = confirmedBy(offering, read("accept", second.packet));
  assert.equal(codeOf(another), ErrorCode.SECURE_REPLAYED);
  const confirm = read("confirm", confirmed.packet);
  assert.equal(codeOf(second.confirmed(confirm, NOW)), ErrorCode.SECURE_TAG_INVALID);
  assert.equal(codeOf(first.confirmed(confirm, NOW)), "none");
  assert.equal(codeOf(first.confirmed(confirm, NOW)), ErrorCode.SECURE_REPLAYED);
});

test("[SEC-23] every seed, first secret and first root is zero when the handshake is over", () => {
  const secrets: Uint8Array[] = [];
  const kept = <Value extends Uint8Array | undefined>(value: Value): Value => {
    if (value !== undefined) secrets.push(value);
    return value;
  };
  const watched: CryptoProvider = {
    ...NATIVE_CRYPTO,
    xwingPublicKey: (seed) => NATIVE_CRYPTO.xwingPublicKey(kept(seed)),
    xwingDecapsulate: (ciphertext, seed) =>
      kept(NATIVE_CRYPTO.xwingDecapsulate(ciphertext, kept(seed))),
    xwingEncapsulate: (key, randomness) => {
      const made = NATIVE_CRYPTO.xwingEncapsulate(key, kept(randomness));
      kept(made?.secret);
      return made;
    },
  };
  const roots: Uint8Array[] = [];
  const rooted: CryptoProvider = {
    ...watched,
    hmacSha512: (key, bytes) => {
      const mac = NATIVE_CRYPTO.hmacSha512(key, bytes);
      // HKDF-Extract has a hash or secret as its key, and 32 bytes of secret as its text.
      if (bytes.length === 32) roots.push(mac);
      return mac;
    },
  };
  const offering = offeringOf(rooted);
  const accepting = accepted(answerOf(rooted, read("offer", offering.packet)));
  const accept = read("accept", accepting.packet);
  const tag = new Uint8Array(32);
  assert.equal(codeOf(confirmedBy(offering, { ...accept, tag })), ErrorCode.SECURE_TAG_INVALID);
  const confirmed = confirmedBy(offering, accept);
  assert.ok(!("code" in confirmed));
  const confirm = read("confirm", confirmed.packet);
  const refused = accepting.confirmed({ ...confirm, tag }, NOW);
  assert.equal(codeOf(refused), ErrorCode.SECURE_TAG_INVALID);
  const established = accepting.confirmed(confirm, NOW);
  assert.ok(!("code" in established));
  assert.ok(secrets.length >= 8);
  for (const secret of secrets) assert.ok(secret.every((byte) => byte === 0));
  const left = roots.filter((root) => root.some((byte) => byte !== 0));
  assert.deepEqual(left.map(bare), [confirmed.established.root, established.root].map(bare));
});

test("[SEC-19] parts of two handshakes never make one", () => {
  const [first, second] = [offeringOf(NATIVE_CRYPTO), offeringOf(NATIVE_CRYPTO)];
  const answers = [first, second].map(({ packet }) =>
    read("accept", accepted(answerOf(NATIVE_CRYPTO, read("offer", packet))).packet),
  );
  const [mine, foreign] = answers as [ReadAccept, ReadAccept];
  const eves = read("accept", accepted(eveAnswers(first)).packet);
  for (const part of [foreign, eves]) {
    const spliced: ReadAccept[] = [
      part,
      { ...mine, core: part.core, coreBytes: part.coreBytes },
      { ...mine, core: part.core, coreBytes: part.coreBytes, signature: part.signature },
      { ...mine, signature: part.signature },
      { ...mine, tag: part.tag },
    ];
    for (const accept of spliced) assert.notEqual(codeOf(confirmedBy(first, accept)), "none");
  }
  assert.equal(codeOf(confirmedBy(first, mine)), "none", "and nothing of that has ended it");
});

/** Eve answers an offer that was to somebody else, as if it were to her. */
function eveAnswers(offering: Offering): Accepting | Violation {
  const offer = read("offer", offering.packet);
  const toEve = { ...offer, core: { ...offer.core, toDevice: EVE.fingerprint } };
  return answerOf(NATIVE_CRYPTO, toEve, { own: EVE });
}

test("[SEC-17] an offer is to one device, of one device, in one transcript", () => {
  const offer = read("offer", offeringOf(NATIVE_CRYPTO).packet);
  const unknown = ErrorCode.SECURE_PEER_UNKNOWN;
  assert.equal(codeOf(answerOf(NATIVE_CRYPTO, offer, { own: EVE })), unknown);
  const unsigned = ErrorCode.SECURE_SIGNATURE_INVALID;
  assert.equal(codeOf(answerOf(NATIVE_CRYPTO, offer, { peer: EVE })), unsigned);
  const renamed: OwnDevice = { ...ALICE, signer: EVE.signer };
  assert.equal(codeOf(answerOf(NATIVE_CRYPTO, offer, { peer: renamed })), unsigned);
  for (const half of [0, 3372]) {
    const signature = Uint8Array.from(offer.signature);
    signature[half] = (signature[half] as number) ^ 1;
    assert.equal(codeOf(answerOf(NATIVE_CRYPTO, { ...offer, signature })), unsigned);
  }
});

test("[SEC-18] an answer that asks for more than was offered is refused, whoever signs it", () => {
  for (const more of [
    { rekeyMessages: 33 },
    { rekeyS: 601 },
    { lifetimeS: 86_401 },
    { franking: true },
  ]) {
    const offering = offeringOf(NATIVE_CRYPTO);
    const offer = read("offer", offering.packet);
    const accepting = accepted(answerOf(NATIVE_CRYPTO, offer));
    const accept = read("accept", accepting.packet);
    const core = { ...accept.core, parameters: { ...PARAMETERS, ...more } };
    const coreBytes = encodePlain(SecureAcceptCoreSchema, core);
    const said = [offer.coreBytes, offer.signature, coreBytes];
    const signature = BOB.signer.sign("accept", secureHash(NATIVE_CRYPTO, SECURE_LABEL, said));
    const judged = confirmedBy(offering, { ...accept, core, coreBytes, signature });
    assert.ok("code" in judged && judged.requirement === "SEC-18");
  }
});

test("[SEC-21] keys and ciphertexts outside their rules end nothing and make nothing", () => {
  for (const crypto of [NATIVE_CRYPTO, NOBLE_CRYPTO]) {
    const offering = offeringOf(crypto);
    const offer = read("offer", offering.packet);
    const accept = read("accept", accepted(answerOf(crypto, offer)).packet);
    // X25519's part is the last 32 bytes of both: zero is a point of low order.
    const low = Uint8Array.from(offer.core.ratchetKey).fill(0, 1184);
    const unreduced = Uint8Array.from(offer.core.ratchetKey).fill(0xff, 0, 3);
    for (const ratchetKey of [low, unreduced]) {
      const core = { ...offer.core, ratchetKey };
      const coreBytes = encodePlain(SecureOfferCoreSchema, core);
      const signature = ALICE.signer.sign("offer", secureHash(crypto, SECURE_LABEL, [coreBytes]));
      const answer = answerOf(crypto, { ...offer, core, coreBytes, signature });
      assert.equal(codeOf(answer), ErrorCode.SECURE_KEY_INVALID);
    }
    const ciphertext = Uint8Array.from(accept.core.ciphertext).fill(0, 1088);
    const core = { ...accept.core, ciphertext };
    const coreBytes = encodePlain(SecureAcceptCoreSchema, core);
    const said = [offer.coreBytes, offer.signature, coreBytes];
    const signature = BOB.signer.sign("accept", secureHash(crypto, SECURE_LABEL, said));
    const judged = confirmedBy(offering, { ...accept, core, coreBytes, signature });
    assert.equal(codeOf(judged), ErrorCode.SECURE_KEY_INVALID);
    assert.equal(codeOf(confirmedBy(offering, accept)), "none");
  }
});

test("[SEC-14] outside there is one form; inside unknown fields are hashed and passed over", () => {
  const offering = offeringOf(NATIVE_CRYPTO);
  const offer = read("offer", offering.packet);
  // Field 100, varint 1.
  const unknown = Uint8Array.of(0xa0, 0x06, 0x01);
  assert.ok("code" in readPacket(concat([offering.packet, unknown])));
  const coreBytes = concat([offer.coreBytes, unknown]);
  const th1 = secureHash(NATIVE_CRYPTO, SECURE_LABEL, [coreBytes]);
  const value = { core: coreBytes, signature: ALICE.signer.sign("offer", th1) };
  const known = read("offer", encodePacket({ case: "offer", value }));
  accepted(answerOf(NATIVE_CRYPTO, known));
  const stripped = { ...known, coreBytes: offer.coreBytes };
  assert.equal(codeOf(answerOf(NATIVE_CRYPTO, stripped)), ErrorCode.SECURE_SIGNATURE_INVALID);
  const none = encodePlain(SecurePacketSchema, { kind: { case: undefined } });
  for (const bytes of [none, new Uint8Array(73_729), Uint8Array.of(1, 2, 3)]) {
    assert.equal(codeOf(readPacket(bytes)), ErrorCode.SECURE_MALFORMED);
  }
});

test("[SEC-14] lengths and ranges of an offer are exact", () => {
  const offer = read("offer", offeringOf(NATIVE_CRYPTO).packet);
  const core = decodePlain(SecureOfferCoreSchema, offer.coreBytes);
  assert.ok(typeof core !== "string");
  const reads = (change: Partial<typeof core>, signature = offer.signature) => {
    const coreBytes = encodePlain(SecureOfferCoreSchema, { ...core, ...change });
    const value = { core: coreBytes, signature };
    return codeOf(readPacket(encodePacket({ case: "offer", value })));
  };
  const short = (bytes: Uint8Array) => bytes.subarray(1);
  assert.equal(reads({}), "none");
  const faults: Partial<typeof core>[] = [
    { version: 2 },
    { suite: 2 },
    { sessionId: short(core.sessionId) },
    { fromDevice: short(core.fromDevice) },
    { toDevice: short(core.toDevice) },
    { ratchetKey: short(core.ratchetKey) },
    { nonce: short(core.nonce) },
    { createdMs: 0 },
    { ttlS: 0 },
    { ttlS: 86_401 },
    { parameters: { ...PARAMETERS, rekeyMessages: 0 } },
    { parameters: { ...PARAMETERS, rekeyS: 86_401 } },
    { parameters: { ...PARAMETERS, lifetimeS: 604_801 } },
  ];
  for (const fault of faults) {
    assert.equal(reads(fault), ErrorCode.SECURE_MALFORMED, JSON.stringify(Object.keys(fault)));
  }
  assert.equal(reads({}, short(offer.signature)), ErrorCode.SECURE_MALFORMED);
  const { parameters: _, ...without } = core;
  const value = { core: encodePlain(SecureOfferCoreSchema, without), signature: offer.signature };
  const judged = readPacket(encodePacket({ case: "offer", value }));
  assert.equal(codeOf(judged), ErrorCode.SECURE_MALFORMED);
});

test("[SEC-16] nothing of a handshake is used in another one", () => {
  const drawnOf = () => {
    const offering = offeringOf(NATIVE_CRYPTO);
    const offer = read("offer", offering.packet);
    const accept = read("accept", accepted(answerOf(NATIVE_CRYPTO, offer)).packet);
    const { core } = accept;
    const parts = [offer.core.sessionId, offer.core.ratchetKey, offer.core.nonce];
    return [...parts, core.ratchetKey, core.nonce, core.ciphertext];
  };
  const all = [drawnOf(), drawnOf()].flat().map((part) => Buffer.from(part).toString("hex"));
  assert.equal(new Set(all).size, all.length);
});

test("[SEC-20] [SEC-25] a tag is wrong wherever it differs", () => {
  const offering = offeringOf(NATIVE_CRYPTO);
  const accepting = accepted(answerOf(NATIVE_CRYPTO, read("offer", offering.packet)));
  const accept = read("accept", accepting.packet);
  const wrong = ErrorCode.SECURE_TAG_INVALID;
  const bent = ({ tag }: { readonly tag: Uint8Array }, at: number) => {
    const copy = Uint8Array.from(tag);
    copy[at] = (copy[at] as number) ^ 0x80;
    return copy;
  };
  for (const at of [0, 15, 31]) {
    const judged = confirmedBy(offering, { ...accept, tag: bent(accept, at) });
    assert.equal(codeOf(judged), wrong);
  }
  const confirmed = confirmedBy(offering, accept);
  assert.ok(!("code" in confirmed));
  const confirm = read("confirm", confirmed.packet);
  for (const at of [0, 15, 31]) {
    const judged = accepting.confirmed({ ...confirm, tag: bent(confirm, at) }, NOW);
    assert.equal(codeOf(judged), wrong);
  }
  const ciphertext = Uint8Array.from(confirm.core.ciphertext).fill(0, 0, 1);
  const other = accepting.confirmed({ ...confirm, core: { ...confirm.core, ciphertext } }, NOW);
  assert.equal(codeOf(other), wrong, "another ciphertext is another secret");
  const coreBytes = concat([confirm.coreBytes, Uint8Array.of(0xa0, 0x06, 0x01)]);
  assert.equal(codeOf(accepting.confirmed({ ...confirm, coreBytes }, NOW)), wrong);
  assert.equal(codeOf(accepting.confirmed(confirm, NOW)), "none");
});

test("[SEC-15] with a KEM whose secret is always the same, keys still hang on everything", () => {
  const secret = () => new Uint8Array(32).fill(7);
  const unbound: CryptoProvider = {
    ...NATIVE_CRYPTO,
    xwingEncapsulate: (_, randomness) => ({
      ciphertext: drawn(Buffer.from(randomness).toString("hex"), 1120),
      secret: secret(),
    }),
    xwingDecapsulate: secret,
  };
  const offering = offeringOf(unbound);
  const accepting = accepted(answerOf(unbound, read("offer", offering.packet)));
  const confirmed = confirmedBy(offering, read("accept", accepting.packet));
  assert.ok(!("code" in confirmed));
  const confirm = read("confirm", confirmed.packet);
  const { core } = confirm;
  const ciphertext = new Uint8Array(core.ciphertext.length);
  const coreBytes = encodePlain(SecureConfirmCoreSchema, { ...core, ciphertext });
  const swapped = { ...confirm, core: { ...core, ciphertext }, coreBytes };
  assert.equal(codeOf(accepting.confirmed(swapped, NOW)), ErrorCode.SECURE_TAG_INVALID);
  const established = accepting.confirmed(confirm, NOW);
  assert.ok(!("code" in established));
  const again = offeringOf(unbound);
  const answer = accepted(answerOf(unbound, read("offer", again.packet)));
  const second = confirmedBy(again, read("accept", answer.packet));
  assert.ok(!("code" in second));
  assert.notDeepEqual(second.established.root, established.root);
});

test("[SEC-19] who sits in between and has no key of the other device gets no session", () => {
  const offering = offeringOf(NATIVE_CRYPTO);
  const offer = read("offer", offering.packet);
  const posing = { ...BOB, signer: EVE.signer };
  const accept = read("accept", accepted(answerOf(NATIVE_CRYPTO, offer, { own: posing })).packet);
  assert.equal(codeOf(confirmedBy(offering, accept)), ErrorCode.SECURE_SIGNATURE_INVALID);
  // The other device itself signs something that is between others.
  for (const named of [{ toDevice: EVE.fingerprint }, { fromDevice: EVE.fingerprint }]) {
    const bent = { ...BOB, fingerprint: named.fromDevice ?? BOB.fingerprint };
    const toBent = { ...offer, core: { ...offer.core, toDevice: bent.fingerprint } };
    const peer = { ...ALICE, fingerprint: named.toDevice ?? ALICE.fingerprint };
    const from = { ...toBent, core: { ...toBent.core, fromDevice: peer.fingerprint } };
    const answer = read(
      "accept",
      accepted(answerOf(NATIVE_CRYPTO, from, { own: bent, peer })).packet,
    );
    assert.equal(codeOf(confirmedBy(offering, answer)), ErrorCode.SECURE_PEER_UNKNOWN);
  }
});

test("[SEC-17] [SEC-31] an offer in another device's name is nobody's", () => {
  const posing = { ...ALICE, fingerprint: EVE.fingerprint };
  const offer = read("offer", offeringOf(NATIVE_CRYPTO, posing).packet);
  const unsigned = ErrorCode.SECURE_SIGNATURE_INVALID;
  assert.equal(codeOf(answerOf(NATIVE_CRYPTO, offer)), unsigned);
  assert.equal(codeOf(answerOf(NATIVE_CRYPTO, offer, { peer: EVE })), unsigned);
  const account = new TestAccount("alice");
  const { userId, deviceId } = account.add("phone", NOW);
  const query = { userId, deviceId, fingerprint: EVE.fingerprint, nowMs: NOW };
  const found = findPeer(NATIVE_CRYPTO, account.answer, query);
  assert.equal(codeOf(found), ErrorCode.SECURE_PEER_UNKNOWN);
  const { fingerprint } = ALICE;
  assert.equal(codeOf(findPeer(NATIVE_CRYPTO, account.answer, { ...query, fingerprint })), "none");
});
