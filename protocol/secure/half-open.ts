import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import { type Violation, violation } from "../violation.ts";
import type { Bounds } from "./fair-room.ts";

/** Handshakes with one device that wait for something. [SEC-27] */
export const HALF_OPEN_PER_PEER_MAX = 2;
/** Offers of one user's devices. [SEC-27] */
export const HALF_OPEN_PER_USER_MAX = 4;
/** With all devices together; offers received and made are counted apart. [SEC-27] */
export const HALF_OPEN_MAX = 8;
/** Handshakes that wait for their confirm. [SEC-27] */
export const HALF_OPEN_BOUNDS: Bounds = {
  perDevice: HALF_OPEN_PER_PEER_MAX,
  perUser: HALF_OPEN_PER_USER_MAX,
  all: HALF_OPEN_MAX,
};
/** Offers of one device, and of all, that are remembered until their time is over. [SEC-28] */
export const REMEMBERED_PER_PEER_MAX = 64;
export const REMEMBERED_MAX = 4_096;
/** How often an offer is answered whose handshakes were given up here. [SEC-28] */
export const ANSWERS_MAX = 8;

/** Whether one more handshake may wait. [SEC-27] */
export function judgeHalfOpen(waiting: Iterable<string>, peer: string): Violation | undefined {
  const all = [...waiting];
  const ofPeer = all.filter((name) => name === peer).length;
  if (all.length < HALF_OPEN_MAX && ofPeer < HALF_OPEN_PER_PEER_MAX) return undefined;
  return tooManyHalfOpen();
}

export function tooManyHalfOpen(): Violation {
  return violation(ErrorCode.SECURE_HALF_OPEN, "SEC-27", "too many handshakes are half open");
}

interface Answered {
  readonly peer: string;
  readonly expiresMs: number;
  count: number;
  isGivenUp: boolean;
}

/** The offers that were answered, so that none is answered twice at a time. [SEC-28] */
export class AnsweredOffers {
  readonly #answered = new Map<string, Answered>();

  has(sessionId: string): boolean {
    return this.#answered.has(sessionId);
  }

  /** Whether an offer may be answered: it was not, or what came of it was given up here. */
  isOpenTo(sessionId: string): boolean {
    const answered = this.#answered.get(sessionId);
    return answered === undefined || (answered.isGivenUp && answered.count < ANSWERS_MAX);
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
    const count = 1 + (this.#answered.get(sessionId)?.count ?? 0);
    this.#answered.set(sessionId, { peer, expiresMs, count, isGivenUp: false });
  }

  /** The answer did not leave, or is not wanted any more: the offer may be answered anew. */
  giveUp(sessionId: string): void {
    const answered = this.#answered.get(sessionId);
    if (answered !== undefined) answered.isGivenUp = true;
  }
}
