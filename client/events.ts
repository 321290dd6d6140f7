import { fromBinary } from "@bufbuild/protobuf";
import {
  DeviceChange,
  type DeviceChanged,
  EventSchema,
  type PacketArrived,
} from "../gen/posthorn/v1/event_pb.ts";
import type { DeliverPlain } from "../gen/posthorn/v1/hot_codecs.ts";
import { PresenceAudience } from "../gen/posthorn/v1/signal_pb.ts";
import type { WelcomePlain } from "../protocol/session/client-effects.ts";
import type { TimelineCursor } from "../protocol/session/resume.ts";
import type { IndexedMessages, TimelineIndex } from "../protocol/timeline-index.ts";
import {
  type ConversationEvent,
  conversationEvent,
  type ExpiredEvent,
  type MarksEvent,
  type MessageEvent,
  marksEvent,
  messageEvent,
  type PreferencesEvent,
  preferencesEvent,
  type ReactionEvent,
  type RecalledEvent,
  reactionEvent,
} from "./conversations/events.ts";
import {
  type DraftEvent,
  draftEvent,
  type MuteEvent,
  muteEvent,
  type TodoEvent,
  todoEvent,
} from "./conversations/personal.ts";

import {
  type BlocksEvent,
  blocksEvent,
  type ContactsEvent,
  contactsEvent,
  type ProfileEvent,
  profileEvent,
} from "./users/events.ts";

/**
 * What a timeline says, and what happened to the timeline itself: nothing is ever left out in
 * silence.
 */
export type ClientEvent =
  | MessageEvent
  | RecalledEvent
  | ExpiredEvent
  | ReactionEvent
  | MarksEvent
  | ConversationEvent
  | PreferencesEvent
  | DraftEvent
  | MuteEvent
  | TodoEvent
  | PacketEvent
  | DirectoryEvent
  | PresencePolicyEvent
  | DeviceEvent
  | ProfileEvent
  | ContactsEvent
  | BlocksEvent
  | IndexedEvent
  /** Of a kind that this version does not know. */
  | { readonly kind: "unknown"; readonly seq: number; readonly event: Uint8Array }
  /** Retention removed events before this device could get them. */
  | { readonly kind: "lost"; readonly from: number; readonly to: number }
  /** The timeline began anew: numbers before this mean nothing any more. */
  | { readonly kind: "epoch-changed" };

/** A packet of a secure chat came for a device of the user. [SEC-89] */
export interface PacketEvent {
  readonly kind: "packet";
  readonly seq: number;
  readonly committedMs: number;
  /** As the service says: proves nothing. */
  readonly senderUserId: string;
  readonly senderDeviceId: string;
  readonly toDeviceId: string;
  /** Until when the service keeps it. */
  readonly expiresMs: number;
  /** An encoded SecurePacket. Undefined: for another device, or gone. */
  readonly packet: Uint8Array | undefined;
}

/** The devices of a user, or its account key, are others than before. [SEC-86] */
export interface DirectoryEvent {
  readonly kind: "directory";
  readonly seq: number;
  readonly userId: string;
  /** Of the directory from now on. */
  readonly revision: number;
}

/** The user has set to whom its presence is shown. */
export interface PresencePolicyEvent {
  readonly kind: "presence-policy";
  readonly seq: number;
  readonly stateTo: PresenceAudience;
  /** Of those to whom its state is shown. */
  readonly lastSeenTo: PresenceAudience;
}

/** One of the user's own devices is new, was ended, or has another name. [DEV-7] [DEV-13] */
export interface DeviceEvent {
  readonly kind: "device";
  readonly seq: number;
  readonly deviceId: string;
  readonly change: "added" | "ended" | "named";
  /** Where it was named. Empty: not any more. */
  readonly name: string;
}

/**
 * Messages came or changed while the device was away, of which it is told the numbers only. What an
 * application holds of them is out of date: it erases that and asks anew for what it shows. Only
 * with {@link ClientOptions.indexAbove}. [CAT-9]
 */
export interface IndexedEvent {
  readonly kind: "indexed";
  /** The last timeline number of the stretch: the messages are as of then. */
  readonly seq: number;
  readonly conversations: readonly IndexedMessages[];
}

interface Queued {
  readonly event: ClientEvent;
  /** What handling it moves the cursor to; undefined for what is not in the timeline. */
  readonly cursor: TimelineCursor | undefined;
}

/**
 * Between session and application: holds what was delivered and not handled, bounded by the
 * delivery window.
 */
export class EventQueue {
  readonly #handled: (cursor: TimelineCursor) => void;
  #self: Self;
  #queue: Queued[] = [];
  #epoch = 0;
  /** Within the epoch. */
  #handledThrough = 0;
  #wake: (() => void) | undefined;
  #ended: { readonly failure: Error | undefined } | undefined;

  /** @param handled called when the application has handled events up to a cursor */
  constructor(deviceId: string, handled: (cursor: TimelineCursor) => void) {
    this.#self = { deviceId, userId: "" };
    this.#handled = handled;
  }

