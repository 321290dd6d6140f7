/** One run of Spin. */
export interface Model {
  readonly name: string;
  /** Under spec/models. */
  readonly file: string;
  /** Preprocessor switches: bounds, and for a negative model its planted bug. */
  readonly switches: readonly string[];
  readonly expected: "holds" | "fails";
  /**
   * "states": assertions and deadlock, in every state. "cycles": no execution goes on for ever,
   * which with no deadlock means that everything drains.
   */
  readonly looksFor: "states" | "cycles";
}

/** One run of ProVerif. */
export interface SymbolicModel {
  readonly name: string;
  /** Under spec/models. */
  readonly file: string;
  readonly switches: readonly string[];
  /** What it says of each query, in their order. */
  readonly expected: string;
}

const SESSION = "session.pml";
const SMALL = ["NSUB=1", "NEV=1", "CUTS=1", "KILLS=1", "CRASHES=0"];
const FAULTS = ["NSUB=2", "NEV=0", "CUTS=1", "KILLS=1", "CRASHES=1"];

const SEALING = "envelope/sealing.pml";
const TICKETS = "envelope/tickets.pml";
const RECORDS = "envelope/records.pml";
const SHORT = ["CONTENTS=2", "EPOCHS=3", "FAULTS=1"];
const TAMPERED = ["CONTENTS=2", "EPOCHS=3", "FAULTS=2"];

const RATCHET = "secure/ratchet.pml";
const CHAIN = ["NMAX=4", "RESERVE=2", "LATER=1"];
const TWO_EPOCHS = ["LAST=2", ...CHAIN];
const SILENT = ["TALKS=false", "REKEY=1", "NMAX=6", "RESERVE=2", "LATER=1", "FORGERIES=0"];

/** Those that go on to the last state take up to two minutes each. */
export const MODELS: readonly Model[] = [
  holds("small", SESSION, SMALL),
  holds("cuts", SESSION, ["NSUB=2", "NEV=0", "CUTS=2", "KILLS=0", "CRASHES=0"]),
  holds("events", SESSION, ["NSUB=2", "NEV=1", "CUTS=1", "KILLS=0", "CRASHES=0"]),
  holds("links", SESSION, ["NSUB=1", "NEV=0", "CUTS=2", "KILLS=0", "CRASHES=1", "NLINK=3"]),
  holds("faults", SESSION, FAULTS),
  drains("drains", SESSION, SMALL),
  fails("no-dedupe", SESSION, ["NO_DEDUPE", ...FAULTS]),
  fails("no-fence", SESSION, ["NO_FENCE", ...FAULTS]),
  fails("ack-before-commit", SESSION, ["ACK_BEFORE_COMMIT", ...FAULTS]),
  fails("results-forgotten", SESSION, ["RESULTS_FORGOTTEN", ...FAULTS]),
  fails("grant-forgotten", SESSION, ["GRANT_FORGOTTEN", ...FAULTS]),
  fails("attach-on-hello", SESSION, ["ATTACH_ON_HELLO", ...FAULTS]),
  fails("cursor-before-handled", SESSION, ["CURSOR_BEFORE_HANDLED", ...FAULTS]),

  holds("sealing", SEALING, []),
  fails("sealing-allot-late", SEALING, ["ALLOT_LATE"]),
  fails("sealing-unordered", SEALING, ["UNORDERED"]),
  fails("sealing-anew", SEALING, ["SEALED_ANEW"]),
  fails("sealing-state-copied", SEALING, ["STATE_COPIED"]),

  holds("records-short", RECORDS, SHORT),
  holds("records-tampered", RECORDS, TAMPERED),
  holds("records-long", RECORDS, ["CONTENTS=3", "EPOCHS=4", "FAULTS=1", "DEPTH=3"]),
  drains("records-drain", RECORDS, SHORT),
  fails("records-no-order", RECORDS, ["NO_ORDER", ...TAMPERED]),
  fails("records-one-key", RECORDS, ["ONE_KEY", ...TAMPERED]),
  fails("records-epoch-wraps", RECORDS, ["EPOCH_WRAPS", ...TAMPERED]),
  fails("records-ask-back", RECORDS, ["ASK_BACK", ...TAMPERED]),
  fails("records-end-is-close", RECORDS, ["END_IS_CLOSE", ...TAMPERED]),

  holds("tickets", TICKETS, []),
  fails("tickets-read-then-delete", TICKETS, ["READ_THEN_DELETE"]),
  fails("tickets-delete-after-answer", TICKETS, ["DELETE_AFTER_ANSWER"]),
  fails("tickets-wrong-by-node", TICKETS, ["WRONG_BY_NODE"]),
  fails("tickets-not-revoked", TICKETS, ["NOT_REVOKED"]),

  holds("ratchet-small", RATCHET, [...TWO_EPOCHS, "REPEATS=0"]),
  holds("ratchet-forged", RATCHET, TWO_EPOCHS),
  holds("ratchet-late", RATCHET, ["LAST=2", "REPEATS=0", "FORGERIES=0"]),
  holds("ratchet-lossy", RATCHET, [...CHAIN, "REPEATS=0", "FORGERIES=0"]),
  holds("ratchet-repeated", RATCHET, [...CHAIN, "LOSSES=0", "FORGERIES=0"]),
  holds("ratchet-silent", RATCHET, SILENT),
  fails("ratchet-no-repeat", RATCHET, ["NO_REPEAT", ...TWO_EPOCHS]),
  fails("ratchet-fresh-keys", RATCHET, ["FRESH_KEYS", ...TWO_EPOCHS]),
  fails("ratchet-offers-any-time", RATCHET, ["OFFERS_ANY_TIME", ...CHAIN]),
  fails("ratchet-out-of-turn", RATCHET, ["OUT_OF_TURN", ...TWO_EPOCHS]),
  fails("ratchet-forgets-answer", RATCHET, ["FORGETS_ANSWER", ...TWO_EPOCHS]),
  fails("ratchet-answers-twice", RATCHET, ["ANSWERS_TWICE", ...TWO_EPOCHS]),
  fails("ratchet-commits-before-tag", RATCHET, ["COMMITS_BEFORE_TAG", ...TWO_EPOCHS]),
  fails("ratchet-no-reply", RATCHET, ["NO_REPLY", ...SILENT, "LOSSES=0"]),
];

