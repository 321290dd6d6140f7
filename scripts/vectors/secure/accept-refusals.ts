import { appended, flipped } from "../envelope/lies.ts";
import { drawn, join } from "../envelope/primitives.ts";
import type { SecureCase, SecureFailure } from "./cases.ts";
import {
  CREATED_MS,
  type HandshakeLies,
  type HandshakePlan,
  HandshakeVector,
  PARAMETERS,
  PHONE,
  packetOf,
  STRANGER,
  TABLET,
  TTL_S,
  toSaid,
} from "./handshake-builder.ts";
import { CONTEXTS, composite } from "./identity-builder.ts";
import { lowOrder, unreduced, zeroPoint } from "./kem-faults.ts";

const refusal =
  (id: string, failure: SecureFailure) =>
  (name: string, description: string, lies: HandshakeLies, plan: HandshakePlan = {}) => {
    const handshake = new HandshakeVector({ ...plan, lies });
    const about = [id, `accept-${name}`, description] as const;
    return handshake.refused(about, handshake.arrivals(2), failure);
  };

const malformed = refusal("SEC-14", "SECURE_MALFORMED");

const says = (change: object): HandshakeLies => ({
  acceptCore: (core) => ({ ...core, ...change }),
});
const parameters = (change: object): HandshakeLies =>
  says({ parameters: { ...toSaid(PARAMETERS), ...change } });
const cut = (bytes: Uint8Array) => bytes.subarray(0, -1);
const long = appended("00");

const FORMS: readonly SecureCase[] = [
  malformed("packet-unknown-field", "A field that no packet has.", {
    acceptPacket: appended("2801"),
  }),
  malformed("core-cut", "The core ends early.", { acceptCoreBytes: cut }),
  malformed("version-2", "Version 2.", says({ version: 2 })),
  malformed("suite-2", "Suite 2.", says({ suite: 2 })),
  malformed("ciphertext-short", "A ciphertext of 1,119 bytes.", {
    acceptCore: (core) => ({ ...core, ciphertext: cut(core.ciphertext as Uint8Array) }),
  }),
  malformed("ciphertext-long", "One of 1,121.", {
    acceptCore: (core) => ({ ...core, ciphertext: long(core.ciphertext as Uint8Array) }),
  }),
  malformed("key-short", "A ratchet key of 1,215 bytes.", {
    acceptCore: (core) => ({ ...core, ratchetKey: cut(core.ratchetKey as Uint8Array) }),
  }),
  malformed("nonce-short", "A nonce of 31 bytes.", says({ nonce: new Uint8Array(31) })),
  malformed("no-parameters", "No parameters.", {
    acceptCore: ({ parameters: _, ...core }) => core,
  }),
  malformed("rekey-messages-0", "Keys are due after no message.", parameters({ rekeyMessages: 0 })),
  malformed("signature-short", "A signature of 3,372 bytes.", { acceptSignature: cut }),
  malformed("tag-short", "A tag of 31 bytes.", { tagR: cut }),
  malformed("tag-long", "One of 33.", { tagR: long }),
  malformed("tag-none", "None.", { tagR: () => new Uint8Array(0) }),
];

const above = refusal("SEC-18", "SECURE_MALFORMED");

const ABOVE: readonly SecureCase[] = [
  above("rekey-messages-more", "More messages than offered.", parameters({ rekeyMessages: 33 })),
  above("rekey-s-more", "A longer epoch than offered.", parameters({ rekeyS: 601 })),
  above("lifetime-more", "A longer session than offered.", parameters({ lifetimeS: 3601 }), {
    offered: { ...PARAMETERS, lifetime_s: 3600 },
  }),
  above("franking-more", "Franking that was not offered.", parameters({ franking: true })),
];

const foreign = refusal("SEC-19", "SECURE_PEER_UNKNOWN");

const PARTIES: readonly SecureCase[] = [
  refusal("SEC-33", "SECURE_SESSION_UNKNOWN")(
    "other-session",
    "Of a session that was not offered.",
    says({ sessionId: drawn("another session id", 16) }),
  ),
  foreign("from-other", "From another device.", says({ fromDevice: STRANGER.fingerprint })),
  foreign("to-other", "For another device.", says({ toDevice: STRANGER.fingerprint })),
  foreign(
    "reflected",
    "The devices as in the offer.",
    says({ fromDevice: PHONE.fingerprint, toDevice: TABLET.fingerprint }),
  ),
];

const unsigned = refusal("SEC-19 SEC-6 SEC-7", "SECURE_SIGNATURE_INVALID");
const other = new HandshakeVector({ name: "other" });

