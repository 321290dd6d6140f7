import { createHash } from "node:crypto";
import { Agent as ClearAgent } from "node:http";
import { Agent as TlsAgent } from "node:https";
import { create, fromBinary, toJsonString } from "@bufbuild/protobuf";
import {
  type WebhookDelivery,
  WebhookDeliverySchema,
  WebhookEventSchema,
} from "../../gen/posthorn/v1/backend_pb.ts";
import { EventSchema } from "../../gen/posthorn/v1/event_pb.ts";
import type { TimelineEntry, TimelinePage } from "../../protocol/session/facts.ts";
import type { Deadlines } from "../signals/turns.ts";
import { type Store, userRefOf } from "../store/store.ts";
import { WebhookCursor } from "./webhook-cursor.ts";
import type { WebhookSettings } from "./webhook-file.ts";
import { type PostOutcome, post } from "./webhook-request.ts";
import { retryWaitMs, type WebhookRetry } from "./webhook-retry.ts";
import { signatureHeaders } from "./webhook-signature.ts";

/** Of one request: events, and their bytes as they are stored. [BCK-20] */
export const WEBHOOK_BATCH = { count: 64, bytes: 256 * 1024 };
/** Hints may be lost: how long a webhook believes that there is nothing new. */
const LOOK_AGAIN_MS = 30_000;

/** What becomes of deliveries, for logs and metrics. */
export interface WebhookObserver {
  delivered(told: {
    readonly name: string;
    readonly count: number;
    readonly through: number;
  }): void;
  failed(told: {
    readonly name: string;
    /** A status, or the system's name of what happened. */
    readonly reason: string;
    readonly failureCount: number;
    readonly waitMs: number;
  }): void;
  /** It is told nothing any more, until the service starts again. */
  disabled(name: string): void;
  /** How many events the receiver has not taken yet. */
  behind(name: string, count: number): void;
  /** Retention was quicker than the receiver. */
  lost(told: { readonly name: string; readonly from: number; readonly through: number }): void;
  /** Our bug, or trouble outside that is not the receiver's. */
  failedInside(error: unknown): void;
}

export interface WebhookContext {
  readonly store: Pick<
    Store,
    "ensureUser" | "loadTimeline" | "watch" | "loadDevices" | "prepare" | "attach" | "keep"
  >;
  readonly deadlines: Deadlines;
  /** The wall clock, which receivers compare with theirs. */
  readonly nowMs: () => number;
  readonly random: () => number;
  readonly retry: WebhookRetry;
  readonly timeoutMs: number;
  readonly observer: WebhookObserver;
}

/** Some of a timeline, under one id for ever. [BCK-15] */
interface Batch {
  readonly id: string;
  readonly through: number;
  readonly body: Uint8Array;
  readonly count: number;
}

/**
 * Tells one receiver of a user's events: one request at a time, in order, each until it is taken.
 * Keeps nothing but two numbers: the timeline is the buffer. [BCK-14] to [BCK-22]
 */
export class Webhook {
  readonly #settings: WebhookSettings;
  readonly #context: WebhookContext;
  readonly #agent: ClearAgent;
  readonly #stopped = new AbortController();
  readonly #running: Promise<void>;
  #cursor: WebhookCursor | undefined;
  #failureCount = 0;
  /** The timeline has grown since it was looked at last. */
  #isWoken = false;
  #wake: () => void = () => {};

  constructor(settings: WebhookSettings, context: WebhookContext) {
    this.#settings = settings;
    this.#context = context;
    const options = { keepAlive: true, maxSockets: 1 };
    const { url, ca } = settings;
    const isTls = url.protocol === "https:";
    this.#agent = isTls
      ? new TlsAgent({ ...options, ...(ca === undefined ? {} : { ca }) })
      : new ClearAgent(options);
    this.#running = this.#run();
  }

  get #user() {
    return userRefOf(this.#settings.tenant, this.#settings.userId);
  }

  /** Resolves when nothing of it is under way any more. */
  async stop(): Promise<void> {
    this.#stopped.abort();
    this.#wake();
    await this.#running;
  }

