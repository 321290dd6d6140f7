import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import { has, NO_NUMBERS, type NumberSet, numbersFrom, union } from "../../protocol/number-set.ts";
import { type DeviceRecord, knownDevice } from "./device-record.ts";
import { type ExpiringEntry, entryAt, eventAt, type StoredEntry } from "./expiries.ts";
import { CommitGroup, type DurableView, deviceName, type GroupSources } from "./group.ts";
import {
  cutoffMs,
  isNumbered,
  type LogCut,
  type LogRetention,
  NO_RETENTION,
} from "./log-retention.ts";
import { entryOf, type PerishableEntry, Perishables } from "./perishables.ts";
import { planningState } from "./planning-state.ts";
import {
  type AdvanceOutcome,
  type AttachOutcome,
  type AttachRequest,
  type CommitOutcome,
  type DeviceLogin,
  type DevicePosition,
  type DeviceRef,
  type DocumentRef,
  type Durable,
  type EntryRef,
  entryName,
  type KnownDevice,
  type LogPage,
  type LogRange,
  type LogRef,
  type LogRun,
  NO_DOCUMENT,
  type PageLimit,
  type PlanningReads,
  type PlanningState,
  type PrepareOutcome,
  type PrepareRequest,
  type Store,
  type StoredDocument,
  StoreError,
  type SubmitBatch,
  type TimelineBounds,
  type TimelineEntry,
  type TimelinePage,
  type TimelineRuns,
  toldSeq,
  type UserRef,
} from "./store.ts";

export interface MemoryPerishable extends PerishableEntry {
  readonly event: Uint8Array;
}

/** What survives a memory store's crash: hand it to the next one. */
export class MemoryDisk implements DurableView {
  readonly users = new Map<UserRef, TimelineBounds>();
  readonly records = new Map<string, DeviceRecord>();
  readonly logs = new Map<LogRef, StoredEntry[]>();
  /** Entries that expire, by name. */
  readonly expiring = new Map<string, ExpiringEntry>();
  /** Of logs that do not begin with 1 any more. */
  readonly floors = new Map<LogRef, number>();
  /** From number 1, whatever the floor. */
  readonly timelines = new Map<UserRef, { readonly log: LogRef; readonly logSeq: number }[]>();

  readonly documents = new Map<DocumentRef, StoredDocument>();
  readonly perishables = new Perishables<MemoryPerishable>();

  bounds(user: UserRef): TimelineBounds | undefined {
    return this.users.get(user);
  }

  device(device: DeviceRef): DeviceRecord | undefined {
    return this.records.get(deviceName(device));
  }

  devices(user: UserRef): readonly KnownDevice[] {
    const prefix = deviceName({ user, deviceId: "" });
    return [...this.records]
      .filter(([name]) => name.startsWith(prefix))
      .map(([name, record]) => knownDevice({ user, deviceId: name.slice(prefix.length) }, record))
      .sort((one, other) => (one.deviceId < other.deviceId ? -1 : 1));
  }

  logHead(log: LogRef): number {
    return this.logs.get(log)?.length ?? 0;
  }

  logFloor(log: LogRef): number {
    return this.floors.get(log) ?? 1;
  }

  /** Logs of which entries were committed before a time. */
  older(beforeMs: number): readonly LogCut[] {
    return [...this.logs]
      .filter(([log]) => isNumbered(log))
      .map(([log, entries]) => {
        const first = entries.findIndex(
          ({ committedMs }, index) => index + 1 >= this.logFloor(log) && committedMs >= beforeMs,
        );
        return { log, floor: first === -1 ? entries.length + 1 : first + 1 };
      });
  }

  document(ref: DocumentRef): StoredDocument {
    return this.documents.get(ref) ?? NO_DOCUMENT;
  }

  entry({ log, seq }: EntryRef): StoredEntry | undefined {
    return seq < this.logFloor(log) ? undefined : this.logs.get(log)?.[seq - 1];
  }

  expiredIn(log: LogRef, nowMs: number): NumberSet {
    return this.due(nowMs)
      .filter((one) => one.log === log)
      .reduce((numbers, { seq }) => union(numbers, numbersFrom(seq, seq)), NO_NUMBERS);
  }

