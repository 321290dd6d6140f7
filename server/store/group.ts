import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import type { NumberSet } from "../../protocol/number-set.ts";
import type {
  Attachment,
  Receipt,
  SubmitOutcome,
  TimelineBounds,
} from "../../protocol/session/facts.ts";
import { unreachable } from "../../protocol/violation.ts";
import { DeviceCounts } from "./device-counts.ts";
import {
  addResults,
  advanceDevice,
  advanceOutcome,
  attachDevice,
  type DeviceRecord,
  endDevice,
  judgeBatch,
  prepareAttachment,
  resultsFrom,
} from "./device-record.ts";
import { DocumentChanges } from "./documents.ts";
import { type ExpiringEntry, eventAt, type StoredEntry, type StoredEvent } from "./expiries.ts";
import type { LogCut, LogRetention } from "./log-retention.ts";
import {
  hasRoom,
  keptName,
  type NumberedPerishable,
  type QueueUse,
  queueName,
} from "./perishables.ts";
import { planningState } from "./planning-state.ts";
import type { AppendPlan, EntryContent, EntryReplacement, PerishableContent } from "./plans.ts";
import type { TimelineRun } from "./records.ts";
import {
  type AdvanceOutcome,
  type AttachOutcome,
  type AttachRequest,
  type DevicePosition,
  type DeviceRef,
  type DocumentRef,
  documentNumbered,
  type EntryRef,
  entryName,
  type KnownDevice,
  type LogRef,
  type PlannedSubmit,
  type PrepareRequest,
  type StoredDocument,
  type SubmitBatch,
  toldSeq,
  type UserRef,
} from "./store.ts";

/** What is durable, as a group begins. */
export interface DurableView {
  bounds(user: UserRef): TimelineBounds | undefined;
  device(device: DeviceRef): DeviceRecord | undefined;
  /** All of a user, by their ids in byte order. */
  devices(user: UserRef): readonly KnownDevice[];
  /** The number of a log's newest entry; 0: none. */
  logHead(log: LogRef): number;
  /** The number of a log's oldest entry that is kept. */
  logFloor(log: LogRef): number;
  document(ref: DocumentRef): StoredDocument;
  /** What a log holds under a number; undefined beyond its head. */
  entry(ref: EntryRef): StoredEntry | undefined;
  /** What has expired at a time, and was not swept yet. */
  expiredIn(log: LogRef, nowMs: number): NumberSet;
  /** What waits for devices, by queue. */
  readonly perishables: PerishableView;
}

export interface PerishableView {
  readonly room: number;
  used(queue: string): QueueUse;
}

/** Randomness, the clock and a limit, given from outside. */
export interface GroupSources {
  /** How many devices a user may have that are not ended. [DEV-8] */
  readonly devicesMax?: number | undefined;
  nowMs(): number;
  newSessionId(): Uint8Array;
  /** 1 to 2^53-1; another one than any store ever gave, but for chance. */
  newTimelineEpoch(): number;
}

export interface LogAppend {
  readonly firstSeq: number;
  readonly events: StoredEvent[];
}

export interface TimelineAppend {
  readonly firstSeq: number;
  readonly runs: TimelineRun[];
}

/** What a device's request came to, once the group is durable. */
export type PrepareDecision =
  | { readonly kind: "prepared"; readonly attachment: Attachment }
  | { readonly kind: "refused"; readonly code: ErrorCode; readonly requirement: string };

export type CommitDecision =
  | { readonly kind: "committed"; readonly receipt: Receipt }
  | { readonly kind: "fenced" }
  | { readonly kind: "ended" }
  | { readonly kind: "conflict"; readonly seq: number }
  | { readonly kind: "stale" };

export function deviceName(device: DeviceRef): string {
  return `${device.user}\0${device.deviceId}`;
}

/**
 * Decides a group of requests, one after the other, each on the state that the ones before it
 * leave: fence, dedupe, numbers. Pure but for what is given; what it decided takes effect when the
 * store has made `changes` durable, all or nothing. [SEQ-14]
 */
