import { deepEqual, equal, ok } from "node:assert/strict";
import { fromBinary } from "@bufbuild/protobuf";
import { EnvelopeTicketSchema, KeyUpdateSchema } from "../../gen/posthorn/v1/envelope_pb.ts";
import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import { ServerIdentity } from "../../protocol/envelope/identity.ts";
import { clearRecord, encodeHeader } from "../../protocol/envelope/records.ts";
import { Choices } from "../coverage/choices.ts";
import { honestRecords } from "../envelope/honest-records.ts";
import { NO_CRYPTO } from "../envelope/no-crypto.ts";
import { Pair, POLICY, type Side } from "../envelope/pair.ts";

const HEADER_BYTES = 16;
const TAG_BYTES = 16;
const STEPS_MAX = 64;
const CRYPTO = { client: NO_CRYPTO, server: NO_CRYPTO };
const IDENTITY = new ServerIdentity(NO_CRYPTO, {
  ed25519: NO_CRYPTO.ed25519Key(new Uint8Array(32)),
});
/** The shortest life of a key: its hard stop is after eight records. [ENV-38] */
const KEY_RECORDS = 2;
const HARD_STOP = 4 * KEY_RECORDS;
const SEALED_BYTES_MAX = 16_656;
const CLEAR_BYTES_MAX = 8_192;

/** Records of either side, whole, for the dictionary. */
export const HONEST: readonly Uint8Array[] = [
  ...honestRecords("client"),
  ...honestRecords("server"),
];

/**
 * The stream of an established link, in either role, with keys that the fuzzer has: what opens,
 * what comes of it and with which code it ends is what a plain reading of 11.2 says, in any cut.
 * [ENV-3] [ENV-4] [ENV-5] [ENV-6] [ENV-8] [ENV-38] [ENV-39] [ENV-42] [ENV-49] [ENV-50] [ENV-51]
 */
export function fuzz(data: Uint8Array): void {
  const choices = new Choices(data);
  const to: Side = choices.byte() % 2 === 0 ? "server" : "client";
  const cut = 1 + choices.byte();
  const stream = streamOf(choices);
  const pair = established();
  for (let at = 0; at < stream.length; at += cut) {
    pair.inject(to, stream.subarray(at, at + cut));
  }
  pair.settle();
  const expected = readPlainly(stream, to);
  const { frames, ends } = pair.at[to];
  deepEqual([...Buffer.concat(frames)], expected.frames, "what was read");
  deepEqual(
    ends.map(({ because, by }) => [because.code, by]),
    expected.end === undefined ? [] : [expected.end],
    `how it ended: ${ends[0]?.because.detail}`,
  );
  if (to === "client") equal(pair.tickets.length, expected.ticketCount, "tickets [ENV-42]");
}

function established(): Pair {
  const policy = { ...POLICY, rekeyRecords: KEY_RECORDS };
  const pair = new Pair({
    name: "established",
    crypto: CRYPTO,
    server: { identities: [IDENTITY], policy },
    // What is said in answer does not come: the other side is the fuzzer.
    carry: (record) => (record[0] === 4 || record[0] === 5 ? [] : [record]),
  });
  pair.settle();
  ok(pair.at.client.link !== undefined && pair.at.server.link !== undefined);
  return pair;
}

/** Records with the numbers that are due, others, and bytes as they are. */
function streamOf(choices: Choices): Uint8Array {
  const parts: Uint8Array[] = [];
  let epoch = 1;
  let seq = 0;
  for (let step = 0; step < STEPS_MAX && !choices.isEmpty; step += 1) {
    const kind = choices.byte() % 8;
    if (kind === 6) {
      parts.push(choices.take(choices.byte()));
      continue;
    }
    if (kind === 7) {
      parts.push(
        clearRecord(choices.pick(["clientHello", "serverHello", "alert"]), choices.take(4)),
      );
      continue;
    }
    // Mostly the due one; else one that is a little off.
    const off = kind === 5 ? choices.byte() : 0;
    const type = choices.byte();
    const content = choices.take(choices.byte() % 40);
    const zeros = new Uint8Array(choices.byte() % 4);
    const tag = new Uint8Array(kind === 4 ? choices.byte() % 32 : TAG_BYTES);
    const body = Buffer.concat([content, Uint8Array.of(type), zeros, tag]);
    const numbers = { epoch: epoch + (off >> 4), seq: seq + (off & 15) };
    parts.push(encodeHeader({ type: "sealed", ...numbers, bodyBytes: body.length }), body);
    seq += 1;
    if (type !== 2) continue;
    epoch += 1;
    seq = 0;
  }
  return new Uint8Array(Buffer.concat(parts));
}

