import { randomBytes } from "node:crypto";
import { setImmediate } from "node:timers/promises";
import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import {
  type DataFolder,
  type Env,
  FolderError,
  openDataFolder,
} from "../../platform/lmdb-folder.ts";
import { GroupWrites, StoreFull } from "../../platform/lmdb-writes.ts";
import type { NumberSet } from "../../protocol/number-set.ts";
import { advanceOutcome } from "./device-record.ts";
import { CommitGroup, deviceName, type GroupSources } from "./group.ts";
import {
  deviceKey,
  documentKey,
  FORMAT_KEY,
  firstSeqOf,
  LOGS_START,
  perishableKey,
  timelineKey,
  userKey,
} from "./keys.ts";
import { LmdbExpiries } from "./lmdb-expiries.ts";
import type { LmdbLogs, SealedLogs } from "./lmdb-logs.ts";
import { loadPage, loadRuns } from "./lmdb-pages.ts";
import { keepFrameBytes, openSealed, type SealedParts } from "./lmdb-parts.ts";
import type { LmdbPerishables, SealedPerishables } from "./lmdb-perishables.ts";
import { LmdbTickets } from "./lmdb-tickets.ts";
import { CachedView } from "./lmdb-view.ts";
import { cutoffMs, type LogRetention, NO_RETENTION } from "./log-retention.ts";
import { planningState } from "./planning-state.ts";
import { timelineRecords } from "./record-bounds.ts";
import {
  encodeDevice,
  encodeDocument,
  encodeTimeline,
  encodeUser,
  FORMAT_VERSION,
} from "./records.ts";
import {
  type AdvanceOutcome,
  type AttachOutcome,
  type AttachRequest,
  type CommitOutcome,
  type DeviceLogin,
  type DevicePosition,
  type DeviceRef,
  type Durable,
  type KnownDevice,
  type LogPage,
  type LogRange,
  type LogRef,
  type PageLimit,
  type PlanningReads,
  type PlanningState,
  type PrepareOutcome,
  type PrepareRequest,
  type Store,
  StoreError,
  type SubmitBatch,
  type TimelineBounds,
  type TimelinePage,
  type TimelineRuns,
  type UserRef,
} from "./store.ts";

export interface LmdbStoreOptions {
  readonly folder: string;
  /** The most that the store may grow to, bytes. */
  readonly mapBytes: number;
  /** How many events a timeline keeps at least; the oldest go first. */
  readonly timelineEventsMax: number;
  /** How long entries of logs are kept. For ever unless it is said. */
  readonly retention?: LogRetention;
  /** The largest frame: what was stored for a larger one could not be delivered. [FRM-3] */
  readonly frameBytes?: number;
  /** How many devices a user may have that are not ended. [DEV-8] */
  readonly devicesMax?: number;
  readonly nowMs: () => number;
  /** Told of each durable group, for metrics. */
  readonly onGroup?: (requestCount: number, putCount: number, durationMs: number) => void;
}

/** Requests of one group: bounds the work of one turn and of one transaction. */
const GROUP_REQUESTS_MAX = 4096;
/**
 * Requests that may wait for their group. Sessions bound their own; this bounds their number times
 * that.
 */
const QUEUE_REQUESTS_MAX = 200_000;
/** Positions written with one group that did not ask for it. */
const POSITIONS_PER_GROUP = 64;
/** Entries that have expired, of one group: bounds how long others wait. */
const EXPIRED_PER_GROUP = 256;
/** Groups of one sweep: bounds how long a stop takes; the next sweep goes on. */
const EXPIRED_GROUPS = 16;
/** Timeline records that retention removes with one group and timeline. */
const REMOVALS_PER_GROUP = 64;

interface Request {
  decide(group: CommitGroup): unknown;
  readonly resolve: (decision: never) => void;
  readonly reject: (error: StoreError) => void;
}

/**
 * The embedded store. One group of requests is in flight at a time, as one transaction: what comes
 * meanwhile makes the next group. So a failed write takes no later one's ground away, and
 * throughput does not depend on the disk's delay.
 */
export class LmdbStore implements Store {
  readonly #options: LmdbStoreOptions;
  readonly #folder: DataFolder;
  readonly #env: Env;
  readonly #view: CachedView;
  readonly #perishables: LmdbPerishables;
  readonly #logs: LmdbLogs;
  readonly #expiries: LmdbExpiries;
  readonly #retention: LogRetention;
  /** Where the search for what is old goes on. */
  #oldFrom = LOGS_START;
  readonly #sources: GroupSources;
  readonly tickets: LmdbTickets;
  readonly #watchers = new Map<UserRef, Set<(head: number) => void>>();
  readonly #logWatchers = new Set<(log: LogRef, head: number) => void>();
  readonly #positions = new Map<string, DevicePosition>();
  #queue: Request[] = [];
  #running: Promise<void> | undefined;
  #closed = false;

