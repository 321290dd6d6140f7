import assert from "node:assert/strict";
import { test } from "node:test";
import { drawn } from "../../fuzz/envelope/drawn.ts";
import { establishedFor, START_MS, textContent, textOf } from "../../fuzz/secure/sessions.ts";
import { withToyKem } from "../../fuzz/secure/toy-kem.ts";
import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import { SecureContentSchema } from "../../gen/posthorn/v1/secure_pb.ts";
import { NATIVE_CRYPTO } from "../../platform/native-crypto.ts";
import { NO_BYTES } from "../envelope/octets.ts";
import { encodePlain } from "../plain.ts";
import {
  encodeHeader,
  encodeMessage,
  type MessageHeader,
  parseMessage,
  taggedText,
} from "./message.ts";
import { padded } from "./padding.ts";
import { type Place, Ratchet } from "./ratchet.ts";
import { messageKeys } from "./schedule.ts";
import { SecureSession } from "./session.ts";

// The other side has the keys here, and lies: what only it can do, and what ends a session.

const CRYPTO = withToyKem(NATIVE_CRYPTO);
const KEY = { kind: "key", bytes: drawn("key", 1216) } as const;
const ANSWER = { kind: "ciphertext", bytes: drawn("answer", 1120) } as const;

let entropyCount = 0;
const at = (nowMs = START_MS) => {
  entropyCount += 1;
  return { nowMs, entropy: drawn(`contradictions ${entropyCount}`, 128) };
};

/** A side that seals what it wants. */
class Liar {
  readonly ratchet: Ratchet;
  constructor(role: "initiator" | "responder", rekeyMessages = 128) {
    const { sessionId, root } = establishedFor(role, {});
    const plan = { sessionId, role, rekeyMessages, rekeyS: 86_400 };
    this.ratchet = Ratchet.begin(CRYPTO, plan, { root, nowMs: START_MS });
  }

  next(): Place {
    return this.ratchet.next({ nowMs: START_MS, seed: drawn("seed", 32), carriesStep: false });
  }

  message(lie: Partial<MessageHeader> = {}, inner = textInner()): Uint8Array {
    const { header, messageKey } = this.next();
    const headerBytes = encodeHeader({ ...header, commitment: undefined, ...lie });
    const { key, nonce, tagKey } = messageKeys(CRYPTO, messageKey);
    const ciphertext = new Uint8Array(inner.length + 16);
    CRYPTO.aead("aes-256-gcm", key).seal({ nonce, header: headerBytes, text: inner }, ciphertext);
    const tag = CRYPTO.hmacSha512(tagKey, taggedText(headerBytes, ciphertext)).subarray(0, 32);
    return encodeMessage({ headerBytes, ciphertext, tag });
  }
}

function textInner(): Uint8Array {
  return padded(NO_BYTES, encodePlain(SecureContentSchema, textContent("text", 1))) as Uint8Array;
}

function sessionOf(role: "initiator" | "responder", rekeyMessages = 128): SecureSession {
  return new SecureSession(CRYPTO, establishedFor(role, { rekeyMessages }));
}

function assertBroken(session: SecureSession, message: Uint8Array, requirement: string): void {
  const code = ErrorCode.SECURE_RATCHET_BROKEN;
  assert.deepEqual(session.receive(message, at()), { kind: "refused", code, requirement });
  assert.equal(session.endedBy, code);
  assert.equal(session.snapshot(), undefined);
  const after = session.receive(message, at());
  assert.equal(after.kind === "refused" && after.code, ErrorCode.SECURE_NOT_OPEN);
}

test("[SEC-59] a second, different key for the same epoch ends the session", () => {
  const liar = new Liar("initiator");
  const session = sessionOf("responder");
  assert.equal(textOf(session.receive(liar.message({ step: KEY }), at())), "text");
  assert.equal(session.epoch, 2);
  assert.equal(textOf(session.receive(liar.message({ step: KEY }), at())), "text");
  const other = { kind: "key", bytes: drawn("another key", 1216) } as const;
  assertBroken(session, liar.message({ step: other }), "SEC-59");
});

test("[SEC-59] a second, different ciphertext for the same epoch ends the session", () => {
  const session = sessionOf("initiator", 1);
  const liar = new Liar("responder", 128);
  const sealed = () => session.send(textContent("text", 1), at());
  sealed();
  const sent = sealed();
  assert.ok(sent.kind === "sealed");
  // The liar answers as it should, and then says that the answer was another one.
  const place = liar.ratchet.locate({ ...headerOf(sent.message) }, START_MS);
  assert.ok(!("code" in place));
  liar.ratchet.commit(place, { nowMs: START_MS, randomness: drawn("randomness", 64) });
  assert.equal(liar.ratchet.epoch, 2);
  assert.equal(textOf(session.receive(liar.message(), at())), "text");
  assert.equal(session.epoch, 2);
  assertBroken(session, liar.message({ step: ANSWER }), "SEC-59");
});

