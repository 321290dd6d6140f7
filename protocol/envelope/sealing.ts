import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import { assert, type Violation, violation } from "../violation.ts";
import { nextTrafficSecret, type TrafficKey, trafficKey } from "./key-schedule.ts";
import { EPOCH_MAX, HARD_STOP_FACTOR } from "./limits.ts";
import { copyOf, readU32, writeU32 } from "./octets.ts";
import { paddedBytes, typeIndex } from "./padding.ts";
import { type AeadName, type CryptoProvider, NONCE_BYTES, TAG_BYTES } from "./provider.ts";
import { encodeHeader, HEADER_BYTES, type SealRecord } from "./records.ts";

const TYPES = ["frames", "keyUpdate", "ticket", "alert", "close"] as const;
/** What a sealed record holds. [ENV-8] */
export type ContentType = (typeof TYPES)[number];

/** How much one key seals. [ENV-37] */
export interface KeyLimits {
  readonly records: number;
  readonly bytes: number;
}

/** One direction of a link, as it begins. */
export interface Direction {
  readonly aead: AeadName;
  readonly secret: Uint8Array;
  readonly limits: KeyLimits;
}

/** The key of one direction and how far it has been used. Never copied, never stored. [ENV-7] */
class KeyUse {
  readonly limits: KeyLimits;
  readonly #crypto: CryptoProvider;
  readonly #aead: AeadName;
  #secret: Uint8Array;
  #key: TrafficKey | undefined;
  #epoch = 1;
  #records = 0;
  #bytes = 0;

  constructor(crypto: CryptoProvider, { aead, secret, limits }: Direction) {
    this.limits = limits;
    this.#crypto = crypto;
    this.#aead = aead;
    this.#secret = copyOf(secret);
    this.#key = trafficKey(crypto, aead, this.#secret);
  }

  get epoch(): number {
    return this.#epoch;
  }

  /** The number of the next record. */
  get seq(): number {
    return this.#records;
  }

