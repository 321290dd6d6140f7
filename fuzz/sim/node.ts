import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import { NATIVE_CRYPTO } from "../../platform/native-crypto.ts";
import type { Link, LinkAcceptor } from "../../protocol/link.ts";
import type { ServerSessionLimits } from "../../protocol/session/server.ts";
import { openAuthenticator } from "../../server/auth/open.ts";
import { CONVERSATION_RULES } from "../../server/operations/conversations.ts";
import { OperationBudget } from "../../server/operations/operation-budget.ts";
import { USER_RULES } from "../../server/operations/own-lists.ts";
import { PublishBudget } from "../../server/operations/publish-budget.ts";
import { Services } from "../../server/services/service.ts";
import { Alarms } from "../../server/sessions/alarms.ts";
import { type DriverContext, SessionDriver } from "../../server/sessions/driver.ts";
import { Hub } from "../../server/sessions/hub.ts";
import { SignalBoard } from "../../server/signals/board.ts";
import { NodeStore, type Service } from "./service.ts";

const RANGE = (defaultMs: number, minMs: number, maxMs: number) => ({ defaultMs, minMs, maxMs });

/** Small windows, so that they are full most of the time. */
export const SUBMIT_WINDOW = { count: 6, bytes: 500 };
export const NODE_LIMITS: ServerSessionLimits = {
  frameBytes: 4096,
  contentBytes: 1024,
  submitWindow: SUBMIT_WINDOW,
  deliveryWindowMax: { count: 8, bytes: 900 },
  timers: {
    keepalive: RANGE(1_000, 100, 10_000),
    idle: RANGE(3_000, 300, 60_000),
    age: RANGE(30_000, 0, 60_000),
  },
  handshakeMs: 2_000,
  frameMs: 2_000,
  drainGraceMs: 500,
};

/** So little that it runs out now and then, and so much that most is granted. */
const RATES = {
  operations: { atOnce: 12, perSecond: 4 },
  messagesPerDay: 0,
  conversationsPerDay: 0,
};

/** One server process: the production session host over a store, a clock and wires by hand. */
export class SimNode {
  readonly store: NodeStore;
  readonly alarms: Alarms;
  readonly accept: LinkAcceptor;
  /** How long this node slept. */
  skewMs = 0;
  readonly #drivers = new Set<SessionDriver>();
  #ring: (() => void) | undefined;

  constructor(
    service: Service,
    told: {
      readonly attached: (link: Link) => void;
      /** A submit was judged that there was nothing left for. Undefined: there always is. */
      readonly tooOften: (() => void) | undefined;
      /** Trouble of the store, or a defect, of which in a simulation everything dies. */
      readonly failed: (error: unknown) => void;
    },
  ) {
    this.store = new NodeStore(service);
    this.alarms = new Alarms({
      nowMs: () => service.nowMs() + this.skewMs,
      timer: (_, ring) => {
        this.#ring = ring;
        return () => {
          this.#ring = undefined;
        };
      },
    });
    const context: DriverContext = {
      store: this.store,
      authenticator: openAuthenticator(),
      services: new Services({ roleIn: async () => undefined }),
      crypto: NATIVE_CRYPTO,
      publishing: new PublishBudget(),
      budget: told.tooOften && new OperationBudget(RATES, told.tooOften),
      conversations: CONVERSATION_RULES,
      users: USER_RULES,
      hub: new Hub(this.store),
      signals: new SignalBoard({
        store: this.store,
        deadlines: this.alarms,
        failed: (_, error) => told.failed(error),
      }),
      alarms: this.alarms,
      limits: NODE_LIMITS,
      observer: {
        attached: ({ link }) => told.attached(link),
        closed: () => {},
        committed: () => {},
        delivered: () => {},
        passed: () => {},
        failed: (_, error) => told.failed(error),
      },
    };
    this.accept = (link) => {
      const driver = new SessionDriver(link, context, () => this.#drivers.delete(driver));
      this.#drivers.add(driver);
      return driver;
    };
  }

  /** The clock has moved: whatever is due rings. */
  elapsed(): void {
    const ring = this.#ring;
    this.#ring = undefined;
    ring?.();
  }

  drain(): boolean {
    const drivers = [...this.#drivers];
    drivers.forEach((driver, index) => {
      const notice = { slotMs: 50 * index, graceMs: 500, alternatives: [] };
      driver.drain({ ...notice, code: ErrorCode.DRAINED });
    });
    return drivers.length > 0;
  }

  /** What was in memory is gone. The caller cuts the wires. */
  crash(): void {
    this.store.die();
    this.alarms.close();
  }
}