const SIGNATURES: readonly SecureCase[] = [
  unsigned("ed25519-wrong", "A bit of the Ed25519 half.", { acceptSignature: flipped(3) }),
  unsigned("ml-dsa-wrong", "A bit of the ML-DSA half.", { acceptSignature: flipped(-3) }),
  unsigned("halves-mixed", "The ML-DSA half is of another session.", {
    acceptSignature: (signature) =>
      join(signature.subarray(0, 64), other.accept.signature.subarray(64)),
  }),
  unsigned("halves-mixed-other", "The Ed25519 half is.", {
    acceptSignature: (signature) =>
      join(other.accept.signature.subarray(0, 64), signature.subarray(64)),
  }),
  unsigned("context-offer", "Signed as an offer.", {
    acceptSigned: (hash) => composite(TABLET, CONTEXTS.offer, hash),
  }),
  unsigned("context-certificate", "Signed as a certificate.", {
    acceptSigned: (hash) => composite(TABLET, CONTEXTS.certificate, hash),
  }),
  unsigned("signed-by-other", "Signed by another device.", {
    acceptSigned: (hash) => composite(STRANGER, CONTEXTS.accept, hash),
  }),
  unsigned("nonce-changed", "Another nonce behind the signature.", {
    acceptSigned: () => new HandshakeVector().accept.signature,
    ...says({ nonce: new Uint8Array(32) }),
  }),
];

/** The accept, or a part of it, is of another handshake with the same id, devices and times. */
function spliced(name: string, description: string, [parts, failure]: Splice): SecureCase {
  const ours = new HandshakeVector();
  const whole = { core: 0, signature: 0, tag: 0, ...parts };
  const [core, signature, tag] = [
    (whole.core ? other : ours).accept.core,
    (whole.signature ? other : ours).accept.signature,
    (whole.tag ? other : ours).accept.tag,
  ];
  const packet = packetOf({ case: "accept", value: { core, signature, tag } });
  const [offer, accept] = ours.arrivals(2);
  const packets = offer && accept ? [offer, { ...accept, packet }] : [];
  return ours.refused(["SEC-19", `accept-splice-${name}`, description], packets, failure);
}
type Splice = readonly [
  { readonly core?: 1; readonly signature?: 1; readonly tag?: 1 },
  SecureFailure,
];

const SPLICES: readonly SecureCase[] = [
  spliced("whole", "The accept of another offer between the same devices.", [
    { core: 1, signature: 1, tag: 1 },
    "SECURE_SIGNATURE_INVALID",
  ]),
  spliced("core", "Its core alone.", [{ core: 1 }, "SECURE_SIGNATURE_INVALID"]),
  spliced("signature", "Its signature alone.", [{ signature: 1 }, "SECURE_SIGNATURE_INVALID"]),
  spliced("tag", "Its tag alone.", [{ tag: 1 }, "SECURE_TAG_INVALID"]),
];

const untagged = refusal("SEC-19 SEC-15", "SECURE_TAG_INVALID");
const invalid = refusal("SEC-21", "SECURE_KEY_INVALID");
const ciphertext = (change: (bytes: Uint8Array) => Uint8Array): HandshakeLies => ({
  acceptCore: (core) => ({ ...core, ciphertext: change(core.ciphertext as Uint8Array) }),
});
const key = (change: (bytes: Uint8Array) => Uint8Array): HandshakeLies => ({
  acceptCore: (core) => ({ ...core, ratchetKey: change(core.ratchetKey as Uint8Array) }),
});

const SECRETS: readonly SecureCase[] = [
  untagged("tag-wrong", "A bit of the tag.", { tagR: flipped(0) }),
  untagged("tag-wrong-last", "Its last bit.", { tagR: flipped(-1) }),
  untagged("ciphertext-changed", "Another ciphertext, signed: ML-KEM takes it all the same.", {
    ...ciphertext(flipped(0)),
  }),
  untagged("secret-other", "The tag is of another secret.", { z1: flipped(0) }),
  untagged("tag-of-confirm", "The tag is not of this side.", {
    tagR: () => new HandshakeVector().secrets.tag_i,
  }),
  invalid("ciphertext-low-order", "The ciphertext's point is of order 8.", ciphertext(lowOrder)),
  invalid("ciphertext-zero", "It is zero.", ciphertext(zeroPoint)),
  invalid("key-unreduced", "ML-KEM's part of the key is not reduced.", key(unreduced)),
  invalid("key-low-order", "X25519's part of the key is of order 8.", key(lowOrder)),
];

function late(): SecureCase {
  const handshake = new HandshakeVector();
  const atMs = CREATED_MS + TTL_S * 1000;
  const packets = handshake.arrivals(2).map((packet, index) => ({
    ...packet,
    at_ms: index === 0 ? packet.at_ms : atMs,
  }));
  const about = [
    "SEC-22",
    "accept-late",
    "The offer is past its time: no allowance here.",
  ] as const;
  return handshake.refused(about, packets, "SECURE_EXPIRED");
}

function again(): SecureCase {
  const handshake = new HandshakeVector();
  const [offer, accept] = handshake.arrivals(2);
  const packets = offer && accept ? [offer, accept, accept] : [];
  const about = ["SEC-30", "accept-again", "An accept that was confirmed."] as const;
  return handshake.refused(about, packets, "SECURE_REPLAYED");
}

export const REFUSED_ACCEPTS: readonly SecureCase[] = [
  ...FORMS,
  ...ABOVE,
  ...PARTIES,
  ...SIGNATURES,
  ...SPLICES,
  ...SECRETS,
  late(),
  again(),
];
