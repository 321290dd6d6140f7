import type { ExpiringEntry } from "./expiries.ts";
import type { DeviceRef, DocumentRef, EntryRef, LogRef, UserRef } from "./store.ts";

// Keys sort by kind, then by owner, then by number. Names hold no NUL, so it ends them; numbers are
// eight bytes, big-endian, so that byte order is numeric order.

const KIND = {
  meta: 0x4d,
  user: 0x55,
  device: 0x44,
  timeline: 0x54,
  log: 0x4c,
  ticket: 0x4b,
  document: 0x46,
  perishable: 0x50,
  slots: 0x53,
  expiry: 0x45,
  logExpiry: 0x65,
  floor: 0x6c,
} as const;

export const FORMAT_KEY: Buffer = Buffer.from([KIND.meta]);
/** The largest frame for which events were ever taken. */
export const FRAME_BYTES_KEY: Buffer = Buffer.from([KIND.meta, 1]);

export function userKey(user: UserRef): Buffer {
  return named(KIND.user, user, 0);
}

export function deviceKey(device: DeviceRef): Buffer {
  return named(KIND.device, `${device.user}\0${device.deviceId}`, 0);
}

/** Where the keys of a user's devices begin and end. */
export function deviceRange(user: UserRef): { readonly start: Buffer; readonly end: Buffer } {
  return { start: named(KIND.device, `${user}\0`, 0), end: named(KIND.device, `${user}\x01`, 0) };
}

/** The device that a key of {@link deviceRange} is of. */
export function deviceIdOf(key: Buffer, user: UserRef): string {
  return key.toString("utf8", Buffer.byteLength(user, "utf8") + 2);
}

export function documentKey(ref: DocumentRef): Buffer {
  return named(KIND.document, ref, 0);
}

export const PERISHABLES_START: Buffer = Buffer.from([KIND.perishable]);
export const PERISHABLES_END: Buffer = Buffer.from([KIND.perishable + 1]);

/** Of a user's timeline entry. */
export function perishableKey(user: UserRef, seq: number): Buffer {
  return numbered(KIND.perishable, user, seq);
}

/** Whose a timeline or perishable key is. */
export function userOf(key: Buffer): UserRef {
  return key.toString("utf8", 1, key.length - 9) as UserRef;
}

export const TICKETS_START: Buffer = Buffer.from([KIND.ticket]);
export const TICKETS_END: Buffer = Buffer.from([KIND.ticket + 1]);

export function ticketKey(ticketId: Uint8Array): Buffer {
  return Buffer.concat([TICKETS_START, ticketId]);
}

/** The record whose first entry has this number. */
export function timelineKey(user: UserRef, firstSeq: number): Buffer {
  return numbered(KIND.timeline, user, firstSeq);
}

export function logKey(log: LogRef, firstSeq: number): Buffer {
  return numbered(KIND.log, log, firstSeq);
}

export const LOGS_START: Buffer = Buffer.from([KIND.log]);
export const LOGS_END: Buffer = Buffer.from([KIND.log + 1]);

/** Whose a log key is. */
export function logOf(key: Buffer): LogRef {
  return userOf(key) as string as LogRef;
}

/** Where it stands what of a log is kept. */
export function floorKey(log: LogRef): Buffer {
  return named(KIND.floor, log, 0);
}

export const EXPIRIES_START: Buffer = Buffer.from([KIND.expiry]);

/** Of an entry, among all by when they expire; without one, what comes before those of a time. */
export function expiryKey(expiresMs: number, entry?: EntryRef): Buffer {
  const time = Buffer.alloc(9, KIND.expiry);
  writeNumber(time, expiresMs, 1);
  if (entry === undefined) return time;
  const seq = Buffer.alloc(8);
  writeNumber(seq, entry.seq, 0);
  return Buffer.concat([time, Buffer.from(entry.log, "utf8"), seq]);
}

/** The entry of a key of {@link expiryKey}. */
export function expiringOf(key: Buffer): ExpiringEntry {
  const log = key.toString("utf8", 9, key.length - 8) as LogRef;
  return { log, seq: firstSeqOf(key), expiresMs: readNumber(key, 1) };
}

/** Of an entry, among those of its log by when they expire; of 0, what comes before a time. */
export function logExpiryKey({ log, seq, expiresMs }: ExpiringEntry): Buffer {
  const key = named(KIND.logExpiry, log, 17);
  key[key.length - 17] = 0;
  writeNumber(key, expiresMs, key.length - 16);
  writeNumber(key, seq, key.length - 8);
  return key;
}

export const SLOTS_START: Buffer = Buffer.from([KIND.slots]);
export const SLOTS_END: Buffer = Buffer.from([KIND.slots + 1]);

/** Which keys of logs are in use: the record of a range of slots. */
export function slotsKey(range: number): Buffer {
  const key = Buffer.from([KIND.slots, 0, 0, 0, 0]);
  key.writeUInt32BE(range, 1);
  return key;
}

/** The range of a key of slots. */
export function slotRangeOf(key: Buffer): number {
  return key.readUInt32BE(1);
}

/** The number at the end of a timeline or log key. */
export function firstSeqOf(key: Buffer): number {
  return readNumber(key, key.length - 8);
}

function readNumber(key: Buffer, at: number): number {
  return key.readUInt32BE(at) * 0x1_0000_0000 + key.readUInt32BE(at + 4);
}

function writeNumber(key: Buffer, number: number, at: number): void {
  key.writeUInt32BE(Math.floor(number / 0x1_0000_0000), at);
  key.writeUInt32BE(number % 0x1_0000_0000, at + 4);
}

function numbered(kind: number, name: string, seq: number): Buffer {
  const key = named(kind, name, 9);
  const at = key.length - 8;
  key[at - 1] = 0;
  writeNumber(key, seq, at);
  return key;
}

function named(kind: number, name: string, tailBytes: number): Buffer {
  const bytes = Buffer.byteLength(name, "utf8");
  const key = Buffer.allocUnsafe(1 + bytes + tailBytes);
  key[0] = kind;
  key.write(name, 1, "utf8");
  return key;
}