export class CommitGroup {
  readonly committedMs: number;
  readonly newUsers = new Map<UserRef, TimelineBounds>();
  readonly devices = new Map<string, { readonly device: DeviceRef; record: DeviceRecord }>();
  readonly logs = new Map<LogRef, LogAppend>();
  /** Entries from before this group that get another content, by name. */
  readonly replaced = new Map<string, EntryRef & StoredEvent>();
  /** Entries of this group that will expire. */
  readonly expiring: ExpiringEntry[] = [];
  /** Those that have, and are not waited for any more. */
  readonly expired: ExpiringEntry[] = [];
  /** Logs of which entries go, and the first number of each that stays. */
  readonly cuts = new Map<LogRef, number>();
  readonly timelines = new Map<UserRef, TimelineAppend>();
  /** What was added for devices that were not taken out since. */
  perishables: NumberedPerishable[] = [];
  /** Devices whose perishable content from before this group is to go. */
  readonly erased = new Map<string, DeviceRef>();
  readonly #added = new Map<string, QueueUse>();
  readonly #documents: DocumentChanges;
  readonly #counts: DeviceCounts;
  readonly #view: DurableView;
  readonly #sources: GroupSources;

  constructor(view: DurableView, sources: GroupSources) {
    this.#view = view;
    this.#sources = sources;
    this.#documents = new DocumentChanges((ref) => view.document(ref));
    this.#counts = new DeviceCounts(view, sources.devicesMax);
    this.committedMs = sources.nowMs();
  }

  /** Whether there is anything to make durable. */
  get empty(): boolean {
    const parts = [this.newUsers, this.devices, this.logs, this.cuts];
    return this.expired.length === 0 && parts.every(({ size }) => size === 0);
  }

  get documents(): ReadonlyMap<DocumentRef, StoredDocument> {
    return this.#documents.changed;
  }

  prepare(request: PrepareRequest): PrepareDecision {
    const { device } = request;
    const known = this.#bounds(device.user);
    const bounds = known ?? this.#newBounds();
    const prepared = prepareAttachment(this.#device(device), request, {
      bounds,
      newSessionId: () => this.#sources.newSessionId(),
      hasRoom: () => this.#counts.hasRoom(device.user),
    });
    if ("code" in prepared) {
      return { kind: "refused", code: prepared.code, requirement: prepared.requirement };
    }
    if (known === undefined) this.newUsers.set(device.user, bounds);
    const { attachment, record } = prepared;
    if (record !== this.#device(device)) this.#setDevice(device, record);
    return { kind: "prepared", attachment };
  }

