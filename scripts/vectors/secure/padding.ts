import { big, drawn, join } from "../envelope/primitives.ts";
import { type SecureCase, secureCase } from "./cases.ts";
import { bucketOf, innerOf } from "./message-builder.ts";

/** Lengths written by hand: content, with franking or without, and the inner text. */
const BY_HAND: readonly (readonly [content: number, franking: boolean, inner: number])[] = [
  [0, false, 256],
  [2, false, 256],
  [252, false, 256],
  [253, false, 512],
  [508, false, 512],
  [509, false, 1024],
  [1020, false, 1024],
  [1021, false, 2048],
  [2044, false, 2048],
  [2045, false, 4096],
  [4093, false, 8192],
  [8188, false, 8192],
  [8189, false, 16_384],
  [16_380, false, 16_384],
  [16_381, false, 32_768],
  [32_764, false, 32_768],
  [32_765, false, 65_536],
  [65_532, false, 65_536],
  [0, true, 256],
  [220, true, 256],
  [221, true, 512],
  [476, true, 512],
  [477, true, 1024],
  [65_500, true, 65_536],
];

const NONE: readonly (readonly [content: number, franking: boolean])[] = [
  [65_533, false],
  [65_536, false],
  [65_501, true],
  [2 ** 32 - 1, false],
];

const nameOf = (content: number, franking: boolean) =>
  `padded-${content}${franking ? "-franking" : ""}`;

const LENGTHS: readonly SecureCase[] = [
  ...BY_HAND.map(([content_bytes, franking, inner_bytes]) => {
    if (bucketOf(content_bytes + (franking ? 36 : 4)) !== inner_bytes) {
      throw new TypeError(`${content_bytes} bytes`);
    }
    const name = nameOf(content_bytes, franking);
    const about = ["SEC-48", name, `Content of ${content_bytes} bytes.`] as const;
    return secureCase(about, "padded", { content_bytes, franking, inner_bytes });
  }),
  ...NONE.map(([content_bytes, franking]) => {
    const name = nameOf(content_bytes, franking);
    const about = ["SEC-48", name, `Content of ${content_bytes} bytes is too much.`] as const;
    return secureCase(about, "padded", { content_bytes, franking }, "MESSAGE_TOO_LARGE");
  }),
];

const CONTENT = drawn("secure content", 100);
const KEY = drawn("secure franking key", 32);

function inner(name: string, description: string, [content, key]: [Uint8Array, Uint8Array?]) {
  const members = {
    franking: key !== undefined,
    inner: innerOf(content, key),
    content,
    franking_key: key,
  };
  return secureCase(["SEC-48 SEC-49", `inner-${name}`, description], "inner-text", members);
}

function noInner(name: string, description: string, text: Uint8Array, franking = false) {
  const about = ["SEC-48 SEC-49", `inner-${name}`, description] as const;
  return secureCase(about, "inner-text", { franking, inner: text }, "SECURE_MALFORMED");
}

const zeros = (count: number) => new Uint8Array(count);
const SHORT = innerOf(CONTENT);

const INNERS: readonly SecureCase[] = [
  inner("plain", "Content of 100 bytes.", [CONTENT]),
  inner("empty", "Content of no bytes: form alone.", [zeros(0)]),
  inner("whole", "No zero at all.", [drawn("secure whole content", 252)]),
  inner("ends-with-zeros", "Zeros that belong to the content.", [zeros(9)]),
  inner("next", "One byte more than 256 hold.", [drawn("secure whole content", 253)]),
  inner("franking", "With a franking key.", [CONTENT, KEY]),
  noInner("nothing", "No bytes.", zeros(0)),
  noInner("cut", "255 bytes.", SHORT.subarray(0, -1)),
  noInner("longer", "257 bytes.", join(SHORT, zeros(1))),
  noInner("half", "128 bytes.", SHORT.subarray(0, 128)),
  noInner("between", "768 bytes, no power of two.", join(SHORT, zeros(512))),
  noInner("first-pad-byte", "The first byte behind the content is 1.", dirty(104, 1)),
  noInner("last-pad-byte", "The last byte is 1.", dirty(255, 1)),
  noInner("high-bit", "The last byte is 128, as in other paddings.", dirty(255, 0x80)),
  noInner("length-beyond", "A length of 253.", join(big(253, 4), SHORT.subarray(4))),
  noInner("length-highest", "The highest length.", join(big(2 ** 32 - 1, 4), SHORT.subarray(4))),
  noInner(
    "length-little-endian",
    "A length with its lowest byte first.",
    join(Uint8Array.of(100, 0, 0, 0), SHORT.subarray(4)),
  ),
  noInner("franking-beyond", "The length forgets the franking key.", beyond(), true),
];

function dirty(at: number, value: number): Uint8Array {
  return SHORT.map((byte, index) => (index === at ? value : byte));
}

function beyond(): Uint8Array {
  return join(KEY, big(221, 4), zeros(220));
}

export const PADDING: readonly SecureCase[] = [...LENGTHS, ...INNERS];
