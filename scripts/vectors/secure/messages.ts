import type { About } from "../envelope/lies.ts";
import { drawn, fromHex, join } from "../envelope/primitives.ts";
import { type SecureCase, secureCase } from "./cases.ts";
import { Conversation, type ConversationPlan, type Role } from "./conversation.ts";
import draft from "./draft.json" with { type: "json" };
import { type MessageParts, sealMessage } from "./message-builder.ts";
import { forTwoKeys } from "./salamander.ts";
import { chainStart, messageKeyAt, nextChain, sealingKeys } from "./schedule.ts";

function sealingCase(about: About, messageKey: Uint8Array, parts: MessageParts): SecureCase {
  const members = { message_key: messageKey, ...sealingKeys(messageKey), ...parts };
  return secureCase(about, "message", members);
}

/** A chain from its root on: the keys of so many places. */
function chainCase(name: string, direction: "i2r" | "r2i", [epoch, from]: [number, number]) {
  const root = drawn(`secure ${name} root`, 64);
  const keys = [];
  let chain = chainStart(root, direction, epoch);
  for (let n = 0; n < from + 3; n += 1) {
    const messageKey = messageKeyAt(chain, n);
    if (n >= from) keys.push({ n, chain, message_key: messageKey, ...sealingKeys(messageKey) });
    chain = nextChain(chain, n);
  }
  const description = `Epoch ${epoch}, ${direction}, from place ${from} on.`;
  return secureCase(["SEC-40", name, description], "chain", { root, direction, epoch, keys });
}

/** The draft's: content that is no SecureContent, so that bytes alone can be compared. */
function draftCases(): SecureCase[] {
  return draft.messages.map((given, index) => {
    const header = fromHex(given.header_aad);
    const content = fromHex(given.content);
    const messageKey = fromHex(given.message_key);
    const [name, epoch] = index < 3 ? (["ratchetKey", 1] as const) : (["ciphertext", 2] as const);
    const at = { sessionId: fromHex(draft.sid), epoch, n: given.n, pn: 0 };
    const said = header.length > 32 ? { ...at, [name]: header.subarray(32) } : at;
    const parts = sealMessage({ messageKey, said, content });
    for (const [ours, theirs] of [
      [parts.header, given.header_aad],
      [parts.ciphertext, given.ciphertext],
      [parts.tag, given.tag],
    ] as const) {
      if (Buffer.from(ours).toString("hex") !== theirs) throw new TypeError(`message ${index}`);
    }
    const description = "Of the draft: its content is any bytes.";
    return sealingCase(["SEC-40 SEC-44", `message-draft-${index}`, description], messageKey, parts);
  });
}

const SESSION_ID = drawn("secure messages session", 16);

function message(name: string, description: string, said: object, franked = false): SecureCase {
  const messageKey = drawn(`secure ${name} message key`, 64);
  const at = { sessionId: SESSION_ID, epoch: 2, n: 5, pn: 34, ...said };
  const content = fromHex("08d20f1a0568656c6c6f");
  const frankingKey = franked ? drawn(`secure ${name} franking key`, 32) : undefined;
  const parts = sealMessage({ messageKey, said: at, content, frankingKey });
  const about = ["SEC-40 SEC-44 SEC-45 SEC-50", `message-${name}`, description] as const;
  return sealingCase(about, messageKey, parts);
}

const RATCHET_KEY = drawn("secure bytes of a key", 1216);
const CIPHERTEXT = drawn("secure bytes of a ciphertext", 1120);

const MESSAGES: readonly SecureCase[] = [
  chainCase("chain-first", "i2r", [1, 0]),
  chainCase("chain-other-way", "r2i", [1, 0]),
  chainCase("chain-later", "i2r", [7, 40]),
  chainCase("chain-last-epoch", "r2i", [2 ** 32 - 1, 0]),
  ...draftCases(),
  message("plain", "A short text: 342 bytes.", {}),
  message("key", "With a ratchet key.", { ratchetKey: RATCHET_KEY }),
  message("ciphertext", "With a ratchet ciphertext.", { ciphertext: CIPHERTEXT }),
  message("franking", "With a commitment.", {}, true),
  message(
    "key-franking",
    "With a ratchet key and a commitment.",
    { ratchetKey: RATCHET_KEY },
    true,
  ),
  message("highest", "The highest numbers.", {
    epoch: 2 ** 32 - 1,
    n: 2 ** 32 - 1,
    pn: 2 ** 32 - 1,
  }),
];