  due(nowMs: number): readonly ExpiringEntry[] {
    return [...this.expiring.values()].filter(({ expiresMs }) => expiresMs <= nowMs);
  }

  /** A timeline entry joined with its content, as it is at a time. */
  timelineEntry(user: UserRef, seq: number, nowMs: number, { eventOf } = NO_RETENTION) {
    const index = this.timelines.get(user)?.[seq - 1];
    if (index === undefined) throw new RangeError("a timeline entry is missing");
    const { log, logSeq } = index;
    const conversationSeq = toldSeq(log, logSeq);
    if (logSeq < this.logFloor(log)) {
      return { conversationSeq, committedMs: 0, event: eventOf(log) };
    }
    const entry = this.logs.get(log)?.[logSeq - 1];
    if (entry === undefined) throw new RangeError("a timeline refers to what is not there");
    return { conversationSeq, ...entryAt(entry, nowMs) };
  }

  /** @throws StoreError when there is no such user */
  page(page: {
    readonly user: UserRef;
    readonly asked: number | NumberSet;
    readonly limit: PageLimit;
    readonly readerId?: string | undefined;
    readonly nowMs: number;
    readonly retention?: LogRetention | undefined;
  }): TimelinePage {
    const { user, asked, limit, readerId = "", nowMs, retention } = page;
    const readers = this.perishables.readerOf({ user, deviceId: readerId }, nowMs);
    const bounds = this.bounds(user);
    if (bounds === undefined) throw new StoreError(ErrorCode.INTERNAL, "no such user");
    const entries: TimelineEntry[] = [];
    let bytes = 0;
    const from = typeof asked === "number" ? asked + 1 : bounds.floor;
    for (let seq = Math.max(from, bounds.floor); seq <= bounds.head; seq += 1) {
      if (typeof asked !== "number" && !has(asked, seq)) continue;
      const found = this.timelineEntry(user, seq, nowMs, retention);
      const { conversationSeq, committedMs, event: stub } = found;
      const own = readers?.(seq)?.event;
      // A copy: what is swept or replaced is written over in place.
      const event = Uint8Array.from(own ?? stub);
      bytes += event.length;
      if (entries.length >= limit.count || (entries.length > 0 && bytes > limit.bytes)) break;
      entries.push({ seq, conversationSeq, committedMs, event });
    }
    return { bounds, entries };
  }

  /** @throws StoreError when there is no such user */
  runs(user: UserRef, after: number, countMax: number): TimelineRuns {
    const bounds = this.bounds(user);
    if (bounds === undefined) throw new StoreError(ErrorCode.INTERNAL, "no such user");
    const runs: LogRun[] = [];
    const from = Math.max(after + 1, bounds.floor);
    for (let seq = from; seq <= Math.min(bounds.head, from + countMax - 1); seq += 1) {
      const index = this.timelines.get(user)?.[seq - 1];
      if (index === undefined) throw new RangeError("a timeline entry is missing");
      const { log, logSeq } = index;
      const last = runs.at(-1);
      if (last?.log === log && last.firstLogSeq + last.count === logSeq) {
        runs[runs.length - 1] = { ...last, count: last.count + 1 };
      } else runs.push({ firstSeq: seq, log, firstLogSeq: logSeq, count: 1 });
    }
    return { bounds, runs };
  }

  logPage(log: LogRef, range: LogRange, limit: PageLimit, nowMs: number): LogPage {
    const head = this.logHead(log);
    const entries: LogPage["entries"][number][] = [];
    const floor = this.logFloor(log);
    const through = Math.min(range.through, head);
    const from = Math.max(range.from, floor);
    let bytes = 0;
    for (let step = 0; step <= through - from; step += 1) {
      const seq = range.fromEnd ? through - step : from + step;
      const stored = this.entry({ log, seq }) as StoredEntry;
      const { committedMs } = stored;
      const event = eventAt(stored, nowMs);
      bytes += event.length;
      if (entries.length >= limit.count || (entries.length > 0 && bytes > limit.bytes)) break;
      entries.push({ seq, committedMs, event: Uint8Array.from(event) });
    }
    return { head, floor, entries: range.fromEnd ? entries.reverse() : entries };
  }

