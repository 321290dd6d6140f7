import fc from "fast-check";
import {
  ClientHelloCoreSchema,
  ClientHelloSchema,
  ServerHelloCoreSchema,
  ServerHelloSchema,
} from "../../gen/posthorn/v1/envelope_pb.ts";
import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import { NATIVE_CRYPTO } from "../../platform/native-crypto.ts";
import { LinkRsaKey } from "../../platform/native-rsa.ts";
import type { Expectation } from "../../protocol/envelope/client.ts";
import { linkSecrets, serverSignedText } from "../../protocol/envelope/key-schedule.ts";
import { clearRecord } from "../../protocol/envelope/records.ts";
import {
  isAtLeast,
  SUITE_RSA_AES128,
  SUITE_XWING_AES256,
  suiteOf,
} from "../../protocol/envelope/suites.ts";
import { decodePlain, encodePlain } from "../../protocol/plain.ts";
import { assert } from "../../protocol/violation.ts";
import { rsaKeyOfVectors } from "../envelope/drawn.ts";
import { ALL_SUITES, identityOf, Pair, POLICY, type Side } from "../envelope/pair.ts";
import { property, type Seen } from "../property.ts";

const CRYPTO = { client: NATIVE_CRYPTO, server: NATIVE_CRYPTO };
const IDENTITY = identityOf(NATIVE_CRYPTO, "service");
const IMPOSTOR = identityOf(NATIVE_CRYPTO, "impostor");
const RSA_KEY = rsaKeyOfVectors();

interface Attack {
  readonly name: string;
  readonly kind: "offers" | "broken-suite" | "policy" | "own-identity" | "borrowed-identity";
  /** What is left of the offers, in this order. */
  readonly left: readonly number[];
  readonly minSuite: number;
  readonly expects: "pinned" | "first-use" | "none";
}

/** An attacker on the wire, who may also have broken RSA. */
class Impostor {
  readonly #attack: Attack;
  #clientCore: Uint8Array = new Uint8Array(0);

  constructor(attack: Attack) {
    this.#attack = attack;
  }

