import { flipped } from "../envelope/lies.ts";
import { big, drawn, fromHex } from "../envelope/primitives.ts";
import { type SecureCase, type SecureFailure, secureCase } from "./cases.ts";
import { Conversation, type ConversationPlan, type Role } from "./conversation.ts";
import draft from "./draft.json" with { type: "json" };
import { encapsulated, kemKey } from "./identity-builder.ts";
import { lowOrder, unreduced } from "./kem-faults.ts";
import type { MessageLies } from "./message-builder.ts";
import { chainStart, hmac512, nextEpoch, P, th512, xl512 } from "./schedule.ts";

interface Turn {
  readonly ratchet_seed: Uint8Array;
  readonly randomness?: Uint8Array;
  readonly ciphertext: Uint8Array;
}

/** The roots of a session, epoch by epoch. */
function epochsCase(name: string, description: string, [root, turns]: [Uint8Array, Turn[]]) {
  const sessionId = drawn(`secure ${name} session`, 16);
  let before = root;
  const epochs = turns.map((turn, index) => {
    const epoch = index + 2;
    const { publicKey: ratchetKey, open } = kemKey(turn.ratchet_seed);
    const secret = open(turn.ciphertext);
    const step = { root: before, sessionId, epoch, ratchetKey, secret };
    const made = nextEpoch({ ...step, ciphertext: turn.ciphertext });
    before = made.root;
    const chains = {
      i2r: chainStart(made.root, "i2r", epoch),
      r2i: chainStart(made.root, "r2i", epoch),
    };
    return { epoch, ...turn, ratchet_key: ratchetKey, secret, ...made, chains };
  });
  const about = ["SEC-40 SEC-57", name, description] as const;
  return secureCase(about, "epochs", { session_id: sessionId, root, epochs });
}

function turnOf(name: string, index: number): Turn {
  const ratchet_seed = drawn(`secure ${name} seed ${index}`, 32);
  const randomness = drawn(`secure ${name} randomness ${index}`, 64);
  const { ciphertext } = encapsulated(kemKey(ratchet_seed).publicKey, randomness);
  return { ratchet_seed, randomness, ciphertext };
}

/** One epoch of the draft. */
function draftCase(): SecureCase {
  const { ek_seed, ct, ss, th, rk2 } = draft.ratchet;
  const ratchetKey = kemKey(fromHex(ek_seed)).publicKey;
  const secret = kemKey(fromHex(ek_seed)).open(fromHex(ct));
  const made = nextEpoch({
    root: fromHex(draft.rk1),
    sessionId: fromHex(draft.sid),
    epoch: 2,
    ratchetKey,
    ciphertext: fromHex(ct),
    secret,
  });
  const found = [secret, made.transcript, made.root].map((b) => Buffer.from(b).toString("hex"));
  if (found.join() !== [ss, th, rk2].join()) throw new TypeError("the draft has another epoch 2");
  const chains = { i2r: chainStart(made.root, "i2r", 2), r2i: chainStart(made.root, "r2i", 2) };
  const given = { ratchet_seed: fromHex(ek_seed), ciphertext: fromHex(ct) };
  const epoch = { epoch: 2, ...given, ratchet_key: ratchetKey, secret, ...made, chains };
  const members = { session_id: fromHex(draft.sid), root: fromHex(draft.rk1), epochs: [epoch] };
  return secureCase(["SEC-57", "epochs-draft", "An epoch of the draft."], "epochs", members);
}

/** What an implementation gets that leaves something out. */
function misroot(name: string, description: string, wrong: (given: MisrootGiven) => Uint8Array) {
  const ratchet_seed = drawn("secure misroot seed", 32);
  const { publicKey: ratchetKey } = kemKey(ratchet_seed);
  const { ciphertext, secret } = encapsulated(ratchetKey, drawn("secure misroot randomness", 64));
  const [root, sessionId] = [drawn("secure misroot root", 64), drawn("secure misroot session", 16)];
  const given = { root, sessionId, epoch: 2, ratchetKey, ciphertext, secret };
  const made = {
    ...nextEpoch(given),
    root: wrong({ ...given, ...nextEpoch(given), before: root }),
  };
  const chains = { i2r: chainStart(made.root, "i2r", 2), r2i: chainStart(made.root, "r2i", 2) };
  const epoch = {
    epoch: 2,
    ratchet_seed,
    ciphertext,
    ratchet_key: ratchetKey,
    secret,
    ...made,
    chains,
  };
  const members = { session_id: sessionId, root, epochs: [epoch] };
  return secureCase(["SEC-57", `epochs-${name}`, description], "epochs", members, "MISTAKE");
}
interface MisrootGiven {
  readonly before: Uint8Array;
  readonly sessionId: Uint8Array;
  readonly ratchetKey: Uint8Array;
  readonly ciphertext: Uint8Array;
  readonly secret: Uint8Array;
  readonly salt: Uint8Array;
  readonly transcript: Uint8Array;
}