function headerOf(message: Uint8Array): MessageHeader {
  const step = { kind: "key", bytes: message.subarray(2 + 32, 2 + 32 + 1216) } as const;
  const { sessionId } = establishedFor("initiator", {});
  return { sessionId, epoch: 1, n: 1, pn: 0, step, commitment: undefined };
}

test("[SEC-55] [SEC-59] a key out of turn, or a ciphertext that answers nothing, ends the session", () => {
  assertBroken(sessionOf("initiator"), new Liar("responder").message({ step: KEY }), "SEC-55");
  assertBroken(sessionOf("responder"), new Liar("initiator").message({ step: ANSWER }), "SEC-59");
  assertBroken(sessionOf("initiator"), new Liar("responder").message({ step: ANSWER }), "SEC-59");
});

test("[SEC-57] a key that is none of X-Wing ends the session", () => {
  const session = new SecureSession(NATIVE_CRYPTO, establishedFor("responder", {}));
  const zeros = { kind: "key", bytes: new Uint8Array(1216) } as const;
  assertBroken(session, new Liar("initiator").message({ step: zeros }), "SEC-57");
});

test("[SEC-60] an epoch that had two lengths, or fewer messages than came, ends the session", () => {
  for (const [first, second] of [
    [1, undefined],
    [2, 3],
    [9, 8],
  ] as const) {
    const session = sessionOf("responder");
    const liar = new Liar("initiator", 1);
    session.receive(liar.message(), at());
    session.receive(liar.message(), at());
    assert.equal(session.epoch, 2);
    const sent = session.send(textContent("answer", 1), at());
    const header = sent.kind === "sealed" ? parseMessage(sent.message)?.header : undefined;
    assert.ok(header !== undefined);
    const place = liar.ratchet.locate(header, START_MS);
    assert.ok(!("code" in place));
    liar.ratchet.commit(place, { nowMs: START_MS, randomness: drawn("randomness", 64) });
    const message = liar.message({ pn: first });
    if (second === undefined) {
      assertBroken(session, message, "SEC-60");
      continue;
    }
    assert.equal(textOf(session.receive(message, at())), "text");
    assertBroken(session, liar.message({ pn: second }), "SEC-60");
  }
});

test("[SEC-50] [SEC-59] who has not the epoch's keys ends nothing, whatever it says", () => {
  const session = sessionOf("responder");
  session.receive(new Liar("initiator").message({ step: KEY }), at());
  const before = session.snapshot();
  const received = session.receive(new Liar("initiator").message({ epoch: 2, pn: 1 }), at());
  assert.equal(received.kind === "refused" && received.code, ErrorCode.SECURE_TAG_INVALID);
  assert.deepEqual(session.snapshot(), before);
});

test("[SEC-49] [SEC-52] padding that is not zero is refused and changes nothing", () => {
  const session = sessionOf("responder");
  const liar = new Liar("initiator");
  const inner = textInner();
  inner[255] = 1;
  const before = session.snapshot();
  const received = session.receive(liar.message({}, inner), at());
  assert.deepEqual(received, {
    kind: "refused",
    code: ErrorCode.SECURE_MALFORMED,
    requirement: "SEC-49",
  });
  assert.deepEqual(session.snapshot(), before);
});

test("[SEC-68] content that is none is refused; its message is used up", () => {
  const session = sessionOf("responder");
  const liar = new Liar("initiator");
  const message = liar.message({}, padded(NO_BYTES, Uint8Array.of(0xff)) as Uint8Array);
  const received = session.receive(message, at());
  assert.equal(received.kind === "refused" && received.requirement, "SEC-68");
  const again = session.receive(message, at());
  assert.equal(again.kind === "refused" && again.code, ErrorCode.SECURE_REPLAYED);
  assert.equal(textOf(session.receive(liar.message(), at())), "text");
});

test("[SEC-73] a commitment to something else is refused and changes nothing", () => {
  const session = new SecureSession(CRYPTO, establishedFor("responder", { franking: true }));
  const liar = new Liar("initiator");
  const encoded = encodePlain(SecureContentSchema, textContent("text", 1));
  const inner = padded(drawn("franking key", 32), encoded) as Uint8Array;
  const before = session.snapshot();
  const received = session.receive(liar.message({ commitment: drawn("lie", 32) }, inner), at());
  assert.equal(received.kind === "refused" && received.requirement, "SEC-73");
  assert.deepEqual(session.snapshot(), before);
});
