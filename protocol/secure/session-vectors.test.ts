import assert from "node:assert/strict";
import {
  type Members,
  nameOfCode,
  parametersOf,
  Refusal,
  same,
  testVectors,
} from "../../fuzz/secure/vector-reader.ts";
import { SecureContentSchema } from "../../gen/posthorn/v1/secure_pb.ts";
import { NOBLE_CRYPTO } from "../envelope/noble.ts";
import type { CryptoProvider } from "../envelope/provider.ts";
import { decodePlain } from "../plain.ts";
import type { SecureContentPlain } from "./established.ts";
import { type Moment, SESSION_ENTROPY_BYTES, SecureSession } from "./session.ts";

/** Where a session looks for what it draws. */
function momentOf(step: Members): Moment {
  const entropy = new Uint8Array(SESSION_ENTROPY_BYTES).fill(0xee);
  if (step.has("answer")) entropy.set(step.object("answer").bytes("randomness"));
  const seals = ["seals", "closes", "replies"].find((name) => step.has(name));
  if (seals !== undefined) {
    const sealing = step.object(seals);
    if (sealing.has("seed_hex")) entropy.set(sealing.bytes("seed"), 64);
    if (sealing.has("franking_key_hex")) entropy.set(sealing.bytes("franking_key"), 96);
  }
  return { nowMs: step.number("at_ms"), entropy };
}

function contentOf(bytes: Uint8Array): SecureContentPlain {
  const content = decodePlain(SecureContentSchema, bytes);
  assert.ok(typeof content !== "string");
  return content;
}

function seal(session: SecureSession, step: Members): void {
  const sealing = step.object("seals");
  const sent = session.send(contentOf(sealing.bytes("content")), momentOf(step));
  assert.equal(sent.kind, "sealed");
  if (sent.kind === "sealed") same(sent.message, sealing.bytes("message"), "message");
}

function close(session: SecureSession, step: Members): void {
  const message = session.close(momentOf(step));
  assert.ok(message !== undefined);
  same(message, step.object("closes").bytes("message"), "close");
}

/** @returns what it is refused with, if so */
function receive(session: SecureSession, step: Members): string | undefined {
  const before = session.snapshot();
  const received = session.receive(step.bytes("message"), momentOf(step));
  if (received.kind === "refused") {
    const isTold = ["SEC-68", "SEC-55", "SEC-57", "SEC-59", "SEC-60", "SEC-64"].includes(
      received.requirement,
    );
    if (!isTold) assert.deepEqual(session.snapshot(), before, "nothing has changed [SEC-52]");
    return nameOfCode(received.code);
  }
  const { content, position, reply } = received;
  const opens = step.object("opens");
  assert.deepEqual(content, contentOf(opens.bytes("content")));
  const { epoch, n } = position;
  assert.deepEqual([epoch, n], [opens.number("epoch"), opens.number("n")]);
  assert.equal(reply !== undefined, step.has("replies"));
  if (reply !== undefined) same(reply, step.object("replies").bytes("message"), "reply");
  return undefined;
}

function checkSession(of: Members, crypto: CryptoProvider): void {
  const session = new SecureSession(crypto, {
    sessionId: of.bytes("session_id"),
    role: of.text("role") === "initiator" ? "initiator" : "responder",
    root: of.bytes("root"),
    own: new Uint8Array(32),
    peer: new Uint8Array(32),
    parameters: parametersOf(of.object("parameters")),
    establishedMs: of.number("established_ms"),
  });
  for (const [index, step] of of.list("steps").entries()) {
    if (step.has("seals")) seal(session, step);
    else if (step.has("closes")) close(session, step);
    else {
      const code = receive(session, step);
      // The last message of a case that is refused: the case says with what.
      if (code !== undefined && !step.has("fails")) throw new Refusal(code);
      assert.equal(code, step.has("fails") ? step.text("fails") : undefined, `step ${index}`);
    }
  }
}

testVectors(["chat-messages", "chat-ratchet", "franking"], { session: checkSession }, [
  NOBLE_CRYPTO,
]);
