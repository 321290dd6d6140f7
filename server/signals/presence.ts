import {
  PresenceAudience,
  type PresencePolicy,
  PresenceState,
} from "../../gen/posthorn/v1/signal_pb.ts";
import { USER_ID_PATTERN, WATCHED_USERS_MAX } from "../../protocol/limits.ts";
import type { Hint } from "../../protocol/session/hint-queue.ts";
import { blockedIn, blocksRef } from "../operations/blocks.ts";
import {
  contactsIn,
  contactsRef,
  presencePolicyIn,
  presencePolicyRef,
} from "../operations/presence.ts";
import { documentsIn } from "../store/documents.ts";
import { type Store, type UserRef, userRefOf } from "../store/store.ts";
import { type SignalMember, userOf } from "./attendance.ts";
import { type Deadlines, Turns } from "./turns.ts";

/** Sessions that may watch the same user. [SIG-12] */
const WATCHERS_MAX = 10_000;
/** Users watched by sessions, in all. [SIG-12] */
const WATCHES_MAX = 1_000_000;
/** How long a user who has left looks as before. [SIG-10] */
const LINGER_MS = 5_000;
/** Of how many users it is remembered when they were last there. [SIG-16] */
const LAST_SEEN_MAX = 100_000;
/** From the first change to the turn that tells it. */
const DELAY_MS = 100;
/** What one turn tells, and of how many users: three documents are read of each. [SIG-17] */
export const HINTS_PER_TURN_MAX = 10_000;
const USERS_PER_TURN_MAX = 256;

/** A user who is attached here, or was a moment ago. */
interface Person {
  readonly userId: string;
  readonly states: Map<SignalMember, PresenceState>;
  /** The best of them, or what it was when the last one left. */
  shown: PresenceState;
  cancelLeaving: () => void;
}

/** What a session was told of a user last. */
type Told = "nothing" | "hidden" | PresenceState;

export interface PresenceBounds {
  readonly watchersMax: number;
  readonly watchesMax: number;
}

export interface PresenceOptions {
  readonly store: Pick<Store, "loadForPlanning">;
  readonly deadlines: Deadlines;
  readonly failed: (where: string, error: unknown) => void;
  readonly bounds?: PresenceBounds;
}

/**
 * Who is there, and who wants to know it. What changed is told in turns: of a user who comes and
 * goes between two of them only the last state. [SIG-10] to [SIG-17]
 */
export class PresenceBoard {
  readonly #options: PresenceOptions;
  readonly #bounds: PresenceBounds;
  readonly #turns: Turns;
  readonly #people = new Map<UserRef, Person>();
  readonly #lastSeenMs = new Map<UserRef, number>();
  readonly #watchers = new Map<UserRef, Set<SignalMember>>();
  readonly #watched = new Map<SignalMember, Map<UserRef, Told>>();
  #watchCount = 0;
  /** Of whom to tell, and whom. */
  readonly #toTell = new Map<UserRef, Set<SignalMember> | "all">();

