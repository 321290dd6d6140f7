import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { drawn } from "../../fuzz/envelope/drawn.ts";
import {
  establishedFor,
  otherSide,
  SessionPair,
  type SessionPairOptions,
  type Side,
  START_MS,
  textOf,
} from "../../fuzz/secure/sessions.ts";
import { withToyKem } from "../../fuzz/secure/toy-kem.ts";
import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import { NATIVE_CRYPTO } from "../../platform/native-crypto.ts";
import { NOBLE_CRYPTO } from "../envelope/noble.ts";
import { frankingStamp, verifyReport } from "./franking.ts";
import { parseMessage, type RatchetStep, taggedText } from "./message.ts";
import {
  chainKey,
  messageKey,
  messageKeys,
  nextChainKey,
  nextRoot,
  nextRootSalt,
} from "./schedule.ts";
import { type SecureReceived, SecureSession } from "./session.ts";

const TOY = withToyKem(NATIVE_CRYPTO);
const HOUR_MS = 3600 * 1000;

function pairOf(options: SessionPairOptions = {}): SessionPair {
  return new SessionPair(TOY, options);
}

function stepOf(message: Uint8Array): RatchetStep["kind"] | undefined {
  return parseMessage(message)?.header.step?.kind;
}

function assertRefused(received: SecureReceived, code: ErrorCode): void {
  assert.equal(received.kind, "refused");
  assert.equal(received.kind === "refused" ? received.code : undefined, code);
}

function assertText(received: SecureReceived, text: string): void {
  assert.equal(textOf(received), text, JSON.stringify(received));
}

/** Until a side has offered a key and the other one has it. */
function offered(pair: SessionPair, side: Side): Uint8Array {
  for (let index = 0; index < 200; index += 1) {
    const message = pair.send(side, `message ${index}`);
    pair.receive(otherSide(side), message);
    if (stepOf(message) === "key") return message;
  }
  throw new Error("no key was offered");
}

for (const crypto of [NOBLE_CRYPTO, NATIVE_CRYPTO]) {
  test(`[SEC-55] [SEC-57] [SEC-58] two sides go through epochs in turn, by ${crypto.name}`, () => {
    const pair = new SessionPair(crypto, { rekeyMessages: 2 });
    for (let index = 0; index < 16; index += 1) {
      const side = index % 2 === 0 ? "initiator" : "responder";
      const message = pair.send(side, `${index}`);
      assertText(pair.receive(otherSide(side), message), `${index}`);
      const { header } = parseMessage(message) ?? {};
      if (header?.step?.kind === "key") {
        assert.equal(side, header.epoch % 2 === 1 ? "initiator" : "responder");
      }
    }
    assert.ok(pair.sides.initiator.epoch >= 4);
  });
}

describe("windows and once", () => {
  test("[SEC-53] 256 keys are skipped at most; beyond that the message is lost, the session not", () => {
    const pair = pairOf({ rekeyMessages: 128, rekeyS: 86_400 });
    const messages = Array.from({ length: 260 }, (_, n) => pair.send("responder", `${n}`));
    const near = messages.findIndex((_, n) => n === 256);
    const before = pair.sides.initiator.snapshot();
    assertRefused(
      pair.receive("initiator", messages[257] as Uint8Array),
      ErrorCode.SECURE_OUT_OF_WINDOW,
    );
    assert.deepEqual(pair.sides.initiator.snapshot(), before);
    assertText(pair.receive("initiator", messages[near] as Uint8Array), "256");
    assertText(pair.receive("initiator", messages[0] as Uint8Array), "0");
    assertText(pair.receive("initiator", messages[259] as Uint8Array), "259");
    assertRefused(pair.receive("initiator", messages[0] as Uint8Array), ErrorCode.SECURE_REPLAYED);
  });

  test("[SEC-53] 512 keys are kept at most, the oldest make room", () => {
    const pair = pairOf({ rekeyMessages: 128, rekeyS: 86_400 });
    const messages = Array.from({ length: 772 }, (_, n) => pair.send("responder", `${n}`));
    for (const n of [256, 513, 770]) {
      assertText(pair.receive("initiator", messages[n] as Uint8Array), `${n}`);
    }
    assertRefused(
      pair.receive("initiator", messages[255] as Uint8Array),
      ErrorCode.SECURE_REPLAYED,
    );
    assertText(pair.receive("initiator", messages[257] as Uint8Array), "257");
    assertText(pair.receive("initiator", messages[769] as Uint8Array), "769");
  });

  test("[SEC-53] a skipped key is kept for 24 hours, and erased by then", () => {
    const pair = pairOf({ lifetimeS: 7 * 86_400 });
    const [late, later, last] = [0, 1, 2].map((n) => pair.send("responder", `${n}`)) as [
      Uint8Array,
      Uint8Array,
      Uint8Array,
    ];
    assertText(pair.receive("initiator", last), "2");
    pair.nowMs += 23 * HOUR_MS;
    assertText(pair.receive("initiator", late), "0");
    assert.equal(pair.sides.initiator.deadlineMs(), START_MS + 24 * HOUR_MS);
    pair.nowMs += HOUR_MS;
    const size = pair.sides.initiator.snapshot()?.length as number;
    assertRefused(pair.receive("initiator", later), ErrorCode.SECURE_REPLAYED);
    assert.deepEqual(pair.sides.initiator.elapsed(pair.at()), []);
    assert.ok((pair.sides.initiator.snapshot()?.length as number) < size);
  });

  test("[SEC-43] [SEC-53] numbers up to 2^32-1 are refused without work or wrapping", () => {
    const pair = pairOf();
    const message = pair.send("responder", "text");
    for (const [at, name] of [
      [22, "epoch"],
      [26, "n"],
    ] as const) {
      const forged = Uint8Array.from(message);
      forged.set([255, 255, 255, 255], at);
      const received = pair.receive("initiator", forged);
      assert.equal(
        received.kind === "refused" && received.code,
        ErrorCode.SECURE_OUT_OF_WINDOW,
        name,
      );
    }
    assertText(pair.receive("initiator", message), "text");
  });

  test("[SEC-54] a message opens once", () => {
    const pair = pairOf();
    const message = pair.send("initiator", "once");
    assertText(pair.receive("responder", message), "once");
    assertRefused(pair.receive("responder", message), ErrorCode.SECURE_REPLAYED);
  });
});

