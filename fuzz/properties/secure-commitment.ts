import fc from "fast-check";
import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import { NATIVE_CRYPTO } from "../../platform/native-crypto.ts";
import { NO_BYTES } from "../../protocol/envelope/octets.ts";
import {
  type FrankedContent,
  type FrankedDelivery,
  frankingStamp,
  verifyReport,
} from "../../protocol/secure/franking.ts";
import {
  encodeHeader,
  encodeMessage,
  parseMessage,
  taggedText,
} from "../../protocol/secure/message.ts";
import { padded, unpadded } from "../../protocol/secure/padding.ts";
import { chainKey, messageKey, messageKeys } from "../../protocol/secure/schedule.ts";
import { SecureSession } from "../../protocol/secure/session.ts";
import { assert } from "../../protocol/violation.ts";
import { drawn } from "../envelope/drawn.ts";
import { hex } from "../envelope/watched-crypto.ts";
import { property, type Seen } from "../property.ts";
import { forgeForBoth } from "../secure/gcm-forger.ts";
import { Liar, textInner } from "../secure/liar.ts";
import { flipped } from "../secure/meeting.ts";
import { SecretLog } from "../secure/secret-log.ts";
import { establishedFor, SessionPair, START_MS, textContent } from "../secure/sessions.ts";
import { withToyKem } from "../secure/toy-kem.ts";

const CRYPTO = withToyKem(NATIVE_CRYPTO);
const at = (name: string) => ({ nowMs: START_MS, entropy: drawn(name, 128) });

interface Salamander {
  readonly name: string;
  readonly bytes: number;
  /** Whose TAG it carries. */
  readonly tagOf: 0 | 1;
}

/** Somebody who has two sessions makes one message that both ciphers open. */
function salamander({ name, bytes, tagOf }: Salamander, seen: Seen): void {
  const roots = [drawn(`${name} one`, 64), drawn(`${name} two`, 64)] as const;
  const log = new SecretLog(CRYPTO);
  const [first, second] = roots.map((root) => {
    const established = { ...establishedFor("responder", {}), root: Uint8Array.from(root) };
    return new SecureSession(log.provider, established);
  }) as [SecureSession, SecureSession];
  const keys = roots.map((root) => {
    const chain = chainKey(CRYPTO, { root, direction: "i2r", epoch: 1 });
    return messageKeys(CRYPTO, messageKey(CRYPTO, chain, 0));
  }) as [ReturnType<typeof messageKeys>, ReturnType<typeof messageKeys>];
  const { sessionId } = first;
  const place = { sessionId, epoch: 1, n: 0, pn: 0, step: undefined, commitment: undefined };
  const header = encodeHeader(place);
  const parties = keys.map(({ key, nonce }) => ({ key, nonce, header }));
  const text = drawn(name, bytes);
  const ciphertext = forgeForBoth(parties as [(typeof parties)[0], (typeof parties)[0]], text);
  if (ciphertext === undefined) return;
  for (const { key, nonce } of keys) {
    const opened = NATIVE_CRYPTO.aead("aes-256-gcm", key).open({ nonce, header, text: ciphertext });
    assert(opened !== undefined, "GCM alone opens it under both keys");
  }
  const { tagKey } = keys[tagOf];
  const tag = CRYPTO.hmacSha512(tagKey, taggedText(header, ciphertext)).subarray(0, 32);
  const message = encodeMessage({ headerBytes: header, ciphertext, tag });
  const [taken, refused] = tagOf === 0 ? [first, second] : [second, first];
  const other = refused.receive(message, at(name));
  const isTagFault = other.kind === "refused" && other.code === ErrorCode.SECURE_TAG_INVALID;
  assert(isTagFault, "no message opens in two sessions [SEC-50]");
  const opens = () => log.opens;
  assert(opens() === 0, "the cipher is not asked [SEC-51]");
  taken.receive(message, at(name));
  assert(opens() === 1, "the one whose TAG it is asks the cipher");
  seen(`of ${tagOf}`);
}

/** One ciphertext for two keys. */
export const secureSalamander = property<Salamander>({
  name: "secure-salamander",
  title: "[SEC-50] [SEC-51] what GCM opens under two keys, one session takes and the other refuses",
  smokeRuns: 6,
  kinds: ["of 0", "of 1"],
  arbitrary: fc.record({
    name: fc.string(),
    bytes: fc.constantFrom(256, 256, 512, 1024),
    tagOf: fc.constantFrom<(0 | 1)[]>(0, 1),
  }),
  start: (seen) => ({ check: (input) => salamander(input, seen) }),
});

