import {
  create,
  type DescMessage,
  fromBinary,
  type MessageInitShape,
  type MessageShape,
  toBinary,
} from "@bufbuild/protobuf";
import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import {
  CloseRequestSchema,
  CloseResponseSchema,
  LongPollService,
  OpenRequestSchema,
  type OpenResponse,
  OpenResponseSchema,
  PollRequestSchema,
  PollResponseSchema,
  SendRequestSchema,
  SendResponseSchema,
} from "../../gen/posthorn/v1/longpoll_pb.ts";
import { PipeReceiver, PipeSender } from "../../protocol/byte-pipe.ts";
import type { DialledLink, LinkHandler } from "../../protocol/link.ts";
import { type Dialer, LinkError } from "../dialer.ts";

export interface LongPollOptions {
  /** The longest a poll may hang, milliseconds; 0 leaves it to the service. */
  readonly holdMs?: number;
}

const HIGH_WATER_BYTES = 256 * 1024;
/** A request is given up this long after its answer was due. Above the hold by itself. [LNK-13] */
const REQUEST_MARGIN_MS = 10_000;
/**
 * Requests that fail in a row before the link counts as lost, and the pause after each. [LNK-12]
 */
const FAILURES_MAX = 4;
const RETRY_MS = 150;
/** Statuses that `fetch` would follow. */
const REDIRECTS: ReadonlySet<number> = new Set([301, 302, 303, 307, 308]);

/**
 * Links over HTTP long polling, with nothing but `fetch`. Browser-safe. @param origin http:// or
 * https://
 */
export function longPoll(origin: string, options: LongPollOptions = {}): Dialer {
  const base = new URL(`/${LongPollService.typeName}/`, origin).href;
  return {
    kind: "longpoll",
    address: base,
    dial: async (signal) => {
      const request = { holdMs: options.holdMs ?? 0, coalesceMs: 0, pollBytesMax: 0 };
      const call = { base, method: "Open", timeoutMs: REQUEST_MARGIN_MS, signal };
      try {
        const opened = await post(call, OpenRequestSchema, request, OpenResponseSchema);
        return new LongPollLink(base, opened);
      } catch (error) {
        signal.throwIfAborted();
        throw new LinkError(ErrorCode.LINK_LOST, `${base} cannot be opened`, { cause: error });
      }
    },
  };
}

class LongPollLink implements DialledLink {
  readonly kind = "longpoll";
  readonly peer: string;
  readonly #opened: OpenResponse;
  readonly #up = new PipeSender();
  readonly #down = new PipeReceiver();
  readonly #over = new AbortController();
  #handler: LinkHandler | undefined;
  #sending = false;
  #paused = false;
  #closing: ErrorCode | undefined;

  constructor(base: string, opened: OpenResponse) {
    this.peer = base;
    this.#opened = opened;
  }

  start(handler: LinkHandler): void {
    this.#handler = handler;
    void this.#poll();
  }

