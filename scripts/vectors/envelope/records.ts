import { type EnvelopeCase, envelopeCase, type Failure } from "./cases.ts";
import {
  type AeadName,
  aeadKeyBytes,
  aeadSeal,
  ascii,
  drawn,
  fromHex,
  join,
  NOTHING,
} from "./primitives.ts";
import {
  type ContentType,
  clearRecord,
  headerOf,
  innerOf,
  nonceOf,
  SEALED,
  VectorDirection,
} from "./record-builder.ts";

const AEADS = ["aes-128-gcm", "aes-256-gcm", "chacha20-poly1305"] as const;

/** One record by its key, with numbers that no link can reach. */
function sealed(aead: AeadName, [epoch, seq]: [number, bigint], inner: Uint8Array): EnvelopeCase {
  const key = drawn(`${aead} key`, aeadKeyBytes(aead));
  const iv = drawn(`${aead} iv`, 12);
  const nonce = nonceOf(iv, seq);
  const header = headerOf({ type: SEALED, epoch, seq, length: inner.length + 16 });
  const record = join(header, aeadSeal({ aead, key, nonce, header }, inner));
  const name = `seal-${aead}-${epoch}-${seq}`;
  const members = { aead, key, iv, epoch, seq: String(seq), nonce, inner, record };
  return envelopeCase(["ENV-5", name, `Record ${seq} of epoch ${epoch}.`], "seal", members);
}

const HELLO = innerOf("frames", ascii("hello"));
const SEALS = AEADS.flatMap((aead) => [
  sealed(aead, [1, 0n], HELLO),
  sealed(aead, [1, 1n], HELLO),
  sealed(aead, [1, 256n], innerOf("close", NOTHING)),
  sealed(aead, [2, 2n ** 22n], HELLO),
  sealed(aead, [256, 2n ** 32n], HELLO),
  sealed(aead, [65_535, 2n ** 53n - 1n], innerOf("frames", drawn("frames", 200))),
]);

/** Records of one direction, in the order in which they arrive. */
interface Script {
  readonly aead?: AeadName;
  readonly rekeyRecords?: number;
  readonly rekeyBytes?: number;
  readonly write: (direction: VectorDirection, opened: Opened) => Uint8Array[];
}

/** Says what a record holds, if it is to open. */
type Opened = (type: ContentType, content: Uint8Array, record: Uint8Array) => Uint8Array;

function opening(
  about: readonly [string, string, string],
  script: Script,
  failure?: Failure,
): EnvelopeCase {
  const { aead = "aes-256-gcm", rekeyRecords = 2 ** 20, rekeyBytes = 2 ** 30 } = script;
  const secret = drawn(`${aead} traffic`, 32);
  const opens: object[] = [];
  const opened: Opened = (type, content, record) => {
    opens.push({ type, content });
    return record;
  };
  const records = script.write(new VectorDirection(aead, secret), opened);
  const { key, iv } = new VectorDirection(aead, secret);
  const limits = { rekey_records: rekeyRecords, rekey_bytes: rekeyBytes };
  return envelopeCase(about, "open", { aead, secret, key, iv, ...limits, records, opens }, failure);
}

/** Honest records, all opened. */
function honest(direction: VectorDirection, opened: Opened) {
  return (type: ContentType, content: Uint8Array) =>
    opened(type, content, direction.seal(type, content));
}

function changed(record: Uint8Array, at: number, value?: number): Uint8Array {
  const copy = Uint8Array.from(record);
  const index = at < 0 ? copy.length + at : at;
  copy[index] = value ?? (copy[index] as number) ^ 1;
  return copy;
}

const OPENS: readonly EnvelopeCase[] = [
  ...AEADS.map((aead) =>
    opening(["ENV-5 ENV-8 ENV-15", `open-${aead}`, "Three records."], {
      aead,
      write: (direction, opened) => {
        const write = honest(direction, opened);
        return [
          write("frames", ascii("one")),
          write("frames", drawn("content", 1500)),
          write("close", NOTHING),
        ];
      },
    }),
  ),
  ...AEADS.map((aead) =>
    opening(["ENV-39", `open-update-${aead}`, "Two key updates."], {
      aead,
      write: (direction, opened) => {
        const write = honest(direction, opened);
        return [
          write("frames", ascii("one")),
          write("key_update", NOTHING),
          write("frames", ascii("two")),
          write("key_update", fromHex("0801")),
          write("frames", ascii("three")),
        ];
      },
    }),
  ),
  opening(["ENV-8", "open-empty", "Frames of no bytes."], {
    write: (direction, opened) => [honest(direction, opened)("frames", NOTHING)],
  }),
  opening(["ENV-8", "open-zeros-in-content", "Content that ends with zeros."], {
    write: (direction, opened) => [honest(direction, opened)("frames", new Uint8Array(10))],
  }),
  opening(["ENV-9", "open-unpadded", "A receiver takes any number of zeros: none."], {
    write: (direction, opened) => {
      const content = ascii("hello");
      return [opened("frames", content, direction.sealInner(innerOf("frames", content, 6)))];
    },
  }),
  opening(["ENV-9", "open-overpadded", "A receiver takes any number of zeros: many."], {
    write: (direction, opened) => {
      const content = ascii("hello");
      return [opened("frames", content, direction.sealInner(innerOf("frames", content, 999)))];
    },
  }),
];

