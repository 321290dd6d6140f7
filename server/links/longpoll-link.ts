import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import { PipeReceiver, PipeSender } from "../../protocol/byte-pipe.ts";
import type { AcceptedLink, LinkHandler } from "../../protocol/link.ts";
import { type Violation, violation } from "../../protocol/violation.ts";

/** Calls back once at a time; the node's one timing wheel. */
export interface Deadlines {
  nowMs(): number;
  schedule(atMs: number, callback: () => void): () => void;
}

export interface LongPollLimits {
  /** How long a poll hangs at most. */
  readonly holdMs: number;
  /** How long a poll waits for more once there is something. */
  readonly coalesceMs: number;
  /** A link without a request for this long is forgotten. Longer than holdMs. [LNK-13] */
  readonly idleMs: number;
  /** The largest `data` of a Send and of a poll's answer. */
  readonly sendBytesMax: number;
  readonly pollBytesMax: number;
  /** Unacknowledged bytes at which `write` says stop, and at which the link ends. [LNK-11] */
  readonly bufferBytesMax: number;
  readonly linksMax: number;
  /** Of one address; a link counts until it is forgotten. [LNK-11] */
  readonly linksPerPeerMax: number;
}

/** What a poll is answered with. */
export interface PollAnswer {
  readonly offset: number;
  readonly data: Uint8Array;
  readonly ended: boolean;
}

interface HangingPoll {
  /** There is something: answers now, or a little later with what comes until then. */
  answer(): void;
  /** Answers now. */
  settle(outcome: PollAnswer | Violation): void;
  cancel(): void;
}

/** The service's half of one long-poll link: a link to its session, a byte pipe to its requests. */
export class LongPollLink implements AcceptedLink {
  readonly kind = "longpoll";
  readonly peer: string;
  readonly isTls: boolean;
  readonly openedMs: number;
  readonly holdMs: number;
  readonly coalesceMs: number;
  readonly pollBytesMax: number;
  readonly #limits: LongPollLimits;
  readonly #deadlines: Deadlines;
  readonly #down = new PipeSender();
  readonly #up = new PipeReceiver();
  readonly #forget: () => void;
  #handler: LinkHandler | undefined;
  #poll: HangingPoll | undefined;
  #heardMs: number;
  #cancelIdle: () => void = () => {};
  #ended: ErrorCode | undefined;
  #paused = false;

  constructor(
    asked: {
      readonly peer: string;
      readonly isTls: boolean;
      readonly holdMs: number;
      readonly coalesceMs: number;
      readonly pollBytesMax: number;
    },
    limits: LongPollLimits,
    deadlines: Deadlines,
    forget: () => void,
  ) {
    this.peer = asked.peer;
    this.isTls = asked.isTls;
    this.holdMs = Math.min(asked.holdMs || limits.holdMs, limits.holdMs);
    this.coalesceMs = Math.min(asked.coalesceMs, limits.coalesceMs, this.holdMs);
    this.pollBytesMax = Math.min(asked.pollBytesMax || limits.pollBytesMax, limits.pollBytesMax);
    this.#limits = limits;
    this.#deadlines = deadlines;
    this.#forget = forget;
    this.openedMs = deadlines.nowMs();
    this.#heardMs = this.openedMs;
    this.#watchIdle();
  }

  start(handler: LinkHandler): void {
    this.#handler = handler;
  }