  /** A device has passed a number: only what is in force counts. */
  passed({ device, generation, outboxEpoch, deliveredThrough }: DevicePosition): void {
    const record = this.device(device);
    if (record?.generation !== generation || record.outboxEpoch !== outboxEpoch) return;
    this.perishables.condemn(this.perishables.of(device, deliveredThrough));
  }

  sweep(nowMs: number): void {
    this.perishables.condemnExpired(nowMs);
    for (const { event } of this.perishables.dying) event.fill(0);
    this.perishables.erased(this.perishables.dying);
  }

  /** Takes in a whole group. */
  write(group: CommitGroup, timelineEventsMax: number): void {
    for (const [ref, document] of group.documents) this.documents.set(ref, document);
    for (const device of group.erased.values()) {
      this.perishables.condemn(this.perishables.of(device));
    }
    for (const { user, seq, content } of group.perishables) {
      const event = Uint8Array.from(content.event);
      this.perishables.add({ ...entryOf({ user, seq, content }), event });
    }
    for (const [user, bounds] of group.newUsers) this.users.set(user, bounds);
    for (const { device, record } of group.devices.values()) {
      this.records.set(deviceName(device), record);
    }
    for (const { log, seq, event, ...rest } of group.replaced.values()) {
      const entries = this.logs.get(log) as StoredEntry[];
      const { committedMs, event: before } = entries[seq - 1] as StoredEntry;
      entries[seq - 1] = { committedMs, event: Uint8Array.from(event), ...rest };
      before.fill(0);
    }
    for (const [log, floor] of group.cuts) {
      const gone = (this.logs.get(log) ?? []).slice(this.logFloor(log) - 1, floor - 1);
      for (const { event } of gone) event.fill(0);
      this.floors.set(log, floor);
    }
    for (const entry of group.expiring) this.expiring.set(entryName(entry), entry);
    for (const entry of group.expired) this.expiring.delete(entryName(entry));
    for (const [log, { events }] of group.logs) {
      const entries = this.logs.get(log) ?? [];
      // Copies: what is replaced is written over in place.
      for (const { event, ...rest } of events) {
        entries.push({ committedMs: group.committedMs, event: Uint8Array.from(event), ...rest });
      }
      this.logs.set(log, entries);
    }
    for (const [user, { runs }] of group.timelines) {
      const entries = this.timelines.get(user) ?? [];
      for (const { log, firstLogSeq, count } of runs) {
        for (let index = 0; index < count; index += 1) {
          entries.push({ log, logSeq: firstLogSeq + index });
        }
      }
      this.timelines.set(user, entries);
      const { epoch, floor } = this.users.get(user) as TimelineBounds;
      const head = entries.length;
      const raised = Math.max(floor, head - timelineEventsMax + 1);
      this.users.set(user, { epoch, head, floor: raised });
      this.perishables.condemnBelow(user, raised);
    }
  }
}

export interface MemoryStoreOptions extends GroupSources {
  readonly disk?: MemoryDisk;
  readonly timelineEventsMax?: number;
  readonly retention?: LogRetention;
  /**
   * Decides when a group is durable: called with what writes it to the disk. The default writes at
   * once. A simulator delays it, never calls it (a crash between commit and acknowledgement) or
   * throws (a failed write).
   */
  readonly flush?: (write: () => void) => Promise<void>;
}

/** The model of a store: obvious and slow. What it promises, every store promises. */
export class MemoryStore implements Store {
  readonly disk: MemoryDisk;
  readonly #options: MemoryStoreOptions;
  readonly #watchers = new Map<UserRef, Set<(head: number) => void>>();
  readonly #logWatchers = new Set<(log: LogRef, head: number) => void>();
  #tail: Promise<unknown> = Promise.resolve();

  constructor(options: MemoryStoreOptions) {
    this.#options = options;
    this.disk = options.disk ?? new MemoryDisk();
  }

  prepare(request: PrepareRequest): Promise<PrepareOutcome> {
    return this.#inTurn((group) => group.prepare(request)) as Promise<PrepareOutcome>;
  }

