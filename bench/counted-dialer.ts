import type { Dialer } from "../client/dialer.ts";
import type { DialledLink, LinkHandler, LinkKind } from "../protocol/link.ts";

/** Counts what the links of another dialler bring. */
export class CountedDialer implements Dialer {
  readonly kind: LinkKind;
  readonly address: string;
  readonly #inner: Dialer;
  receivedBytes = 0;

  constructor(inner: Dialer) {
    this.#inner = inner;
    this.kind = inner.kind;
    this.address = inner.address;
  }

  async dial(signal: AbortSignal, owner?: object): Promise<DialledLink> {
    const link = await this.#inner.dial(signal, owner);
    return {
      kind: link.kind,
      peer: link.peer,
      write: (bytes) => link.write(bytes),
      close: (code) => link.close(code),
      start: (handler: LinkHandler) => {
        link.start({
          received: (bytes) => {
            this.receivedBytes += bytes.length;
            handler.received(bytes);
          },
          drained: () => handler.drained(),
          closed: (code, detail) => handler.closed(code, detail),
        });
      },
    };
  }
}
