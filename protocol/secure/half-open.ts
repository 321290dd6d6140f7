import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import { type Violation, violation } from "../violation.ts";

/** Handshakes with one device that wait for something. [SEC-27] */
export const HALF_OPEN_PER_PEER_MAX = 2;
/** With all devices together; offers received and made are counted apart. [SEC-27] */
export const HALF_OPEN_MAX = 8;
/** Offers of one device, and of all, that are remembered until their time is over. [SEC-28] */
export const REMEMBERED_PER_PEER_MAX = 64;
export const REMEMBERED_MAX = 4_096;

/** Whether one more handshake may wait. [SEC-27] */
export function judgeHalfOpen(waiting: Iterable<string>, peer: string): Violation | undefined {
  const all = [...waiting];
  const ofPeer = all.filter((name) => name === peer).length;
  if (all.length < HALF_OPEN_MAX && ofPeer < HALF_OPEN_PER_PEER_MAX) return undefined;
  return violation(ErrorCode.SECURE_HALF_OPEN, "SEC-27", "too many handshakes are half open");
}

/** The offers that were answered, so that none is answered twice. [SEC-28] */
export class AnsweredOffers {
  readonly #answered = new Map<string, { readonly peer: string; readonly expiresMs: number }>();

  has(sessionId: string): boolean {
    return this.#answered.has(sessionId);
  }

  /** Whether one more can be remembered: what cannot is not answered. */
  hasRoom(peer: string, nowMs: number): boolean {
    for (const [id, { expiresMs }] of this.#answered) {
      if (nowMs >= expiresMs) this.#answered.delete(id);
    }
    if (this.#answered.size >= REMEMBERED_MAX) return false;
    const ofPeer = [...this.#answered.values()].filter((answered) => answered.peer === peer);
    return ofPeer.length < REMEMBERED_PER_PEER_MAX;
  }

  add(sessionId: string, peer: string, expiresMs: number): void {
    this.#answered.set(sessionId, { peer, expiresMs });
  }
}
