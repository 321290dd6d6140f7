import type { RequestListener } from "node:http";
import {
  constants,
  createServer,
  type Http2Server,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from "node:http2";
import type { Duplex } from "node:stream";

/** Requests of one connection at a time. [SVC-10] */
export const STREAMS_MAX = 100;
const HEADER_BYTES_MAX = 16 * 1024;
/** A connection without a request for this long is closed. [SVC-10] */
export const HTTP2_IDLE_MS = 60_000;

export interface Http2Times {
  /** Without a request. */
  readonly idleMs?: number;
  /** Without anything moving on a request. */
  readonly quietMs: number;
}

/** Serves HTTP/2 on sockets that others have opened. [LNK-3] */
export class Http2Entrance {
  readonly #server: Http2Server;

  constructor(answer: RequestListener, { idleMs = HTTP2_IDLE_MS, quietMs }: Http2Times) {
    this.#server = createServer({
      settings: {
        maxConcurrentStreams: STREAMS_MAX,
        maxHeaderListSize: HEADER_BYTES_MAX,
        enablePush: false,
      },
      // Streams beyond the limit, and frames that are none, before a connection is given up.
      maxSessionRejectedStreams: STREAMS_MAX,
      maxSessionInvalidFrames: STREAMS_MAX,
      // What a connection may hold in all, in MB.
      maxSessionMemory: 4,
    });
    // Node gives HTTP/2's requests the form of HTTP/1.1's (its Compatibility API).
    this.#server.on("request", answer as never);
    this.#server.on("session", (session) => watchIdle(session, idleMs));
    this.#server.on("stream", (stream) => {
      stream.setTimeout(quietMs, () => stream.close(constants.NGHTTP2_CANCEL));
    });
    // A peer that breaks its own connection has nobody to be told but itself.
    this.#server.on("sessionError", () => {});
  }

  accept(socket: Duplex): void {
    // No client waits for answers on a connection that it has ended.
    socket.once("end", () => socket.destroy());
    this.#server.emit("connection", socket);
  }

  close(): void {
    this.#server.close();
  }
}

/** Closes a connection that has no streams for some time. */
function watchIdle(session: ServerHttp2Session, idleMs: number): void {
  let count = 0;
  let idle: NodeJS.Timeout | undefined;
  const wait = () => {
    idle = setTimeout(() => session.close(), idleMs);
    idle.unref();
  };
  wait();
  session.on("stream", (stream: ServerHttp2Stream) => {
    clearTimeout(idle);
    count += 1;
    stream.once("close", () => {
      count -= 1;
      if (count === 0 && !session.closed) wait();
    });
  });
  session.once("close", () => clearTimeout(idle));
}