/** The first block that is all content: behind the length and what a SecureContent begins with. */
const FREE_BLOCK = 3;

/** A ciphertext for two keys, of which each has a TAG of its own. */
export function salamanderOf(
  { header, inner, ciphertext }: MessageParts,
  keys: readonly [Uint8Array, Uint8Array],
): Uint8Array {
  return forTwoKeys(ciphertext.subarray(0, inner.length), header, keys, FREE_BLOCK);
}

function salamander(): SecureCase {
  const keys = [drawn("secure first key", 64), drawn("secure second key", 64)] as const;
  const said = { sessionId: SESSION_ID, epoch: 1, n: 0, pn: 0 };
  const content = drawn("secure salamander content", 100);
  const parts = sealMessage({ messageKey: keys[0], said, content });
  const ciphertext = salamanderOf(parts, keys);
  const tags = keys.map((messageKey) => {
    const tagged = sealMessage({
      messageKey,
      said,
      content,
      lies: { ciphertext: () => ciphertext },
    });
    return { message_key: messageKey, tag: tagged.tag };
  });
  const description = "One ciphertext that AES-256-GCM opens under two keys; their TAGs differ.";
  return secureCase(["SEC-50", "salamander", description], "salamander", {
    header: parts.header,
    ciphertext,
    keys: tags,
  });
}

const about = (ids: string, name: string, description: string): About => [ids, name, description];
const talk = (name: string, more: Partial<ConversationPlan> = {}) =>
  new Conversation({ name, ...more });
const LONG = { parameters: { rekey_messages: 128, rekey_s: 86_400 } };

function inOrder(role: Role): SecureCase {
  const chat = talk("in order");
  for (let index = 0; index < 4; index += 1) {
    chat.passes(index % 2 === 0 ? "initiator" : "responder", `message ${index}`).later(1000);
  }
  const bytes = { case: "custom", value: Uint8Array.of(1, 2, 3) } as const;
  chat.hears(chat.says("initiator", "", { kind: bytes, lifetimeS: 60 })).later(1000);
  chat.passes("responder", "x".repeat(300));
  const description = `Four texts, bytes and a longer text, as the ${role} sees them.`;
  return chat.of(role, about("SEC-51 SEC-68", `session-in-order-${role}`, description));
}

function outOfOrder(): SecureCase {
  const chat = talk("out of order");
  const said = Array.from({ length: 6 }, (_, n) => chat.says("initiator", `message ${n}`));
  for (const at of [2, 0, 5, 1, 4, 3]) {
    const saying = said[at];
    if (saying !== undefined)
      chat.hears(saying).refuses("responder", saying.message, "SECURE_REPLAYED");
  }
  const ids = "SEC-51 SEC-53 SEC-54";
  return chat.of("responder", about(ids, "session-out-of-order", "Overtaken, and each one twice."));
}

function farAhead(): SecureCase {
  const chat = talk("far ahead", LONG);
  const said = Array.from({ length: 516 }, (_, n) => chat.says("responder", `${n}`));
  const [first, second] = [said[0], said[1]];
  for (const at of [256, 513, 515]) {
    const saying = said[at];
    if (saying !== undefined) chat.hears(saying);
  }
  if (first === undefined || second === undefined) throw new TypeError("nothing was said");
  chat.refuses("initiator", first.message, "SECURE_REPLAYED").hears(second);
  const description = "256 places are passed twice and one more: the oldest key makes room.";
  return chat.of("initiator", about("SEC-53 SEC-54", "session-513-keys", description));
}

function forgotten(): SecureCase {
  const chat = talk("forgotten", LONG);
  const [first, second] = [chat.says("responder", "0"), chat.says("responder", "1")];
  chat
    .hears(second)
    .later(23 * 3_600_000)
    .passes("responder", "2");
  chat.later(3_600_000).refuses("initiator", first.message, "SECURE_REPLAYED");
  const description = "A key is kept for 24 hours.";
  return chat.of("initiator", about("SEC-53 SEC-54", "session-old-key", description));
}

function keptAlmost(): SecureCase {
  const chat = talk("kept almost", LONG);
  const [first, second] = [chat.says("responder", "0"), chat.says("responder", "1")];
  chat
    .hears(second)
    .later(23 * 3_600_000)
    .passes("responder", "2");
  chat.later(3_599_999).hears(first);
  const description = "A key is kept for 24 hours less a millisecond.";
  return chat.of("initiator", about("SEC-53", "session-old-key-kept", description));
}

