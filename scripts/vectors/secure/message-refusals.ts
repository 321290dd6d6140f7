import { appended, flipped } from "../envelope/lies.ts";
import { big, drawn, fromHex, join } from "../envelope/primitives.ts";
import type { SecureCase, SecureFailure } from "./cases.ts";
import { Conversation } from "./conversation.ts";
import { contentOf, type HeaderSaid, type MessageLies } from "./message-builder.ts";
import { salamanderOf } from "./messages.ts";

// The last message is wrong in one way, after one that was right.

const NAME = "refused message";

/** The responder has opened a first message, and hears the lie next. */
const refusal =
  (ids: string, failure: SecureFailure) =>
  (name: string, description: string, lies: MessageLies, content?: Uint8Array): SecureCase => {
    const chat = new Conversation({ name: NAME });
    chat.passes("initiator", "the first one");
    chat.refuses("responder", chat.lies("initiator", lies, content), failure);
    return chat.of("responder", [ids, `refused-${name}`, description], failure);
  };

const says = (change: Partial<HeaderSaid>): MessageLies => ({
  says: (said) => ({ ...said, ...change }),
});

const form = refusal("SEC-44", "SECURE_MALFORMED");
const header = refusal("SEC-46", "SECURE_MALFORMED");
const place = refusal("SEC-47", "SECURE_MALFORMED");
const cut = (bytes: Uint8Array) => bytes.subarray(0, -1);
const KEY = drawn("secure bytes of a key", 1216);
const CIPHERTEXT = drawn("secure bytes of a ciphertext", 1120);

/** Of a message with a header of 32 bytes. */
const LENGTH_AT = 2 + 32;

const FORMS: readonly SecureCase[] = [
  form("empty", "No bytes.", { message: () => new Uint8Array(0) }),
  form("one-byte", "One byte.", { message: (message) => message.subarray(0, 1) }),
  form("header-alone", "The header and nothing behind it.", {
    message: (message) => message.subarray(0, LENGTH_AT),
  }),
  form("tag-cut", "A TAG of 31 bytes.", { message: cut }),
  form("longer", "A byte behind the TAG.", { message: appended("00") }),
  form("header-length-more", "The header's length is one more.", {
    message: (message) => join(big(33, 2), message.subarray(2)),
  }),
  form("header-length-highest", "It is the highest.", {
    message: (message) => join(big(65_535, 2), message.subarray(2)),
  }),
  form("ciphertext-length-less", "The ciphertext's length is one less.", {
    message: (message) =>
      join(message.subarray(0, LENGTH_AT), big(271, 4), message.subarray(LENGTH_AT + 4)),
  }),
  form("ciphertext-length-highest", "It is the highest.", {
    message: (message) =>
      join(message.subarray(0, LENGTH_AT), big(2 ** 32 - 1, 4), message.subarray(LENGTH_AT + 4)),
  }),
  header("version-0", "Version 0.", says({ version: 0 })),
  header("version-2", "Version 2.", says({ version: 2 })),
  header("type", "Another type.", says({ type: 0x11 })),
  header("flag-8", "An unknown flag.", says({ flags: 8 })),
  header("flag-256", "An unknown flag of the first byte.", says({ flags: 0x100 })),
  header(
    "flags-highest",
    "An unknown flag beside a key.",
    says({ flags: 0x8001, ratchetKey: KEY }),
  ),
  header(
    "key-and-ciphertext",
    "A ratchet key and a ratchet ciphertext.",
    says({ ratchetKey: KEY, ciphertext: CIPHERTEXT }),
  ),
  header("key-missing", "A flag without its key.", says({ flags: 1 })),
  header("key-unannounced", "A key without its flag.", says({ flags: 0, ratchetKey: KEY })),
  header("key-cut", "A key of 1,215 bytes.", says({ flags: 1, ratchetKey: cut(KEY) })),
  header("ciphertext-cut", "A ratchet ciphertext of 1,119 bytes.", {
    ...says({ flags: 2, ciphertext: cut(CIPHERTEXT) }),
  }),
  header("header-longer", "A byte behind the header's fields.", { header: appended("00") }),
  header("header-shorter", "A header of 31 bytes.", { header: cut }),
  header("franking", "A commitment where none was agreed on.", { isFranked: true }),
  place("epoch-0", "Epoch 0.", says({ epoch: 0 })),
  place("pn-in-epoch-1", "pn is 1 in epoch 1.", says({ pn: 1 })),
  refusal("SEC-47", "SECURE_SESSION_UNKNOWN")(
    "session-id",
    "Of another session.",
    says({ sessionId: drawn("another session id", 16) }),
  ),
];

