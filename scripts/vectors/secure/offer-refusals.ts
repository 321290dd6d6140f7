import { appended, flipped } from "../envelope/lies.ts";
import { join } from "../envelope/primitives.ts";
import type { SecureCase, SecureFailure } from "./cases.ts";
import {
  CREATED_MS,
  type HandshakeLies,
  type HandshakePlan,
  HandshakeVector,
  PARAMETERS,
  PHONE,
  STRANGER,
  TABLET,
  TTL_S,
  toSaid,
} from "./handshake-builder.ts";
import { padding } from "./handshakes.ts";
import { CONTEXTS, composite } from "./identity-builder.ts";
import { lowOrder, unreduced, zeroPoint } from "./kem-faults.ts";
import { P, th512 } from "./schedule.ts";

const refusal =
  (id: string, failure: SecureFailure) =>
  (name: string, description: string, lies: HandshakeLies, plan: HandshakePlan = {}) => {
    const handshake = new HandshakeVector({ ...plan, lies });
    const about = [id, `offer-${name}`, description] as const;
    return handshake.refused(about, handshake.arrivals(1), failure);
  };

const malformed = refusal("SEC-14", "SECURE_MALFORMED");

const says = (change: object): HandshakeLies => ({ offerCore: (core) => ({ ...core, ...change }) });
const parameters = (change: object): HandshakeLies =>
  says({ parameters: { ...toSaid(PARAMETERS), ...change } });
const cut = (bytes: Uint8Array) => bytes.subarray(0, -1);
const long = appended("00");

type Field = "sessionId" | "fromDevice" | "toDevice" | "ratchetKey" | "nonce";

/** A field one byte shorter, and one longer. */
function lengths(field: Field, name: string): SecureCase[] {
  return (
    [
      ["short", cut],
      ["long", long],
    ] as const
  ).map(([how, change]) =>
    malformed(`${name}-${how}`, `${name}: a wrong length.`, {
      offerCore: (core) => ({ ...core, [field]: change(core[field] as Uint8Array) }),
    }),
  );
}

const FORMS: readonly SecureCase[] = [
  malformed("packet-empty", "No packet.", { offerPacket: () => new Uint8Array(0) }),
  malformed("packet-cut", "The packet ends early.", { offerPacket: cut }),
  malformed("packet-unknown-field", "A field that no packet has.", {
    offerPacket: appended("2801"),
  }),
  malformed("packet-two-kinds", "Two kinds, the later one counts elsewhere.", {
    offerPacket: (packet) => join(packet, packet),
  }),
  malformed("packet-long-length", "A length that is not in its shortest form.", {
    offerPacket: (packet) => {
      const at = packet.findIndex((byte, index) => index > 0 && byte < 0x80);
      const last = packet[at] as number;
      return join(packet.subarray(0, at), Uint8Array.of(last | 0x80, 0), packet.subarray(at + 1));
    },
  }),
  malformed("core-cut", "The core ends early.", { offerCoreBytes: cut }),
  malformed("core-4097", "A core of 4,097 bytes.", {
    offerCoreBytes: (core) => padding(core, 4097),
  }),
  malformed("version-0", "Version 0.", says({ version: 0 })),
  malformed("version-2", "Version 2.", says({ version: 2 })),
  malformed("suite-0", "Suite 0.", says({ suite: 0 })),
  malformed("suite-2", "Suite 2.", says({ suite: 2 })),
  ...lengths("sessionId", "session-id"),
  ...lengths("fromDevice", "from-device"),
  ...lengths("toDevice", "to-device"),
  ...lengths("ratchetKey", "ratchet-key"),
  ...lengths("nonce", "nonce"),
  malformed("created-0", "Created at no time.", says({ createdMs: 0n })),
  malformed("ttl-0", "It holds for no time.", says({ ttlS: 0 })),
  malformed("ttl-long", "It holds for more than a day.", says({ ttlS: 86_401 })),
  malformed("no-parameters", "No parameters.", {
    offerCore: ({ parameters: _, ...core }) => core,
  }),
  malformed("rekey-messages-0", "Keys are due after no message.", parameters({ rekeyMessages: 0 })),
  malformed("rekey-messages-129", "After 129.", parameters({ rekeyMessages: 129 })),
  malformed("rekey-s-0", "After no time.", parameters({ rekeyS: 0 })),
  malformed("rekey-s-long", "After more than a day.", parameters({ rekeyS: 86_401 })),
  malformed("lifetime-0", "A session of no time.", parameters({ lifetimeS: 0 })),
  malformed("lifetime-long", "A session of more than a week.", parameters({ lifetimeS: 604_801 })),
  malformed("signature-short", "A signature of 3,372 bytes.", { offerSignature: cut }),
  malformed("signature-long", "One of 3,374.", { offerSignature: long }),
  malformed("signature-none", "None.", { offerSignature: () => new Uint8Array(0) }),
];

