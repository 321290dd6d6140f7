import { randomBytes } from "node:crypto";
import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import { NATIVE_CRYPTO } from "../../platform/native-crypto.ts";
import { rsaEncrypt } from "../../platform/native-rsa.ts";
import { TICKET_ID_BYTES } from "../../protocol/envelope/limits.ts";
import {
  SERVER_RANDOMNESS_BYTES,
  ServerEnvelope,
  type ServerEnvelopeEffect,
  type ServerEstablished,
} from "../../protocol/envelope/server.ts";
import type { AcceptedLink, LinkAcceptor, LinkHandler, SealedFacts } from "../../protocol/link.ts";
import { unreachable, type Violation, violation } from "../../protocol/violation.ts";
import type { Alarm } from "../sessions/alarms.ts";
import type { EnvelopeContext } from "./door.ts";

/** Above this many bytes that wait to be sealed, `write` says stop. */
const HIGH_WATER_BYTES = 256 * 1024;

/**
 * A link inside another one: what the session writes leaves sealed, what comes opened reaches it.
 * The session begins when the handshake is over.
 */
export class SealedLink implements AcceptedLink, LinkHandler {
  readonly kind: AcceptedLink["kind"];
  readonly peer: string;
  readonly isTls: boolean;
  readonly openedMs: number;
  sealed: SealedFacts | undefined;
  readonly #inner: AcceptedLink;
  readonly #context: EnvelopeContext;
  readonly #accept: LinkAcceptor;
  readonly #machine: ServerEnvelope;
  readonly #alarm: Alarm;
  #handler: LinkHandler | undefined;
  #flushing = false;
  #waitingBytes = 0;
  #innerFull = false;
  #paused = false;
  #end: Violation | undefined;
  /** The code that the session closed with. */
  #closing: ErrorCode | undefined;

  /** @param accept begins the session of the sealed link */
  constructor(inner: AcceptedLink, context: EnvelopeContext, accept: LinkAcceptor) {
    this.kind = inner.kind;
    this.peer = inner.peer;
    this.isTls = inner.isTls;
    this.openedMs = inner.openedMs ?? context.alarms.nowMs();
    this.#inner = inner;
    this.#context = context;
    this.#accept = accept;
    const { alarms, identities, suites, policy, allowsTicketOnly, recordMs } = context;
    const randomness = randomBytes(SERVER_RANDOMNESS_BYTES);
    const options = { identities, suites, policy, allowsTicketOnly, recordMs, randomness };
    this.#machine = new ServerEnvelope(NATIVE_CRYPTO, options, this.openedMs);
    this.#alarm = alarms.alarm((nowMs) => {
      this.#machine.elapsed(nowMs);
      this.#obeyAll();
    });
    this.#alarm.set(this.#machine.deadlineMs());
  }

  /** The address has had its share of handshakes: refused, as by any fault of one. [ENV-54] */
  refuse(): void {
    this.#machine.close();
    this.#obeyAll();
  }

  // What the transport says.

  received(bytes: Uint8Array): void {
    this.#machine.received(bytes, this.#context.alarms.nowMs());
    this.#obeyAll();
  }

  drained(): void {
    this.#innerFull = false;
    this.#drainIfRoom();
  }

  closed(code: ErrorCode, detail: string): void {
    this.#machine.ended();
    this.#obeyAll();
    this.#alarm.cancel();
    const handler = this.#handler;
    this.#handler = undefined;
    const end = this.#end ?? violation(code, "", detail);
    if (handler === undefined) this.#context.observer.refused(this.#inner, end);
    else handler.closed(this.#closing ?? end.code, end.detail || detail);
  }

  // What the session says.

  write(bytes: Uint8Array): boolean {
    if (this.#closing !== undefined || this.#machine.closed) return true;
    this.#machine.write(bytes);
    this.#waitingBytes += bytes.length;
    if (!this.#flushing) {
      this.#flushing = true;
      // Everything of one turn of the event loop is sealed together.
      setImmediate(() => this.#flush());
    }
    this.#paused ||= this.#innerFull || this.#waitingBytes > HIGH_WATER_BYTES;
    return !this.#paused;
  }

  close(code: ErrorCode): void {
    if (this.#closing !== undefined) return;
    this.#closing = code;
    this.#machine.close();
    this.#obeyAll();
    this.#endTransport();
  }

  /** A transport that can carry a code would tell everybody on the way why. [ENV-49] */
  #endTransport(): void {
    this.#inner.close(ErrorCode.GOODBYE);
  }

  #flush(): void {
    this.#flushing = false;
    this.#waitingBytes = 0;
    this.#obeyAll();
    this.#drainIfRoom();
  }

  #drainIfRoom(): void {
    if (!this.#paused || this.#innerFull || this.#waitingBytes > HIGH_WATER_BYTES) return;
    this.#paused = false;
    const handler = this.#handler;
    // Never from inside the session's own write.
    setImmediate(() => handler === this.#handler && handler?.drained());
  }

  #obeyAll(): void {
    for (const effect of this.#machine.effects()) this.#obey(effect);
    this.#alarm.set(this.#machine.deadlineMs());
  }

  #obey(effect: ServerEnvelopeEffect): void {
    const { tickets, alarms } = this.#context;
    switch (effect.kind) {
      case "write":
        if (!this.#inner.write(effect.bytes)) this.#innerFull = true;
        return;
      case "frames":
        this.#handler?.received(effect.bytes);
        return;
      case "established":
        return this.#established(effect.link);
      case "close":
        this.#end = effect.because;
        this.#endTransport();
        return;
      case "encrypt": {
        const ciphertext = rsaEncrypt(effect.publicKey, effect.secret);
        return this.#told(() => this.#machine.encrypted(ciphertext, alarms.nowMs()));
      }
      case "find-ticket":
        return this.#asked(tickets.find(effect.ticketId), (ticket) =>
          this.#machine.ticketFound(ticket, alarms.nowMs()),
        );
      case "take-ticket":
        return this.#asked(tickets.take(effect.ticketId), (isTaken) =>
          this.#machine.ticketTaken(isTaken, alarms.nowMs()),
        );
      case "fail-ticket":
        return tickets.failed(effect.ticketId);
      case "revoke-ticket":
        return tickets.revoke(effect.ticketId);
      case "keep-ticket":
        return tickets.keep(effect.ticket);
      default:
        unreachable(effect);
    }
  }

  /** A ticket that cannot be had is a handshake without it. [ENV-46] */
  #asked<Answer>(asking: Promise<Answer>, tell: (answer: Answer) => void): void {
    asking.then(
      (answer) => this.#told(() => tell(answer)),
      (error: unknown) => {
        this.#context.observer.failed("tickets", error);
        this.refuse();
      },
    );
  }

  #told(tell: () => void): void {
    tell();
    this.#obeyAll();
  }

  #established({ channelBinding, subject, suite, linkId }: ServerEstablished): void {
    this.sealed = {
      channelBinding,
      subject,
      issueTicket: (whose) => {
        const nowMs = this.#context.alarms.nowMs();
        this.#machine.issueTicket(whose, randomBytes(TICKET_ID_BYTES), nowMs);
        this.#obeyAll();
      },
    };
    this.#context.observer.established(this.#inner, { suite: suite.number, linkId });
    this.#handler = this.#accept(this);
  }
}
