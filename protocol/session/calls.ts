import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import type { Call, Reply } from "../../gen/posthorn/v1/session_pb.ts";
import { callFrameBytes } from "../frames.ts";
import { CALLS_MAX } from "../limits.ts";
import type { Plain } from "../plain.ts";
import { type Violation, violation } from "../violation.ts";
import { classify } from "./sequence.ts";

export type CallPlain = Plain<Call>;
export type ReplyPlain = Plain<Reply>;

/** The service's half of the calls of one link. [RPC-1] [RPC-2] */
export class ReceivedCalls {
  #through = 0;
  readonly #unanswered = new Set<number>();
  #waiting: CallPlain[] = [];

  received(call: CallPlain): Violation | undefined {
    if (classify(call.id, this.#through) !== "next") {
      const detail = `call ${call.id} after ${this.#through}`;
      return violation(ErrorCode.SEQUENCE_GAP, "RPC-1", detail);
    }
    if (this.#unanswered.size >= CALLS_MAX) {
      const detail = `${CALLS_MAX} calls have no reply yet`;
      return violation(ErrorCode.CREDIT_EXCEEDED, "RPC-2", detail);
    }
    this.#through = call.id;
    this.#unanswered.add(call.id);
    // The request is a view of what came from the link, which is used again.
    this.#waiting.push({ ...call, request: Uint8Array.from(call.request) });
    return undefined;
  }

  /** What came since; each has to be answered once. */
  take(): readonly CallPlain[] {
    const taken = this.#waiting;
    this.#waiting = [];
    return taken;
  }

  /** The reply to write, small enough for the link; undefined when none is due. [RPC-6] */
  answered(reply: ReplyPlain, frameBytesMax: number): ReplyPlain | undefined {
    if (!this.#unanswered.delete(reply.id)) return undefined;
    if (callFrameBytes(reply) <= frameBytesMax) return reply;
    const response = new Uint8Array(0);
    return { id: reply.id, code: ErrorCode.CALL_FAILED, response, retryAfterMs: 0 };
  }
}

/** A call of the application, whatever link it goes over. */
export interface AskedCall {
  readonly method: string;
  readonly request: Uint8Array;
}

/** What a call came to. */
export interface CallAnswer {
  readonly asked: AskedCall;
  /** UNSPECIFIED: there is a response. */
  readonly code: ErrorCode;
  readonly response: Uint8Array;
  /** Of a refusal: when the same would be answered, from then on. 0: nothing is said of that. */
  readonly retryAfterMs: number;
}

/**
 * The device's half: outlives links. A call that a link took along without an answer is asked again
 * on the next one. [RPC-3]
 */
export class AskedCalls {
  /** Not sent on this link, in order. */
  #waiting: AskedCall[] = [];
  /** Sent on this link, by id; undefined where nobody waits any more. */
  readonly #sent = new Map<number, AskedCall | undefined>();
  #lastId = 0;

  get count(): number {
    return this.#waiting.length + this.#sent.size;
  }

  ask(asked: AskedCall): void {
    this.#waiting.push(asked);
  }

  /** Nobody waits for it: it is not asked again, and its reply is dropped. */
  forget(asked: AskedCall): void {
    this.#waiting = this.#waiting.filter((one) => one !== asked);
    for (const [id, one] of this.#sent) if (one === asked) this.#sent.set(id, undefined);
  }

  /** The next one for a link that lets so many be outstanding; undefined when none may go now. */
  next(callsMax: number): CallPlain | undefined {
    const asked = this.#waiting[0];
    if (asked === undefined || this.#sent.size >= callsMax) return undefined;
    this.#waiting.shift();
    this.#lastId += 1;
    this.#sent.set(this.#lastId, asked);
    return { id: this.#lastId, ...asked };
  }

  /** Those that this service takes on no link, with why. [RPC-2] [RPC-6] */
  unservable(link: { readonly calls: number; readonly frameBytes: number }): CallAnswer[] {
    const answers: CallAnswer[] = [];
    for (const asked of this.#waiting) {
      const tooLarge = callFrameBytes({ id: Number.MAX_SAFE_INTEGER, ...asked }) > link.frameBytes;
      if (link.calls > 0 && !tooLarge) continue;
      const code = tooLarge ? ErrorCode.MESSAGE_TOO_LARGE : ErrorCode.METHOD_UNKNOWN;
      answers.push({ asked, code, response: new Uint8Array(0), retryAfterMs: 0 });
    }
    const refused = new Set(answers.map(({ asked }) => asked));
    if (refused.size > 0) this.#waiting = this.#waiting.filter((asked) => !refused.has(asked));
    return answers;
  }

  /**
   * The answer to hand on; undefined when nobody waits for it. A reply to nothing that was asked on
   * this link, or a second one, is a violation: a call that was given up keeps its id until its
   * reply has come, so an honest service sends none. [RPC-7]
   */
  replied({ id, code, response, retryAfterMs }: ReplyPlain): CallAnswer | Violation | undefined {
    if (!this.#sent.has(id)) {
      return violation(ErrorCode.ACK_BEYOND_SENT, "RPC-7", `a reply to no call: ${id}`);
    }
    const asked = this.#sent.get(id);
    this.#sent.delete(id);
    if (asked === undefined) return undefined;
    return { asked, code: code as ErrorCode, response: Uint8Array.from(response), retryAfterMs };
  }

  /** The link is gone: what had no reply comes first on the next one. [RPC-3] */
  relinked(): void {
    const again = [...this.#sent.values()].filter((asked) => asked !== undefined);
    this.#waiting = [...again, ...this.#waiting];
    this.#sent.clear();
    this.#lastId = 0;
  }
}
