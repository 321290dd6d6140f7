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

/** A link that came to a node. */
export interface AcceptedLink extends Link {
  /** Whether TLS is below it: nobody but its ends can read or change it. */
  readonly isTls: boolean;
  /**
   * When it opened, by the node's clock: all times of its beginning count from there, whatever came
   * first. Without it, when it is accepted. [ENV-61]
   */
  readonly openedMs?: number | undefined;
  /** What the envelope says of it; undefined for a link that is not sealed. */
  readonly sealed?: SealedFacts | undefined;
}

/** What a sealed link is known by, once its handshake is over. */
export interface SealedFacts {
  /** What logins are bound to. [ENV-35] */
  readonly channelBinding: Uint8Array;
  /** Whose ticket resumed it; nobody else may log in on it. [ENV-45] */
  readonly subject: string | undefined;
  /** It is known whose the link is: gives the device a way to come back. [ENV-42] */
  issueTicket(subject: string): void;
}

/** The node's side: called once for each new link. */
export type LinkAcceptor = (link: AcceptedLink) => LinkHandler;

/**
 * How far a device may trust a link that is sealed. "pinned": it was told whom to expect; "none":
 * safe against listeners only. [ENV-32]
 */
export type LinkTrust = "pinned" | "seen-before" | "first-seen" | "none";

/** A link that a client dialled and that does not read until it is started. */
export interface DialledLink extends Link {
  /** Undefined for a link that is not sealed. */
  readonly trust?: LinkTrust;
  /** What logins are bound to on a sealed link. [ENV-35] */
  readonly channelBinding?: Uint8Array | undefined;
  start(handler: LinkHandler): void;
  /**
   * The service has welcomed the device, and answered its login if there was one: what the link
   * taught of it may be kept. Absent where there is nothing to keep. [ENV-73]
   *
   * @throws an error with the code that ends the client
   */
  welcomed?(): void;
}
