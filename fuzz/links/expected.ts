import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";

/** A text, written short. */
export interface Said {
  readonly text: string;
  readonly copies: number;
}

export function textOf({ text, copies }: Said): string {
  return text.repeat(copies);
}

/** What a device asks for; `nonsense` is no operation at all. */
export type Wish =
  | { readonly to: "self" | "peer" | "nobody"; readonly said: Said }
  | { readonly to: "nonsense"; readonly bytes: Uint8Array };

export interface ExpectedResult {
  readonly code: ErrorCode;
  readonly conversationSeq: number;
}

export interface ExpectedEvent {
  readonly conversationId: string;
  readonly conversationSeq: number;
  readonly senderUserId: string;
  readonly senderDeviceId: string;
  readonly text: string;
}

export interface Correspondents {
  readonly userId: string;
  readonly deviceId: string;
  /** Another user that exists; "": there is none. */
  readonly peerId: string;
}

/** That a device of the user is new. [DEV-13] */
export interface ExpectedDevice {
  readonly addedDeviceId: string;
}

/** What must come of a device's submits, wherever its links are cut: chapter 5 without links. */
export class Expected {
  /** By submit number, from 1. */
  readonly results: ExpectedResult[] = [];
  /** The user's timeline, by number from 1. */
  readonly events: ExpectedEvent[] = [];
  /** What comes to the peer's timeline. */
  readonly peerEvents: ExpectedEvent[] = [];
  readonly #between: Correspondents;
  readonly #contentBytesMax: number;
  readonly #heads = { self: 0, peer: 0 };

  constructor(between: Correspondents, contentBytesMax: number) {
    this.#between = between;
    this.#contentBytesMax = contentBytesMax;
  }

  submitted(wish: Wish): void {
    const code = this.#refusal(wish);
    if (wish.to === "nonsense" || wish.to === "nobody" || code !== ErrorCode.UNSPECIFIED) {
      this.results.push({ code, conversationSeq: 0 });
      return;
    }
    const { userId, deviceId, peerId } = this.#between;
    this.#heads[wish.to] += 1;
    const conversationSeq = this.#heads[wish.to];
    const event = {
      conversationId: `d:${[userId, wish.to === "self" ? userId : peerId].sort().join(":")}`,
      conversationSeq,
      senderUserId: userId,
      senderDeviceId: deviceId,
      text: textOf(wish.said),
    };
    this.events.push(event);
    if (wish.to === "peer") this.peerEvents.push(event);
    this.results.push({ code, conversationSeq });
  }

  #refusal(wish: Wish): ErrorCode {
    if (wish.to === "nonsense") return ErrorCode.OPERATION_MALFORMED;
    const bytes = Buffer.byteLength(textOf(wish.said));
    if (bytes === 0) return ErrorCode.MESSAGE_EMPTY;
    if (bytes > this.#contentBytesMax) return ErrorCode.MESSAGE_TOO_LARGE;
    return wish.to === "nobody" ? ErrorCode.USER_UNKNOWN : ErrorCode.UNSPECIFIED;
  }
}
