import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { NATIVE_CRYPTO } from "../../platform/native-crypto.ts";
import { rsaEncrypt } from "../../platform/native-rsa.ts";
import { pinText, type ServerIdentity } from "../../protocol/envelope/identity.ts";
import {
  SERVER_RANDOMNESS_BYTES,
  ServerEnvelope,
  type ServerEnvelopeEffect,
} from "../../protocol/envelope/server.ts";
import { PREFACE } from "../../protocol/sniff.ts";
import { ALL_SUITES, identityOf, POLICY } from "./pair.ts";

/** What a sealed raw link begins with. [ENV-48] */
const SEALED_PREFACE = Uint8Array.of(...PREFACE.subarray(0, -1), 2);

/**
 * A door with the envelope in front of a service without one: every sealed link becomes a raw one
 * to `targetPort`. For clients of other implementations.
 */
export class SealingFront {
  /** How each link ended, by its code. */
  readonly ends: { readonly code: number; readonly by: "us" | "peer" }[] = [];
  readonly #identity: ServerIdentity;
  readonly #targetPort: number;
  readonly #server: Server;

  /** @param hasMlDsa whether its identity has two keys */
  constructor(targetPort: number, hasMlDsa: boolean) {
    this.#targetPort = targetPort;
    this.#identity = identityOf(NATIVE_CRYPTO, "front", hasMlDsa);
    this.#server = createServer((socket) => this.#accept(socket));
  }

  get pin(): string {
    return pinText(this.#identity.serverId);
  }

  async open(): Promise<number> {
    this.#server.listen(0, "127.0.0.1");
    await once(this.#server, "listening");
    return (this.#server.address() as AddressInfo).port;
  }

  async close(): Promise<void> {
    this.#server.close();
    await once(this.#server, "close");
  }

  #accept(socket: Socket): void {
    const service = connect({ host: "127.0.0.1", port: this.#targetPort });
    service.write(PREFACE);
    const options = {
      identities: [this.#identity] as const,
      suites: ALL_SUITES,
      allowsTicketOnly: false,
      // A low limit, so that both sides have to change their keys.
      policy: { ...POLICY, rekeyRecords: 4 },
      randomness: randomBytes(SERVER_RANDOMNESS_BYTES),
    };
    const envelope = new ServerEnvelope(NATIVE_CRYPTO, options, Date.now());
    const obey = (effect: ServerEnvelopeEffect) => {
      if (effect.kind === "write") socket.write(effect.bytes);
      if (effect.kind === "frames") service.write(effect.bytes);
      if (effect.kind === "encrypt") {
        envelope.encrypted(rsaEncrypt(effect.publicKey, effect.secret), Date.now());
      }
      if (effect.kind !== "close") return;
      this.ends.push({ code: effect.because.code, by: effect.by });
      socket.end();
      service.end();
    };
    const settle = () => {
      for (let effects = envelope.effects(); effects.length > 0; effects = envelope.effects()) {
        effects.forEach(obey);
      }
    };
    let held = Buffer.alloc(0);
    let isSealed = false;
    socket.on("data", (chunk) => {
      held = Buffer.concat([held, chunk]);
      if (!isSealed && held.length < SEALED_PREFACE.length) return;
      if (!isSealed) {
        if (!held.subarray(0, SEALED_PREFACE.length).equals(SEALED_PREFACE)) socket.destroy();
        held = held.subarray(SEALED_PREFACE.length);
        isSealed = true;
      }
      envelope.received(held, Date.now());
      held = Buffer.alloc(0);
      settle();
    });
    service.on("data", (chunk) => {
      envelope.write(chunk);
      settle();
    });
    service.on("end", () => {
      envelope.close();
      settle();
    });
    socket.on("end", () => {
      envelope.ended();
      settle();
    });
    for (const end of [socket, service]) end.on("error", () => end.destroy());
  }
}