const rootOf = ({ salt, secret }: MisrootGiven, transcript: Uint8Array) =>
  xl512(hmac512(salt, secret), "epoch", transcript);
const U2 = big(2, 4);

const EPOCHS: readonly SecureCase[] = [
  epochsCase("epochs-five", "Five epochs.", [
    drawn("secure five root", 64),
    [2, 3, 4, 5].map((index) => turnOf("five", index)),
  ]),
  draftCase(),
  misroot("without-session", "The session's id is left out.", (given) =>
    rootOf(given, th512(`${P} epoch`, U2, given.ratchetKey, given.ciphertext)),
  ),
  misroot("without-key", "The ratchet key is.", (given) =>
    rootOf(given, th512(`${P} epoch`, given.sessionId, U2, given.ciphertext)),
  ),
  misroot("without-ciphertext", "The ciphertext is.", (given) =>
    rootOf(given, th512(`${P} epoch`, given.sessionId, U2, given.ratchetKey)),
  ),
  misroot("without-secret", "The new secret is.", (given) =>
    xl512(given.salt, "epoch", given.transcript),
  ),
  misroot("salt-is-root", "The root itself is the salt.", (given) =>
    xl512(hmac512(given.before, given.secret), "epoch", given.transcript),
  ),
  misroot("other-epoch", "The epoch before is hashed.", (given) => {
    const { sessionId, ratchetKey, ciphertext } = given;
    return rootOf(given, th512(`${P} epoch`, sessionId, big(1, 4), ratchetKey, ciphertext));
  }),
];

const QUICK = { parameters: { rekey_messages: 2, rekey_s: 86_400 } };
const talk = (name: string, more: Partial<ConversationPlan> = QUICK) =>
  new Conversation({ name, ...more });

function turns(role: Role): SecureCase {
  const chat = talk("turns");
  for (let index = 0; index < 14; index += 1) {
    chat.passes(index % 2 === 0 ? "initiator" : "responder", `message ${index}`).later(1000);
  }
  if (chat.epochOf(role) < 5) throw new TypeError("these are fewer than five epochs");
  const about = ["SEC-55 SEC-56 SEC-57 SEC-58 SEC-61", `session-turns-${role}`] as const;
  return chat.of(role, [...about, `Five epochs in turns, as the ${role} sees them.`]);
}

/** Keys and answers that are lost, and messages of old epochs that come late. */
function losses(role: Role): SecureCase {
  const chat = talk("losses");
  chat.passes("initiator", "0").passes("responder", "1");
  const lost = [chat.says("initiator", "lost, with a key"), chat.says("initiator", "lost too")];
  const carried = chat.says("initiator", "the key arrives");
  chat.hears(carried);
  const [answer, second] = [chat.says("responder", "answer"), chat.says("responder", "second")];
  const still = chat.says("initiator", "still in epoch 1");
  chat.hears(second).hears(still);
  for (const late of lost) chat.hears(late);
  chat.hears(answer).passes("initiator", "in epoch 2");
  const about = ["SEC-53 SEC-56 SEC-57 SEC-58 SEC-60 SEC-61", `session-losses-${role}`] as const;
  return chat.of(role, [...about, `Lost and late steps, as the ${role} sees them.`]);
}

/** Messages 0, 1, 2, 10, 18 since a key was made carry it. */
function carrying(): SecureCase {
  const chat = talk("carrying");
  chat.passes("initiator", "0").passes("initiator", "1");
  for (let index = 0; index < 20; index += 1) chat.says("initiator", `${index}`);
  chat.closes("initiator");
  const description = "A key that nobody answers goes with 0, 1, 2, 10, 18, and with the close.";
  return chat.of("initiator", ["SEC-56", "session-carrying", description]);
}

function byTime(): SecureCase {
  const chat = talk("by time", { parameters: { rekey_messages: 128, rekey_s: 60 } });
  chat.passes("initiator", "0").later(59_999).passes("initiator", "not yet");
  chat.later(1).passes("initiator", "due").passes("responder", "answered");
  chat.later(60_000).passes("responder", "due again").passes("initiator", "answered again");
  const description = "A key is due after rekey_s.";
  return chat.of("initiator", ["SEC-55", "session-by-time", description]);
}

