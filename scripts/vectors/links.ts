import { hexOf, type Named } from "./builder.ts";

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
  const requirements = [expect === "raw" || expect === "refused" ? "LNK-2" : "LNK-3"];
  const description = `${bytes.length} bytes: ${expect}.`;
  return { name, description, requirements, bytes_hex: hexOf(bytes), expect };
}

export const SNIFFING: readonly SniffingVector[] = [
  sniffing("nothing", [], "more"),
  sniffing("tls-first-byte", [0x16], "tls"),
  sniffing("tls-hello", [0x16, 0x03, 0x01, 0x02, 0x00], "tls"),
  sniffing("http-get", ascii("GET / HTTP/1.1\r\n"), "http"),
  sniffing("http-post", ascii("POST "), "http"),
  sniffing("http-one-letter", ascii("P"), "http"),
  sniffing("http2-preface", ascii("PRI * HTTP/2.0\r\n"), "http"),
  ...[1, 2, 3, 4].map((length) =>
    sniffing(`preface-${length}-of-5`, PREFACE.slice(0, length), "more"),
  ),
  sniffing("preface", PREFACE, "raw"),
  sniffing("preface-and-a-frame", [...PREFACE, 4, 0x3a, 2, 8, 3], "raw"),
  sniffing("preface-unknown-mode", [...PREFACE.slice(0, 4), 0x07], "refused"),
  sniffing("preface-wrong-second", [0xf0, 0x9e], "refused"),
  sniffing("preface-wrong-fourth", [0xf0, 0x9f, 0x93, 0xae, 0x01], "refused"),
  sniffing("small-letter", ascii("get / "), "refused"),
  sniffing("at-sign", [0x40], "refused"),
  sniffing("bracket", [0x5b], "refused"),
  sniffing("zero", [0x00], "refused"),
  sniffing("ssl2", [0x80, 0x2e, 0x01], "refused"),
];

/** One request of the device and what the service answers. */
export interface PipeStep {
  /** Bytes that the service's session writes down before the request. */
  readonly write_hex?: string;
  readonly send?: { readonly offset: number | string; readonly data_hex: string };
  readonly poll?: { readonly received_offset: number | string; readonly data_bytes_max: number };
  readonly expect?:
    | { readonly received_offset: number }
    | { readonly offset: number; readonly data_hex: string }
    | { readonly fails: string };
}

export interface PipeVector extends Named {
  readonly steps: readonly PipeStep[];
  /** What the service's session received, in order, after all steps. */
  readonly up_hex: string;
}

const A = hexOf(ascii("hello "));
const B = hexOf(ascii("world"));
const C = hexOf(ascii("!"));
const send = (offset: number | string, data_hex: string, received_offset: number): PipeStep => ({
  send: { offset, data_hex },
  expect: { received_offset },
});
const poll = (received_offset: number | string, offset: number, data_hex: string): PipeStep => ({
  poll: { received_offset, data_bytes_max: 4096 },
  expect: { offset, data_hex },
});

export const PIPES: readonly PipeVector[] = [
  {
    name: "send-in-order",
    description: "Each Send begins where the one before it ended.",
    requirements: ["LNK-7"],
    steps: [send(0, A, 6), send(6, B, 11), send(11, C, 12)],
    up_hex: A + B + C,
  },
  {
    name: "send-repeated",
    description: "A repeat is answered alike and changes nothing.",
    requirements: ["LNK-7", "LNK-12"],
    pitfalls: ["P2"],
    steps: [send(0, A, 6), send(0, A, 6), send(6, B, 11), send(0, A, 11)],
    up_hex: A + B,
  },
  {
    name: "send-overlapping",
    description: "Of a Send that begins below, the new part is taken.",
    requirements: ["LNK-7"],
    steps: [send(0, A, 6), send(3, A.slice(6) + B, 11)],
    up_hex: A + B,
  },
  {
    name: "send-beyond-a-gap",
    description: "Bytes that begin above what is received are not taken.",
    requirements: ["LNK-7"],
    pitfalls: ["P3"],
    steps: [send(6, B, 0), send(0, A, 6), send(6, B, 11)],
    up_hex: A + B,
  },
  {
    name: "send-nothing",
    description: "An empty Send asks how far the service is.",
    requirements: ["LNK-7"],
    steps: [send(0, A, 6), send(6, "", 6)],
    up_hex: A,
  },
  {
    name: "send-offset-2-53",
    description: "No offset is above 2^53-1.",
    requirements: ["LNK-9"],
    pitfalls: ["P31"],
    steps: [
      {
        send: { offset: "9007199254740992", data_hex: C },
        expect: { fails: "COUNTER_OUT_OF_RANGE" },
      },
      send(0, A, 6),
    ],
    up_hex: A,
  },
  {
    name: "poll-repeats-until-acknowledged",
    description: "An answer that was lost comes again, byte for byte.",
    requirements: ["LNK-8", "LNK-12"],
    pitfalls: ["P1", "P34"],
    steps: [{ write_hex: A }, poll(0, 0, A), poll(0, 0, A), poll(6, 6, "")],
    up_hex: "",
  },
  {
    name: "poll-partly-acknowledged",
    description: "An answer that was cut goes on where it was cut.",
    requirements: ["LNK-8"],
    pitfalls: ["P1"],
    steps: [{ write_hex: A + B }, poll(0, 0, A + B), poll(4, 4, (A + B).slice(8))],
    up_hex: "",
  },
  {
    name: "poll-in-pieces",
    description: "An answer holds no more than it may.",
    requirements: ["LNK-11"],
    steps: [
      { write_hex: A + B },
      {
        poll: { received_offset: 0, data_bytes_max: 4 },
        expect: { offset: 0, data_hex: A.slice(0, 8) },
      },
      {
        poll: { received_offset: 4, data_bytes_max: 4 },
        expect: { offset: 4, data_hex: (A + B).slice(8, 16) },
      },
    ],
    up_hex: "",
  },
  {
    name: "poll-ahead",
    description: "More is acknowledged than was sent: refused, and the link goes on.",
    requirements: ["LNK-9"],
    pitfalls: ["P8"],
    steps: [
      { write_hex: A },
      { poll: { received_offset: 7, data_bytes_max: 4096 }, expect: { fails: "OFFSET_INVALID" } },
      poll(0, 0, A),
    ],
    up_hex: "",
  },
  {
    name: "poll-behind",
    description: "Less than before: those bytes are forgotten.",
    requirements: ["LNK-9"],
    steps: [
      { write_hex: A + B },
      poll(6, 6, B),
      { poll: { received_offset: 5, data_bytes_max: 4096 }, expect: { fails: "OFFSET_INVALID" } },
      poll(6, 6, B),
    ],
    up_hex: "",
  },
  {
    name: "poll-offset-2-53",
    description: "No offset is above 2^53-1.",
    requirements: ["LNK-9"],
    pitfalls: ["P31"],
    steps: [
      { write_hex: A },
      {
        poll: { received_offset: "9007199254740992", data_bytes_max: 4096 },
        expect: { fails: "COUNTER_OUT_OF_RANGE" },
      },
    ],
    up_hex: "",
  },
];
