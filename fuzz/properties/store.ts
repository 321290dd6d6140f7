import { deepEqual } from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import { assert } from "../../protocol/violation.ts";
import { LmdbStore } from "../../server/store/lmdb.ts";
import { MemoryDisk, MemoryStore } from "../../server/store/memory.ts";
import {
  type Attachment,
  logRefOf,
  type PlannedSubmit,
  type Store,
  type UserRef,
  userRefOf,
} from "../../server/store/store.ts";
import { property, type Seen } from "../property.ts";
import { codeText } from "../sim/frame-text.ts";

const NOW_MS = 1_800_000_000_000;
const LOG = logRefOf("", "c");
const USERS = [userRefOf("", "ann"), userRefOf("", "ben")] as const;
const DEVICES = [
  { user: USERS[0], deviceId: "a1" },
  { user: USERS[0], deviceId: "a2" },
  { user: USERS[1], deviceId: "b1" },
] as const;
const PROBE = { user: userRefOf("", "probe"), deviceId: "probe" };
const STEPS_MAX = 40;

type Device = (typeof DEVICES)[number];

/** One step, the same for every store; numbers are near to what is true for the device. */
interface Step {
  readonly kind: "prepare" | "attach" | "commit" | "advance" | "page" | "reopen";
  readonly device: number;
  /** How far a number is from the honest one. */
  readonly offset: number;
  readonly count: number;
  readonly variant: number;
}

interface Record {
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
class Model {
  readonly timelines = new Map<UserRef, string[]>();
  readonly records = new Map<Device, Record>();
  logHead = 0;

