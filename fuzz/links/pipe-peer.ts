import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import { encodeFrame } from "../../protocol/frames.ts";
import { assert } from "../../protocol/violation.ts";
import { codeText } from "../sim/frame-text.ts";
import type { Doors } from "./doors.ts";
import { FrameLog } from "./frame-log.ts";
import {
  type HttpAnswer,
  type HttpRequest,
  type HttpWire,
  readAnswer,
  requestBytes,
} from "./http.ts";
import {
  closeRequest,
  type Form,
  openedIn,
  openRequest,
  polledIn,
  pollRequest,
  receivedIn,
  sendRequest,
} from "./long-poll.ts";
import { helloBytes, type Sender } from "./traffic.ts";
import type { Leaving } from "./wire.ts";

/** Short: a poll that finds nothing costs a case this long. */
const HOLD_MS = 5;

/** Well below the time that a service keeps a connection without a request. */
const KEPT_MS = 1_000;

/** A part of the stream that goes up. */
export interface Part {
  readonly from: number;
  readonly bytes: number;
}

/**
 * A device that knows of a long poll only what chapter 3.5 promises: two streams of bytes, of which
 * each request may carry any part, once, again or never.
 */
export class PipePeer {
  readonly linkId: Uint8Array;
  readonly log = new FrameLog();
  readonly #doors: Doors;
  #http: HttpWire;
  #usedMs = performance.now();
  /** All that goes up, and how much of it the service has. */
  #up: Buffer = Buffer.alloc(0);
  #received = 0;
  /** All that came down, and how much of it the service knows to have come. */
  #down: Buffer = Buffer.alloc(0);
  #acked = 0;
  /** Up to where the service surely knows it. */
  #told = 0;
  /** Polls that nobody waits for, and that may reach the service behind newer ones. */
  #lateCount = 0;
  #logged = 0;

  static async open(doors: Doors, wanted: { readonly pollBytesMax: number }): Promise<PipePeer> {
    const http = await doors.http();
    const request = openRequest("proto", { ...wanted, holdMs: HOLD_MS });
    return new PipePeer(doors, http, openedIn("proto", await http.call(request)).linkId);
  }

  private constructor(doors: Doors, http: HttpWire, linkId: Uint8Array) {
    this.#doors = doors;
    this.#http = http;
    this.linkId = linkId;
  }

  /** Attaches, with one request after the other. */
  async attach(sender: Sender): Promise<void> {
    this.queue(helloBytes(sender));
    await this.sendAll();
    while (this.log.last("welcome") === undefined) await this.poll("proto");
    this.queue(encodeFrame({ kind: "ready", value: {} }));
  }

  /** What is to go up next. */
  queue(bytes: Uint8Array): void {
    this.#up = Buffer.concat([this.#up, bytes]);
  }

  get received(): number {
    return this.#received;
  }

  get upBytes(): number {
    return this.#up.length;
  }

  get acked(): number {
    return this.#acked;
  }

  get told(): number {
    return this.#told;
  }

  get downBytes(): number {
    return this.#down.length;
  }

