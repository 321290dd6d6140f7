import type { ErrorCode } from "../gen/posthorn/v1/error_pb.ts";

/** For logs, metrics and the user's status line. No code above `links/` decides by it. */
export type LinkKind = "tcp" | "websocket" | "longpoll";

/**
 * One end of an ordered, reliable byte pipe between a client and a node. Dies with its transport;
 * knows nothing of frames' meaning. The same bytes on every kind of link: `varint length ‖ Frame`,
 * repeated. [LNK]
 */
export interface Link {
  readonly kind: LinkKind;
  /** The other end's address, for logs. */
  readonly peer: string;
  /**
   * Takes whole frames and owns the buffer from here on (the caller must not change it).
   *
   * @returns false when the link is above its high-water mark: stop producing until `drained()`.
   *   The bytes are taken all the same.
   */
  write(bytes: Uint8Array): boolean;
  /**
   * Sends what was written before, then closes. Later writes are ignored. The handler's `closed`
   * follows.
   */
  close(code: ErrorCode): void;
}

/** What a link tells its user. Called from the event loop, never from inside `write` or `close`. */
export interface LinkHandler {
  /**
   * Bytes in order, cut anywhere. The buffer is the handler's from here on: the link never changes
   * or reuses it.
   */
  received(bytes: Uint8Array): void;
  /** The link fell below its high-water mark after a `write` that returned false. */
  drained(): void;
  /** The link is gone. Called exactly once, and nothing is called after it. */
  closed(code: ErrorCode, detail: string): void;
}

/** The node's side: called once for each new link. */
export type LinkAcceptor = (link: Link) => LinkHandler;

/** A link that a client dialled and that does not read until it is started. */
export interface DialledLink extends Link {
  start(handler: LinkHandler): void;
}
