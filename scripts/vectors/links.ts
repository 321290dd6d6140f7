import { hexOf, type Named, named } from "./builder.ts";

export interface SniffingVector extends Named {
  /** The first bytes of a connection to a port that serves everything. */
  readonly bytes_hex: string;
  readonly expect: "tls" | "http" | "raw" | "refused" | "more";
}

const PREFACE = [0xf0, 0x9f, 0x93, 0xaf, 0x01];
const ascii = (text: string) => [...Buffer.from(text, "latin1")];

function sniffing(
  name: string,
  bytes: readonly number[],
  expect: SniffingVector["expect"],
): SniffingVector {
  const id = expect === "raw" || expect === "refused" ? "LNK-2" : "LNK-3";
  return {
    ...named(id, name, `${bytes.length} bytes: ${expect}.`),
    bytes_hex: hexOf(bytes),
    expect,
  };
}

export const SNIFFING: readonly SniffingVector[] = [
  sniffing("nothing", [], "more"),
  sniffing("tls-first-byte", [0x16], "tls"),
  sniffing("tls-hello", [0x16, 0x03, 0x01, 0x02, 0x00], "tls"),
  sniffing("http-get", ascii("GET / HTTP/1.1\r\n"), "http"),
  sniffing("http-post", ascii("POST "), "http"),
  sniffing("http-first-letter", ascii("A"), "http"),
  sniffing("http-last-letter", ascii("Z"), "http"),
  sniffing("http2-preface", ascii("PRI * HTTP/2.0\r\n"), "http"),
  ...[1, 2, 3, 4].map((length) =>
    sniffing(`preface-${length}-of-5`, PREFACE.slice(0, length), "more"),
  ),
  sniffing("preface", PREFACE, "raw"),
  sniffing("preface-and-a-frame", [...PREFACE, 4, 0x3a, 2, 8, 3], "raw"),
  sniffing("preface-and-half-a-frame", [...PREFACE, 4, 0x3a], "raw"),
  sniffing("preface-mode-0", [...PREFACE.slice(0, 4), 0x00], "refused"),
  sniffing("preface-mode-2", [...PREFACE.slice(0, 4), 0x02], "refused"),
  sniffing("preface-wrong-second", [0xf0, 0x9e], "refused"),
  sniffing("preface-wrong-third", [0xf0, 0x9f, 0x92], "refused"),
  sniffing("preface-wrong-fourth", [0xf0, 0x9f, 0x93, 0xae], "refused"),
  sniffing("preface-without-its-first", PREFACE.slice(1), "refused"),
  sniffing("small-letter", ascii("get / "), "refused"),
  sniffing("at-sign", [0x40], "refused"),
  sniffing("bracket", [0x5b], "refused"),
  sniffing("below-tls", [0x15], "refused"),
  sniffing("above-tls", [0x17], "refused"),
  sniffing("frame-without-preface", [4, 0x3a, 2, 8, 3], "refused"),
  sniffing("zero", [0x00], "refused"),
  sniffing("highest", [0xff], "refused"),
  sniffing("ssl2", [0x80, 0x2e, 0x01], "refused"),
];

/** What Open granted on the links of byte-pipe.json. */
export const PIPE_SETUP = {
  hold_ms: 1000,
  coalesce_ms: 0,
  idle_ms: 3000,
  poll_bytes_max: 12,
  send_bytes_max: 12,
};

type PollAnswer =
  | { readonly offset: number; readonly data_hex: string; readonly ended?: true }
  | { readonly fails: string };

/** Something happens at the service. */
export interface PipeStep {
  /** Since the link was opened; absent: at the time of the step before. */
  readonly at_ms?: number;
  /** Bytes that the service's session writes. */
  readonly write_hex?: string;
  /** The service's session closes the link. */
  readonly ends?: true;
  readonly send?: { readonly offset: string; readonly data_hex: string };
  readonly sent?: { readonly received_offset: number } | { readonly fails: string };
  /** A Poll comes; the name is for `answers` and `cut`. */
  readonly poll?: { readonly name: string; readonly received_offset: string };
  /** The request of a hanging Poll is cut: its answer has nowhere to go. */
  readonly cut?: string;
  /** The Polls that are answered in this step, by name; all others go on hanging. */
  readonly answers?: Readonly<Record<string, PollAnswer>>;
}

