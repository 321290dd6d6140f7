import {
  EnvelopeAlertSchema,
  type EnvelopeTicket,
  EnvelopeTicketSchema,
  KeyUpdateSchema,
} from "../../gen/posthorn/v1/envelope_pb.ts";
import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import { decodePlain, encodePlain, type Plain } from "../plain.ts";
import { assert, unreachable, type Violation, violation } from "../violation.ts";
import { CONTENT_BYTES_MAX, RECORD_MS, WRITE_BYTES } from "./limits.ts";
import { concat, NO_BYTES } from "./octets.ts";
import { clearRecord, RecordReader, type RecordType, type SealRecord } from "./records.ts";
import type { ContentType, Opened, Opener, Sealer } from "./sealing.ts";

/** The handshake is refused. [ENV-49] */
export const ALERT_HANDSHAKE = 40;
/** A record did not open. [ENV-49] */
export const ALERT_RECORD = 20;

/** What comes out of either side's machine, in order. */
export type WireEffect =
  /** Whole records, for the link. */
  | { readonly kind: "write"; readonly bytes: Uint8Array }
  /** Opened: the stream that a clear link would carry, cut anywhere. [FRM-1] */
  | { readonly kind: "frames"; readonly bytes: Uint8Array }
  /** How to come back; only a service sends it. [ENV-42] */
  | { readonly kind: "ticket-content"; readonly ticket: Plain<EnvelopeTicket> }
  /** The link is to be closed; `by` says who said so. Nothing follows. [ENV-51] */
  | { readonly kind: "close"; readonly because: Violation; readonly by: "us" | "peer" };

/** The keys of a link, one for each direction. */
export interface Traffic {
  readonly sealer: Sealer;
  readonly opener: Opener;
}

export interface WireOptions {
  /** False for a service, which issues them. */
  readonly takesTickets: boolean;
  /** From a record's first byte to its last. [ENV-60] */
  readonly recordMs?: number | undefined;
}

type ClearType = Exclude<RecordType, "sealed">;
/** Takes a record of the handshake; the wire has judged its form. */
export type HandshakeReceiver = (record: SealRecord & { readonly type: ClearType }) => void;

/**
 * A link below its handshake, the same on both sides: records in and out, one way to fail, one way
 * to end. Knows no role. [ENV-6] [ENV-49] [ENV-50] [ENV-51]
 */
export class Wire {
  readonly #reader = new RecordReader();
  readonly #takesTickets: boolean;
  readonly #recordMs: number;
  #recordSinceMs = Number.POSITIVE_INFINITY;
  #traffic: Traffic | undefined;
  #hasOpened = false;
  #closed = false;
  #broken = false;
  #updateAsked = false;
  #waiting: Uint8Array[] = [];
  #waitingBytes = 0;
  #records: Uint8Array[] = [];
  #effects: WireEffect[] = [];

