import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import type { NumberSet } from "../../protocol/number-set.ts";
import { assert } from "../../protocol/violation.ts";
import { CommitGroup } from "../../server/store/group.ts";
import { MemoryDisk } from "../../server/store/memory.ts";
import { planningState } from "../../server/store/planning-state.ts";
import {
  type AdvanceOutcome,
  type AttachOutcome,
  type AttachRequest,
  type CommitOutcome,
  type DeviceLogin,
  type DevicePosition,
  type DeviceRef,
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
} from "../../server/store/store.ts";

/** One call of a node on the store: first it takes effect, later the node hears of it. */
interface Call {
  execute(): void;
  reply(): void;
  fail(): void;
}

/** The store behind all nodes: what is on its disk survives everything. */
export class Service {
  disk = new MemoryDisk();
  readonly stores = new Set<NodeStore>();
  /** Time as it passes; no clock can be set in it. */
  readonly nowMs: () => number;
  /** How far the store's wall clock is off. */
  skewMs = 0;
  #ids = 0;

  constructor(nowMs: () => number) {
    this.nowMs = nowMs;
  }

  /** Decides on what is durable now and makes the outcome durable, in one step. */
  write<Decision>(decide: (group: CommitGroup) => Decision): Decision {
    const group = new CommitGroup(this.disk, {
      nowMs: () => this.wallMs(),
      newSessionId: () => new Uint8Array(16).fill(this.newId()),
      newTimelineEpoch: () => this.newId(),
    });
    const decision = decide(group);
    if (group.empty) return decision;
    this.disk.write(group, Number.MAX_SAFE_INTEGER);
    for (const user of group.timelines.keys()) {
      for (const store of this.stores) store.hint(user);
    }
    return decision;
  }

  prepare(request: PrepareRequest): PrepareOutcome {
    return this.write((group) => group.prepare(request)) as PrepareOutcome;
  }

  commit(batch: SubmitBatch): CommitOutcome {
    return this.write((group) => group.commit(batch)) as CommitOutcome;
  }

  /** Retention removes all but a timeline's newest entries. [RES-4] */
  retain(user: UserRef, count: number): void {
    const bounds = this.disk.bounds(user);
    if (bounds === undefined) return;
    const floor = Math.max(bounds.floor, bounds.head - count + 1);
    this.disk.users.set(user, { ...bounds, floor });
  }

  /** A timeline begins anew, under another epoch. [RES-5] */
  restart(user: UserRef): void {
    if (this.disk.bounds(user) === undefined) return;
    this.disk.users.set(user, { epoch: this.newId(), head: 0, floor: 1 });
    this.disk.timelines.delete(user);
  }

  /** Another service stands where this one stood: it knows nobody. [RES-9] */
  beginAnew(): void {
    this.disk = new MemoryDisk();
  }

  /** The store's wall clock. */
  wallMs(): number {
    return this.nowMs() + this.skewMs;
  }

  newId(): number {
    this.#ids += 1;
    return this.#ids;
  }
}

function attachmentName({ user, deviceId }: DeviceRef, generation: number): string {
  return `${user} ${deviceId} ${generation}`;
}

/** Every session of a user may ask for one page, and each asks again only with more room. */
const SAME_PAGES_MAX = 6;

/** A node's way to the store: calls wait, take effect in order, and are answered later. */
export class NodeStore implements Store {
  readonly #service: Service;
  readonly #watchers = new Map<UserRef, Set<(head: number) => void>>();
  /** The attachments that came into force by this node. */
  readonly #inForce = new Set<string>();
  /** How often each page was loaded since a device last attached. */
  readonly #loads = new Map<string, number>();
  #waiting: Call[] = [];
  #executed: Call[] = [];
  #hints: UserRef[] = [];
  #dead = false;

  constructor(service: Service) {
    this.#service = service;
    service.stores.add(this);
  }

  get waitingCount(): number {
    return this.#waiting.length;
  }

  get executedCount(): number {
    return this.#executed.length;
  }

  loadLogin(device: DeviceRef): Promise<DeviceLogin | undefined> {
    return this.#call(() => this.#service.disk.device(device)?.login);
  }

  loadDevices(user: UserRef): Promise<readonly KnownDevice[]> {
    return this.#call(() => this.#service.disk.devices(user));
  }

