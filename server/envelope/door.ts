import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import type { Policy } from "../../protocol/envelope/established.ts";
import type { ServerIdentity } from "../../protocol/envelope/identity.ts";
import type { AcceptedLink, LinkAcceptor, LinkHandler } from "../../protocol/link.ts";
import { type Violation, violation } from "../../protocol/violation.ts";
import { contentOf } from "../../protocol/whole-frames.ts";
import { isLoopback } from "../config-checks.ts";
import { refuse } from "../links/counted-links.ts";
import type { Alarms } from "../sessions/alarms.ts";
import type { TicketStore } from "../store/store.ts";
import { HandshakeBudget } from "./handshake-budget.ts";
import { SealedLink } from "./sealed-link.ts";

/** What happens below sessions, for logs. */
export interface EnvelopeObserver {
  established(link: AcceptedLink, sealed: { suite: number; linkId: Uint8Array }): void;
  /** A link that ended before it had a session; the cause is precise, and stays here. */
  refused(link: AcceptedLink, because: Violation): void;
  failed(where: string, error: unknown): void;
}

export interface EnvelopeContext {
  readonly identities: readonly [ServerIdentity, ...ServerIdentity[]];
  readonly suites: readonly number[];
  readonly policy: Policy;
  readonly allowsTicketOnly: boolean;
  /** From a record's first byte to its last. [ENV-60] */
  readonly recordMs: number;
  readonly tickets: TicketStore;
  readonly alarms: Alarms;
  readonly observer: EnvelopeObserver;
}

export interface DoorRules {
  readonly envelope: "off" | "allowed" | "required";
  /** Whether clear links of other machines are taken without TLS. */
  readonly clearLinks: boolean;
  /** For the first byte. [SES-1] */
  readonly handshakeMs: number;
}

/**
 * What every link passes first: by its first byte it is sealed or clear, and the operator decides
 * what is taken. [ENV-48] [ENV-53]
 */
export function envelopeDoor(
  rules: DoorRules,
  context: EnvelopeContext,
  accept: LinkAcceptor,
): LinkAcceptor {
  const budget = new HandshakeBudget();
  const clear = (link: AcceptedLink): LinkHandler => {
    if (takesClear(rules, link)) return accept(link);
    const why = violation(ErrorCode.ENVELOPE_REQUIRED, "ENV-53", "clear links are not taken here");
    context.observer.refused(link, why);
    return refuse(link, why);
  };
  const sealed = (link: AcceptedLink): LinkHandler => {
    const inside = new SealedLink(link, context, accept);
    if (!budget.take(link.peer, context.alarms.nowMs())) inside.refuse();
    return inside;
  };
  return (link) => {
    if (rules.envelope === "off") return clear(link);
    return new Door(link, { rules, context, clear, sealed });
  };
}

/** Whether what is not sealed is taken from there. [ENV-53] */
export function takesClear(
  { envelope, clearLinks }: Pick<DoorRules, "envelope" | "clearLinks">,
  from: { readonly peer: string; readonly isTls: boolean },
): boolean {
  if (envelope === "required") return false;
  return from.isTls || clearLinks || isLoopbackAddress(from.peer);
}

interface Ways {
  readonly rules: DoorRules;
  readonly context: EnvelopeContext;
  readonly clear: (link: AcceptedLink) => LinkHandler;
  readonly sealed: (link: AcceptedLink) => LinkHandler;
}

/** A link of which nothing has come yet. */
class Door implements LinkHandler {
  readonly #link: AcceptedLink;
  readonly #ways: Ways;
  #handler: LinkHandler | undefined;
  #cancel: () => void;

  constructor(link: AcceptedLink, ways: Ways) {
    this.#link = link;
    this.#ways = ways;
    const { alarms } = ways.context;
    const openedMs = link.openedMs ?? alarms.nowMs();
    this.#cancel = alarms.schedule(openedMs + ways.rules.handshakeMs, () => {
      const why = violation(ErrorCode.TOO_SLOW, "SES-1", "nothing came in time");
      this.#handler = refuse(this.#link, why);
    });
  }

  received(bytes: Uint8Array): void {
    if (this.#handler === undefined) {
      if (bytes.length === 0) return;
      this.#cancel();
      const { clear, sealed } = this.#ways;
      this.#handler = contentOf(bytes) === "records" ? sealed(this.#link) : clear(this.#link);
    }
    this.#handler.received(bytes);
  }

  drained(): void {
    this.#handler?.drained();
  }

  closed(code: ErrorCode, detail: string): void {
    this.#cancel();
    this.#handler?.closed(code, detail);
    if (this.#handler === undefined) {
      this.#ways.context.observer.refused(this.#link, violation(code, "", detail));
    }
  }
}

/** As sockets name them: IPv4 within IPv6 too. */
function isLoopbackAddress(peer: string): boolean {
  return isLoopback(peer.replace(/^::ffff:/, ""));
}