export interface PipeVector extends Named {
  readonly steps: readonly PipeStep[];
  /** What the service's session received, in order, after all steps. */
  readonly up_hex: string;
}

const A = hexOf(ascii("hello "));
const B = hexOf(ascii("world"));
const C = hexOf(ascii("!"));
const send = (offset: number, data_hex: string, received_offset: number): PipeStep => ({
  send: { offset: String(offset), data_hex },
  sent: { received_offset },
});
const sendRefused = (offset: bigint, data_hex: string, code: string): PipeStep => ({
  send: { offset: String(offset), data_hex },
  sent: { fails: code },
});
const hangs = (name: string, offset: number): PipeStep => ({
  poll: { name, received_offset: String(offset) },
});
const poll = (offset: number, data_hex: string): PipeStep => ({
  ...hangs("now", offset),
  answers: { now: { offset, data_hex } },
});
const pollRefused = (offset: number | bigint, code: string): PipeStep => ({
  poll: { name: "now", received_offset: String(offset) },
  answers: { now: { fails: code } },
});
const write = (write_hex: string, answers?: PipeStep["answers"]): PipeStep => ({
  write_hex,
  ...(answers === undefined ? {} : { answers }),
});
const pipe = (what: Named, steps: readonly PipeStep[], up_hex = ""): PipeVector => ({
  ...what,
  steps,
  up_hex,
});

const UP: readonly PipeVector[] = [
  pipe(
    named("LNK-7", "send-in-order", "Each Send begins where the one before it ended."),
    [send(0, A, 6), send(6, B, 11), send(11, C, 12)],
    A + B + C,
  ),
  pipe(
    named("LNK-7 LNK-12 P2", "send-repeated", "A repeat changes nothing, however old it is."),
    [send(0, A, 6), send(0, A, 6), send(6, B, 11), send(0, A, 11), send(6, B, 11)],
    A + B,
  ),
  pipe(
    named("LNK-7 P2", "send-overlapping", "Of a Send that begins below, the new part is taken."),
    [send(0, A, 6), send(3, A.slice(6) + B, 11), send(0, A + B + C, 12)],
    A + B + C,
  ),
  pipe(
    named("LNK-7 P3", "send-beyond-a-gap", "Bytes that begin above are not taken, nor kept."),
    [send(6, B, 0), send(0, A, 6), send(7, C, 6), send(6, B, 11)],
    A + B,
  ),
  pipe(
    named("LNK-7", "send-nothing", "An empty Send asks how far the service is."),
    [send(0, "", 0), send(0, A, 6), send(6, "", 6), send(0, "", 6)],
    A,
  ),
  pipe(
    named("LNK-7 LNK-9 P31", "send-far-beyond", "Large offsets are gaps like any other."),
    [send(0, A, 6), send(2 ** 31, B, 6), send(2 ** 32 + 6, B, 6), send(2 ** 53 - 1, "", 6)],
    A,
  ),
  ...[
    ["2-53", 2n ** 53n],
    ["2-53-and-6", 2n ** 53n + 6n],
    ["2-63", 2n ** 63n],
    ["2-64-1", 2n ** 64n - 1n],
  ].map(([name, offset]) =>
    pipe(
      named("LNK-9 P31", `send-offset-${name}`, "Above 2^53-1: refused, and the link goes on."),
      [send(0, A, 6), sendRefused(offset as bigint, B, "COUNTER_OUT_OF_RANGE"), send(6, B, 11)],
      A + B,
    ),
  ),
  pipe(
    named("LNK-9 P31", "send-end-2-53", "It begins at 2^53-1 and ends above."),
    [sendRefused(2n ** 53n - 1n, C, "COUNTER_OUT_OF_RANGE"), send(0, A, 6)],
    A,
  ),
  pipe(
    named("LNK-11", "send-too-much", "Thirteen bytes where twelve are granted: none is taken."),
    [sendRefused(0n, A + B + C + C, "REQUEST_INVALID"), send(0, A + B + C, 12)],
    A + B + C,
  ),
];