const unknown = refusal("SEC-17", "SECURE_PEER_UNKNOWN");
const foreign = refusal("SEC-31", "SECURE_PEER_UNKNOWN");

const PARTIES: readonly SecureCase[] = [
  unknown("to-other", "For another device.", says({ toDevice: STRANGER.fingerprint })),
  unknown("to-sender", "For its sender.", says({ toDevice: PHONE.fingerprint })),
  unknown("from-receiver", "From the receiver itself.", says({ fromDevice: TABLET.fingerprint })),
  foreign("from-other", "From another device than the service names.", {
    ...says({ fromDevice: STRANGER.fingerprint }),
    offerSigned: (core) => composite(STRANGER, CONTEXTS.offer, th512(P, core)),
  }),
];

const unsigned = refusal("SEC-17 SEC-6 SEC-7", "SECURE_SIGNATURE_INVALID");
const hash = (core: Uint8Array) => th512(P, core);
const other = new HandshakeVector({ name: "other" });

const SIGNATURES: readonly SecureCase[] = [
  unsigned("ed25519-wrong", "A bit of the Ed25519 half.", { offerSignature: flipped(3) }),
  unsigned("ml-dsa-wrong", "A bit of the ML-DSA half.", { offerSignature: flipped(-3) }),
  unsigned("halves-mixed", "The ML-DSA half is of another offer of the same device.", {
    offerSignature: (signature) =>
      join(signature.subarray(0, 64), other.offer.signature.subarray(64)),
  }),
  unsigned("halves-mixed-other", "The Ed25519 half is.", {
    offerSignature: (signature) =>
      join(other.offer.signature.subarray(0, 64), signature.subarray(64)),
  }),
  unsigned("signature-of-other", "The signature is of another offer.", {
    offerSignature: () => other.offer.signature,
  }),
  unsigned("context-accept", "Signed as an accept.", {
    offerSigned: (core) => composite(PHONE, CONTEXTS.accept, hash(core)),
  }),
  unsigned("context-certificate", "Signed as a certificate.", {
    offerSigned: (core) => composite(PHONE, CONTEXTS.certificate, hash(core)),
  }),
  unsigned("signed-by-other", "Signed by another device.", {
    offerSigned: (core) => composite(STRANGER, CONTEXTS.offer, hash(core)),
  }),
  unsigned("core-unhashed", "The core is signed, not its hash.", {
    offerSigned: (core) => composite(PHONE, CONTEXTS.offer, core),
  }),
  unsigned("core-changed", "Another nonce behind the signature.", {
    offerSigned: () => new HandshakeVector().offer.signature,
    ...says({ nonce: new Uint8Array(32) }),
  }),
  unsigned("parameters-changed", "Other parameters behind the signature.", {
    offerSigned: () => new HandshakeVector().offer.signature,
    ...parameters({ rekeyMessages: 128 }),
  }),
];

const invalid = refusal("SEC-21", "SECURE_KEY_INVALID");
const key = (change: (bytes: Uint8Array) => Uint8Array): HandshakeLies => ({
  offerCore: (core) => ({ ...core, ratchetKey: change(core.ratchetKey as Uint8Array) }),
});

const KEYS: readonly SecureCase[] = [
  invalid("key-unreduced", "ML-KEM's part is not reduced.", key(unreduced)),
  invalid("key-low-order", "X25519's point is of order 8.", key(lowOrder)),
  invalid("key-zero", "It is zero.", key(zeroPoint)),
];

function atTime(name: string, description: string, atMs: number): SecureCase {
  const handshake = new HandshakeVector();
  const packets = handshake.arrivals(1).map((packet) => ({ ...packet, at_ms: atMs }));
  return handshake.refused(["SEC-22", `offer-${name}`, description], packets, "SECURE_EXPIRED");
}

function again(): SecureCase {
  const handshake = new HandshakeVector();
  const [first] = handshake.arrivals(1);
  const packets = [first, first].filter((packet) => packet !== undefined);
  const about = ["SEC-28", "offer-again", "An offer that was answered."] as const;
  return handshake.refused(about, packets, "SECURE_REPLAYED");
}

export const REFUSED_OFFERS: readonly SecureCase[] = [
  ...FORMS,
  ...PARTIES,
  ...SIGNATURES,
  ...KEYS,
  atTime("expired", "5 minutes past its time.", CREATED_MS + TTL_S * 1000 + 300_000),
  atTime("early", "More than 5 minutes ahead.", CREATED_MS - 300_001),
  again(),
];
