import { deepEqual, equal, ok } from "node:assert/strict";
import { ClientHelloSchema, ServerHelloSchema } from "../../gen/posthorn/v1/envelope_pb.ts";
import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import { NATIVE_CRYPTO } from "../../platform/native-crypto.ts";
import {
  readClientFinished,
  readClientHello,
  readServerHello,
} from "../../protocol/envelope/hello.ts";
import { parsePin, pinText } from "../../protocol/envelope/identity.ts";
import { signLogin } from "../../protocol/envelope/login.ts";
import type { ServerTicket } from "../../protocol/envelope/ticket.ts";
import { encodePlain } from "../../protocol/plain.ts";
import type { Violation } from "../../protocol/violation.ts";
import { parseIdentityFile } from "../../server/envelope/identity-file.ts";
import { Logins } from "../../server/sessions/logins.ts";
import { decodeTicket, encodeTicket } from "../../server/store/records.ts";
import { StoreError } from "../../server/store/store.ts";
import { Choices } from "../coverage/choices.ts";
import { drawn } from "../envelope/drawn.ts";
import { honestRecords } from "../envelope/honest-records.ts";

const HEADER_BYTES = 16;
const PATH = "the-identity-file";
const TICKET_ID = new Uint8Array(16);

/** Which decoder an input is for, by its first byte. */
const DECODERS = [
  clientHello,
  serverHello,
  clientFinished,
  identityFile,
  storedTicket,
  pin,
  loginProof,
] as const;

const HANDSHAKES: readonly Uint8Array[] = ["client" as const, "server" as const].flatMap((side) => {
  return honestRecords(side).filter(([type]) => type !== 4);
});

/**
 * No bytes make a decoder of the envelope throw what it does not promise, and what it takes is
 * within the bounds of the schema. [ENV-1] [ENV-12] [ENV-16] [ENV-18] [ENV-28] [ENV-35] [ENV-44]
 * [ENV-57]
 */
export async function fuzz(data: Uint8Array): Promise<void> {
  const choices = new Choices(data);
  const decode = choices.pick(DECODERS);
  await decode(choices.rest());
}

function isRefused(read: object): read is Violation {
  if (!("code" in read)) return false;
  equal(read.code, ErrorCode.ENVELOPE_MALFORMED);
  return true;
}

/** One form, outside of the core: what is read is written as the same bytes. [ENV-12] */
function clientHello(body: Uint8Array): void {
  const read = readClientHello(body);
  if (isRefused(read)) return;
  const { core, coreBytes, binder } = read;
  deepEqual(encodePlain(ClientHelloSchema, { core: coreBytes, binder }), body, "[ENV-12]");
  ok(coreBytes.length <= 8_000, "[ENV-12]");
  const { offers, clientRandom, pinnedServerId, ticketId, resumeMode } = core;
  const suites = offers.map(({ suite }) => suite);
  ok(suites.length <= 8 && new Set(suites).size === suites.length, "[ENV-12]");
  ok(
    suites.every((suite) => suite > 0 && suite <= 0xffff),
    "[ENV-12]",
  );
  equal(clientRandom.length, 32);
  ok([0, 32].includes(pinnedServerId.length) && [0, 16].includes(ticketId.length));
  const isShown = ticketId.length > 0;
  equal(binder.length, isShown ? 32 : 0);
  ok(isShown ? resumeMode === 1 || resumeMode === 2 : resumeMode === 0);
  ok(offers.length > 0 || resumeMode === 2, "something is offered");
}

function serverHello(body: Uint8Array): void {
  const read = readServerHello(body);
  if (isRefused(read)) return;
  const { core, coreBytes, keys, policy, algorithm, signature, confirm } = read;
  const whole = { core: coreBytes, signatureAlgorithm: algorithm, signature };
  const written = encodePlain(ServerHelloSchema, { ...whole, serverConfirm: confirm });
  deepEqual(written, body, "[ENV-12]");
  equal(confirm.length, 32);
  deepEqual([core.version, core.serverRandom.length, core.linkId.length], [1, 32, 16]);
  equal(keys.ed25519.length, 32, "[ENV-27]");
  ok([0, 1952].includes(keys.mlDsa65.length), "[ENV-27]");
  const { rekeyRecords, rekeyBytes, lifetimeS, nextServerId } = policy;
  ok(rekeyRecords >= 2 && rekeyRecords <= 2 ** 20 && rekeyBytes >= 2 ** 21, "[ENV-37]");
  ok(rekeyBytes <= 2 ** 30 && lifetimeS >= 1 && lifetimeS <= 86_400, "[ENV-41]");
  ok([0, 32].includes(nextServerId.length), "what a rotation announces [ENV-33]");
}

function clientFinished(body: Uint8Array): void {
  const read = readClientFinished(body);
  if (!(read instanceof Uint8Array)) return equal(isRefused(read), true);
  deepEqual([...body], [0x0a, 32, ...read], "field 1 and nothing else [ENV-12]");
}

/** A file that is none is named, and none of its seeds is told. */
function identityFile(body: Uint8Array): void {
  try {
    const { present, next, former } = parseIdentityFile(Buffer.from(body).toString("utf8"), PATH);
    const all = [present, ...(next === undefined ? [] : [next]), ...former];
    for (const { ed25519, mlDsa65 } of all) {
      const seeds = [ed25519, ...(mlDsa65 === undefined ? [] : [mlDsa65])];
      for (const seed of seeds) equal(Buffer.from(seed, "base64").length, 32);
    }
  } catch (error) {
    ok(error instanceof StoreError, String(error));
    equal(error.code, ErrorCode.DATA_DAMAGED);
    ok(error.message.startsWith(PATH) && error.message.length < 100, "it quotes nothing");
  }
}

