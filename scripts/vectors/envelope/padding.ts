import { type EnvelopeCase, envelopeCase, type Failure } from "./cases.ts";
import { ascii, fromHex, join, NOTHING } from "./primitives.ts";
import { CONTENT, type ContentType, innerOf, paddedBytes } from "./record-builder.ts";

/** Lengths written by hand next to computed ones, so that no formula is trusted alone. */
const BY_HAND: Readonly<Record<number, number>> = {
  0: 64,
  63: 64,
  64: 128,
  1023: 1024,
  1024: 1088,
  1087: 1088,
  2047: 2048,
  2048: 2176,
  4096: 4352,
  16383: 16_384,
  16384: 16_640,
};
const COMPUTED = [
  1, 62, 127, 128, 500, 959, 960, 1022, 1100, 1500, 3000, 4095, 5000, 8191, 8192, 10_000, 15_871,
  15_872, 16_000, 16_382,
];

const LENGTHS: readonly EnvelopeCase[] = [...Object.keys(BY_HAND).map(Number), ...COMPUTED]
  .sort((a, b) => a - b)
  .map((content_bytes) => {
    const inner_bytes = paddedBytes(content_bytes);
    if (inner_bytes !== (BY_HAND[content_bytes] ?? inner_bytes)) {
      throw new TypeError(`${content_bytes} bytes become ${inner_bytes}`);
    }
    const about = ["ENV-9", `padded-${content_bytes}`, `Content of ${content_bytes} bytes.`];
    return envelopeCase(about as [string, string, string], "padding", {
      content_bytes,
      inner_bytes,
    });
  });

function inner(name: string, description: string, [type, content, bytes]: InnerText): EnvelopeCase {
  const members = { inner: innerOf(type, content, bytes), type, content };
  return envelopeCase(["ENV-8", `inner-${name}`, description], "inner", members);
}
type InnerText = readonly [type: ContentType, content: Uint8Array, bytes?: number];

const refused = (name: string, description: string, text: Uint8Array, failure: Failure) =>
  envelopeCase(["ENV-8", `inner-${name}`, description], "inner", { inner: text }, failure);

const INNERS: readonly EnvelopeCase[] = [
  ...(Object.keys(CONTENT) as ContentType[]).map((type) =>
    inner(type.replace("_", "-"), `Content of type ${CONTENT[type]}.`, [
      type,
      type === "frames" ? ascii("hello") : NOTHING,
    ]),
  ),
  inner("unpadded", "No zero at all.", ["frames", ascii("hello"), 6]),
  inner("one-zero", "One zero.", ["frames", ascii("hello"), 7]),
  inner("type-alone", "One byte, the type.", ["close", NOTHING, 1]),
  inner("ends-with-zeros", "Zeros that belong to the content.", ["frames", new Uint8Array(5)]),
  inner("ends-with-type", "Content that ends like a type.", ["frames", fromHex("0105")]),
  refused("empty", "No bytes.", NOTHING, "padding"),
  refused("zeros", "64 zeros.", new Uint8Array(64), "padding"),
  refused("type-6", "Type 6.", innerOf(6, ascii("hello")), "parse"),
  refused(
    "dirty",
    "A byte in the padding that is not zero.",
    join(innerOf("frames", ascii("hello")).subarray(0, -1), fromHex("80")),
    "parse",
  ),
];

export const PADDING: readonly EnvelopeCase[] = [...LENGTHS, ...INNERS];