/** A chain is old an hour after its sender has left it. */
function oldChain(isLate: boolean): SecureCase {
  const chat = talk("old chain");
  chat.passes("initiator", "0").passes("initiator", "1");
  const key = chat.says("initiator", "key");
  const late = chat.says("initiator", "late");
  chat.hears(key).hears(chat.says("responder", "answer"));
  chat.passes("initiator", "in epoch 2").later(isLate ? 3_600_000 : 3_599_999);
  if (isLate) chat.refuses("responder", late.message, "SECURE_OUT_OF_WINDOW");
  else chat.hears(late);
  const name = isLate ? "session-old-chain" : "session-old-chain-kept";
  const description = `A message of the epoch before, an hour later${isLate ? "" : ", almost"}.`;
  return chat.of("responder", ["SEC-61", name, description]);
}

/** Messages that were skipped in an old chain are not beyond its end. */
function beyondEnd(): SecureCase {
  const chat = talk("beyond the end");
  chat.passes("initiator", "0").passes("initiator", "1");
  chat.hears(chat.says("initiator", "key")).hears(chat.says("responder", "answer"));
  chat.passes("initiator", "in epoch 2");
  const { messageKey } = chat.keysAt("initiator", 1, 3);
  const message = chat.lies("initiator", {
    sealsWith: messageKey,
    tagsWith: messageKey,
    says: (said) => ({ ...said, epoch: 1, n: 3, pn: 0 }),
  });
  chat.refuses("responder", message, "SECURE_OUT_OF_WINDOW");
  const description = "A place behind the end that pn has told of.";
  return chat.of(
    "responder",
    ["SEC-61", "refused-beyond-end", description],
    "SECURE_OUT_OF_WINDOW",
  );
}

type Judged = (chat: Conversation) => readonly [Role, Uint8Array];

/** The last message is wrong; most of these are sealed as they ought to be. */
const refusal =
  (ids: string, failure: SecureFailure) =>
  (name: string, description: string, judge: Judged): SecureCase => {
    const chat = talk("refused turn");
    chat.passes("initiator", "0").passes("responder", "1");
    const [role, message] = judge(chat);
    chat.refuses(role, message, failure);
    return chat.of(role, [ids, `refused-${name}`, description], failure);
  };

const broken = refusal("SEC-59", "SECURE_RATCHET_BROKEN");
const OTHER_KEY = kemKey(drawn("secure another ratchet key", 32)).publicKey;
const OTHER_TEXT = encapsulated(OTHER_KEY, drawn("secure another answer", 64)).ciphertext;

/** The key has arrived, and its answer is on the way. */
function keyed(chat: Conversation): Conversation {
  return chat.hears(chat.says("initiator", "key"));
}

/** Both are in epoch 2. */
function answered(chat: Conversation): Conversation {
  return keyed(chat).hears(chat.says("responder", "answer"));
}