type Mixed = "session id" | "root" | "direction" | "epoch" | "header" | "ciphertext" | "tag";

interface Mix {
  readonly name: string;
  readonly how: Mixed;
  readonly before: number;
  readonly step: number;
}

/** Two pairs, all the same but for one thing; what is sent in one never opens in the other. */
function mix({ name, how, before, step }: Mix, seen: Seen): void {
  const options = { rekeyMessages: 100 };
  const pair = new SessionPair(CRYPTO, options, name);
  for (let count = 0; count < before; count += 1) {
    pair.receive("responder", pair.send("initiator", `${count}`));
  }
  const message = pair.send("initiator", name || "text");
  const other = pair.send("initiator", `${name} again`);
  const base = establishedFor("responder", options);
  const parsed = parseMessage(message);
  const second = parseMessage(other);
  assert(parsed !== undefined && second !== undefined, "honest");
  const made = { ...parsed };
  let receiver = pair.sides.responder;
  switch (how) {
    case "session id":
      receiver = new SecureSession(CRYPTO, { ...base, sessionId: drawn(`${name} id`, 16) });
      break;
    case "root":
      receiver = new SecureSession(CRYPTO, { ...base, root: drawn(`${name} root`, 64) });
      break;
    case "direction":
      receiver = pair.sides.initiator;
      break;
    case "epoch":
      made.headerBytes = encodeHeader({ ...parsed.header, epoch: 1 + step });
      break;
    case "header":
      made.headerBytes = second.headerBytes;
      break;
    case "ciphertext":
      made.ciphertext = second.ciphertext;
      break;
    case "tag":
      made.tag = second.tag;
  }
  const state = receiver.snapshot();
  const received = receiver.receive(encodeMessage(made), at(name));
  assert(received.kind === "refused", `another ${how}: refused [SEC-45] [SEC-47]`);
  const after = receiver.snapshot();
  assert(hex(state as Uint8Array) === hex(after as Uint8Array), `${how}: no change [SEC-52]`);
  assert(pair.receive("responder", message).kind === "opened", "the message itself opens");
  seen(how);
}

/** Messages and their parts where they do not belong. */
export const secureCross = property<Mix>({
  name: "secure-cross",
  title:
    "[SEC-40] [SEC-45] [SEC-47] [SEC-50] a message opens in its own session, direction, epoch " +
    "and place, and in no other (P22)",
  smokeRuns: 30,
  kinds: ["session id", "root", "direction", "epoch", "header", "ciphertext", "tag"],
  arbitrary: fc.record({
    name: fc.string(),
    how: fc.constantFrom<Mixed[]>(
      "session id",
      "root",
      "direction",
      "epoch",
      "header",
      "ciphertext",
      "tag",
    ),
    before: fc.nat(4),
    step: fc.oneof(fc.integer({ min: 1, max: 3 }), fc.integer({ min: 1, max: 2 ** 32 - 2 })),
  }),
  start: (seen) => ({ check: (input) => mix(input, seen) }),
});

interface Padding {
  readonly bytes: number;
  readonly dirty: number;
  readonly claimed: number;
}

/** What the other side seals itself, with its own keys: padding is judged nevertheless. */
function pad({ bytes, dirty, claimed }: Padding, seen: Seen): void {
  const content = drawn("content", bytes);
  const inner = padded(NO_BYTES, content);
  assert((inner === undefined) === bytes > 65_532, "65,536 bytes hold 65,532 [SEC-48]");
  if (inner === undefined) return;
  const read = unpadded(inner);
  assert(read !== undefined && hex(read) === hex(content), "what was padded comes back [SEC-48]");
  const text = textInner("a text");
  const length = new DataView(text.buffer).getUint32(0);
  const place = 4 + length + (dirty % (text.length - 4 - length));
  const dirtied = Uint8Array.from(text);
  dirtied[place] = 1 + (dirty % 255);
  const lied = Uint8Array.from(text);
  new DataView(lied.buffer).setUint32(0, claimed);
  for (const [inside, what] of [
    [dirtied, "dirty"],
    [lied, "lied"],
  ] as const) {
    const liar = new Liar(CRYPTO, establishedFor("initiator", {}));
    const session = new SecureSession(CRYPTO, establishedFor("responder", {}));
    const state = session.snapshot();
    const received = session.receive(liar.message({}, inside), at("pad"));
    if (what === "lied" && claimed === length) continue;
    assert(received.kind === "refused", `${what} padding is refused [SEC-49]`);
    // What is read behind the padding is taken, and is no content.
    if (received.requirement === "SEC-68") continue;
    const isSame = hex(state as Uint8Array) === hex(session.snapshot() as Uint8Array);
    assert(isSame && received.requirement === "SEC-49", `${what}: no change [SEC-52]`);
    seen(what);
  }
}