const LINK = "envelope/link.pv";
const LOGIN = "envelope/login.pv";
const RESUME = "envelope/resume.pv";
const CHAT = "secure/chat.pv";
const STEP = "secure/ratchet.pv";

/** The first queries of each file ask what can be reached: they have to be false. */
export const SYMBOLIC_MODELS: readonly SymbolicModel[] = [
  symbolic("link", LINK, [], "false false true true true true true"),
  symbolic("link-unpinned", LINK, ["UNPINNED"], "false false false true false true false"),
  symbolic(
    "link-no-signed-hello",
    LINK,
    ["NO_SIGNED_HELLO"],
    "false false false true false true false",
  ),
  symbolic("link-key-kept", LINK, ["KEY_KEPT"], "false false false false true true true"),

  symbolic("login", LOGIN, [], "false false true true true true"),
  symbolic("login-no-binding", LOGIN, ["NO_BINDING"], "false false false true true false"),
  symbolic("login-no-answer", LOGIN, ["NO_ANSWER"], "false false true true false true"),
  symbolic("login-secret-shared", LOGIN, ["SECRET_SHARED"], "false false true false false true"),
  symbolic("login-key-leaked", LOGIN, ["KEY_LEAKED"], "false false false true true false"),

  symbolic("resume", RESUME, [], "false false true true true true true false"),
  symbolic(
    "resume-no-binder",
    RESUME,
    ["NO_BINDER"],
    "false false false true true true true false",
  ),

  symbolic("chat", CHAT, [], "false false true true true true true"),
  symbolic(
    "chat-no-fingerprints",
    CHAT,
    ["NO_FINGERPRINTS"],
    "false false true true false false false",
  ),
  symbolic("chat-no-confirm", CHAT, ["NO_CONFIRM"], "false false true true true false true"),
  symbolic("chat-stolen-a", CHAT, ["STOLEN_A"], "false false true false true false true"),
  symbolic("chat-stolen-b", CHAT, ["STOLEN_B"], "false false false true false true true"),
  symbolic("chat-seed-kept", CHAT, ["SEED_KEPT"], "false false false false true true true"),

  symbolic("ratchet-step", STEP, [], "false true true true true"),
  symbolic("ratchet-fs", STEP, ["STOLEN_LATER"], "false true false false true"),
  symbolic("ratchet-root-kept", STEP, ["ROOT_KEPT"], "false false true true true"),
  symbolic("ratchet-pcs", STEP, ["STOLEN_BEFORE", "PASSIVE"], "false true true true true"),
  symbolic("ratchet-active", STEP, ["STOLEN_BEFORE"], "false true false false false"),
  symbolic(
    "ratchet-seed-stolen",
    STEP,
    ["STOLEN_AMIDST", "PASSIVE"],
    "false true false false true",
  ),
];

function holds(name: string, file: string, switches: readonly string[]): Model {
  return { name, file, switches, expected: "holds", looksFor: "states" };
}

function drains(name: string, file: string, switches: readonly string[]): Model {
  return { name, file, switches, expected: "holds", looksFor: "cycles" };
}

function fails(name: string, file: string, switches: readonly string[]): Model {
  return { name, file, switches, expected: "fails", looksFor: "states" };
}

function symbolic(
  name: string,
  file: string,
  switches: readonly string[],
  expected: string,
): SymbolicModel {
  return { name, file, switches, expected };
}