describe("failures", () => {
  test("[SEC-51] [SEC-52] any changed byte is refused, silently, and changes nothing", () => {
    const pair = pairOf({ rekeyMessages: 1 });
    pair.receive("responder", pair.send("initiator", "first"));
    const message = pair.send("initiator", "second, with a key");
    assert.equal(stepOf(message), "key");
    const before = pair.sides.responder.snapshot();
    for (let at = 0; at < message.length; at += 1) {
      const changed = Uint8Array.from(message);
      changed[at] = (changed[at] as number) ^ (1 << (at % 8));
      assert.equal(pair.receive("responder", changed).kind, "refused", `byte ${at}`);
      assert.deepEqual(pair.sides.responder.snapshot(), before);
    }
    assertText(pair.receive("responder", message), "second, with a key");
  });

  test("[SEC-50] the AEAD is not asked while the TAG is wrong, and alone opens nothing", () => {
    // Every ciphertext opens under every key here: what GCM does not promise, the TAG does.
    let opened = 0;
    const crypto = withToyKem({
      ...NATIVE_CRYPTO,
      aead: () => ({
        seal: ({ text }, into) => into.set(text),
        open: ({ text }) => {
          opened += 1;
          return Uint8Array.from(text.subarray(0, -16));
        },
      }),
    });
    const pair = new SessionPair(crypto);
    const stranger = new SecureSession(crypto, {
      ...establishedFor("responder", {}),
      root: drawn("another root", 64),
    });
    const message = pair.send("initiator", "text");
    assertRefused(stranger.receive(message, pair.at()), ErrorCode.SECURE_TAG_INVALID);
    assertRefused(pair.receive("initiator", message), ErrorCode.SECURE_TAG_INVALID);
    const other = Uint8Array.from(pair.send("initiator", "next"));
    other[29] = 0;
    assertRefused(pair.receive("responder", other), ErrorCode.SECURE_TAG_INVALID);
    assert.equal(opened, 0);
    assertText(pair.receive("responder", message), "text");
  });

  test("[SEC-47] a message of another session is not looked at", () => {
    const pair = pairOf();
    const message = Uint8Array.from(pair.send("initiator", "text"));
    message[6] = (message[6] as number) ^ 1;
    assertRefused(pair.receive("responder", message), ErrorCode.SECURE_SESSION_UNKNOWN);
  });

  test("[SEC-48] what is too long is refused and takes no key", () => {
    const pair = pairOf();
    const content = { sentMs: 1, lifetimeS: 0, kind: { case: "text", value: "x".repeat(65_536) } };
    const before = pair.sides.initiator.snapshot();
    const sent = pair.sides.initiator.send(content as never, pair.at());
    assert.deepEqual(sent, { kind: "refused", code: ErrorCode.MESSAGE_TOO_LARGE });
    assert.deepEqual(pair.sides.initiator.snapshot(), before);
  });
});

