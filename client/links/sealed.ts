import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import {
  CLIENT_RANDOMNESS_BYTES,
  ClientEnvelope,
  type ClientEnvelopeEffect,
  type ClientEstablished,
} from "../../protocol/envelope/client.ts";
import type { DialledLink, LinkHandler, LinkTrust } from "../../protocol/link.ts";
import { unreachable, type Violation, violation } from "../../protocol/violation.ts";
import { type Dialer, LinkError } from "../dialer.ts";
import { discard } from "../race.ts";
import type { RsaKey, ServiceEnvelope } from "../service-envelope.ts";
import { SteadyClock } from "../steady-clock.ts";

/** The longest that a timer of JavaScript can wait. */
const TIMER_MS_MAX = 2 ** 31 - 1;

/**
 * Links of another dialler, sealed by the envelope: they are usable once the handshake is over and
 * the service is the one that is expected. Browser-safe. [ENV-16] [ENV-52]
 *
 * @param envelope shared by all diallers of one service: its pin, its tickets
 */
export function sealed(dialer: Dialer, envelope: ServiceEnvelope): Dialer {
  return {
    kind: dialer.kind,
    address: dialer.address,
    dial: async (signal, owner = envelope) => {
      if (!envelope.canOffer) throw nothingToOffer(dialer);
      // First: the service gives a transport little time, and one may turn out to be no use.
      const rsaKey = await envelope.rsaKey();
      const inner = await dialer.dial(signal);
      // What was promised may have grown meanwhile; the link must not be left open then.
      if (!envelope.canOffer) {
        discard(inner);
        throw nothingToOffer(dialer);
      }
      const link = new SealedLink(inner, { envelope, rsaKey, owner });
      const abandon = () => link.close(ErrorCode.GOODBYE);
      signal.addEventListener("abort", abandon, { once: true });
      try {
        await link.opened;
        return link;
      } catch (error) {
        signal.throwIfAborted();
        throw error;
      } finally {
        signal.removeEventListener("abort", abandon);
      }
    },
  };
}

/** This program knows no suite as strong as the service has promised to be. [ENV-77] */
function nothingToOffer({ address }: Dialer): LinkError {
  return new LinkError(ErrorCode.ENVELOPE_SUITE_REFUSED, `${address}: there is no suite to offer`);
}

/** What a link is sealed with, and for whom. */
interface Sealing {
  readonly envelope: ServiceEnvelope;
  readonly rsaKey: RsaKey | undefined;
  /** Whose tickets it uses and brings. [ENV-76] */
  readonly owner: object;
}

interface Settle {
  readonly resolve: () => void;
  readonly reject: (error: LinkError) => void;
}

class SealedLink implements DialledLink, LinkHandler {
  readonly kind: DialledLink["kind"];
  readonly peer: string;
  /** Resolves when the handshake is over; rejects with a LinkError that says why it is not. */
  readonly opened: Promise<void>;
  trust: LinkTrust = "none";
  channelBinding: Uint8Array | undefined;
  readonly #inner: DialledLink;
  readonly #sealing: Sealing;
  readonly #machine: ClientEnvelope;
  readonly #clock = new SteadyClock();
  readonly #settle: Settle;
  #established: ClientEstablished | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #handler: LinkHandler | undefined;
  /** Opened before anybody takes it. */
  #early: Uint8Array[] = [];
  #flushing = false;
  #innerFull = false;
  #paused = false;
  #closing: ErrorCode | undefined;
  #end: Violation | undefined;
  #gone: { readonly code: ErrorCode; readonly detail: string } | undefined;

  constructor(inner: DialledLink, sealing: Sealing) {
    this.kind = inner.kind;
    this.peer = inner.peer;
    this.#inner = inner;
    this.#sealing = sealing;
    const { envelope, rsaKey, owner } = sealing;
    const settle: Settle = { resolve: () => {}, reject: () => {} };
    this.opened = new Promise((resolve, reject) => Object.assign(settle, { resolve, reject }));
    this.#settle = settle;
    const randomness = new Uint8Array(CLIENT_RANDOMNESS_BYTES);
    globalThis.crypto.getRandomValues(randomness);
    const nowMs = this.#clock.nowMs();
    const offer = envelope.offer(rsaKey?.publicKey, { owner, nowMs });
    this.#machine = new ClientEnvelope(envelope.crypto, { ...offer, randomness }, nowMs);
    this.#obeyAll();
    inner.start(this);
  }