/** An honest record, then the one in question. */
function second(
  about: readonly [string, string, string],
  failure: Failure,
  write: (direction: VectorDirection, first: Uint8Array) => Uint8Array,
): EnvelopeCase {
  const script: Script = {
    write: (direction, opened) => {
      const first = honest(direction, opened)("frames", ascii("one"));
      return [first, write(direction, first)];
    },
  };
  return opening(about, script, failure);
}

const next = (direction: VectorDirection) => direction.seal("frames", ascii("two"));
const unsealable = (bodyBytes: number) =>
  join(headerOf({ type: SEALED, epoch: 1, seq: 1, length: bodyBytes }), drawn("body", bodyBytes));

const REFUSALS: readonly EnvelopeCase[] = [
  second(["ENV-5 ENV-50", "open-tag-flipped", "A bit of the tag."], "aead", (direction) =>
    changed(next(direction), -1),
  ),
  second(["ENV-5", "open-text-flipped", "A bit of the ciphertext."], "aead", (direction) =>
    changed(next(direction), 16),
  ),
  second(["ENV-5", "open-body-cut", "The header tells the truth of a cut body."], "aead", (d) => {
    const record = next(d);
    return changed(record.subarray(0, -1), 15, record.length - 17);
  }),
  second(["ENV-5", "open-header-epoch", "Sealed under another header."], "aead", (direction) => {
    const record = direction.sealInner(innerOf("frames", ascii("two")), { epoch: 2 });
    return changed(record, 3, 1);
  }),
  second(["ENV-5", "open-header-seq", "Sealed under another number."], "aead", (direction) => {
    const record = direction.sealInner(innerOf("frames", ascii("two")), { seq: 2 });
    return changed(record, 11, 1);
  }),
  second(["ENV-5", "open-other-direction", "A record of the other direction."], "aead", (d) => {
    const other = new VectorDirection(d.aead, drawn("the other traffic", 32));
    return other.sealInner(innerOf("frames", ascii("two")), { seq: 1 });
  }),
  second(["ENV-5", "open-body-empty", "A body of no bytes."], "tag", () => unsealable(0)),
  second(["ENV-5", "open-body-15", "A body of 15 bytes."], "tag", () => unsealable(15)),
  second(["ENV-5 ENV-8", "open-inner-empty", "An inner text of no bytes."], "padding", (d) =>
    d.sealInner(NOTHING),
  ),
  second(["ENV-8", "open-all-zeros", "No content type."], "padding", (direction) =>
    direction.sealInner(new Uint8Array(64)),
  ),
  second(["ENV-8", "open-type-6", "An unknown content type."], "parse", (direction) =>
    direction.sealInner(innerOf(6, ascii("two"))),
  ),
  second(["ENV-8", "open-type-255", "Padding of another byte."], "parse", (direction) =>
    direction.sealInner(join(innerOf("frames", ascii("two")).subarray(0, -1), fromHex("ff"))),
  ),
  second(["ENV-6", "open-again", "The same record once more."], "replay", (_, first) => first),
  second(["ENV-6", "open-gap", "A record is missing."], "order", (direction) => {
    next(direction);
    return next(direction);
  }),
  second(["ENV-6", "open-next-epoch", "The next epoch without a key update."], "order", (d) => {
    d.seal("key_update", NOTHING);
    return next(d);
  }),
  second(["ENV-6", "open-epoch-ahead", "The present key under the next epoch."], "order", (d) =>
    d.sealInner(innerOf("frames", ascii("two")), { epoch: 2 }),
  ),
  ...[4, 8, 12, 15].map((bytes) =>
    second(
      ["ENV-5", `open-tag-${bytes}`, `The first ${bytes} bytes of the tag of nothing.`],
      "tag",
      (direction) => direction.sealInner(NOTHING, { length: bytes }).subarray(0, 16 + bytes),
    ),
  ),
  opening(
    ["ENV-6 ENV-39", "open-old-epoch", "The old key after a key update."],
    {
      write: (direction, opened) => {
        const old = new VectorDirection(direction.aead, direction.secret);
        old.seq = 1;
        return [honest(direction, opened)("key_update", NOTHING), next(old)];
      },
    },
    "order",
  ),
  opening(
    ["ENV-39", "open-key-not-updated", "The next epoch under the old key."],
    {
      write: (direction, opened) => {
        const old = new VectorDirection(direction.aead, direction.secret);
        old.epoch = 2;
        return [honest(direction, opened)("key_update", NOTHING), next(old)];
      },
    },
    "aead",
  ),
  second(["ENV-6", "open-clear", "A clear record among sealed ones."], "order", () =>
    clearRecord(5, fromHex("0828")),
  ),
  opening(
    ["ENV-38", "open-records-limit", "The ninth record where two were the limit."],
    { rekeyRecords: 2, write: ninth },
    "policy",
  ),
  opening(["ENV-38", "open-records-within", "Eight records where two were the limit."], {
    rekeyRecords: 2,
    write: (direction, opened) => ninth(direction, opened).slice(0, -1),
  }),
];

function ninth(direction: VectorDirection, opened: Opened): Uint8Array[] {
  const write = honest(direction, opened);
  const within = Array.from({ length: 8 }, (_, index) => write("frames", ascii(`${index}`)));
  return [...within, next(direction)];
}

export const RECORDS: readonly EnvelopeCase[] = [...SEALS, ...OPENS, ...REFUSALS];
