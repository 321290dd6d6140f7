import assert from "node:assert/strict";
import {
  derived,
  keysOf,
  type Members,
  Refusal,
  refusedBy,
  same,
  testVectors,
  type VectorCheck,
} from "../../fuzz/secure/vector-reader.ts";
import { NO_BYTES } from "../envelope/octets.ts";
import type { CryptoProvider } from "../envelope/provider.ts";
import { frankingCommitment, verifyReport } from "./franking.ts";
import {
  accountFingerprint,
  decodeDevice,
  deviceFingerprint,
  encodeDevice,
  readCertificate,
} from "./identity.ts";
import { encodeHeader, encodeMessage, parseMessage, taggedText } from "./message.ts";
import { isBucket, padded, unpadded } from "./padding.ts";
import { judgeSafetyCode, safetyCode, safetyNumber } from "./safety-number.ts";
import {
  type ChainDirection,
  chainKey,
  confirmTag,
  expandSecret,
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

const CHECKS: Readonly<Record<string, VectorCheck>> = {
  "expand-sha512": (of, crypto) => {
    const [label, context, length] = [of.text("label"), of.bytes("context"), of.number("length")];
    const secret = of.bytes("secret");
    derived(of, "out", expandSecret(crypto, { secret, label, context, length }));
  },
  "transcript-sha512": (of, crypto) =>
    derived(of, "out", secureHash(crypto, of.text("label"), of.hexes("messages"))),
  padded: (of) => {
    const bytes = of.number("content_bytes");
    // Nobody has that many.
    const content = new Uint8Array(Math.min(bytes, 100_000));
    const inner = padded(new Uint8Array(of.flag("franking") ? 32 : 0), content);
    if (inner === undefined) throw new Refusal("MESSAGE_TOO_LARGE");
    assert.equal(inner.length, of.number("inner_bytes"));
  },
  "inner-text": (of) => {
    const inner = of.bytes("inner");
    const begin = of.flag("franking") ? 32 : 0;
    const content = isBucket(inner.length) ? unpadded(inner.subarray(begin)) : undefined;
    if (content === undefined) throw new Refusal("SECURE_MALFORMED");
    same(content, of.bytes("content"), "content");
    const key = of.bytesOr("franking_key", NO_BYTES);
    same(padded(key, content) ?? NO_BYTES, inner, "inner");
  },
  device: (of, crypto) => {
    const device = decodeDevice(of.bytes("device"));
    if (device === undefined) throw new Refusal("CERTIFICATE_INVALID");
    assert.deepEqual([device.userId, device.deviceId], [of.text("user_id"), of.text("device_id")]);
    same(encodeDevice({ ...device, keys: keysOf(of) }), of.bytes("device"), "device");
    same(deviceFingerprint(crypto, of.bytes("device")), of.bytes("fingerprint"), "fingerprint");
  },
  account: (of, crypto) =>
    same(accountFingerprint(crypto, keysOf(of)), of.bytes("fingerprint"), "fingerprint"),
  certificate: (of, crypto) => {
    const certificate = { core: of.bytes("core"), signature: of.bytes("signature") };
    const account = keysOf(of.object("account"));
    const expected = { account, userId: of.text("user_id"), nowMs: of.number("now_ms") };
    const read = readCertificate(crypto, certificate, expected);
    if ("code" in read) throw refusedBy(read);
    const certified = of.object("certified");
    assert.equal(read.deviceId, certified.text("device_id"));
    assert.equal(read.createdMs, certified.number("created_ms"));
    assert.equal(read.expiresMs, certified.number("expires_ms"));
    same(read.fingerprint, certified.bytes("fingerprint"), "fingerprint");
  },
  "safety-number": (of, crypto) => {
    const digits = safetyNumber(crypto, accountOf(of, "own"), accountOf(of, "peer"));
    if (digits !== of.text("digits")) throw new Refusal("MISTAKE");
  },
  "safety-code": (of, crypto) => {
    const [own, peer] = [accountOf(of, "own"), accountOf(of, "peer")];
    same(safetyCode(crypto, own, peer), of.bytes("shows"), "code");
    const verdict = judgeSafetyCode(crypto, of.bytes("scanned"), { own, peer });
    assert.equal(verdict, of.text("verdict"));
  },
  "chat-schedule": (of, crypto) => {
    const secrets = of.object("secrets");
    const names = ["offer", "offer_signature", "accept", "accept_signature"];
    const heard = names.map((name) => of.bytes(name));
    const th2s = secureHash(crypto, SECURE_LABEL, heard);
    const rk0 = handshakeRoot(crypto, th2s, secrets.bytes("z1"));
    const tagR = confirmTag(crypto, { root: rk0, role: "responder", transcript: th2s });
    const th3 = secureHash(crypto, SECURE_LABEL, [...heard, tagR, of.bytes("confirm")]);
    const rk1 = sessionRoot(crypto, {
      handshake: rk0,
      transcript: th3,
      secret: secrets.bytes("z2"),
    });
    const tagI = confirmTag(crypto, { root: rk1, role: "initiator", transcript: th3 });
    for (const [name, ours] of Object.entries({ th2s, rk0, tag_r: tagR, th3, rk1, tag_i: tagI })) {
      same(ours, secrets.bytes(name), name);
    }
  },
  chain: (of, crypto) => {
    const direction = of.text("direction") as ChainDirection;
    let chain = chainKey(crypto, { root: of.bytes("root"), direction, epoch: of.number("epoch") });
    let n = 0;
    for (const keys of of.list("keys")) {
      for (; n < keys.number("n"); n += 1) chain = nextChainKey(crypto, chain, n);
      same(chain, keys.bytes("chain"), "chain");
      same(messageKey(crypto, chain, n), keys.bytes("message_key"), "message_key");
      checkKeys(keys, crypto);
    }
  },
  message: (of, crypto) => {
    const { key, nonce, tagKey } = checkKeys(of, crypto);
    const parsed = parseMessage(of.bytes("message"));
    assert.ok(parsed !== undefined);
    const { header, headerBytes, ciphertext, tag } = parsed;
    same(encodeHeader(header), of.bytes("header"), "header");
    const text = of.bytes("inner");
    const sealed = new Uint8Array(text.length + 16);
    crypto.aead("aes-256-gcm", key).seal({ nonce, header: headerBytes, text }, sealed);
    same(sealed, of.bytes("ciphertext"), "ciphertext");
    const mac = crypto.hmacSha512(tagKey, taggedText(headerBytes, ciphertext));
    same(mac.subarray(0, 32), of.bytes("tag"), "tag");
    same(encodeMessage({ headerBytes, ciphertext, tag }), of.bytes("message"), "message");
  },
  salamander: (of, crypto) => {
    const [header, text] = [of.bytes("header"), of.bytes("ciphertext")];
    const tags = of.list("keys").map((one) => {
      const { key, nonce, tagKey } = messageKeys(crypto, one.bytes("message_key"));
      assert.ok(crypto.aead("aes-256-gcm", key).open({ nonce, header, text }) !== undefined);
      const mac = crypto.hmacSha512(tagKey, taggedText(header, text)).subarray(0, 32);
      same(mac, one.bytes("tag"), "tag");
      return Buffer.from(mac).toString("hex");
    });
    assert.equal(new Set(tags).size, 2);
  },
  epochs: (of, crypto) => {
    let root = of.bytes("root");
    for (const epoch of of.list("epochs")) {
      const number = epoch.number("epoch");
      const ratchetKey = crypto.xwingPublicKey(epoch.bytes("ratchet_seed"));
      same(ratchetKey, epoch.bytes("ratchet_key"), "ratchet_key");
      const ciphertext = epoch.bytes("ciphertext");
      const secret = crypto.xwingDecapsulate(ciphertext, epoch.bytes("ratchet_seed"));
      assert.ok(secret !== undefined);
      same(secret, epoch.bytes("secret"), "secret");
      const salt = nextRootSalt(crypto, root, number);
      same(salt, epoch.bytes("salt"), "salt");
      const sessionId = of.bytes("session_id");
      const input = { salt, sessionId, epoch: number, ratchetKey, ciphertext, secret };
      root = nextRoot(crypto, input);
      derived(epoch, "root", root);
      for (const direction of ["i2r", "r2i"] as const) {
        const chain = chainKey(crypto, { root, direction, epoch: number });
        same(chain, epoch.object("chains").bytes(direction), direction);
      }
    }
  },
  report: (of, crypto) => {
    const [commitment, stamp] = [of.bytes("commitment"), of.bytes("stamp")];
    const content = { key: of.bytes("franking_key"), inner: of.bytes("inner"), commitment };
    const parties = { from: of.bytes("from"), to: of.bytes("to"), timeMs: of.number("time_ms") };
    const delivery = { commitment, ...parties };
    const report = { content, delivery, stamp };
    if (!verifyReport(crypto, of.bytes("service_key"), report)) throw new Refusal("REPORT");
    same(frankingCommitment(crypto, content.key, content.inner), commitment, "commitment");
  },
};

function accountOf(of: Members, name: string) {
  const account = of.object(name);
  return { userId: account.text("user_id"), keys: keysOf(account) };
}

function checkKeys(of: Members, crypto: CryptoProvider) {
  const keys = messageKeys(crypto, of.bytes("message_key"));
  same(keys.key, of.bytes("enc"), "enc");
  same(keys.nonce, of.bytes("nonce"), "nonce");
  same(keys.tagKey, of.bytes("tag_key"), "tag_key");
  return keys;
}

testVectors(
  [
    "expand-label",
    "transcript",
    "padding",
    "device-identity",
    "chat-handshake",
    "chat-messages",
    "chat-ratchet",
    "franking",
  ],
  CHECKS,
);
