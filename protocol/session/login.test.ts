import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import { CursorStart } from "../../gen/posthorn/v1/session_pb.ts";
import { Delimiter } from "../delimit.ts";
import { decodeFrame, encodeFrame, type Frame, isViolation } from "../frames.ts";
import { ClientSession } from "./client.ts";
import type { ClientEffect } from "./client-effects.ts";
import { readHello } from "./hello.ts";
import type { Credential } from "./welcome.ts";

const WINDOW = { count: 8, bytes: 1000 };
const MAC = new Uint8Array(32).fill(5);
const PROOF = { account: "acme/ann", deviceId: "d", signature: new Uint8Array(64).fill(9) };
const LOGIN: Credential = { token: "", login: { proof: PROOF, answerMac: MAC } };
/** Of RFC 8032's first test. */
const LOGIN_KEY = Uint8Array.from(
  Buffer.from("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "hex"),
);
const REGISTRATION = { loginKey: LOGIN_KEY, registrationSecret: new Uint8Array(32) };
const REGISTERING: Credential = { token: "t", registration: REGISTRATION };
const NOW_MS = 1;

type Welcome = Extract<Frame, { readonly kind: "welcome" }>["value"];
const WELCOME: Welcome = {
  version: 1,
  sessionId: new Uint8Array(16),
  generation: 1,
  outbox: { epoch: 1, through: 0, resultsThrough: 0, results: [] },
  timeline: { epoch: 1, head: 0, floor: 1 },
  resume: { cursor: 0, outcome: { case: "resumed", value: {} } },
  timers: { keepaliveMs: 1_000, idleMs: 3_000, ageMs: 0 },
  submitWindow: WINDOW,
  limits: { frameBytes: 4096, contentBytes: 1024, calls: 16 },
  userId: "ann",
  nowMs: NOW_MS,
  loginAccount: "",
};

/** A device that has said Hello, and what it does after. */
function device(credential: Credential) {
  const session = new ClientSession(
    {
      deviceId: "d",
      userId: "",
      agent: "",
      start: "earliest",
      deliveryWindow: WINDOW,
      timers: { keepaliveMs: 0, idleMs: 0, ageMs: 0 },
      handshakeMs: 1_000,
    },
    { outboxEpoch: 0, resultsThrough: 0, next: 1, pending: [], cursor: { epoch: 0, seq: 0 } },
  );
  session.linked(credential, NOW_MS);
  const [hello] = framesOf(session.effects(NOW_MS));
  const hears = (frame: Frame) => {
    session.received(encodeFrame(frame), NOW_MS);
    return session.effects(NOW_MS);
  };
  return { session, hello, hears };
}

function framesOf(effects: readonly ClientEffect[]): Frame[] {
  const frames: Frame[] = [];
  const delimiter = new Delimiter(1 << 20);
  for (const effect of effects) {
    if (effect.kind !== "write") continue;
    delimiter.push(effect.bytes, (from, at, end) => {
      const frame = decodeFrame(from, { at, end }, { sender: "client", phase: "opening" });
      assert.ok(!isViolation(frame));
      frames.push(frame);
      return true;
    });
  }
  return frames;
}

const welcome = (part: Partial<Welcome>): Frame => ({
  kind: "welcome",
  value: { ...WELCOME, ...part },
});
const kindsOf = (effects: readonly ClientEffect[]) => effects.map(({ kind }) => kind);

describe("a device that logs in by proof", () => {
  test("[ENV-57] sends the proof instead of a token", () => {
    const { hello } = device(LOGIN);
    assert.ok(hello?.kind === "hello");
    assert.equal(hello.value.token, "");
    assert.deepEqual(hello.value.loginProof, PROOF);
    assert.equal(hello.value.registration, undefined);
  });

  test("[ENV-36] goes on when the answer is right", () => {
    const { session, hears } = device(LOGIN);
    assert.deepEqual(kindsOf(hears(welcome({ loginAnswer: { mac: MAC } }))), ["install"]);
    session.installed(NOW_MS);
    assert.ok(session.open);
  });

  const wrong = {
    "no answer": {},
    "an empty one": { loginAnswer: { mac: new Uint8Array(0) } },
    "a short one": { loginAnswer: { mac: MAC.subarray(1) } },
    "another one": { loginAnswer: { mac: new Uint8Array(32) } },
    "a right one and an account": { loginAnswer: { mac: MAC }, loginAccount: "mallory" },
  };
  for (const [what, part] of Object.entries(wrong)) {
    test(`[ENV-36] [ENV-56] says nothing more to ${what}`, () => {
      const { session, hears } = device(LOGIN);
      const effects = hears(welcome(part));
      assert.deepEqual(kindsOf(effects), ["close"]);
      const [end] = effects;
      const isAnswered = "loginAccount" in part;
      const code = isAnswered ? ErrorCode.FRAME_MALFORMED : ErrorCode.LOGIN_PROOF_INVALID;
      assert.ok(end?.kind === "close" && end.by === "us");
      assert.equal(end.because.code, code);
      assert.equal(end.because.requirement, isAnswered ? "ENV-56" : "ENV-36");
      session.probe(NOW_MS);
      session.close(ErrorCode.GOODBYE);
      assert.deepEqual(session.effects(NOW_MS), []);
      assert.ok(!session.open);
    });
  }

  test("[ENV-36] leaves in silence when it hears nothing, or nonsense, or is closed", () => {
    const late = device(LOGIN);
    late.session.elapsed(NOW_MS + 1_000);
    assert.deepEqual(kindsOf(late.session.effects(NOW_MS)), ["close"]);
    assert.deepEqual(kindsOf(device(LOGIN).hears({ kind: "ping", value: PING })), ["close"]);
    const leaving = device(LOGIN);
    leaving.session.close(ErrorCode.GOODBYE);
    assert.deepEqual(kindsOf(leaving.session.effects(NOW_MS)), ["close"]);
  });

  test("[ENV-36] is silent whatever comes before the answer, however it is cut", () => {
    const frames = fc.record({
      loginAnswer: fc.record({ mac: fc.uint8Array({ maxLength: 33 }) }),
      loginAccount: fc.string({ maxLength: 3 }),
      userId: fc.string({ maxLength: 3 }),
    });
    const pieces = fc.array(
      fc.oneof(
        frames.map((part) => encodeFrame(welcome(part))),
        fc.uint8Array({ maxLength: 40 }),
        fc.constant(encodeFrame({ kind: "ping", value: PING })),
      ),
      { maxLength: 6 },
    );
    const silent = fc.property(pieces, fc.nat(80), (all, cutAt) => {
      const { session } = device(LOGIN);
      const bytes = Buffer.concat(all);
      for (const piece of [bytes.subarray(0, cutAt), bytes.subarray(cutAt)]) {
        session.received(new Uint8Array(piece), NOW_MS);
        session.probe(NOW_MS);
        const effects = kindsOf(session.effects(NOW_MS));
        assert.ok(effects.every((kind) => kind === "close"));
      }
    });
    fc.assert(silent, { numRuns: 500 });
  });

  test("[SES-1] is as talkative as any on its next link", () => {
    const { session } = device(LOGIN);
    session.unlinked();
    session.linked({ token: "t" }, NOW_MS);
    session.close(ErrorCode.GOODBYE);
    const frames = framesOf(session.effects(NOW_MS));
    assert.deepEqual(
      frames.map(({ kind }) => kind),
      ["hello", "close"],
    );
  });
});

const PING = { id: 1, sentThrough: 0 };

test("[ENV-56] an account is heard by a device that registers, and by no other", () => {
  const registering = device(REGISTERING);
  assert.ok(registering.hello?.kind === "hello");
  assert.deepEqual(registering.hello.value.registration, REGISTRATION);
  assert.deepEqual(kindsOf(registering.hears(welcome({ loginAccount: "acme/ann" }))), ["install"]);
  for (const loginAccount of ["a b", "a\n", "é", "a".repeat(130)]) {
    const effects = device(REGISTERING).hears(welcome({ loginAccount }));
    assert.deepEqual(kindsOf(effects), ["write", "close"], loginAccount);
  }
  const others = device({ token: "t" }).hears(welcome({ loginAccount: "ann" }));
  assert.deepEqual(kindsOf(others), ["write", "close"]);
});

describe("a service that reads Hello", () => {
  const HELLO = {
    versionMin: 1,
    versionMax: 1,
    token: "t",
    userId: "",
    deviceId: "d",
    outbox: { epoch: 0, resultsThrough: 0, next: 1 },
    cursor: { epoch: 0, seq: 0, start: CursorStart.EARLIEST },
    deliveryWindow: WINDOW,
    agent: "",
  };

  test("[SES-5] takes a proof alone, and a registration of the right lengths beside a token", () => {
    for (const part of [{ token: "", loginProof: PROOF }, { registration: REGISTRATION }]) {
      const read = readHello({ ...HELLO, ...part });
      assert.ok(!("code" in read));
      const { loginProof, registration } = read;
      const expected = { loginProof: undefined, registration: undefined, ...part };
      assert.deepEqual(
        { token: read.token, loginProof, registration },
        { token: "t", ...expected },
      );
    }
  });

  const none = new Uint8Array(0);
  const wrong = {
    "a proof beside a token": { loginProof: PROOF },
    "a proof beside a registration": {
      token: "",
      loginProof: PROOF,
      registration: REGISTRATION,
    },
    "a registration without a key": { registration: { ...REGISTRATION, loginKey: none } },
    "a key of small order": { registration: { ...REGISTRATION, loginKey: new Uint8Array(32) } },
    "a key in another form than its own": {
      registration: { ...REGISTRATION, loginKey: new Uint8Array(32).fill(0xff) },
    },
    "a registration without a secret": {
      registration: { ...REGISTRATION, registrationSecret: none },
    },
    "a longer secret": {
      registration: { ...REGISTRATION, registrationSecret: new Uint8Array(33) },
    },
  };
  for (const [what, part] of Object.entries(wrong)) {
    test(`[SES-5] refuses ${what}`, () => {
      const read = readHello({ ...HELLO, ...part });
      assert.ok("code" in read);
      assert.equal(read.code, ErrorCode.HELLO_INVALID);
    });
  }
});