  attach(request: AttachRequest): Promise<AttachOutcome> {
    return this.#inTurn((group) => group.attach(request));
  }

  ensureUser(user: UserRef): Promise<boolean> {
    return this.#inTurn((group) => group.ensureUser(user));
  }

  commit(batch: SubmitBatch): Promise<CommitOutcome> {
    return this.#inTurn((group) => group.commit(batch)) as Promise<CommitOutcome>;
  }

  advance(position: DevicePosition): Promise<AdvanceOutcome> {
    const noted = this.#inTurn((group) => group.advance(position)).then((outcome) => {
      this.disk.passed(position);
      return outcome;
    });
    return noted.catch(() => "noted" as const);
  }

  async keep(positions: readonly DevicePosition[]): Promise<void> {
    await this.#inTurn((group) => group.keep(positions));
    for (const position of positions) this.disk.passed(position);
  }

  async loadLogin(device: DeviceRef): Promise<DeviceLogin | undefined> {
    return this.disk.device(device)?.login;
  }

  async loadDevices(user: UserRef): Promise<readonly KnownDevice[]> {
    return this.disk.devices(user);
  }

  async loadForPlanning(reads: PlanningReads): Promise<PlanningState> {
    return planningState(this.disk, reads, this.#options.nowMs());
  }

  async loadLog(log: LogRef, range: LogRange, limit: PageLimit): Promise<LogPage> {
    return this.disk.logPage(log, range, limit, this.#options.nowMs());
  }

  async loadTimeline(
    user: UserRef,
    asked: number | NumberSet,
    limit: PageLimit,
    readerId?: string,
  ): Promise<TimelinePage> {
    const { retention } = this.#options;
    const nowMs = this.#options.nowMs();
    return this.disk.page({ user, asked, limit, readerId, nowMs, retention });
  }

  async loadRuns(user: UserRef, after: number, countMax: number): Promise<TimelineRuns> {
    return this.disk.runs(user, after, countMax);
  }

  async sweep(): Promise<void> {
    this.disk.sweep(this.#options.nowMs());
    const due = this.disk.due(this.#options.nowMs());
    if (due.length > 0) await this.#inTurn((group) => group.expire(due));
    const { retention = NO_RETENTION } = this.#options;
    const before = cutoffMs(retention, this.#options.nowMs());
    if (before === undefined) return;
    await this.#inTurn((group) => group.cut(this.disk.older(before), retention));
  }

  watch(user: UserRef, woken: (head: number) => void): () => void {
    const watchers = this.#watchers.get(user) ?? new Set();
    this.#watchers.set(user, watchers.add(woken));
    return () => watchers.delete(woken);
  }

  watchLogs(grown: (log: LogRef, head: number) => void): () => void {
    this.#logWatchers.add(grown);
    return () => this.#logWatchers.delete(grown);
  }

  async close(): Promise<void> {
    await this.#tail;
  }

  #inTurn<Decision>(decide: (group: CommitGroup) => Decision): Promise<Durable<Decision>> {
    const turn = this.#tail.then(async () => {
      const group = new CommitGroup(this.disk, this.#options);
      const decision = decide(group);
      const write = () =>
        this.disk.write(group, this.#options.timelineEventsMax ?? Number.MAX_SAFE_INTEGER);
      if (!group.empty) await this.#flush(write);
      this.#wake(group);
      return decision as Durable<Decision>;
    });
    this.#tail = turn.catch(() => {});
    return turn;
  }

  async #flush(write: () => void): Promise<void> {
    try {
      if (this.#options.flush === undefined) write();
      else await this.#options.flush(write);
    } catch (cause) {
      throw new StoreError(ErrorCode.STORE_UNAVAILABLE, "the write failed", { cause });
    }
  }

  #wake(group: CommitGroup): void {
    for (const log of group.logs.keys()) {
      for (const grown of this.#logWatchers) grown(log, this.disk.logHead(log));
    }
    for (const user of group.timelines.keys()) {
      const { head } = this.disk.bounds(user) as TimelineBounds;
      for (const woken of this.#watchers.get(user) ?? []) woken(head);
    }
  }
}