  prepare(
    device: Device,
    outbox: { epoch: number; results: number },
    cursorSeq: number | undefined,
  ) {
    const head = this.timelines.get(device.user)?.length ?? 0;
    if (cursorSeq !== undefined && cursorSeq > head) return "refused CURSOR_AHEAD";
    const record: Record = this.records.get(device) ?? {
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
    const isStale = fresh.some(
      ({ plan }) =>
        plan.kind === "append" && !plan.timelines.every((user) => this.timelines.has(user)),
    );
    if (isStale) return "stale";
    for (const { plan, digest } of fresh) {
      record.through += 1;
      if (plan.kind === "refuse") {
        record.results.push([plan.code, 0, digest]);
        continue;
      }
      this.logHead += 1;
      record.results.push([0, this.logHead, digest]);
      const text = `${this.logHead} ${Buffer.from(plan.event)}`;
      for (const user of plan.timelines) this.timelines.get(user)?.push(text);
    }
    const first = submits[0]?.seq ?? record.through + 1;
    const results = record.results.slice(Math.max(0, first - record.resultsThrough - 1));
    return `committed ${record.through} ${JSON.stringify(results)}`;
  }

  advance(device: Device, { generation, outbox }: Attachment, resultsThrough: number): string {
    const record = this.records.get(device);
    if (record?.generation !== generation || record.epoch !== outbox.epoch) {
      return record !== undefined && record.generation > generation ? "fenced" : "noted";
    }
    this.#drop(record, Math.min(resultsThrough, record.through));
    return "noted";
  }

  page(user: UserRef, after: number, count: number) {
    const entries = this.timelines.get(user) ?? [];
    return JSON.stringify(entries.slice(after, after + count));
  }

  #drop(record: Record, resultsThrough: number): void {
    if (resultsThrough <= record.resultsThrough) return;
    record.results = record.results.slice(resultsThrough - record.resultsThrough);
    record.resultsThrough = resultsThrough;
  }
}

function prepared(
  { generation }: Record,
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

/** A real store, asked the same and answering in the model's words. */
class Asked {
  store: Store;
  readonly attachments = new Map<number, Attachment[]>();
  readonly #reopen: (() => Promise<Store>) | undefined;
  #epochs = new Map<UserRef, number>();

  constructor(store: Store, reopen?: () => Promise<Store>) {
    this.store = store;
    this.#reopen = reopen;
  }

  async reopen(): Promise<void> {
    if (this.#reopen === undefined) return;
    await this.store.close();
    this.store = await this.#reopen();
  }

  async prepare(index: number, outbox: { epoch: number; results: number }, cursorSeq?: number) {
    const device = DEVICES[index] as Device;
    const epoch = this.#epochs.get(device.user) ?? 0;
    const isKnown = cursorSeq !== undefined && epoch !== 0;
    const cursor = {
      epoch: isKnown ? epoch : 0,
      seq: isKnown ? cursorSeq : 0,
      start: "earliest" as const,
    };
    const asked = { epoch: outbox.epoch, resultsThrough: outbox.results, next: outbox.results + 1 };
    const outcome = await this.store.prepare({ device, outbox: asked, cursor });
    if (outcome.kind === "refused") return `refused ${codeText(outcome.code)}`;
    const { attachment } = outcome;
    this.attachments.set(index, [...(this.attachments.get(index) ?? []), attachment].slice(-4));
    const known = this.#epochs.get(device.user);
    assert(
      known === undefined || known === attachment.timeline.epoch,
      "a timeline keeps its epoch",
    );
    this.#epochs.set(device.user, attachment.timeline.epoch);
    const { epoch: granted, through, resultsThrough: from, results } = attachment.outbox;
    const told = results.map(({ code, conversationSeq, digest }) => [
      code,
      conversationSeq,
      digest,
    ]);
    const { head } = attachment.timeline;
    return prepared({ generation: attachment.generation - 1 } as Record, {
      epoch: granted,
      through,
      from,
      results: told,
      head,
    });
  }

  async commit(device: Device, attachment: Attachment, submits: readonly PlannedSubmit[]) {
    const { generation, outbox } = attachment;
    const batch = { device, generation, outboxEpoch: outbox.epoch, submits };
    const outcome = await this.store.commit(batch);
    if (outcome.kind === "conflict") return `conflict ${outcome.seq}`;
    if (outcome.kind !== "committed") return outcome.kind;
    const { through, results } = outcome.receipt;
    const told = results.map(({ code, conversationSeq, digest }) => [
      code,
      conversationSeq,
      digest,
    ]);
    return `committed ${through} ${JSON.stringify(told)}`;
  }

  async advance(device: Device, attachment: Attachment, resultsThrough: number): Promise<string> {
    const { generation, outbox } = attachment;
    const position = { device, generation, outboxEpoch: outbox.epoch };
    const told = await this.store.advance({ ...position, deliveredThrough: 0, resultsThrough });
    // A note is written with the next group: something else makes one.
    const request = { epoch: 0, resultsThrough: 0, next: 1 };
    const cursor = { epoch: 0, seq: 0, start: "latest" as const };
    await this.store.prepare({ device: PROBE, outbox: request, cursor });
    return told;
  }

  async page(user: UserRef, after: number, count: number) {
    const { entries } = await this.store.loadTimeline(user, after, { count, bytes: 1e9 });
    entries.forEach(({ seq }, index) => {
      assert(seq === after + 1 + index, "a page is contiguous [SEQ-10]");
    });
    return JSON.stringify(
      entries.map(({ conversationSeq, event }) => `${conversationSeq} ${Buffer.from(event)}`),
    );
  }
}

/** Plays a trace through both stores and the model; every answer has to be the same. */
async function play(steps: readonly Step[], stores: readonly Asked[], seen: Seen): Promise<void> {
  const model = new Model();
  for (const step of steps) {
    const expected = await takeStep(step, model, stores);
    if (expected === undefined) continue;
    const words = expected.replace(/\d+/, "n").split(" ");
    seen([step.kind, ...words.slice(0, step.kind === "prepare" ? 2 : 1)].join(" ").trim());
  }
}

/** Takes a step everywhere and compares. @returns the answer; undefined when it was no step */
async function takeStep(
  step: Step,
  model: Model,
  stores: readonly Asked[],
): Promise<string | undefined> {
  const { kind, device: index, variant, count } = step;
  const device = DEVICES[index] as Device;
  const ask = async (expected: string, answer: (asked: Asked) => Promise<string>) => {
    for (const asked of stores) deepEqual(await answer(asked), expected, `${kind} of a store`);
    return expected;
  };
  if (kind === "prepare") {
    const { epoch, results, cursorSeq } = claimOf(step, model);
    const expected = model.prepare(device, { epoch, results }, cursorSeq);
    return await ask(expected, (asked) => asked.prepare(index, { epoch, results }, cursorSeq));
  }
  if (kind === "reopen") {
    for (const asked of stores) await asked.reopen();
    return "";
  }
  if (kind === "page") {
    if (!model.timelines.has(device.user)) return undefined;
    const after = variant % 8;
    const expected = model.page(device.user, after, count);
    return await ask(expected, (asked) => asked.page(device.user, after, count));
  }
  // An attachment that was prepared once: usually the last, sometimes an older one.
  const which = variant % 4 === 0 ? -2 : -1;
  const prepared = (asked: Asked | undefined) =>
    asked?.attachments.get(index)?.at(which) as Attachment;
  const own = prepared(stores[0]);
  if (own === undefined) return undefined;
  if (kind === "attach") {
    return await ask(model.attach(device, own), async (asked) => {
      const outcome = await asked.store.attach({ device, attachment: prepared(asked) });
      return outcome.kind;
    });
  }
  if (kind === "commit") {
    const submits = submitsOf(step, model.records.get(device)?.through ?? 0);
    const expected = model.commit(device, own, submits);
    return await ask(expected, (asked) => asked.commit(device, prepared(asked), submits));
  }
  const resultsThrough = resultsNear(step, model);
  const expected = model.advance(device, own, resultsThrough);
  return await ask(expected, (asked) => asked.advance(device, prepared(asked), resultsThrough));
}

/** What a Hello claims: mostly the truth. */
function claimOf(step: Step, model: Model) {
  const { variant, offset, device: index } = step;
  const device = DEVICES[index] as Device;
  const known = model.records.get(device)?.epoch ?? 0;
  const asked = variant % 3 === 0 ? 0 : known + (variant % 5 === 0 ? offset : 0);
  const epoch = Math.max(0, asked);
  const timeline = model.timelines.get(device.user);
  const cursorSeq =
    timeline !== undefined && variant % 4 === 0 ? Math.max(0, timeline.length + offset) : undefined;
  return { epoch, results: epoch === 0 ? 0 : resultsNear(step, model), cursorSeq };
}

function resultsNear({ device, offset }: Step, model: Model): number {
  const record = model.records.get(DEVICES[device] as Device);
  return Math.max(0, (record?.resultsThrough ?? 0) + offset);
}

function submitsOf({ variant, offset, count }: Step, through: number): PlannedSubmit[] {
  const first = Math.max(1, Math.min(through + 1, through + 1 + Math.min(0, offset)));
  return Array.from({ length: count }, (_, index) => {
    const seq = first + index;
    const text = variant % 7 === 0 && index === 0 ? `other ${seq}` : `${seq}`;
    const timelines = variant % 5 === 0 ? [USERS[0], USERS[1]] : [USERS[seq % 2] as UserRef];
    const isRefused = seq % 6 === 0;
    const event = new Uint8Array(Buffer.from(text));
    return {
      seq,
      digest: text.length * 1000 + seq,
      plan: isRefused
        ? { kind: "refuse", code: ErrorCode.MESSAGE_EMPTY }
        : { kind: "append", log: LOG, event, timelines },
    };
  });
}

const step = fc.record<Step>({
  kind: fc.constantFrom(
    "prepare",
    "attach",
    "attach",
    "commit",
    "commit",
    "commit",
    "advance",
    "page",
    "reopen",
  ),
  device: fc.nat(DEVICES.length - 1),
  offset: fc.integer({ min: -2, max: 2 }),
  count: fc.integer({ min: 1, max: 4 }),
  variant: fc.nat(200),
});

export const stores = property<Step[]>({
  name: "stores",
  title:
    "[SEQ-4] [SEQ-5] [SEQ-6] [SEQ-8] [SEQ-14] [SES-6] [SES-18] [RES-7] [RES-9] [RES-10] [RES-13] " +
    "one trace has the same answers from LMDB, from memory and from a model (P5, P14, P18, P20)",
  smokeRuns: 60,
  kinds: [
    "prepare prepared n",
    "prepare refused CURSOR_AHEAD",
    "prepare refused OUTBOX_EPOCH_STALE",
    "prepare refused ACK_BEYOND_SENT",
    "attach attached",
    "attach overtaken",
    "commit committed",
    "commit fenced",
    "commit conflict",
    "commit stale",
    "advance noted",
    "advance fenced",
    "reopen",
  ],
  arbitrary: fc.array(step, { minLength: 5, maxLength: STEPS_MAX, size: "max" }),
  start: async (seen) => {
    const root = await mkdtemp(join(tmpdir(), "posthorn-fuzz-"));
    let count = 0;
    return {
      check: async (steps) => {
        count += 1;
        const folder = join(root, String(count));
        const limits = { mapBytes: 16 * 1024 * 1024, timelineEventsMax: 1_000_000 };
        const open = () => LmdbStore.open({ folder, nowMs: () => NOW_MS, ...limits });
        const lmdb = new Asked(await open(), open);
        let ids = 0;
        const newId = () => {
          ids += 1;
          return ids;
        };
        const memory = new MemoryStore({
          nowMs: () => NOW_MS,
          newSessionId: () => new Uint8Array(16).fill(newId()),
          newTimelineEpoch: newId,
          disk: new MemoryDisk(),
        });
        try {
          await play(steps, [new Asked(memory), lmdb], seen);
        } finally {
          await lmdb.store.close();
          await rm(folder, { recursive: true, force: true });
        }
      },
      stop: () => rm(root, { recursive: true, force: true }),
    };
  },
});
