import fc from "fast-check";
import { NATIVE_CRYPTO } from "../../platform/native-crypto.ts";
import { ClientEnvelope } from "../../protocol/envelope/client.ts";
import { CONTENT_BYTES_MAX, INNER_BYTES_MAX } from "../../protocol/envelope/limits.ts";
import { paddedBytes, typeIndex } from "../../protocol/envelope/padding.ts";
import {
  decodeHeader,
  encodeHeader,
  HEADER_BYTES,
  type RecordHeader,
  RecordReader,
} from "../../protocol/envelope/records.ts";
import { ServerEnvelope } from "../../protocol/envelope/server.ts";
import { assert } from "../../protocol/violation.ts";
import { drawn } from "../envelope/drawn.ts";
import { ALL_SUITES, identityOf, POLICY } from "../envelope/pair.ts";
import { hex } from "../envelope/watched-crypto.ts";
import { property, type Seen } from "../property.ts";

interface Stream {
  readonly records: readonly RecordHeader[];
  /** Bytes that are overwritten: where, and with what. */
  readonly lies: readonly { readonly at: number; readonly byte: number }[];
  readonly cuts: readonly number[];
}

/** The chapter's rules on a whole stream, as plainly as they can be said. */
function recordsByRule(stream: Uint8Array): { readonly whole: string[]; readonly fails: boolean } {
  const whole: string[] = [];
  let at = 0;
  while (stream.length - at >= HEADER_BYTES) {
    const view = new DataView(stream.buffer, stream.byteOffset + at, HEADER_BYTES);
    const [type, epoch] = [view.getUint8(0), view.getUint16(2)];
    const [seq, length] = [view.getBigUint64(4), view.getUint32(12)];
    const isClear = [1, 2, 3, 5].includes(type);
    const isLegal =
      view.getUint8(1) === 1 &&
      (isClear
        ? epoch === 0 && seq === 0n && length <= 8192
        : type === 4 && epoch > 0 && seq <= 9_007_199_254_740_991n && length <= 16_656);
    if (!isLegal) return { whole, fails: true };
    const end = at + HEADER_BYTES + length;
    if (end > stream.length) break;
    whole.push(hex(stream.subarray(at, end)));
    at = end;
  }
  return { whole, fails: false };
}

function read({ records, lies, cuts }: Stream, seen: Seen): void {
  const parts = records.map((header, index) => {
    const bytes = encodeHeader(header);
    const again = decodeHeader(bytes);
    assert(JSON.stringify(again) === JSON.stringify(header), "a header comes back [ENV-3]");
    return Buffer.concat([bytes, drawn(`${index}`, header.bodyBytes)]);
  });
  const stream = Uint8Array.from(Buffer.concat(parts));
  for (const { at, byte } of lies) if (stream.length > 0) stream[at % stream.length] = byte;
  const expected = recordsByRule(stream);
  const reader = new RecordReader();
  const whole: string[] = [];
  let isFailed = false;
  const places = [...new Set(cuts.map((cut) => cut % (stream.length + 1)))].sort((a, b) => a - b);
  for (const [index, place] of [0, ...places].entries()) {
    const chunk = stream.subarray(place, places[index] ?? stream.length);
    const fault = reader.push(chunk, ({ header, body }) => {
      whole.push(hex(Buffer.concat([header, body])));
      return true;
    });
    isFailed ||= fault !== undefined;
  }
  assert(whole.join() === expected.whole.join(), "the same records, however they arrive [ENV-3]");
  assert(isFailed === expected.fails, `refused: ${isFailed}, by the rules ${expected.fails}`);
  seen(isFailed ? "refused" : reader.unfinished ? "unfinished" : "whole");
}

const clearHeader: fc.Arbitrary<RecordHeader> = fc.record({
  type: fc.constantFrom("clientHello", "serverHello", "clientFinished", "alert"),
  epoch: fc.constant(0),
  seq: fc.constant(0),
  bodyBytes: fc.nat(60),
});
const seqs = [0, 1, 2 ** 31, 2 ** 32 - 1, 2 ** 32, 2 ** 53 - 1];
const sealedHeader: fc.Arbitrary<RecordHeader> = fc.record({
  type: fc.constant("sealed"),
  epoch: fc.oneof(fc.constantFrom(1, 255, 256, 65_535), fc.integer({ min: 1, max: 65_535 })),
  seq: fc.oneof(fc.constantFrom(...seqs), fc.maxSafeNat()),
  bodyBytes: fc.nat(60),
});