describe("the ratchet", () => {
  test("[SEC-55] a key is due by age too", () => {
    const pair = pairOf({ rekeyS: 60 });
    assert.equal(stepOf(pair.send("initiator", "1")), undefined);
    pair.nowMs += 60_000;
    assert.equal(stepOf(pair.send("responder", "2")), undefined, "not its turn");
    assert.equal(stepOf(pair.send("initiator", "3")), "key");
  });

  test("[SEC-56] a step goes with three messages, then with every eighth", () => {
    const pair = pairOf({ rekeyMessages: 1 });
    pair.send("initiator", "0");
    const carried = Array.from({ length: 28 }, (_, n) => stepOf(pair.send("initiator", `${n}`)));
    const places = carried.flatMap((step, at) => (step === "key" ? [at] : []));
    assert.deepEqual(places, [0, 1, 2, 10, 18, 26]);
  });

  test("[SEC-56] [SEC-58] keys and answers that are lost come again", () => {
    const pair = pairOf({ rekeyMessages: 2 });
    let lost = 0;
    const lossy = (side: Side, text: string): void => {
      const message = pair.send(side, text);
      if (stepOf(message) !== undefined && lost < 5) lost += 1;
      else pair.receive(otherSide(side), message);
    };
    for (let index = 0; index < 100; index += 1) {
      lossy(index % 2 === 0 ? "initiator" : "responder", `${index}`);
    }
    assert.equal(lost, 5);
    assert.ok(pair.sides.initiator.epoch > 4 && pair.sides.responder.epoch > 4);
  });

  test("[SEC-57] a repeated key is answered once, also after the epoch", () => {
    const pair = pairOf({ rekeyMessages: 1 });
    pair.receive("responder", pair.send("initiator", "0"));
    const [first, second, third] = ["1", "2", "3"].map((text) => pair.send("initiator", text)) as [
      Uint8Array,
      Uint8Array,
      Uint8Array,
    ];
    assertText(pair.receive("responder", second), "2");
    const answer = pair.send("responder", "answer");
    assertText(pair.receive("responder", first), "1");
    assert.equal(pair.sides.responder.epoch, 2);
    assertText(pair.receive("initiator", answer), "answer");
    assertText(pair.receive("responder", pair.send("initiator", "4")), "4");
    assertText(pair.receive("responder", third), "3");
    assert.equal(pair.sides.responder.epoch, 2);
  });

  test("[SEC-61] an old chain is kept for an hour after its sender has left it", () => {
    const pair = pairOf({ rekeyMessages: 1, rekeyS: 86_400 });
    pair.receive("responder", pair.send("initiator", "0"));
    pair.receive("responder", pair.send("initiator", "1"));
    const [late, tooLate] = [pair.send("initiator", "2"), pair.send("initiator", "3")];
    pair.nowMs += 5 * HOUR_MS;
    pair.receive("initiator", pair.send("responder", "answer"));
    const next = pair.send("initiator", "4");
    assertText(pair.receive("responder", next), "4");
    pair.nowMs += HOUR_MS - 1;
    assertText(pair.receive("responder", late), "2");
    pair.nowMs += 1;
    assert.equal(pair.sides.responder.deadlineMs(), pair.nowMs);
    assertRefused(pair.receive("responder", tooLate), ErrorCode.SECURE_OUT_OF_WINDOW);
  });

  test("[SEC-62] who only listens sends an empty message for so many, and epochs go on", () => {
    for (const talker of ["initiator", "responder"] as const) {
      const pair = pairOf({ rekeyMessages: 4 });
      let replies = 0;
      for (let index = 0; index < 60; index += 1) {
        const received = pair.receive(otherSide(talker), pair.send(talker, `${index}`));
        assertText(received, `${index}`);
        if (received.kind === "refused" || received.reply === undefined) continue;
        replies += 1;
        assert.equal(
          received.reply.length - (stepOf(received.reply) === undefined ? 0 : 1120) <= 342 + 96,
          true,
        );
        const answered = pair.receive(talker, received.reply);
        assert.ok(answered.kind === "opened" && answered.content.kind.case === "nothing");
        assert.equal(answered.reply, undefined, "nothing is answered with nothing");
      }
      assert.equal(replies, 15);
      assert.ok(pair.sides[talker].epoch >= 5, `${talker} ${pair.sides[talker].epoch}`);
    }
  });

  test("[SEC-62] nothing is not answered with nothing, however few messages are agreed on", () => {
    const pair = pairOf({ rekeyMessages: 1 });
    const received = pair.receive("responder", pair.send("initiator", "hello"));
    assert.ok(received.kind === "opened" && received.reply !== undefined);
    const answered = pair.receive("initiator", received.reply);
    assert.ok(answered.kind === "opened" && answered.reply === undefined);
  });

  test("[SEC-41] [SEC-57] epochs come of each other as chapter 13 says, read from the wire", () => {
    const pair = pairOf({ rekeyMessages: 1 });
    let root = drawn("root", 64);
    let epoch = 1;
    let ratchetKey: Uint8Array = new Uint8Array(0);
    for (let count = 0; count < 24; count += 1) {
      const side = count % 2 === 0 ? "initiator" : "responder";
      const message = pair.send(side, `${count}`);
      pair.receive(otherSide(side), message);
      const parsed = parseMessage(message);
      assert.ok(parsed !== undefined);
      const { sessionId, n, step } = parsed.header;
      if (parsed.header.epoch === epoch + 1) {
        const ciphertext = step?.bytes as Uint8Array;
        const secret = TOY.xwingDecapsulate(ciphertext, new Uint8Array(32)) as Uint8Array;
        epoch += 1;
        const salt = nextRootSalt(TOY, root, epoch);
        root = nextRoot(TOY, { salt, sessionId, epoch, ratchetKey, ciphertext, secret });
      }
      if (step?.kind === "key") ratchetKey = step.bytes;
      const direction = side === "initiator" ? "i2r" : "r2i";
      let chain = chainKey(TOY, { root, direction, epoch });
      for (let at = 0; at < n; at += 1) chain = nextChainKey(TOY, chain, at);
      const { tagKey } = messageKeys(TOY, messageKey(TOY, chain, n));
      const tag = TOY.hmacSha512(tagKey, taggedText(parsed.headerBytes, parsed.ciphertext));
      assert.deepEqual(Uint8Array.from(tag.subarray(0, 32)), parsed.tag, `message ${count}`);
    }
    assert.ok(epoch > 4);
  });

  test("[SEC-41] [SEC-60] a stored state knows no root, and goes on where it was", () => {
    const pair = pairOf({ rekeyMessages: 3 });
    for (let index = 0; index < 30; index += 1) {
      const side = index % 3 === 0 ? "responder" : "initiator";
      for (const kept of ["initiator", "responder"] as const) {
        const state = pair.sides[kept].snapshot() as Uint8Array;
        const restored = SecureSession.restore(TOY, state);
        assert.ok(restored !== undefined);
        assert.deepEqual(restored.snapshot(), state);
        pair.sides[kept] = restored;
      }
      assertText(pair.receive(otherSide(side), pair.send(side, `${index}`)), `${index}`);
    }
    assert.ok(pair.sides.initiator.epoch > 3);
  });
});