  async sendAll(): Promise<void> {
    while (this.#received < this.#up.length) await this.send("proto", this.#received, 700);
  }

  partRequest(form: Form, from: number, bytes: number): HttpRequest {
    const data = this.#up.subarray(from, from + bytes);
    return sendRequest(form, { linkId: this.linkId, offset: BigInt(from), data });
  }

  /** What a Send of a part leads to: bytes are taken that go on where the service is. [LNK-7] */
  takes(from: number, bytes: number): number {
    const end = Math.min(from + bytes, this.#up.length);
    if (from <= this.#received && end > this.#received) this.#received = end;
    return this.#received;
  }

  /** Sends a part and is told how far the service is. */
  async send(form: Form, from: number, bytes: number): Promise<void> {
    const answer = await this.#call(this.partRequest(form, from, bytes));
    this.#isReceived(receivedIn(form, answer), this.takes(from, bytes));
  }

  /** Sends parts without waiting for the answers, which come in order. (RFC 9112 section 9.3.2) */
  async pipeline(form: Form, parts: readonly Part[]): Promise<void> {
    const requests = parts.map(({ from, bytes }) => this.partRequest(form, from, bytes));
    const http = await this.#kept();
    http.wire.write(Buffer.concat(requests.map(requestBytes)));
    for (const { from, bytes } of parts) {
      const answer = await http.answer("a pipelined Send");
      this.#isReceived(receivedIn(form, answer), this.takes(from, bytes));
    }
  }

  /** Breaks off in the middle of a Send: it did not come. [LNK-12] */
  async breakSend(part: Part, at: number, leaving: Leaving): Promise<void> {
    const bytes = requestBytes(this.partRequest("proto", part.from, part.bytes));
    const wire = await this.#doors.wire(() => {});
    wire.write(bytes.subarray(0, at % bytes.length));
    wire.leave(leaving);
    await this.isReceived();
  }

  /** A Send whose answer breaks off: it came, and the device does not know. [LNK-12] */
  async forgetSend(part: Part, at: number, leaving: Leaving): Promise<void> {
    const request = this.partRequest("proto", part.from, part.bytes);
    await this.#breakAnswer(request, Math.max(1, at), leaving);
    this.takes(part.from, part.bytes);
    await this.isReceived();
  }

  /** Asks how far the service is, with a Send of nothing. */
  async isReceived(): Promise<void> {
    const nothing = { linkId: this.linkId, offset: 0n, data: new Uint8Array(0) };
    const answer = await this.#call(sendRequest("proto", nothing));
    this.#isReceived(receivedIn("proto", answer), this.#received);
  }

  /**
   * Polls from where the device is.
   *
   * @param isForgotten the device dies before it keeps the answer, and asks for it again
   * @returns how many bytes the answer's body has
   */
  async poll(form: Form, isForgotten = false): Promise<number> {
    const answer = await this.#call(this.pollRequest(form));
    const polled = polledIn(form, answer);
    if (polled === ErrorCode.POLL_SUPERSEDED && this.#lateCount > 0) {
      this.#lateCount -= 1;
      return await this.poll(form, isForgotten);
    }
    assert(typeof polled !== "number", `a poll is answered, not ${codeOf(polled)}`);
    this.#told = this.#acked;
    this.came(Number(polled.offset), polled.data);
    if (!isForgotten) this.keep(this.#acked + polled.data.length);
    return answer.body.length;
  }

  pollRequest(form: Form): HttpRequest {
    return pollRequest(form, { linkId: this.linkId, receivedOffset: BigInt(this.#acked) });
  }

  /** Bytes that came down are those that came before at their place. [LNK-8] */
  came(offset: number, data: Uint8Array): void {
    assert(offset === this.#acked, `an answer from ${offset}, asked for ${this.#acked} [LNK-8]`);
    const known = this.#down.subarray(offset, offset + data.length);
    const again = Buffer.from(data).subarray(0, known.length);
    assert(known.equals(again), "a repeat is the same, byte for byte [LNK-8]");
    const fresh = Buffer.from(data).subarray(known.length);
    this.#down = Buffer.concat([this.#down, fresh]);
  }

  /** The device holds what came up to a position: the next poll says so. */
  keep(position: number): void {
    this.#acked = position;
    if (position <= this.#logged) return;
    this.log.take(this.#down.subarray(this.#logged, position));
    this.#logged = position;
  }

  /** Polls over a connection of its own that breaks after so many bytes of the answer. [LNK-12] */
  async breakPoll(form: Form, at: number, leaving: Leaving): Promise<void> {
    await this.#breakAnswer(this.pollRequest(form), at, leaving);
    if (at > 0) this.#told = this.#acked;
    else this.#lateCount += 1;
  }

  async #breakAnswer(request: HttpRequest, at: number, leaving: Leaving): Promise<void> {
    let taken: Buffer = Buffer.alloc(0);
    const wire = await this.#doors.wire((bytes) => {
      taken = Buffer.concat([taken, bytes]);
    });
    wire.write(requestBytes(request));
    const isThere = () => taken.length >= at || readAnswer(taken) !== undefined;
    await wire.changes.until(isThere, `${at} bytes of an answer`);
    wire.leave(leaving);
  }

  /** Several polls at once: one at most stays, the others are told so. [LNK-10] */
  async rival(form: Form, count: number): Promise<void> {
    const wires = await Promise.all(Array.from({ length: count }, () => this.#doors.http()));
    const answers = await Promise.all(wires.map((http) => http.call(this.pollRequest(form))));
    const polled = answers.map((answer) => polledIn(form, answer));
    this.#told = this.#acked;
    const isSuperseded = polled.filter((outcome) => outcome === ErrorCode.POLL_SUPERSEDED);
    for (const outcome of polled) {
      if (outcome === ErrorCode.POLL_SUPERSEDED) continue;
      assert(typeof outcome !== "number", `a rival poll is answered, not ${codeOf(outcome)}`);
      this.came(Number(outcome.offset), outcome.data);
    }
    const isNewest = isSuperseded.length < count || this.#lateCount > 0;
    assert(isNewest, "the newest poll is not superseded [LNK-10]");
  }

  /** Any request at all. */
  async refused(form: Form, request: HttpRequest, code: ErrorCode): Promise<void> {
    const outcome = receivedIn(form, await this.#call(request));
    const text = typeof outcome === "bigint" ? "granted" : codeText(outcome);
    assert(outcome === code, `${request.path}: ${text}, must be ${codeText(code)} [LNK-9]`);
  }

  async close(): Promise<void> {
    const answer = await this.#call(closeRequest(this.linkId));
    assert(answer.status === 200, `Close is granted, not ${answer.status}`);
    await this.refused("proto", this.pollRequest("proto"), ErrorCode.LINK_UNKNOWN);
  }

  async #call(request: HttpRequest): Promise<HttpAnswer> {
    return await (await this.#kept()).call(request);
  }

  /** The connection that is kept, or a new one before the service may give it up. */
  async #kept(): Promise<HttpWire> {
    const nowMs = performance.now();
    if (nowMs - this.#usedMs > KEPT_MS) this.#http = await this.#doors.http();
    this.#usedMs = nowMs;
    return this.#http;
  }

  #isReceived(received: bigint | ErrorCode, must: number): void {
    assert(typeof received === "bigint", `a Send is answered, not ${codeOf(received)}`);
    assert(received === BigInt(must), `received through ${received}, must be ${must} [LNK-7]`);
  }
}

function codeOf(outcome: unknown): string {
  return typeof outcome === "number" ? codeText(outcome) : "something else";
}
