import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import { PipeReceiver, PipeSender } from "../../protocol/byte-pipe.ts";
import type { LinkAcceptor } from "../../protocol/link.ts";
import { assert } from "../../protocol/violation.ts";
import type { Deadlines, PollAnswer } from "../../server/links/longpoll-link.ts";
import { LongPollLink } from "../../server/links/longpoll-link.ts";
import type { DeviceEnd, Direction, Wire, WireTap } from "./wire.ts";

const LIMITS = {
  holdMs: 400,
  coalesceMs: 20,
  idleMs: 5_000,
  sendBytesMax: 300,
  pollBytesMax: 300,
  bufferBytesMax: 600,
  linksMax: 1,
  linksPerPeerMax: 1,
};
/** Late copies of requests that are kept to arrive again. */
const COPIES_MAX = 6;

type Send = { readonly kind: "send"; readonly offset: number; readonly data: Uint8Array };
type Poll = { readonly kind: "poll"; readonly receivedOffset: number };

/**
 * Long polling: the service's real half behind requests that are lost, repeated and reordered, and
 * answers that are lost. [LNK-7] [LNK-8] [LNK-12]
 */
export class PollWire implements Wire {
  readonly #tap: WireTap;
  readonly #up = new PipeSender();
  readonly #down = new PipeReceiver();
  readonly #link: LongPollLink;
  /** The link calls back from the event loop, once something was done to it. */
  needsTurn = false;
  #device: DeviceEnd | undefined;
  #nodeGone = false;
  #deviceClosing = false;
  /** At most one of each is under way, as a client keeps it. */
  #requests: (Send | Poll)[] = [];
  #sendAnswer: number | undefined;
  #pollAnswer: PollAnswer | undefined;
  #sendUnderWay = false;
  #pollUnderWay = false;
  #copies: (Send | Poll)[] = [];

  constructor(options: {
    readonly accept: LinkAcceptor;
    readonly device: DeviceEnd;
    readonly tap: WireTap;
    readonly deadlines: Deadlines;
  }) {
    const { accept, device, tap, deadlines } = options;
    this.#tap = tap;
    this.#device = device;
    const asked = { peer: "", holdMs: 0, coalesceMs: 20, pollBytesMax: 0 };
    this.#link = new LongPollLink(asked, LIMITS, deadlines, () => {});
    const link = this.#link;
    const [write, close] = [link.write.bind(link), link.close.bind(link)];
    link.write = (bytes) => {
      tap.wrote("down", bytes);
      return write(bytes);
    };
    link.close = (code) => {
      this.needsTurn = true;
      close(code);
    };
    const handler = accept(link);
    link.start({
      received: (bytes) => {
        tap.arrived("up", bytes.length);
        handler.received(bytes);
      },
      drained: () => handler.drained(),
      closed: (code, detail) => {
        this.#nodeGone = true;
        handler.closed(code, detail);
      },
    });
  }

  get over(): boolean {
    return this.#device === undefined && this.#nodeGone;
  }

  write(bytes: Uint8Array): void {
    this.#tap.wrote("up", bytes);
    this.#up.write(bytes);
  }

  /** A device that closes sends what it has, then Close. */
  close(): void {
    this.#deviceClosing = true;
    this.#device = undefined;
  }

  carry(direction: Direction, amount: number): boolean {
    this.#ask();
    const moved = direction === "up" ? this.#carryRequest(amount) : this.#carryAnswer();
    this.#ask();
    return moved;
  }

