// First half: numbers that a peer can observe; each has a requirement. Second half: ours.

export const ENVELOPE_VERSION = 1;
/** Of a handshake message or a clear alert. [ENV-4] */
export const CLEAR_BODY_BYTES_MAX = 8 * 1024;
/** Of the core of either hello. [ENV-12] */
export const CORE_BYTES_MAX = 8000;
/**
 * Of what one record may carry: no more than a frame before Ready, as a record is kept whole for
 * whoever has shaken hands, before anybody knows who it is. [ENV-4] [ENV-9] [FRM-4]
 */
export const CONTENT_BYTES_MAX = 16 * 1024;
/** Content, its type and its padding. [ENV-9] */
export const INNER_BYTES_MAX: number = CONTENT_BYTES_MAX + 256;
/** Up to here lengths are rounded up to multiples of it. [ENV-9] */
export const PADDING_STEP_BYTES = 64;

export const OFFERS_MAX = 8;
export const RANDOM_BYTES = 32;
export const LINK_ID_BYTES = 16;
export const TICKET_ID_BYTES = 16;
/** A handshake takes no longer than this. [ENV-19] */
export const HANDSHAKE_MS = 10_000;

/** The most that one key ever seals. [ENV-37] */
export const REKEY_RECORDS_MAX: number = 2 ** 20;
export const REKEY_BYTES_MAX: number = 2 ** 30;
/** So that a whole record and a key update always fit. */
export const REKEY_RECORDS_MIN = 2;
export const REKEY_BYTES_MIN: number = 2 * 1024 * 1024;
/** A receiver closes when a key has carried this many times what it may. [ENV-38] */
export const HARD_STOP_FACTOR = 4;
/** Epochs are 16 bits and never wrap. [ENV-40] */
export const EPOCH_MAX = 0xffff;
/** Of a link, of a ticket, and of whatever descends from one key agreement. [ENV-41] [ENV-45] */
export const LIFETIME_S_MAX = 86_400;
/** Wrong binders after which a ticket is gone. [ENV-44] */
export const BINDER_FAILURES_MAX = 3;

// --- ours ---

/** From a record's first byte to its last, unless a service is told otherwise. [ENV-60] */
export const RECORD_MS = 30_000;

/** Records are handed to the link together up to about this size. [LNK-5] */
export const WRITE_BYTES = 256 * 1024;