/** Streams of records, right and wrong, cut anywhere. */
export const envelopeRecords = property<Stream>({
  name: "envelope-records",
  title: "[ENV-3] [ENV-4] a stream is cut into records, however it arrives (P31)",
  smokeRuns: 200,
  kinds: ["refused", "unfinished", "whole"],
  arbitrary: fc.record({
    records: fc.array(fc.oneof(clearHeader, sealedHeader), { maxLength: 5 }),
    lies: fc.array(fc.record({ at: fc.nat(200), byte: fc.nat(255) }), { maxLength: 2 }),
    cuts: fc.array(fc.nat(), { maxLength: 6 }),
  }),
  start: (seen) => ({ check: (stream) => read(stream, seen) }),
});

/** What the chapter's formula says, with whole numbers only. */
function bucketByRule(contentBytes: number): number {
  const bytes = contentBytes + 1;
  if (bytes <= 1024) return bytes + ((64 - (bytes % 64)) % 64);
  let exponent = 0;
  while (2 ** (exponent + 1) <= bytes) exponent += 1;
  let bits = 0;
  while (2 ** (bits + 1) <= exponent) bits += 1;
  const step = 2 ** (exponent - bits - 1);
  const rounded = bytes % step === 0 ? bytes : bytes - (bytes % step) + step;
  return Math.min(rounded, INNER_BYTES_MAX);
}

function pad({ bytes, zeros, content }: Padding): void {
  const bucket = paddedBytes(bytes);
  assert(bucket === bucketByRule(bytes), `${bytes} become ${bucket} [ENV-9]`);
  assert(bucket > bytes && bucket <= INNER_BYTES_MAX, "there is room for the type");
  assert(bytes < 1024 || bucket <= (bytes + 1) * 1.12, "and it costs at most 12 %");
  const inner = Buffer.concat([content, new Uint8Array(zeros)]);
  const at = typeIndex(inner);
  const isEmpty = content.every((byte) => byte === 0);
  assert(isEmpty ? at === -1 : inner[at] !== 0, "the type is the last byte that is not zero");
  assert(
    inner.subarray(at + 1).every((byte) => byte === 0),
    "zeros follow it [ENV-8]",
  );
}

interface Padding {
  readonly bytes: number;
  readonly zeros: number;
  readonly content: Uint8Array;
}

/** Lengths that are hidden, and content that is found again. */
export const envelopePadding = property<Padding>({
  name: "envelope-padding",
  title: "[ENV-8] [ENV-9] content is padded to a bucket and found again",
  smokeRuns: 300,
  arbitrary: fc.record({
    bytes: fc.oneof(
      fc.nat(2000),
      fc.nat(CONTENT_BYTES_MAX),
      fc.constantFrom(1022, 1023, 1024, CONTENT_BYTES_MAX - 1, CONTENT_BYTES_MAX),
    ),
    zeros: fc.nat(300),
    content: fc.uint8Array({ maxLength: 30 }),
  }),
  start: () => ({ check: pad }),
});

const IDENTITY = identityOf(NATIVE_CRYPTO, "service");

/** Neither side throws, waits for ever or says more than one alert, whatever it is told. */
function tell({ bytes, isServer }: { bytes: Uint8Array; isServer: boolean }): void {
  const machine = isServer
    ? new ServerEnvelope(
        NATIVE_CRYPTO,
        {
          identities: [IDENTITY],
          suites: ALL_SUITES,
          allowsTicketOnly: true,
          policy: POLICY,
          randomness: drawn("server", 112),
        },
        0,
      )
    : new ClientEnvelope(
        NATIVE_CRYPTO,
        { suites: [2], expects: { kind: "none" }, randomness: drawn("client", 96) },
        0,
      );
  machine.effects();
  machine.received(bytes, 0);
  machine.elapsed(machine.deadlineMs());
  const ends = machine.effects().filter(({ kind }) => kind === "close");
  assert(ends.length === 1 && machine.closed, "it ends, once [ENV-19] [ENV-20]");
  machine.received(bytes, 1);
  assert(machine.effects().length === 0, "and does nothing more");
}

/** Anything at all, to either side. */
export const envelopeBytes = property<{ bytes: Uint8Array; isServer: boolean }>({
  name: "envelope-bytes",
  title: "[ENV-3] [ENV-11] [ENV-12] [ENV-19] [ENV-20] bytes that are no handshake end it, once",
  smokeRuns: 200,
  arbitrary: fc.record({
    bytes: fc.oneof(
      fc.uint8Array({ maxLength: 40 }),
      fc
        .tuple(fc.integer({ min: 1, max: 5 }), fc.uint8Array({ maxLength: 60 }))
        .map(([type, body]) => {
          const isSealed = type === 4;
          const header = [type, 1, 0, isSealed ? 1 : 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
          return Uint8Array.of(...header, body.length, ...body);
        }),
    ),
    isServer: fc.boolean(),
  }),
  start: () => ({ check: tell }),
});
