import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";

const HOST = "127.0.0.1";
const HEAD_END = Buffer.from("\r\n\r\n");

/** A listener on the cable: below every transport, it keeps every byte of every connection. */
export class Wiretap {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  /** One for each direction of each connection. */
  readonly #streams: Buffer[][] = [];

  private constructor(servicePort: number) {
    this.#server = createServer({ noDelay: true }, (near) => {
      const far = connect({ port: servicePort, host: HOST, noDelay: true });
      this.#listen(near, far);
      this.#listen(far, near);
    });
  }

  static async open(servicePort: number): Promise<Wiretap> {
    const tap = new Wiretap(servicePort);
    await once(tap.#server.listen(0, HOST), "listening");
    return tap;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** All that was heard: each direction as it went by, and what is in the messages of WebSocket. */
  get heard(): Buffer[] {
    const streams = this.#streams.map((chunks) => Buffer.concat(chunks));
    return [...streams, ...streams.map(payloadsIn)];
  }

  /** Ends every connection that there is. */
  cut(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  async close(): Promise<void> {
    this.cut();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #listen(from: Socket, to: Socket): void {
    const chunks: Buffer[] = [];
    this.#streams.push(chunks);
    this.#sockets.add(from);
    from.on("data", (chunk) => {
      chunks.push(chunk);
      to.write(chunk);
    });
    from.on("end", () => to.end());
    from.on("error", () => to.destroy());
    from.on("close", () => {
      this.#sockets.delete(from);
      to.destroy();
    });
  }
}

/** What the messages of a WebSocket carry: a browser's are masked (RFC 6455 §5.3). */
function payloadsIn(stream: Buffer): Buffer {
  const parts: Buffer[] = [];
  const head = stream.indexOf(HEAD_END);
  let at = head < 0 ? stream.length : head + HEAD_END.length;
  while (at + 2 <= stream.length) {
    const [, second = 0] = stream.subarray(at, at + 2);
    const short = second & 0x7f;
    const lengthBytes = short === 126 ? 2 : short === 127 ? 6 : 0;
    // Of eight bytes the upper two are zero here.
    const lengthAt = at + (short === 127 ? 4 : 2);
    if (lengthAt + lengthBytes > stream.length) break;
    const length = lengthBytes === 0 ? short : stream.readUIntBE(lengthAt, lengthBytes);
    const maskBytes = second >= 0x80 ? 4 : 0;
    const from = lengthAt + lengthBytes + maskBytes;
    const mask = stream.subarray(from - maskBytes, from);
    const payload = stream.subarray(from, from + length);
    parts.push(payload.map((byte, index) => byte ^ (mask[index % 4] ?? 0)) as Buffer);
    at = from + length;
  }
  return Buffer.concat(parts);
}