const bucket = refusal("SEC-48", "SECURE_MALFORMED");
const padding = refusal("SEC-49", "SECURE_MALFORMED");
const at = (index: number, value: number) => (inner: Uint8Array) =>
  inner.map((byte, place) => (place === index ? value : byte));

const INNERS: readonly SecureCase[] = [
  bucket("inner-255", "An inner text of 255 bytes.", { inner: cut }),
  bucket("inner-257", "One of 257.", { inner: appended("00") }),
  bucket("inner-128", "One of 128.", { inner: (inner) => inner.subarray(0, 128) }),
  bucket("inner-768", "One of 768.", { inner: (inner) => join(inner, new Uint8Array(512)) }),
  bucket("inner-none", "None.", { inner: () => new Uint8Array(0) }),
  padding("padding-last", "The last byte of the padding is 1.", { inner: at(255, 1) }),
  padding("padding-first", "The first one is.", {
    inner: (inner) => at(4 + (inner[3] as number), 1)(inner),
  }),
  padding("padding-high-bit", "The last one is 128.", { inner: at(255, 0x80) }),
  padding("content-length", "The content is longer than the inner text.", {
    inner: (inner) => join(big(253, 4), inner.subarray(4)),
  }),
  padding("content-length-highest", "It has the highest length.", {
    inner: (inner) => join(big(2 ** 32 - 1, 4), inner.subarray(4)),
  }),
];

const none = refusal("SEC-68", "SECURE_MALFORMED");
const CONTENT = (hex: string) => fromHex(hex);

const CONTENTS: readonly SecureCase[] = [
  none("content-empty", "Content of no bytes: no kind.", {}, CONTENT("")),
  none("content-kindless", "Content without a kind.", {}, CONTENT("08d20f")),
  none("content-text-empty", "An empty text.", {}, CONTENT("08d20f1a00")),
  none("content-custom-empty", "Custom bytes, empty.", {}, CONTENT("08d20f2200")),
  none("content-text-bytes", "A text that is not UTF-8.", {}, CONTENT("08d20f1a02c328")),
  none("content-cut", "A field that ends early.", {}, CONTENT("08d20f1a05aa")),
];

const untagged = refusal("SEC-50", "SECURE_TAG_INVALID");
const OTHER_KEY = drawn("secure another message key", 64);
const SALAMANDER_CONTENT = contentOf({
  kind: { case: "custom", value: drawn("secure salamander custom", 100) },
});

/** The receiver's key opens the ciphertext, and the TAG is another key's. */
function salamander(): SecureCase {
  const chat = new Conversation({ name: NAME });
  chat.passes("initiator", "the first one");
  const { messageKey } = chat.keysAt("initiator", 1, 1);
  const lies: MessageLies = {
    tagsWith: OTHER_KEY,
    ciphertext: (ciphertext, header) => {
      const inner = ciphertext.subarray(0, -16);
      const parts = { header, inner, ciphertext, tag: inner, message: inner };
      return salamanderOf(parts, [messageKey, OTHER_KEY]);
    },
  };
  const message = chat.lies("initiator", lies, SALAMANDER_CONTENT);
  chat.refuses("responder", message, "SECURE_TAG_INVALID");
  const description = "A ciphertext that opens under two keys, with the TAG of the other one.";
  const ids = "SEC-50 SEC-51";
  return chat.of("responder", [ids, "refused-salamander", description], "SECURE_TAG_INVALID");
}

/** Somebody in between changes what stands in the header. */
const changed = (name: string, description: string, index: number) =>
  untagged(`changed-${name}`, description, { message: flipped(index) });

