import assert from "node:assert/strict";
import { createPrivateKey } from "node:crypto";
import { globSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { describe, test } from "node:test";
import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import { NATIVE_CRYPTO } from "../../platform/native-crypto.ts";
import { LinkRsaKey } from "../../platform/native-rsa.ts";
import { isSignedBy, parsePin, pinText, serverIdOf } from "../../protocol/envelope/identity.ts";
import {
  binderOf,
  expandLabel,
  ticketSecret,
  trafficKey,
} from "../../protocol/envelope/key-schedule.ts";
import { isLoginAnswer, isLoginOf } from "../../protocol/envelope/login.ts";
import { NOBLE_CRYPTO } from "../../protocol/envelope/noble.ts";
import { paddedBytes } from "../../protocol/envelope/padding.ts";
import type { AeadName, CryptoProvider } from "../../protocol/envelope/provider.ts";
import {
  decodeHeader,
  encodeHeader,
  HEADER_BYTES,
  RecordReader,
} from "../../protocol/envelope/records.ts";
import { rsaModulusBytes } from "../../protocol/envelope/rsa-key.ts";
import { type Opened, Opener } from "../../protocol/envelope/sealing.ts";
import { transcriptHash } from "../../protocol/envelope/transcript.ts";
import type { Violation } from "../../protocol/violation.ts";
import { codeText } from "../sim/frame-text.ts";
import { drawsItself, type LinkVector, runLink, type VectorSide } from "./link-bench.ts";

// Reads spec/vectors/envelope/ as a stranger would: nothing of the generator is used.

type Failure = string;

interface Vector {
  readonly name: string;
  readonly requirements: readonly string[];
  readonly kind: string;
  readonly expect: "valid" | { readonly fails: Failure };
  // What the schema says of each kind.
  readonly [member: string]: unknown;
}

/** What a vector has, by name; bytes are hexadecimal. */
class Given {
  readonly #vector: Vector;
  readonly crypto: CryptoProvider;

  constructor(vector: Vector, crypto: CryptoProvider) {
    this.#vector = vector;
    this.crypto = crypto;
  }

  bytes(name: string): Uint8Array {
    return bytes(this.text(`${name}_hex`));
  }

  text(name: string): string {
    const value = this.#vector[name];
    assert.ok(typeof value === "string", `${name} is a text`);
    return value;
  }

  number(name: string): number {
    const value = this.#vector[name];
    assert.ok(typeof value === "number", `${name} is a number`);
    return value;
  }

  list<Item>(name: string): readonly Item[] {
    return this.#vector[name] as readonly Item[];
  }

  /** Of bytes that come out in valid cases: whether they are those of the vector. */
  is(name: string, ours: Uint8Array): boolean {
    return hexOf(ours) === this.text(`${name}_hex`);
  }

  get link(): LinkVector {
    return this.#vector as unknown as LinkVector;
  }

  get isValid(): boolean {
    return this.#vector.expect === "valid";
  }
}

/** The class that a vector fails with, any one of several where a check cannot tell; else valid. */
type Verdict = "valid" | readonly Failure[];

const confirmed = (isRight: boolean): Verdict => (isRight ? "valid" : ["confirm"]);

const JUDGES: Readonly<Record<string, (given: Given) => Verdict>> = {
  expand: (given) => {
    const [secret, context] = [given.bytes("secret"), given.bytes("context")];
    const expansion = {
      secret,
      context,
      label: given.text("label"),
      length: given.number("length"),
    };
    return confirmed(given.is("out", expandLabel(given.crypto, expansion)));
  },
  transcript: (given) => {
    const messages = given.list<string>("messages_hex").map(bytes);
    return confirmed(given.is("out", transcriptHash(given.crypto, given.text("label"), messages)));
  },
  padding: (given) => {
    assert.equal(paddedBytes(given.number("content_bytes")), given.number("inner_bytes"));
    return "valid";
  },
  inner: judgeInner,
  seal: judgeSeal,
  open: judgeOpen,
  stream: judgeStream,
  "rsa-decrypt": (given) => {
    const key = new LinkRsaKey(privateKeyOf(given.text("private_key_hex")));
    const secret = key.decrypt(given.bytes("ciphertext"));
    if (secret?.length !== 32) return ["kem"];
    assert.ok(given.is("secret", secret));
    return "valid";
  },
  "rsa-key": (given) =>
    rsaModulusBytes(given.bytes("public_key")) === undefined ? ["policy"] : "valid",
  "xwing-encapsulate": judgeEncapsulate,
  "xwing-decapsulate": judgeDecapsulate,
  signature: (given) => {
    const keys = { ed25519: given.bytes("ed25519"), mlDsa65: given.bytes("ml_dsa_65") };
    const algorithm = given.number("algorithm");
    const signed = { text: given.bytes("text"), algorithm, signature: given.bytes("signature") };
    return isSignedBy(given.crypto, keys, signed) ? "valid" : ["signature"];
  },
  pin: (given) => {
    const keys = { ed25519: given.bytes("ed25519"), mlDsa65: given.bytes("ml_dsa_65") };
    const serverId = serverIdOf(given.crypto, keys);
    assert.ok(given.is("server_id", serverId));
    assert.equal(pinText(serverId), given.text("text"));
    return judgePinText(given);
  },
  "pin-text": judgePinText,
  login: (given) => {
    const login = {
      channelBinding: given.bytes("channel_binding"),
      account: given.text("account"),
      deviceId: given.text("device_id"),
      signature: given.bytes("signature"),
    };
    return isLoginOf(given.crypto, given.bytes("public_key"), login) ? "valid" : ["signature"];
  },
  "login-answer": (given) => {
    const registrationSecret = given.bytes("registration_secret");
    const secret = { registrationSecret, channelBinding: given.bytes("channel_binding") };
    return confirmed(isLoginAnswer(given.crypto, secret, given.bytes("mac")));
  },
  ticket: (given) => {
    const [resumption, id] = [given.bytes("resumption"), given.bytes("ticket_id")];
    return confirmed(given.is("psk", ticketSecret(given.crypto, resumption, id)));
  },
  binder: (given) =>
    confirmed(given.is("binder", binderOf(given.crypto, given.bytes("psk"), given.bytes("core")))),
  link: judgeLink,
};

function judgePinText(given: Given): Verdict {
  const read = parsePin(given.text("text"));
  if ("code" in read) return ["parse"];
  assert.ok(given.is("server_id", read));
  return "valid";
}

function judgeEncapsulate(given: Given): Verdict {
  const { crypto } = given;
  const randomness = given.isValid ? given.bytes("randomness") : new Uint8Array(64).fill(7);
  const agreed = crypto.xwingEncapsulate(given.bytes("public_key"), randomness);
  if (agreed === undefined) return ["kem"];
  // The native one draws ML-KEM's half itself, so that only decapsulation can be compared.
  const own = crypto.xwingDecapsulate(agreed.ciphertext, given.bytes("seed"));
  assert.deepEqual(hexOf(own ?? randomness), hexOf(agreed.secret));
  if (crypto === NOBLE_CRYPTO) assert.ok(given.is("ciphertext", agreed.ciphertext));
  return judgeDecapsulate(given);
}

function judgeDecapsulate(given: Given): Verdict {
  const seed = given.bytes("seed");
  assert.ok(given.is("public_key", given.crypto.xwingPublicKey(seed)));
  const secret = given.crypto.xwingDecapsulate(given.bytes("ciphertext"), seed);
  if (secret === undefined) return ["kem"];
  assert.ok(given.is("secret", secret));
  return "valid";
}

function judgeSeal(given: Given): Verdict {
  const inner = given.bytes("inner");
  const epoch = given.number("epoch");
  const seq = Number(given.text("seq"));
  const header = encodeHeader({ type: "sealed", epoch, seq, bodyBytes: inner.length + 16 });
  const aead = given.crypto.aead(given.text("aead") as AeadName, given.bytes("key"));
  const body = new Uint8Array(inner.length + 16);
  const nonce = given.bytes("nonce");
  aead.seal({ nonce, header, text: inner }, body);
  assert.ok(given.is("record", Buffer.concat([header, body])));
  assert.ok(given.is("inner", aead.open({ nonce, header, text: body }) ?? nonce));
  return "valid";
}

function openerOf(given: Given, secret: Uint8Array, aead: AeadName): Opener {
  const limits = { records: given.number("rekey_records"), bytes: given.number("rekey_bytes") };
  return new Opener(given.crypto, { aead, secret, limits });
}

/** A record as the reader would have handed it on. */
function open(opener: Opener, record: Uint8Array): Opened | Violation {
  const header = record.subarray(0, HEADER_BYTES);
  const read = decodeHeader(header);
  if ("code" in read) return read;
  return opener.open({ ...read, header, body: record.subarray(HEADER_BYTES) });
}

const TYPE_NAMES: Readonly<Record<string, string>> = { keyUpdate: "key_update" };

function judgeOpen(given: Given): Verdict {
  const records = given.list<string>("records_hex").map(bytes);
  const opens = given.list<{ readonly type: string; readonly content_hex: string }>("opens");
  const opener = openerOf(given, given.bytes("secret"), given.text("aead") as AeadName);
  for (const [at, record] of records.entries()) {
    const opened = open(opener, record);
    if ("code" in opened) {
      assert.equal(at, records.length - 1, `record ${at} opens`);
      return classesOf(opened);
    }
    const { type, content } = opened;
    const said = { type: TYPE_NAMES[type] ?? type, content_hex: hexOf(content) };
    assert.deepEqual(said, opens[at]);
  }
  return "valid";
}

/** An inner text on its own: sealed honestly, then opened. */
function judgeInner(given: Given): Verdict {
  const { crypto } = given;
  const inner = given.bytes("inner");
  const secret = new Uint8Array(32).fill(1);
  const { aead, iv } = trafficKey(crypto, "aes-256-gcm", secret);
  const bodyBytes = inner.length + 16;
  const header = encodeHeader({ type: "sealed", epoch: 1, seq: 0, bodyBytes });
  const record = new Uint8Array(HEADER_BYTES + bodyBytes);
  record.set(header);
  aead.seal({ nonce: iv, header, text: inner }, record.subarray(HEADER_BYTES));
  const limits = { records: 2 ** 20, bytes: 2 ** 30 };
  const opened = open(new Opener(crypto, { aead: "aes-256-gcm", secret, limits }), record);
  if ("code" in opened) return classesOf(opened);
  assert.equal(TYPE_NAMES[opened.type] ?? opened.type, given.text("type"));
  assert.ok(given.is("content", opened.content));
  return "valid";
}

function judgeStream(given: Given): Verdict {
  const stream = given.bytes("stream");
  let verdict: Verdict = "valid";
  for (const piece of [stream.length, 1, 2, 7, 16]) {
    const reader = new RecordReader();
    const records: string[] = [];
    let fault: Violation | undefined;
    for (let at = 0; at < stream.length && fault === undefined; at += piece) {
      fault = reader.push(stream.slice(at, at + piece), ({ header, body }) => {
        records.push(hexOf(Buffer.concat([header, body])));
        return true;
      });
    }
    assert.deepEqual(records, given.list("records_hex"), `cut every ${piece} bytes`);
    verdict = fault === undefined ? "valid" : classesOf(fault);
  }
  return verdict;
}

function judgeLink(given: Given): Verdict {
  const { link } = given;
  const { judge, odd, secrets } = link;
  const sides: readonly VectorSide[] = judge === undefined ? ["device", "service"] : [judge];
  let verdict: Verdict = "valid";
  for (const side of sides.filter((one) => one !== odd)) {
    if (given.crypto !== NOBLE_CRYPTO && drawsItself(link, side)) continue;
    const { written, frames, channelBinding, ends } = runLink(link, side, given.crypto);
    const own = link.records.filter(({ from }) => from === side);
    assert.deepEqual(
      written,
      own.map(({ record_hex }) => record_hex),
    );
    const told = link.records.flatMap(({ from, opens }) =>
      from !== side && opens?.type === "frames" ? [opens.content_hex] : [],
    );
    assert.deepEqual(frames, told);
    assert.equal(ends.length, 1);
    if (judge !== undefined) verdict = classesOf(ends[0] as Violation);
    else {
      assert.equal(ends[0]?.code, ErrorCode.GOODBYE);
      assert.equal(channelBinding, secrets?.channel_binding_hex);
    }
  }
  return verdict;
}

/** What our codes and requirements are called in vectors. */
const CLASSES: Readonly<Record<string, readonly Failure[]>> = {
  "ENVELOPE_MALFORMED ENV-3": ["parse"],
  "ENVELOPE_MALFORMED ENV-4": ["parse"],
  "ENVELOPE_MALFORMED ENV-11": ["order"],
  "ENVELOPE_MALFORMED ENV-12": ["parse"],
  "ENVELOPE_MALFORMED ENV-16": ["parse"],
  "ENVELOPE_MALFORMED ENV-18": ["parse"],
  "ENVELOPE_SUITE_REFUSED ENV-13": ["policy"],
  "ENVELOPE_DOWNGRADED ENV-34": ["policy"],
  "SERVER_IDENTITY_CHANGED ENV-29": ["policy"],
  "ENVELOPE_SIGNATURE_INVALID ENV-14": ["signature"],
  "ENVELOPE_KEY_INVALID ENV-21": ["policy"],
  "ENVELOPE_KEY_INVALID ENV-25": ["kem"],
  "ENVELOPE_CONFIRM_INVALID ENV-17": ["confirm"],
  "ENVELOPE_CONFIRM_INVALID ENV-18": ["confirm"],
  "ENVELOPE_RECORD_INVALID ENV-5": ["aead", "tag"],
  "ENVELOPE_RECORD_INVALID ENV-6": ["order", "replay"],
  "ENVELOPE_RECORD_INVALID ENV-8": ["padding", "parse"],
  "ENVELOPE_LIMIT_REACHED ENV-38": ["policy"],
};

function classesOf({ code, requirement, detail }: Violation): readonly Failure[] {
  const classes = CLASSES[`${codeText(code)} ${requirement}`];
  assert.ok(classes !== undefined, `${codeText(code)} ${requirement}: ${detail}`);
  return classes;
}

function privateKeyOf(hex: string) {
  return createPrivateKey({ key: Buffer.from(hex, "hex"), format: "der", type: "pkcs8" });
}

function bytes(hex: string): Uint8Array {
  return Uint8Array.from(Buffer.from(hex, "hex"));
}

function hexOf(value: Uint8Array): string {
  return Buffer.from(value).toString("hex");
}

const FOLDER = join(import.meta.dirname, "..", "..", "spec", "vectors", "envelope");

for (const path of globSync(join(FOLDER, "*.json")).sort()) {
  if (basename(path) === "schema.json") continue;
  const { cases } = JSON.parse(readFileSync(path, "utf8")) as { readonly cases: readonly Vector[] };
  describe(basename(path), () => {
    for (const vector of cases) {
      const ids = vector.requirements.map((id) => `[${id}]`).join(" ");
      test(`${ids} ${vector.name}`, () => {
        for (const crypto of [NOBLE_CRYPTO, NATIVE_CRYPTO]) {
          const verdict = JUDGES[vector.kind]?.(new Given(vector, crypto));
          const { expect } = vector;
          if (expect === "valid") assert.equal(verdict, "valid", crypto.name);
          else assert.ok(verdict?.includes(expect.fails), `${crypto.name}: ${verdict}`);
        }
      });
    }
  });
}
