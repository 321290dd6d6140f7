import { Changes } from "./changes.ts";
import { HttpWire } from "./http.ts";
import { type Leaving, Wire } from "./wire.ts";

/** Where to knock, and who has: connections that are left together. */
export class Doors {
  readonly port: number;
  readonly #wires = new Set<Wire>();

  constructor(port: number) {
    this.port = port;
  }

  async wire(take: (bytes: Buffer) => void, changes?: Changes): Promise<Wire> {
    const wire = await Wire.open(this.port, take, changes);
    this.#wires.add(wire);
    return wire;
  }

  async tlsWire(
    take: (bytes: Buffer) => void,
    tls: { readonly ca: string; readonly protocols: readonly string[] },
  ): Promise<Wire> {
    const wire = await Wire.openTls(this.port, take, tls);
    this.#wires.add(wire);
    return wire;
  }

  async http(changes: Changes = new Changes()): Promise<HttpWire> {
    const http = await HttpWire.open(this.port, changes);
    this.#wires.add(http.wire);
    return http;
  }

  leaveAll(leaving: Leaving): void {
    for (const wire of this.#wires) wire.leave(leaving);
    this.#wires.clear();
  }
}
