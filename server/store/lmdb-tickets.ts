import type { Env } from "../../platform/lmdb-folder.ts";
import { BINDER_FAILURES_MAX } from "../../protocol/envelope/limits.ts";
import type { ServerTicket } from "../../protocol/envelope/ticket.ts";
import { TICKETS_END, TICKETS_START, ticketKey } from "./keys.ts";
import { decodeTicket, encodeTicket } from "./records.ts";
import type { TicketStore } from "./store.ts";

/** Above it new tickets are not kept: their devices do a full handshake. */
const TICKETS_MAX = 200_000;
/** Looked at with each new one, so that expired ones go as fast as new ones come. */
const SWEPT_PER_TICKET = 4;

/** The tickets of a node, in its store: they outlive the process, and each works once. [ENV-44] */
export class LmdbTickets implements TicketStore {
  readonly #env: Env;
  readonly #nowMs: () => number;
  #count: number;
  #sweepFrom: Buffer = TICKETS_START;

  constructor(env: Env, nowMs: () => number) {
    this.#env = env;
    this.#nowMs = nowMs;
    this.#count = env.getKeysCount({ start: TICKETS_START, end: TICKETS_END });
  }

  keep(ticket: ServerTicket): void {
    this.#sweep();
    if (this.#count >= TICKETS_MAX) return;
    this.#count += 1;
    this.#write(() => this.#env.put(ticketKey(ticket.ticketId), encodeTicket(ticket, 0)));
  }

  async find(ticketId: Uint8Array): Promise<ServerTicket | undefined> {
    const kept = this.#read(ticketId);
    return kept !== undefined && kept.ticket.expiresMs > this.#nowMs() ? kept.ticket : undefined;
  }

  /** One transaction after the other: whoever comes second finds nothing. */
  take(ticketId: Uint8Array): Promise<boolean> {
    return this.#env.transaction(() => {
      const kept = this.#read(ticketId);
      if (kept === undefined) return false;
      this.#forget(ticketId);
      return kept.ticket.expiresMs > this.#nowMs();
    });
  }

  failed(ticketId: Uint8Array): void {
    this.#write(() =>
      this.#env.transaction(() => {
        const kept = this.#read(ticketId);
        if (kept === undefined) return;
        const failures = kept.failures + 1;
        if (failures >= BINDER_FAILURES_MAX) this.#forget(ticketId);
        else void this.#env.put(ticketKey(ticketId), encodeTicket(kept.ticket, failures));
      }),
    );
  }

  revoke(ticketId: Uint8Array): void {
    this.#write(() =>
      this.#env.transaction(() => {
        if (this.#read(ticketId) !== undefined) this.#forget(ticketId);
      }),
    );
  }

  #read(ticketId: Uint8Array) {
    const stored = this.#env.getBinary(ticketKey(ticketId));
    return stored && decodeTicket(stored, ticketId);
  }

  #forget(ticketId: Uint8Array): void {
    void this.#env.remove(ticketKey(ticketId));
    this.#count -= 1;
  }

  /** A ticket that was not written is a full handshake later: nobody waits for it. */
  #write(begin: () => Promise<unknown>): void {
    begin().catch(() => {});
  }

  #sweep(): void {
    const nowMs = this.#nowMs();
    const range = { start: this.#sweepFrom, end: TICKETS_END, limit: SWEPT_PER_TICKET };
    const entries = [...this.#env.getRange(range)];
    for (const { key, value } of entries) {
      const id = (key as unknown as Buffer).subarray(1);
      if (decodeTicket(value, id).ticket.expiresMs <= nowMs) this.revoke(id);
    }
    const last = entries.at(-1)?.key as unknown as Buffer | undefined;
    const isEnd = last === undefined || entries.length < SWEPT_PER_TICKET;
    this.#sweepFrom = isEnd ? TICKETS_START : Buffer.concat([last, Buffer.of(0)]);
  }
}
