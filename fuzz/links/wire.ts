import { connect, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import { Changes } from "./changes.ts";

/** How a peer leaves: as a program ends, as a crashed machine's system answers, or in words. */
export type Leaving = "destroy" | "reset" | "finish";

/** One TCP connection to the service, from which anything may be sent. */
export class Wire {
  readonly changes: Changes;
  /** Nothing more will come. */
  ended = false;
  closed = false;
  readonly #socket: Socket;
  /** What is below TLS. */
  readonly #raw: Socket;

  /** Connects. What comes is handed to `take` as it comes. */
  static async open(
    port: number,
    take: (bytes: Buffer) => void,
    changes: Changes = new Changes(),
  ): Promise<Wire> {
    const socket = connect({ port, host: "127.0.0.1", noDelay: true, allowHalfOpen: true });
    const wire = new Wire(socket, take, changes);
    await changes.until(() => !socket.connecting, "a connection");
    return wire;
  }

  /** Connects over TLS, offering application protocols (RFC 7301). */
  static async openTls(
    port: number,
    take: (bytes: Buffer) => void,
    tls: { readonly ca: string; readonly protocols: readonly string[] },
  ): Promise<Wire> {
    const { ca, protocols } = tls;
    const raw = connect({ port, host: "127.0.0.1", noDelay: true, allowHalfOpen: true });
    const offer = protocols.length === 0 ? {} : { ALPNProtocols: [...protocols] };
    const servername = "localhost";
    const socket = connectTls({ socket: raw, servername, ca, ...offer });
    const wire = new Wire(socket, take, new Changes(), raw);
    socket.on("secureConnect", () => wire.changes.told());
    await wire.changes.until(() => socket.authorized, "a TLS handshake");
    return wire;
  }

  private constructor(
    socket: Socket,
    take: (bytes: Buffer) => void,
    changes: Changes,
    raw: Socket = socket,
  ) {
    this.#socket = socket;
    this.#raw = raw;
    this.changes = changes;
    socket.on("connect", () => changes.told());
    socket.on("data", (bytes) => {
      try {
        take(bytes);
        changes.told();
      } catch (error) {
        changes.failed(error);
      }
    });
    socket.on("error", () => {});
    socket.on("end", () => {
      this.ended = true;
      changes.told();
    });
    socket.on("close", () => {
      this.ended = true;
      this.closed = true;
      changes.told();
    });
  }

  write(bytes: Uint8Array | string): void {
    if (this.#socket.writable) this.#socket.write(bytes);
  }

  /** Writes in pieces that end at these positions, each in a turn of its own. */
  async writeCut(bytes: Uint8Array, cuts: readonly number[]): Promise<void> {
    for (const piece of piecesOf(bytes, cuts)) {
      this.write(piece);
      await new Promise<void>(setImmediate);
    }
  }

  leave(leaving: Leaving): void {
    if (leaving === "finish") this.#socket.end();
    else if (leaving === "reset") this.#raw.resetAndDestroy();
    else this.#raw.destroy();
  }

  /** The service closed its side too. */
  untilEnded(what: string): Promise<void> {
    return this.changes.until(() => this.ended, what);
  }
}

/** Bytes cut at positions that may lie anywhere, in any order. */
export function piecesOf(bytes: Uint8Array, cuts: readonly number[]): Uint8Array[] {
  const within = cuts.map((cut) => cut % (bytes.length + 1));
  const ends = [...new Set([...within, bytes.length])].sort((a, b) => a - b);
  const pieces: Uint8Array[] = [];
  let from = 0;
  for (const end of ends) {
    if (end > from) pieces.push(bytes.subarray(from, end));
    from = end;
  }
  return pieces;
}
