import { deepEqual, equal, ok } from "node:assert/strict";
import fc from "fast-check";
import { Webhook, type WebhookContext } from "../../server/backend/webhook.ts";
import { webhookSecretIn } from "../../server/backend/webhook-signature.ts";
import { userRefOf } from "../../server/store/store.ts";
import { DeskNode, type OperationInit, sayTo } from "../backend/desk.ts";
import {
  isSignedWith,
  isTaken,
  type Manner,
  type Received,
  Receiver,
  seqsOf,
} from "../backend/receiver.ts";
import { property, type Seen } from "../property.ts";

const SECRET = `whsec_${Buffer.alloc(32, 7).toString("base64")}`;
const OTHER = `whsec_${Buffer.alloc(24, 9).toString("base64")}`;
const RETRY = { minMs: 1_000, maxMs: 30_000 };
const NOW_MS = 1_800_000_000_000;
const BOT = userRefOf("", "bot");

type Step =
  | { readonly kind: "say"; readonly count: number }
  | { readonly kind: "recall"; readonly of: number }
  | { readonly kind: "restart" }
  /** Until a request comes. */
  | { readonly kind: "ask" }
  | { readonly kind: "receive"; readonly manners: readonly Manner[] };

/** Time that passes when a test says so. */
class Clock {
  nowMs = NOW_MS;
  readonly #alarms = new Set<{ readonly atMs: number; readonly ring: () => void }>();

  schedule(atMs: number, ring: () => void): () => void {
    const alarm = { atMs, ring };
    this.#alarms.add(alarm);
    return () => this.#alarms.delete(alarm);
  }

  /** Lets the time pass until the next thing is due. */
  pass(): void {
    const [next] = [...this.#alarms].sort((one, other) => one.atMs - other.atMs);
    if (next === undefined) return;
    this.#alarms.delete(next);
    this.nowMs = Math.max(this.nowMs, next.atMs);
    next.ring();
  }
}

/** One webhook of a bot, whose receiver and whose node are not to be relied on. */
class Scene {
  readonly #receiver: Receiver;
  readonly #seen: Seen;
  readonly #clock = new Clock();
  readonly #desk = new DeskNode();
  readonly #texts: string[] = [];
  readonly #recalled = new Set<string>();
  /** What had been recalled when the timeline was read last. */
  #goneAtLoad: readonly string[] = [];
  #manners: Manner[] = [];
  #webhook: Webhook | undefined;
  #submits = 0;
  #head = 0;
  #taken = 0;
  #isDisabled = false;
  #settled: () => void = () => {};
  #came: () => void = () => {};
  readonly #wrong: string[] = [];

  constructor(receiver: Receiver, seen: Seen) {
    this.#receiver = receiver;
    this.#seen = seen;
    receiver.requests.length = 0;
    receiver.manner = () => this.#manners.shift() ?? "takes";
    receiver.onRequest = (request) => this.#received(request);
  }

  async start(): Promise<void> {
    await this.#desk.store.ensureUser(BOT);
    await this.#desk.store.ensureUser(userRefOf("", "ann"));
    this.#begin();
  }

  async take(step: Step): Promise<void> {
    switch (step.kind) {
      case "say":
        for (let one = 0; one < step.count; one += 1) await this.#say();
        return;
      case "recall":
        return await this.#recall(step.of);
      case "restart":
        // Stopping keeps nothing: what was not kept before is lost, as when the process dies.
        await this.#webhook?.stop();
        this.#seen("restart");
        this.#isDisabled = false;
        return this.#begin();
      case "ask":
        return await this.#asked();
      case "receive":
        this.#manners.push(...step.manners);
    }
  }

  /** Everything comes in the end, or the receiver has said that it is gone. */
  async settle(): Promise<void> {
    while (this.#isUnderWay) {
      await new Promise<void>((resolve) => {
        this.#settled = resolve;
      });
    }
    if (this.#isDisabled) await this.#receiver.visit();
    await this.#webhook?.stop();
    deepEqual(this.#wrong, []);
    this.#checkTold();
  }

  /** Whether a request is still to come. */
  get #isUnderWay(): boolean {
    return this.#taken < this.#head && !this.#isDisabled && this.#wrong.length === 0;
  }

  async #asked(): Promise<void> {
    if (!this.#isUnderWay) return;
    await new Promise<void>((resolve) => {
      this.#came = resolve;
    });
    this.#seen("asked");
  }

  #begin(): void {
    const settings = {
      name: "hook",
      tenant: "",
      userId: "bot",
      url: new URL(`http://127.0.0.1:${this.#receiver.port}/hook?key=secret`),
      secrets: [SECRET, OTHER].map((text) => webhookSecretIn(text) as Uint8Array),
      ca: undefined,
    };
    this.#webhook = new Webhook(settings, this.#context());
  }

