import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { WatchedCrypto } from "../../fuzz/envelope/watched-crypto.ts";
import { otherSide, SessionPair, type Side, textOf } from "../../fuzz/secure/sessions.ts";
import { withToyKem } from "../../fuzz/secure/toy-kem.ts";
import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import { NATIVE_CRYPTO } from "../../platform/native-crypto.ts";
import { SecureSession } from "./session.ts";

// Two sides and a network that loses, repeats, overtakes and changes. To see a case again, give
// `seed` and `path` as they were printed.

type Command =
  | { readonly kind: "send"; readonly side: Side }
  | { readonly kind: "deliver" | "repeat" | "lose"; readonly to: Side; readonly index: number }
  | { readonly kind: "garble"; readonly to: Side; readonly index: number; readonly bit: number }
  | { readonly kind: "store"; readonly side: Side }
  | { readonly kind: "wait"; readonly minutes: number };

const side = fc.constantFrom<Side>("initiator", "responder");
const index = fc.nat(5);
const command = fc.oneof(
  { weight: 8, arbitrary: fc.record({ kind: fc.constant("send" as const), side }) },
  {
    weight: 8,
    arbitrary: fc.record({ kind: fc.constant("deliver" as const), to: side, index }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constantFrom("repeat" as const, "lose" as const),
      to: side,
      index,
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant("garble" as const), to: side, index, bit: fc.nat() }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("store" as const), side }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("wait" as const), minutes: fc.nat(40) }) },
) satisfies fc.Arbitrary<Command>;

class Network {
  readonly #watched = new WatchedCrypto(withToyKem(NATIVE_CRYPTO));
  readonly pair: SessionPair;
  readonly wire: Record<Side, Uint8Array[]> = { initiator: [], responder: [] };
  /** By receiver: what was sent, and how often it was opened. */
  readonly #sent: Record<Side, Map<string, number>> = {
    initiator: new Map(),
    responder: new Map(),
  };
  #count = 0;

  constructor(rekeyMessages: number) {
    this.pair = new SessionPair(this.#watched.provider, { rekeyMessages, lifetimeS: 604_800 });
  }

  run(step: Command): void {
    switch (step.kind) {
      case "send":
        return this.send(step.side);
      case "store": {
        const state = this.pair.sides[step.side].snapshot() as Uint8Array;
        const restored = SecureSession.restore(this.#watched.provider, state);
        assert.deepEqual(restored?.snapshot(), state);
        this.pair.sides[step.side] = restored as SecureSession;
        return;
      }
      case "wait":
        this.pair.nowMs += step.minutes * 60_000;
        for (const one of ["initiator", "responder"] as const) {
          assert.deepEqual(this.pair.sides[one].elapsed(this.pair.at()), []);
        }
        return;
      default:
        return this.#hand(step);
    }
  }

  send(from: Side): void {
    this.#count += 1;
    const text = `${from} ${this.#count}`;
    this.#sent[otherSide(from)].set(text, 0);
    this.wire[otherSide(from)].push(this.pair.send(from, text));
  }

  /** @returns whether it was opened */
  deliver(to: Side, message: Uint8Array): boolean {
    const received = this.pair.receive(to, message);
    if (received.kind === "refused") {
      const legal = [ErrorCode.SECURE_OUT_OF_WINDOW, ErrorCode.SECURE_REPLAYED] as ErrorCode[];
      assert.ok(legal.includes(received.code), `refused with ${received.code}`);
      return false;
    }
    if (received.reply !== undefined) this.wire[otherSide(to)].push(received.reply);
    const text = textOf(received);
    if (text === undefined) return true;
    assert.equal(this.#sent[to].get(text), 0, `${text} was sent, and opened for the first time`);
    this.#sent[to].set(text, 1);
    return true;
  }

  #hand(step: Extract<Command, { to: Side }>): void {
    const wire = this.wire[step.to];
    const at = step.index % Math.max(1, wire.length);
    const message = wire[at];
    if (message === undefined) return;
    if (step.kind === "garble") return this.#garble(step.to, message, step.bit);
    if (step.kind !== "repeat") wire.splice(at, 1);
    if (step.kind !== "lose") this.deliver(step.to, message);
  }

  #garble(to: Side, message: Uint8Array, bit: number): void {
    const before = this.pair.sides[to].snapshot();
    const changed = Uint8Array.from(message);
    const at = bit % (message.length * 8);
    changed[at >> 3] = (changed[at >> 3] as number) ^ (1 << (at % 8));
    assert.equal(this.pair.receive(to, changed).kind, "refused");
    assert.deepEqual(this.pair.sides[to].snapshot(), before);
  }

  /** Everything that is still under way, then what the sides have to say to each other. */
  settle(): void {
    for (let round = 0; round < 40; round += 1) {
      for (const from of ["initiator", "responder"] as const) {
        this.send(from);
        this.#flush();
        const { initiator, responder } = this.pair.sides;
        if (round > 0 && initiator.epoch === responder.epoch && this.#bothOpen()) return;
      }
    }
    assert.fail("the epochs do not meet");
  }

  /** Whether what both say now is opened, in whatever epoch they say it. */
  #bothOpen(): boolean {
    return (["initiator", "responder"] as const).every((from) => {
      this.send(from);
      const message = this.wire[otherSide(from)].pop() as Uint8Array;
      return this.deliver(otherSide(from), message);
    });
  }

  #flush(): void {
    for (const to of ["initiator", "responder"] as const) {
      for (const message of this.wire[to].splice(0)) this.deliver(to, message);
    }
  }
}

test("[SEC-42] [SEC-51] [SEC-52] [SEC-54] [SEC-58] any network: once, as sent, and epochs meet", () => {
  fc.assert(
    fc.property(
      fc.array(command, { minLength: 1, maxLength: 120, size: "max" }),
      fc.integer({ min: 1, max: 6 }),
      (commands, rekeyMessages) => {
        const network = new Network(rekeyMessages);
        for (const step of commands) network.run(step);
        network.settle();
      },
    ),
    { seed: 41, numRuns: Number(process.env.SECURE_RUNS ?? 150) },
  );
});

test("[SEC-58] in order and without loss every message opens, whoever speaks when", () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(side, fc.boolean()), { maxLength: 150, size: "max" }),
      fc.integer({ min: 1, max: 6 }),
      (turns, rekeyMessages) => {
        const network = new Network(rekeyMessages);
        for (const [who, sends] of turns) {
          if (sends) {
            network.send(who);
            continue;
          }
          const message = network.wire[who].shift();
          if (message !== undefined) assert.ok(network.deliver(who, message));
        }
      },
    ),
    { seed: 42, numRuns: Number(process.env.SECURE_RUNS ?? 150) },
  );
});

test("[SEC-58] [SEC-62] an epoch lasts as many messages as agreed and one round trip", () => {
  for (const rekeyMessages of [1, 2, 8, 32, 128]) {
    const pair = new SessionPair(withToyKem(NATIVE_CRYPTO), { rekeyMessages });
    let since = 0;
    let epoch = 1;
    for (let count = 0; count < 600; count += 1) {
      const from = count % 2 === 0 ? "initiator" : "responder";
      assert.notEqual(
        textOf(pair.receive(otherSide(from), pair.send(from, `${count}`))),
        undefined,
      );
      since += 1;
      if (pair.sides.initiator.epoch !== epoch) {
        epoch = pair.sides.initiator.epoch;
        since = 0;
      }
      assert.ok(since <= rekeyMessages + 4, `${since} messages in epoch ${epoch}`);
    }
  }
});
