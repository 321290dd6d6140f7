import { PresenceAudience, PresenceState } from "../../gen/posthorn/v1/signal_pb.ts";
import type { FrameContents } from "../../protocol/frames.ts";
import { HINTS_BYTES_MAX, HINTS_EVERY_MS } from "../../protocol/limits.ts";
import type { SignalPlain } from "../../protocol/session/received-signals.ts";
import { assert } from "../../protocol/violation.ts";
import type { SessionEar } from "./signal-node.ts";

/** Between something's being said and its leaving: two turns, and a pause between two Hints. */
const UNDER_WAY_MS = 500;
const LINGER_MS = 5_000;

export interface Policy {
  readonly stateTo: PresenceAudience;
  readonly lastSeenTo: PresenceAudience;
  /** To nobody of these, whatever the audiences say. [USR-24] */
  readonly blocked: readonly string[];
}

/** Who is in a conversation, written down by hand. */
export interface Room {
  readonly members: readonly string[];
  readonly writers: readonly string[];
  readonly isLarge: boolean;
}

interface Said {
  readonly userId: string;
  readonly conversationId: string;
  readonly active: boolean;
  readonly saidMs: number;
}

type PresenceHint = FrameContents["hints"]["presence"][number];

interface Person {
  policy: Policy;
  /** What its policy was before, and until when. */
  before: Policy;
  changedMs: number;
  readonly contacts: ReadonlySet<string>;
  lastSeenMs: number;
  /** Of the last link, until it has been gone for long enough. */
  lingering: { readonly state: PresenceState; readonly leftMs: number } | undefined;
}

/** Chapter 18, written a second time: what a device may be told, and what it must in the end. */
export class SignalRules {
  readonly people: ReadonlyMap<string, Person>;
  readonly rooms: ReadonlyMap<string, Room>;
  readonly devices = new Set<ModelDevice>();
  /** Whatever was said of typing. */
  readonly said: Said[] = [];
  readonly now: () => number;

  constructor(
    people: ReadonlyMap<string, { readonly policy: Policy; readonly contacts: Set<string> }>,
    rooms: ReadonlyMap<string, Room>,
    now: () => number,
  ) {
    this.now = now;
    this.rooms = rooms;
    this.people = new Map(
      [...people].map(([userId, { policy, contacts }]) => [
        userId,
        { policy, before: policy, changedMs: 0, contacts, lastSeenMs: 0, lingering: undefined },
      ]),
    );
  }

  person(userId: string): Person {
    return this.people.get(userId) as Person;
  }

  setPolicy(userId: string, policy: Policy): void {
    const person = this.person(userId);
    Object.assign(person, { policy, before: person.policy, changedMs: this.now() });
  }

  stateOf(userId: string): PresenceState {
    const states = [...this.devices].filter((one) => one.userId === userId).map((one) => one.state);
    if (states.length > 0) return Math.max(...states) as PresenceState;
    return this.person(userId).lingering?.state ?? PresenceState.OFFLINE;
  }

  /** @param change of what a user's devices say */
  changing(userId: string, change: () => void): void {
    const before = this.stateOf(userId);
    change();
    const { OFFLINE } = PresenceState;
    if (before !== OFFLINE && this.stateOf(userId) === OFFLINE) {
      this.person(userId).lastSeenMs = this.now();
    }
  }

  attached(device: ModelDevice): void {
    this.changing(device.userId, () => {
      this.devices.add(device);
      this.person(device.userId).lingering = undefined;
    });
  }

  left(device: ModelDevice): void {
    const { userId } = device;
    const state = this.stateOf(userId);
    const isLast = ![...this.devices].some((one) => one !== device && one.userId === userId);
    if (isLast) {
      this.devices.delete(device);
      this.person(userId).lingering = { state, leftMs: this.now() };
    } else this.changing(userId, () => this.devices.delete(device));
  }

  /** Time has passed: whoever left long ago is gone. */
  elapsed(): void {
    for (const person of this.people.values()) {
      const { lingering } = person;
      if (lingering === undefined || this.now() < lingering.leftMs + LINGER_MS + 40) continue;
      person.lingering = undefined;
      if (lingering.state !== PresenceState.OFFLINE) person.lastSeenMs = lingering.leftMs;
    }
  }

  /** To whom a user shows itself, and when it was last there. [SIG-13] */
  shows(userId: string, toUserId: string, policy = this.person(userId).policy) {
    const { contacts } = this.person(userId);
    const admits = (audience: PresenceAudience) => {
      if (policy.blocked.includes(toUserId)) return false;
      if (userId === toUserId || audience === PresenceAudience.EVERYBODY) return true;
      return audience !== PresenceAudience.NOBODY && contacts.has(toUserId);
    };
    const isShown = admits(policy.stateTo);
    return { isShown, isTimed: isShown && admits(policy.lastSeenTo) };
  }

  /** Whether a user blocks another one; when it changes, both is so for a while. */
  mayBlock(userId: string, other: string): { readonly may: boolean; readonly must: boolean } {
    const { policy, before, changedMs } = this.person(userId);
    const is = policy.blocked.includes(other);
    const was = before.blocked.includes(other);
    const isNew = this.now() < changedMs + UNDER_WAY_MS;
    return isNew ? { may: is || was, must: is && was } : { may: is, must: is };
  }
}