function refusedOnTheWay(): SecureCase {
  const chat = talk("refused on the way");
  chat.passes("initiator", "first");
  const flip = (message: Uint8Array) => join(message.subarray(0, -1), Uint8Array.of(0));
  const lie = chat.lies("initiator", { message: flip });
  chat.refuses("responder", lie, "SECURE_TAG_INVALID");
  chat.refuses("responder", lie.subarray(0, 40), "SECURE_MALFORMED");
  chat.passes("initiator", "second").passes("responder", "third");
  const description = "What is refused changes nothing: the right message still opens.";
  return chat.of("responder", about("SEC-52", "session-refused-on-the-way", description));
}

function wasted(): SecureCase {
  const chat = talk("wasted");
  const none = chat.lies("initiator", {}, new Uint8Array(0));
  chat.wastes("responder", none).refuses("responder", none, "SECURE_REPLAYED");
  chat.passes("initiator", "the next place");
  const description = "Content that is none uses its place up.";
  return chat.of("responder", about("SEC-68", "session-no-content", description));
}

function unknownContent(): SecureCase {
  const chat = talk("unknown content");
  const content = join(chat.textContent("with a later version's field"), fromHex("f80101"));
  chat.hears(chat.seals("initiator", content));
  const description = "An unknown field of a content is passed over.";
  return chat.of("responder", about("SEC-68", "session-unknown-field", description));
}

function closed(role: Role): SecureCase {
  const chat = talk("closed");
  chat.passes("initiator", "hello");
  const late = chat.says("responder", "on its way");
  const close = chat.closes("initiator");
  if (role === "responder") {
    chat.hears(close).refuses("responder", close.message, "SECURE_NOT_OPEN");
  } else {
    chat.refuses("initiator", late.message, "SECURE_NOT_OPEN");
  }
  const description = `A close, at the ${role}; then nothing opens any more.`;
  return chat.of(role, about("SEC-64 SEC-66", `session-closed-${role}`, description));
}

const ENDS = [
  ["idle", "24 hours without a message.", LONG, 86_400_000],
  ["lifetime", "Its lifetime is over.", { parameters: { lifetime_s: 60 } }, 60_000],
] as const;

function ended(): SecureCase[] {
  return ENDS.map(([name, description, plan, ms]) => {
    const chat = talk(name, plan);
    const said = chat.says("initiator", "late");
    chat.later(ms).refuses("responder", said.message, "SECURE_NOT_OPEN");
    return chat.of("responder", about("SEC-64", `session-${name}`, description));
  });
}

function endedAlmost(): SecureCase[] {
  return ENDS.map(([name, , plan, ms]) => {
    const chat = talk(name, plan);
    const said = chat.says("initiator", "just in time");
    chat.later(ms - 1).hears(said);
    const description = "A millisecond before its end.";
    return chat.of("responder", about("SEC-64", `session-${name}-almost`, description));
  });
}

function replies(): SecureCase {
  const chat = talk("replies", { parameters: { rekey_messages: 3 } });
  for (let index = 0; index < 3; index += 1) chat.passes("initiator", `${index}`);
  chat.hears(chat.reply());
  for (let index = 3; index < 6; index += 1) chat.passes("initiator", `${index}`);
  const description = "Who has only listened to rekey_messages contents says nothing, sealed.";
  return chat.of("responder", about("SEC-62 SEC-56", "session-replies", description));
}

/** A content of so many bytes is the shortest and the longest of its bucket. */
function sizes(): SecureCase {
  const chat = talk("sizes");
  for (const letters of [1, 240, 243, 244, 3000]) chat.passes("initiator", "x".repeat(letters));
  return chat.of("responder", about("SEC-48", "session-sizes", "Texts of several lengths."));
}

export const CHAT_MESSAGES: readonly SecureCase[] = [
  ...MESSAGES,
  salamander(),
  inOrder("initiator"),
  inOrder("responder"),
  outOfOrder(),
  farAhead(),
  forgotten(),
  keptAlmost(),
  refusedOnTheWay(),
  wasted(),
  unknownContent(),
  closed("initiator"),
  closed("responder"),
  ...ended(),
  ...endedAlmost(),
  replies(),
  sizes(),
];
