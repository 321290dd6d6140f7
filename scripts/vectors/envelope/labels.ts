import { createHash } from "node:crypto";
import { type EnvelopeCase, envelopeCase } from "./cases.ts";
import {
  ascii,
  big,
  drawn,
  type Expansion,
  expanded,
  expandedRaw,
  join,
  lv8,
  NOTHING,
  th,
} from "./primitives.ts";

const TH4 = drawn("th4", 32);
const SECRET = drawn("secret", 32);

function expansion(name: string, description: string, given: Omit<Expansion, "secret">) {
  const { label, context = NOTHING, length = 32 } = given;
  const out = expanded({ secret: SECRET, ...given });
  const members = { secret: SECRET, label, context, length, out };
  return envelopeCase(["ENV-2", name, description], "expand", members);
}

/** What an implementation gets that makes its info of other parts. */
function misexpansion(name: string, description: string, info: Uint8Array): EnvelopeCase {
  const out = expandedRaw(SECRET, info, 32);
  const members = { secret: SECRET, label: "c traffic", context: TH4, length: 32, out };
  return envelopeCase(["ENV-2", name, description], "expand", members, "confirm");
}

const LABELS = [
  "s confirm",
  "c confirm",
  "c traffic",
  "s traffic",
  "exporter",
  "resumption",
] as const;
const LABEL = ascii("phorn1 c traffic");

export const EXPANSIONS: readonly EnvelopeCase[] = [
  ...LABELS.map((label) =>
    expansion(`expand-${label.replace(" ", "-")}`, `A secret of the link: ${label}.`, {
      label,
      context: TH4,
    }),
  ),
  expansion("expand-key-16", "A key of AES-128.", { label: "key", length: 16 }),
  expansion("expand-key-32", "A key of AES-256 or ChaCha20.", { label: "key", length: 32 }),
  expansion("expand-iv", "An iv.", { label: "iv", length: 12 }),
  expansion("expand-traffic-upd", "The traffic secret of the next epoch.", {
    label: "traffic upd",
  }),
  expansion("expand-binder", "What a binder is made with.", { label: "binder" }),
  expansion("expand-channel-binding", "A context of no bytes.", { label: "channel binding" }),
  expansion("expand-ticket", "A context of 16 bytes.", {
    label: "ticket",
    context: drawn("ticket id", 16),
  }),
  misexpansion(
    "expand-without-prefix",
    "The label without its prefix.",
    join(big(32, 2), lv8(ascii("c traffic")), lv8(TH4)),
  ),
  misexpansion(
    "expand-tls-prefix",
    "The prefix of TLS 1.3.",
    join(big(32, 2), lv8(ascii("tls13 c traffic")), lv8(TH4)),
  ),
  misexpansion(
    "expand-length-one-byte",
    "The length in one byte.",
    join(big(32, 1), lv8(LABEL), lv8(TH4)),
  ),
  misexpansion(
    "expand-length-little-endian",
    "The length with its lowest byte first.",
    join(big(0x2000, 2), lv8(LABEL), lv8(TH4)),
  ),
  misexpansion("expand-no-lengths", "Label and context behind each other.", join(LABEL, TH4)),
  misexpansion(
    "expand-context-hashed",
    "A hash of the context in its place.",
    join(big(32, 2), lv8(LABEL), lv8(createHash("sha256").update(TH4).digest())),
  ),
];

const LINK = "phorn-link-1";
const ABC = [NOTHING, big(0, 1), ascii("abc")];

function transcript(name: string, description: string, [label, messages]: [string, Uint8Array[]]) {
  const members = { label, messages, out: th(label, ...messages) };
  return envelopeCase(["ENV-1", name, description], "transcript", members);
}

function mistranscript(name: string, description: string, text: Uint8Array): EnvelopeCase {
  const out = createHash("sha256").update(text).digest();
  const members = { label: LINK, messages: ABC, out };
  return envelopeCase(["ENV-1", name, description], "transcript", members, "confirm");
}

const lv32 = (bytes: Uint8Array) => join(big(bytes.length, 4), bytes);

export const TRANSCRIPTS: readonly EnvelopeCase[] = [
  transcript("transcript-three", "Three messages, one of them empty.", [LINK, ABC]),
  transcript("transcript-one", "One message.", [LINK, [ascii("abc")]]),
  transcript("transcript-moved", "A boundary between messages has moved.", [
    LINK,
    [NOTHING, big(0, 1), ascii("ab"), ascii("c")],
  ]),
  transcript("transcript-joined", "Two messages are one.", [
    LINK,
    [NOTHING, join(big(0, 1), ascii("abc"))],
  ]),
  transcript("transcript-empty-last", "An empty message at the end counts.", [
    LINK,
    [...ABC, NOTHING],
  ]),
  transcript("transcript-pin", "Another label.", ["phorn-pin-1", ABC]),
  transcript("transcript-binder", "The label of binders.", ["phorn-link-1 binder", ABC]),
  transcript("transcript-long", "A message of 2,000 bytes.", [LINK, [drawn("long", 2_000)]]),
  mistranscript("transcript-no-label", "The label is left out.", join(...ABC.map(lv32))),
  mistranscript(
    "transcript-no-lengths",
    "Messages behind each other.",
    join(lv8(ascii(LINK)), ...ABC),
  ),
  mistranscript(
    "transcript-lv8",
    "Lengths of one byte.",
    join(lv8(ascii(LINK)), ...ABC.map((message) => lv8(message))),
  ),
  mistranscript(
    "transcript-label-lv32",
    "The label behind four bytes of length.",
    join(lv32(ascii(LINK)), ...ABC.map(lv32)),
  ),
  mistranscript(
    "transcript-little-endian",
    "Lengths with their lowest byte first.",
    join(lv8(ascii(LINK)), ...ABC.flatMap((m) => [Uint8Array.of(m.length, 0, 0, 0), m])),
  ),
];
