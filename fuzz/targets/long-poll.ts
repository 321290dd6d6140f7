import { deepEqual, equal, ok } from "node:assert/strict";
import { EventEmitter } from "node:events";
import type { IncomingMessage, ServerResponse } from "node:http";
import {
  create,
  type DescMessage,
  fromBinary,
  type MessageShape,
  toBinary,
} from "@bufbuild/protobuf";
import { ErrorCode, ErrorDetailSchema } from "../../gen/posthorn/v1/error_pb.ts";
import {
  OpenRequestSchema,
  PollRequestSchema,
  PollResponseSchema,
  SendRequestSchema,
  SendResponseSchema,
} from "../../gen/posthorn/v1/longpoll_pb.ts";
import type { Link } from "../../protocol/link.ts";
import { LongPollLinks } from "../../server/links/longpoll.ts";
import { longPollHttp } from "../../server/links/longpoll-http.ts";
import { anyOrigin } from "../../server/links/origin.ts";
import { Choices } from "../coverage/choices.ts";

const LIMITS = {
  holdMs: 1_000,
  coalesceMs: 0,
  idleMs: 60_000,
  sendBytesMax: 64,
  pollBytesMax: 48,
  bufferBytesMax: 4_096,
  linksMax: 4,
  linksPerPeerMax: 4,
};
const OPTIONS = { bodyMs: 60_000, corsOrigin: "*", originRule: anyOrigin };
const STEPS_MAX = 24;
const COUNTER_MAX = 2n ** 53n - 1n;
const FAR = [0n, 1n, 2n ** 31n, 2n ** 32n, COUNTER_MAX, 2n ** 53n, 2n ** 64n - 1n] as const;
const NOTHING = new Uint8Array(0);
const STATUS: Readonly<Record<number, number>> = {
  [ErrorCode.LINK_UNKNOWN]: 404,
  [ErrorCode.POLL_SUPERSEDED]: 409,
};

/**
 * Whatever the bodies of requests to one link hold, each is answered as the rules of the long poll
 * say, once, and the link's bytes go both ways unchanged. [LNK-7] to [LNK-12] (P3, P8, P34)
 */
export async function fuzz(data: Uint8Array): Promise<void> {
  const choices = new Choices(data);
  const bench = new Bench();
  for (let step = 0; step < STEPS_MAX && !choices.isEmpty; step += 1) await bench.step(choices);
  await bench.end();
}

interface Answer {
  readonly status: number;
  readonly body: Uint8Array;
}

interface Ask {
  answer: Answer | undefined;
  /** The caller goes away. */
  hangUp(): void;
}

/** What an answer must be: a code of ours, or a message. */
type Verdict<Message> = { readonly code: ErrorCode } | { readonly message: Message };
type PollVerdict = Verdict<{ offset: bigint; data: string; ended: boolean }> | "hangs";

class Bench {
  readonly #links: LongPollLinks;
  readonly #listener: (request: IncomingMessage, response: ServerResponse) => void;
  readonly #linkId: Uint8Array;
  readonly #timers = new Set<() => void>();
  readonly #down: number[] = [];
  readonly #up: number[] = [];
  readonly #received: number[] = [];
  #takenCount = 0;
  #link: Link | undefined;
  #acked = 0;
  #isEnded = false;
  #isGone = false;
  #closedCount = 0;
  #hanging: Ask | undefined;