  carry(record: Uint8Array, from: Side, index: number): readonly Uint8Array[] {
    const isHello = index === 0 && record[0] === (from === "client" ? 1 : 2);
    if (!isHello) return [record];
    const body = record.subarray(16);
    if (from === "client") return [clearRecord("clientHello", this.#hello(body))];
    return [clearRecord("serverHello", this.#answer(body))];
  }

  #hello(body: Uint8Array): Uint8Array {
    const hello = decodePlain(ClientHelloSchema, body);
    assert(typeof hello !== "string", "an honest hello");
    this.#clientCore = hello.core;
    const core = decodePlain(ClientHelloCoreSchema, hello.core);
    assert(typeof core !== "string", "an honest core");
    const { kind, left } = this.#attack;
    if (kind !== "offers" && kind !== "broken-suite") return body;
    const wanted = kind === "broken-suite" ? [SUITE_RSA_AES128] : left;
    const offers = wanted.flatMap((suite) => core.offers.filter((offer) => offer.suite === suite));
    const changed = encodePlain(ClientHelloCoreSchema, { ...core, offers });
    return encodePlain(ClientHelloSchema, { ...hello, core: changed });
  }

  #answer(body: Uint8Array): Uint8Array {
    const hello = decodePlain(ServerHelloSchema, body);
    assert(typeof hello !== "string", "an honest answer");
    const core = decodePlain(ServerHelloCoreSchema, hello.core);
    assert(typeof core !== "string", "an honest core");
    switch (this.#attack.kind) {
      case "broken-suite": {
        // Whoever can decrypt knows the keys, and makes a confirm for what the device believes.
        const kemSecret = new LinkRsaKey(RSA_KEY).decrypt(core.kemCiphertext);
        return this.#confirmed({ ...hello, kemSecret });
      }
      case "policy": {
        const policy = { ...POLICY, ...core.policy, lifetimeS: 1, minSuite: SUITE_RSA_AES128 };
        const changed = encodePlain(ServerHelloCoreSchema, { ...core, policy });
        return encodePlain(ServerHelloSchema, { ...hello, core: changed });
      }
      case "borrowed-identity": {
        const changed = encodePlain(ServerHelloCoreSchema, { ...core, serverKeys: IDENTITY.keys });
        const text = serverSignedText(NATIVE_CRYPTO, this.#hellos(changed));
        return this.#confirmed({ ...hello, core: changed, signature: IMPOSTOR.sign(text) });
      }
      default:
        return body;
    }
  }

  #hellos(serverCore: Uint8Array) {
    return { clientCore: this.#clientCore, binder: new Uint8Array(0), serverCore };
  }

  #confirmed(answer: {
    readonly core: Uint8Array;
    readonly signatureAlgorithm: number;
    readonly signature: Uint8Array;
    readonly serverConfirm: Uint8Array;
    readonly kemSecret?: Uint8Array | undefined;
  }): Uint8Array {
    const { core, signature, signatureAlgorithm, kemSecret } = answer;
    const input = { ...this.#hellos(core), signature, psk: undefined, kemSecret };
    const { serverConfirm } = linkSecrets(NATIVE_CRYPTO, input);
    return encodePlain(ServerHelloSchema, { core, signatureAlgorithm, signature, serverConfirm });
  }
}

function attack(input: Attack, seen: Seen): void {
  const { kind, left, minSuite } = input;
  const impostor = new Impostor(input);
  const isOther = kind === "own-identity" || kind === "borrowed-identity";
  const pair = new Pair({
    name: input.name,
    crypto: CRYPTO,
    client: { suites: [SUITE_XWING_AES256, SUITE_RSA_AES128, 3], expects: expectationOf(input) },
    server: {
      identities: [isOther ? IMPOSTOR : IDENTITY],
      policy: { ...POLICY, minSuite },
    },
    carry: (record, from, index) => impostor.carry(record, from, index),
  });
  pair.client.write(Buffer.from("password"));
  pair.settle();
  const [end] = pair.at.client.ends;
  const { link } = pair.at.client;
  seen(kind);
  const isHonest = kind === "offers" && left.join() === "2,1,3";
  const isOwn = kind === "own-identity" && input.expects !== "pinned";
  if (isHonest || (isOwn && input.expects === "none")) {
    assert(link !== undefined, "nothing was wrong that this device could see");
    assert(link.trust === input.expects || isHonest, "and it says how far it trusts [ENV-32]");
    return;
  }
  assert(link === undefined, `${kind}: the device went on [ENV-14]`);
  assert(pair.at.server.frames.length === 0, "nothing of the device was read");
  const code = end?.because.code;
  const accepted = left.some((suite) => isStrong(suite, minSuite));
  const refused = kind === "offers" ? !accepted : kind === "broken-suite" && minSuite !== 1;
  if (refused) assert(code === ErrorCode.ENVELOPE_REFUSED, `${kind}: ${code} [ENV-13]`);
  else if (kind === "own-identity") {
    assert(code === ErrorCode.SERVER_IDENTITY_CHANGED, `${kind}: ${code} [ENV-29]`);
  } else assert(code === ErrorCode.ENVELOPE_SIGNATURE_INVALID, `${kind}: ${code} [ENV-14]`);
}

function isStrong(suite: number, minSuite: number): boolean {
  const known = suiteOf(suite);
  return known !== undefined && isAtLeast(known, minSuite);
}

function expectationOf({ expects, kind }: Attack): Expectation {
  if (expects === "pinned") return { kind: "pinned", serverIds: [IDENTITY.serverId] };
  if (expects === "none") return { kind: "none" };
  const isKnown = kind === "own-identity";
  return { kind: "first-use", serverIds: isKnown ? [IDENTITY.serverId] : [] };
}

/** Somebody in between, with and without broken cryptography. */
export const envelopeImpostor = property<Attack>({
  name: "envelope-impostor",
  title:
    "[ENV-13] [ENV-14] [ENV-29] [ENV-32] whoever is not the service gets no link: not by " +
    "dropping offers, not with a broken suite, not with an identity of their own",
  smokeRuns: 60,
  kinds: ["offers", "broken-suite", "policy", "own-identity", "borrowed-identity"],
  arbitrary: fc.record({
    name: fc.string(),
    kind: fc.constantFrom("offers", "broken-suite", "policy", "own-identity", "borrowed-identity"),
    left: fc.shuffledSubarray([...ALL_SUITES], { minLength: 1 }),
    minSuite: fc.constantFrom(...ALL_SUITES),
    expects: fc.constantFrom("pinned", "first-use", "none"),
  }),
  start: (seen) => ({ check: (input) => attack(input, seen) }),
});
