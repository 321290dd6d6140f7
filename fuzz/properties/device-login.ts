import fc from "fast-check";
import { DeviceLogin, memoryLogin } from "../../client/device-login.ts";
import { NATIVE_CRYPTO } from "../../platform/native-crypto.ts";
import { Delimiter } from "../../protocol/delimit.ts";
import { loginAnswer } from "../../protocol/envelope/login.ts";
import { encodeFrame, type Frame, type FrameContents } from "../../protocol/frames.ts";
import { ClientSession } from "../../protocol/session/client.ts";
import { readHello } from "../../protocol/session/hello.ts";
import { assert } from "../../protocol/violation.ts";
import { Logins } from "../../server/sessions/logins.ts";
import { MemoryStore } from "../../server/store/memory.ts";
import { userRefOf } from "../../server/store/store.ts";
import { drawn } from "../envelope/drawn.ts";
import { property, type Seen } from "../property.ts";
import { NO_STATE } from "../sim/device.ts";
import { frameIn } from "../sim/frame-reader.ts";

const NOW_MS = 1_800_000_000_000;
const LIFETIME_MS = 1_000;
const DEVICE = { user: userRefOf("acme", "ann"), deviceId: "d" };
const ACCOUNT = "acme/ann";
const WINDOW = { count: 4, bytes: 300 };

/** What is not as it should be, and who finds that out. */
const FAULTS = {
  none: "nobody",
  key: "service",
  account: "service",
  device: "service",
  user: "service",
  old: "service",
  secret: "device",
  silence: "device",
} as const;
type Fault = keyof typeof FAULTS;

interface Visit {
  readonly name: string;
  readonly fault: Fault;
  /** Somebody has a link to each, and answers with what he can have got from the service. */
  readonly isBetween: boolean;
}

const WELCOME: FrameContents["welcome"] = {
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

async function visit({ name, fault, isBetween }: Visit, seen: Seen): Promise<void> {
  seen(isBetween ? "between" : fault);
  const near = drawn(`${name} near`, 32);
  const far = isBetween ? drawn(`${name} far`, 32) : near;
  const device = await deviceOf(name, fault, near);
  const { logins, registrationSecret } = await serviceOf(name, fault);
  const claim = readHello(device.hello);
  assert(!("code" in claim), "its Hello keeps the rules");
  const sealed = { channelBinding: far, subject: undefined, issueTicket: () => {} };
  const identity = await logins.authenticate(claim, sealed);
  const isTaken = identity.kind === "authenticated";
  const isFound = FAULTS[fault] === "service";
  assert(
    isTaken === (!isFound && !isBetween),
    "a proof is of its link and device [ENV-35] [ENV-57]",
  );
  const own = isTaken ? identity.loginAnswer : undefined;
  // What the service would say to one who is in between, were he a device of its own.
  const passedOn = loginAnswer(NATIVE_CRYPTO, { registrationSecret, channelBinding: far });
  const mac = fault === "silence" ? undefined : (own ?? passedOn);
  const answer = mac && { loginAnswer: { mac } };
  device.session.received(
    encodeFrame({ kind: "welcome", value: { ...WELCOME, ...answer } }),
    NOW_MS,
  );
  const kinds = device.session.effects(NOW_MS).map(({ kind }) => kind);
  const isBelieved = !isBetween && mac !== undefined && fault !== "secret";
  const expected = isBelieved ? "install" : "close";
  assert(kinds.join() === expected, "an answer is of its link, or is not answered [ENV-36]");
}

async function deviceOf(name: string, fault: Fault, binding: Uint8Array) {
  const seed = drawn(fault === "key" ? `${name} other` : name, 32);
  const registrationSecret = drawn(`${name} secret`, 32);
  const account = fault === "account" ? "acme/bob" : ACCOUNT;
  const deviceId = fault === "device" ? "e" : DEVICE.deviceId;
  const memory = memoryLogin({ seed, registrationSecret, account });
  const login = await new DeviceLogin(NATIVE_CRYPTO, memory).attempt(binding, deviceId);
  const timers = { keepaliveMs: 0, idleMs: 0, ageMs: 0 };
  const asked = { agent: "", start: "earliest", deliveryWindow: WINDOW, timers } as const;
  const userId = fault === "user" ? "bob" : "";
  const options = { deviceId, userId, handshakeMs: 1_000, ...asked };
  const session = new ClientSession(options, NO_STATE);
  session.linked({ token: "", login }, NOW_MS);
  const [hello] = session.effects(NOW_MS).flatMap((effect) => {
    if (effect.kind !== "write") return [];
    const frames: Frame[] = [];
    new Delimiter(1 << 20).push(effect.bytes, (from, at, end) => {
      frames.push(frameIn(from, { at, end }, "client"));
      return true;
    });
    return frames;
  });
  assert(hello?.kind === "hello", "a link begins with Hello [SES-1]");
  return { session, hello: hello.value };
}

async function serviceOf(name: string, fault: Fault) {
  const publicKey = NATIVE_CRYPTO.ed25519Key(drawn(name, 32)).publicKey;
  const registrationSecret = drawn(`${name} ${fault === "secret" ? "wrong" : "secret"}`, 32);
  const store = new MemoryStore({
    nowMs: () => NOW_MS,
    newSessionId: () => new Uint8Array(16),
    newTimelineEpoch: () => 1,
  });
  const registeredMs = fault === "old" ? NOW_MS - LIFETIME_MS : NOW_MS;
  await store.prepare({
    device: DEVICE,
    outbox: { epoch: 0, resultsThrough: 0, next: 1 },
    cursor: { epoch: 0, seq: 0, start: "earliest" },
    login: { publicKey, registrationSecret, registeredMs },
  });
  const time = { nowMs: () => NOW_MS, lifetimeMs: LIFETIME_MS };
  return { logins: new Logins({ store, crypto: NATIVE_CRYPTO, ...time }), registrationSecret };
}

/** Devices, services and those in between, each with what they can have. */
export const deviceLogin = property<Visit>({
  name: "device-login",
  title: "[ENV-35] [ENV-36] [ENV-57] [AUT-7] only the device and its service pass, on their link",
  smokeRuns: 60,
  kinds: [...Object.keys(FAULTS), "between"],
  arbitrary: fc.record({
    name: fc.string(),
    fault: fc.constantFrom(...(Object.keys(FAULTS) as Fault[])),
    isBetween: fc.boolean(),
  }),
  start: (seen) => ({ check: (one) => visit(one, seen) }),
});
