import type { CryptoProvider } from "../envelope/provider.ts";
import { FINGERPRINT_BYTES } from "./identity.ts";
import type { SecurePeer } from "./peer.ts";
import { SecureSession } from "./session.ts";
import { StateReader, StateWriter } from "./stored-state.ts";

/** A chat that is open: a session, and with whom. */
export interface OpenChat {
  readonly session: SecureSession;
  readonly peer: SecurePeer;
  readonly expiresMs: number;
}

const STATE_VERSION = 1;

/**
 * An open chat, to be stored under a key that the platform does not hand out. Nobody but this
 * device reads it. [SEC-69]
 */
export function storeChat({ session, peer, expiresMs }: OpenChat): Uint8Array {
  const into = new StateWriter();
  into.u32(STATE_VERSION);
  into.maybe(session.snapshot(), (state) => {
    into.bytes(state);
    state.fill(0);
  });
  storePeer(into, peer);
  into.u64(expiresMs);
  return into.finish();
}

/** What was stored; undefined when it is none, or of another version. Never throws. [SEC-70] */
export function restoreChat(crypto: CryptoProvider, state: Uint8Array): OpenChat | undefined {
  const from = new StateReader(state);
  if (from.u32() !== STATE_VERSION) return undefined;
  const session = from.maybe(() => from.bytes());
  const stored = { peer: restorePeer(from), expiresMs: from.u64() };
  const restored =
    session !== undefined && from.isWhole ? SecureSession.restore(crypto, session) : undefined;
  session?.fill(0);
  return restored && { ...stored, session: restored };
}

function storePeer(into: StateWriter, peer: SecurePeer): void {
  into.bytes(letters(peer.userId));
  into.bytes(letters(peer.deviceId));
  into.bytes(peer.keys.ed25519);
  into.bytes(peer.keys.mlDsa65);
  into.bytes(peer.fingerprint);
  into.u64(peer.createdMs);
  into.u64(peer.expiresMs);
  into.bytes(peer.accountFingerprint);
  into.flag(peer.continuity === "known");
}

function restorePeer(from: StateReader): SecurePeer {
  return {
    userId: String.fromCharCode(...from.bytes()),
    deviceId: String.fromCharCode(...from.bytes()),
    keys: { ed25519: from.bytes(), mlDsa65: from.bytes() },
    fingerprint: from.bytes(FINGERPRINT_BYTES),
    createdMs: from.u64(),
    expiresMs: from.u64(),
    accountFingerprint: from.bytes(FINGERPRINT_BYTES),
    continuity: from.flag() ? "known" : "first-seen",
  };
}

/** Names are ASCII. */
function letters(text: string): Uint8Array {
  return Uint8Array.from(text, (letter) => letter.charCodeAt(0));
}