/** Of the store's own bytes: read whole, or not at all. */
function storedTicket(body: Uint8Array): void {
  let read: ReturnType<typeof decodeTicket>;
  try {
    read = decodeTicket(body, TICKET_ID);
  } catch (error) {
    return ok(error instanceof RangeError, String(error));
  }
  const { ticket, failures } = read;
  const numbers = [failures, ticket.suite, ticket.expiresMs, ticket.agreedMs];
  if (!numbers.every(Number.isSafeInteger)) return;
  deepEqual(decodeTicket(encodeTicket(ticket, failures), TICKET_ID), read, "read as written");
}

function pin(body: Uint8Array): void {
  const text = Buffer.from(body).toString("utf8");
  const read = parsePin(text);
  if (!(read instanceof Uint8Array)) return equal(read.code, ErrorCode.CONFIG_INVALID);
  equal(read.length, 32, "[ENV-27]");
  equal(pinText(read), text.replaceAll(/[\s-]/g, "").toLowerCase(), "[ENV-28]");
}

const LOGIN_KEY = NATIVE_CRYPTO.ed25519Key(drawn("login key", 32));
const SEALED = {
  channelBinding: drawn("binding", 32),
  subject: undefined,
  issueTicket: () => {},
};
const SIGNATURE = signLogin(LOGIN_KEY, { ...SEALED, account: "alice", deviceId: "phone" });
const logins = new Logins({
  store: {
    loadLogin: async ({ deviceId }) => {
      if (deviceId !== "phone") return undefined;
      const secret = drawn("secret", 32);
      return { publicKey: LOGIN_KEY.publicKey, registrationSecret: secret, registeredMs: 0 };
    },
  },
  crypto: NATIVE_CRYPTO,
  nowMs: () => 1,
  lifetimeMs: 1_000,
});

/** Lets in alice's phone with its own signature over this link, and nobody and nothing else. */
async function loginProof(body: Uint8Array): Promise<void> {
  const choices = new Choices(body);
  const account = Buffer.from(choices.take(choices.byte())).toString("latin1");
  const deviceId = Buffer.from(choices.take(choices.byte() % 65)).toString("latin1");
  const flags = choices.byte();
  const signature = choices.rest();
  const userId = (flags & 1) === 0 ? "" : "alice";
  const claimed = (flags & 4) === 0 ? "phone" : "tablet";
  const identity = await logins.authenticate(
    {
      ...CLAIM,
      userId,
      deviceId: claimed,
      loginProof: { account, deviceId, signature },
    },
    (flags & 8) === 0 ? SEALED : undefined,
  );
  const isOwn =
    account === "alice" &&
    deviceId === "phone" &&
    (flags & 12) === 0 &&
    Buffer.from(signature).equals(SIGNATURE);
  if (isOwn) return equal(identity.kind, "authenticated", "[ENV-35]");
  ok(identity.kind === "refused", "who has not signed is not let in [ENV-35]");
  equal(identity.code, ErrorCode.LOGIN_PROOF_INVALID);
  ok(identity.detail.startsWith("no login proof"), "and is not told why [ENV-57]");
}

const CLAIM = {
  version: 1,
  token: "",
  outbox: { epoch: 0, resultsThrough: 0, next: 1 },
  cursor: { epoch: 0, seq: 0, start: "earliest" },
  timers: undefined,
  deliveryWindow: { count: 1, bytes: 1 },
  agent: "",
  registration: undefined,
} as const;

const SEED = Buffer.alloc(32, 7).toString("base64");
const IDENTITY_FILE = JSON.stringify({
  format: "posthorn identity 1",
  present: { ed25519: SEED, mlDsa65: SEED },
  next: { ed25519: SEED },
  former: [{ ed25519: SEED }],
});
const TICKET: ServerTicket = {
  ticketId: TICKET_ID,
  psk: new Uint8Array(32),
  suite: 2,
  expiresMs: 2_000_000_000_000,
  subject: "alice phone",
  agreedMs: 1_900_000_000_000,
};

/** Inputs that each decoder takes, with the byte that leads there, and what is in them. */
export const HONEST: readonly Uint8Array[] = [
  ...HANDSHAKES.map((record) => {
    const body = record.subarray(HEADER_BYTES);
    return Buffer.concat([Uint8Array.of((record[0] as number) - 1), body]);
  }),
  Buffer.concat([Uint8Array.of(3), Buffer.from(IDENTITY_FILE)]),
  Buffer.concat([Uint8Array.of(4), encodeTicket(TICKET, 2)]),
  Buffer.concat([Uint8Array.of(5), Buffer.from(pinText(new Uint8Array(32).fill(0x5a)))]),
  ...[0, 1, 2, 3].map((flags) => {
    const names = Buffer.from([5, ...Buffer.from("alice"), 5, ...Buffer.from("phone"), flags]);
    return Buffer.concat([Uint8Array.of(6), names, SIGNATURE]);
  }),
].map((input) => new Uint8Array(input));
