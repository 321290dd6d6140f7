import { isUtf8 } from "node:buffer";
import { LIMITS } from "./limits.ts";
import { lengthAt, StreamRules } from "./stream-rules.ts";
import { OPCODE, type WsFrame } from "./websocket.ts";

const CONTROL_BYTES_MAX = 125;
/** "A service takes messages of up to four times its frame limit." [LNK-5] */
const MESSAGE_BYTES_MAX = 4 * LIMITS.frameBytes;
const PROTOCOL_ERROR = 1002;
const NOT_UTF8 = 1007;
const TOO_BIG = 1009;
const NO_STATUS = 1005;

/**
 * RFC 6455 for what a client sends, written a second time, and what becomes of the messages.
 * [LNK-5]
 */
export class WsRules {
  readonly stream: StreamRules;
  #message: { readonly isText: boolean; readonly parts: Uint8Array[]; bytes: number } | undefined;
  /** The status that the transport itself ends the connection with. */
  status: number | undefined;
  /** Payloads of the Pings to be answered, in order. */
  readonly pings: Uint8Array[] = [];

  constructor(phase: "opening" | "joining") {
    this.stream = new StreamRules(phase);
  }

  get isOver(): boolean {
    return this.status !== undefined || this.stream.phase === "over";
  }

  take(frame: WsFrame): void {
    if (this.isOver) return;
    this.status = this.#fault(frame);
    if (this.status !== undefined) return;
    const { opcode, payload, isFinal } = frame;
    if (opcode === OPCODE.ping) this.pings.push(payload);
    if (opcode >= OPCODE.close) return;
    this.#message ??= { isText: opcode === OPCODE.text, parts: [], bytes: 0 };
    this.#message.parts.push(payload);
    this.#message.bytes += payload.length;
    if (!isFinal) return;
    const { isText, parts } = this.#message;
    this.#message = undefined;
    this.#whole(Buffer.concat(parts), isText);
  }

  #whole(payload: Buffer, isText: boolean): void {
    if (isText && !isUtf8(payload)) this.status = NOT_UTF8;
    else if (isText || endsInsideFrame(payload)) this.stream.broken();
    else this.stream.take(payload);
  }

  #fault(frame: WsFrame): number | undefined {
    const { isFinal, opcode, payload, reserved = 0, mask, lengthBytes = 0, announced } = frame;
    const isControl = opcode >= OPCODE.close;
    const isKnown = opcode <= OPCODE.binary || (isControl && opcode <= OPCODE.pong);
    if (reserved !== 0 || !isKnown || mask === undefined) return PROTOCOL_ERROR;
    const bytes = announced ?? payload.length;
    if (isControl) {
      // A longer form of the length is let pass on a message only.
      if (!isFinal || bytes > CONTROL_BYTES_MAX || lengthBytes > 0) return PROTOCOL_ERROR;
      return opcode === OPCODE.close ? closeStatus(payload) : undefined;
    }
    const isContinuation = opcode === OPCODE.continuation;
    if (isContinuation !== (this.#message !== undefined)) return PROTOCOL_ERROR;
    return bytes + (this.#message?.bytes ?? 0) > MESSAGE_BYTES_MAX ? TOO_BIG : undefined;
  }
}

/** What a Close of the transport is answered with (RFC 6455 sections 5.5.1 and 7.4). */
function closeStatus(payload: Uint8Array): number {
  if (payload.length === 0) return NO_STATUS;
  if (payload.length === 1) return PROTOCOL_ERROR;
  const status = Buffer.from(payload).readUInt16BE();
  const isDefined = status >= 1000 && status <= 1014 && ![1004, 1005, 1006].includes(status);
  const isLegal = isDefined || (status >= 3000 && status <= 4999);
  if (!isLegal) return PROTOCOL_ERROR;
  return isUtf8(payload.subarray(2)) ? status : NOT_UTF8;
}

/** Where the lengths lead, the frames themselves unread. A length that is none leads nowhere. */
function endsInsideFrame(message: Buffer): boolean {
  for (let at = 0; at < message.length; ) {
    const length = lengthAt(message.subarray(at));
    if (length === "invalid") return false;
    if (length === undefined) return true;
    at += length.bytes + length.value;
    if (at > message.length) return true;
  }
  return false;
}
