import { PresenceState } from "../gen/posthorn/v1/signal_pb.ts";
import { WATCHED_USERS_MAX } from "../protocol/limits.ts";
import type { ClientSession } from "../protocol/session/client.ts";
import type { Hint } from "../protocol/session/hint-queue.ts";
import { unreachable } from "../protocol/violation.ts";

/** How a user can be reached. */
export type Presence = "offline" | "away" | "busy" | "online";

/** What others say in passing. Never in the timeline, and not repeated to who did not listen. */
export type ClientSignal =
  | {
      readonly kind: "typing";
      readonly conversationId: string;
      readonly userId: string;
      /** False: not any more, or nothing was heard of it for 6 seconds, or the link ended. */
      readonly active: boolean;
    }
  | {
      readonly kind: "presence";
      readonly userId: string;
      /** "offline" is also who does not show it. */
      readonly presence: Presence;
      /** When an offline user was last there, by the service's clock; undefined: not told. */
      readonly lastSeenMs: number | undefined;
    }
  /** A conversation has grown whose messages are in no timeline: there is something to fetch. */
  | { readonly kind: "head"; readonly conversationId: string; readonly head: number };

const STATES: Readonly<Record<Presence, PresenceState>> = {
  offline: PresenceState.OFFLINE,
  away: PresenceState.AWAY,
  busy: PresenceState.BUSY,
  online: PresenceState.ONLINE,
};

/**
 * What is said in passing. All of it may be dropped: an application that needs to know asks or
 * sends a message.
 */
export class Signals {
  readonly #said: ClientSession["signals"];
  readonly #nowMs: () => number;
  readonly #pump: () => void;
  readonly #listeners = new Set<(signal: ClientSignal) => void>();

  constructor(said: ClientSession["signals"], nowMs: () => number, pump: () => void) {
    this.#said = said;
    this.#nowMs = nowMs;
    this.#pump = pump;
  }

  /**
   * The user types in a conversation, or has stopped. To be called at every key: what is said of it
   * is said once in three seconds. Not said while the session is not open.
   */
  typing(conversationId: string, active = true): void {
    this.#said.typing(conversationId, active, this.#nowMs());
    this.#pump();
  }

  /** How the user can be reached on this device, from now on and on all links to come. */
  setPresence(presence: Presence): void {
    this.#said.setPresence(STATES[presence]);
    this.#pump();
  }

  /**
   * Whose presence is told from now on, in place of those before. What each one's is now comes
   * first, again on each new link.
   *
   * @throws RangeError for more than 512 users
   */
  watchPresence(userIds: readonly string[]): void {
    if (userIds.length > WATCHED_USERS_MAX) {
      throw new RangeError(`userIds: more than ${WATCHED_USERS_MAX}`);
    }
    this.#said.watch([...userIds]);
    this.#pump();
  }

  /** Calls back with each signal; returns how to stop. Nothing of it is ever acknowledged. */
  onSignal(listener: (signal: ClientSignal) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** From the session. */
  heard(hints: readonly Hint[]): void {
    for (const hint of hints) {
      const signal = signalOf(hint);
      for (const listener of this.#listeners) listener(signal);
    }
  }
}

function signalOf(hint: Hint): ClientSignal {
  switch (hint.kind) {
    case "typing": {
      const { conversationId, userId, active } = hint.value;
      return { kind: "typing", conversationId, userId, active };
    }
    case "presence": {
      const { userId, state, lastSeenMs } = hint.value;
      const presence = presenceOf(state);
      const lastSeen = lastSeenMs === 0 ? undefined : lastSeenMs;
      return { kind: "presence", userId, presence, lastSeenMs: lastSeen };
    }
    case "head": {
      const { conversationId, head } = hint.value;
      return { kind: "head", conversationId, head };
    }
    default:
      return unreachable(hint);
  }
}

/** A state of a later version is none that can be shown. */
function presenceOf(state: PresenceState): Presence {
  for (const [presence, known] of Object.entries(STATES)) {
    if (known === state) return presence as Presence;
  }
  return "offline";
}
