import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import type { EntryContent, PlannedChanges } from "../../server/store/plans.ts";
import {
  type Attachment,
  documentRefOf,
  type LogRange,
  type PlannedSubmit,
  type UserRef,
  userRefOf,
} from "../../server/store/store.ts";

export const NOW_MS = 1_800_000_000_000;
export const USERS = [userRefOf("", "ann"), userRefOf("", "ben")] as const;
export const DEVICES = [
  { user: USERS[0], deviceId: "a1" },
  { user: USERS[0], deviceId: "a2" },
  { user: USERS[1], deviceId: "b1" },
] as const;
export type Device = (typeof DEVICES)[number];
export const DOCUMENT = documentRefOf("", "d");
/** A list of names. */
export const NAMES = documentRefOf("", "names");
export const NAMES_MAX = 3;
/** A set of numbers. */
export const NUMBERS = documentRefOf("", "numbers");
/** Of one device. */
export const WAITING_MAX = 2;

/** Perishable content that nobody has read. */
interface Waiting {
  readonly user: UserRef;
  readonly deviceId: string;
  readonly seq: number;
  readonly text: string;
  readonly isExpired: boolean;
}

export interface Held {
  readonly resultsThrough: number;
  readonly deliveredThrough: number;
}

export interface DeviceRecord {
  generation: number;
  granted: { from: number; through: number };
  epoch: number;
  through: number;
  resultsThrough: number;
  /** Of resultsThrough+1 to through: code, number in the log, digest. */
  results: [number, number, number][];
}

/**
 * What a store promises, written down from store.ts and chapter 5 a second time: plain maps, one
 * request after the other, nothing shared with the stores.
 */
export class Model {
  /** Numbers of the log. */
  readonly timelines = new Map<UserRef, number[]>();
  readonly records = new Map<Device, DeviceRecord>();
  /** Its texts, from number 1. */
  log: string[] = [];
  /** How many got another content. */
  replacedCount = 0;
  repeatedCount = 0;
  document = { revision: 0, text: "" };
  names = { revision: 0, list: [] as string[] };
  numbers = { revision: 0, set: new Set<number>() };
  waiting: Waiting[] = [];

  prepare(
    device: Device,
    outbox: { epoch: number; results: number },
    cursorSeq: number | undefined,
  ) {
    const head = this.timelines.get(device.user)?.length ?? 0;
    if (cursorSeq !== undefined && cursorSeq > head) return "refused CURSOR_AHEAD";
    const record: DeviceRecord = this.records.get(device) ?? {
      generation: 0,
      granted: { from: 1, through: 0 },
      epoch: 0,
      through: 0,
      resultsThrough: 0,
      results: [],
    };
    const { granted } = record;
    if (outbox.epoch !== 0 && outbox.epoch < record.epoch) return "refused OUTBOX_EPOCH_STALE";
    const isKnown = outbox.epoch !== 0 && outbox.epoch === record.epoch;
    const isGranted = outbox.epoch >= granted.from && outbox.epoch <= granted.through;
    const through = isKnown ? record.through : isGranted ? 0 : outbox.results;
    if (outbox.results > through) return "refused ACK_BEYOND_SENT";
    if (!this.timelines.has(device.user)) this.timelines.set(device.user, []);
    this.records.set(device, record);
    if (isKnown) {
      const from = Math.max(outbox.results, record.resultsThrough);
      const results = record.results.slice(from - record.resultsThrough);
      return prepared(record, {
        epoch: record.epoch,
        through: record.through,
        from,
        results,
        head,
      });
    }
    const epoch = isGranted ? outbox.epoch : Math.max(granted.through, outbox.epoch) + 1;
    if (!isGranted) {
      granted.from = epoch === granted.through + 1 ? granted.from : epoch;
      granted.through = epoch;
    }
    return prepared(record, { epoch, through: 0, from: 0, results: [], head });
  }

