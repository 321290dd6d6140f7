import { createHash } from "node:crypto";
import { drawn, join, NOTHING } from "../envelope/primitives.ts";
import { type ConversationCase, conversationCase } from "./cases.ts";

const LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
const LONGEST = `z${"9".repeat(63)}`;
const LONGEST_TOO = `Z${"._@+-".repeat(12)}aZ0`;

type Users = readonly [first: string, second: string];

/** In the order of their bytes, written by hand. */
function direct(name: string, description: string, [first, second]: Users): ConversationCase {
  const members = { user_ids: [second, first], conversation_id: `d:${first}:${second}` };
  return conversationCase(["CNV-1", `direct-${name}`, description], "direct-id", members);
}

/** In an order that is not that of their bytes. */
function misordered(name: string, description: string, [first, second]: Users): ConversationCase {
  const members = { user_ids: [second, first], conversation_id: `d:${first}:${second}` };
  const about = ["CNV-1", `direct-mistake-${name}`, description] as const;
  return conversationCase(about, "direct-id", members, "MISTAKE");
}

const DIRECT: readonly ConversationCase[] = [
  direct("two", "Whoever writes first, the id is the same.", ["alice", "bob"]),
  direct("self", "With oneself the id is there twice.", ["alice", "alice"]),
  direct("capitals", "Capitals come before small letters.", ["Zoe", "alice"]),
  direct("digits", "Digits come before letters, one by one.", ["a10", "a9"]),
  direct("beginning", "An id that begins another one comes first.", ["al", "al+x"]),
  direct("beginning-dash", "Also where the next byte is below a colon's.", ["bob", "bob-2"]),
  direct("signs", "Signs in the order of their bytes: + - . @ _", ["a+", "a-"]),
  direct("signs-at", "An at sign comes before a low line.", ["a@", "a_"]),
  direct("shortest", "Ids of one character.", ["0", "z"]),
  direct("longest", "Ids of 64 characters.", [LONGEST_TOO, LONGEST]),
  direct("longest-self", "131 characters in all.", [LONGEST, LONGEST]),
  direct("all-small", "All small letters, and all digits.", ["0123456789", LETTERS.toLowerCase()]),
  direct("all-capitals", "All capitals, and all signs.", [LETTERS, "a._@+-"]),
  misordered("as-given", "The ids stand as they came.", ["bob", "alice"]),
  misordered("ignores-case", "Ordered as if there were no capitals.", ["alice", "Zoe"]),
  misordered("as-numbers", "Digits ordered by what they count.", ["a9", "a10"]),
  misordered("with-colon", "Ordered with a colon behind each: a plus comes before it.", [
    "al+x",
    "al",
  ]),
  misordered("by-length", "Shorter ids first.", ["b", "aa"]),
  conversationCase(
    ["CNV-1", "direct-mistake-self-once", "The id with oneself once only."],
    "direct-id",
    { user_ids: ["alice", "alice"], conversation_id: "d:alice" },
    "MISTAKE",
  ),
];

const LABEL = "posthorn conversation 1";

/** RFC 4648 §6 of whole groups of five bits, by one large number. */
function base32(bytes: Uint8Array, characters: number): string {
  const bits = BigInt(8 * bytes.length - 5 * characters);
  let rest = BigInt(`0x${Buffer.from(bytes).toString("hex")}`) >> bits;
  let text = "";
  for (let at = 0; at < characters; at += 1) {
    text = `${"abcdefghijklmnopqrstuvwxyz234567"[Number(rest & 31n)]}${text}`;
    rest >>= 5n;
  }
  return text;
}

const text = (value: string) => Uint8Array.from(Buffer.from(value));
const sha256 = (...parts: readonly Uint8Array[]) =>
  new Uint8Array(
    createHash("sha256")
      .update(join(...parts))
      .digest(),
  );
const hashed = (userId: string, nonce: Uint8Array) => sha256(text(`${LABEL}\0${userId}\0`), nonce);
const idOf = (userId: string, nonce: Uint8Array) => `g:${base32(hashed(userId, nonce), 26)}`;

const NONCE = drawn("conversation nonce", 16);

function made(name: string, description: string, userId: string, nonce = NONCE): ConversationCase {
  const members = { user_id: userId, nonce, conversation_id: idOf(userId, nonce) };
  return conversationCase(["CNV-2", `made-${name}`, description], "made-id", members);
}

function mistaken(name: string, description: string, conversation_id: string): ConversationCase {
  const members = { user_id: "alice", nonce: NONCE, conversation_id };
  const about = ["CNV-2", `made-mistake-${name}`, description] as const;
  return conversationCase(about, "made-id", members, "MISTAKE");
}

function badNonce(length: number): ConversationCase {
  const nonce = length === 0 ? NOTHING : drawn("conversation nonce", length);
  const about = ["CNV-2", `made-nonce-${length}`, `A nonce of ${length} bytes.`] as const;
  return conversationCase(about, "made-id", { user_id: "alice", nonce }, "CONVERSATION_INVALID");
}