  write(bytes: Uint8Array): boolean {
    if (this.#ended !== undefined) return true;
    this.#down.write(bytes);
    if (this.#down.waitingBytes > 4 * this.#limits.bufferBytesMax) {
      this.#end(ErrorCode.LINK_LOST, "the peer does not poll");
      return false;
    }
    this.#poll?.answer();
    this.#paused ||= this.#down.waitingBytes > this.#limits.bufferBytesMax;
    return !this.#paused;
  }

  /** What was written stays to be polled until it is acknowledged or the link idles out. */
  close(code: ErrorCode): void {
    if (this.#ended !== undefined) return;
    this.#ended = code;
    this.#poll?.settle(this.#answer());
    this.#tellClosed(code, "");
    if (this.#down.waitingBytes === 0) this.#release();
  }

  /** A Send: repeats and gaps change nothing; answers how far everything is received. [LNK-7] */
  sent(offset: number, data: Uint8Array): number | Violation {
    this.#heardMs = this.#deadlines.nowMs();
    if (data.length > this.#limits.sendBytesMax) {
      const detail = `${data.length} bytes; the limit is ${this.#limits.sendBytesMax}`;
      return violation(ErrorCode.REQUEST_INVALID, "LNK-11", detail);
    }
    const fresh = this.#up.take(offset, data);
    if ("code" in fresh) return fresh;
    if (fresh.length > 0 && this.#ended === undefined) {
      setImmediate(() => this.#handler?.received(fresh));
    }
    return this.#up.received;
  }

  /**
   * A Poll: answered when there is something, when the hold is over, or when a newer one comes.
   * [LNK-8] [LNK-10]
   */
  polled(receivedOffset: number, answer: (outcome: PollAnswer | Violation) => void): () => void {
    this.#heardMs = this.#deadlines.nowMs();
    const fault = this.#down.acknowledged(receivedOffset);
    if (fault !== undefined) {
      answer(fault);
      return () => {};
    }
    this.#poll?.settle(violation(ErrorCode.POLL_SUPERSEDED, "LNK-10", "a newer poll came"));
    this.#resumeAfterAck();
    if (this.#ended !== undefined) {
      answer(this.#answer());
      if (this.#down.waitingBytes === 0) this.#release();
      return () => {};
    }
    if (this.#down.waitingBytes > 0) {
      answer(this.#answer());
      return () => {};
    }
    return this.#hang(answer);
  }

  /** The device closed the link, or the node stops. */
  ended(code: ErrorCode): void {
    this.#end(code, "closed by the device");
  }

  #hang(answer: (outcome: PollAnswer | Violation) => void): () => void {
    const nowMs = this.#deadlines.nowMs();
    let cancelTimer = this.#deadlines.schedule(nowMs + this.holdMs, () => finish());
    const settle = (outcome: PollAnswer | Violation) => {
      poll.cancel();
      this.#heardMs = this.#deadlines.nowMs();
      answer(outcome);
    };
    const finish = () => settle(this.#answer());
    const poll: HangingPoll = {
      answer: () => {
        if (this.coalesceMs === 0) return finish();
        // Wait a little for more, once.
        poll.answer = () => {};
        cancelTimer();
        cancelTimer = this.#deadlines.schedule(this.#deadlines.nowMs() + this.coalesceMs, finish);
      },
      settle,
      cancel: () => {
        cancelTimer();
        if (this.#poll === poll) this.#poll = undefined;
      },
    };
    this.#poll = poll;
    return poll.cancel;
  }

  #answer(): PollAnswer {
    const data = this.#down.peek(this.pollBytesMax);
    const last = this.#ended !== undefined && data.length === this.#down.waitingBytes;
    return { offset: this.#down.base, data, ended: last };
  }

  #resumeAfterAck(): void {
    if (!this.#paused || this.#down.waitingBytes > this.#limits.bufferBytesMax) return;
    this.#paused = false;
    setImmediate(() => this.#handler?.drained());
  }

  /** A hanging poll is a request too: a link idles only between requests. */
  #watchIdle(): void {
    const since = this.#poll === undefined ? this.#heardMs : this.#deadlines.nowMs();
    this.#cancelIdle = this.#deadlines.schedule(since + this.#limits.idleMs, () => {
      const quietMs = this.#deadlines.nowMs() - this.#heardMs;
      if (this.#poll === undefined && quietMs >= this.#limits.idleMs) {
        this.#end(ErrorCode.LINK_LOST, "no request for too long");
      } else {
        this.#watchIdle();
      }
    });
  }

  #end(code: ErrorCode, detail: string): void {
    this.#ended ??= code;
    this.#poll?.settle(this.#answer());
    this.#tellClosed(code, detail);
    this.#release();
  }

  #tellClosed(code: ErrorCode, detail: string): void {
    const handler = this.#handler;
    this.#handler = undefined;
    if (handler !== undefined) setImmediate(() => handler.closed(code, detail));
  }

  #release(): void {
    this.#cancelIdle();
    this.#poll?.cancel();
    this.#forget();
  }
}