  attach(device: Device, { generation, outbox }: Attachment) {
    const record = this.records.get(device);
    if (record === undefined || generation !== record.generation + 1) return "overtaken";
    record.generation = generation;
    if (record.epoch !== outbox.epoch) {
      const { epoch, through } = outbox;
      Object.assign(record, { epoch, through, resultsThrough: 0, results: [] });
      return "attached";
    }
    this.#drop(record, outbox.resultsThrough);
    return record.through === outbox.through ? "attached" : "overtaken";
  }

  commit(device: Device, attachment: Attachment, submits: readonly PlannedSubmit[]) {
    const record = this.records.get(device);
    const { generation, outbox } = attachment;
    if (record?.generation !== generation || record.epoch !== outbox.epoch) return "fenced";
    for (const { seq, digest } of submits.filter(({ seq }) => seq <= record.through)) {
      const kept = record.results[seq - record.resultsThrough - 1];
      if (kept !== undefined && kept[2] !== digest) return `conflict ${seq}`;
    }
    const fresh = submits.filter(({ seq }) => seq > record.through);
    if (this.#isStale(fresh)) return "stale";
    for (const { plan, digest } of fresh) {
      record.through += 1;
      const code = plan.kind === "refuse" ? plan.code : this.#fullness(plan);
      if (plan.kind === "refuse" || code !== ErrorCode.UNSPECIFIED) {
        record.results.push([code, 0, digest]);
        continue;
      }
      for (const { bytes } of plan.puts ?? []) {
        this.document = { revision: this.document.revision + 1, text: `${Buffer.from(bytes)}` };
      }
      for (const { seq, event } of plan.replaces ?? []) this.log[seq - 1] = `${Buffer.from(event)}`;
      this.replacedCount += plan.replaces?.length ?? 0;
      const isRepeat = plan.kind === "repeat";
      const logSeq = isRepeat ? plan.entry.seq : this.log.push(`${Buffer.from(plan.event)}`);
      if (isRepeat) this.repeatedCount += 1;
      this.#changeLists(plan, logSeq);
      record.results.push([0, logSeq, digest]);
      for (const user of plan.timelines) this.timelines.get(user)?.push(logSeq);
      for (const { user, deviceId } of plan.erases ?? []) this.#end(user, deviceId);
      if (plan.perishable === undefined) continue;
      const { device: reader, event, expiresMs } = plan.perishable;
      const seq = this.timelines.get(reader.user)?.length ?? 0;
      const kept = `${logSeq} ${Buffer.from(event)}`;
      this.waiting.push({ ...reader, seq, text: kept, isExpired: expiresMs <= NOW_MS });
    }
    const first = submits[0]?.seq ?? record.through + 1;
    const results = record.results.slice(Math.max(0, first - record.resultsThrough - 1));
    return `committed ${record.through} ${JSON.stringify(results)}`;
  }

  advance(
    device: Device,
    { generation, outbox }: Attachment,
    { resultsThrough, deliveredThrough }: Held,
  ): string {
    const record = this.records.get(device);
    if (record?.generation !== generation || record.epoch !== outbox.epoch) {
      return record !== undefined && record.generation > generation ? "fenced" : "noted";
    }
    this.#drop(record, Math.min(resultsThrough, record.through));
    this.#end(device.user, device.deviceId, deliveredThrough);
    return "noted";
  }

  page({ user, deviceId }: Device, after: number, count: number) {
    const entries = (this.timelines.get(user) ?? []).map((logSeq, index) => {
      const stub = `${logSeq} ${this.log[logSeq - 1]}`;
      const own = this.waiting.find(
        (one) => one.user === user && one.deviceId === deviceId && one.seq === index + 1,
      );
      return own === undefined || own.isExpired ? stub : own.text;
    });
    const { revision, text } = this.document;
    const numbers = [...this.numbers.set].sort((a, b) => a - b);
    const lists = [this.names.revision, this.names.list, this.numbers.revision, numbers];
    return JSON.stringify([revision, text, lists, ...entries.slice(after, after + count)]);
  }

  logPage({ from, through, fromEnd }: LogRange, count: number) {
    const entries = this.log.map((text, index) => `${index + 1} ${text}`).slice(from - 1, through);
    return JSON.stringify([
      this.log.length,
      fromEnd ? entries.slice(-count) : entries.slice(0, count),
    ]);
  }

  sweep(): string {
    const before = this.waiting.length;
    this.waiting = this.waiting.filter(({ isExpired }) => !isExpired);
    return this.waiting.length < before ? "erases" : "finds nothing";
  }

  /** Each on what those before it would leave, were none refused. */
  #isStale(fresh: readonly PlannedSubmit[]): boolean {
    let { revision } = this.document;
    const log = [...this.log];
    return fresh.some(({ plan }) => {
      if (plan.requires?.some((required) => required.revision !== revision)) return true;
      const isAsPlanned = ({ seq, event }: EntryContent) =>
        log[seq - 1] === `${Buffer.from(event)}`;
      if (!(plan.requiresEntries ?? []).every(isAsPlanned)) return true;
      if (plan.kind === "refuse") return false;
      if (plan.requiresHeads?.some(({ head }) => head !== log.length)) return true;
      revision += plan.puts?.length ?? 0;
      for (const { seq, event } of plan.replaces ?? []) log[seq - 1] = `${Buffer.from(event)}`;
      if (plan.kind === "append") log.push(`${Buffer.from(plan.event)}`);
      else if (log[plan.entry.seq - 1] === undefined) return true;
      return !plan.timelines.every((user) => this.timelines.has(user));
    });
  }

