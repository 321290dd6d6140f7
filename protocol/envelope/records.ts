import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import { COUNTER_MAX } from "../limits.ts";
import { type Violation, violation } from "../violation.ts";
import { CLEAR_BODY_BYTES_MAX, ENVELOPE_VERSION, INNER_BYTES_MAX } from "./limits.ts";
import { concat, readU32, writeU32 } from "./octets.ts";
import { TAG_BYTES } from "./provider.ts";

export const HEADER_BYTES = 16;

const TYPES = ["clientHello", "serverHello", "clientFinished", "sealed", "alert"] as const;
export type RecordType = (typeof TYPES)[number];

/** What a header says. [ENV-3] */
export interface RecordHeader {
  readonly type: RecordType;
  /** 0 for clear records, 1 to 65,535 for sealed ones. */
  readonly epoch: number;
  /** 0 for clear records. */
  readonly seq: number;
  readonly bodyBytes: number;
}

/** A record as it arrived. */
export interface SealRecord extends RecordHeader {
  /** The 16 bytes as they were carried: what a sealed body is bound to. [ENV-5] */
  readonly header: Uint8Array;
  readonly body: Uint8Array;
}

/** Writes the 16 bytes of a header; what it returns is where they are. [ENV-3] */
export function encodeHeader(
  { type, epoch, seq, bodyBytes }: RecordHeader,
  header: Uint8Array = new Uint8Array(HEADER_BYTES),
): Uint8Array {
  header[0] = TYPES.indexOf(type) + 1;
  header[1] = ENVELOPE_VERSION;
  header[2] = epoch >>> 8;
  header[3] = epoch;
  writeU32(Math.floor(seq / 2 ** 32), header, 4);
  writeU32(seq >>> 0, header, 8);
  writeU32(bodyBytes, header, 12);
  return header;
}

/** A clear record, whole. */
export function clearRecord(type: Exclude<RecordType, "sealed">, body: Uint8Array): Uint8Array {
  return concat([encodeHeader({ type, epoch: 0, seq: 0, bodyBytes: body.length }), body]);
}

/**
 * Reads a header and judges it before any of its body is waited for. Never throws.
 *
 * @param header 16 bytes; what follows them is not read
 */
export function decodeHeader(header: Uint8Array): RecordHeader | Violation {
  const type = TYPES[(header[0] as number) - 1];
  if (type === undefined) return malformed("ENV-3", `a record of type ${header[0]}`);
  if (header[1] !== ENVELOPE_VERSION) {
    return malformed("ENV-3", `a record of version ${header[1]}`);
  }
  const epoch = (header[2] as number) * 256 + (header[3] as number);
  const seq = readU32(header, 4) * 2 ** 32 + readU32(header, 8);
  const bodyBytes = readU32(header, 12);
  if (seq > COUNTER_MAX) return malformed("ENV-3", "a record's number is above 2^53-1");
  const isSealed = type === "sealed";
  if (isSealed ? epoch === 0 : epoch !== 0 || seq !== 0) {
    return malformed("ENV-3", `a ${type} record ${seq} of epoch ${epoch}`);
  }
  const bodyBytesMax = isSealed ? INNER_BYTES_MAX + TAG_BYTES : CLEAR_BODY_BYTES_MAX;
  if (bodyBytes > bodyBytesMax) {
    return malformed("ENV-4", `a ${type} record of ${bodyBytes} bytes, above ${bodyBytesMax}`);
  }
  return { type, epoch, seq, bodyBytes };
}

/** Called with each whole record; its bytes are never changed afterwards. False stops. */
export type RecordReceiver = (record: SealRecord) => boolean;

/**
 * Cuts a byte stream into records, however it arrives. [ENV-3] [ENV-4]
 *
 * Holds at most one unfinished record, in a buffer that grows with what has really arrived: a large
 * length costs its sender the bytes.
 */
export class RecordReader {
  #held = new Uint8Array(0);
  #heldBytes = 0;
  #stopped = false;

  /** True while a record has begun and not ended: the time for it is running. [LNK-6] */
  get unfinished(): boolean {
    return this.#heldBytes > 0;
  }

  /**
   * Takes the next bytes and hands over every record they complete. Never throws, whatever they
   * are; after a violation, and after the receiver has said stop, further bytes are passed over.
   */
  push(chunk: Uint8Array, receiver: RecordReceiver): Violation | undefined {
    let rest = chunk;
    while (rest.length > 0 && !this.#stopped) {
      const from = this.#heldBytes === 0 ? rest : this.#held.subarray(0, this.#heldBytes);
      const header = headerOf(from);
      if (header !== undefined && "code" in header) return this.#stop(header);
      const wanted = wantedBytes(header);
      if (from === rest && header !== undefined && rest.length >= wanted) {
        rest = rest.subarray(wanted);
        this.#hand(header, from, receiver);
        continue;
      }
      const taken = rest.subarray(0, wanted - this.#heldBytes);
      this.#append(taken, wanted);
      rest = rest.subarray(taken.length);
      const held = this.#held.subarray(0, this.#heldBytes);
      const heldHeader = headerOf(held);
      if (heldHeader === undefined) continue;
      if ("code" in heldHeader) return this.#stop(heldHeader);
      if (held.length < wantedBytes(heldHeader)) continue;
      this.#release();
      this.#hand(heldHeader, held, receiver);
    }
    return undefined;
  }

  /** @param from begins with the record */
  #hand(read: RecordHeader, from: Uint8Array, receiver: RecordReceiver): void {
    const { type, epoch, seq, bodyBytes } = read;
    const header = from.subarray(0, HEADER_BYTES);
    const body = from.subarray(HEADER_BYTES, HEADER_BYTES + bodyBytes);
    if (!receiver({ type, epoch, seq, bodyBytes, header, body })) this.#stopped = true;
  }

  #append(bytes: Uint8Array, wanted: number): void {
    const needed = this.#heldBytes + bytes.length;
    if (needed > this.#held.length) {
      const grown = new Uint8Array(Math.max(needed, Math.min(wanted, needed * 2)));
      grown.set(this.#held.subarray(0, this.#heldBytes));
      this.#held = grown;
    }
    this.#held.set(bytes, this.#heldBytes);
    this.#heldBytes = needed;
  }

  /** What was held belongs to the receiver now. */
  #release(): void {
    this.#held = new Uint8Array(0);
    this.#heldBytes = 0;
  }

  #stop(fault: Violation): Violation {
    this.#stopped = true;
    this.#release();
    return fault;
  }
}

/** The header that begins here; undefined while it is not whole. */
function headerOf(from: Uint8Array): RecordHeader | Violation | undefined {
  return from.length < HEADER_BYTES ? undefined : decodeHeader(from);
}

/** How many bytes a record needs, as far as can be told: at least a header. */
function wantedBytes(header: RecordHeader | undefined): number {
  return HEADER_BYTES + (header?.bodyBytes ?? 0);
}

function malformed(requirement: string, detail: string): Violation {
  return violation(ErrorCode.ENVELOPE_MALFORMED, requirement, detail);
}