  write(bytes: Uint8Array): boolean {
    if (this.#closing !== undefined) return true;
    this.#up.write(bytes);
    this.#paused ||= this.#up.waitingBytes > HIGH_WATER_BYTES;
    if (!this.#sending) {
      this.#sending = true;
      queueMicrotask(() => void this.#send());
    }
    return !this.#paused;
  }

  close(code: ErrorCode): void {
    if (this.#closing !== undefined) return;
    this.#closing = code;
    if (!this.#sending) void this.#finish(code, "");
  }

  /** Sends what waits, one request at a time: its order needs no buffer at the service. */
  async #send(): Promise<void> {
    try {
      while (this.#up.waitingBytes > 0) {
        const offset = BigInt(this.#up.base);
        const data = this.#up.peek(this.#opened.sendBytesMax);
        const request = { linkId: this.#opened.linkId, offset, data };
        const call = { method: "Send", timeoutMs: REQUEST_MARGIN_MS };
        const answer = await this.#persist(call, SendRequestSchema, request, SendResponseSchema);
        if (this.#up.acknowledged(Number(answer.receivedOffset)) !== undefined) {
          throw new Error("the service acknowledged what was not sent");
        }
        this.#resume();
      }
      this.#sending = false;
      if (this.#closing !== undefined) await this.#finish(this.#closing, "");
    } catch (error) {
      await this.#lost(error);
    }
  }

  async #poll(): Promise<void> {
    const timeoutMs = this.#opened.holdMs + REQUEST_MARGIN_MS;
    try {
      for (;;) {
        const receivedOffset = BigInt(this.#down.received);
        const request = { linkId: this.#opened.linkId, receivedOffset };
        const call = { method: "Poll", timeoutMs };
        const answer = await this.#persist(call, PollRequestSchema, request, PollResponseSchema);
        const fresh = this.#down.take(Number(answer.offset), answer.data);
        if ("code" in fresh) throw new Error(fresh.detail);
        if (fresh.length > 0 && this.#closing === undefined) this.#handler?.received(fresh);
        if (answer.ended) return await this.#lost(new Error("ended by the service"));
      }
    } catch (error) {
      await this.#lost(error);
    }
  }

  /**
   * Repeats a request that failed: both streams carry offsets, so that a repeat changes nothing.
   */
  async #persist<Request extends DescMessage, Response extends DescMessage>(
    call: { readonly method: string; readonly timeoutMs: number },
    requestSchema: Request,
    request: MessageInitShape<Request>,
    responseSchema: Response,
  ): Promise<MessageShape<Response>> {
    for (let failures = 0; ; failures += 1) {
      try {
        const target = { ...call, base: this.peer, signal: this.#over.signal };
        return await post(target, requestSchema, request, responseSchema);
      } catch (error) {
        this.#over.signal.throwIfAborted();
        if (error instanceof RefusedByService || failures + 1 >= FAILURES_MAX) throw error;
        await pause(RETRY_MS * (failures + 1), this.#over.signal);
      }
    }
  }

  #resume(): void {
    if (!this.#paused || this.#up.waitingBytes > HIGH_WATER_BYTES) return;
    this.#paused = false;
    this.#handler?.drained();
  }

  async #lost(error: unknown): Promise<void> {
    if (this.#over.signal.aborted) return;
    const detail = error instanceof Error ? error.message : "";
    await this.#finish(this.#closing ?? ErrorCode.LINK_LOST, detail);
  }

  async #finish(code: ErrorCode, detail: string): Promise<void> {
    if (this.#over.signal.aborted) return;
    this.#over.abort();
    const handler = this.#handler;
    this.#handler = undefined;
    const signal = AbortSignal.timeout(REQUEST_MARGIN_MS);
    const call = { base: this.peer, method: "Close", timeoutMs: REQUEST_MARGIN_MS, signal };
    const request = { linkId: this.#opened.linkId };
    // The service forgets an abandoned link by itself: a Close that fails is no loss.
    post(call, CloseRequestSchema, request, CloseResponseSchema).catch(() => {});
    handler?.closed(code, detail);
  }
}

/** The service answered, and said no: repeating the request is of no use. */
class RefusedByService extends Error {
  override readonly name = "RefusedByService";
}

interface Call {
  readonly base: string;
  readonly method: string;
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

/** One Connect unary call in Protobuf over HTTP/1.1 or 2. */
async function post<Request extends DescMessage, Response extends DescMessage>(
  call: Call,
  requestSchema: Request,
  request: MessageInitShape<Request>,
  responseSchema: Response,
): Promise<MessageShape<Response>> {
  const body = toBinary(requestSchema, create(requestSchema, request));
  const late = new AbortController();
  const timer = setTimeout(() => late.abort(new Error("no answer in time")), call.timeoutMs);
  const abort = () => late.abort(call.signal.reason);
  call.signal.addEventListener("abort", abort, { once: true });
  try {
    call.signal.throwIfAborted();
    const response = await fetch(call.base + call.method, {
      method: "POST",
      headers: { "Content-Type": "application/proto", "Connect-Protocol-Version": "1" },
      body: body as Uint8Array<ArrayBuffer>,
      // What is trusted is the address that was dialled, and no other one it names. [ENV-75]
      redirect: "manual",
      signal: late.signal,
    });
    // Browsers say no more than that there is one.
    if (response.type === "opaqueredirect" || REDIRECTS.has(response.status)) {
      throw new RefusedByService(`${call.method} was answered with a redirect, not followed`);
    }
    const bytes = new Uint8Array(await response.arrayBuffer());
    if (response.status >= 400 && response.status < 500) {
      throw new RefusedByService(`${call.method} was refused with status ${response.status}`);
    }
    if (!response.ok) throw new Error(`${call.method} failed with status ${response.status}`);
    return fromBinary(responseSchema, bytes);
  } finally {
    clearTimeout(timer);
    call.signal.removeEventListener("abort", abort);
  }
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      signal.removeEventListener("abort", abort);
      resolve();
    }, ms);
    const abort = () => {
      clearTimeout(timer);
      reject(signal.reason);
    };
    signal.addEventListener("abort", abort, { once: true });
  });
}
