import assert from "node:assert/strict";
import { type Members, same, testVectors } from "../../fuzz/secure/vector-reader.ts";
import { SecureContentSchema } from "../../gen/posthorn/v1/secure_pb.ts";
import type { CryptoProvider } from "../envelope/provider.ts";
import { decodePlain } from "../plain.ts";
import { type ReadPacket, readPacket } from "./handshake.ts";
import { decodeDevice, deviceFingerprint, isComposite, type SignedPurpose } from "./identity.ts";
import { type MessageHeader, parseMessage, taggedText } from "./message.ts";
import { unpadded } from "./padding.ts";
import {
  chainKey,
  confirmTag,
  handshakeRoot,
  messageKey,
  messageKeys,
  nextChainKey,
  nextRoot,
  nextRootSalt,
  SECURE_LABEL,
  secureHash,
  sessionRoot,
} from "./schedule.ts";

// Whoever has what one device drew, and has recorded everything, reads everything.

type Kind<Name> = Extract<ReadPacket, { readonly kind: Name }>;

/** @returns the session's id and its first root */
function firstRoot(of: Members, packets: readonly ReadPacket[], crypto: CryptoProvider) {
  const [offer, accept, confirm] = packets as [Kind<"offer">, Kind<"accept">, Kind<"confirm">];
  const heard = [offer.coreBytes, offer.signature, accept.coreBytes, accept.signature];
  const hash = (items: readonly Uint8Array[]) => secureHash(crypto, SECURE_LABEL, items);
  const verify = (role: string, purpose: SignedPurpose, count: number) => {
    const device = of.object("devices").bytes(role);
    const keys = decodeDevice(device)?.keys;
    const signature = heard[count] as Uint8Array;
    const signed = { purpose, meant: hash(heard.slice(0, count)), signature };
    assert.ok(keys !== undefined && isComposite(crypto, keys, signed));
    const { fromDevice } = (purpose === "offer" ? offer : accept).core;
    same(deviceFingerprint(crypto, device), fromDevice, "from_device");
  };
  verify("initiator", "offer", 1);
  verify("responder", "accept", 3);
  const drawn = of.object("drawn");
  const isInitiator = of.text("role") === "initiator";
  const opened = (isInitiator ? accept : confirm).core.ciphertext;
  const agreed = crypto.xwingDecapsulate(opened, drawn.bytes("xwing_seed"));
  assert.ok(agreed !== undefined);
  const made = drawn.object("kem").bytes("secret");
  const th2s = hash(heard);
  const handshake = handshakeRoot(crypto, th2s, isInitiator ? agreed : made);
  const tag = confirmTag(crypto, { root: handshake, role: "responder", transcript: th2s });
  same(tag, accept.tag, "the accept's tag");
  const transcript = hash([...heard, tag, confirm.coreBytes]);
  const secret = isInitiator ? made : agreed;
  const root = sessionRoot(crypto, { handshake, transcript, secret });
  const last = confirmTag(crypto, { root, role: "initiator", transcript });
  same(last, confirm.tag, "the confirm's tag");
  return { sessionId: offer.core.sessionId, root };
}

class Listener {
  readonly #crypto: CryptoProvider;
  readonly #epochs: readonly Members[];
  readonly #sessionId: Uint8Array;
  readonly #roots = new Map<number, Uint8Array>();
  readonly #keys = new Map<number, Uint8Array>();

  constructor(of: Members, packets: readonly ReadPacket[], crypto: CryptoProvider) {
    const { sessionId, root } = firstRoot(of, packets, crypto);
    this.#crypto = crypto;
    this.#epochs = of.object("drawn").list("epochs");
    this.#sessionId = sessionId;
    this.#roots.set(1, root);
  }

  #rootOf({ epoch, step }: MessageHeader): Uint8Array {
    const known = this.#roots.get(epoch);
    if (known !== undefined) return known;
    const drawn = this.#epochs.find((one) => one.number("epoch") === epoch);
    const [ratchetKey, before] = [this.#keys.get(epoch - 1), this.#roots.get(epoch - 1)];
    assert.ok(drawn && ratchetKey && before && step?.kind === "ciphertext", `epoch ${epoch}`);
    const secret = drawn.has("seed_hex")
      ? this.#crypto.xwingDecapsulate(step.bytes, drawn.bytes("seed"))
      : drawn.object("answer").bytes("secret");
    assert.ok(secret !== undefined);
    const salt = nextRootSalt(this.#crypto, before, epoch);
    const [sessionId, ciphertext] = [this.#sessionId, step.bytes];
    const input = { salt, sessionId, epoch, ratchetKey, ciphertext, secret };
    const root = nextRoot(this.#crypto, input);
    this.#roots.set(epoch, root);
    return root;
  }

  /** @returns what is said, and where */
  hear(from: string, message: Uint8Array) {
    const crypto = this.#crypto;
    const parsed = parseMessage(message);
    assert.ok(parsed !== undefined);
    const { header, headerBytes, ciphertext: text, tag } = parsed;
    const { epoch, n, step } = header;
    const root = this.#rootOf(header);
    const direction = from === "initiator" ? "i2r" : "r2i";
    let chain = chainKey(crypto, { root, direction, epoch });
    for (let at = 0; at < n; at += 1) chain = nextChainKey(crypto, chain, at);
    const { key, nonce, tagKey } = messageKeys(crypto, messageKey(crypto, chain, n));
    const expected = crypto.hmacSha512(tagKey, taggedText(headerBytes, text)).subarray(0, 32);
    same(expected, tag, "TAG");
    const inner = crypto.aead("aes-256-gcm", key).open({ nonce, header: headerBytes, text });
    const content = inner && unpadded(inner);
    const said = content && decodePlain(SecureContentSchema, content);
    assert.ok(said !== undefined && typeof said !== "string" && said.kind.case === "text");
    if (step?.kind === "key") this.#keys.set(epoch, step.bytes);
    return { from, epoch, n, text: said.kind.value };
  }
}

function checkPassive(of: Members, crypto: CryptoProvider): void {
  const log = of.list("log").map((wired) => {
    const packet = readPacket(wired.bytes("packet"));
    assert.ok(!("code" in packet));
    return { from: wired.text("from"), packet };
  });
  const packets = log.map(({ packet }) => packet);
  const listener = new Listener(of, packets, crypto);
  const found = log.slice(3).map(({ from, packet }) => {
    assert.equal(packet.kind, "message");
    return packet.kind === "message" ? listener.hear(from, packet.message) : undefined;
  });
  const wanted = of.list("plaintexts").map((plain) => ({
    from: plain.text("from"),
    epoch: plain.number("epoch"),
    n: plain.number("n"),
    text: plain.text("text"),
  }));
  assert.deepEqual(found, wanted);
}

testVectors(["passive-client"], { "passive-client": checkPassive });