  constructor({ takesTickets, recordMs = RECORD_MS }: WireOptions) {
    this.#takesTickets = takesTickets;
    this.#recordMs = recordMs;
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** Whether the link has ended with a sealed alert, ours or the other side's. [ENV-47] */
  get broken(): boolean {
    return this.#broken;
  }

  /** When the record that is under way is late; Infinity when none is. [ENV-60] */
  get recordDeadlineMs(): number {
    return this.#recordSinceMs + this.#recordMs;
  }

  /** Bytes that wait to be sealed. */
  get waitingBytes(): number {
    return this.#waitingBytes;
  }

  /** Bytes from the link, cut anywhere; never throws, whatever they are. */
  received(bytes: Uint8Array, nowMs: number, handshake: HandshakeReceiver): void {
    if (this.#closed) return;
    let isAnother = this.#recordSinceMs === Number.POSITIVE_INFINITY;
    const fault = this.#reader.push(bytes, (record) => {
      isAnother = true;
      this.#record(record, handshake);
      return !this.#closed;
    });
    if (fault !== undefined) this.fail(fault);
    if (!this.#reader.unfinished) this.#recordSinceMs = Number.POSITIVE_INFINITY;
    else if (isAnother) this.#recordSinceMs = nowMs;
  }

  /** The record that is under way has had its time. No fault of keys: tickets stay. [ENV-60] */
  recordLate(): void {
    const detail = "a record was not finished in time";
    this.close(violation(ErrorCode.TOO_SLOW, "ENV-60", detail));
  }

  /** A record of the handshake. */
  writeClear(type: ClearType, body: Uint8Array): void {
    this.#records.push(clearRecord(type, body));
  }

  /** Both confirms are right: from here on everything is sealed. [ENV-17] */
  seal(traffic: Traffic): void {
    this.#traffic = traffic;
  }

  /** Frames, to be sealed together with all others of this turn. */
  writeFrames(bytes: Uint8Array): void {
    if (this.#closed || bytes.length === 0) return;
    this.#waiting.push(bytes);
    this.#waitingBytes += bytes.length;
  }

  /** Content of another type, after the frames that were written before it. */
  writeContent(type: ContentType, content: Uint8Array): void {
    if (this.#closed) return;
    this.#flush();
    this.#sealContent(type, content);
  }

  /** Asks the other side for a new key, with one of our own. [ENV-39] */
  updateKey(requested: boolean): void {
    if (this.#closed) return;
    this.#flush();
    this.#update(requested);
  }

  /** Something is wrong: tells the other side that, and nothing more. [ENV-49] [ENV-50] */
  fail(because: Violation): void {
    if (this.#closed) return;
    this.#dropWaiting();
    const { sealer } = this.#traffic ?? {};
    if (sealer === undefined) this.writeClear("alert", alertBody(ALERT_HANDSHAKE));
    else this.#records.push(sealer.seal("alert", alertBody(ALERT_RECORD)));
    this.#broken = sealer !== undefined;
    this.#end(because, "us");
  }

  /** Ends in order: what was written, then the sealed close. [ENV-51] */
  close(because: Violation): void {
    if (this.#closed) return;
    if (this.#traffic === undefined) return this.fail(because);
    this.#flush();
    if (this.#closed) return;
    this.#records.push(this.#traffic.sealer.seal("close", NO_BYTES));
    this.#end(because, "us");
  }

  /** The transport has ended. Without a sealed close that is a truncation. [ENV-51] */
  ended(): void {
    if (this.#closed) return;
    const isSealed = this.#traffic !== undefined;
    this.#dropWaiting();
    const code = isSealed ? ErrorCode.ENVELOPE_TRUNCATED : ErrorCode.LINK_LOST;
    this.#end(violation(code, isSealed ? "ENV-51" : "", "ended without a sealed close"), "peer");
  }

  /** What to do now, in order; empties the list. */
  effects(): WireEffect[] {
    if (this.#traffic !== undefined && !this.#closed) this.#flush();
    this.#write();
    const effects = this.#effects;
    this.#effects = [];
    return effects;
  }

  #record(record: SealRecord, handshake: HandshakeReceiver): void {
    const { type } = record;
    if (type === "alert" && !this.#hasOpened) {
      // A hint that proves nothing, and all that a refused device ever gets. [ENV-49]
      const detail = "the other side refused the handshake";
      return this.#end(violation(ErrorCode.ENVELOPE_REFUSED, "", detail), "peer");
    }
    if (type === "sealed") {
      if (this.#traffic === undefined) return this.fail(outOfPlace(type));
      const opened = this.#traffic.opener.open(record);
      if ("code" in opened) return this.fail(opened);
      this.#hasOpened = true;
      return this.#opened(opened);
    }
    if (this.#traffic === undefined) return handshake({ ...record, type });
    const detail = `a clear ${type} among sealed records`;
    this.fail(violation(ErrorCode.ENVELOPE_RECORD_INVALID, "ENV-6", detail));
  }

  #opened({ type, content }: Opened): void {
    switch (type) {
      case "frames":
        if (content.length > 0) this.#effects.push({ kind: "frames", bytes: content });
        return;
      case "keyUpdate": {
        const update = decodePlain(KeyUpdateSchema, content);
        if (typeof update === "string") return this.#failContent(type);
        if (update.requested) this.#updateAsked = true;
        return;
      }
      case "ticket": {
        const ticket = decodePlain(EnvelopeTicketSchema, content);
        if (typeof ticket === "string" || !this.#takesTickets) return this.#failContent(type);
        this.#effects.push({ kind: "ticket-content", ticket });
        return;
      }
      case "alert": {
        const detail = "the other side could not open a record";
        this.#broken = true;
        this.#dropWaiting();
        return this.#end(violation(ErrorCode.ENVELOPE_RECORD_REFUSED, "", detail), "peer");
      }
      case "close":
        this.#dropWaiting();
        return this.#end(violation(ErrorCode.GOODBYE, "", "closed by the other side"), "peer");
      default:
        unreachable(type);
    }
  }

  #failContent(type: ContentType): void {
    const detail = `content of type ${type} has no legal form`;
    this.fail(violation(ErrorCode.ENVELOPE_RECORD_INVALID, "ENV-8", detail));
  }

  /** Seals what waits, all of one turn together: as few records as there can be. */
  #flush(): void {
    if (this.#traffic === undefined) return;
    if (this.#updateAsked) this.#update(false);
    if (this.#waitingBytes === 0) return;
    const whole = this.#waiting.length === 1 ? (this.#waiting[0] as Uint8Array) : undefined;
    const bytes = whole ?? concat(this.#waiting);
    this.#dropWaiting();
    for (let at = 0; at < bytes.length && !this.#closed; at += CONTENT_BYTES_MAX) {
      this.#sealContent("frames", bytes.subarray(at, at + CONTENT_BYTES_MAX));
    }
  }

  #sealContent(type: ContentType, content: Uint8Array): void {
    assert(this.#traffic !== undefined, "content is sealed after the handshake [ENV-17]");
    const { sealer } = this.#traffic;
    if (!sealer.hasRoom(content.length)) this.#update(false);
    if (!this.#closed) this.#records.push(sealer.seal(type, content));
  }

  /** Goes to the next key; without one left the link ends. [ENV-37] [ENV-40] */
  #update(requested: boolean): void {
    assert(this.#traffic !== undefined, "keys are updated after the handshake");
    this.#updateAsked = false;
    const { sealer } = this.#traffic;
    if (sealer.canUpdate) {
      this.#records.push(sealer.seal("keyUpdate", encodePlain(KeyUpdateSchema, { requested })));
      return;
    }
    this.#dropWaiting();
    this.#records.push(sealer.seal("close", NO_BYTES));
    const detail = "the last key of this direction is used up";
    this.#end(violation(ErrorCode.ENVELOPE_LIMIT_REACHED, "ENV-40", detail), "us");
  }

  #end(because: Violation, by: "us" | "peer"): void {
    this.#closed = true;
    this.#traffic?.sealer.erase();
    this.#traffic?.opener.erase();
    this.#write();
    this.#effects.push({ kind: "close", because, by });
  }

  #dropWaiting(): void {
    this.#waiting = [];
    this.#waitingBytes = 0;
  }

  /** Hands records to the link, a few together. */
  #write(): void {
    const records = this.#records;
    if (records.length === 0) return;
    this.#records = [];
    let first = 0;
    let bytes = 0;
    for (const [index, { length }] of records.entries()) {
      if (bytes > 0 && bytes + length > WRITE_BYTES) {
        this.#hand(records.slice(first, index));
        first = index;
        bytes = 0;
      }
      bytes += length;
    }
    this.#hand(first === 0 ? records : records.slice(first));
  }

  #hand(records: readonly Uint8Array[]): void {
    const [alone] = records;
    // The rule: what one turn wrote went into one record, which needs no copy.
    const bytes = records.length === 1 && alone !== undefined ? alone : concat(records);
    this.#effects.push({ kind: "write", bytes });
  }
}

/** A record that has no place in this phase. */
export function outOfPlace(type: RecordType): Violation {
  return violation(ErrorCode.ENVELOPE_MALFORMED, "ENV-11", `a ${type} record has no place here`);
}

function alertBody(code: number): Uint8Array {
  return encodePlain(EnvelopeAlertSchema, { code });
}
