import assert from "node:assert/strict";
import {
  type Members,
  parametersOf,
  Refusal,
  refusedBy,
  same,
  testVectors,
} from "../../fuzz/secure/vector-reader.ts";
import { NOBLE_CRYPTO } from "../envelope/noble.ts";
import { concat, equalBytes } from "../envelope/octets.ts";
import type { CryptoProvider } from "../envelope/provider.ts";
import { type Accepting, acceptOffer, judgeOffer } from "./accepting.ts";
import type { EstablishedSecure } from "./established.ts";
import { type OwnDevice, type ReadPacket, readPacket } from "./handshake.ts";
import {
  type CertifiedDevice,
  decodeDevice,
  deviceFingerprint,
  type SecureDevice,
  SecureSigner,
} from "./identity.ts";
import { Offering } from "./offering.ts";

// Both sides of a handshake at once, each with what its packets are made of.

const UNKNOWN = new Refusal("SECURE_SESSION_UNKNOWN");
const REPLAYED = new Refusal("SECURE_REPLAYED");

class Side {
  readonly own: OwnDevice;
  readonly members: Members;

  constructor(of: Members, crypto: CryptoProvider) {
    this.members = of;
    const ed25519 = crypto.ed25519Key(of.bytes("ed25519_seed"));
    const mlDsa65 = crypto.mlDsa65Key(of.bytes("ml_dsa_65_seed"));
    const signer = new SecureSigner(ed25519, mlDsa65);
    // Where a case leaves the layout out nobody asks for the names in it.
    const device = of.has("device_hex") ? decodeDevice(of.bytes("device")) : undefined;
    const names = device ?? { userId: "nobody", deviceId: "nothing" };
    this.own = { ...names, signer, fingerprint: of.bytes("fingerprint") };
    if (of.has("device_hex")) {
      same(deviceFingerprint(crypto, of.bytes("device")), this.own.fingerprint, "fingerprint");
    }
  }

  /** As the directory has it. */
  get certified(): CertifiedDevice {
    const { userId, deviceId, signer, fingerprint } = this.own;
    const device: SecureDevice = { userId, deviceId, keys: signer.keys };
    return { ...device, fingerprint, createdMs: 1, expiresMs: 0 };
  }
}

/** The least that stands around the machines of a handshake. */
class Handshake {
  readonly offering: Side;
  readonly accepting: Side;
  readonly offer: Offering;
  accept: Accepting | undefined;
  readonly established: EstablishedSecure[] = [];
  readonly sent: Uint8Array[] = [];
  readonly #crypto: CryptoProvider;

  constructor(of: Members, crypto: CryptoProvider) {
    this.#crypto = crypto;
    this.offering = new Side(of.object("offering"), crypto);
    this.accepting = new Side(of.object("accepting"), crypto);
    const { members, own } = this.offering;
    const input = {
      sessionId: of.bytes("session_id"),
      peer: this.accepting.certified,
      parameters: parametersOf(members.object("parameters")),
      ttlS: of.number("ttl_s"),
    };
    const entropy = concat([members.bytes("xwing_seed"), members.bytes("nonce")]);
    const at = { nowMs: of.number("created_ms"), entropy };
    this.offer = new Offering(crypto, own, input, at);
    this.sent.push(this.offer.packet);
  }

  /** @throws Refusal */
  received(packet: Uint8Array, nowMs: number): void {
    const read = readPacket(packet);
    if ("code" in read) throw refusedBy(read);
    if (read.kind === "offer") this.#offered(read, nowMs);
    else if (read.kind === "accept") this.#accepted(read, nowMs);
    else if (read.kind === "confirm") this.#confirmed(read, nowMs);
  }

  #offered(offer: Extract<ReadPacket, { readonly kind: "offer" }>, nowMs: number): void {
    const { own, members } = this.accepting;
    const peer = this.offering.certified;
    const fault = judgeOffer(offer, own, nowMs);
    if (fault !== undefined) throw refusedBy(fault);
    if (this.accept !== undefined) throw REPLAYED;
    // [SEC-31]
    if (!equalBytes(offer.core.fromDevice, peer.fingerprint)) {
      throw new Refusal("SECURE_PEER_UNKNOWN");
    }
    const drawn = ["kem_randomness", "xwing_seed", "nonce"].map((name) => members.bytes(name));
    const parameters = parametersOf(members.object("parameters"));
    const at = { nowMs, entropy: concat(drawn) };
    const accept = acceptOffer(this.#crypto, own, { offer, peer, parameters }, at);
    if ("code" in accept) throw refusedBy(accept);
    this.accept = accept;
    this.sent.push(accept.packet);
  }

  #accepted(accept: Extract<ReadPacket, { readonly kind: "accept" }>, nowMs: number): void {
    // [SEC-33]
    if (!equalBytes(accept.core.sessionId, this.offer.sessionId)) throw UNKNOWN;
    const entropy = this.offering.members.bytes("kem_randomness");
    const confirmed = this.offer.accepted(accept, { nowMs, entropy });
    if ("code" in confirmed) throw refusedBy(confirmed);
    this.established.push(confirmed.established);
    this.sent.push(confirmed.packet);
  }

  #confirmed(confirm: Extract<ReadPacket, { readonly kind: "confirm" }>, nowMs: number): void {
    assert.ok(this.accept !== undefined);
    const established = this.accept.confirmed(confirm, nowMs);
    if ("code" in established) throw refusedBy(established);
    this.established.push(established);
  }
}

/** A side that is odd says what ours would not: only the other one is judged then. */
function checkHandshake(of: Members, crypto: CryptoProvider): void {
  const handshake = new Handshake(of, crypto);
  const odd = of.has("odd") ? of.text("odd") : "neither";
  const packets = of.list("packets");
  for (const [index, packet] of packets.entries()) {
    const judge = packet.text("from") === "offering" ? "accepting" : "offering";
    if (judge === odd) continue;
    try {
      handshake.received(packet.bytes("packet"), packet.number("at_ms"));
    } catch (refusal) {
      assert.equal(index, packets.length - 1, `packet ${index}: ${refusal}`);
      throw refusal;
    }
  }
  if (!of.has("secrets")) return;
  for (const { root } of handshake.established) {
    same(root, of.object("secrets").bytes("rk1"), "rk1");
  }
  assert.equal(handshake.established.length, odd === "neither" ? 2 : 1);
  const said = packets.filter((packet) => packet.text("from") !== odd);
  const ours = handshake.sent.filter((_, index) => odd !== "offering" || index === 1);
  for (const [index, packet] of said.entries()) {
    same(ours[index] ?? new Uint8Array(0), packet.bytes("packet"), `packet ${index}`);
  }
}

testVectors(["chat-handshake"], { "chat-handshake": checkHandshake }, [NOBLE_CRYPTO]);