  prepare(request: PrepareRequest): Promise<PrepareOutcome> {
    return this.#call(() => {
      const before = this.#service.disk.device(request.device);
      const outcome = this.#service.prepare(request);
      const after = this.#service.disk.device(request.device);
      const isUndisturbed =
        after?.generation === (before?.generation ?? after?.generation) &&
        after?.outboxEpoch === (before?.outboxEpoch ?? after?.outboxEpoch) &&
        after?.results === (before?.results ?? after?.results);
      assert(isUndisturbed, "a Hello alone disturbs no attachment [SES-18]");
      return outcome;
    });
  }

  ensureUser(user: UserRef): Promise<boolean> {
    return this.#call(() => this.#service.write((group) => group.ensureUser(user)));
  }

  keep(positions: readonly DevicePosition[]): Promise<void> {
    return this.#call(() => this.#service.write((group) => group.keep(positions)));
  }

  attach(request: AttachRequest): Promise<AttachOutcome> {
    return this.#call(() => {
      const before = this.#service.disk.device(request.device)?.generation ?? 0;
      const outcome = this.#service.write((group) => group.attach(request));
      const isRaised = this.#service.disk.device(request.device)?.generation === before + 1;
      const isAttached = outcome.kind === "attached";
      assert(!isAttached || isRaised, "each attach raises the generation durably [SES-6]");
      this.#loads.clear();
      if (isAttached) this.#inForce.add(attachmentName(request.device, before + 1));
      return outcome;
    });
  }

  async loadForPlanning(reads: PlanningReads): Promise<PlanningState> {
    const { disk } = this.#service;
    return planningState(disk, reads, this.#service.wallMs());
  }

  async loadLog(log: LogRef, range: LogRange, limit: PageLimit): Promise<LogPage> {
    return this.#service.disk.logPage(log, range, limit, this.#service.wallMs());
  }

  commit(batch: SubmitBatch): Promise<CommitOutcome> {
    const isInForce = this.#inForce.has(attachmentName(batch.device, batch.generation));
    assert(
      isInForce || this.#dead,
      "nothing is committed before the attachment is in force [SES-6]",
    );
    return this.#call(() => {
      const before = this.#service.disk.device(batch.device);
      const outcome = this.#service.commit(batch);
      const isOld = before !== undefined && batch.generation < before.generation;
      const isUnchanged = this.#service.disk.device(batch.device) === before;
      assert(!isOld || isUnchanged, "an old generation has no effect [SES-6]");
      return outcome;
    });
  }

  loadTimeline(
    user: UserRef,
    asked: number | NumberSet,
    limit: PageLimit,
    readerId?: string,
  ): Promise<TimelinePage> {
    return this.#call(() => {
      const nowMs = this.#service.wallMs();
      const page = this.#service.disk.page({ user, asked, limit, readerId, nowMs });
      if (page.entries.length > 0)
        this.#countLoad(`${user} ${JSON.stringify(asked)} ${limit.count} ${limit.bytes}`);
      return page;
    });
  }

  loadRuns(user: UserRef, after: number, countMax: number): Promise<TimelineRuns> {
    return this.#call(() => this.#service.disk.runs(user, after, countMax));
  }

  advance(position: DevicePosition): Promise<AdvanceOutcome> {
    return this.#call(() => {
      const before = this.#service.disk.device(position.device);
      const outcome = this.#service.write((group) => group.advance(position));
      const isOld = before !== undefined && position.generation < before.generation;
      const isUnchanged = this.#service.disk.device(position.device) === before;
      assert(!isOld || isUnchanged, "an old generation has no effect [SES-6]");
      this.#service.disk.passed(position);
      return outcome;
    }).catch(() => "noted");
  }

  async sweep(): Promise<void> {
    this.#service.disk.sweep(this.#service.wallMs());
  }

  watch(user: UserRef, woken: (head: number) => void): () => void {
    const watchers = this.#watchers.get(user) ?? new Set();
    this.#watchers.set(user, watchers.add(woken));
    return () => watchers.delete(woken);
  }

  watchLogs(): () => void {
    return () => {};
  }

  async close(): Promise<void> {}

  /** A timeline has grown: a hint that is given later, or not at all. */
  hint(user: UserRef): void {
    if (this.#watchers.has(user) && !this.#hints.includes(user)) this.#hints.push(user);
  }

  /** Answers what took effect, gives hints, and lets more take effect. */
  step(count: number): boolean {
    if (this.#dead) return false;
    const moved = this.#waiting.length + this.#executed.length + this.#hints.length > 0;
    this.#giveHints();
    for (const call of this.#executed.splice(0, count)) call.reply();
    for (const call of this.#waiting.splice(0, count)) {
      call.execute();
      this.#executed.push(call);
    }
    return moved;
  }

  loseHints(): boolean {
    const { length } = this.#hints;
    this.#hints = [];
    return length > 0;
  }

  /** The store is out of reach: what waits has no effect, what took effect is not answered. */
  fail(): boolean {
    const calls = [...this.#waiting, ...this.#executed];
    this.#waiting = [];
    this.#executed = [];
    for (const call of calls) call.fail();
    return calls.length > 0;
  }

  /** The node died: nobody hears of anything any more. */
  die(): void {
    this.#dead = true;
    this.#waiting = [];
    this.#executed = [];
    this.#service.stores.delete(this);
  }

  #countLoad(page: string): void {
    const count = (this.#loads.get(page) ?? 0) + 1;
    this.#loads.set(page, count);
    assert(count <= SAME_PAGES_MAX, "a page that does not fit is not loaded again [SEQ-16]");
  }

  #giveHints(): void {
    for (const user of this.#hints.splice(0)) {
      const { head } = this.#service.disk.bounds(user) as TimelineBounds;
      for (const woken of this.#watchers.get(user) ?? []) woken(head);
    }
  }

  #call<Answer>(execute: () => Answer): Promise<Answer> {
    return new Promise((resolve, reject) => {
      let answer: Answer;
      this.#waiting.push({
        execute: () => {
          answer = execute();
        },
        reply: () => resolve(answer),
        fail: () => reject(new StoreError(ErrorCode.STORE_UNAVAILABLE, "out of reach")),
      });
    });
  }
}