  // What the transport says.

  received(bytes: Uint8Array): void {
    this.#machine.received(bytes, this.#clock.nowMs());
    this.#obeyAll();
  }

  drained(): void {
    this.#innerFull = false;
    this.#drainIfRoom();
  }

  closed(code: ErrorCode, detail: string): void {
    this.#machine.ended();
    this.#obeyAll();
    clearTimeout(this.#timer);
    const end = this.#end ?? violation(code, "", detail);
    this.#settle.reject(new LinkError(end.code, `${this.peer}: ${end.detail || "lost"}`));
    this.#gone = { code: this.#closing ?? end.code, detail: end.detail };
    this.#tellGone();
  }

  // What the session says.

  start(handler: LinkHandler): void {
    this.#handler = handler;
    const early = this.#early;
    this.#early = [];
    queueMicrotask(() => {
      for (const bytes of early) this.#handler?.received(bytes);
      this.#tellGone();
    });
  }

  write(bytes: Uint8Array): boolean {
    if (this.#closing !== undefined || this.#machine.closed) return true;
    this.#machine.write(bytes);
    if (!this.#flushing) {
      this.#flushing = true;
      queueMicrotask(() => this.#flush());
    }
    this.#paused ||= this.#innerFull;
    return !this.#paused;
  }

  welcomed(): void {
    if (this.#established !== undefined) this.#sealing.envelope.welcomed(this.#established);
  }

  close(code: ErrorCode): void {
    if (this.#closing !== undefined) return;
    this.#closing = code;
    this.#machine.close();
    this.#obeyAll();
    this.#inner.close(code);
  }

  #flush(): void {
    this.#flushing = false;
    this.#obeyAll();
    this.#drainIfRoom();
  }

  #drainIfRoom(): void {
    if (!this.#paused || this.#innerFull) return;
    this.#paused = false;
    queueMicrotask(() => this.#handler?.drained());
  }

  #tellGone(): void {
    const handler = this.#handler;
    if (this.#gone === undefined || handler === undefined) return;
    this.#handler = undefined;
    handler.closed(this.#gone.code, this.#gone.detail);
  }

  #obeyAll(): void {
    for (const effect of this.#machine.effects()) this.#obey(effect);
    clearTimeout(this.#timer);
    const delayMs = this.#machine.deadlineMs() - this.#clock.nowMs();
    if (delayMs > TIMER_MS_MAX) return;
    this.#timer = setTimeout(
      () => {
        this.#machine.elapsed(this.#clock.nowMs());
        this.#obeyAll();
      },
      Math.max(0, delayMs),
    );
    // A link keeps no program alive; what waits for it does.
    (this.#timer as { unref?(): void }).unref?.();
  }

  #obey(effect: ClientEnvelopeEffect): void {
    const { envelope, owner } = this.#sealing;
    switch (effect.kind) {
      case "write":
        if (!this.#inner.write(effect.bytes)) this.#innerFull = true;
        return;
      case "frames":
        if (this.#handler === undefined) this.#early.push(effect.bytes);
        else this.#handler.received(effect.bytes);
        return;
      case "established":
        this.trust = effect.link.trust;
        this.channelBinding = effect.link.channelBinding;
        this.#established = effect.link;
        return this.#settle.resolve();
      case "ticket":
        return envelope.keep(effect.ticket, owner);
      case "drop-ticket":
        return envelope.drop(effect.ticketId, owner);
      case "close":
        this.#end = effect.because;
        this.#inner.close(effect.because.code);
        return;
      case "decrypt":
        void this.#decrypt(effect.ciphertext);
        return;
      default:
        unreachable(effect);
    }
  }

  async #decrypt(ciphertext: Uint8Array): Promise<void> {
    const secret = await this.#sealing.rsaKey?.decrypt(ciphertext);
    this.#machine.decrypted(secret, this.#clock.nowMs());
    this.#obeyAll();
  }
}
