import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";

/** A relay on loopback that cuts connections at a byte: whatever transport runs through it. */
export class FaultProxy {
  readonly #server: Server;
  readonly #targetPort: number;
  readonly #pairs = new Set<{ readonly near: Socket; readonly far: Socket }>();
  #budget = Number.POSITIVE_INFINITY;
  cutCount = 0;

  constructor(targetPort: number) {
    this.#targetPort = targetPort;
    this.#server = createServer({ noDelay: true }, (near) => this.#relay(near));
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  async listen(): Promise<void> {
    await new Promise<void>((resolve) => this.#server.listen(0, "127.0.0.1", resolve));
  }

  /**
   * Lets so many more bytes through, in both directions together, then cuts every connection there
   * and then.
   */
  cutAfter(byteCount: number): void {
    this.#budget = byteCount;
  }

  /**
   * Cuts what is there, without waiting for bytes; changes nothing while there is no connection.
   */
  cutNow(): void {
    if (this.#pairs.size === 0) return;
    this.#budget = Number.POSITIVE_INFINITY;
    this.cutCount += 1;
    this.#cut();
  }

  async close(): Promise<void> {
    this.#cut();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }

  #relay(near: Socket): void {
    const far = connect({ port: this.#targetPort, host: "127.0.0.1", noDelay: true });
    const pair = { near, far };
    this.#pairs.add(pair);
    const end = () => {
      this.#pairs.delete(pair);
      near.destroy();
      far.destroy();
    };
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      from.on("data", (chunk: Buffer) => this.#pass(chunk, to));
      from.on("error", end);
      from.on("close", end);
    }
  }

  #pass(chunk: Buffer, to: Socket): void {
    if (chunk.length <= this.#budget) {
      this.#budget -= chunk.length;
      to.write(chunk);
      return;
    }
    // The part before the cut arrives: a frame or a response ends in its middle.
    to.write(chunk.subarray(0, this.#budget), () => this.#cut());
    this.#budget = Number.POSITIVE_INFINITY;
    this.cutCount += 1;
  }

  #cut(): void {
    for (const { near, far } of this.#pairs) {
      near.destroy();
      far.destroy();
    }
    this.#pairs.clear();
  }
}
