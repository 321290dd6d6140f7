import { randomBytes } from "node:crypto";
import { NATIVE_CRYPTO } from "../platform/native-crypto.ts";
import { NOBLE_CRYPTO } from "../protocol/envelope/noble.ts";
import type { CryptoProvider } from "../protocol/envelope/provider.ts";
import { ACCEPT_ENTROPY_BYTES, acceptOffer } from "../protocol/secure/accepting.ts";
import type { EstablishedSecure } from "../protocol/secure/established.ts";
import { type OwnDevice, type ReadPacket, readPacket } from "../protocol/secure/handshake.ts";
import {
  type CertifiedDevice,
  deviceFingerprint,
  encodeDevice,
  SecureSigner,
} from "../protocol/secure/identity.ts";
import {
  CONFIRM_ENTROPY_BYTES,
  OFFER_ENTROPY_BYTES,
  Offering,
} from "../protocol/secure/offering.ts";
import { SESSION_ENTROPY_BYTES, SecureSession } from "../protocol/secure/session.ts";
import type { JobOptions, Result } from "./job.ts";
import { TimedProvider } from "./timed-provider.ts";

const PROVIDERS: readonly CryptoProvider[] = [NATIVE_CRYPTO, NOBLE_CRYPTO];
const CONTENT_BYTES = [100, 4 * 1024] as const;
/** As a client has them unless told otherwise. */
const PARAMETERS = { rekeyMessages: 32, rekeyS: 600, lifetimeS: 604_800, franking: false };
/** Of a session, after which it is begun anew: well below its limit. */
const MESSAGES_OF_A_SESSION = 100_000;
const WARM_SHARE = 4;

/** Measures what a secure chat computes: handshakes of each side, messages, and where time goes. */
export async function secure({ measureMs, report }: JobOptions): Promise<void> {
  for (const crypto of PROVIDERS) {
    for (const result of handshakeRates(crypto, measureMs)) report(result);
    for (const contentBytes of CONTENT_BYTES) {
      for (const talk of [oneWay, turnAbout]) {
        report(messageRate(crypto, { contentBytes, talk, measureMs }));
      }
    }
  }
  for (const crypto of PROVIDERS) {
    for (const result of handshakeShares(crypto, measureMs)) report(result);
    for (const result of messageShares(crypto, measureMs)) report(result);
  }
}

type Side = "offering" | "accepting";
const SIDES: readonly Side[] = ["offering", "accepting"];

/** Two devices that know each other. */
class Couple {
  readonly #crypto: CryptoProvider;
  readonly #offering: OwnDevice;
  readonly #accepting: OwnDevice;
  readonly spentMs: Record<Side, number> = { offering: 0, accepting: 0 };

  constructor(crypto: CryptoProvider) {
    this.#crypto = crypto;
    this.#offering = deviceOf(crypto, "ann");
    this.#accepting = deviceOf(crypto, "bob");
  }

  /** One whole handshake; both ends of its session. */
  shakeHands(): readonly [EstablishedSecure, EstablishedSecure] {
    const crypto = this.#crypto;
    const nowMs = Date.now();
    const at = (length: number) => ({ nowMs, entropy: randomBytes(length) });
    const wanted = {
      sessionId: randomBytes(16),
      peer: certified(this.#accepting),
      parameters: PARAMETERS,
      ttlS: 60,
    };
    const offering = this.#timed(
      "offering",
      () => new Offering(crypto, this.#offering, wanted, at(OFFER_ENTROPY_BYTES)),
    );
    const accepting = this.#timed("accepting", () => {
      const offer = read(offering.packet, "offer");
      const input = { offer, peer: certified(this.#offering), parameters: PARAMETERS };
      return sound(acceptOffer(crypto, this.#accepting, input, at(ACCEPT_ENTROPY_BYTES)));
    });
    const { packet, established: ours } = this.#timed("offering", () => {
      const accept = read(accepting.packet, "accept");
      return sound(offering.accepted(accept, at(CONFIRM_ENTROPY_BYTES)));
    });
    const theirs = this.#timed("accepting", () =>
      sound(accepting.confirmed(read(packet, "confirm"), nowMs)),
    );
    return [ours, theirs];
  }

  #timed<Out>(side: Side, work: () => Out): Out {
    const startedMs = performance.now();
    const out = work();
    this.spentMs[side] += performance.now() - startedMs;
    return out;
  }
}

function deviceOf(crypto: CryptoProvider, userId: string): OwnDevice {
  const keys = [crypto.ed25519Key(randomBytes(32)), crypto.mlDsa65Key(randomBytes(32))] as const;
  const signer = new SecureSigner(...keys);
  const device = { userId, deviceId: "phone", keys: signer.keys };
  const fingerprint = deviceFingerprint(crypto, encodeDevice(device));
  return { userId, deviceId: "phone", signer, fingerprint };
}

function certified({ userId, deviceId, signer, fingerprint }: OwnDevice): CertifiedDevice {
  return { userId, deviceId, fingerprint, keys: signer.keys, createdMs: 1, expiresMs: 0 };
}

function read<Kind extends ReadPacket["kind"]>(packet: Uint8Array, kind: Kind) {
  const found = sound(readPacket(packet));
  if (found.kind !== kind) throw new Error(`a packet of kind ${found.kind}`);
  return found as ReadPacket & { readonly kind: Kind };
}

