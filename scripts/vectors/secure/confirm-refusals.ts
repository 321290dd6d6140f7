import { appended, flipped } from "../envelope/lies.ts";
import { drawn } from "../envelope/primitives.ts";
import type { SecureCase, SecureFailure } from "./cases.ts";
import { CREATED_MS, type HandshakeLies, HandshakeVector, TTL_S } from "./handshake-builder.ts";
import { lowOrder, zeroPoint } from "./kem-faults.ts";

const refusal =
  (id: string, failure: SecureFailure) =>
  (name: string, description: string, lies: HandshakeLies) => {
    const handshake = new HandshakeVector({ lies });
    const about = [id, `confirm-${name}`, description] as const;
    return handshake.refused(about, handshake.arrivals(3), failure);
  };

const malformed = refusal("SEC-14", "SECURE_MALFORMED");
const untagged = refusal("SEC-20 SEC-15", "SECURE_TAG_INVALID");
const invalid = refusal("SEC-21", "SECURE_KEY_INVALID");

const says = (change: object): HandshakeLies => ({
  confirmCore: (core) => ({ ...core, ...change }),
});
type Change = (bytes: Uint8Array) => Uint8Array;
const ciphertext = (change: Change): HandshakeLies => ({
  confirmCore: (core) => ({ ...core, ciphertext: change(core.ciphertext as Uint8Array) }),
});
const cut: Change = (bytes) => bytes.subarray(0, -1);

const other = new HandshakeVector({ name: "other" });

/** The core or all of a confirm of another handshake, with the same id, devices and times. */
function spliced(name: string, description: string, lies: HandshakeLies): SecureCase {
  return refusal("SEC-20", "SECURE_TAG_INVALID")(`splice-${name}`, description, lies);
}

function late(): SecureCase {
  const handshake = new HandshakeVector();
  const atMs = CREATED_MS + TTL_S * 1000 + 300_000;
  const packets = handshake.arrivals(3).map((packet, index) => ({
    ...packet,
    at_ms: index === 2 ? atMs : packet.at_ms,
  }));
  const about = ["SEC-22", "confirm-late", "5 minutes after the offer's time."] as const;
  return handshake.refused(about, packets, "SECURE_EXPIRED");
}

function again(): SecureCase {
  const handshake = new HandshakeVector();
  const packets = handshake.arrivals(3);
  const about = ["SEC-30", "confirm-again", "A confirm that was here before."] as const;
  return handshake.refused(about, [...packets, ...packets.slice(-1)], "SECURE_REPLAYED");
}

export const REFUSED_CONFIRMS: readonly SecureCase[] = [
  malformed("packet-unknown-field", "A field that no packet has.", {
    confirmPacket: appended("2801"),
  }),
  malformed("core-cut", "The core ends early.", { confirmCoreBytes: cut }),
  malformed("version-2", "Version 2.", says({ version: 2 })),
  malformed("session-id-short", "A session id of 15 bytes.", says({ sessionId: drawn("x", 15) })),
  malformed("ciphertext-short", "A ciphertext of 1,119 bytes.", ciphertext(cut)),
  malformed("ciphertext-long", "One of 1,121.", ciphertext(appended("00"))),
  malformed("tag-short", "A tag of 31 bytes.", { tagI: cut }),
  malformed("tag-none", "None.", { tagI: () => new Uint8Array(0) }),
  refusal("SEC-33", "SECURE_SESSION_UNKNOWN")(
    "other-session",
    "Of a session that was not offered.",
    says({ sessionId: drawn("another session id", 16) }),
  ),
  untagged("tag-wrong", "A bit of the tag.", { tagI: flipped(0) }),
  untagged("tag-wrong-last", "Its last bit.", { tagI: flipped(-1) }),
  untagged("tag-of-accept", "The accept's tag.", { tagI: () => other.accept.tag }),
  untagged("ciphertext-changed", "Another ciphertext: ML-KEM takes it all the same.", {
    ...ciphertext(flipped(0)),
  }),
  untagged("core-changed", "A field that was not there when the tag was made.", {
    tagI: () => new HandshakeVector().secrets.tag_i,
    confirmCoreBytes: appended("f00101"),
  }),
  invalid("ciphertext-low-order", "The ciphertext's point is of order 8.", ciphertext(lowOrder)),
  invalid("ciphertext-zero", "It is zero.", ciphertext(zeroPoint)),
  spliced("whole", "The confirm of another session between the same devices.", {
    confirmPacket: () => other.confirm.packet,
  }),
  spliced("core", "Its core alone.", { confirmCoreBytes: () => other.confirm.core }),
  spliced("tag", "Its tag alone.", { tagI: () => other.secrets.tag_i }),
  late(),
  again(),
];
