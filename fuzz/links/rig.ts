import { mkdtemp, rm } from "node:fs/promises";
import { Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import v8 from "node:v8";
import { ServerSession } from "../../protocol/session/server.ts";
import { assert } from "../../protocol/violation.ts";
import { configFrom } from "../../server/config.ts";
import { LongPollLink } from "../../server/links/longpoll-link.ts";
import type { Log } from "../../server/observe.ts";
import { createServer, type PosthornServer } from "../../server/server.ts";
import { WAIT_MS } from "./changes.ts";
import { Doors } from "./doors.ts";
import { LIMITS } from "./limits.ts";
import { ModelDevice } from "./model-device.ts";

const SETTINGS = {
  port: 0,
  log: { level: "silent" },
  limits: {
    linksMax: 4_000,
    frameBytes: LIMITS.frameBytes,
    contentBytes: LIMITS.contentBytes,
    submitWindowCount: LIMITS.submitWindowCount,
    submitWindowBytes: LIMITS.submitWindowBytes,
    frameMs: LIMITS.frameMs,
    handshakeMs: LIMITS.handshakeMs,
    // All cases come from one address, for as long as a run takes.
    addressLinks: { perSecond: 0 },
    addressCalls: { perSecond: 0 },
    addressFailures: { perSecond: 0 },
    operations: { perSecond: 0 },
    messagesPerDay: 0,
  },
  longPoll: {
    holdMs: LIMITS.holdMs,
    idleMs: LIMITS.idleMs,
    coalesceMs: 0,
    sendBytesMax: LIMITS.sendBytesMax,
    pollBytesMax: LIMITS.pollBytesMax,
    bufferBytesMax: LIMITS.bufferBytesMax,
  },
  drain: { graceMs: 100 },
} as const;

/** What the heap may grow by: caches of the store that are bounded by number, and a little room. */
const HEAP_GROWTH_MAX = 24 * 1024 * 1024;
const HEAP_GROWTH_PER_CASE_MAX = 4 * 1024;

export type Settings = Readonly<Record<string, unknown>>;

/**
 * The real server on a port of this machine, for all cases of a run, with what judges it from the
 * outside after each: nothing failed that is no peer's doing, and a well-behaved session goes on.
 */
export class Rig {
  /** Whose connections end with the case. */
  readonly doors: Doors;
  readonly #ownDoors: Doors;
  readonly #otherDoors: Doors[] = [];
  readonly #node: Node;
  readonly #otherNodes: Node[] = [];
  readonly #failures: Failures;
  /** The process may have some of its own. */
  readonly #before: Readonly<Record<string, number>> = { sockets: aliveCount(Socket) };
  readonly #heapBytesBefore = heapBytes();
  #well: ModelDevice | undefined;
  #names = 0;
  #caseCount = 0;

  static async start(): Promise<Rig> {
    const failures = new Failures();
    return new Rig(await Node.start({}, failures), failures);
  }

  private constructor(node: Node, failures: Failures) {
    this.#node = node;
    this.#failures = failures;
    this.doors = new Doors(node.port);
    this.#ownDoors = new Doors(node.port);
  }

  /** One more server, with settings of its own. */
  async another(settings: Settings): Promise<Doors> {
    const node = await Node.start(settings, this.#failures);
    this.#otherNodes.push(node);
    const doors = new Doors(node.port);
    this.#otherDoors.push(doors);
    return doors;
  }

  /** A user that nobody was before. */
  freshUser(): string {
    this.#names += 1;
    return `u${String(this.#names).padStart(7, "0")}`;
  }

  /** Runs a case, whose connections end with it, and judges what it left of the server. */
  async run(body: () => Promise<void>): Promise<void> {
    this.#caseCount += 1;
    try {
      await body();
    } finally {
      for (const doors of [this.doors, ...this.#otherDoors]) doors.leaveAll("destroy");
    }
    this.#failures.none();
    const who = { userId: this.freshUser(), deviceId: "well", peerId: "" };
    const well = this.#well ?? new ModelDevice(this.#ownDoors, who);
    this.#well = undefined;
    if (!well.isAttached) await well.attach("tcp");
    well.submit({ to: "self", said: { text: `well ${this.#caseCount}`, copies: 1 } });
    await well.settle();
    this.#failures.none();
    this.#well = well;
  }

  /** @throws Error when something of the run is still there, or grew */
  async stop(): Promise<void> {
    try {
      this.#ownDoors.leaveAll("destroy");
      this.#well = undefined;
      await this.#nothingLeft();
      this.#failures.none();
    } finally {
      await Promise.all([this.#node, ...this.#otherNodes].map((node) => node.stop()));
      this.#failures.forget();
    }
  }

  /** Every socket, link and session of the run is gone, and the heap did not grow. */
  async #nothingLeft(): Promise<void> {
    const endMs = performance.now() + WAIT_MS;
    for (const [name, count] of Object.entries(COUNTS)) {
      const before = this.#before[name] ?? 0;
      for (let now = count(); now > before; now = count()) {
        assert(performance.now() < endMs, `${now - before} ${name} are left after the run`);
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
    }
    const grownBytes = heapBytes() - this.#heapBytesBefore;
    const allowed = HEAP_GROWTH_MAX + HEAP_GROWTH_PER_CASE_MAX * this.#caseCount;
    assert(grownBytes <= allowed, `${this.#caseCount} cases left ${grownBytes} bytes on the heap`);
  }
}

/** What must be gone after a run, or back at what it was: the cheap one first. */
const COUNTS: Readonly<Record<string, () => number>> = {
  "TCP handles": () =>
    process.getActiveResourcesInfo().filter((name) => name.startsWith("TCPSocket")).length,
  "long polls": () => aliveCount(LongPollLink),
  sessions: () => aliveCount(ServerSession),
  sockets: () => aliveCount(Socket),
};

/** How many of a class are reachable; collects garbage first. */
function aliveCount(of: new (...given: never[]) => object): number {
  return Number(v8.queryObjects(of, { format: "count" }));
}

function heapBytes(): number {
  return v8.getHeapStatistics().used_heap_size;
}

/** Failures that are no peer's doing, of all servers of the process. */
class Failures {
  readonly #kept: unknown[] = [];

  constructor() {
    process.on("uncaughtException", this.keep);
    process.on("unhandledRejection", this.keep);
  }

  readonly keep = (failure: unknown): void => {
    this.#kept.push(failure);
  };

  /** @throws the first one since it was asked last */
  none(): void {
    const [failure] = this.#kept.splice(0);
    if (failure !== undefined) throw failure;
  }

  forget(): void {
    process.off("uncaughtException", this.keep);
    process.off("unhandledRejection", this.keep);
  }

  /** What a server logs above the level of what its peers do. */
  get log(): Log {
    const failed = (at: string, data: object) => {
      const { err } = data as { readonly err?: unknown };
      this.keep(err ?? new Error(`${at}: ${JSON.stringify(data)}`));
    };
    return { debug: () => {}, info: () => {}, warn: failed, error: failed };
  }
}

/** A server, in a folder that goes with it. */
class Node {
  readonly #server: PosthornServer;
  readonly #folder: string;

  static async start(settings: Settings, failures: Failures): Promise<Node> {
    const folder = await mkdtemp(join(tmpdir(), "posthorn-links-"));
    const config = configFrom({ file: { ...SETTINGS, ...settings, data: folder } });
    return new Node(await createServer(config, failures.log), folder);
  }

  private constructor(server: PosthornServer, folder: string) {
    this.#server = server;
    this.#folder = folder;
  }

  get port(): number {
    return this.#server.address.port;
  }

  async stop(): Promise<void> {
    await this.#server.close();
    await rm(this.#folder, { recursive: true, force: true });
  }
}
