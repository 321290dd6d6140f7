import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import type { ServerTicket } from "../../protocol/envelope/ticket.ts";
import type { DeviceRecord } from "./device-record.ts";
import type { StoredEvent } from "./expiries.ts";
import type { EntryExpiry } from "./plans.ts";
import type {
  DeviceLogin,
  DocumentRef,
  LogRef,
  StoredDocument,
  SubmitOutcome,
  TimelineBounds,
} from "./store.ts";

// How records lie on disk: varints and length-prefixed bytes, in a fixed order. The format as a
// whole has one version.

export const FORMAT_VERSION = 2;

/**
 * A user's timeline, but for its entries: written when it is made and when retention moves its
 * floor.
 */
export type UserRecord = Pick<TimelineBounds, "epoch" | "floor">;

/** What one group appended to one log, or a part of it. */
export interface LogRecord {
  readonly committedMs: number;
  readonly events: readonly StoredEvent[];
}

/** Consecutive timeline entries that are consecutive in one log. */
export interface TimelineRun {
  readonly log: LogRef;
  readonly firstLogSeq: number;
  readonly count: number;
}

/** What one group appended to one timeline, or a part of it. */
export type TimelineRecord = readonly TimelineRun[];

export function encodeUser(record: UserRecord): Uint8Array {
  return new RecordWriter().number(record.epoch).number(record.floor).finish();
}

export function decodeUser(bytes: Uint8Array): UserRecord {
  const reader = new RecordReader(bytes);
  return { epoch: reader.number(), floor: reader.number() };
}

export function encodeLog(record: LogRecord): Uint8Array {
  const writer = new RecordWriter().number(record.committedMs).number(record.events.length);
  for (const { event } of record.events) writer.bytes(event);
  for (const [index, { expiry }] of record.events.entries()) {
    if (expiry !== undefined) writeExpiry(writer.number(index), expiry);
  }
  return writer.finish();
}

/** Events are views of the bytes. */
export function decodeLog(bytes: Uint8Array): LogRecord & { events: StoredEvent[] } {
  const reader = new RecordReader(bytes);
  const committedMs = reader.number();
  const count = reader.number();
  const events: StoredEvent[] = [];
  for (let index = 0; index < count; index += 1) events.push({ event: reader.bytes() });
  while (!reader.ended) {
    const index = reader.number();
    events[index] = { ...(events[index] as StoredEvent), expiry: expiryFrom(reader) };
  }
  return { committedMs, events };
}

function writeExpiry(writer: RecordWriter, expiry: EntryExpiry): void {
  writer.number(expiry.expiresMs).bytes(expiry.event);
  for (const refs of [expiry.marks, expiry.clears]) {
    writer.number(refs.length);
    for (const ref of refs) writer.text(ref);
  }
}

function expiryFrom(reader: RecordReader): EntryExpiry {
  const refs = () => Array.from({ length: reader.number() }, () => reader.text() as DocumentRef);
  return {
    expiresMs: reader.number(),
    event: reader.bytes(),
    marks: refs(),
    clears: refs(),
  };
}

/** What is known of a log record without its key. */
export interface LogRecordHead {
  /** Where its key stands. */
  readonly slot: number;
  /** How many events it holds. */
  readonly count: number;
}

/** The first number of a log that is kept. */
export function encodeFloor(floor: number): Uint8Array {
  return new RecordWriter().number(floor).finish();
}

export function decodeFloor(bytes: Uint8Array): number {
  return new RecordReader(bytes).number();
}

/** Stands before a log record, which is sealed. */
export function encodeLogHead({ slot, count }: LogRecordHead): Uint8Array {
  return new RecordWriter().number(slot).number(count).finish();
}

/** `sealed` is a view of the bytes. */
export function decodeLogHead(bytes: Uint8Array): LogRecordHead & { readonly sealed: Uint8Array } {
  const reader = new RecordReader(bytes);
  return { slot: reader.number(), count: reader.number(), sealed: reader.rest() };
}