  constructor() {
    const schedule = (_: number, callback: () => void) => {
      this.#timers.add(callback);
      return () => this.#timers.delete(callback);
    };
    this.#links = new LongPollLinks(LIMITS, { nowMs: () => 0, schedule }, (link) => {
      this.#link = link;
      return {
        received: (bytes) => this.#received.push(...bytes),
        drained: () => {},
        closed: () => {
          this.#closedCount += 1;
        },
      };
    });
    this.#listener = longPollHttp(this.#links, OPTIONS, () => ok(false, "these are its own paths"));
    this.#linkId = this.#links.open(create(OpenRequestSchema), "fuzz").linkId;
  }

  async step(choices: Choices): Promise<void> {
    switch (choices.byte() % 8) {
      case 0:
        return this.#send(this.#rawBody(choices));
      case 1:
        return this.#poll(this.#rawBody(choices));
      case 2:
        return this.#send(this.#sendBody(choices));
      case 3:
      case 4:
        return this.#poll(this.#pollBody(choices));
      case 5:
        return this.#write(choices.take(1 + (choices.byte() % 100)));
      case 6:
        return this.#interrupt(choices.byte());
      case 7:
        return this.#send(new Uint8Array(LIMITS.sendBytesMax + 1_025 + choices.byte()));
    }
  }

  async end(): Promise<void> {
    this.#links.closeAll();
    await settled();
    deepEqual(this.#received, this.#up, "what was taken arrives, once and in order [LNK-1]");
    equal(this.#closedCount, 1, "a link is closed once");
    ok(this.#hanging?.answer?.status !== undefined || this.#hanging === undefined, "no poll hangs");
    equal(this.#timers.size, 0, "nothing is left behind");
    equal(this.#links.count, 0);
  }

  async #send(body: Uint8Array): Promise<void> {
    const expected = this.#judgeSend(body);
    const { answer } = await this.#ask("Send", body);
    ok(answer !== undefined, "a Send is answered at once");
    deepEqual(
      told(answer, SendResponseSchema, ({ receivedOffset }) => receivedOffset),
      expected,
    );
  }

  #judgeSend(body: Uint8Array): Verdict<bigint> {
    const request = this.#request(SendRequestSchema, body);
    if ("code" in request) return request;
    const { offset, data } = request.message;
    if (data.length > LIMITS.sendBytesMax) return { code: ErrorCode.REQUEST_INVALID };
    if (offset + BigInt(data.length) > COUNTER_MAX) return { code: ErrorCode.COUNTER_OUT_OF_RANGE };
    const known = BigInt(this.#takenCount) - offset;
    const fresh = known < 0n ? NOTHING : data.subarray(Number(known));
    this.#takenCount += fresh.length;
    // After its end a link takes bytes and passes them on to nobody.
    if (!this.#isEnded) this.#up.push(...fresh);
    return { message: BigInt(this.#takenCount) };
  }

  async #poll(body: Uint8Array): Promise<void> {
    const before = this.#hanging;
    const expected = this.#judgePoll(body);
    const ask = await this.#ask("Poll", body);
    const isLegal = expected === "hangs" || "message" in expected;
    if (before !== undefined && isLegal) {
      ok(before.answer !== undefined, "a newer poll ends the older [LNK-10]");
      const superseded = { code: ErrorCode.POLL_SUPERSEDED };
      deepEqual(told(before.answer, PollResponseSchema, pollOf), superseded);
      this.#hanging = undefined;
    }
    if (expected === "hangs") {
      equal(ask.answer, undefined, "a poll hangs while there is nothing");
      this.#hanging = ask;
      return;
    }
    ok(ask.answer !== undefined, "a poll is answered when there is something");
    deepEqual(told(ask.answer, PollResponseSchema, pollOf), expected);
  }

  #judgePoll(body: Uint8Array): PollVerdict {
    const request = this.#request(PollRequestSchema, body);
    if ("code" in request) return request;
    const { receivedOffset } = request.message;
    if (receivedOffset > COUNTER_MAX) return { code: ErrorCode.COUNTER_OUT_OF_RANGE };
    if (receivedOffset > this.#down.length || receivedOffset < this.#acked) {
      return { code: ErrorCode.OFFSET_INVALID };
    }
    this.#acked = Number(receivedOffset);
    const isWaiting = this.#down.length > this.#acked;
    if (!isWaiting && !this.#isEnded) return "hangs";
    if (!isWaiting) this.#isGone = true;
    return { message: this.#answer() };
  }

  #answer(): { offset: bigint; data: string; ended: boolean } {
    const data = this.#down.slice(this.#acked, this.#acked + LIMITS.pollBytesMax);
    const isAll = this.#acked + data.length === this.#down.length;
    const hex = Buffer.from(data).toString("hex");
    return { offset: BigInt(this.#acked), data: hex, ended: this.#isEnded && isAll };
  }

  /** What every request goes through first. */
  #request<Desc extends DescMessage & { readonly typeName: string }>(
    schema: Desc,
    body: Uint8Array,
  ): Verdict<MessageShape<Desc>> {
    if (body.length > LIMITS.sendBytesMax + 1_024) return { code: ErrorCode.REQUEST_INVALID };
    let message: MessageShape<Desc>;
    try {
      message = fromBinary(schema, body);
    } catch {
      return { code: ErrorCode.REQUEST_INVALID };
    }
    const { linkId } = message as unknown as { readonly linkId: Uint8Array };
    const isKnown = !this.#isGone && Buffer.compare(linkId, this.#linkId) === 0;
    return isKnown ? { message } : { code: ErrorCode.LINK_UNKNOWN };
  }

  /** The session writes: a poll that hangs is answered. */
  async #write(bytes: Uint8Array): Promise<void> {
    // Frames are written, and none is empty.
    if (bytes.length === 0) return;
    this.#link?.write(bytes.slice());
    if (!this.#isEnded) this.#down.push(...bytes);
    await this.#answersHanging(!this.#isEnded);
  }

  async #interrupt(how: number): Promise<void> {
    switch (how % 3) {
      case 0:
        // The hold is over.
        for (const ring of [...this.#timers].slice(1)) ring();
        return this.#answersHanging(this.#hanging !== undefined);
      case 1:
        // The caller goes away, and nobody waits for an answer. [LNK-12]
        this.#hanging?.hangUp();
        this.#hanging = undefined;
        return;
      default: {
        const isFirst = !this.#isEnded;
        this.#link?.close(ErrorCode.GOODBYE);
        this.#isEnded = true;
        if (this.#down.length === this.#acked) this.#isGone = true;
        return this.#answersHanging(isFirst);
      }
    }
  }

  async #answersHanging(isDue: boolean): Promise<void> {
    await settled();
    const { answer } = this.#hanging ?? {};
    if (!isDue || this.#hanging === undefined) return equal(answer, undefined);
    ok(answer !== undefined, "a poll that hangs is answered [LNK-8]");
    deepEqual(told(answer, PollResponseSchema, pollOf), { message: this.#answer() });
    this.#hanging = undefined;
  }

  /** Any bytes; where the choice says so, with the link's id behind them. */
  #rawBody(choices: Choices): Uint8Array {
    const isKnown = choices.byte() % 2 === 0;
    const raw = choices.take(choices.byte() % 80);
    return isKnown ? Buffer.concat([raw, Buffer.from([0x0a, 16]), this.#linkId]) : raw;
  }

  #sendBody(choices: Choices): Uint8Array {
    const offset = near(this.#takenCount, choices);
    const data = choices.take(choices.byte() % 80);
    const request = create(SendRequestSchema, { linkId: this.#linkId, offset, data });
    return toBinary(SendRequestSchema, request);
  }

  #pollBody(choices: Choices): Uint8Array {
    const receivedOffset = near(this.#acked, choices);
    const request = create(PollRequestSchema, { linkId: this.#linkId, receivedOffset });
    return toBinary(PollRequestSchema, request);
  }

  async #ask(method: string, body: Uint8Array): Promise<Ask> {
    const request = Object.assign(new EventEmitter(), {
      url: `/posthorn.v1.LongPollService/${method}`,
      method: "POST",
      headers: { "content-type": "application/proto" },
      resume: () => {},
    });
    const response = new Response();
    this.#listener(request as never, response as never);
    const half = body.length >> 1;
    request.emit("data", Buffer.from(body.subarray(0, half)));
    request.emit("data", Buffer.from(body.subarray(half)));
    request.emit("end");
    await settled();
    return response;
  }
}

/** The side of a response that a handler sees. */
class Response extends EventEmitter implements Ask {
  readonly destroyed = false;
  headersSent = false;
  answer: Answer | undefined;
  #status = 0;

  setHeader(): void {}

  writeHead(status: number): void {
    equal(this.headersSent, false, "a request is answered once");
    this.headersSent = true;
    this.#status = status;
  }

  end(body: Uint8Array): void {
    this.answer = { status: this.#status, body: new Uint8Array(body) };
  }

  hangUp(): void {
    this.emit("close");
  }
}

/** Everything that was put off has happened, also what a promise put off that was kept first. */
async function settled(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
  await new Promise((resolve) => setImmediate(resolve));
}

function near(number: number, choices: Choices): bigint {
  const step = choices.byte();
  if (step >= 0xf0) return choices.pick(FAR);
  return BigInt(Math.max(0, number + (step < 0x80 ? step % 40 : 0x80 - step)));
}

function pollOf({ offset, data, ended }: MessageShape<typeof PollResponseSchema>) {
  return { offset, data: Buffer.from(data).toString("hex"), ended };
}

/** An answer as a verdict: the status must fit the code. [ERR-1] */
function told<Desc extends DescMessage, Message>(
  { status, body }: Answer,
  schema: Desc,
  read: (message: MessageShape<Desc>) => Message,
): Verdict<Message> {
  if (status === 200) return { message: read(fromBinary(schema, body)) };
  const { details } = JSON.parse(Buffer.from(body).toString("utf8"));
  const detail = Buffer.from(details[0].value, "base64");
  const { code } = fromBinary(ErrorDetailSchema, detail);
  equal(status, STATUS[code] ?? 400);
  return { code };
}
