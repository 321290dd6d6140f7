import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import type { SecureChatsEffect } from "../../protocol/secure/chat-effects.ts";
import type { DeviceAddress } from "../../protocol/secure/peer.ts";

/** How often a device is offered a chat that has not asked for one. */
const RENEWAL_MS = 60_000;
/** Devices that are remembered for that. */
const RENEWED_MAX = 1_000;

/**
 * Whether a device speaks into a session that this one does not have, or cannot follow: one of the
 * two has lost more than it knows, and a new session tells it. What is left of a handshake comes
 * late or again, and has lost nothing.
 */
export function hasLostSession({ because, packet }: SecureChatsEffect & { kind: "refused" }) {
  const { code } = because;
  return (
    packet === "message" &&
    (code === ErrorCode.SECURE_SESSION_UNKNOWN || code === ErrorCode.SECURE_OUT_OF_WINDOW)
  );
}

/** To whom a chat was offered anew by itself, so that nobody can have us offer without end. */
export class Renewals {
  readonly #atMs = new Map<string, number>();

  /** Whether a device may be offered one now; counts it. */
  take({ userId, deviceId }: DeviceAddress, nowMs: number): boolean {
    for (const [name, atMs] of this.#atMs) {
      if (nowMs - atMs >= RENEWAL_MS) this.#atMs.delete(name);
    }
    const name = `${userId}/${deviceId}`;
    if (this.#atMs.has(name) || this.#atMs.size >= RENEWED_MAX) return false;
    this.#atMs.set(name, nowMs);
    return true;
  }
}