  /** Whether there was no such user before. */
  ensureUser(user: UserRef): boolean {
    if (this.#bounds(user) !== undefined) return false;
    this.newUsers.set(user, this.#newBounds());
    return true;
  }

  attach({ device, attachment, announces }: AttachRequest): AttachOutcome {
    const { user } = device;
    const before = this.#device(device);
    const { record, kind } = attachDevice(before, attachment, this.committedMs);
    const isFirst = before?.firstAttachedMs === 0 && kind === "attached";
    if (announces !== undefined && isFirst && this.#counts.hasAttached(user)) {
      this.#index(user, this.#append(announces));
    }
    if (record !== undefined) this.#setDevice(device, record);
    return { kind, generation: this.#device(device)?.generation ?? 0 };
  }

  commit(batch: SubmitBatch): CommitDecision {
    const record = this.#device(batch.device);
    const verdict = judgeBatch(record, batch);
    if (verdict.kind !== "accepted") return verdict;
    const fresh = this.#holding(verdict.fresh, batch);
    if (fresh === undefined) return { kind: "stale" };
    const outcomes: SubmitOutcome[] = [];
    let isEnded = false;
    for (const submit of fresh) {
      outcomes.push(this.#apply(submit));
      isEnded = this.#device(batch.device)?.isEnded === true;
      // What follows comes from a device that there is not any more. [DEV-5]
      if (isEnded) break;
    }
    const next = addResults(record as DeviceRecord, outcomes);
    if (outcomes.length > 0) this.#setDevice(batch.device, isEnded ? endDevice(next) : next);
    const first = batch.submits[0]?.seq ?? next.through + 1;
    return {
      kind: "committed",
      receipt: { through: next.through, results: resultsFrom(next, first) },
    };
  }

  advance(position: DevicePosition): AdvanceOutcome {
    const before = this.#device(position.device);
    const record = advanceDevice(before, position);
    if (record !== undefined) this.#setDevice(position.device, record);
    return advanceOutcome(before, position);
  }

  keep(positions: readonly DevicePosition[]): void {
    for (const position of positions) this.advance(position);
  }

  /** What has expired becomes what takes its place, for good. @returns how many are not due */
  expire(due: readonly ExpiringEntry[]): number {
    let early = 0;
    for (const one of due) {
      const { expiry } = this.#stored(one) ?? {};
      if (expiry !== undefined && expiry.expiresMs > this.committedMs) {
        early += 1;
        continue;
      }
      this.expired.push(one);
      if (expiry === undefined) continue;
      const { log, seq } = one;
      this.#replace({ log, seq, event: expiry.event, endsExpiry: true });
      const marks = expiry.marks.map((ref) => ({ ref, numbers: "own" as const }));
      this.#documents.apply({ kind: "repeat", entry: one, timelines: [], marks }, seq);
      this.#clear(expiry.clears, seq);
    }
    return early;
  }

  /** Entries are old enough to go; not those that another one in this group has replaced. */
  cut(cuts: readonly LogCut[], { clearsOf }: LogRetention): void {
    for (const { log, floor } of cuts) {
      const below = (one: EntryRef) => one.log === log && one.seq < floor;
      if ([...this.replaced.values()].some(below)) continue;
      const from = this.#view.logFloor(log);
      if (floor <= from || floor > this.#view.logHead(log) + 1) continue;
      this.cuts.set(log, floor);
      const names = clearsOf(log);
      for (let seq = from; seq < floor; seq += 1) this.#clear(names, seq);
    }
  }

  #clear(names: readonly DocumentRef[], seq: number): void {
    const refs = names.map((name) => documentNumbered(name, seq));
    const full = refs.filter((ref) => this.#documents.get(ref).bytes.length > 0);
    this.#documents.put(full.map((ref) => ({ ref, bytes: new Uint8Array(0) })));
  }

  /** A timeline's bounds with what this group adds. */
  boundsAfter(user: UserRef): TimelineBounds {
    return this.#bounds(user) as TimelineBounds;
  }

  #apply({ plan, digest }: PlannedSubmit): SubmitOutcome {
    const told = { committedMs: this.committedMs, digest, retryAfterMs: 0 };
    switch (plan.kind) {
      case "refuse": {
        const { code, retryAfterMs = 0 } = plan;
        return { ...told, code, conversationSeq: 0, retryAfterMs };
      }
      case "append":
      case "repeat": {
        const { perishable } = plan;
        if (perishable !== undefined && this.#device(perishable.device)?.isEnded) {
          return { ...told, code: ErrorCode.DEVICE_UNKNOWN, conversationSeq: 0 };
        }
        if (perishable !== undefined && !this.#hasRoom(perishable)) {
          return { ...told, code: perishable.full, conversationSeq: 0 };
        }
        for (const content of plan.replaces ?? []) this.#replace(content);
        const { log, seq } = plan.kind === "repeat" ? plan.entry : this.#append(plan);
        this.#documents.apply(plan, seq);
        for (const user of plan.timelines) this.#index(user, { log, seq });
        if (perishable !== undefined) this.#keep(perishable);
        for (const device of plan.erases ?? []) this.#erase(device);
        for (const device of plan.ends ?? []) this.#end(device);
        return { ...told, code: ErrorCode.UNSPECIFIED, conversationSeq: toldSeq(log, seq) };
      }
      default:
        return unreachable(plan);
    }
  }

  #hasRoom(content: PerishableContent): boolean {
    const { perishables } = this.#view;
    const room = perishables.room - this.perishables.length;
    if (room <= 0) return false;
    const used = (queue: string) => {
      const { count, bytes } = perishables.used(queue);
      const added = this.#added.get(queue) ?? { count: 0, bytes: 0 };
      return { count: count + added.count, bytes: bytes + added.bytes };
    };
    return hasRoom(content, used, room);
  }

  #keep(content: PerishableContent): void {
    const { user } = content.device;
    this.perishables.push({ user, seq: this.boundsAfter(user).head, content });
    for (const one of content.queues) {
      const queue = queueName(content.device, keptName(one));
      const { count, bytes } = this.#added.get(queue) ?? { count: 0, bytes: 0 };
      this.#added.set(queue, { count: count + 1, bytes: bytes + content.event.length });
    }
  }

  /** Queues count on as if they were full still: until the group is durable they are. */
  #erase(device: DeviceRef): void {
    const name = deviceName(device);
    this.erased.set(name, device);
    this.perishables = this.perishables.filter(
      ({ content }) => deviceName(content.device) !== name,
    );
  }

  #end(device: DeviceRef): void {
    this.#erase(device);
    this.#setDevice(device, endDevice(this.#device(device) as DeviceRecord));
  }

