import type { Typing } from "../../gen/posthorn/v1/signal_pb.ts";
import type { Plain } from "../../protocol/plain.ts";
import type { SignalPlain } from "../../protocol/session/received-signals.ts";
import { unreachable } from "../../protocol/violation.ts";
import type { DecodedOperation, Sender } from "../operations/plan.ts";
import { type Store, userRefOf } from "../store/store.ts";
import { Attendance, type SignalMember } from "./attendance.ts";
import { type Audience, StoredAudience } from "./audience.ts";
import { HeadRounds } from "./heads.ts";
import { PresenceBoard } from "./presence.ts";
import type { Deadlines } from "./turns.ts";

export interface SignalRules {
  /** In a conversation with more members nobody is told who types. [SIG-7] */
  readonly fanOutMembersMax: number;
}

export const SIGNAL_RULES: SignalRules = { fanOutMembersMax: 500 };

export interface SignalBoardOptions {
  readonly store: Pick<Store, "loadForPlanning" | "watchLogs">;
  /** What the store says where it is undefined. */
  readonly audience?: Audience;
  readonly deadlines: Deadlines;
  readonly rules?: SignalRules;
  /** Trouble outside, which costs a hint and nothing else. */
  readonly failed: (where: string, error: unknown) => void;
}

/** What changes to whom a user is shown. [SIG-15] [USR-24] */
const SHOWN_BY: ReadonlySet<string> = new Set(["setPresencePolicy", "changeBlocks"]);

/**
 * What the sessions of this node are told in passing, and by whom. Nothing of it is durable, and
 * nothing durable depends on it. [SIG]
 */
export class SignalBoard {
  readonly #options: SignalBoardOptions;
  readonly #audience: Audience;
  readonly #rules: SignalRules;
  readonly #attendance = new Attendance();
  readonly #presence: PresenceBoard;
  readonly #heads: HeadRounds;

  constructor(options: SignalBoardOptions) {
    this.#options = options;
    this.#audience = options.audience ?? new StoredAudience(options.store);
    this.#rules = options.rules ?? SIGNAL_RULES;
    this.#presence = new PresenceBoard(options);
    const { fanOutMembersMax } = this.#rules;
    const parts = { audience: this.#audience, attendance: this.#attendance, fanOutMembersMax };
    this.#heads = new HeadRounds({ ...options, ...parts });
  }

  /** Adds a session. Returns how to leave. */
  join(member: SignalMember): () => void {
    this.#attendance.join(member);
    this.#presence.join(member);
    return () => {
      this.#attendance.leave(member);
      this.#presence.leave(member);
    };
  }

  /** A device's operations are durable, or were refused. */
  committed({ tenant, userId }: Sender, operations: readonly DecodedOperation[]): void {
    const isShownAnew = operations.some(
      (item) => item.kind === "operation" && SHOWN_BY.has(item.operation.case),
    );
    if (isShownAnew) this.#presence.changed(userRefOf(tenant, userId));
  }

  /** Nobody is told of logs any more. */
  close(): void {
    this.#heads.close();
  }

  /** What a session's device says. */
  signalled(member: SignalMember, signal: SignalPlain): void {
    switch (signal.case) {
      case "typing":
        this.#type(member, signal.value).catch((error: unknown) => {
          this.#options.failed("typing", error);
        });
        return;
      case "setPresence":
        return this.#presence.setPresence(member, signal.value.state);
      case "watch":
        return this.#presence.watch(member, signal.value.userIds);
      default:
        unreachable(signal);
    }
  }

  async #type({ sender }: SignalMember, { conversationId, active }: Plain<Typing>): Promise<void> {
    const { tenant, userId } = sender;
    const members = await this.#audience.membersOf(tenant, conversationId);
    if (members === undefined || !members.mayWrite(userId)) return;
    if (members.memberIds.length > this.#rules.fanOutMembersMax) return;
    const toldIds = await this.#audience.shownTo(sender, conversationId, members);
    const hint = { kind: "typing", value: { conversationId, userId, active } } as const;
    for (const memberId of toldIds) {
      for (const other of this.#attendance.of(userRefOf(tenant, memberId))) other.hinted([hint]);
    }
  }
}