describe("the end", () => {
  test("[SEC-64] [SEC-66] a close ends both sides", () => {
    const pair = pairOf();
    const close = pair.sides.initiator.close(pair.at()) as Uint8Array;
    assert.equal(pair.sides.initiator.open, false);
    assert.equal(pair.sides.initiator.close(pair.at()), undefined);
    const received = pair.receive("responder", close);
    assert.ok(received.kind === "opened" && received.content.kind.case === "close");
    assert.equal(pair.sides.responder.endedBy, ErrorCode.GOODBYE);
    assert.throws(() => pair.send("responder", "late"));
    assertRefused(pair.receive("responder", close), ErrorCode.SECURE_NOT_OPEN);
    assert.equal(pair.sides.responder.snapshot(), undefined);
    assert.equal(pair.sides.responder.deadlineMs(), Number.POSITIVE_INFINITY);
  });

  test("[SEC-64] a session ends after a day of silence, and at its lifetime", () => {
    const idle = pairOf({ lifetimeS: 7 * 86_400 });
    idle.nowMs += 20 * HOUR_MS;
    const message = idle.send("initiator", "still here");
    assert.equal(idle.sides.initiator.deadlineMs(), START_MS + 44 * HOUR_MS);
    idle.nowMs += 4 * HOUR_MS;
    assertRefused(idle.receive("responder", message), ErrorCode.SECURE_NOT_OPEN);
    assert.equal(idle.sides.responder.endedBy, ErrorCode.SECURE_EXPIRED);
    idle.nowMs += 20 * HOUR_MS;
    const effects = idle.sides.initiator.elapsed(idle.at());
    assert.deepEqual(effects, [{ kind: "closed", code: ErrorCode.SECURE_EXPIRED }]);

    const short = pairOf({ lifetimeS: 60 });
    assert.equal(short.sides.initiator.deadlineMs(), START_MS + 60_000);
    short.nowMs += 60_000;
    assert.throws(() => short.send("initiator", "late"));
    const long = pairOf({ lifetimeS: 0xffff_ffff });
    for (let day = 0; day < 14; day += 1) {
      long.nowMs += 12 * HOUR_MS;
      if (long.sides.initiator.open) {
        const sent = long.sides.initiator.send(
          { sentMs: 1, lifetimeS: 0, kind: { case: "text", value: "day" } },
          long.at(),
        );
        assert.equal(sent.kind === "sealed", day < 13);
      }
    }
    assert.equal(long.sides.initiator.open, false, "seven days");
  });

  test("[SEC-64] 2^20 messages are the last, and the last of them a close", () => {
    const pair = pairOf();
    const state = pair.sides.initiator.snapshot() as Uint8Array;
    const at = 4 + 20 + 4 + 36 + 36 + 16 + 8;
    assert.deepEqual([...state.subarray(at, at + 4)], [0, 0, 0, 0]);
    state.set([0, 0x0f, 0xff, 0xfe], at);
    const session = SecureSession.restore(TOY, state) as SecureSession;
    pair.sides.initiator = session;
    assertText(pair.receive("responder", pair.send("initiator", "last")), "last");
    assert.throws(() => pair.send("initiator", "one too many"));
    assert.equal(session.deadlineMs(), 0);
    const [close, closed] = session.elapsed(pair.at());
    assert.ok(close?.kind === "send");
    assert.deepEqual(closed, { kind: "closed", code: ErrorCode.SECURE_EXPIRED });
    assert.equal(pair.receive("responder", close.message).kind, "opened");
    assert.equal(pair.sides.responder.open, false);
  });

  test("[SEC-70] a state that is cut, grown or of another version is none; nothing throws", () => {
    const pair = pairOf({ rekeyMessages: 2 });
    offered(pair, "initiator");
    const state = pair.sides.initiator.snapshot() as Uint8Array;
    for (let length = 0; length < state.length; length += 1) {
      assert.equal(SecureSession.restore(TOY, state.subarray(0, length)), undefined);
    }
    assert.equal(SecureSession.restore(TOY, Buffer.concat([state, Buffer.of(0)])), undefined);
    for (let at = 0; at < state.length; at += 1) {
      const changed = Uint8Array.from(state);
      changed[at] = (changed[at] as number) ^ 0x80;
      SecureSession.restore(TOY, changed);
    }
    state[3] = 2;
    assert.equal(SecureSession.restore(TOY, state), undefined);
  });
});