/** Padding: as it is made, and as a peer might misuse it. */
export const securePadding = property<Padding>({
  name: "secure-padding",
  title: "[SEC-48] [SEC-49] padding hides the length in a bucket, and nothing hides in padding",
  smokeRuns: 30,
  kinds: ["dirty", "lied"],
  arbitrary: fc.record({
    bytes: fc.oneof(fc.nat(600), fc.integer({ min: 65_500, max: 65_560 })),
    dirty: fc.nat(),
    claimed: fc.oneof(fc.nat(300), fc.integer({ min: 0, max: 2 ** 32 - 1 })),
  }),
  start: (seen) => ({ check: (input) => pad(input, seen) }),
});

type Swap =
  | "nothing"
  | "key"
  | "inner"
  | "commitment"
  | "from"
  | "to"
  | "time"
  | "stamp"
  | "message";

interface Report {
  readonly name: string;
  readonly swap: Swap;
  readonly bit: number;
}

function report({ name, swap, bit }: Report, seen: Seen): void {
  const crypto = CRYPTO;
  const pair = new SessionPair(crypto, { franking: true }, name);
  const serviceKey = drawn("service key", 32);
  const contents = ["first", "second"].map((text) => {
    const sealed = pair.sides.initiator.send(textContent(text, START_MS), pair.at());
    assert(sealed.kind === "sealed", "sealed");
    const { header } = parseMessage(sealed.message) as { header: { commitment?: Uint8Array } };
    const received = pair.receive("responder", sealed.message);
    assert(
      received.kind === "opened" && received.franked !== undefined,
      "can be reported [SEC-72]",
    );
    assert(hex(received.franked.commitment) === hex(header.commitment ?? NO_BYTES), "as seen");
    return received.franked;
  }) as [FrankedContent, FrankedContent];
  const [content] = contents;
  const { own: to, peer: from } = establishedFor("responder", {});
  const { commitment } = content;
  const delivery: FrankedDelivery = { commitment, from, to, timeMs: START_MS };
  const stamp = frankingStamp(crypto, serviceKey, delivery);
  let shown = { content, delivery, stamp };
  switch (swap) {
    case "key":
    case "inner":
    case "commitment":
      shown = { ...shown, content: { ...content, [swap]: flipped(content[swap], bit) } };
      break;
    case "from":
      shown = { ...shown, delivery: { ...delivery, from: to, to: from } };
      break;
    case "to":
      shown = { ...shown, delivery: { ...delivery, to: flipped(to, bit) } };
      break;
    case "time":
      shown = { ...shown, delivery: { ...delivery, timeMs: START_MS + 1 + (bit % 1e9) } };
      break;
    case "stamp":
      shown = { ...shown, stamp: flipped(stamp, bit) };
      break;
    case "message":
      shown = { ...shown, content: contents[1] };
  }
  const isTaken = verifyReport(crypto, serviceKey, shown);
  assert(isTaken === (swap === "nothing"), `${swap}: a report is ${isTaken} [SEC-74]`);
  seen(swap);
}

/** What a receiver may show, and what he may not make up. */
export const secureFranking = property<Report>({
  name: "secure-franking",
  title: "[SEC-72] [SEC-74] a report holds for the message that was delivered, between those two",
  smokeRuns: 30,
  kinds: ["nothing", "key", "inner", "commitment", "from", "to", "time", "stamp", "message"],
  arbitrary: fc.record({
    name: fc.string(),
    swap: fc.constantFrom<Swap[]>(
      "nothing",
      "key",
      "inner",
      "commitment",
      "from",
      "to",
      "time",
      "stamp",
      "message",
    ),
    bit: fc.nat(),
  }),
  start: (seen) => ({ check: (input) => report(input, seen) }),
});