  constructor(options: PresenceOptions) {
    const { deadlines, failed, bounds } = options;
    this.#options = options;
    this.#bounds = bounds ?? { watchersMax: WATCHERS_MAX, watchesMax: WATCHES_MAX };
    this.#turns = new Turns({
      deadlines,
      delayMs: DELAY_MS,
      turn: () => this.#turn(),
      failed: (error) => failed("presence", error),
    });
  }

  join(member: SignalMember): void {
    const user = userOf(member);
    const person = this.#people.get(user) ?? {
      userId: member.sender.userId,
      states: new Map(),
      shown: PresenceState.OFFLINE,
      cancelLeaving: () => {},
    };
    person.cancelLeaving();
    this.#people.set(user, person);
    person.states.set(member, PresenceState.ONLINE);
    this.#show(user, person);
  }

  leave(member: SignalMember): void {
    const user = userOf(member);
    for (const watched of this.#watched.get(member)?.keys() ?? []) this.#unwatch(member, watched);
    this.#watched.delete(member);
    const person = this.#people.get(user);
    if (person === undefined || !person.states.delete(member)) return;
    if (person.states.size > 0) return this.#show(user, person);
    const { deadlines } = this.#options;
    const leftMs = deadlines.nowMs();
    person.cancelLeaving = deadlines.schedule(leftMs + LINGER_MS, () => {
      this.#people.delete(user);
      if (person.shown === PresenceState.OFFLINE) return;
      this.#seen(user, leftMs);
      this.changed(user);
    });
  }

  /** What a device says of its user. */
  setPresence(member: SignalMember, state: PresenceState): void {
    if (state < PresenceState.OFFLINE || state > PresenceState.ONLINE) return;
    const user = userOf(member);
    const person = this.#people.get(user);
    if (person === undefined || !person.states.has(member)) return;
    person.states.set(member, state);
    this.#show(user, person);
  }

  /** Whom a session wants to be told of from now on. [SIG-11] [SIG-12] */
  watch(member: SignalMember, userIds: readonly string[]): void {
    const before = this.#watched.get(member) ?? new Map<UserRef, Told>();
    const wanted = new Set<UserRef>();
    for (const userId of userIds) {
      if (wanted.size >= WATCHED_USERS_MAX) break;
      if (USER_ID_PATTERN.test(userId)) wanted.add(userRefOf(member.sender.tenant, userId));
    }
    for (const user of before.keys()) if (!wanted.has(user)) this.#unwatch(member, user);
    const watched = [...wanted].filter((user) => before.has(user) || this.#begin(member, user));
    if (watched.length === 0) this.#watched.delete(member);
    else this.#watched.set(member, new Map(watched.map((user) => [user, "nothing"])));
    for (const user of watched) this.#tell(user, member);
  }

  /** Something of a user is another than before, be it to whom it is shown. [SIG-15] */
  changed(user: UserRef): void {
    if (!this.#watchers.has(user)) return;
    this.#toTell.set(user, "all");
    this.#turns.ask();
  }

  #show(user: UserRef, person: Person): void {
    const best = Math.max(...person.states.values()) as PresenceState;
    if (best === person.shown) return;
    if (best === PresenceState.OFFLINE) this.#seen(user, this.#options.deadlines.nowMs());
    person.shown = best;
    this.changed(user);
  }

  #seen(user: UserRef, atMs: number): void {
    this.#lastSeenMs.delete(user);
    this.#lastSeenMs.set(user, atMs);
    if (this.#lastSeenMs.size <= LAST_SEEN_MAX) return;
    for (const longest of this.#lastSeenMs.keys()) {
      this.#lastSeenMs.delete(longest);
      return;
    }
  }

  #begin(member: SignalMember, user: UserRef): boolean {
    const watchers = this.#watchers.get(user) ?? new Set();
    const { watchersMax, watchesMax } = this.#bounds;
    if (watchers.size >= watchersMax || this.#watchCount >= watchesMax) return false;
    this.#watchers.set(user, watchers.add(member));
    this.#watchCount += 1;
    return true;
  }

  #unwatch(member: SignalMember, user: UserRef): void {
    const watchers = this.#watchers.get(user);
    if (watchers?.delete(member)) this.#watchCount -= 1;
    if (watchers?.size === 0) this.#watchers.delete(user);
    const toTell = this.#toTell.get(user);
    if (toTell === undefined || toTell === "all") return;
    toTell.delete(member);
    if (toTell.size === 0) this.#toTell.delete(user);
  }

  #tell(user: UserRef, member: SignalMember): void {
    const toTell = this.#toTell.get(user);
    if (toTell === undefined) this.#toTell.set(user, new Set([member]));
    else if (toTell !== "all") toTell.add(member);
    this.#turns.ask();
  }

  /** Tells what there is to tell, as much as one turn may. [SIG-17] */
  async #turn(): Promise<"done" | "more"> {
    const batch = this.#batch();
    const views = await this.#viewsOf([...batch.keys()]);
    const told = new Map<SignalMember, Hint[]>();
    for (const [user, members] of batch) {
      const view = views.get(user) as View;
      for (const member of members) {
        const hint = this.#hintFor(member, user, view);
        if (hint === undefined) continue;
        const hints = told.get(member);
        if (hints === undefined) told.set(member, [hint]);
        else hints.push(hint);
      }
    }
    for (const [member, hints] of told) member.hinted(hints);
    return this.#toTell.size > 0 ? "more" : "done";
  }

  #batch(): ReadonlyMap<UserRef, readonly SignalMember[]> {
    const batch = new Map<UserRef, readonly SignalMember[]>();
    let count = 0;
    for (const [user, whom] of this.#toTell) {
      const members = whom === "all" ? (this.#watchers.get(user) ?? []) : whom;
      const size = whom === "all" ? (this.#watchers.get(user)?.size ?? 0) : whom.size;
      const isFull = batch.size >= USERS_PER_TURN_MAX || count + size > HINTS_PER_TURN_MAX;
      if (isFull && batch.size > 0) break;
      this.#toTell.delete(user);
      batch.set(user, [...members]);
      count += size;
    }
    return batch;
  }

  /** What decides to whom users are shown, as the store has it now. [SIG-13] */
  async #viewsOf(users: readonly UserRef[]): Promise<ReadonlyMap<UserRef, View>> {
    const named = users.map((user) => {
      const [tenant, userId] = partsOf(user);
      const refs = [
        presencePolicyRef(tenant, userId),
        contactsRef(tenant, userId),
        blocksRef(tenant, userId),
      ] as const;
      return { user, userId, refs };
    });
    const documents = named.flatMap(({ refs }) => refs);
    const state = await this.#options.store.loadForPlanning({ users: [], documents });
    const read = documentsIn(state.documents);
    return new Map(
      named.map(({ user, userId, refs: [policy, contacts, blocks] }) => [
        user,
        {
          userId,
          policy: presencePolicyIn(read(policy)),
          contacts: contactsIn(read(contacts)),
          blocked: blockedIn(read(blocks)),
          hidden: {
            kind: "presence",
            value: { userId, state: PresenceState.OFFLINE, lastSeenMs: 0 },
          },
        },
      ]),
    );
  }

  /** What a session is to be told of a user; undefined: nothing. [SIG-13] */
  #hintFor(member: SignalMember, user: UserRef, view: View): Hint | undefined {
    const { sender } = member;
    const watched = this.#watched.get(member);
    const before = watched?.get(user);
    if (before === undefined) return undefined;
    const isOwn = sender.userId === view.userId;
    const isShown = isOwn || admits(view, view.policy.stateTo, sender.userId);
    const state = this.#people.get(user)?.shown ?? PresenceState.OFFLINE;
    watched?.set(user, isShown ? state : "hidden");
    // That something has changed is already more than it may know.
    if (!isShown) return before === "hidden" ? undefined : view.hidden;
    // Back to what it was: of who is not there the time is another.
    if (state === before && state !== PresenceState.OFFLINE) return undefined;
    const isTimed = isOwn || admits(view, view.policy.lastSeenTo, sender.userId);
    const lastSeenMs =
      isTimed && state === PresenceState.OFFLINE ? (this.#lastSeenMs.get(user) ?? 0) : 0;
    return { kind: "presence", value: { userId: view.userId, state, lastSeenMs } };
  }
}

interface View {
  readonly userId: string;
  readonly policy: PresencePolicy;
  readonly contacts: ReadonlySet<string>;
  readonly blocked: ReadonlySet<string>;
  /** What everybody is told to whom the user is not shown. */
  readonly hidden: Hint;
}

/** Whoever is blocked is nobody, whatever the policy says. [USR-24] */
function admits({ contacts, blocked }: View, audience: PresenceAudience, userId: string): boolean {
  if (blocked.has(userId)) return false;
  if (audience === PresenceAudience.EVERYBODY) return true;
  if (audience === PresenceAudience.NOBODY) return false;
  return contacts.has(userId);
}

/** Neither part holds the slash between them. */
function partsOf(user: UserRef): readonly [tenant: string, userId: string] {
  const at = user.indexOf("/");
  return [user.slice(0, at), user.slice(at + 1)];
}