const TAGS: readonly SecureCase[] = [
  untagged("tag-first-bit", "A bit of the TAG.", { tag: flipped(0) }),
  untagged("tag-last-bit", "Its last bit.", { tag: flipped(-1) }),
  untagged("tag-zero", "A TAG of zeros.", { tag: () => new Uint8Array(32) }),
  untagged("tag-of-other-key", "The TAG of another message key.", { tagsWith: OTHER_KEY }),
  untagged("ciphertext-bit", "A bit of the ciphertext.", { message: flipped(LENGTH_AT + 10) }),
  untagged("gcm-tag-bit", "A bit of the AEAD's tag.", { message: flipped(-33) }),
  untagged("sealed-with-other-key", "The TAG is right, the AEAD refuses.", {
    sealsWith: OTHER_KEY,
  }),
  salamander(),
  untagged("changed-n", "Another n: another key.", {
    message: (message) => message.map((byte, index) => (index === 2 + 27 ? 2 : byte)),
  }),
  changed("n-256", "n is 256 more.", 2 + 26),
];

const window = refusal("SEC-53", "SECURE_OUT_OF_WINDOW");

function refusedAt(name: string, description: string, judge: Judged): SecureCase {
  const chat = new Conversation({ name: NAME });
  chat.passes("initiator", "the first one");
  const { ids, role, message, failure } = judge(chat);
  chat.refuses(role, message, failure);
  return chat.of(role, [ids, `refused-${name}`, description], failure);
}
type Judged = (chat: Conversation) => {
  readonly ids: string;
  readonly role: "initiator" | "responder";
  readonly message: Uint8Array;
  readonly failure: SecureFailure;
};

const CROSSED: readonly SecureCase[] = [
  window("window", "256 places are passed, and one more.", says({ n: 258 })),
  window("highest-n", "The highest n.", says({ n: 2 ** 32 - 1 })),
  window("next-epoch", "An epoch that has not begun.", says({ epoch: 2, n: 0, pn: 2 })),
  window("highest-epoch", "The highest epoch.", says({ epoch: 2 ** 32 - 1, n: 0, pn: 2 })),
  window(
    "next-epoch-ciphertext",
    "An epoch that has not begun, with an answer that nobody asked for.",
    says({ epoch: 2, n: 0, pn: 2, ciphertext: CIPHERTEXT }),
  ),
  untagged("in-window", "256 places are passed, the TAG is of another place.", says({ n: 257 })),
  refusedAt("reflected", "A message of one's own comes back.", (chat) => ({
    ids: "SEC-40 SEC-50",
    role: "initiator",
    message: chat.says("initiator", "the second one").message,
    failure: "SECURE_TAG_INVALID",
  })),
  refusedAt("again", "A message that was opened.", (chat) => {
    const said = chat.says("initiator", "the second one");
    chat.hears(said);
    return {
      ids: "SEC-54",
      role: "responder",
      message: said.message,
      failure: "SECURE_REPLAYED",
    };
  }),
  refusedAt("other-session", "Of a session with the same id and other keys.", (chat) => {
    const { sessionId } = chat;
    const twin = new Conversation({ name: "another session", sessionId });
    return {
      ids: "SEC-50",
      role: "responder",
      message: twin.passes("initiator", "first").says("initiator", "second").message,
      failure: "SECURE_TAG_INVALID",
    };
  }),
];

function refusedTogether(name: string, description: string, lies: MessageLies): SecureCase {
  const chat = new Conversation({ name: "franked refusals", parameters: { franking: true } });
  chat.passes("initiator", "the first one");
  chat.refuses("responder", chat.lies("initiator", lies), "SECURE_MALFORMED");
  const ids = lies.isFranked === false ? "SEC-46" : "SEC-73";
  return chat.of("responder", [ids, `refused-${name}`, description], "SECURE_MALFORMED");
}

export const FRANKING_REFUSALS: readonly SecureCase[] = [
  refusedTogether("franking-missing", "No commitment where one was agreed on.", {
    isFranked: false,
  }),
  refusedTogether("franking-wrong", "A commitment to something else.", { commitment: flipped(0) }),
  refusedTogether("franking-key-changed", "Another franking key.", { inner: flipped(0) }),
];

export const REFUSED_MESSAGES: readonly SecureCase[] = [
  ...FORMS,
  ...INNERS,
  ...CONTENTS,
  ...TAGS,
  ...CROSSED,
];