export function encodeTimeline(record: TimelineRecord): Uint8Array {
  const logs = [...new Set(record.map((run) => run.log))];
  const writer = new RecordWriter().number(logs.length);
  for (const log of logs) writer.text(log);
  writer.number(record.length);
  for (const run of record) {
    writer.number(logs.indexOf(run.log)).number(run.firstLogSeq).number(run.count);
  }
  return writer.finish();
}

export function decodeTimeline(bytes: Uint8Array): TimelineRecord {
  const reader = new RecordReader(bytes);
  const logs = Array.from({ length: reader.number() }, () => reader.text() as LogRef);
  return Array.from({ length: reader.number() }, () => {
    const log = logs[reader.number()] as LogRef;
    return { log, firstLogSeq: reader.number(), count: reader.number() };
  });
}

export function encodeDevice(record: DeviceRecord): Uint8Array {
  const writer = new RecordWriter()
    .number(record.generation)
    .bytes(record.sessionId)
    .number(record.granted.from)
    .number(record.granted.through)
    .number(record.outboxEpoch)
    .number(record.through)
    .number(record.deliveredThrough)
    .number(record.results.length);
  for (const result of record.results) {
    const { code, conversationSeq, committedMs, retryAfterMs, digest } = result;
    // A refusal has no number: when to come again stands in its place.
    writer.number(code).number(code === ErrorCode.UNSPECIFIED ? conversationSeq : retryAfterMs);
    writer.number(committedMs).number(digest);
  }
  const { publicKey, registrationSecret, registeredMs } = record.login ?? NO_LOGIN;
  writer.bytes(publicKey).bytes(registrationSecret).number(registeredMs);
  writer.number(record.firstAttachedMs).number(record.lastAttachedMs);
  return writer.number(record.isEnded ? 1 : 0).finish();
}

export function decodeDevice(bytes: Uint8Array): DeviceRecord {
  const reader = new RecordReader(bytes);
  const generation = reader.number();
  const sessionId = Uint8Array.from(reader.bytes());
  const granted = { from: reader.number(), through: reader.number() };
  const outboxEpoch = reader.number();
  const through = reader.number();
  const deliveredThrough = reader.number();
  const results = Array.from({ length: reader.number() }, (): SubmitOutcome => {
    const code = reader.number() as ErrorCode;
    const number = reader.number();
    const told = { code, committedMs: reader.number(), digest: reader.number() };
    return code === ErrorCode.UNSPECIFIED
      ? { ...told, conversationSeq: number, retryAfterMs: 0 }
      : { ...told, conversationSeq: 0, retryAfterMs: number };
  });
  const resultsThrough = through - results.length;
  return {
    generation,
    sessionId,
    granted,
    outboxEpoch,
    through,
    deliveredThrough,
    results,
    resultsThrough,
    ...loginFrom(reader),
    ...standingFrom(reader),
  };
}

const NONE = new Uint8Array(0);
/** Stands for none. */
const NO_LOGIN: DeviceLogin = { publicKey: NONE, registrationSecret: NONE, registeredMs: 0 };

/** Records of before there was any end with what they hold. */
function loginFrom(reader: RecordReader): { readonly login?: DeviceLogin } {
  if (reader.ended) return {};
  const publicKey = new Uint8Array(reader.bytes());
  const registrationSecret = new Uint8Array(reader.bytes());
  const registeredMs = reader.number();
  return publicKey.length === 0 ? {} : { login: { publicKey, registrationSecret, registeredMs } };
}

function standingFrom(reader: RecordReader) {
  if (reader.ended) return { firstAttachedMs: 0, lastAttachedMs: 0, isEnded: false };
  const times = { firstAttachedMs: reader.number(), lastAttachedMs: reader.number() };
  return { ...times, isEnded: reader.number() === 1 };
}

export function encodeDocument({ revision, bytes }: StoredDocument): Uint8Array {
  return new RecordWriter().number(revision).bytes(bytes).finish();
}

