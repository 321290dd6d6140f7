import type { PerishableContent, PerishableQueue } from "./plans.ts";
import type { DeviceRef, UserRef } from "./store.ts";

/** Perishable content that waits: what is known of it without its bytes. */
export interface PerishableEntry {
  readonly user: UserRef;
  /** Its number in the user's timeline. */
  readonly seq: number;
  readonly deviceId: string;
  readonly expiresMs: number;
  readonly bytes: number;
  /** The names of its queues. */
  readonly queues: readonly string[];
}

/** Perishable content with the number that its event got. */
export interface NumberedPerishable {
  readonly user: UserRef;
  readonly seq: number;
  readonly content: PerishableContent;
}

export interface QueueUse {
  readonly count: number;
  readonly bytes: number;
}

/**
 * How much may wait in a whole store: bounds its memory (about 50 MB) and the file of keys (4 MiB).
 */
export const PERISHABLES_MAX = 131_072;

const UNUSED: QueueUse = { count: 0, bytes: 0 };

/** What the names of queues begin with that are not one device's, as they are kept. */
const SHARED = "*";

/** A queue's name as it is kept with content. */
export function keptName({ name, shareOf }: PerishableQueue): string {
  return shareOf === undefined ? name : SHARED + name;
}

/** Under which name a queue is counted. */
export function queueName({ user, deviceId }: DeviceRef, kept: string): string {
  return kept.startsWith(SHARED) ? kept : `${user}\0${deviceId}\0${kept}`;
}

/** Whether the queues have room for one more, given what is in each and what the store has left. */
export function hasRoom(
  { device, event, queues }: PerishableContent,
  used: (queueName: string) => QueueUse,
  room: number,
): boolean {
  return queues.every((queue) => {
    const { countMax, bytesMax, shareOf } = queue;
    const { count, bytes } = used(queueName(device, keptName(queue)));
    if (shareOf !== undefined && (count + 1) * shareOf > room) return false;
    return count + 1 <= countMax && bytes + event.length <= bytesMax;
  });
}

/** What is kept of content that got its number. */
export function entryOf({ user, seq, content }: NumberedPerishable): PerishableEntry {
  const { device, expiresMs, event, queues } = content;
  const names = queues.map(keptName);
  const { deviceId } = device;
  return { user, seq, deviceId, expiresMs, bytes: event.length, queues: names };
}

/** All that waits, by timeline and by queue; and what is to be erased. */
export class Perishables<Entry extends PerishableEntry> {
  readonly #byUser = new Map<UserRef, Map<number, Entry>>();
  readonly #used = new Map<string, QueueUse>();
  #count = 0;
  #dying: Entry[] = [];
  /** Nothing expires before; may be early. */
  #earliestMs = Number.POSITIVE_INFINITY;

  /** What more a store takes. */
  get room(): number {
    return PERISHABLES_MAX - this.#count - this.#dying.length;
  }

  used(queue: string): QueueUse {
    return this.#used.get(queue) ?? UNUSED;
  }

  add(entry: Entry): void {
    const entries = this.#byUser.get(entry.user) ?? new Map<number, Entry>();
    this.#byUser.set(entry.user, entries.set(entry.seq, entry));
    this.#count += 1;
    this.#use(entry, 1);
    this.#earliestMs = Math.min(this.#earliestMs, entry.expiresMs);
  }

  /** How a device's content is found by its number; undefined where nothing waits for it. */
  readerOf(device: DeviceRef, nowMs: number): ((seq: number) => Entry | undefined) | undefined {
    const entries = this.#byUser.get(device.user);
    if (entries === undefined) return undefined;
    return (seq) => {
      const entry = entries.get(seq);
      const isTheirs = entry?.deviceId === device.deviceId && entry.expiresMs > nowMs;
      return isTheirs ? entry : undefined;
    };
  }

  /** What waits for a device, up to a number. */
  of(device: DeviceRef, through: number = Number.POSITIVE_INFINITY): readonly Entry[] {
    const entries = this.#byUser.get(device.user);
    if (entries === undefined) return [];
    return [...entries.values()].filter(
      ({ deviceId, seq }) => deviceId === device.deviceId && seq <= through,
    );
  }

  get all(): readonly Entry[] {
    return [...this.#byUser.values()].flatMap((entries) => [...entries.values()]);
  }

  /** Not read any more from here on; `dying` until it is erased. */
  condemn(entries: readonly Entry[]): void {
    for (const entry of entries) {
      const held = this.#byUser.get(entry.user);
      if (held?.get(entry.seq) !== entry) continue;
      held.delete(entry.seq);
      if (held.size === 0) this.#byUser.delete(entry.user);
      this.#count -= 1;
      this.#use(entry, -1);
      this.#dying.push(entry);
    }
  }

  condemnExpired(nowMs: number): void {
    if (nowMs < this.#earliestMs) return;
    const expired: Entry[] = [];
    this.#earliestMs = Number.POSITIVE_INFINITY;
    for (const entries of this.#byUser.values()) {
      for (const entry of entries.values()) {
        if (entry.expiresMs <= nowMs) expired.push(entry);
        else this.#earliestMs = Math.min(this.#earliestMs, entry.expiresMs);
      }
    }
    this.condemn(expired);
  }

  /** Retention passed them: nobody will ask for them. */
  condemnBelow(user: UserRef, floor: number): void {
    const entries = [...(this.#byUser.get(user)?.values() ?? [])];
    this.condemn(entries.filter(({ seq }) => seq < floor));
  }

  get dying(): readonly Entry[] {
    return this.#dying;
  }

  erased(entries: readonly Entry[]): void {
    const gone = new Set(entries);
    this.#dying = this.#dying.filter((entry) => !gone.has(entry));
  }

  #use({ user, deviceId, bytes, queues }: Entry, sign: 1 | -1): void {
    for (const queue of queues) {
      const name = queueName({ user, deviceId }, queue);
      const before = this.used(name);
      const count = before.count + sign;
      if (count === 0) this.#used.delete(name);
      else this.#used.set(name, { count, bytes: before.bytes + sign * bytes });
    }
  }
}