  #changeLists(plan: PlannedChanges, ownSeq: number): void {
    for (const { name } of plan.drops ?? []) {
      const list = this.names.list.filter((one) => one !== name);
      if (list.length < this.names.list.length) this.#setNames(list);
    }
    for (const { name } of plan.adds ?? []) {
      const { list } = this.names;
      const isNewer = list.slice(-Math.ceil(NAMES_MAX / 2)).includes(name);
      const others = list.filter((one) => one !== name);
      if (!isNewer) this.#setNames([...others, name].slice(-NAMES_MAX));
    }
    for (const { numbers } of plan.marks ?? []) {
      const ranges = numbers === "own" ? [{ from: ownSeq, through: ownSeq }] : numbers;
      const before = this.numbers.set.size;
      for (const { from, through } of ranges) {
        for (let number = from; number <= through; number += 1) this.numbers.set.add(number);
      }
      if (this.numbers.set.size > before) this.numbers.revision += 1;
    }
  }

  #setNames(list: string[]): void {
    this.names = { revision: this.names.revision + 1, list };
  }

  /** Expired content takes up room until it is swept. */
  #fullness({ perishable }: PlannedChanges): ErrorCode {
    if (perishable === undefined) return ErrorCode.UNSPECIFIED;
    const { user, deviceId } = perishable.device;
    const waits = this.waiting.filter((one) => one.user === user && one.deviceId === deviceId);
    return waits.length < WAITING_MAX ? ErrorCode.UNSPECIFIED : perishable.full;
  }

  #end(user: UserRef, deviceId: string, through: number = Number.POSITIVE_INFINITY): void {
    this.waiting = this.waiting.filter(
      (one) => one.user !== user || one.deviceId !== deviceId || one.seq > through,
    );
  }

  #drop(record: DeviceRecord, resultsThrough: number): void {
    if (resultsThrough <= record.resultsThrough) return;
    record.results = record.results.slice(resultsThrough - record.resultsThrough);
    record.resultsThrough = resultsThrough;
  }
}

export function prepared(
  { generation }: DeviceRecord,
  outbox: {
    readonly epoch: number;
    readonly through: number;
    readonly from: number;
    readonly results: readonly unknown[];
    readonly head: number;
  },
) {
  return `prepared ${generation + 1} ${JSON.stringify(outbox)}`;
}
