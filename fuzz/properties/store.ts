import { deepEqual } from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import { assert } from "../../protocol/violation.ts";
import { namesIn, numbersIn } from "../../server/store/documents.ts";
import { LmdbStore } from "../../server/store/lmdb.ts";
import { MemoryDisk, MemoryStore } from "../../server/store/memory.ts";
import type { PlannedChanges } from "../../server/store/plans.ts";
import {
  type Attachment,
  entryName,
  type LogRange,
  logRefOf,
  type PlannedSubmit,
  type Store,
  type StoredDocument,
  type UserRef,
  userRefOf,
} from "../../server/store/store.ts";
import { property, type Seen } from "../property.ts";
import { codeText } from "../sim/frame-text.ts";
import {
  DEVICES,
  type Device,
  type DeviceRecord,
  DOCUMENT,
  type Held,
  Model,
  NAMES,
  NAMES_MAX,
  NOW_MS,
  NUMBERS,
  prepared,
  USERS,
  WAITING_MAX,
} from "../store/model.ts";

const LOG = logRefOf("", "c");
const PROBE = { user: userRefOf("", "probe"), deviceId: "probe" };
const STEPS_MAX = 50;
const NOTHING = new Uint8Array(0);

/** One step, the same for every store; numbers are near to what is true for the device. */
interface Step {
  readonly kind: "prepare" | "attach" | "commit" | "advance" | "page" | "log" | "sweep" | "reopen";
  readonly device: number;
  /** How far a number is from the honest one. */
  readonly offset: number;
  readonly count: number;
  readonly variant: number;
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
    return prepared({ generation: attachment.generation - 1 } as DeviceRecord, {
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

  async advance(device: Device, attachment: Attachment, held: Held): Promise<string> {
    const { generation, outbox } = attachment;
    const position = { device, generation, outboxEpoch: outbox.epoch };
    const told = await this.store.advance({ ...position, ...held });
    // A note is written with the next group: something else makes one.
    const request = { epoch: 0, resultsThrough: 0, next: 1 };
    const cursor = { epoch: 0, seq: 0, start: "latest" as const };
    await this.store.prepare({ device: PROBE, outbox: request, cursor });
    return told;
  }

  async page({ user, deviceId }: Device, after: number, count: number) {
    const limit = { count, bytes: 1e9 };
    const { entries } = await this.store.loadTimeline(user, after, limit, deviceId);
    const refs = [DOCUMENT, NAMES, NUMBERS];
    const { documents } = await this.store.loadForPlanning({ users: [], documents: refs });
    const [document, names, numbers] = refs.map((ref) => documents.get(ref) as StoredDocument) as [
      StoredDocument,
      StoredDocument,
      StoredDocument,
    ];
    entries.forEach(({ seq }, index) => {
      assert(seq === after + 1 + index, "a page is contiguous [SEQ-10]");
    });
    const texts = entries.map(
      ({ conversationSeq, event }) => `${conversationSeq} ${Buffer.from(event)}`,
    );
    const marked = numbersIn(numbers).flatMap(({ from, through }) =>
      Array.from({ length: through - from + 1 }, (_, index) => from + index),
    );
    const lists = [names.revision, namesIn(names), numbers.revision, marked];
    return JSON.stringify([document.revision, `${Buffer.from(document.bytes)}`, lists, ...texts]);
  }

  /** The same page of the log, and entry by entry for who plans. */
  async logPage(range: LogRange, count: number) {
    const { head, entries } = await this.store.loadLog(LOG, range, { count, bytes: 1e9 });
    const refs = entries.map(({ seq }) => ({ log: LOG, seq }));
    const reads = { users: [], entries: refs, heads: [LOG] };
    const planning = await this.store.loadForPlanning(reads);
    assert(planning.heads.get(LOG) === head, "planners know the head");
    const texts = entries.map(({ seq, event }) => {
      const planned = planning.entries.get(entryName({ log: LOG, seq }));
      assert(Buffer.compare(planned?.event ?? NOTHING, event) === 0, "planners read the same");
      return `${seq} ${Buffer.from(event)}`;
    });
    return JSON.stringify([head, texts]);
  }
}

/** Plays a trace through both stores and the model; every answer has to be the same. */
async function play(steps: readonly Step[], stores: readonly Asked[], seen: Seen): Promise<void> {
  const model = new Model();
  for (const step of steps) {
    const { replacedCount, repeatedCount } = model;
    const expected = await takeStep(step, model, stores);
    if (expected === undefined) continue;
    if (model.replacedCount > replacedCount) seen("commit replaces");
    if (model.repeatedCount > repeatedCount) seen("commit repeats");
    const words = expected.replace(/\d+/, "n").split(" ");
    const told = step.kind === "log" ? 0 : step.kind === "prepare" ? 2 : 1;
    seen([step.kind, ...words.slice(0, told)].join(" ").trim());
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
  if (kind === "sweep") {
    const swept = model.sweep();
    for (const asked of stores) await asked.store.sweep();
    return swept;
  }
  if (kind === "reopen") {
    // A store that is closed sweeps; memory is not closed.
    model.sweep();
    for (const asked of stores) await asked.store.sweep();
    for (const asked of stores) await asked.reopen();
    return "";
  }
  if (kind === "page") {
    if (!model.timelines.has(device.user)) return undefined;
    // Half of them from the start, half of them whole.
    const after = Math.max(0, (variant % 16) - 8);
    const most = variant % 2 === 0 ? count : 100;
    const expected = model.page(device, after, most);
    return await ask(expected, (asked) => asked.page(device, after, most));
  }
  if (kind === "log") {
    const from = Math.max(1, model.log.length - (variant % 9));
    const through = from + (variant % 11) - 1;
    const range = { from, through, fromEnd: variant % 2 === 0 };
    return await ask(model.logPage(range, count), (asked) => asked.logPage(range, count));
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
    const submits = submitsOf(step, model.records.get(device)?.through ?? 0, model);
    const expected = model.commit(device, own, submits);
    return await ask(expected, (asked) => asked.commit(device, prepared(asked), submits));
  }
  const head = model.timelines.get(device.user)?.length ?? 0;
  const deliveredThrough = Math.min(head, variant % 6);
  const held = { resultsThrough: resultsNear(step, model), deliveredThrough };
  const expected = model.advance(device, own, held);
  return await ask(expected, (asked) => asked.advance(device, prepared(asked), held));
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

const REFUSED = ErrorCode.MESSAGE_EMPTY;

function submitsOf(step: Step, through: number, model: Model): PlannedSubmit[] {
  const { variant, offset, count } = step;
  const first = Math.max(1, Math.min(through + 1, through + 1 + Math.min(0, offset)));
  return Array.from({ length: count }, (_, index) => {
    const seq = first + index;
    const text = variant % 7 === 0 && index === 0 ? `other ${seq}` : `${seq}`;
    const timelines = variant % 5 === 0 ? [USERS[0], USERS[1]] : [USERS[seq % 2] as UserRef];
    const digest = text.length * 1000 + seq;
    if (seq % 6 === 0) return { seq, digest, plan: { kind: "refuse", code: REFUSED } };
    const part = { timelines, ...partOf(step, index, model) };
    const [entry] = part.replaces ?? [];
    if (entry !== undefined && variant % 2 === 0) {
      return { seq, digest, plan: { kind: "repeat", entry, ...part } };
    }
    const event = new Uint8Array(Buffer.from(text));
    return { seq, digest, plan: { kind: "append", log: LOG, event, ...part } };
  });
}

/** What some plans do besides: content for one device, a document's change, a device's end. */
function partOf(step: Step, index: number, model: Model): Partial<PlannedChanges> {
  const { variant, offset } = step;
  if (variant > 200) {
    const rest = { ...step, variant: variant - 200 };
    return { ...partOf(rest, index, model), ...logPartOf(rest, index, model) };
  }
  const device = DEVICES[(variant + index) % DEVICES.length] as Device;
  if (variant % 3 === 0) {
    const queues = [{ name: "q", countMax: WAITING_MAX, bytesMax: 1_000 }];
    const expiresMs = variant % 5 === 0 ? NOW_MS : NOW_MS + 1;
    const event = new Uint8Array(Buffer.from(`for ${device.deviceId} ${index}`));
    const full = ErrorCode.PACKET_QUEUE_FULL;
    return { timelines: [device.user], perishable: { device, event, expiresMs, queues, full } };
  }
  if (variant % 7 === 1) {
    // Rather one for which something waits.
    const { user, deviceId } = model.waiting[0] ?? device;
    return { timelines: [user], erases: [{ user, deviceId }] };
  }
  if (variant % 4 !== 1) return {};
  const revision = Math.max(0, model.document.revision + index + (variant % 9 === 0 ? offset : 0));
  const bytes = new Uint8Array(Buffer.from(`${variant} ${index}`));
  return { requires: [{ ref: DOCUMENT, revision }], puts: [{ ref: DOCUMENT, bytes }] };
}

/** What others do: entries that get another content, changes of lists, a head that is relied on. */
function logPartOf(
  { variant, offset }: Step,
  index: number,
  model: Model,
): Partial<PlannedChanges> {
  const part = Math.floor(variant / 4) % 4;
  const name = `n${(variant + index) % 6}`;
  if (part === 0) {
    const head = Math.max(0, model.log.length + index + (variant % 3 === 0 ? offset : 0));
    return { requiresHeads: [{ log: LOG, head }] };
  }
  if (part === 1) return { adds: [{ ref: NAMES, name, countMax: NAMES_MAX }] };
  if (part === 2) {
    const from = 1 + (variant % 30);
    const numbers = variant % 3 === 0 ? "own" : [{ from, through: from + index }];
    return { marks: [{ ref: NUMBERS, numbers }], drops: [{ ref: NAMES, name }] };
  }
  // One of the newest, and of as many as a batch may have.
  const seq = Math.max(1, model.log.length - ((variant + 3 * index) % 5));
  const content = (text: string) => ({ log: LOG, seq, event: new Uint8Array(Buffer.from(text)) });
  const before = variant % 9 === 0 ? `${offset}` : (model.log[seq - 1] ?? "");
  const after = "r".repeat(variant % 12);
  return { requiresEntries: [content(before)], replaces: [content(after)] };
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
    "advance",
    "page",
    "page",
    "log",
    "sweep",
    "reopen",
  ),
  device: fc.nat(DEVICES.length - 1),
  offset: fc.integer({ min: -2, max: 2 }),
  count: fc.integer({ min: 1, max: 4 }),
  variant: fc.nat(400),
});

export const stores = property<Step[]>({
  name: "stores",
  title:
    "[SEQ-4] [SEQ-5] [SEQ-6] [SEQ-8] [SEQ-14] [SES-6] [SES-18] [RES-7] [RES-9] [RES-10] [RES-13] " +
    "[CNV-63] [SEC-83] [SEC-89] [SEC-90] [SEC-91] [SEC-92] " +
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
    "commit replaces",
    "commit repeats",
    "log",
    "sweep erases",
    "sweep finds",
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
