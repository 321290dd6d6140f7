import { type SecureCase, secureCase } from "./cases.ts";
import { Conversation, type Role, type Saying } from "./conversation.ts";
import { type HandshakePlan, HandshakeVector, PARAMETERS, packetOf } from "./handshake-builder.ts";
import { encapsulated } from "./identity-builder.ts";

// Everything that one device drew, and everything that went over the wire: from it every plaintext
// follows. What arrives late stands where it arrived.

interface Wired {
  readonly from: Role;
  readonly packet: Uint8Array;
}

class Wire {
  readonly chat: Conversation;
  readonly handshake: HandshakeVector;
  readonly #role: Role;
  readonly #log: Wired[] = [];
  readonly #plaintexts: object[] = [];

  constructor(role: Role, plan: HandshakePlan) {
    this.#role = role;
    this.handshake = new HandshakeVector(plan);
    const { secrets, sessionId, parameters } = this.handshake;
    const name = plan.name ?? "passive";
    this.chat = new Conversation({ name, root: secrets.rk1, sessionId, parameters });
    for (const { from, packet } of this.handshake.arrivals(3)) {
      this.#log.push({ from: from === "offering" ? "initiator" : "responder", packet });
    }
  }

  /** The device of the case sends it, or receives it. */
  passed(saying: Saying, text: string): this {
    const { from, epoch, n, message } = saying;
    this.#log.push({ from, packet: packetOf({ case: "message", value: message }) });
    this.#plaintexts.push({ from, epoch, n, text });
    return this;
  }

  /** Said, sent and heard, one after another. */
  talks(from: Role, text: string): this {
    const saying = this.chat.says(from, text);
    this.chat.hears(saying).later(1000);
    return this.passed(saying, text);
  }

  /** What the device drew; an encapsulation with what came of it, for who cannot repeat it. */
  #drawn() {
    const { handshake, chat } = this;
    const isInitiator = this.#role === "initiator";
    const part = isInitiator ? "offer" : "accept";
    const randomness = handshake.drawn(
      isInitiator ? "confirm randomness" : "accept randomness",
      64,
    );
    const key = isInitiator ? handshake.accept.key : handshake.offer.key;
    const epochs = chat.epochs.flatMap((made, epoch) => {
      if (made?.answer === undefined) return [];
      // The initiator offers in odd epochs: the key of the epoch before.
      const isOffered = (epoch % 2 === 0) === isInitiator;
      return [isOffered ? { epoch, seed: made.seed } : { epoch, answer: made.answer }];
    });
    return {
      xwing_seed: handshake.drawn(`${part} seed`, 32),
      kem: { randomness, ...encapsulated(key, randomness) },
      epochs,
    };
  }

  case(name: string, description: string): SecureCase {
    const { offering, accepting } = this.handshake;
    const members = {
      role: this.#role,
      devices: { initiator: offering.device, responder: accepting.device },
      drawn: this.#drawn(),
      log: this.#log,
      plaintexts: this.#plaintexts,
    };
    const ids = "SEC-15 SEC-40 SEC-50 SEC-53 SEC-57 SEC-58";
    return secureCase([ids, `passive-${name}`, description], "passive-client", members);
  }
}

const QUICK = { ...PARAMETERS, rekey_messages: 3 };

function alternating(role: Role): SecureCase {
  const wire = new Wire(role, { name: "passive", offered: QUICK });
  for (let index = 0; index < 12; index += 1) {
    wire.talks(index % 2 === 0 ? "initiator" : "responder", `Nachricht ${index} 你好`);
  }
  const description = `A handshake and twelve messages in several epochs, at the ${role}.`;
  return wire.case(`turns-${role}`, description);
}

/** At one side: overtaken messages of two epochs, and a step that comes with the second try. */
function overtaken(role: Role): SecureCase {
  const peer = role === "initiator" ? "responder" : "initiator";
  const wire = new Wire(role, { name: "passive overtaken", offered: QUICK });
  const { chat } = wire;
  wire.talks("initiator", "one").talks("responder", "two").talks("initiator", "three");
  const texts = ["four", "five", "six", "seven"];
  const said = texts.map((text) => ({ text, saying: chat.says(peer, text) }));
  for (const at of [2, 0, 3]) {
    const { saying, text } = said[at] as (typeof said)[number];
    chat.hears(saying);
    wire.passed(saying, text);
  }
  wire.talks(role, "eight").talks(peer, "nine").talks(role, "ten").talks(peer, "eleven");
  const { saying, text } = said[1] as (typeof said)[number];
  chat.hears(saying);
  wire.passed(saying, text);
  wire.talks(role, "twelve");
  const description = `Messages that overtake each other, and a step, at the ${role}.`;
  return wire.case(`overtaken-${role}`, description);
}

export const PASSIVE: readonly SecureCase[] = [
  alternating("initiator"),
  alternating("responder"),
  overtaken("initiator"),
  overtaken("responder"),
];
