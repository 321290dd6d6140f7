import { assert } from "../violation.ts";
import { ascii, concat, lv8, NO_BYTES } from "./octets.ts";
import {
  type Aead,
  type AeadName,
  aeadKeyBytes,
  type CryptoProvider,
  HASH_BYTES,
  NONCE_BYTES,
} from "./provider.ts";
import { LINK_LABEL, signedText, transcriptHash } from "./transcript.ts";

const LABEL_PREFIX = "phorn1 ";

/**
 * A secret derived from a secret, for one purpose: HKDF-Expand with the info of RFC 8446 §7.1 and
 * our prefix. [ENV-2]
 *
 * @param length at most 32: one block of HKDF-Expand (RFC 5869 §2.3), all that the link needs
 */
export function expandLabel(
  crypto: CryptoProvider,
  { secret, label, context = NO_BYTES, length = HASH_BYTES }: Expansion,
): Uint8Array {
  assert(secret.length === HASH_BYTES && length <= HASH_BYTES, "secrets are as long as hashes");
  const width = Uint8Array.of(length >>> 8, length);
  const info = concat([width, lv8(ascii(LABEL_PREFIX + label)), lv8(context), Uint8Array.of(1)]);
  return crypto.hmacSha256(secret, info).subarray(0, length);
}

export interface Expansion {
  readonly secret: Uint8Array;
  readonly label: string;
  readonly context?: Uint8Array;
  readonly length?: number;
}

/** The hellos as they were carried; the receiver keeps them and encodes nothing again. [ENV-1] */
export interface Hellos {
  readonly clientCore: Uint8Array;
  /** Empty without a ticket. */
  readonly binder: Uint8Array;
  readonly serverCore: Uint8Array;
}

/** What the service signs: both hellos, so that nothing of them can be changed. [ENV-14] */
export function serverSignedText(crypto: CryptoProvider, hellos: Hellos): Uint8Array {
  const { clientCore, binder, serverCore } = hellos;
  const th1 = transcriptHash(crypto, LINK_LABEL, [clientCore, binder, serverCore]);
  return signedText("Posthorn link v1 server signature", th1);
}

/** What went into a link's secrets. */
export interface LinkInput extends Hellos {
  readonly signature: Uint8Array;
  /** Of the ticket in force; undefined without one. */
  readonly psk: Uint8Array | undefined;
  /** Of the key agreement; undefined without one. */
  readonly kemSecret: Uint8Array | undefined;
}

/** Everything that comes of a handshake, the same on both sides. 32 bytes each. [ENV-15] */
export interface LinkSecrets {
  readonly serverConfirm: Uint8Array;
  readonly clientConfirm: Uint8Array;
  readonly clientTraffic: Uint8Array;
  readonly serverTraffic: Uint8Array;
  /** Where tickets come from. */
  readonly resumption: Uint8Array;
  /** Known to both ends of this link and to nobody else: what a login is bound to. [ENV-35] */
  readonly channelBinding: Uint8Array;
}

/**
 * The key schedule. [ENV-15]
 *
 * Everything hangs on the transcript up to and with the other side's confirm, and on both secrets:
 * losing one of the two loses nothing (NIST SP 800-56C r2 §2, hybrid Z ‖ T).
 */
export function linkSecrets(crypto: CryptoProvider, input: LinkInput): LinkSecrets {
  const { clientCore, binder, serverCore, signature, psk = ABSENT, kemSecret = ABSENT } = input;
  const heard = [clientCore, binder, serverCore, signature];
  const th2 = transcriptHash(crypto, LINK_LABEL, heard);
  const prk = crypto.hmacSha256(th2, concat([psk, kemSecret]));
  const of = (label: string, context: Uint8Array) =>
    expandLabel(crypto, { secret: prk, label, context });

  const serverConfirm = crypto.hmacSha256(of("s confirm", th2), th2);
  const th3 = transcriptHash(crypto, LINK_LABEL, [...heard, serverConfirm]);
  const clientConfirm = crypto.hmacSha256(of("c confirm", th2), th3);
  const th4 = transcriptHash(crypto, LINK_LABEL, [...heard, serverConfirm, clientConfirm]);
  const exporter = of("exporter", th4);
  return {
    serverConfirm,
    clientConfirm,
    clientTraffic: of("c traffic", th4),
    serverTraffic: of("s traffic", th4),
    resumption: of("resumption", th4),
    channelBinding: expandLabel(crypto, { secret: exporter, label: "channel binding" }),
  };
}

const ABSENT = new Uint8Array(HASH_BYTES);

/** What seals the records of one direction in one epoch. [ENV-5] */
export interface TrafficKey {
  readonly aead: Aead;
  /** NONCE_BYTES. */
  readonly iv: Uint8Array;
}

export function trafficKey(crypto: CryptoProvider, name: AeadName, secret: Uint8Array): TrafficKey {
  const key = expandLabel(crypto, { secret, label: "key", length: aeadKeyBytes(name) });
  const iv = expandLabel(crypto, { secret, label: "iv", length: NONCE_BYTES });
  return { aead: crypto.aead(name, key), iv };
}

/** The traffic secret of the next epoch; the one before cannot be found from it. [ENV-39] */
export function nextTrafficSecret(crypto: CryptoProvider, secret: Uint8Array): Uint8Array {
  return expandLabel(crypto, { secret, label: "traffic upd" });
}

/** The secret that a ticket stands for. [ENV-42] */
export function ticketSecret(
  crypto: CryptoProvider,
  resumption: Uint8Array,
  ticketId: Uint8Array,
): Uint8Array {
  return expandLabel(crypto, { secret: resumption, label: "ticket", context: ticketId });
}

/** Proof in a ClientHello that its sender has the ticket's secret. [ENV-43] */
export function binderOf(
  crypto: CryptoProvider,
  psk: Uint8Array,
  clientCore: Uint8Array,
): Uint8Array {
  const hash = transcriptHash(crypto, `${LINK_LABEL} binder`, [clientCore]);
  return crypto.hmacSha256(expandLabel(crypto, { secret: psk, label: "binder" }), hash);
}