function sound<Value extends object>(value: Value): Exclude<Value, { readonly code: unknown }> {
  if ("code" in value) throw new Error("refused");
  return value as Exclude<Value, { readonly code: unknown }>;
}

/** How many handshakes a second each side could do if it did nothing else. */
function handshakeRates(crypto: CryptoProvider, measureMs: number): readonly Result[] {
  const couple = new Couple(crypto);
  repeat(() => couple.shakeHands(), measureMs / WARM_SHARE);
  for (const side of SIDES) couple.spentMs[side] = 0;
  const count = repeat(() => couple.shakeHands(), measureMs);
  return SIDES.map((side) => {
    const value = (count * 1000) / couple.spentMs[side];
    return { name: `handshake, ${crypto.name}, ${side} side`, value, unit: "handshakes/s" };
  });
}

/** Says one message from one session to the other one. */
type Talk = (sessions: readonly [SecureSession, SecureSession], say: Say) => void;
type Say = (from: SecureSession, to: SecureSession) => void;

/** One side talks, the other one answers for the ratchet's sake alone. */
const oneWay: Talk = ([from, to], say) => say(from, to);
const turnAbout: Talk = ([a, b], say) => {
  say(a, b);
  say(b, a);
};

/** Messages a second, each sealed by one side and opened by the other, new keys among them. */
function messageRate(
  crypto: CryptoProvider,
  { contentBytes, talk, measureMs }: { contentBytes: number; talk: Talk; measureMs: number },
): Result {
  const conversation = new Conversation(crypto, contentBytes, talk);
  repeat(() => conversation.turn(), measureMs / WARM_SHARE);
  conversation.messageCount = 0;
  const startedMs = performance.now();
  repeat(() => conversation.turn(), measureMs);
  const value = (conversation.messageCount * 1000) / (performance.now() - startedMs);
  const way = talk === oneWay ? "one way" : "both ways";
  return {
    name: `messages of ${contentBytes} B ${way}, ${crypto.name}`,
    value,
    unit: "messages/s",
  };
}

class Conversation {
  readonly #crypto: CryptoProvider;
  readonly #text: string;
  readonly #talk: Talk;
  readonly #couple: Couple;
  #sessions: readonly [SecureSession, SecureSession];
  #ofSession = 0;
  messageCount = 0;

  constructor(crypto: CryptoProvider, contentBytes: number, talk: Talk) {
    this.#crypto = crypto;
    this.#text = "x".repeat(contentBytes);
    this.#talk = talk;
    this.#couple = new Couple(crypto);
    this.#sessions = this.#open();
  }

  turn(): void {
    if (this.#ofSession > MESSAGES_OF_A_SESSION) this.#sessions = this.#open();
    this.#talk(this.#sessions, (from, to) => this.#say(from, to));
  }

  #open(): readonly [SecureSession, SecureSession] {
    this.#ofSession = 0;
    const [ours, theirs] = this.#couple.shakeHands();
    return [new SecureSession(this.#crypto, ours), new SecureSession(this.#crypto, theirs)];
  }

  #say(from: SecureSession, to: SecureSession): void {
    const at = () => ({ nowMs: Date.now(), entropy: randomBytes(SESSION_ENTROPY_BYTES) });
    const kind = { case: "text", value: this.#text } as const;
    const sent = from.send({ sentMs: 1, lifetimeS: 0, kind }, at());
    if (sent.kind === "refused") throw new Error("refused");
    const opened = to.receive(sent.message, at());
    if (opened.kind === "refused") throw new Error("refused");
    if (opened.reply !== undefined) from.receive(opened.reply, at());
    this.messageCount += 1;
    this.#ofSession += 1;
  }
}

/** Where the time of a handshake goes, both sides together. */
function handshakeShares(inner: CryptoProvider, measureMs: number): readonly Result[] {
  const crypto = new TimedProvider(inner);
  const couple = new Couple(crypto);
  return shares(crypto, "handshake", () => repeat(() => couple.shakeHands(), measureMs));
}

/** Where the time of a short message goes, sealed and opened, new keys among them. */
function messageShares(inner: CryptoProvider, measureMs: number): readonly Result[] {
  const crypto = new TimedProvider(inner);
  const conversation = new Conversation(crypto, CONTENT_BYTES[0], turnAbout);
  return shares(crypto, "message", () => repeat(() => conversation.turn(), measureMs));
}

function shares(crypto: TimedProvider, of: string, work: () => void): readonly Result[] {
  crypto.spentMs.clear();
  const startedMs = performance.now();
  work();
  const wholeMs = performance.now() - startedMs;
  const spent = [...crypto.spentMs];
  const restMs = spent.reduce((rest, [, ms]) => rest - ms, wholeMs);
  return [...spent, ["everything else", restMs] as const]
    .sort(([, a], [, b]) => b - a)
    .map(([primitive, ms]) => {
      const name = `share of a ${of}, ${crypto.name}: ${primitive}`;
      return { name, value: (100 * ms) / wholeMs, unit: "%" };
    });
}

/** Does something again and again for a while; how often. */
function repeat(work: () => unknown, forMs: number): number {
  const endMs = performance.now() + forMs;
  let count = 0;
  do {
    work();
    count += 1;
  } while (performance.now() < endMs);
  return count;
}
