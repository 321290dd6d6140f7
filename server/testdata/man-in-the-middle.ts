import { randomBytes } from "node:crypto";
import { NATIVE_CRYPTO } from "../../platform/native-crypto.ts";
import { Delimiter } from "../../protocol/delimit.ts";
import { CLIENT_RANDOMNESS_BYTES, ClientEnvelope } from "../../protocol/envelope/client.ts";
import type { ServerIdentity } from "../../protocol/envelope/identity.ts";
import { SERVER_RANDOMNESS_BYTES, ServerEnvelope } from "../../protocol/envelope/server.ts";
import { SUITE_XWING_AES256 } from "../../protocol/envelope/suites.ts";
import { decodeFrame, encodeFrame, type Frame, isViolation } from "../../protocol/frames.ts";
import type { DialledLink, LinkHandler, LinkKind } from "../../protocol/link.ts";

/** How links are dialled. */
interface Way {
  readonly kind: LinkKind;
  readonly address: string;
  dial(signal: AbortSignal): Promise<DialledLink>;
}

/** What somebody in between does with the frames; the first ones go through his hands alone. */
export interface Mischief {
  /** His identity: no device has pinned it. */
  readonly identity: ServerIdentity;
  /** Each frame of the device, and what he sends to the service in its place. */
  up(frame: Frame): readonly Frame[];
  /** Each frame of the service, and what he sends to the device in its place. */
  down(frame: Frame): readonly Frame[];
}

/**
 * A way whose links lead through somebody with two sealed links, one to the device and one to
 * the service, who reads and writes everything in between.
 */
export function throughMiddle(way: Way, mischief: Mischief): Way {
  const { kind, address } = way;
  return {
    kind,
    address,
    dial: async (signal) => new Middle(await way.dial(signal), mischief),
  };
}

const POLICY = {
  minSuite: SUITE_XWING_AES256,
  rekeyRecords: 1 << 20,
  rekeyBytes: 2 ** 30,
  lifetimeS: 3600,
  nextServerId: new Uint8Array(0),
};

class Middle implements DialledLink {
  readonly kind: DialledLink["kind"];
  readonly peer: string;
  readonly #inner: DialledLink;
  readonly #mischief: Mischief;
  readonly #toDevice: ServerEnvelope;
  readonly #toService: ClientEnvelope;
  readonly #ups = new Delimiter(1 << 20);
  readonly #downs = new Delimiter(1 << 20);
  #handler: LinkHandler | undefined;
  #early: Uint8Array[] = [];

  constructor(inner: DialledLink, mischief: Mischief) {
    this.kind = inner.kind;
    this.peer = inner.peer;
    this.#inner = inner;
    this.#mischief = mischief;
    const { identity } = mischief;
    const suites = [SUITE_XWING_AES256];
    this.#toDevice = new ServerEnvelope(
      NATIVE_CRYPTO,
      {
        identities: [identity],
        suites,
        policy: POLICY,
        allowsTicketOnly: false,
        randomness: randomBytes(SERVER_RANDOMNESS_BYTES),
      },
      0,
    );
    const randomness = randomBytes(CLIENT_RANDOMNESS_BYTES);
    const anybody = { suites, expects: { kind: "none" }, randomness } as const;
    this.#toService = new ClientEnvelope(NATIVE_CRYPTO, anybody, 0);
    inner.start({
      received: (bytes) => {
        this.#toService.received(bytes, 0);
        this.#turn();
      },
      drained: () => {},
      closed: (code, detail) => this.#handler?.closed(code, detail),
    });
    this.#turn();
  }

  start(handler: LinkHandler): void {
    this.#handler = handler;
    for (const bytes of this.#early.splice(0)) queueMicrotask(() => handler.received(bytes));
  }

  write(bytes: Uint8Array): boolean {
    this.#toDevice.received(bytes, 0);
    this.#turn();
    return true;
  }

  close(code: Parameters<DialledLink["close"]>[0]): void {
    this.#inner.close(code);
  }

  #turn(): void {
    for (;;) {
      const above = this.#toService.effects();
      const below = this.#toDevice.effects();
      if (above.length + below.length === 0) return;
      for (const effect of above) {
        if (effect.kind === "write") this.#inner.write(effect.bytes);
        if (effect.kind === "frames") this.#downward(effect.bytes);
      }
      for (const effect of below) {
        if (effect.kind === "write") this.#tell(effect.bytes);
        if (effect.kind === "frames") this.#upward(effect.bytes);
      }
    }
  }

  #upward(bytes: Uint8Array): void {
    for (const frame of framesIn(this.#ups, bytes, "client")) {
      for (const other of this.#mischief.up(frame)) this.#toService.write(encodeFrame(other));
    }
  }

  #downward(bytes: Uint8Array): void {
    for (const frame of framesIn(this.#downs, bytes, "server")) {
      for (const other of this.#mischief.down(frame)) this.#toDevice.write(encodeFrame(other));
    }
  }

  /** Never from inside the device's own write. */
  #tell(bytes: Uint8Array): void {
    if (this.#handler === undefined) this.#early.push(bytes);
    else setImmediate(() => this.#handler?.received(bytes));
  }
}

function framesIn(delimiter: Delimiter, bytes: Uint8Array, sender: "client" | "server"): Frame[] {
  const frames: Frame[] = [];
  delimiter.push(bytes, (from, at, end) => {
    for (const phase of ["opening", "joining", "open"] as const) {
      const frame = decodeFrame(from, { at, end }, { sender, phase });
      if (isViolation(frame)) continue;
      frames.push(frame);
      break;
    }
    return true;
  });
  return frames;
}
