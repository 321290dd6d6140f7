import { ResumeMode } from "../../gen/posthorn/v1/envelope_pb.ts";
import { BINDER_FAILURES_MAX } from "./limits.ts";

/** A ticket as a device keeps it: in memory, for one use. [ENV-44] */
export interface ClientTicket {
  readonly ticketId: Uint8Array;
  /** 32 bytes. Never in logs. */
  readonly psk: Uint8Array;
  /** The suite of the link it came over; it is good for no other. [ENV-45] */
  readonly suite: number;
  /** 0 from the moment on that somebody has broken the link it came over. [ENV-47] */
  readonly expiresMs: number;
}

/** A ticket as a service keeps it. [ENV-45] */
export interface ServerTicket extends ClientTicket {
  /** Whose it is, as the service names account and device together. */
  readonly subject: string;
  /** When the key agreement was that the secret descends from. */
  readonly agreedMs: number;
}

/** What a ClientHello says its ticket is for. [ENV-12] */
export function resumeModeOf({
  ticket,
  ticketOnly = false,
}: {
  readonly ticket?: ClientTicket;
  readonly ticketOnly?: boolean;
}): ResumeMode {
  if (ticket === undefined) {
    if (ticketOnly) throw new RangeError("there is no ticket");
    return ResumeMode.UNSPECIFIED;
  }
  return ticketOnly ? ResumeMode.PSK_ONLY : ResumeMode.PSK_KEM;
}

/**
 * The tickets of one node, in memory; what a service of several nodes replaces by its store. Each
 * works once. [ENV-44]
 */
export class TicketBook {
  readonly #tickets = new Map<string, { ticket: ServerTicket; failures: number }>();
  readonly #ticketsMax: number;

  /** @param ticketsMax above it the oldest are forgotten: their devices do a full handshake */
  constructor(ticketsMax: number) {
    this.#ticketsMax = ticketsMax;
  }

  get count(): number {
    return this.#tickets.size;
  }

  keep(ticket: ServerTicket, nowMs: number): void {
    this.#forgetOld(nowMs);
    this.#tickets.set(keyOf(ticket.ticketId), { ticket, failures: 0 });
  }

  /** The ticket of an id; undefined when there is none, any more or at all. */
  find(ticketId: Uint8Array, nowMs: number): ServerTicket | undefined {
    const kept = this.#tickets.get(keyOf(ticketId));
    return kept !== undefined && nowMs < kept.ticket.expiresMs ? kept.ticket : undefined;
  }

  /** Uses a ticket up. True once at most, whoever asks. [ENV-44] */
  take(ticketId: Uint8Array, nowMs: number): boolean {
    const isGood = this.find(ticketId, nowMs) !== undefined;
    const isOurs = this.#tickets.delete(keyOf(ticketId));
    return isGood && isOurs;
  }

  /** Somebody showed a wrong binder for a ticket. [ENV-44] */
  failed(ticketId: Uint8Array): void {
    const kept = this.#tickets.get(keyOf(ticketId));
    if (kept === undefined) return;
    kept.failures += 1;
    if (kept.failures >= BINDER_FAILURES_MAX) this.#tickets.delete(keyOf(ticketId));
  }

  /** The link that a ticket came over went wrong. [ENV-47] */
  revoke(ticketId: Uint8Array): void {
    this.#tickets.delete(keyOf(ticketId));
  }

  #forgetOld(nowMs: number): void {
    for (const [key, { ticket }] of this.#tickets) {
      const isFull = this.#tickets.size >= this.#ticketsMax;
      if (!isFull && nowMs < ticket.expiresMs) return;
      this.#tickets.delete(key);
    }
  }
}

function keyOf(ticketId: Uint8Array): string {
  return String.fromCharCode(...ticketId);
}