export function decodeDocument(stored: Uint8Array): StoredDocument {
  const reader = new RecordReader(stored);
  const revision = reader.number();
  return { revision, bytes: Uint8Array.from(reader.bytes()) };
}

/** Perishable content as it lies on disk: sealed under the key in its slot. */
export interface PerishableRecord {
  readonly deviceId: string;
  readonly expiresMs: number;
  readonly bytes: number;
  readonly queues: readonly string[];
  readonly slot: number;
  readonly sealed: Uint8Array;
}

export function encodePerishable(record: PerishableRecord): Uint8Array {
  const writer = new RecordWriter()
    .text(record.deviceId)
    .number(record.expiresMs)
    .number(record.bytes)
    .number(record.queues.length);
  for (const queue of record.queues) writer.text(queue);
  return writer.number(record.slot).bytes(record.sealed).finish();
}

/** `sealed` is a view of the bytes. */
export function decodePerishable(stored: Uint8Array): PerishableRecord {
  const reader = new RecordReader(stored);
  const head = { deviceId: reader.text(), expiresMs: reader.number(), bytes: reader.number() };
  const queues = Array.from({ length: reader.number() }, () => reader.text());
  return { ...head, queues, slot: reader.number(), sealed: reader.bytes() };
}

/** @param failures wrong binders so far */
export function encodeTicket(ticket: ServerTicket, failures: number): Uint8Array {
  return new RecordWriter()
    .number(failures)
    .bytes(ticket.psk)
    .number(ticket.suite)
    .number(ticket.expiresMs)
    .text(ticket.subject)
    .number(ticket.agreedMs)
    .finish();
}

export function decodeTicket(
  bytes: Uint8Array,
  ticketId: Uint8Array,
): { readonly ticket: ServerTicket; readonly failures: number } {
  const reader = new RecordReader(bytes);
  const failures = reader.number();
  const ticket = {
    ticketId: Uint8Array.from(ticketId),
    psk: Uint8Array.from(reader.bytes()),
    suite: reader.number(),
    expiresMs: reader.number(),
    subject: reader.text(),
    agreedMs: reader.number(),
  };
  return { ticket, failures };
}

class RecordWriter {
  #buffer = Buffer.allocUnsafe(256);
  #length = 0;

  number(value: number): this {
    this.#reserve(8);
    let rest = value;
    while (rest >= 0x80) {
      this.#buffer[this.#length++] = (rest % 128) | 0x80;
      rest = Math.floor(rest / 128);
    }
    this.#buffer[this.#length++] = rest;
    return this;
  }

  bytes(value: Uint8Array): this {
    this.number(value.length);
    this.#reserve(value.length);
    this.#buffer.set(value, this.#length);
    this.#length += value.length;
    return this;
  }

  text(value: string): this {
    return this.bytes(Buffer.from(value, "utf8"));
  }

  finish(): Uint8Array {
    return this.#buffer.subarray(0, this.#length);
  }

  #reserve(bytes: number): void {
    const needed = this.#length + bytes;
    if (needed <= this.#buffer.length) return;
    const grown = Buffer.allocUnsafe(Math.max(needed, this.#buffer.length * 2));
    grown.set(this.#buffer.subarray(0, this.#length));
    this.#buffer = grown;
  }
}

class RecordReader {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get ended(): boolean {
    return this.#at === this.#bytes.length;
  }

  number(): number {
    let value = 0;
    let scale = 1;
    for (;;) {
      const byte = this.#bytes[this.#at++];
      if (byte === undefined) throw new RangeError("a record ends inside a number");
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
      scale *= 128;
    }
  }

  bytes(): Uint8Array {
    const length = this.number();
    const end = this.#at + length;
    if (end > this.#bytes.length) throw new RangeError("a record ends inside bytes");
    const value = this.#bytes.subarray(this.#at, end);
    this.#at = end;
    return value;
  }

  rest(): Uint8Array {
    return this.#bytes.subarray(this.#at);
  }

  text(): string {
    const value = this.bytes();
    return Buffer.from(value.buffer, value.byteOffset, value.length).toString("utf8");
  }
}
