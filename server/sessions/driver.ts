import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import type { SubmitPlain } from "../../gen/posthorn/v1/hot_codecs.ts";
import { crc32 } from "../../protocol/crc32.ts";
import type { CryptoProvider } from "../../protocol/envelope/provider.ts";
import { encodeFrame } from "../../protocol/frames.ts";
import type { AcceptedLink, Link, LinkHandler } from "../../protocol/link.ts";
import type { CallPlain } from "../../protocol/session/calls.ts";
import type { AttachClaim } from "../../protocol/session/hello.ts";
import type { Hint } from "../../protocol/session/hint-queue.ts";
import type { PassingCounts } from "../../protocol/session/passing-tally.ts";
import {
  type DrainNotice,
  type ServerEffect,
  ServerSession,
  type ServerSessionLimits,
} from "../../protocol/session/server.ts";
import type { TimelineRequest } from "../../protocol/session/timeline-feed.ts";
import { unreachable, type Violation, violation } from "../../protocol/violation.ts";
import { type Authenticator, accountOf, type Identity } from "../auth/authenticate.ts";
import type { ConversationRules } from "../operations/conversations.ts";
import { announcementOf } from "../operations/devices.ts";
import type { OperationBudget } from "../operations/operation-budget.ts";
import type { UserRules } from "../operations/own-lists.ts";
import { decodeOperation, type Sender } from "../operations/plan.ts";
import type { PublishBudget } from "../operations/publish-budget.ts";
import type { Services } from "../services/service.ts";
import type { SignalMember } from "../signals/attendance.ts";
import type { SignalBoard } from "../signals/board.ts";
import {
  type Attachment,
  type DevicePosition,
  type DeviceRef,
  type Store,
  StoreError,
  userRefOf,
} from "../store/store.ts";
import type { Alarm, Alarms } from "./alarms.ts";
import type { Hub, HubMember } from "./hub.ts";
import { loadIndexPage } from "./index-page.ts";
import { LOGIN_INVALID, type Logins } from "./logins.ts";
import {
  type DecodedSubmit,
  endDevices,
  PLANNING_ATTEMPTS_MAX,
  type Planned,
  planAndCommit,
} from "./plan-and-commit.ts";

/** What happens in sessions, for logs and metrics. */
export interface SessionObserver {
  attached(session: AttachedSession): void;
  closed(session: ClosedSession): void;
  committed(submitCount: number): void;
  delivered(entryCount: number): void;
  /** So many more signals and hints. */
  passed(more: PassingCounts): void;
  /** Our bug, or trouble outside that is not the peer's doing. */
  failed(where: string, error: unknown): void;
}

export interface AttachedSession {
  readonly device: DeviceRef;
  readonly generation: number;
  readonly sessionId: Uint8Array;
  readonly link: Link;
  readonly agent: string;
}

export interface ClosedSession {
  /** Undefined: nobody knows whose it was. */
  readonly device: DeviceRef | undefined;
  readonly isAttached: boolean;
  readonly link: Link;
  readonly because: Violation;
}

/** How often an address may try to be somebody. [LIM-10] */
export interface FailedAttempts {
  /** 0: it may try. */
  attemptWaitMs(peer: string): number;
  attemptFailed(peer: string): void;
}

export interface DriverContext {
  readonly store: Store;
  readonly authenticator: Authenticator;
  /** Undefined where devices cannot register: everybody is who they say, or proofs are off. */
  readonly logins?: Logins | undefined;
  readonly hub: Hub;
  /** Whom to tell what devices say in passing. */
  readonly signals: Pick<SignalBoard, "join" | "signalled" | "committed">;
  readonly alarms: Alarms;
  /** For certificates, and for ids. */
  readonly crypto: CryptoProvider;
  readonly conversations: ConversationRules;
  readonly users: UserRules;
  readonly publishing: PublishBudget;
  /** Undefined: users may do as much as they like. */
  readonly budget?: Pick<OperationBudget, "judge"> | undefined;
  /** Attempts of an address to attach that fail. Undefined: it may have as many as it likes. */
  readonly attempts?: FailedAttempts | undefined;
  /** What calls can ask. */
  readonly services: Services;
  readonly limits: ServerSessionLimits;
  readonly observer: SessionObserver;
}