const REFUSED: readonly SecureCase[] = [
  broken("second-key", "A second, different key in an epoch.", (chat) => [
    "responder",
    keyed(chat).lies("initiator", { says: (said) => ({ ...said, ratchetKey: OTHER_KEY }) }),
  ]),
  broken("second-ciphertext", "A second, different answer for an epoch.", (chat) => [
    "initiator",
    answered(chat).lies("responder", { says: (said) => ({ ...said, ciphertext: OTHER_TEXT }) }),
  ]),
  broken("ciphertext-in-epoch-1", "An answer in epoch 1.", (chat) => [
    "responder",
    chat.lies("initiator", {
      says: ({ ratchetKey: _, ...said }) => ({ ...said, ciphertext: OTHER_TEXT }),
    }),
  ]),
  broken("ciphertext-of-asker", "An answer by whom has asked.", (chat) => [
    "responder",
    answered(chat).lies("initiator", { says: (said) => ({ ...said, ciphertext: OTHER_TEXT }) }),
  ]),
  refusal("SEC-55", "SECURE_RATCHET_BROKEN")("out-of-turn", "A key of the other side.", (chat) => [
    "initiator",
    chat.lies("responder", { says: (said) => ({ ...said, ratchetKey: OTHER_KEY }) }),
  ]),
  refusal("SEC-55", "SECURE_RATCHET_BROKEN")("out-of-turn-2", "The same in epoch 2.", (chat) => [
    "responder",
    answered(chat).lies("initiator", { says: (said) => ({ ...said, ratchetKey: OTHER_KEY }) }),
  ]),
  refusal("SEC-57", "SECURE_RATCHET_BROKEN")("key-unreduced", "A key that is none.", (chat) => [
    "responder",
    chat.lies("initiator", { says: (said) => ({ ...said, ratchetKey: unreduced(OTHER_KEY) }) }),
  ]),
  refusal("SEC-57", "SECURE_RATCHET_BROKEN")("key-low-order", "A key of low order.", (chat) => [
    "responder",
    chat.lies("initiator", { says: (said) => ({ ...said, ratchetKey: lowOrder(OTHER_KEY) }) }),
  ]),
  refusal("SEC-60", "SECURE_RATCHET_BROKEN")("pn-changed", "Another pn than before.", (chat) => [
    "initiator",
    answered(chat).lies("responder", { says: (said) => ({ ...said, pn: said.pn + 1 }) }),
  ]),
  refusal("SEC-60", "SECURE_RATCHET_BROKEN")("pn-short", "pn below what was opened.", (chat) => [
    "initiator",
    keyed(chat).lies("responder", { says: (said) => ({ ...said, pn: 0 }) }),
  ]),
  refusal("SEC-58", "SECURE_KEY_INVALID")(
    "ciphertext-low-order",
    "An answer whose point is of low order.",
    (chat) => {
      const message = keyed(chat).lies("responder", {
        says: ({ ciphertext, ...said }) => ({
          ...said,
          ciphertext: lowOrder(ciphertext ?? OTHER_TEXT),
        }),
      });
      return ["initiator", message];
    },
  ),
  refusal("SEC-58", "SECURE_TAG_INVALID")(
    "ciphertext-changed",
    "An answer of other bytes: ML-KEM takes it, and another root comes of it.",
    (chat) => {
      const message = keyed(chat).lies("responder", {
        message: (honest) => flipped(2 + 32)(honest),
      });
      return ["initiator", message];
    },
  ),
  refusal("SEC-58", "SECURE_OUT_OF_WINDOW")(
    "without-ciphertext",
    "A message of the next epoch without the answer.",
    (chat) => {
      keyed(chat);
      const without = chat.lies("responder", { says: ({ ciphertext: _, ...said }) => said });
      return ["initiator", without];
    },
  ),
  refusal("SEC-53", "SECURE_OUT_OF_WINDOW")(
    "next-epoch-far",
    "Place 257 of the next epoch.",
    (chat) => [
      "initiator",
      keyed(chat).lies("responder", { says: (said) => ({ ...said, n: 257 }) }),
    ],
  ),
  refusal("SEC-53", "SECURE_OUT_OF_WINDOW")("epoch-after-next", "The epoch after next.", (chat) => [
    "initiator",
    keyed(chat).lies("responder", { says: (said) => ({ ...said, epoch: 3 }) }),
  ]),
  refusal("SEC-50 SEC-57", "SECURE_TAG_INVALID")(
    "relabelled-epoch",
    "A message of epoch 1 that says it is of epoch 2.",
    (chat) => {
      answered(chat);
      const { messageKey } = chat.keysAt("initiator", 1, 2);
      return ["responder", chat.lies("initiator", { sealsWith: messageKey, tagsWith: messageKey })];
    },
  ),
];

function sameKeyAgain(): SecureCase {
  const chat = talk("same key again");
  chat.passes("initiator", "0").passes("responder", "1");
  const said = [0, 1, 2].map((index) => chat.says("initiator", `with the key ${index}`));
  for (const saying of said) chat.hears(saying);
  chat.passes("responder", "answered once");
  const description = "The same key again changes nothing.";
  return chat.of("responder", ["SEC-57", "session-same-key", description]);
}

function brokenForGood(): SecureCase {
  const chat = talk("broken for good");
  chat.passes("initiator", "0").passes("responder", "1");
  const honest = keyed(chat).says("initiator", "honest");
  const says: MessageLies["says"] = (said) => ({ ...said, ratchetKey: OTHER_KEY });
  chat.refuses("responder", chat.lies("initiator", { says }), "SECURE_RATCHET_BROKEN");
  chat.refuses("responder", honest.message, "SECURE_NOT_OPEN");
  const description = "After a contradiction nothing opens any more.";
  return chat.of("responder", ["SEC-59 SEC-64", "session-broken", description]);
}

export const RATCHETS: readonly SecureCase[] = [
  ...EPOCHS,
  turns("initiator"),
  turns("responder"),
  losses("initiator"),
  losses("responder"),
  carrying(),
  byTime(),
  oldChain(true),
  oldChain(false),
  sameKeyAgain(),
  brokenForGood(),
  beyondEnd(),
  ...REFUSED,
];