const DOWN: readonly PipeVector[] = [
  pipe(named("LNK-8 LNK-12 P1 P34", "poll-repeated", "An answer that was lost comes again."), [
    write(A),
    poll(0, A),
    poll(0, A),
    poll(0, A),
    write(B),
    poll(0, A + B),
    poll(6, B),
  ]),
  pipe(
    named(
      "LNK-8 P1",
      "poll-partly-acknowledged",
      "An answer that was cut goes on where it was cut.",
    ),
    [write(A + B), poll(0, A + B), poll(4, (A + B).slice(8)), poll(10, B.slice(8))],
  ),
  pipe(named("LNK-8 LNK-11", "poll-in-pieces", "An answer holds no more than was granted."), [
    write(A + B + A),
    poll(0, A + B + A.slice(0, 2)),
    poll(12, A.slice(2)),
  ]),
  pipe(named("LNK-9 P8", "poll-ahead", "One more than was sent: refused, and the link goes on."), [
    write(A),
    pollRefused(7, "OFFSET_INVALID"),
    poll(0, A),
    pollRefused(2n ** 53n - 1n, "OFFSET_INVALID"),
    poll(0, A),
  ]),
  pipe(named("LNK-9", "poll-behind", "Less than before: those bytes are forgotten."), [
    write(A + B),
    poll(6, B),
    pollRefused(5, "OFFSET_INVALID"),
    poll(6, B),
  ]),
  ...[
    ["2-31", 2n ** 31n, "OFFSET_INVALID"],
    ["2-32", 2n ** 32n, "OFFSET_INVALID"],
    ["2-53", 2n ** 53n, "COUNTER_OUT_OF_RANGE"],
    ["2-63", 2n ** 63n, "COUNTER_OUT_OF_RANGE"],
    ["2-64-1", 2n ** 64n - 1n, "COUNTER_OUT_OF_RANGE"],
  ].map(([name, offset, code]) =>
    pipe(
      named("LNK-9 P31", `poll-offset-${name}`, "Never sent, however it is cut to fewer bits."),
      [write(A), pollRefused(offset as bigint, code as string), poll(0, A)],
    ),
  ),
];

const HANGING: readonly PipeVector[] = [
  pipe(named("LNK-8", "poll-hangs", "A Poll waits for the first bytes."), [
    hangs("a", 0),
    write(A, { a: { offset: 0, data_hex: A } }),
    hangs("b", 6),
    write(B, { b: { offset: 6, data_hex: B } }),
  ]),
  pipe(named("LNK-13 P28", "poll-held", "Nothing comes within the hold: an empty answer then."), [
    hangs("a", 0),
    { at_ms: 980 },
    { at_ms: 1000, answers: { a: { offset: 0, data_hex: "" } } },
    hangs("b", 0),
    write(A, { b: { offset: 0, data_hex: A } }),
  ]),
  pipe(
    named("LNK-10 P2", "poll-superseded", "The older Poll is answered when a newer one comes."),
    [
      hangs("a", 0),
      { ...hangs("b", 0), answers: { a: { fails: "POLL_SUPERSEDED" } } },
      write(A, { b: { offset: 0, data_hex: A } }),
    ],
  ),
  pipe(named("LNK-9 LNK-10", "poll-superseded-by-none", "A refused Poll supersedes nothing."), [
    hangs("a", 0),
    pollRefused(1, "OFFSET_INVALID"),
    write(A, { a: { offset: 0, data_hex: A } }),
  ]),
  pipe(
    named("LNK-8 LNK-12 P1 P34", "poll-cut", "What had nowhere to go is kept for the next Poll."),
    [hangs("a", 0), { cut: "a" }, write(A), poll(0, A)],
  ),
  pipe(
    named("LNK-8", "poll-ended", "The last bytes and the end come, as often as they are asked."),
    [
      write(A),
      { ends: true },
      ...[1, 2].map(() => ({
        ...hangs("now", 0),
        answers: { now: { offset: 0, data_hex: A, ended: true } as const },
      })),
    ],
  ),
  pipe(named("LNK-8", "poll-ended-in-pieces", "The end is said with the last piece only."), [
    write(A + B + A),
    { ends: true },
    poll(0, A + B + A.slice(0, 2)),
    {
      ...hangs("now", 12),
      answers: { now: { offset: 12, data_hex: A.slice(2), ended: true } },
    },
  ]),
  pipe(named("LNK-8", "poll-ended-hanging", "A hanging Poll hears of the end."), [
    hangs("a", 0),
    { ends: true, answers: { a: { offset: 0, data_hex: "", ended: true } } },
  ]),
];

export const PIPES: readonly PipeVector[] = [...UP, ...DOWN, ...HANGING];
