import assert from "node:assert/strict";
import { test } from "node:test";
import { drawn } from "../../fuzz/envelope/drawn.ts";
import { nonZeroBytes } from "../../fuzz/secure/reachable.ts";
import {
  establishedFor,
  otherSide,
  SessionPair,
  START_MS,
  textContent,
} from "../../fuzz/secure/sessions.ts";
import { withToyKem } from "../../fuzz/secure/toy-kem.ts";
import { NATIVE_CRYPTO } from "../../platform/native-crypto.ts";
import type { CryptoProvider } from "../envelope/provider.ts";
import { SecureSession } from "./session.ts";

/** What is public and stays: session id and fingerprints. */
const PUBLIC = (() => {
  const { sessionId, own, peer } = establishedFor("initiator", {});
  return [sessionId, own, peer].map((bytes) => Array.from(bytes).join());
})();

function secretsIn(session: SecureSession): string[] {
  return nonZeroBytes(session).filter((found) => !PUBLIC.some((text) => found.endsWith(text)));
}

/** A pair with skipped keys, old chains, a key under way: everything that there can be. */
function busyPair(crypto: CryptoProvider): SessionPair {
  const pair = new SessionPair(crypto, { rekeyMessages: 3 });
  for (let index = 0; index < 60; index += 1) {
    const side = index % 4 === 0 ? "initiator" : "responder";
    const message = pair.send(side, `${index}`);
    if (index % 5 !== 0) pair.receive(otherSide(side), message);
  }
  pair.send("initiator", "under way");
  pair.send("responder", "under way");
  return pair;
}

test("[SEC-65] after the end no secret is reachable from a session", () => {
  const pair = busyPair(withToyKem(NATIVE_CRYPTO));
  const { initiator, responder } = pair.sides;
  assert.ok(secretsIn(initiator).length > 3, "the walker finds what is there");
  const close = initiator.close(pair.at()) as Uint8Array;
  assert.deepEqual(secretsIn(initiator), []);
  pair.receive("responder", close);
  assert.deepEqual(secretsIn(responder), []);

  const expired = busyPair(withToyKem(NATIVE_CRYPTO));
  expired.nowMs += 100 * 3600 * 1000;
  expired.sides.initiator.elapsed(expired.at());
  assert.deepEqual(secretsIn(expired.sides.initiator), []);
});

/** A provider that remembers every secret it was given or gave, not copies of them. */
function remembering(crypto: CryptoProvider, secrets: Uint8Array[]): CryptoProvider {
  const kept = <T extends Uint8Array | undefined>(bytes: T): T => {
    if (bytes !== undefined) secrets.push(bytes);
    return bytes;
  };
  return {
    ...crypto,
    hmacSha512: (key, bytes) => kept(crypto.hmacSha512(kept(key), bytes)),
    aead: (name, key) => crypto.aead(name, kept(key)),
    xwingDecapsulate: (ciphertext, seed) => kept(crypto.xwingDecapsulate(ciphertext, kept(seed))),
    xwingEncapsulate: (publicKey, randomness) => {
      const made = crypto.xwingEncapsulate(publicKey, randomness);
      kept(made?.secret);
      return made;
    },
  };
}

test("[SEC-41] [SEC-42] [SEC-65] every secret that was ever used is erased, roots among them", () => {
  const secrets: Uint8Array[] = [];
  const pair = busyPair(remembering(withToyKem(NATIVE_CRYPTO), secrets));
  // Under way: chain keys, a salt, a seed, skipped keys. All else is gone already.
  const alive = new Set(secrets.filter((bytes) => bytes.some((byte) => byte !== 0)));
  assert.ok(secrets.length > 1000);
  assert.ok(alive.size > 0 && alive.size < 80, `${alive.size} of ${secrets.length} are alive`);
  const message = pair.send("initiator", "to be forged");
  message[message.length - 1] = (message.at(-1) as number) ^ 1;
  assert.equal(pair.receive("responder", message).kind, "refused");
  for (const side of ["initiator", "responder"] as const) pair.sides[side].close(pair.at());
  assert.equal(secrets.filter((bytes) => bytes.some((byte) => byte !== 0)).length, 0);
});

test("[SEC-52] [SEC-58] a forged beginning of an epoch leaves nothing behind", () => {
  const secrets: Uint8Array[] = [];
  const pair = new SessionPair(remembering(withToyKem(NATIVE_CRYPTO), secrets), {
    rekeyMessages: 1,
  });
  for (const text of ["0", "1"]) pair.receive("responder", pair.send("initiator", text));
  const answer = pair.send("responder", "with a ciphertext");
  const alive = () => secrets.filter((bytes) => bytes.some((byte) => byte !== 0)).length;
  const before = alive();
  const forged = Uint8Array.from(answer);
  forged[forged.length - 1] = (forged.at(-1) as number) ^ 1;
  const seen = secrets.length;
  assert.equal(pair.receive("initiator", forged).kind, "refused");
  assert.ok(secrets.length > seen, "keys were derived");
  // The seed and the salt are given to the provider again: they stay, and count again.
  const fresh = new Set(secrets.slice(seen).filter((bytes) => bytes.some((byte) => byte !== 0)));
  assert.equal(fresh.size, 2);
  assert.ok(alive() - before <= 2);
  assert.equal(pair.receive("initiator", answer).kind, "opened");
});

test("[SEC-41] the root is erased as soon as there is a session", () => {
  const established = establishedFor("initiator", {});
  const session = new SecureSession(withToyKem(NATIVE_CRYPTO), established);
  assert.ok(session.open);
  assert.ok(established.root.every((byte) => byte === 0));
});

test("[SEC-42] a state that is stolen opens nothing that was opened before", () => {
  const crypto = withToyKem(NATIVE_CRYPTO);
  const pair = new SessionPair(crypto, { rekeyMessages: 4 });
  const wire: Uint8Array[] = [];
  for (let index = 0; index < 30; index += 1) {
    const side = index % 3 === 0 ? "responder" : "initiator";
    const message = pair.send(side, `${index}`);
    if (side === "initiator") wire.push(message);
    assert.equal(pair.receive(otherSide(side), message).kind, "opened");
  }
  const thief = SecureSession.restore(crypto, pair.sides.responder.snapshot() as Uint8Array);
  assert.ok(thief !== undefined);
  for (const message of wire) assert.equal(thief.receive(message, pair.at()).kind, "refused");
});

test("[SEC-75] a session says nothing of itself to logs and to copies", () => {
  const session = new SecureSession(NATIVE_CRYPTO, establishedFor("initiator", {}));
  session.send(textContent("a secret text", START_MS), {
    nowMs: START_MS,
    entropy: drawn("entropy", 128),
  });
  assert.equal(JSON.stringify(session), "{}");
  assert.equal(String(session), "[object Object]");
  assert.deepEqual(structuredClone(session), {});
});
