import type { Dialer } from "../../client/dialer.ts";
import { sealed } from "../../client/links/sealed.ts";
import { nodeEnvelope } from "../../client/node.ts";
import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import { errorRule } from "../../gen/posthorn/v1/error_rules.ts";
import { NATIVE_CRYPTO } from "../../platform/native-crypto.ts";
import { ServerIdentity } from "../../protocol/envelope/identity.ts";
import { SUITE_RSA_AES128, SUITES } from "../../protocol/envelope/suites.ts";
import type { AcceptedLink, LinkHandler } from "../../protocol/link.ts";
import type { EnvelopeContext } from "../../server/envelope/door.ts";
import { SealedLink } from "../../server/envelope/sealed-link.ts";
import { Alarms } from "../../server/sessions/alarms.ts";
import type { Attack, RelayedLink } from "./relay.ts";

/**
 * A full man in the middle: to devices a service with an identity of its own, to the service a
 * device that takes anybody. What it can read it passes on, and keeps.
 */
export class Impostor {
  readonly identity: ServerIdentity;
  /** What it could read, from either side. */
  readonly read: Uint8Array[] = [];
  /** How devices ended its links before they had a session. */
  readonly codes: string[] = [];
  readonly #service: Dialer;
  readonly #alarms = new Alarms({ nowMs: () => Math.floor(performance.now()) });
  readonly #fronts = new WeakMap<RelayedLink, LinkHandler>();

  /** @param service the way to the true service */
  constructor(service: Dialer, seed: number) {
    const key = new Uint8Array(32).fill(seed);
    this.#service = sealed(service, nodeEnvelope({ trust: "none" }));
    this.identity = new ServerIdentity(NATIVE_CRYPTO, {
      ed25519: NATIVE_CRYPTO.ed25519Key(key),
      mlDsa65: NATIVE_CRYPTO.mlDsa65Key(key),
    });
  }

  /** Takes the service's place on the links of a relay. */
  get attack(): Attack {
    return ({ link, bytes }) => {
      const known = this.#fronts.get(link);
      const front = known ?? this.#begin(link);
      this.#fronts.set(link, front);
      front.received(bytes.slice());
    };
  }

  /** Everything that it could read, as one text. */
  get text(): Buffer {
    return Buffer.concat(this.read);
  }

  close(): void {
    this.#alarms.close();
  }

  #begin(link: RelayedLink): LinkHandler {
    const device: AcceptedLink = {
      kind: "tcp",
      peer: "somewhere",
      isTls: false,
      write: (bytes) => {
        link.send("device", bytes);
        return true;
      },
      close: () => link.end("device"),
    };
    link.onEnd = () => front.closed(ErrorCode.LINK_LOST, "");
    const front = new SealedLink(device, this.#context, (inside) => this.#passOn(inside));
    return front;
  }

  /** A device has been taken in: everything goes on to the service, on a link of the impostor's. */
  #passOn(device: AcceptedLink): LinkHandler {
    const back = this.#service.dial(new AbortController().signal);
    const withBack = (use: (link: Awaited<typeof back>) => void) => void back.then(use);
    withBack((link) =>
      link.start({
        received: (bytes) => {
          this.read.push(bytes);
          device.write(bytes);
        },
        drained: () => {},
        closed: (code) => device.close(code),
      }),
    );
    return {
      received: (bytes) => {
        this.read.push(bytes);
        withBack((link) => link.write(bytes.slice()));
      },
      drained: () => {},
      closed: () => withBack((link) => link.close(ErrorCode.GOODBYE)),
    };
  }

  get #context(): EnvelopeContext {
    return {
      identities: [this.identity],
      suites: SUITES.map(({ number }) => number),
      policy: {
        minSuite: SUITE_RSA_AES128,
        rekeyRecords: 2 ** 20,
        rekeyBytes: 2 ** 30,
        lifetimeS: 3_600,
        nextServerId: new Uint8Array(0),
      },
      allowsTicketOnly: false,
      recordMs: 30_000,
      tickets: {
        keep: () => {},
        find: async () => undefined,
        take: async () => false,
        failed: () => {},
        revoke: () => {},
      },
      alarms: this.#alarms,
      observer: {
        established: () => {},
        refused: (_, { code }) => void this.codes.push(errorRule(code).name),
        failed: () => {},
      },
    };
  }
}