/**
 * Feeds one {@link ServerSession} and obeys its effects: the only place where session effects
 * become input and output, and the only place where trouble outside is caught.
 */
export class SessionDriver implements LinkHandler, HubMember, SignalMember {
  readonly #context: DriverContext;
  readonly #link: AcceptedLink;
  readonly #session: ServerSession;
  readonly #alarm: Alarm;
  #sender: Sender | undefined;
  #prepared:
    | {
        readonly device: DeviceRef;
        readonly attachment: Attachment;
        readonly agent: string;
        /** What the device says that it holds. */
        readonly heldThrough: number;
      }
    | undefined;
  #leave: (() => void) | undefined;
  #ended: Violation | undefined;
  readonly #onGone: () => void;
  #gone = false;
  #broken = false;
  /** Who waits for the link to be gone. */
  #awaiting: (() => void) | undefined;

  /** @param onGone called once, when the link is gone */
  constructor(link: AcceptedLink, context: DriverContext, onGone: () => void) {
    this.#onGone = onGone;
    this.#context = context;
    this.#link = link;
    this.#session = new ServerSession(context.limits, link.openedMs ?? context.alarms.nowMs());
    this.#alarm = context.alarms.alarm((nowMs) => this.#feed(() => this.#session.elapsed(nowMs)));
    this.#alarm.set(this.#session.deadlineMs());
  }

  get device(): DeviceRef {
    return this.#attachment.device;
  }

  get sender(): Sender {
    return this.#sender as Sender;
  }

  get generation(): number {
    return this.#attachment.attachment.generation;
  }

