import { bytesField, delimited, field, hexOf, type Named, named, varint } from "./builder.ts";

export interface FramingVector extends Named {
  /** The bytes of one direction of a link, from its beginning. */
  readonly stream_hex: string;
  /** The largest frame accepted, without its length prefix. */
  readonly frame_bytes_max: number;
  /** However the stream is cut, exactly these frames come out before `fails`, if it does. */
  readonly expect: { readonly frames_hex: readonly string[]; readonly fails?: string };
}

const ACK = bytesField(7, field(1, 3));
const PING = bytesField(8, field(1, 5));
const MAX = 262_144;

interface Stream {
  readonly stream: readonly number[];
  /** What comes out of it. */
  readonly frames?: readonly (readonly number[])[];
  readonly fails?: string;
  readonly max?: number;
}

function framing(what: Named, { stream, frames = [], fails, max = MAX }: Stream): FramingVector {
  const expect = { frames_hex: frames.map(hexOf), ...(fails === undefined ? {} : { fails }) };
  return { ...what, stream_hex: hexOf(stream), frame_bytes_max: max, expect };
}

const body = (length: number) => Array.from({ length }, (_, index) => index & 0xff);

const WHOLE: readonly FramingVector[] = [
  framing(named("FRM-1", "nothing", "A link that carries nothing yet."), { stream: [] }),
  framing(named("FRM-1", "one", "One frame."), { stream: delimited(ACK), frames: [ACK] }),
  framing(named("FRM-1", "three", "Three frames behind each other."), {
    stream: [...delimited(ACK), ...delimited(PING), ...delimited(ACK)],
    frames: [ACK, PING, ACK],
  }),
  framing(named("FRM-1", "unfinished", "The last frame is not whole: it is waited for."), {
    stream: [...delimited(ACK), ...delimited(PING).slice(0, -1)],
    frames: [ACK],
  }),
  framing(named("FRM-1", "length-alone", "Of the last frame only the length is there."), {
    stream: [...delimited(ACK), 4],
    frames: [ACK],
  }),
  framing(named("FRM-1", "length-unfinished", "A length is not whole: it is waited for."), {
    stream: [...delimited(ACK), 0x84],
    frames: [ACK],
  }),
  framing(named("FRM-2", "four-bytes-of-length", "Four bytes, each says that one more follows."), {
    stream: [0xff, 0xff, 0xff, 0xff],
  }),
  framing(named("FRM-6", "empty", "A length of 0 is a frame, which decoding then refuses."), {
    stream: [0, ...delimited(ACK)],
    frames: [[], ACK],
  }),
  ...[1, 127, 128, 129, 16_383, 16_384, 16_385].map((length) =>
    framing(named("FRM-1 FRM-2", `length-${length}`, `A frame of ${length} bytes.`), {
      stream: [...delimited(body(length)), ...delimited(ACK)],
      frames: [body(length), ACK],
    }),
  ),
  framing(named("FRM-3", "at-limit", "A frame as large as the limit."), {
    stream: delimited(body(64)),
    frames: [body(64)],
    max: 64,
  }),
  framing(named("FRM-3", "at-limit-before-welcome", "262,144 is announced, and waited for."), {
    stream: [...delimited(ACK), ...varint(MAX), 0x3a],
    frames: [ACK],
  }),
];

const tooLarge = (name: string, length: number | bigint, max = MAX) =>
  framing(
    named(
      "FRM-3 P31",
      name,
      `A length of ${length} where ${max} is the limit: by the length alone.`,
    ),
    {
      stream: [...delimited(ACK), ...varint(length)],
      frames: [ACK],
      fails: "FRAME_TOO_LARGE",
      max,
    },
  );
const notShort = (name: string, description: string, length: readonly number[]) =>
  framing(named("FRM-2", name, description), {
    stream: [...delimited(PING), ...length],
    frames: [PING],
    fails: "LENGTH_INVALID",
  });

const REFUSED: readonly FramingVector[] = [
  tooLarge("above-limit", 65, 64),
  tooLarge("above-limit-before-welcome", MAX + 1),
  tooLarge("length-2-31-1", 2n ** 31n - 1n),
  tooLarge("length-2-31", 2n ** 31n),
  tooLarge("length-2-32", 2n ** 32n),
  tooLarge("length-2-32-and-1", 2n ** 32n + 1n),
  tooLarge("length-2-35-1", 2n ** 35n - 1n),
  framing(named("FRM-3", "frame-above-limit-whole", "The whole frame is there, and no use."), {
    stream: [...delimited(body(65)), ...delimited(ACK)],
    fails: "FRAME_TOO_LARGE",
    max: 64,
  }),
  notShort("length-2-35", "A length of six bytes.", varint(2n ** 35n)),
  notShort("length-2-53", "A length of eight bytes.", varint(2n ** 53n)),
  notShort("length-2-63", "A length of ten bytes.", varint(2n ** 63n)),
  notShort("long-form", "The length 4 written in two bytes.", [0x84, 0x00, ...ACK]),
  notShort("long-form-0", "The length 0 written in two bytes.", [0x80, 0x00]),
  notShort("long-form-3", "The length 4 written in three bytes.", [0x84, 0x80, 0x00, ...ACK]),
  notShort("long-form-5", "The length 4 written in five bytes.", [0x84, 0x80, 0x80, 0x80, 0x00]),
  notShort(
    "endless-length",
    "Five bytes, each says that one more follows.",
    [0xff, 0xff, 0xff, 0xff, 0xff],
  ),
];

export const FRAMING: readonly FramingVector[] = [...WHOLE, ...REFUSED];
