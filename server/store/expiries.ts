import type { EntryExpiry } from "./plans.ts";
import type { EntryRef, LogEntry } from "./store.ts";

/** An event as it is kept: what it is depends on the time. */
export interface StoredEvent {
  readonly event: Uint8Array;
  readonly expiry?: EntryExpiry;
}

export interface StoredEntry extends StoredEvent {
  readonly committedMs: number;
}

/** An entry that expires, and when. */
export interface ExpiringEntry extends EntryRef {
  readonly expiresMs: number;
}

/** What is read at a time: from when it expires on never what it was. [CNV-93] */
export function eventAt({ event, expiry }: StoredEvent, nowMs: number): Uint8Array {
  return expiry !== undefined && expiry.expiresMs <= nowMs ? expiry.event : event;
}

export function entryAt(stored: StoredEntry, nowMs: number): LogEntry {
  return { committedMs: stored.committedMs, event: eventAt(stored, nowMs) };
}