const MADE: readonly ConversationCase[] = [
  made("alice", "What Alice makes with this nonce.", "alice"),
  made("bob", "Another user's conversation with the same nonce.", "bob"),
  made("zeros", "A nonce of zeros.", "alice", new Uint8Array(16)),
  made("ones", "A nonce of all bits.", "alice", new Uint8Array(16).fill(0xff)),
  made("shortest", "A user id of one character.", "0"),
  made("longest", "A user id of 64 characters.", LONGEST_TOO),
  made("signs", "A user id with all signs.", "a._@+-"),
  ...[0, 15, 17, 32].map(badNonce),
  mistaken(
    "no-zeros",
    "Nothing between the parts.",
    `g:${base32(sha256(text(`${LABEL}alice`), NONCE), 26)}`,
  ),
  mistaken(
    "no-label",
    "Without the words in front.",
    `g:${base32(sha256(text("alice\0"), NONCE), 26)}`,
  ),
  mistaken(
    "nonce-first",
    "Nonce and user id change places.",
    `g:${base32(sha256(text(`${LABEL}\0`), NONCE, text("\0alice")), 26)}`,
  ),
  mistaken(
    "nonce-alone",
    "Nobody's: any user could take it.",
    `g:${base32(sha256(text(`${LABEL}\0`), NONCE), 26)}`,
  ),
  mistaken(
    "nonce-hex",
    "The nonce is hashed as text.",
    `g:${base32(sha256(text(`${LABEL}\0alice\0${Buffer.from(NONCE).toString("hex")}`)), 26)}`,
  ),
  mistaken("capitals", "In capitals.", `g:${base32(hashed("alice", NONCE), 26).toUpperCase()}`),
  mistaken(
    "hex",
    "The hash in hexadecimal.",
    `g:${Buffer.from(hashed("alice", NONCE)).toString("hex").slice(0, 26)}`,
  ),
  mistaken("last", "The last characters.", `g:${base32(hashed("alice", NONCE), 51).slice(-26)}`),
  mistaken(
    "whole",
    "All characters.",
    `g:${base32(join(hashed("alice", NONCE), new Uint8Array(3)), 52)}`,
  ),
];

function legal(name: string, conversation_id: string, user_ids?: Users): ConversationCase {
  const ids = user_ids === undefined ? "CNV-2" : "CNV-1";
  const about = [ids, `id-${name}`, "An id that a conversation may have."] as const;
  return conversationCase(about, "conversation-id", { conversation_id, user_ids });
}

function illegal(name: string, description: string, conversation_id: string): ConversationCase {
  const about = ["CNV-1 CNV-2 CNV-4", `id-${name}`, description] as const;
  const code = "CONVERSATION_UNKNOWN";
  return conversationCase(about, "conversation-id", { conversation_id }, code);
}

const LEGAL: readonly ConversationCase[] = [
  legal("direct", "d:alice:bob", ["alice", "bob"]),
  legal("self", "d:alice:alice", ["alice", "alice"]),
  legal("beginning", "d:al:al+x", ["al", "al+x"]),
  legal("longest", `d:${LONGEST_TOO}:${LONGEST}`, [LONGEST_TOO, LONGEST]),
  legal("made", idOf("alice", NONCE)),
  legal("made-all-letters", "g:abcdefghijklmnopqrstuvwxyz"),
  legal("made-all-digits", "g:2345672345672345672345672a"),
];

const ID = idOf("alice", NONCE);
const ILLEGAL: readonly ConversationCase[] = [
  illegal("nothing", "Nothing.", ""),
  illegal("prefix-alone", "Nobody's.", "d:"),
  illegal("no-prefix", "Two users without a prefix.", "alice:bob"),
  illegal("other-prefix", "A prefix that there is not.", `c:${ID.slice(2)}`),
  illegal("capital-prefix", "A capital prefix.", "D:alice:bob"),
  illegal("one-user", "One user.", "d:alice"),
  illegal("three-users", "Three users.", "d:alice:bob:carol"),
  illegal("wrong-order", "The ids in the other order.", "d:bob:alice"),
  illegal("empty-user", "An empty id comes first.", "d::bob"),
  illegal("empty-other-user", "An empty id comes last.", "d:alice:"),
  illegal("user-begins-with-sign", "A user id cannot begin with a sign.", "d:.alice:bob"),
  illegal("user-of-65", "A user id of 65 characters.", `d:${LONGEST}9:${LONGEST}9`),
  illegal("user-with-space", "A user id with a space.", "d:al ice:bob"),
  illegal("user-not-ascii", "A user id with a letter beyond ASCII.", "d:alice:bobé"),
  illegal("trailing-newline", "A line end behind it.", "d:alice:bob\n"),
  illegal("leading-space", "A space before it.", " d:alice:bob"),
  illegal("made-25", "25 characters.", ID.slice(0, -1)),
  illegal("made-27", "27 characters.", `${ID}a`),
  illegal("made-capital", "A capital letter.", `g:A${ID.slice(3)}`),
  illegal("made-digit-0", "0 is not in base32.", `g:0${ID.slice(3)}`),
  illegal("made-digit-1", "1 is not in base32.", `g:1${ID.slice(3)}`),
  illegal("made-digit-8", "8 is not in base32.", `g:8${ID.slice(3)}`),
  illegal("made-padding", "Padded as RFC 4648 has it.", `${ID.slice(0, -1)}=`),
  illegal("made-newline", "A line end behind it.", `${ID}\n`),
  illegal("made-direct", "A made id with the other prefix.", `d:${ID.slice(2)}`),
];

export const IDS: readonly ConversationCase[] = [...DIRECT, ...MADE, ...LEGAL, ...ILLEGAL];