/** What one device was told, judged as it comes. */
export class ModelDevice implements SessionEar {
  readonly userId: string;
  state: PresenceState = PresenceState.ONLINE;
  watched: readonly string[] = [];
  readonly presence = new Map<string, PresenceHint>();
  readonly heads = new Map<string, number>();
  readonly #rules: SignalRules;
  readonly #seen: (kind: string) => void;
  /** How often it may be told of somebody who hides. [SIG-13] */
  readonly #hiddenLeft = new Map<string, number>();
  #lastMs = Number.NEGATIVE_INFINITY;

  constructor(rules: SignalRules, userId: string, seen: (kind: string) => void) {
    this.#rules = rules;
    this.userId = userId;
    this.#seen = seen;
  }

  heard(signal: SignalPlain): void {
    switch (signal.case) {
      case "setPresence":
        this.#rules.changing(this.userId, () => {
          this.state = signal.value.state;
        });
        return;
      case "watch":
        this.watched = signal.value.userIds;
        for (const userId of this.watched) this.#mayHide(userId);
        return;
      case "typing":
        this.#rules.said.push({ ...signal.value, userId: this.userId, saidMs: this.#rules.now() });
        return;
    }
  }

  told({ typing, presence, heads }: FrameContents["hints"], bytes: number): void {
    const nowMs = this.#rules.now();
    assert(nowMs >= this.#lastMs + HINTS_EVERY_MS, "250 ms between two Hints [SIG-6]");
    assert(bytes <= HINTS_BYTES_MAX, "Hints have their size [SIG-6]");
    assert(typing.length + presence.length + heads.length > 0, "Hints say something");
    this.#lastMs = nowMs;
    for (const hint of typing) this.#typing(hint);
    for (const hint of presence) this.#presence(hint);
    for (const hint of heads) this.#head(hint);
  }

  /** Everything was quiet for long, and its link takes everything. */
  settled(heads: ReadonlyMap<string, number>): void {
    for (const userId of this.watched) {
      const hint = this.presence.get(userId);
      const { isShown, isTimed } = this.#rules.shows(userId, this.userId);
      const state = isShown ? this.#rules.stateOf(userId) : PresenceState.OFFLINE;
      const isGone = isTimed && state === PresenceState.OFFLINE;
      const lastSeenMs = isGone ? this.#rules.person(userId).lastSeenMs : 0;
      const is = `${hint?.state} ${hint?.lastSeenMs}`;
      assert(
        is === `${state} ${lastSeenMs}`,
        `${userId}: ${is}, is ${state} ${lastSeenMs} [SIG-11]`,
      );
      this.#seen(isShown ? "shown" : "hidden");
      if (this.#rules.mayBlock(userId, this.userId).must) this.#seen("blocked");
    }
    for (const [conversationId, head] of heads) {
      const room = this.#rules.rooms.get(conversationId) as Room;
      const isMember = room.members.includes(this.userId);
      const must = isMember && room.isLarge ? head : undefined;
      const is = this.heads.get(conversationId);
      assert(is === must, `${conversationId}: ${is}, must be ${must} [SIG-18]`);
    }
  }

  #mayHide(userId: string): void {
    this.#hiddenLeft.set(userId, (this.#hiddenLeft.get(userId) ?? 0) + 1);
  }

  #presence(hint: PresenceHint): void {
    const { userId, state, lastSeenMs } = hint;
    this.presence.set(userId, hint);
    const { before, changedMs } = this.#rules.person(userId);
    const isNew = this.#rules.now() < changedMs + UNDER_WAY_MS;
    const views = [this.#rules.shows(userId, this.userId)];
    if (isNew) views.push(this.#rules.shows(userId, this.userId, before));
    const isShown = views.some((view) => view.isShown);
    const isTimed = views.some((view) => view.isTimed);
    assert(isShown || state === PresenceState.OFFLINE, `${userId} does not show it [SIG-13]`);
    assert(isTimed || lastSeenMs === 0, `nor when it was there [SIG-13]`);
    assert(
      state === PresenceState.OFFLINE || lastSeenMs === 0,
      "whoever is there is there [SIG-16]",
    );
    if (isShown) return this.#mayHide(userId);
    const left = (this.#hiddenLeft.get(userId) ?? 0) - 1;
    assert(left >= 0, `that ${userId} comes and goes is told as well [SIG-13]`);
    this.#hiddenLeft.set(userId, left);
  }

  #typing({ conversationId, userId, active }: FrameContents["hints"]["typing"][number]): void {
    const room = this.#rules.rooms.get(conversationId);
    assert(room !== undefined && !room.isLarge, "in a conversation of a few [SIG-7]");
    assert(room.members.includes(this.userId), "to its members [SIG-7]");
    assert(userId !== this.userId && room.writers.includes(userId), "of who may write [SIG-7]");
    const isDirect = conversationId.startsWith("d:");
    const isKept =
      this.#rules.mayBlock(userId, this.userId).must ||
      (isDirect && this.#rules.mayBlock(this.userId, userId).must);
    assert(!isKept, "not to those whom it blocks [USR-24]");
    const said = [...this.#rules.said].some(
      (one) =>
        one.userId === userId &&
        one.conversationId === conversationId &&
        one.active === active &&
        this.#rules.now() <= one.saidMs + UNDER_WAY_MS,
    );
    assert(said, "typing that was held up is dropped [SIG-5]");
    this.#seen("typing");
  }

  #head({ conversationId, head }: FrameContents["hints"]["heads"][number]): void {
    const before = this.heads.get(conversationId) ?? 0;
    assert(head > before, "a head only grows [SIG-18]");
    this.heads.set(conversationId, head);
    this.#seen("head");
  }
}