  /** A Welcome is in force. */
  installed(install: { readonly welcome: WelcomePlain; readonly cursorMoved: boolean }): void {
    const { welcome, cursorMoved } = install;
    this.#self = { ...this.#self, userId: welcome.userId };
    const first = this.#epoch === 0;
    const epoch = welcome.timeline?.epoch ?? 0;
    if (epoch !== this.#epoch) this.#handledThrough = 0;
    this.#epoch = epoch;
    if (cursorMoved) this.#queue = this.#queue.filter(({ cursor }) => cursor === undefined);
    const outcome = welcome.resume?.outcome;
    if (outcome?.case === "lost" && cursorMoved) {
      const { from, to } = outcome.value;
      // Handled since Hello is not lost. [RES-15]
      const lost = { kind: "lost", from: Math.max(from, this.#handledThrough + 1), to } as const;
      this.#queue.push({ event: lost, cursor: undefined });
    } else if (outcome?.case === "epochChanged" || (cursorMoved && !first)) {
      this.#queue.push({ event: { kind: "epoch-changed" }, cursor: undefined });
    }
    this.#wake?.();
  }

  push(deliveries: readonly DeliverPlain[]): void {
    for (const delivery of deliveries) {
      const cursor = { epoch: this.#epoch, seq: delivery.seq };
      this.#queue.push({ event: clientEventOf(delivery, this.#self), cursor });
    }
    this.#wake?.();
  }

  /**
   * First what is told by numbers, then the events that are told whole. Each moves the cursor to
   * where the next one is: after a crash numbers may be told again, and events are not. [CAT-10]
   */
  pushIndex({ seq, conversations, events }: TimelineIndex): void {
    const epoch = this.#epoch;
    const cursorBefore = (next: DeliverPlain | undefined) => {
      return { epoch, seq: next === undefined ? seq : next.seq - 1 };
    };
    const told = { kind: "indexed", seq, conversations } as const;
    this.#queue.push({ event: told, cursor: cursorBefore(events[0]) });
    for (const [at, delivery] of events.entries()) {
      this.#queue.push({
        event: clientEventOf(delivery, this.#self),
        cursor: cursorBefore(events[at + 1]),
      });
    }
    this.#wake?.();
  }

  /** Nothing is handed out from here on; what was may still become handled. */
  end(failure: Error | undefined): void {
    this.#ended = { failure };
    this.#wake?.();
  }

  async *iterate(signal: AbortSignal | undefined): AsyncIterableIterator<ClientEvent> {
    const wake = () => this.#wake?.();
    signal?.addEventListener("abort", wake);
    try {
      for (;;) {
        signal?.throwIfAborted();
        // What is still queued was not handled: the next life is handed it again.
        if (this.#ended?.failure !== undefined) throw this.#ended.failure;
        if (this.#ended !== undefined) return;
        const next = this.#queue[0];
        if (next !== undefined) {
          yield next.event;
          // Asked for the next one: this one is handled, unless the timeline moved under it
          // meanwhile.
          if (this.#queue[0] !== next) continue;
          this.#queue.shift();
          if (next.cursor === undefined) continue;
          this.#handledThrough = next.cursor.seq;
          this.#handled(next.cursor);
          continue;
        }
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
        this.#wake = undefined;
      }
    } finally {
      signal?.removeEventListener("abort", wake);
    }
  }
}

function clientEventOf(delivery: DeliverPlain, self: Self): ClientEvent {
  return knownEventOf(delivery, self) ?? unknownEvent(delivery);
}

interface Self {
  readonly deviceId: string;
  readonly userId: string;
}

function knownEventOf(delivery: DeliverPlain, self: Self): ClientEvent | undefined {
  const kind = kindOf(delivery.event);
  switch (kind?.case) {
    case "message":
      return messageEvent(delivery, kind.value, self);
    case "reactionChanged":
      return reactionEvent(delivery, kind.value);
    case "marksChanged":
      return marksEvent(delivery, kind.value);
    case "conversationChanged":
      return conversationEvent(delivery, kind.value);
    case "preferencesChanged":
      return preferencesEvent(delivery, kind.value);
    case "packetArrived":
      return packetEvent(delivery, kind.value);
    case "directoryChanged": {
      const { userId, revision } = kind.value;
      return { kind: "directory", seq: delivery.seq, userId, revision: Number(revision) };
    }
    case "presencePolicyChanged": {
      const { UNSPECIFIED } = PresenceAudience;
      const { stateTo = UNSPECIFIED, lastSeenTo = UNSPECIFIED } = kind.value.policy ?? {};
      return { kind: "presence-policy", seq: delivery.seq, stateTo, lastSeenTo };
    }
    case "draftChanged":
      return draftEvent(delivery, kind.value);
    case "muteChanged":
      return muteEvent(delivery, kind.value);
    case "todoChanged":
      return todoEvent(delivery, kind.value);
    case "deviceChanged":
      return deviceEvent(delivery, kind.value);
    case "profileChanged":
      return profileEvent(delivery, kind.value);
    case "contactsChanged":
      return contactsEvent(delivery, kind.value);
    case "blocksChanged":
      return blocksEvent(delivery, kind.value);
    default:
      return undefined;
  }
}

function deviceEvent({ seq }: DeliverPlain, changed: DeviceChanged): DeviceEvent | undefined {
  const { deviceId, name } = changed;
  switch (changed.change) {
    case DeviceChange.ENDED:
      return { kind: "device", seq, deviceId, change: "ended", name };
    case DeviceChange.NAMED:
      return { kind: "device", seq, deviceId, change: "named", name };
    case DeviceChange.ADDED:
      return { kind: "device", seq, deviceId, change: "added", name };
    default:
      return undefined;
  }
}

function unknownEvent({ seq, event }: DeliverPlain): ClientEvent {
  return { kind: "unknown", seq, event };
}

function packetEvent({ seq, committedMs }: DeliverPlain, arrived: PacketArrived): PacketEvent {
  const { senderUserId, senderDeviceId, toDeviceId, expiresMs, packet } = arrived;
  return {
    kind: "packet",
    seq,
    committedMs,
    senderUserId,
    senderDeviceId,
    toDeviceId,
    expiresMs: Number(expiresMs),
    packet: packet.length === 0 ? undefined : packet,
  };
}

function kindOf(event: Uint8Array) {
  try {
    return fromBinary(EventSchema, event).kind;
  } catch {
    return undefined;
  }
}
