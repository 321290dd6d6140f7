import type { Env } from "../../platform/lmdb-folder.ts";
import type { NumberSet } from "../../protocol/number-set.ts";
import { BoundedCache } from "./bounded-cache.ts";
import { type DeviceRecord, knownDevice } from "./device-record.ts";
import type { StoredEntry } from "./expiries.ts";
import {
  type CommitGroup,
  type DurableView,
  deviceName,
  type PerishableView,
  runsLength,
} from "./group.ts";
import { deviceIdOf, deviceKey, deviceRange, documentKey, timelineKey, userKey } from "./keys.ts";
import type { LmdbExpiries } from "./lmdb-expiries.ts";
import type { LmdbLogs } from "./lmdb-logs.ts";
import { lastRecord } from "./lmdb-ranges.ts";
import { decodeDevice, decodeDocument, decodeTimeline, decodeUser } from "./records.ts";
import {
  type DeviceRef,
  type DocumentRef,
  type EntryRef,
  type KnownDevice,
  type LogRef,
  NO_DOCUMENT,
  type StoredDocument,
  type TimelineBounds,
  type UserRef,
} from "./store.ts";

/**
 * How many devices, timelines and logs have their positions in memory. Each costs well under a
 * kilobyte.
 */
const CACHED_COUNT_MAX = 20_000;
/** Documents may be large: a tenth of a megabyte each. */
const DOCUMENTS_CACHED_MAX = 1_000;

/** What is durable, read through bounded caches. Only published groups change it. */
export class CachedView implements DurableView {
  readonly #env: Env;
  readonly #logs: LmdbLogs;
  readonly #expiries: LmdbExpiries;
  readonly #bounds = new BoundedCache<UserRef, TimelineBounds>(CACHED_COUNT_MAX);
  readonly #devices = new BoundedCache<string, DeviceRecord>(CACHED_COUNT_MAX);
  readonly #logHeads = new BoundedCache<LogRef, number>(CACHED_COUNT_MAX);

  readonly #documents = new BoundedCache<DocumentRef, StoredDocument>(DOCUMENTS_CACHED_MAX);
  readonly perishables: PerishableView;

  constructor(
    env: Env,
    parts: {
      readonly logs: LmdbLogs;
      readonly expiries: LmdbExpiries;
      readonly perishables: PerishableView;
    },
  ) {
    this.#env = env;
    this.#logs = parts.logs;
    this.#expiries = parts.expiries;
    this.perishables = parts.perishables;
  }

  bounds(user: UserRef): TimelineBounds | undefined {
    const cached = this.#bounds.get(user);
    if (cached !== undefined) return cached;
    const stored = this.#env.getBinary(userKey(user));
    if (stored === undefined) return undefined;
    const last = lastRecord(this.#env, timelineKey(user, 0), timelineKey(user, 2 ** 53));
    const head = last ? last.firstSeq - 1 + runsLength(decodeTimeline(last.value)) : 0;
    const bounds = { ...decodeUser(stored), head };
    this.#bounds.set(user, bounds);
    return bounds;
  }

  device(device: DeviceRef): DeviceRecord | undefined {
    const name = deviceName(device);
    const cached = this.#devices.get(name);
    if (cached !== undefined) return cached;
    const stored = this.#env.getBinary(deviceKey(device));
    if (stored === undefined) return undefined;
    const record = decodeDevice(stored);
    this.#devices.set(name, record);
    return record;
  }

  devices(user: UserRef): readonly KnownDevice[] {
    return [...this.#env.getRange(deviceRange(user))].map(({ key, value }) => {
      const deviceId = deviceIdOf(key as unknown as Buffer, user);
      return knownDevice({ user, deviceId }, decodeDevice(value));
    });
  }

  logHead(log: LogRef): number {
    const cached = this.#logHeads.get(log);
    if (cached !== undefined) return cached;
    const head = this.#logs.head(log);
    this.#logHeads.set(log, head);
    return head;
  }

  logFloor(log: LogRef): number {
    return this.#logs.floor(log);
  }

  document(ref: DocumentRef): StoredDocument {
    const cached = this.#documents.get(ref);
    if (cached !== undefined) return cached;
    const stored = this.#env.getBinary(documentKey(ref));
    if (stored === undefined) return NO_DOCUMENT;
    const document = decodeDocument(stored);
    this.#documents.set(ref, document);
    return document;
  }

  entry(ref: EntryRef): StoredEntry | undefined {
    return this.#logs.entry(ref);
  }

  expiredIn(log: LogRef, nowMs: number): NumberSet {
    return this.#expiries.dueIn(log, nowMs);
  }

  setBounds(user: UserRef, bounds: TimelineBounds): void {
    this.#bounds.set(user, bounds);
  }

  /** The group is durable. */
  publish(group: CommitGroup): void {
    for (const user of new Set([...group.newUsers.keys(), ...group.timelines.keys()])) {
      this.#bounds.set(user, group.boundsAfter(user));
    }
    for (const [name, { record }] of group.devices) this.#devices.set(name, record);
    for (const [log, { firstSeq, events }] of group.logs) {
      this.#logHeads.set(log, firstSeq + events.length - 1);
    }
    for (const [ref, document] of group.documents) this.#documents.set(ref, document);
  }
}