  /**
   * @throws StoreError DATA_LOCKED, DATA_UNWRITABLE, DATA_FULL, DATA_NEWER or DATA_DAMAGED [OPS-2];
   *   CONFIG_INVALID for a frame size below one that was in use before
   */
  static async open(options: LmdbStoreOptions): Promise<LmdbStore> {
    const { folder, mapBytes } = options;
    const format = { version: FORMAT_VERSION, key: FORMAT_KEY, mapBytes };
    try {
      const opened = await openDataFolder(folder, format);
      await keepFrameBytes(opened, options.frameBytes ?? 0);
      return new LmdbStore(options, opened, await openSealed(opened, folder));
    } catch (error) {
      if (!(error instanceof FolderError)) throw error;
      throw new StoreError(error.code, error.message, { cause: error.cause });
    }
  }

  private constructor(
    options: LmdbStoreOptions,
    folder: DataFolder,
    { perishables, logs }: SealedParts,
  ) {
    this.#options = options;
    this.#folder = folder;
    this.#env = folder.env;
    this.#perishables = perishables;
    this.#logs = logs;
    this.#retention = options.retention ?? NO_RETENTION;
    this.#expiries = new LmdbExpiries(folder.env);
    const parts = { logs, expiries: this.#expiries, perishables: perishables.index };
    this.#view = new CachedView(folder.env, parts);
    perishables.condemnRead((device) => this.#view.device(device)?.deliveredThrough ?? 0);
    this.tickets = new LmdbTickets(folder.env, options.nowMs);
    this.#sources = {
      devicesMax: options.devicesMax,
      nowMs: options.nowMs,
      newSessionId: () => randomBytes(16),
      newTimelineEpoch: () => randomBytes(6).readUIntBE(0, 6) + 1,
    };
  }

  prepare(request: PrepareRequest): Promise<PrepareOutcome> {
    return this.#enqueue((group) => group.prepare(request)) as Promise<PrepareOutcome>;
  }

  attach(request: AttachRequest): Promise<AttachOutcome> {
    return this.#enqueue((group) => group.attach(request)) as Promise<AttachOutcome>;
  }

  ensureUser(user: UserRef): Promise<boolean> {
    return this.#enqueue((group) => group.ensureUser(user));
  }

  commit(batch: SubmitBatch): Promise<CommitOutcome> {
    return this.#enqueue((group) => group.commit(batch)) as Promise<CommitOutcome>;
  }

  async loadLogin(device: DeviceRef): Promise<DeviceLogin | undefined> {
    return this.#view.device(device)?.login;
  }

  async loadDevices(user: UserRef): Promise<readonly KnownDevice[]> {
    return this.#view.devices(user);
  }

  async loadForPlanning(reads: PlanningReads): Promise<PlanningState> {
    return planningState(this.#view, reads, this.#options.nowMs());
  }

  async loadLog(log: LogRef, range: LogRange, limit: PageLimit): Promise<LogPage> {
    const nowMs = this.#options.nowMs();
    return this.#logs.page(this.#view.logHead(log), { log, range, limit, nowMs });
  }

  async loadTimeline(
    user: UserRef,
    asked: number | NumberSet,
    limit: PageLimit,
    readerId = "",
  ): Promise<TimelinePage> {
    const bounds = this.#bounds(user);
    const reader = { user, deviceId: readerId };
    const nowMs = this.#options.nowMs();
    const contentAt = this.#perishables.contentFor(reader, nowMs);
    const from = { env: this.#env, logs: this.#logs };
    const retention = this.#retention;
    return loadPage(from, { user, asked, limit, bounds, contentAt, nowMs, retention });
  }

  async loadRuns(user: UserRef, after: number, countMax: number): Promise<TimelineRuns> {
    // Who catches up asks again and again: others have their turn in between.
    await setImmediate();
    return loadRuns(this.#env, { user, after, countMax, bounds: this.#bounds(user) });
  }

  async advance(position: DevicePosition): Promise<AdvanceOutcome> {
    if (this.#closed) return "noted";
    // A fenced session's late note must not take the place of its successor's. [SES-6]
    const record = this.#view.device(position.device);
    const outcome = advanceOutcome(record, position);
    if (outcome !== "noted") return outcome;
    if (record?.generation === position.generation && record.outboxEpoch === position.outboxEpoch) {
      const { index } = this.#perishables;
      index.condemn(index.of(position.device, position.deliveredThrough));
    }
    this.#positions.set(deviceName(position.device), position);
    return "noted";
  }

  async keep(positions: readonly DevicePosition[]): Promise<void> {
    await this.#enqueue((group) => group.keep(positions));
    for (const position of positions) await this.advance(position);
  }

  async sweep(): Promise<void> {
    if (this.#closed) return;
    try {
      await this.#perishables.sweep(this.#options.nowMs(), this.#options.mapBytes);
    } finally {
      await this.#sweepEntries();
    }
    await this.#sweepOld();
  }

  /** Resolves when the keys of what has expired are zeros on disk. [CNV-96] */
  async #sweepEntries(): Promise<void> {
    for (let count = 0; count < EXPIRED_GROUPS && !this.#closed; count += 1) {
      const due = this.#expiries.due(this.#options.nowMs(), EXPIRED_PER_GROUP);
      // An erasure that failed is tried again, though nothing else is asked for.
      if (due.length === 0 && this.#logs.keys.isSettled) return;
      const early = await this.#enqueue((group) => group.expire(due));
      if (early > 0 || due.length < EXPIRED_PER_GROUP) return;
    }
  }

  /** What is older than it is kept goes, of a few logs each time. [CNV-103] */
  async #sweepOld(): Promise<void> {
    const before = cutoffMs(this.#retention, this.#options.nowMs());
    if (before === undefined || this.#closed) return;
    const { cuts, next } = this.#logs.older(before, this.#oldFrom);
    this.#oldFrom = next;
    if (cuts.length > 0) await this.#enqueue((group) => group.cut(cuts, this.#retention));
  }

  watch(user: UserRef, woken: (head: number) => void): () => void {
    const watchers = this.#watchers.get(user) ?? new Set();
    this.#watchers.set(user, watchers.add(woken));
    return () => {
      watchers.delete(woken);
      if (watchers.size === 0 && this.#watchers.get(user) === watchers) {
        this.#watchers.delete(user);
      }
    };
  }

  watchLogs(grown: (log: LogRef, head: number) => void): () => void {
    this.#logWatchers.add(grown);
    return () => this.#logWatchers.delete(grown);
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    while (this.#running !== undefined) await this.#running;
    if (this.#positions.size > 0) await this.#flushPositions();
    const { nowMs, mapBytes } = this.#options;
    // What could not be erased is condemned again when the store is opened.
    await this.#perishables.sweep(nowMs(), mapBytes).catch(() => {});
    await this.#perishables.close();
    await this.#logs.keys.settle(mapBytes).catch(() => {});
    this.#logs.keys.close();
    await this.#folder.close();
  }

  async #flushPositions(): Promise<void> {
    const group = new CommitGroup(this.#view, this.#sources);
    for (const position of this.#positions.values()) group.advance(position);
    // Notes may be lost without harm: trouble here must not keep the store from closing.
    await this.#write(group).catch(() => {});
  }

  #bounds(user: UserRef): TimelineBounds {
    const bounds = this.#view.bounds(user);
    if (bounds === undefined) throw new StoreError(ErrorCode.INTERNAL, "no such user");
    return bounds;
  }

  #enqueue<Decision>(decide: (group: CommitGroup) => Decision): Promise<Durable<Decision>> {
    if (this.#closed || this.#queue.length >= QUEUE_REQUESTS_MAX) {
      const why = this.#closed ? "the store is closed" : "too many requests wait";
      return Promise.reject(new StoreError(ErrorCode.STORE_UNAVAILABLE, why));
    }
    return new Promise((resolve, reject) => {
      this.#queue.push({ decide, resolve: resolve as (decision: never) => void, reject });
      this.#running ??= this.#run();
    });
  }

  async #run(): Promise<void> {
    // Requests of the same turn of the event loop belong to the same group.
    await Promise.resolve();
    while (this.#queue.length > 0) {
      const requests = this.#queue.splice(0, GROUP_REQUESTS_MAX);
      await this.#runGroup(requests);
    }
    this.#running = undefined;
  }

  async #runGroup(requests: readonly Request[]): Promise<void> {
    const group = new CommitGroup(this.#view, this.#sources);
    const decided: { readonly request: Request; readonly decision: unknown }[] = [];
    const startedMs = performance.now();
    for (const request of requests) {
      try {
        decided.push({ request, decision: request.decide(group) });
      } catch (cause) {
        request.reject(new StoreError(ErrorCode.INTERNAL, "a request broke a rule", { cause }));
      }
    }
    this.#addPositions(group);
    const refuse = (cause: unknown) => {
      const error = new StoreError(ErrorCode.STORE_UNAVAILABLE, "the write failed", { cause });
      for (const { request } of decided) request.reject(error);
    };
    let putCount = 0;
    try {
      // What failed is done with before more can: so it stays bounded. [CNV-64] [CNV-66]
      await this.#settle();
      if (!group.empty) putCount = await this.#write(group);
    } catch (cause) {
      refuse(cause);
      return;
    }
    try {
      await this.#settle();
      for (const { request, decision } of decided) request.resolve(decision as never);
    } catch (cause) {
      refuse(cause);
    }
    this.#options.onGroup?.(requests.length, putCount, performance.now() - startedMs);
    this.#wake(group);
  }

  /** Erases what was replaced: nobody is told of a commit before, or of a repeat. [CNV-60] */
  async #settle(): Promise<void> {
    const { keys } = this.#logs;
    if (!keys.isSettled) await keys.settle(this.#options.mapBytes);
  }

  /**
   * Positions of devices that write anyway, and a few others: an acknowledgement costs no put of
   * its own.
   */
  #addPositions(group: CommitGroup): void {
    let others = 0;
    for (const [name, position] of this.#positions) {
      if (!group.devices.has(name)) {
        if (others >= POSITIONS_PER_GROUP) continue;
        others += 1;
      }
      group.advance(position);
      this.#positions.delete(name);
    }
  }

  /** Makes a group durable as one transaction, then lets it be seen. Returns the number of puts. */
  async #write(group: CommitGroup): Promise<number> {
    const moved = this.#movedFloors(group);
    const { index } = this.#perishables;
    const erased = [...group.erased.values()].flatMap((device) => index.of(device));
    const { kept, logs } = await this.#seal(group);
    const writes = new GroupWrites(this.#env);
    for (const { key, value } of [...kept.puts, ...logs.puts]) writes.put(key, value);
    for (const key of logs.removals) writes.remove(key);
    for (const { user, seq } of erased) writes.remove(perishableKey(user, seq));
    for (const [ref, document] of group.documents) {
      writes.put(documentKey(ref), encodeDocument(document));
    }
    for (const [user, bounds] of group.newUsers) writes.put(userKey(user), encodeUser(bounds));
    for (const { device, record } of group.devices.values()) {
      writes.put(deviceKey(device), encodeDevice(record));
    }
    for (const [user, append] of group.timelines) {
      for (const { firstSeq, runs } of timelineRecords(append)) {
        writes.put(timelineKey(user, firstSeq), encodeTimeline(runs));
      }
    }
    for (const { user, bounds, removals } of moved) {
      writes.put(userKey(user), encodeUser(bounds));
      for (const key of removals) writes.remove(key);
    }
    this.#expiries.write(group, writes);
    try {
      await writes.commit(this.#options.mapBytes);
    } catch (error) {
      this.#logs.abandon(logs, error instanceof StoreFull);
      await this.#perishables.abandon(kept);
      throw error;
    }
    this.#logs.publish(logs);
    this.#view.publish(group);
    index.condemn(erased);
    for (const entry of kept.entries) index.add(entry);
    for (const { user, bounds } of moved) {
      this.#view.setBounds(user, bounds);
      index.condemnBelow(user, bounds.floor);
    }
    return writes.putCount;
  }

  /** Resolves when all keys of what a group writes are on disk. */
  async #seal(group: CommitGroup): Promise<{ kept: SealedPerishables; logs: SealedLogs }> {
    const kept = await this.#perishables.seal(group.perishables);
    try {
      return { kept, logs: await this.#logs.seal(group) };
    } catch (error) {
      await this.#perishables.abandon(kept);
      throw error;
    }
  }

  /**
   * Timelines that outgrew their retention, in steps, so that the floor is not written with every
   * group.
   */
  #movedFloors(group: CommitGroup) {
    const max = this.#options.timelineEventsMax;
    const moved: { user: UserRef; bounds: TimelineBounds; removals: Buffer[] }[] = [];
    for (const user of group.timelines.keys()) {
      const bounds = group.boundsAfter(user);
      const wanted = bounds.head - max + 1;
      if (wanted <= bounds.floor + Math.min(max / 16, 1024)) continue;
      const keys = [
        ...this.#env.getKeys({
          start: timelineKey(user, 0),
          end: timelineKey(user, wanted),
          limit: REMOVALS_PER_GROUP + 1,
        }),
      ];
      // A record goes when the one after it begins at or below the floor: then all of it lies
      // below.
      const removals = keys.slice(0, -1);
      const last = keys.at(-1);
      const reached = keys.length > REMOVALS_PER_GROUP && last !== undefined;
      const floor = reached ? Math.max(bounds.floor, firstSeqOf(last)) : wanted;
      moved.push({ user, bounds: { ...bounds, floor }, removals });
    }
    return moved;
  }

  #wake(group: CommitGroup): void {
    for (const log of this.#logWatchers.size === 0 ? [] : group.logs.keys()) {
      for (const grown of this.#logWatchers) grown(log, this.#view.logHead(log));
    }
    for (const user of group.timelines.keys()) {
      const watchers = this.#watchers.get(user);
      if (watchers === undefined) continue;
      const head = this.#view.bounds(user)?.head ?? 0;
      for (const woken of watchers) woken(head);
    }
  }
}
