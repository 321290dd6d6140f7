// First half: numbers that a peer can observe; each has a requirement. Second half: numbers that
// only we care about.

/** The protocol versions spoken. [SES-3] */
export const VERSION_MIN = 1;
export const VERSION_MAX = 1;

/**
 * The first bytes of a raw TCP link: U+1F4EF POSTAL HORN in UTF-8, then the mode. Cannot begin an
 * HTTP request (an ASCII letter) or a TLS record (0x16). [LNK-2]
 */
export const PREFACE_MAGIC: Uint8Array = Uint8Array.of(0xf0, 0x9f, 0x93, 0xaf);
/**
 * Mode byte of a link that carries frames in the clear. 0x02 is reserved for sealed records.
 * [LNK-2]
 */
export const PREFACE_MODE_CLEAR = 0x01;
export const PREFACE_BYTES = 5;

/** TLS application protocol of raw frames (RFC 7301). [LNK-4] */
export const ALPN_PROTOCOL = "posthorn/1";
/** WebSocket subprotocol and path. [LNK-5] */
export const WEBSOCKET_SUBPROTOCOL = "posthorn.v1";
export const WEBSOCKET_PATH = "/posthorn.v1";

/** All counters survive JSON and JavaScript: 2^53-1. [FRM-5] */
export const COUNTER_MAX = Number.MAX_SAFE_INTEGER;
/** The largest frame before Welcome says otherwise, without its length prefix. [FRM-3] */
export const FRAME_BYTES_MAX = 256 * 1024;
/** The longest length prefix. [FRM-2] */
export const LENGTH_PREFIX_BYTES_MAX = 5;
/**
 * The largest frame that a link accepts before its session is attached: a Hello with the largest
 * token. [FRM-4]
 */
export const FRAME_BYTES_MAX_OPENING = 16 * 1024;

export const TOKEN_BYTES_MAX = 8192;
export const AGENT_BYTES_MAX = 128;
export const CLOSE_DETAIL_BYTES_MAX = 256;
/** [SES-5] */
export const USER_ID_PATTERN = /^[A-Za-z0-9][A-Za-z0-9._@+-]{0,63}$/;
/** [ENV-56] */
export const LOGIN_ACCOUNT_PATTERN = /^[\x21-\x7e]{1,129}$/;
export const DEVICE_ID_PATTERN = /^[A-Za-z0-9._-]{1,64}$/;
/** Calls of a link that wait for their reply. [RPC-2] */
export const CALLS_MAX = 16;
/** A longer name is no method's. [RPC-4] */
export const METHOD_BYTES_MAX = 128;
/** Signals of a link that are heard at once, and how many more a second. [SIG-3] */
export const SIGNALS_AT_ONCE = 20;
export const SIGNALS_PER_SECOND = 10;
/** What a Watch counts for: so many users have to be looked up. [SIG-3] */
export const WATCH_SIGNALS = 10;
/** Users whose presence one link may watch. [SIG-12] */
export const WATCHED_USERS_MAX = 512;
/** The shortest time between two Hints of a link. [SIG-6] */
export const HINTS_EVERY_MS = 250;
/** The largest Hints. [SIG-6] */
export const HINTS_BYTES_MAX = 16 * 1024;
/** How long a user types unless it is said again. [SIG-8] */
export const TYPING_MS = 6_000;
/** How often a device says it again. [SIG-9] */
export const TYPING_AGAIN_MS = 3_000;
/** Events that one Index covers, and conversations that it names. [CAT-5] */
export const INDEX_EVENTS_MAX = 65_536;
export const INDEX_CONVERSATIONS_MAX = 256;
/** The largest value of a timer in milliseconds: 2^31-1. [SES-12] */
export const TIMER_MS_MAX = 0x7fff_ffff;

// --- ours ---

/** Hints that wait for a link to have room: the oldest make way. [SIG-5] */
export const HINTS_WAITING_MAX = 1_024;
/** Typing users of whom a device remembers until when they type. */
export const TYPING_HEARD_MAX = 1_024;

/** Calls of a device that wait for a link or for room on it. */
export const CALLS_WAITING_MAX = 1_024;

/** Content of a message by default, leaving room for the rest of the frame. */
export const CONTENT_BYTES_MAX = 200 * 1024;
/** Submits and deliveries outstanding by default, and the most that is ever granted. */
export const WINDOW_COUNT_DEFAULT = 256;
export const WINDOW_COUNT_MAX = 4096;
export const WINDOW_BYTES_DEFAULT = 1024 * 1024;
export const WINDOW_BYTES_MAX = 8 * 1024 * 1024;