describe("franking", () => {
  const SERVICE_KEY = drawn("service", 32);

  test("[SEC-72] [SEC-74] what is reported is what was delivered, between those two, then", () => {
    const pair = pairOf({ franking: true });
    const message = pair.send("initiator", "reported");
    const received = pair.receive("responder", message);
    assertText(received, "reported");
    const content = received.kind === "opened" ? received.franked : undefined;
    assert.ok(content !== undefined);
    const { own: from, peer: to } = establishedFor("initiator", {});
    const commitment = parseMessage(message)?.header.commitment as Uint8Array;
    const delivery = { commitment, from, to, timeMs: START_MS };
    const stamp = frankingStamp(TOY, SERVICE_KEY, delivery);
    const report = { content, delivery, stamp };
    const verify = (changed: object) => verifyReport(TOY, SERVICE_KEY, { ...report, ...changed });
    assert.ok(verify({}));
    assert.ok(!verify({ delivery: { ...delivery, from: to, to: from } }));
    assert.ok(!verify({ delivery: { ...delivery, timeMs: START_MS + 1 } }));
    assert.ok(!verify({ content: { ...content, inner: new Uint8Array(224) } }));
    assert.ok(!verify({ content: { ...content, key: new Uint8Array(32) } }));
    assert.ok(!verify({ content: { ...content, commitment: new Uint8Array(32) } }));
    assert.ok(!verify({ stamp: new Uint8Array(32) }));
  });

  test("[SEC-46] franking is for all messages of a session or for none", () => {
    const plain = pairOf();
    const franked = pairOf({ franking: true });
    const codeOf = (received: SecureReceived) => received.kind === "refused" && received.code;
    const [unfranked, bound] = [plain.send("initiator", "a"), franked.send("initiator", "b")];
    assert.equal(codeOf(franked.receive("responder", unfranked)), ErrorCode.SECURE_MALFORMED);
    assert.equal(codeOf(plain.receive("responder", bound)), ErrorCode.SECURE_MALFORMED);
  });
});
