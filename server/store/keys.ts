import type { DeviceRef, DocumentRef, LogRef, UserRef } from "./store.ts";

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
  const at = key.length - 8;
  return key.readUInt32BE(at) * 0x1_0000_0000 + key.readUInt32BE(at + 4);
}

function numbered(kind: number, name: string, seq: number): Buffer {
  const key = named(kind, name, 9);
  const at = key.length - 8;
  key[at - 1] = 0;
  key.writeUInt32BE(Math.floor(seq / 0x1_0000_0000), at);
  key.writeUInt32BE(seq % 0x1_0000_0000, at + 4);
  return key;
}

function named(kind: number, name: string, tailBytes: number): Buffer {
  const bytes = Buffer.byteLength(name, "utf8");
  const key = Buffer.allocUnsafe(1 + bytes + tailBytes);
  key[0] = kind;
  key.write(name, 1, "utf8");
  return key;
}