  #context(): WebhookContext {
    const { store } = this.#desk;
    return {
      store: {
        ensureUser: (user) => store.ensureUser(user),
        loadDevices: (user) => store.loadDevices(user),
        prepare: (request) => store.prepare(request),
        attach: (request) => store.attach(request),
        keep: (positions) => store.keep(positions),
        watch: (user, woken) => store.watch(user, woken),
        loadTimeline: (...asked) => {
          this.#goneAtLoad = [...this.#recalled];
          return store.loadTimeline(...asked);
        },
      },
      deadlines: {
        nowMs: () => this.#clock.nowMs,
        schedule: (atMs, ring) => this.#clock.schedule(atMs, ring),
      },
      nowMs: () => this.#clock.nowMs,
      random: () => 0.5,
      retry: RETRY,
      timeoutMs: 15_000,
      observer: {
        delivered: ({ through }) => {
          this.#taken = Math.max(this.#taken, through);
          this.#settled();
          this.#came();
        },
        failed: ({ reason, failureCount, waitMs }) => {
          const own = Math.min(RETRY.maxMs, RETRY.minMs * 2 ** (failureCount - 1)) * 0.75;
          const expected = reason === "503" ? RETRY.maxMs : own;
          this.#claim(waitMs === expected, `waits ${waitMs} after ${reason}`);
          this.#seen(reason);
          setImmediate(() => this.#clock.pass());
        },
        disabled: () => {
          this.#isDisabled = true;
          this.#settled();
          this.#came();
        },
        behind: (_, count) => {
          this.#claim(this.#taken + count >= this.#head, "the cursor moved alone [BCK-17]");
        },
        lost: () => this.#claim(false, "lost"),
        failedInside: (error) => this.#claim(false, String(error)),
      },
    };
  }

  #received(request: Received): void {
    this.#came();
    const { manner, path, body, seconds } = request;
    this.#claim(isSignedWith(SECRET, request), "is signed [BCK-16]");
    this.#claim(isSignedWith(OTHER, request), "is signed with both secrets [BCK-16]");
    this.#claim(seconds === Math.floor(this.#clock.nowMs / 1000), "has the time of the try");
    this.#claim(path === "/hook?key=secret", `goes elsewhere: ${path} [BCK-21]`);
    this.#claim(!this.#isDisabled, "comes after 410 [BCK-22]");
    for (const text of this.#goneAtLoad) {
      this.#claim(!body.includes(JSON.stringify(text)), "was recalled [BCK-18]");
    }
    this.#seen(manner);
    if (manner.startsWith("hangs")) setImmediate(() => this.#clock.pass());
  }

  #checkTold(): void {
    const { requests } = this.#receiver;
    const seqsById = new Map<string, string>();
    for (const request of requests) {
      const seqs = seqsOf(request).join();
      equal(seqsById.get(request.id) ?? seqs, seqs, "an id stands for the same events [BCK-15]");
      seqsById.set(request.id, seqs);
    }
    // Deduplicated by id, in the order of their first coming.
    const all = [...seqsById.values()].flatMap((seqs) => seqs.split(",").map(Number));
    const upTo = this.#isDisabled ? all.length : this.#head;
    const expected = Array.from({ length: upTo }, (_, index) => index + 1);
    deepEqual(all, requests.length === 0 ? [] : expected, "each once, in order [BCK-14]");
    const taken = requests.filter(({ manner }) => isTaken(manner)).flatMap(seqsOf);
    const heard = new Set(taken);
    if (!this.#isDisabled) equal(heard.size, this.#head, "nothing is left out [BCK-17]");
  }

  async #say(): Promise<void> {
    this.#texts.push(`no. ${this.#texts.length + 1}.`);
    await this.#does("ann", sayTo("bot", this.#texts.at(-1) as string));
  }

  async #recall(of: number): Promise<void> {
    const at = of % Math.max(1, this.#texts.length);
    const text = this.#texts[at];
    if (text === undefined || this.#recalled.has(text)) return;
    const conversationSeq = BigInt(at + 1);
    const value = { conversationId: "d:ann:bot", conversationSeq };
    await this.#does("ann", { kind: { case: "recallMessage", value } });
    this.#recalled.add(text);
    this.#seen("recall");
  }

  async #does(asUserId: string, operation: OperationInit): Promise<void> {
    this.#submits += 1;
    const seq = BigInt(this.#submits);
    const { code, refused } = await this.#desk.submit({ stream: "s", seq, asUserId, operation });
    equal(code + refused, 0);
    this.#head += 1;
  }

  #claim(holds: boolean, what: string): void {
    if (holds) return;
    this.#wrong.push(what);
    this.#settled();
    this.#came();
  }
}

const manner = fc.constantFrom<Manner>(
  "takes",
  "takes and says much",
  "takes and is cut",
  "refuses",
  "asks for time",
  "redirects",
  "hangs",
  "hangs in its answer",
  "resets",
  "says too much",
  "lies in its head",
);

const step = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant("say" as const), count: fc.nat(5) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("recall" as const), of: fc.nat(9) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("restart" as const) }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant("ask" as const) }) },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant("receive" as const),
      manners: fc.array(manner, { maxLength: 4 }),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant("receive" as const),
      manners: fc.constant<Manner[]>(["is gone"]),
    }),
  },
);

export const webhooks = property<Step[]>({
  name: "webhooks",
  title:
    "[BCK-14] [BCK-15] [BCK-16] [BCK-17] [BCK-18] [BCK-19] [BCK-21] [BCK-22] whatever the " +
    "receiver does and the node dies of, it is told of every event, once and in order by their " +
    "ids, of nothing that was recalled, and nobody else is told anything",
  smokeRuns: 25,
  kinds: [
    "takes",
    "refuses",
    "503",
    "307",
    "TIMEOUT",
    "ECONNRESET",
    "HPE_HEADER_OVERFLOW",
    "recall",
    "asked",
  ],
  arbitrary: fc.array(step, { minLength: 1, maxLength: 20 }),
  start: async (seen) => {
    const receiver = await Receiver.open();
    return {
      check: async (steps) => {
        const scene = new Scene(receiver, seen);
        await scene.start();
        for (const one of steps) await scene.take(one);
        await scene.settle();
        ok(
          receiver.requests.every(({ headers }) => headers["content-type"] === "application/json"),
        );
      },
      stop: () => receiver.close(),
    };
  },
});
