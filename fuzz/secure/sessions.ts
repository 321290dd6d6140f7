import type { CryptoProvider } from "../../protocol/envelope/provider.ts";
import type { EstablishedSecure, SecureContentPlain } from "../../protocol/secure/established.ts";
import {
  type Moment,
  SESSION_ENTROPY_BYTES,
  type SecureReceived,
  SecureSession,
} from "../../protocol/secure/session.ts";
import { drawn } from "../envelope/drawn.ts";

export const START_MS = 1_800_000_000_000;
export type Side = "initiator" | "responder";

export interface SessionPairOptions {
  readonly rekeyMessages?: number;
  readonly rekeyS?: number;
  readonly lifetimeS?: number;
  readonly franking?: boolean;
}

/** What a handshake would have handed to one of two sides. */
export function establishedFor(
  role: Side,
  { rekeyMessages = 32, rekeyS = 600, lifetimeS = 86_400, franking = false }: SessionPairOptions,
): EstablishedSecure {
  const devices = [drawn("initiator's device", 32), drawn("responder's device", 32)] as const;
  const [own, peer] = role === "initiator" ? devices : [devices[1], devices[0]];
  const parameters = { rekeyMessages, rekeyS, lifetimeS, franking };
  const sessionId = drawn("session id", 16);
  const root = drawn("root", 64);
  return { sessionId, role, root, own, peer, parameters, establishedMs: START_MS };
}

/** Two sides of a session that was established, one clock, and chance that repeats itself. */
export class SessionPair {
  readonly sides: Record<Side, SecureSession>;
  nowMs = START_MS;
  /** What was drawn so far, which is for the caller of a session to erase. */
  readonly entropies: Uint8Array[] = [];
  readonly #name: string;
  #drawn = 0;

  constructor(crypto: CryptoProvider, options: SessionPairOptions = {}, name = "pair") {
    this.#name = name;
    this.sides = {
      initiator: new SecureSession(crypto, establishedFor("initiator", options)),
      responder: new SecureSession(crypto, establishedFor("responder", options)),
    };
  }

  at(): Moment {
    this.#drawn += 1;
    const entropy = drawn(`${this.#name} ${this.#drawn}`, SESSION_ENTROPY_BYTES);
    this.entropies.push(entropy);
    return { nowMs: this.nowMs, entropy };
  }

  /** Seals a text; throws when it is refused. */
  send(side: Side, text: string): Uint8Array {
    const sent = this.sides[side].send(textContent(text, this.nowMs), this.at());
    if (sent.kind === "sealed") return sent.message;
    throw new Error(`not sent: ${sent.code}`);
  }

  receive(side: Side, message: Uint8Array): SecureReceived {
    return this.sides[side].receive(message, this.at());
  }
}

export function textContent(text: string, sentMs: number): SecureContentPlain {
  return { sentMs, lifetimeS: 0, kind: { case: "text", value: text } };
}

/** The text that was opened; undefined for anything else. */
export function textOf(received: SecureReceived): string | undefined {
  if (received.kind === "refused" || received.content.kind.case !== "text") return undefined;
  return received.content.kind.value;
}

export function otherSide(side: Side): Side {
  return side === "initiator" ? "responder" : "initiator";
}
