import type { Dialer } from "../../client/dialer.ts";
import type { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import { Delimiter } from "../../protocol/delimit.ts";
import { encodeFrame, type Frame, type FrameContents } from "../../protocol/frames.ts";
import type { DialledLink, LinkHandler } from "../../protocol/link.ts";
import { frameIn } from "../sim/frame-reader.ts";

/** What a service that lies makes of what it says; everything about sequences stays as it is. */
export interface Lies {
  /** An encoded Event of a Deliver. */
  event(event: Uint8Array): Uint8Array;
  /** The response of a call. */
  reply(call: FrameContents["call"], response: Uint8Array): Uint8Array;
}

/** A way to a service, with whoever runs that service at the frames. */
export function evilDialer({ kind, address, dial }: Dialer, lies: Lies): Dialer {
  return { kind, address, dial: async (signal) => new EvilLink(await dial(signal), lies) };
}

/** A clear link whose frames are read in both directions and changed in one. */
class EvilLink implements DialledLink {
  readonly kind: DialledLink["kind"];
  readonly peer: string;
  readonly #link: DialledLink;
  readonly #lies: Lies;
  readonly #fromDevice = new Delimiter(Number.MAX_SAFE_INTEGER);
  readonly #fromService = new Delimiter(Number.MAX_SAFE_INTEGER);
  readonly #calls = new Map<number, FrameContents["call"]>();

  constructor(link: DialledLink, lies: Lies) {
    this.kind = link.kind;
    this.peer = link.peer;
    this.#link = link;
    this.#lies = lies;
  }

  start(handler: LinkHandler): void {
    this.#link.start({
      received: (bytes) => {
        const out: Uint8Array[] = [];
        this.#fromService.push(bytes, (from, at, end) => {
          out.push(this.#said(frameIn(from, { at, end }, "server")));
          return true;
        });
        if (out.length > 0) handler.received(Uint8Array.from(Buffer.concat(out)));
      },
      drained: () => handler.drained(),
      closed: (code, detail) => handler.closed(code, detail),
    });
  }

  write(bytes: Uint8Array): boolean {
    this.#fromDevice.push(bytes, (from, at, end) => {
      const frame = frameIn(from, { at, end }, "client");
      if (frame.kind === "call") this.#calls.set(frame.value.id, frame.value);
      return true;
    });
    return this.#link.write(bytes);
  }

  close(code: ErrorCode): void {
    this.#link.close(code);
  }

  #said({ kind, value }: Frame): Uint8Array {
    if (kind === "deliver") {
      // What a lie takes the place of may have had a number in a conversation.
      const event = this.#lies.event(value.event);
      return encodeFrame({ kind, value: { ...value, conversationSeq: 0, event } });
    }
    const call = kind === "reply" ? this.#calls.get(value.id) : undefined;
    if (kind !== "reply" || call === undefined) return encodeFrame({ kind, value });
    this.#calls.delete(value.id);
    return encodeFrame({
      kind,
      value: { ...value, response: this.#lies.reply(call, value.response) },
    });
  }
}