  /** Resolves when the link is gone. */
  get gone(): Promise<void> {
    if (this.#gone) return Promise.resolve();
    return new Promise((resolve) => {
      this.#awaiting = resolve;
    });
  }

  received(bytes: Uint8Array): void {
    this.#feed(() => this.#session.received(bytes, this.#context.alarms.nowMs()));
  }

  drained(): void {
    this.#feed(() => this.#session.paused(false));
  }

  closed(code: ErrorCode, detail: string): void {
    this.#gone = true;
    this.#session.unlinked();
    this.#alarm.cancel();
    const isAttached = this.#leave !== undefined;
    this.#leave?.();
    this.#leave = undefined;
    this.#onGone();
    this.#awaiting?.();
    const because = this.#ended ?? violation(code, "", detail);
    const { observer } = this.#context;
    this.#countPassing();
    observer.closed({ device: this.#prepared?.device, isAttached, link: this.#link, because });
  }

  woken(head: number): void {
    this.#feed(() => this.#session.woken(head));
  }

  hinted(hints: readonly Hint[]): void {
    this.#feed(() => this.#session.hinted(hints, this.#context.alarms.nowMs()));
  }

  superseded(): void {
    this.#refuse(violation(ErrorCode.SUPERSEDED, "SES-6", "the device attached again"));
  }

  deviceEnded(): void {
    this.#refuse(violation(ErrorCode.DEVICE_ENDED, "DEV-5", "the user has ended the device"));
  }

  drain(notice: DrainNotice): void {
    this.#feed(() => this.#session.drain(notice, this.#context.alarms.nowMs()));
  }

  get #attachment() {
    if (this.#prepared === undefined) throw new TypeError("not prepared");
    return this.#prepared;
  }

  get #position() {
    const { device, attachment } = this.#attachment;
    return { device, generation: attachment.generation, outboxEpoch: attachment.outbox.epoch };
  }

  #refuse(because: Violation): void {
    this.#feed(() => this.#session.refused(because));
  }

  /** Tells the session a fact and obeys what follows from it. A defect ends this session only. */
  #feed(tell: () => void): void {
    if (this.#gone || this.#broken) return;
    try {
      tell();
      for (const effect of this.#session.effects()) this.#obey(effect);
      this.#alarm.set(this.#session.deadlineMs());
      this.#countPassing();
    } catch (defect) {
      this.#broken = true;
      this.#context.observer.failed("session", defect);
      this.#ended = violation(ErrorCode.INTERNAL, "", "a defect");
      this.#link.write(encodeFrame({ kind: "close", value: this.#ended }));
      this.#link.close(ErrorCode.INTERNAL);
    }
  }

  #countPassing(): void {
    const more = this.#session.passing.take();
    if (more !== undefined) this.#context.observer.passed(more);
  }

  #obey(effect: ServerEffect): void {
    switch (effect.kind) {
      case "prepare":
        this.#attempt("prepare", this.#prepare(effect.claim));
        return;
      case "attach":
        this.#attempt("attach", this.#attach());
        return;
      case "commit":
        this.#attempt("commit", this.#commit(effect.submits));
        return;
      case "load":
        this.#attempt("load", this.#load(effect));
        return;
      case "advance": {
        const { deliveredThrough, resultsThrough } = effect;
        const position = { ...this.#position, deliveredThrough, resultsThrough };
        void this.#advance(position);
        return;
      }
      case "call":
        void this.#answer(effect.call);
        return;
      case "signal":
        return this.#context.signals.signalled(this, effect.signal);
      case "write":
        if (!this.#link.write(effect.bytes)) this.#session.paused(true);
        return;
      case "close":
        this.#ended = effect.because;
        this.#link.close(effect.because.code);
        return;
      default:
        unreachable(effect);
    }
  }

  /** A call that cannot be answered costs its caller the answer, not the link. [RPC-5] */
  async #answer({ id, method, request }: CallPlain): Promise<void> {
    const { services, observer, alarms } = this.#context;
    const code = ErrorCode.CALL_FAILED;
    const nothing = { code, response: new Uint8Array(0), retryAfterMs: 0 };
    const answering = services.answer(method, request, this.#sender as Sender);
    const result = await answering.catch((error: unknown) => {
      observer.failed("call", error);
      return nothing;
    });
    this.#feed(() => this.#session.replied({ id, ...result }, alarms.nowMs()));
  }

  /** Trouble outside becomes a temporary code here and nowhere else. */
  #attempt(where: string, work: Promise<void>): void {
    work.then(
      () => this.#feed(() => {}),
      (error: unknown) => {
        this.#context.observer.failed(where, error);
        const stored = error instanceof StoreError;
        const code = stored ? ErrorCode.STORE_UNAVAILABLE : ErrorCode.INTERNAL;
        this.#refuse(violation(code, "", stored ? "the store failed" : "a defect"));
      },
    );
  }

  async #prepare(claim: AttachClaim): Promise<void> {
    const { store, alarms, logins, attempts } = this.#context;
    if ((attempts?.attemptWaitMs(this.#link.peer) ?? 0) > 0) {
      const detail = "too many attempts of this address failed";
      return this.#session.refused(violation(ErrorCode.TOO_MANY_ATTEMPTS, "LIM-10", detail));
    }
    const identity = await this.#identify(claim);
    if (identity.kind === "refused") attempts?.attemptFailed(this.#link.peer);
    if (this.#gone) return;
    if (identity.kind === "refused") {
      this.#session.refused(violation(identity.code, identity.requirement, identity.detail));
      return;
    }
    if (identity.kind === "backend") return this.#session.refused(BACKEND_ATTACHES);
    const { tenant, userId } = identity.principal;
    const { deviceId, outbox, cursor, agent } = claim;
    const device = { user: userRefOf(tenant, userId), deviceId };
    const subject = this.#link.sealed?.subject;
    if (subject !== undefined && subject !== subjectOf(device)) {
      const detail = "the link was resumed by another device's ticket";
      return this.#session.refused(violation(ErrorCode.LOGIN_PROOF_INVALID, "ENV-45", detail));
    }
    const login = logins?.registrationOf(claim);
    const outcome = await store.prepare({ device, outbox, cursor, login });
    if (this.#gone) return;
    if (outcome.kind === "refused") {
      this.#session.refused(violation(outcome.code, outcome.requirement, "the store refused"));
      return;
    }
    const { attachment } = outcome;
    this.#sender = { tenant, userId, deviceId };
    const heldThrough = cursor.epoch === attachment.timeline.epoch ? cursor.seq : 0;
    this.#prepared = { device, attachment, agent, heldThrough };
    const loginAccount = login === undefined ? "" : accountOf(identity.principal);
    const { loginAnswer } = identity;
    this.#session.prepared({ attachment, userId, loginAccount, loginAnswer }, alarms.nowMs());
  }

  /** By its token, or by its proof. [SES-4] [ENV-57] */
  async #identify(claim: AttachClaim): Promise<Identity> {
    const { authenticator, logins } = this.#context;
    if (claim.loginProof === undefined) return await authenticator.authenticate(claim);
    return (await logins?.authenticate(claim, this.#link.sealed)) ?? LOGIN_INVALID;
  }

  async #attach(): Promise<void> {
    const { store, hub, signals, observer } = this.#context;
    const { device, attachment, agent, heldThrough } = this.#attachment;
    const announces = announcementOf(this.sender);
    const outcome = await store.attach({ device, attachment, announces });
    // Its own link may be gone, and what it fenced off is fenced off all the same.
    hub.fence(device, outcome.generation);
    if (this.#gone) return;
    if (outcome.kind === "ended") return this.deviceEnded();
    if (outcome.kind === "overtaken") {
      const detail = "another attachment of the device was quicker";
      this.#session.refused(violation(ErrorCode.ATTACH_OVERTAKEN, "SES-18", detail));
      return;
    }
    this.#session.attached();
    // An acknowledgement may have been lost with the last link: what was read is erased. [SEC-93]
    const { resultsThrough } = attachment.outbox;
    const held = { ...this.#position, deliveredThrough: heldThrough, resultsThrough };
    if (heldThrough > 0) void this.#advance(held);
    // Joined before the first load: a wake-up between the two would otherwise be lost.
    const leaves = [hub.join(this), signals.join(this)];
    this.#leave = () => {
      for (const leave of leaves) leave();
    };
    const { generation, sessionId } = attachment;
    observer.attached({ device, generation, sessionId, link: this.#link, agent });
    this.#link.sealed?.issueTicket(subjectOf(device));
  }

  async #commit(submits: readonly SubmitPlain[]): Promise<void> {
    const { observer, alarms, hub } = this.#context;
    const { outcome, planned } = await this.#planAndCommit(submits);
    switch (outcome.kind) {
      case "committed":
        observer.committed(submits.length);
        this.#session.committed(outcome.receipt, alarms.nowMs());
        // A device that ends itself is acknowledged before its session closes. [DEV-3] [DEV-5]
        return endDevices(hub, planned, outcome.receipt.through);
      case "fenced":
        return this.superseded();
      case "ended":
        return this.deviceEnded();
      case "conflict": {
        const detail = `submit ${outcome.seq} repeats a number with other content`;
        return this.#session.refused(violation(ErrorCode.SUBMIT_CONFLICT, "SEQ-5", detail));
      }
      case "stale":
        throw new Error(`${PLANNING_ATTEMPTS_MAX} plans in a row were stale`);
      default:
        unreachable(outcome);
    }
  }

  #planAndCommit(submits: readonly SubmitPlain[]): Promise<Planned> {
    const { alarms, limits, crypto, conversations, users } = this.#context;
    const rules = { ...limits, crypto, conversations, users };
    return planAndCommit(
      { ...this.#context, rules, nowMs: alarms.nowMs() },
      { sender: this.sender, position: this.#position, submits: submits.map(decodedSubmit) },
    );
  }

  /** An acknowledgement that has no effect is where a fenced session learns that it is. [SES-6] */
  async #advance(position: DevicePosition): Promise<void> {
    const outcome = await this.#context.store.advance(position);
    if (outcome === "fenced") this.superseded();
    if (outcome === "ended") this.deviceEnded();
  }

  async #load({ after, limit, mayIndex }: TimelineRequest): Promise<void> {
    const { store, observer, alarms, limits } = this.#context;
    const { user, deviceId } = this.device;
    const { frameBytes } = limits;
    const page = mayIndex
      ? await loadIndexPage(store, this.sender, { after, limit, frameBytes })
      : await store.loadTimeline(user, after, limit, deviceId);
    if (this.#gone) return;
    const { index, entries } = page;
    observer.delivered(entries.length + (index === undefined ? 0 : index.seq - after));
    this.#session.loaded(page, alarms.nowMs());
  }
}

const BACKEND_ATTACHES = violation(
  ErrorCode.TOKEN_FOREIGN,
  "BCK-2",
  "a backend attaches no device",
);

function decodedSubmit({ seq, operation }: SubmitPlain): DecodedSubmit {
  const decoded = decodeOperation(operation);
  return { seq, digest: crc32(operation), bytes: operation.length, decoded };
}

/** Whose a link is, as its tickets say it. [ENV-45] */
function subjectOf({ user, deviceId }: DeviceRef): string {
  return `${user}/${deviceId}`;
}