type End = readonly [ErrorCode, "us" | "peer"];

interface Reading {
  readonly frames: number[];
  ticketCount: number;
  end: End | undefined;
}

/** The chapter, read once more, record by record. */
function readPlainly(stream: Uint8Array, to: Side): Reading {
  const bytes = Buffer.from(stream);
  const reading: Reading = { frames: [], ticketCount: 0, end: undefined };
  let epoch = 1;
  let seq = 0;
  let hasOpened = false;
  let at = 0;
  const ended = (...end: End) => {
    reading.end = end;
    return reading;
  };
  while (bytes.length - at >= HEADER_BYTES) {
    const header = bytes.subarray(at, at + HEADER_BYTES);
    const type = header[0] as number;
    const bodyBytes = header.readUInt32BE(12);
    if (!isLegalHeader(header)) return ended(ErrorCode.ENVELOPE_MALFORMED, "us");
    if (bytes.length - at < HEADER_BYTES + bodyBytes) return reading;
    const body = bytes.subarray(at + HEADER_BYTES, at + HEADER_BYTES + bodyBytes);
    at += HEADER_BYTES + bodyBytes;
    // A clear alert before the first sealed record is a hint. [ENV-49]
    if (type === 5 && !hasOpened) return ended(ErrorCode.ENVELOPE_REFUSED, "peer");
    const isDue = header.readUInt16BE(2) === epoch && header.readBigUInt64BE(4) === BigInt(seq);
    if (type !== 4 || !isDue) return ended(ErrorCode.ENVELOPE_RECORD_INVALID, "us");
    if (seq >= HARD_STOP) return ended(ErrorCode.ENVELOPE_LIMIT_REACHED, "us");
    const inner = innerOf(body);
    if (inner === undefined) return ended(ErrorCode.ENVELOPE_RECORD_INVALID, "us");
    seq += 1;
    hasOpened = true;
    const end = takeContent(inner, { to, reading });
    if (end !== undefined) return ended(...end);
    if (inner.type !== 2) continue;
    epoch += 1;
    seq = 0;
  }
  return reading;
}

function isLegalHeader(header: Buffer): boolean {
  const type = header[0] as number;
  const [epoch, seq] = [header.readUInt16BE(2), header.readBigUInt64BE(4)];
  if (type < 1 || type > 5 || header[1] !== 1) return false;
  if (type === 4 ? epoch === 0 || seq > 2n ** 53n - 1n : epoch !== 0 || seq !== 0n) return false;
  return header.readUInt32BE(12) <= (type === 4 ? SEALED_BYTES_MAX : CLEAR_BYTES_MAX);
}

interface Inner {
  readonly type: number;
  readonly content: Buffer;
}

/** With no cryptography the tag is 16 zeros; undefined: it does not open, or has no type. */
function innerOf(body: Buffer): Inner | undefined {
  const tagAt = body.length - TAG_BYTES;
  if (tagAt < 0 || body.subarray(tagAt).some((byte) => byte !== 0)) return undefined;
  let at = tagAt - 1;
  while (at >= 0 && body[at] === 0) at -= 1;
  const type = at < 0 ? 0 : (body[at] as number);
  return type >= 1 && type <= 5 ? { type, content: body.subarray(0, at) } : undefined;
}

function takeContent(
  { type, content }: Inner,
  { to, reading }: { readonly to: Side; readonly reading: Reading },
): End | undefined {
  const invalid: End = [ErrorCode.ENVELOPE_RECORD_INVALID, "us"];
  switch (type) {
    case 1:
      reading.frames.push(...content);
      return undefined;
    case 2:
      return decoded(() => fromBinary(KeyUpdateSchema, content)) === undefined
        ? invalid
        : undefined;
    case 3: {
      const ticket = decoded(() => fromBinary(EnvelopeTicketSchema, content));
      if (ticket === undefined || to === "server") return invalid;
      const { ticketId, lifetimeS } = ticket;
      if (ticketId.length === 16 && lifetimeS >= 1 && lifetimeS <= 86_400) reading.ticketCount += 1;
      return undefined;
    }
    case 4:
      return [ErrorCode.ENVELOPE_RECORD_REFUSED, "peer"];
    default:
      return [ErrorCode.GOODBYE, "peer"];
  }
}

function decoded<Message>(decode: () => Message): Message | undefined {
  try {
    return decode();
  } catch {
    return undefined;
  }
}
