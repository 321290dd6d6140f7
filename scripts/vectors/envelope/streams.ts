import { hexOf } from "../builder.ts";
import { type EnvelopeCase, envelopeCase, type Failure } from "./cases.ts";
import { ascii, drawn, join } from "./primitives.ts";
import { clearRecord, headerOf, SEALED } from "./record-builder.ts";

const HELLO = clearRecord(1, ascii("a client hello"));
const ANSWER = clearRecord(2, drawn("a server hello", 80));
const sealedOf = (epoch: number, seq: bigint, bytes: number) =>
  join(
    headerOf({ type: SEALED, epoch, seq, length: bytes }),
    drawn(`sealed ${epoch} ${seq}`, bytes),
  );

interface Stream {
  readonly records?: readonly Uint8Array[];
  /** What stands behind them: the beginning of one more, or something that is none. */
  readonly rest?: Uint8Array;
}

function stream(
  about: readonly [string, string, string],
  { records = [], rest = new Uint8Array(0) }: Stream,
  failure?: Failure,
): EnvelopeCase {
  const members = { stream: join(...records, rest), records_hex: records.map(hexOf) };
  return envelopeCase(about, "stream", members, failure);
}

const refused = (ids: string, name: string, description: string, rest: Uint8Array) =>
  stream([ids, `stream-${name}`, description], { records: [HELLO], rest }, "parse");
const clear = (header: Parameters<typeof clearRecord>[2]) => clearRecord(1, ascii("x"), header);

export const STREAMS: readonly EnvelopeCase[] = [
  stream(["ENV-3", "stream-one", "One record."], { records: [HELLO] }),
  stream(["ENV-3", "stream-four", "Four records behind each other."], {
    records: [HELLO, ANSWER, sealedOf(1, 0n, 80), sealedOf(1, 1n, 0)],
  }),
  stream(["ENV-3", "stream-all-types", "Every type, with empty bodies."], {
    records: [
      ...[1, 2, 3, 5].map((type) => clearRecord(type, new Uint8Array(0))),
      sealedOf(1, 0n, 0),
    ],
  }),
  stream(["ENV-3", "stream-numbers-highest", "The highest epoch and number."], {
    records: [sealedOf(65_535, 2n ** 53n - 1n, 16)],
  }),
  stream(["ENV-4", "stream-header-cut", "15 bytes of the next header."], {
    records: [HELLO],
    rest: ANSWER.subarray(0, 15),
  }),
  stream(["ENV-4", "stream-body-missing", "A header and nothing of its body."], {
    records: [HELLO],
    rest: ANSWER.subarray(0, 16),
  }),
  stream(["ENV-4", "stream-body-cut", "A body without its last byte."], {
    records: [HELLO],
    rest: ANSWER.subarray(0, -1),
  }),
  stream(["ENV-4", "stream-clear-longest", "A clear body of 8,192 bytes is waited for."], {
    rest: headerOf({ type: 1, length: 8192 }),
  }),
  stream(["ENV-4", "stream-sealed-longest", "A sealed body of 16,656 bytes is waited for."], {
    rest: headerOf({ type: SEALED, epoch: 1, length: 16_656 }),
  }),
  ...[0, 6, 22, 255].map((type) =>
    refused("ENV-3", `type-${type}`, `A record of type ${type}.`, clear({ type })),
  ),
  ...[0, 2, 255].map((version) =>
    refused("ENV-3", `version-${version}`, `Version ${version}.`, clear({ version })),
  ),
  refused("ENV-3", "clear-epoch", "A clear record of epoch 1.", clear({ epoch: 1 })),
  refused("ENV-3", "clear-epoch-256", "A clear record of epoch 256.", clear({ epoch: 256 })),
  refused("ENV-3", "clear-seq", "A clear record with number 1.", clear({ seq: 1 })),
  refused("ENV-3", "clear-seq-high", "A clear record with number 2^32.", clear({ seq: 2n ** 32n })),
  refused("ENV-3", "sealed-epoch-0", "A sealed record of epoch 0.", sealedOf(0, 0n, 32)),
  refused("ENV-3", "seq-too-high", "A number above 2^53-1.", sealedOf(1, 2n ** 53n, 32)),
  refused("ENV-3", "seq-highest", "The number 2^64-1.", sealedOf(1, 2n ** 64n - 1n, 32)),
  refused(
    "ENV-4",
    "clear-too-long",
    "The header of a clear body of 8,193 bytes, and none of them.",
    headerOf({ type: 2, length: 8193 }),
  ),
  refused(
    "ENV-4",
    "sealed-too-long",
    "The header of a sealed body of 16,657 bytes, and none of them.",
    headerOf({ type: SEALED, epoch: 1, length: 16_657 }),
  ),
  refused(
    "ENV-4",
    "length-highest",
    "The length 2^32-1.",
    headerOf({ type: SEALED, epoch: 1, length: 2 ** 32 - 1 }),
  ),
];
