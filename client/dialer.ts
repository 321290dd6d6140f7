import type { ErrorCode } from "../gen/posthorn/v1/error_pb.ts";
import type { DialledLink, LinkKind } from "../protocol/link.ts";

/** The client's side: how to open links of one kind to one address. */
export interface Dialer {
  readonly kind: LinkKind;
  /** The address dialled, for logs and the remembered verdict. */
  readonly address: string;
  /**
   * Opens a link. Resolves when the transport is usable (TCP connected, WebSocket open, long poll
   * opened).
   *
   * @param owner whose the link is, the same object for each link of one device: what a link leaves
   *   behind for the next one is for the same owner alone [ENV-76]
   * @throws LinkError with a code of LINK scope when it cannot be opened; `signal`'s reason when
   *   aborted.
   */
  dial(signal: AbortSignal, owner?: object): Promise<DialledLink>;
}

/** A link could not be opened. `code` is one of LINK scope; its retry rule says what may help. */
export class LinkError extends Error {
  override readonly name = "LinkError";
  readonly code: ErrorCode;
  constructor(code: ErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}