  async #run(): Promise<void> {
    const unwatch = this.#context.store.watch(this.#user, () => {
      this.#isWoken = true;
      this.#wake();
    });
    let isOver = false;
    while (!isOver && !this.#stopped.signal.aborted) {
      isOver = await this.#step().catch(async (error: unknown) => {
        this.#context.observer.failedInside(error);
        await this.#wait(this.#context.retry.minMs, "unhurried");
        return false;
      });
    }
    unwatch();
    this.#agent.destroy();
  }

  /** @returns whether it was the last one */
  async #step(): Promise<boolean> {
    const batch = await this.#next();
    if (batch === undefined) {
      if (!this.#isWoken) await this.#wait(LOOK_AGAIN_MS);
      return false;
    }
    const outcome = await this.#post(batch);
    if (this.#stopped.signal.aborted) return true;
    return await this.#heard(batch, outcome);
  }

  async #heard(batch: Batch, outcome: PostOutcome): Promise<boolean> {
    const { observer, retry, random, nowMs } = this.#context;
    const { name } = this.#settings;
    const status = outcome.kind === "answered" ? outcome.status : 0;
    if (status >= 200 && status < 300) {
      this.#failureCount = 0;
      (this.#cursor as WebhookCursor).takenThrough = batch.through;
      observer.delivered({ name, count: batch.count, through: batch.through });
      return false;
    }
    if (status === GONE) {
      observer.disabled(name);
      return true;
    }
    this.#failureCount += 1;
    const failureCount = this.#failureCount;
    const retryAfter = outcome.kind === "answered" ? outcome.retryAfter : undefined;
    const asked = { failureCount, retryAfter, nowMs: nowMs(), random: random() };
    const waitMs = retryWaitMs(asked, retry);
    const reason = outcome.kind === "answered" ? String(status) : outcome.reason;
    observer.failed({ name, reason, failureCount, waitMs });
    await this.#wait(waitMs, "unhurried");
    return false;
  }

  /** What is to be sent now, as it is now; undefined: the receiver has taken all. [BCK-18] */
  async #next(): Promise<Batch | undefined> {
    this.#isWoken = false;
    const cursor = await this.#opened();
    const { takenThrough: after, triedThrough } = cursor;
    const isAgain = triedThrough > after;
    // What was sent once goes again whole, whatever has become of its size. [BCK-15]
    const again = { count: triedThrough - after, bytes: Number.POSITIVE_INFINITY };
    const limit = isAgain ? again : WEBHOOK_BATCH;
    const page = await this.#context.store.loadTimeline(this.#user, after, limit);
    const entries = page.entries.filter(({ seq }) => !isAgain || seq <= triedThrough);
    this.#tellLost(page, { after, through: isAgain ? triedThrough : page.bounds.head });
    const through = isAgain ? triedThrough : (entries.at(-1)?.seq ?? after);
    this.#context.observer.behind(this.#settings.name, page.bounds.head - after);
    cursor.triedThrough = through;
    if (entries.length === 0) cursor.takenThrough = through;
    // Before anything of it is sent: or a crash could send the same again under another id.
    if (cursor.isChanged) await cursor.keep();
    // All that was under way is gone; what comes after it is not.
    if (entries.length === 0 && isAgain) this.#isWoken = true;
    if (entries.length === 0) return undefined;
    const { name } = this.#settings;
    const id = deliveryId([this.#user, name, page.bounds.epoch, after + 1]);
    return { id, through, body: this.#bodyOf(page.bounds.epoch, entries), count: entries.length };
  }

  async #opened(): Promise<WebhookCursor> {
    const { store } = this.#context;
    if (this.#cursor === undefined) {
      await store.ensureUser(this.#user);
      this.#cursor = await WebhookCursor.open(store, this.#settings);
    }
    return this.#cursor;
  }

  #tellLost(
    { bounds }: TimelinePage,
    asked: { readonly after: number; readonly through: number },
  ): void {
    const through = Math.min(bounds.floor - 1, asked.through);
    if (through <= asked.after || this.#failureCount > 0) return;
    const { name } = this.#settings;
    this.#context.observer.lost({ name, from: asked.after + 1, through });
  }

  #bodyOf(epoch: number, entries: readonly TimelineEntry[]): Uint8Array {
    const { name, userId } = this.#settings;
    const [first] = entries as readonly [TimelineEntry, ...TimelineEntry[]];
    const delivery: WebhookDelivery = create(WebhookDeliverySchema, {
      type: "posthorn.events",
      timestamp: new Date(first.committedMs).toISOString(),
      webhook: name,
      userId,
      timelineEpoch: BigInt(epoch),
      events: entries.map((entry) =>
        create(WebhookEventSchema, {
          seq: BigInt(entry.seq),
          conversationSeq: BigInt(entry.conversationSeq),
          committedMs: BigInt(entry.committedMs),
          event: fromBinary(EventSchema, entry.event, { readUnknownFields: false }),
        }),
      ),
    });
    return Buffer.from(toJsonString(WebhookDeliverySchema, delivery));
  }

  async #post({ id, body }: Batch): Promise<PostOutcome> {
    const { deadlines, nowMs, timeoutMs } = this.#context;
    const { url, secrets } = this.#settings;
    const late = new AbortController();
    const cancel = deadlines.schedule(deadlines.nowMs() + timeoutMs, () => late.abort());
    const seconds = Math.floor(nowMs() / 1000);
    const headers = {
      "content-type": "application/json",
      "user-agent": "posthorn",
      ...signatureHeaders({ id, seconds, body }, secrets),
    };
    const signal = AbortSignal.any([late.signal, this.#stopped.signal]);
    const outcome = await post({ url, headers, body, agent: this.#agent, signal });
    cancel();
    const isLate = outcome.kind === "unanswered" && late.signal.aborted;
    return isLate ? { kind: "unanswered", reason: "TIMEOUT" } : outcome;
  }

  /** Until a time is over or, unless unhurried, until there is news. */
  async #wait(ms: number, how?: "unhurried"): Promise<void> {
    if (this.#stopped.signal.aborted) return;
    const { deadlines } = this.#context;
    await new Promise<void>((resolve) => {
      const cancel = deadlines.schedule(deadlines.nowMs() + ms, resolve);
      this.#wake = () => {
        if (how === "unhurried" && !this.#stopped.signal.aborted) return;
        cancel();
        resolve();
      };
    });
    this.#wake = () => {};
  }
}

const GONE = 410;

/** The same for the same events, whatever dies; without a full stop. [BCK-15] [BCK-16] */
function deliveryId(parts: readonly (string | number)[]): string {
  const digest = createHash("sha256").update(JSON.stringify(parts)).digest("hex");
  return `msg_${digest.slice(0, 32)}`;
}