  #append({ log, event, expiry }: Pick<AppendPlan, "log" | "event" | "expiry">): EntryRef {
    let append = this.logs.get(log);
    if (append === undefined) {
      append = { firstSeq: this.#view.logHead(log) + 1, events: [] };
      this.logs.set(log, append);
    }
    append.events.push(expiry === undefined ? { event } : { event, expiry });
    const entry = { log, seq: append.firstSeq + append.events.length - 1 };
    if (expiry !== undefined) this.expiring.push({ ...entry, expiresMs: expiry.expiresMs });
    return entry;
  }

  #replace({ log, seq, event, endsExpiry = false }: EntryReplacement): void {
    const { expiry } = this.#stored({ log, seq }) ?? {};
    const stored = endsExpiry || expiry === undefined ? { event } : { event, expiry };
    const append = this.logs.get(log);
    if (append === undefined || seq < append.firstSeq) {
      this.replaced.set(entryName({ log, seq }), { log, seq, ...stored });
    } else append.events[seq - append.firstSeq] = stored;
  }

  #stored(ref: EntryRef): StoredEntry | undefined {
    const append = this.logs.get(ref.log);
    if (append !== undefined && ref.seq >= append.firstSeq) {
      const stored = append.events[ref.seq - append.firstSeq];
      return stored && { ...stored, committedMs: this.committedMs };
    }
    if (ref.seq < (this.cuts.get(ref.log) ?? 0)) return undefined;
    const entry = this.#view.entry(ref);
    const replaced = this.replaced.get(entryName(ref));
    return entry && replaced ? { ...replaced, committedMs: entry.committedMs } : entry;
  }

  /** As it is when this group is decided: a plan on what has expired since is stale. */
  #event(ref: EntryRef): Uint8Array | undefined {
    const stored = this.#stored(ref);
    return stored && eventAt(stored, this.committedMs);
  }

  #head(log: LogRef): number {
    const append = this.logs.get(log);
    if (append === undefined) return this.#view.logHead(log);
    return append.firstSeq + append.events.length - 1;
  }

  #index(user: UserRef, { log, seq: logSeq }: EntryRef): void {
    let append = this.timelines.get(user);
    if (append === undefined) {
      append = { firstSeq: (this.#bounds(user) as TimelineBounds).head + 1, runs: [] };
      this.timelines.set(user, append);
    }
    const last = append.runs.at(-1);
    if (last !== undefined && last.log === log && last.firstLogSeq + last.count === logSeq) {
      append.runs[append.runs.length - 1] = { ...last, count: last.count + 1 };
    } else {
      append.runs.push({ log, firstLogSeq: logSeq, count: 1 });
    }
  }

  /** Submits whose plans hold, planned anew where they do not; undefined where they cannot be. */
  #holding(
    fresh: readonly PlannedSubmit[],
    { replanning }: SubmitBatch,
  ): readonly PlannedSubmit[] | undefined {
    if (this.#hold(fresh)) return fresh;
    if (replanning === undefined) return undefined;
    const view = {
      bounds: (user: UserRef) => this.#bounds(user),
      device: (device: DeviceRef) => this.#device(device),
      logHead: (log: LogRef) => this.#head(log),
      document: (ref: DocumentRef) => this.#documents.get(ref),
      entry: (ref: EntryRef) => this.#stored(ref),
      logFloor: (log: LogRef) => this.cuts.get(log) ?? this.#view.logFloor(log),
      expiredIn: (log: LogRef, nowMs: number) => this.#view.expiredIn(log, nowMs),
    };
    const state = planningState(view, replanning.reads, this.committedMs);
    const planned = replanning.plan(state, fresh);
    return this.#hold(planned) ? planned : undefined;
  }

  /** Each on what those before it would leave. */
  #hold(submits: readonly PlannedSubmit[]): boolean {
    const documents = new DocumentChanges((ref) => this.#documents.get(ref));
    const events = new Map<string, Uint8Array>();
    const heads = new Map<LogRef, number>();
    const ended = new Set<string>();
    const isLiving = (device: DeviceRef) =>
      this.#device(device)?.isEnded === false && !ended.has(deviceName(device));
    const headOf = (log: LogRef) => heads.get(log) ?? this.#head(log);
    const eventOf = (ref: EntryRef) => events.get(entryName(ref)) ?? this.#event(ref);
    const isAsPlanned = (planned: EntryContent) => {
      const event = eventOf(planned);
      return event !== undefined && Buffer.compare(event, planned.event) === 0;
    };
    return submits.every(({ plan }) => {
      if (!documents.hold(plan)) return false;
      if (!(plan.requiresEntries ?? []).every(isAsPlanned)) return false;
      if (plan.kind === "refuse") return true;
      if (!(plan.requiresHeads ?? []).every(({ log, head }) => headOf(log) === head)) return false;
      if (!(plan.ends ?? []).every(isLiving)) return false;
      for (const device of plan.ends ?? []) ended.add(deviceName(device));
      if (!(plan.replaces ?? []).every((ref) => eventOf(ref) !== undefined)) return false;
      documents.apply(plan);
      for (const content of plan.replaces ?? []) events.set(entryName(content), content.event);
      if (plan.kind === "append") {
        const seq = headOf(plan.log) + 1;
        events.set(entryName({ log: plan.log, seq }), plan.event);
        heads.set(plan.log, seq);
      } else if (eventOf(plan.entry) === undefined) return false;
      return plan.timelines.every((user) => this.#bounds(user) !== undefined);
    });
  }

  #bounds(user: UserRef): TimelineBounds | undefined {
    const before = this.newUsers.get(user) ?? this.#view.bounds(user);
    const append = this.timelines.get(user);
    if (before === undefined || append === undefined) return before;
    return { ...before, head: append.firstSeq - 1 + runsLength(append.runs) };
  }

  #newBounds(): TimelineBounds {
    return { epoch: this.#sources.newTimelineEpoch(), head: 0, floor: 1 };
  }

  #device(device: DeviceRef): DeviceRecord | undefined {
    return this.devices.get(deviceName(device))?.record ?? this.#view.device(device);
  }

  #setDevice(device: DeviceRef, record: DeviceRecord): void {
    this.#counts.changed(device.user, this.#device(device), record);
    this.devices.set(deviceName(device), { device, record });
  }
}

export function runsLength(runs: readonly TimelineRun[]): number {
  let length = 0;
  for (const run of runs) length += run.count;
  return length;
}
