import { type LogRef, logRefOf, type Store, userRefOf } from "../store/store.ts";
import type { Attendance } from "./attendance.ts";
import type { Audience, ConversationAudience } from "./audience.ts";
import { type Deadlines, Turns } from "./turns.ts";

/** How often a log that grows and grows is looked at. [SIG-18] */
const DELAY_MS = 250;
/** Logs that wait to be looked at: the oldest make way. */
const GROWN_MAX = 10_000;
/** What one turn looks at: conversations, and members of them. [SIG-17] */
const CONVERSATIONS_PER_TURN_MAX = 64;
const MEMBERS_PER_TURN_MAX = 10_000;

export interface HeadOptions {
  readonly store: Pick<Store, "watchLogs">;
  readonly audience: Audience;
  readonly attendance: Attendance;
  readonly deadlines: Deadlines;
  /** Of a conversation with no more members each message is in everybody's timeline. */
  readonly fanOutMembersMax: number;
  readonly failed: (where: string, error: unknown) => void;
}

interface Grown {
  readonly tenant: string;
  readonly conversationId: string;
  readonly head: number;
}

/** Tells the members of large conversations that there is something to fetch. [SIG-18] */
export class HeadRounds {
  readonly #options: HeadOptions;
  readonly #turns: Turns;
  readonly #grown = new Map<LogRef, Grown>();
  readonly #unwatch: () => void;

  constructor(options: HeadOptions) {
    const { store, deadlines, failed } = options;
    this.#options = options;
    this.#turns = new Turns({
      deadlines,
      delayMs: DELAY_MS,
      turn: () => this.#turn(),
      failed: (error) => failed("heads", error),
    });
    this.#unwatch = store.watchLogs((log, head) => this.#note(log, head));
  }

  close(): void {
    this.#unwatch();
  }

  #note(log: LogRef, head: number): void {
    const at = log.indexOf("/");
    const conversationId = log.slice(at + 1);
    // Direct ones have two members, and other logs none.
    if (!conversationId.startsWith("g:")) return;
    const before = this.#grown.get(log)?.head ?? 0;
    const grown = { tenant: log.slice(0, at), conversationId, head: Math.max(head, before) };
    this.#grown.set(log, grown);
    if (this.#grown.size > GROWN_MAX) {
      for (const oldest of this.#grown.keys()) {
        this.#grown.delete(oldest);
        break;
      }
    }
    this.#turns.ask();
  }

  async #turn(): Promise<"done" | "more"> {
    const batch = [...this.#grown].slice(0, CONVERSATIONS_PER_TURN_MAX);
    const audiences = await this.#audiencesOf(batch.map(([, grown]) => grown));
    let count = 0;
    for (const [log, grown] of batch) {
      const members = audiences.get(log)?.memberIds ?? [];
      const isFull = count > 0 && count + members.length > MEMBERS_PER_TURN_MAX;
      if (isFull) return "more";
      const newest = this.#grown.get(log) ?? grown;
      this.#grown.delete(log);
      if (members.length <= this.#options.fanOutMembersMax) continue;
      count += members.length;
      this.#tell(newest, members);
    }
    return this.#grown.size > 0 ? "more" : "done";
  }

  async #audiencesOf(batch: readonly Grown[]): Promise<ReadonlyMap<LogRef, ConversationAudience>> {
    const found = new Map<LogRef, ConversationAudience>();
    for (const tenant of new Set(batch.map((grown) => grown.tenant))) {
      const own = batch.filter((grown) => grown.tenant === tenant);
      const ids = own.map(({ conversationId }) => conversationId);
      const members = await this.#options.audience.membersOfAll(tenant, ids);
      for (const [id, audience] of members) found.set(logRefOf(tenant, id), audience);
    }
    return found;
  }

  #tell({ tenant, conversationId, head }: Grown, memberIds: readonly string[]): void {
    const hint = { kind: "head", value: { conversationId, head } } as const;
    for (const memberId of memberIds) {
      for (const member of this.#options.attendance.of(userRefOf(tenant, memberId))) {
        member.hinted([hint]);
      }
    }
  }
}