  /** How many bytes this key has carried, padding counted. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Takes the next number, for good, before anything is done with it. [ENV-7] */
  allot(innerBytes: number): { readonly key: TrafficKey; readonly nonce: Uint8Array } {
    assert(this.#key !== undefined, "an erased key is used no more");
    const seq = this.#records;
    this.#records += 1;
    this.#bytes += innerBytes;
    return { key: this.#key, nonce: nonceOf(this.#key.iv, seq) };
  }

  /** Goes to the next epoch; the old key is gone. [ENV-39] */
  update(): void {
    assert(this.#epoch < EPOCH_MAX, "epochs do not wrap [ENV-40]");
    const next = nextTrafficSecret(this.#crypto, this.#secret);
    this.erase();
    this.#secret = next;
    this.#key = trafficKey(this.#crypto, this.#aead, next);
    this.#epoch += 1;
    this.#records = 0;
    this.#bytes = 0;
  }

  erase(): void {
    this.#secret.fill(0);
    this.#key?.iv.fill(0);
    this.#key = undefined;
  }
}

/** The iv with the record's number in its last eight bytes (RFC 8446 §5.3). [ENV-5] */
function nonceOf(iv: Uint8Array, seq: number): Uint8Array {
  const nonce = copyOf(iv);
  // Numbers stay below 2^22: the upper half is zero. [ENV-38]
  writeU32((readU32(iv, NONCE_BYTES - 4) ^ seq) >>> 0, nonce, NONCE_BYTES - 4);
  return nonce;
}

/** Seals the records of one direction. [ENV-5] [ENV-7] */
export class Sealer {
  readonly #use: KeyUse;

  constructor(crypto: CryptoProvider, direction: Direction) {
    this.#use = new KeyUse(crypto, direction);
  }

  get epoch(): number {
    return this.#use.epoch;
  }

  get seq(): number {
    return this.#use.seq;
  }

  /**
   * Whether this key has room for content and for the key update that must follow at some time.
   * Without it the next record is that update. [ENV-37]
   */
  hasRoom(contentBytes: number): boolean {
    const { limits, seq, bytes } = this.#use;
    const needed = paddedBytes(contentBytes) + paddedBytes(KEY_UPDATE_BYTES_MAX);
    return seq + 2 <= limits.records && bytes + needed <= limits.bytes;
  }

  /** Whether a key can follow this one. [ENV-40] */
  get canUpdate(): boolean {
    return this.#use.epoch < EPOCH_MAX;
  }

  /** One record. A key update is followed by the next key. */
  seal(type: ContentType, content: Uint8Array): Uint8Array {
    const innerBytes = paddedBytes(content.length);
    const { epoch, seq } = this.#use;
    const bodyBytes = innerBytes + TAG_BYTES;
    const record = new Uint8Array(HEADER_BYTES + bodyBytes);
    const header = record.subarray(0, HEADER_BYTES);
    encodeHeader({ type: "sealed", epoch, seq, bodyBytes }, header);
    const body = record.subarray(HEADER_BYTES);
    // The text lies where the ciphertext will: no second buffer, and no text is left behind.
    body.set(content);
    body[content.length] = TYPES.indexOf(type) + 1;
    const { key, nonce } = this.#use.allot(innerBytes);
    key.aead.seal({ nonce, header, text: body.subarray(0, innerBytes) }, body);
    if (type === "keyUpdate") this.#use.update();
    return record;
  }

  erase(): void {
    this.#use.erase();
  }
}

/** What an encoded KeyUpdate takes at most. */
const KEY_UPDATE_BYTES_MAX = 2;

export interface Opened {
  readonly type: ContentType;
  readonly content: Uint8Array;
}

/** Opens the records of one direction, each once and in order. [ENV-6] */
export class Opener {
  readonly #use: KeyUse;

  constructor(crypto: CryptoProvider, direction: Direction) {
    this.#use = new KeyUse(crypto, direction);
  }

  get epoch(): number {
    return this.#use.epoch;
  }

  get seq(): number {
    return this.#use.seq;
  }

  /**
   * Opens the one record that may come now; after a violation the keys are gone. [ENV-50]
   *
   * A key update changes the key for the next record.
   */
  open(record: SealRecord): Opened | Violation {
    const opened = this.#open(record);
    if ("code" in opened) this.erase();
    else if (opened.type === "keyUpdate") this.#use.update();
    return opened;
  }

  #open({ header, epoch, seq, body }: SealRecord): Opened | Violation {
    const use = this.#use;
    if (epoch !== use.epoch) return invalid("ENV-6", `epoch ${epoch}, not ${use.epoch}`);
    if (seq !== use.seq) return invalid("ENV-6", `record ${seq}, not ${use.seq}`);
    if (this.#isSpent(body.length - TAG_BYTES)) {
      const detail = `epoch ${epoch} was not ended at its limit`;
      return violation(ErrorCode.ENVELOPE_LIMIT_REACHED, "ENV-38", detail);
    }
    const { key, nonce } = use.allot(Math.max(0, body.length - TAG_BYTES));
    const inner = key.aead.open({ nonce, header, text: body });
    if (inner === undefined) return invalid("ENV-5", `record ${seq} does not open`);
    const at = typeIndex(inner);
    const type = at < 0 ? undefined : TYPES[(inner[at] as number) - 1];
    if (type === undefined) return invalid("ENV-8", `record ${seq} holds no known content`);
    if (type === "keyUpdate" && epoch === EPOCH_MAX) {
      return invalid("ENV-40", "a key update in the last epoch");
    }
    return { type, content: inner.subarray(0, at) };
  }

  #isSpent(innerBytes: number): boolean {
    const { limits, seq, bytes } = this.#use;
    const factor = HARD_STOP_FACTOR;
    return seq >= limits.records * factor || bytes + innerBytes > limits.bytes * factor;
  }

  erase(): void {
    this.#use.erase();
  }
}

function invalid(requirement: string, detail: string): Violation {
  return violation(ErrorCode.ENVELOPE_RECORD_INVALID, requirement, detail);
}
