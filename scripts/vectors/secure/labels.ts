import {
  ascii,
  big,
  drawn,
  type Expansion,
  expanded,
  join,
  lv8,
  NOTHING,
  th,
} from "../envelope/primitives.ts";
import { type SecureCase, secureCase } from "./cases.ts";
import { expanded512, expandedRaw512, P, sha512, th512 } from "./schedule.ts";

const SECRET = drawn("secure secret", 64);
const TH3 = drawn("secure th3", 64);

type Given = Omit<Expansion, "secret">;

function expansion(name: string, description: string, given: Given): SecureCase {
  const { label, context = NOTHING, length = 64 } = given;
  const out = expanded512({ secret: SECRET, ...given });
  const members = { secret: SECRET, label, context, length, out };
  return secureCase(
    [name.endsWith("derived") ? "SEC-2 SEC-15" : "SEC-2", name, description],
    "expand-sha512",
    members,
  );
}

/** What an implementation gets that does it another way. */
function misexpansion(name: string, description: string, out: Uint8Array): SecureCase {
  const members = { secret: SECRET, label: "confirm r", context: TH3, length: out.length, out };
  return secureCase(["SEC-2", name, description], "expand-sha512", members, "MISTAKE");
}

const LABEL = ascii("phorn1 confirm r");
const mistaken = (info: Uint8Array) => expandedRaw512(SECRET, info, 64);

export const EXPANSIONS: readonly SecureCase[] = [
  ...["confirm r", "confirm i", "derived"].map((label) =>
    expansion(`expand-${label.replace(" ", "-")}`, `Over a transcript: ${label}.`, {
      label,
      context: TH3,
    }),
  ),
  ...["chain i2r", "chain r2i", "derived", "msg", "next"].map((label) =>
    expansion(`expand-number-${label.replace(" ", "-")}`, `Over a number: ${label}.`, {
      label,
      context: big(7, 4),
    }),
  ),
  expansion("expand-highest", "The highest number.", {
    label: "msg",
    context: big(2 ** 32 - 1, 4),
  }),
  expansion("expand-epoch", "The root of an epoch.", { label: "epoch", context: TH3 }),
  expansion("expand-enc", "A key of AES-256: 32 bytes.", { label: "enc", length: 32 }),
  expansion("expand-nonce", "A nonce: 12 bytes.", { label: "nonce", length: 12 }),
  expansion("expand-tag", "A TAG's key: 64 bytes and no context.", { label: "tag" }),
  misexpansion(
    "expand-sha256",
    "The form of chapter 11, over SHA-256.",
    expanded({ secret: SECRET, label: "confirm r", context: TH3, length: 32 }),
  ),
  misexpansion(
    "expand-without-prefix",
    "The label without its prefix.",
    mistaken(join(big(64, 2), lv8(ascii("confirm r")), lv8(TH3))),
  ),
  misexpansion(
    "expand-tls-prefix",
    "The prefix of TLS 1.3.",
    mistaken(join(big(64, 2), lv8(ascii("tls13 confirm r")), lv8(TH3))),
  ),
  misexpansion(
    "expand-length-one-byte",
    "The length in one byte.",
    mistaken(join(big(64, 1), lv8(LABEL), lv8(TH3))),
  ),
  misexpansion(
    "expand-length-32",
    "The first half of 64 bytes is not what 32 bytes are.",
    mistaken(join(big(64, 2), lv8(LABEL), lv8(TH3))).subarray(0, 32),
  ),
  misexpansion(
    "expand-context-hashed",
    "A hash of the context in its place.",
    mistaken(join(big(64, 2), lv8(LABEL), lv8(sha512(TH3)))),
  ),
  misexpansion(
    "expand-secret-hashed",
    "The secret cut to 32 bytes.",
    expanded512({ secret: SECRET.subarray(0, 32), label: "confirm r", context: TH3 }),
  ),
];

const ABC = [NOTHING, big(0, 1), ascii("abc")];

function transcript(name: string, description: string, [label, messages]: [string, Uint8Array[]]) {
  const members = { label, messages, out: th512(label, ...messages) };
  return secureCase(["SEC-1", name, description], "transcript-sha512", members);
}

function mistranscript(name: string, description: string, out: Uint8Array): SecureCase {
  const members = { label: P, messages: ABC, out };
  return secureCase(["SEC-1", name, description], "transcript-sha512", members, "MISTAKE");
}

export const TRANSCRIPTS: readonly SecureCase[] = [
  transcript("transcript-abc", "Three byte strings, the first of them empty.", [P, ABC]),
  transcript("transcript-none", "No byte string at all.", [P, []]),
  transcript("transcript-one", "One of 4,096 bytes.", [P, [drawn("secure core", 4096)]]),
  transcript("transcript-device", "The label of devices.", [`${P} device`, ABC]),
  transcript("transcript-account", "The label of accounts.", [`${P} account`, ABC]),
  transcript("transcript-epoch", "The label of epochs.", [`${P} epoch`, ABC]),
  transcript("transcript-six", "As many as a handshake has.", [
    P,
    [1, 2, 3, 4, 5, 6].map((index) => drawn(`secure message ${index}`, 10 * index)),
  ]),
  mistranscript("transcript-sha256", "SHA-256, as in chapter 11.", th(P, ...ABC)),
  mistranscript("transcript-joined", "One length for all of them.", th512(P, join(...ABC))),
  mistranscript("transcript-no-lengths", "No lengths.", sha512(join(lv8(ascii(P)), ...ABC))),
  mistranscript(
    "transcript-lengths-16",
    "Lengths in two bytes.",
    sha512(join(lv8(ascii(P)), ...ABC.map((item) => join(big(item.length, 2), item)))),
  ),
  mistranscript("transcript-link", "The label of chapter 11.", th512("phorn-link-1", ...ABC)),
  mistranscript("transcript-cut", "Cut to 32 bytes.", th512(P, ...ABC).subarray(0, 32)),
];