  cut(): void {
    this.#requests = [];
    this.needsTurn = true;
    if (!this.#nodeGone) this.#link.ended(ErrorCode.LINK_LOST);
    this.#endDevice(ErrorCode.LINK_LOST);
  }

  halve(): void {
    this.#endDevice(ErrorCode.LINK_LOST);
  }

  /** A request under way never arrives; the device asks again. */
  loseRequest(): boolean {
    const lost = this.#requests.shift();
    if (lost === undefined) return false;
    this.#forget(lost);
    return true;
  }

  /** An answer never arrives, or is cut: the device asks again. [LNK-12] */
  loseAnswer(): boolean {
    if (this.#pollAnswer !== undefined) {
      this.#pollAnswer = undefined;
      this.#pollUnderWay = false;
      return true;
    }
    if (this.#sendAnswer === undefined) return false;
    this.#sendAnswer = undefined;
    this.#sendUnderWay = false;
    return true;
  }

  /** A copy of some earlier request arrives now; its answer goes to nobody. [LNK-7] */
  repeatRequest(amount: number): boolean {
    const copy = this.#copies[amount % Math.max(1, this.#copies.length)];
    if (copy === undefined || this.#nodeGone) return false;
    this.needsTurn = true;
    if (copy.kind === "send") this.#link.sent(copy.offset, copy.data);
    else this.#link.polled(copy.receivedOffset, () => {});
    return true;
  }

  #ask(): void {
    if (this.#device === undefined && !this.#deviceClosing) return;
    if (!this.#sendUnderWay && this.#up.waitingBytes > 0) {
      const data = this.#up.peek(LIMITS.sendBytesMax).slice();
      this.#requests.push({ kind: "send", offset: this.#up.base, data });
      this.#sendUnderWay = true;
    }
    if (!this.#pollUnderWay && this.#device !== undefined) {
      this.#requests.push({ kind: "poll", receivedOffset: this.#down.received });
      this.#pollUnderWay = true;
    }
  }

  #carryRequest(amount: number): boolean {
    const [request] = this.#requests.splice(amount % Math.max(1, this.#requests.length), 1);
    this.needsTurn ||= request !== undefined || this.#deviceClosing;
    if (request === undefined) {
      if (!this.#deviceClosing || this.#nodeGone) return false;
      this.#link.ended(ErrorCode.GOODBYE);
      this.#deviceClosing = false;
      return true;
    }
    if (this.#copies.length < COPIES_MAX) this.#copies.push(request);
    else this.#copies[amount % COPIES_MAX] = request;
    if (this.#nodeGone && request.kind === "send") {
      this.#endDevice(ErrorCode.LINK_UNKNOWN);
    } else if (request.kind === "send") {
      const received = this.#link.sent(request.offset, request.data);
      assert(typeof received === "number", "a device's own offsets are valid [LNK-7]");
      this.#sendAnswer = received;
    } else {
      this.#link.polled(request.receivedOffset, (outcome) => this.#answered(outcome));
    }
    return true;
  }

  #answered(outcome: PollAnswer | { readonly code: ErrorCode }): void {
    if (!("code" in outcome)) {
      this.#pollAnswer = outcome;
      return;
    }
    const isPushedOut = outcome.code === ErrorCode.POLL_SUPERSEDED;
    assert(isPushedOut, "unacknowledged bytes can be polled again [LNK-8]");
    this.#hungUp();
  }

  /** A poll that a newer one, or a stale copy, pushed out: the device polls again. [LNK-10] */
  #hungUp(): void {
    if (this.#pollAnswer === undefined) this.#pollUnderWay = false;
  }

  #carryAnswer(): boolean {
    if (this.#sendAnswer !== undefined) {
      const fault = this.#up.acknowledged(Math.max(this.#sendAnswer, this.#up.base));
      assert(fault === undefined, "what the service received was sent [LNK-7]");
      this.#sendAnswer = undefined;
      this.#sendUnderWay = false;
      return true;
    }
    const answer = this.#pollAnswer;
    if (answer === undefined) return false;
    this.#pollAnswer = undefined;
    this.#pollUnderWay = false;
    const fresh = this.#down.take(answer.offset, answer.data.slice());
    assert(!("code" in fresh), "a service's own offsets are valid [LNK-8]");
    if (fresh.length > 0 && this.#device !== undefined) {
      this.#tap.arrived("down", fresh.length);
      this.#device.received(fresh);
    }
    if (answer.ended) this.#endDevice(ErrorCode.LINK_LOST);
    return true;
  }

  #forget(request: Send | Poll): void {
    if (request.kind === "send") this.#sendUnderWay = false;
    else this.#pollUnderWay = false;
  }

  #endDevice(code: ErrorCode): void {
    const device = this.#device;
    this.#device = undefined;
    device?.closed(code);
  }
}
