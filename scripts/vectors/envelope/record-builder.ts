import { type AeadName, aeadKeyBytes, aeadSeal, big, expanded, join, xl } from "./primitives.ts";

// Records put together by hand: any header over any body.

export const CLIENT_HELLO = 1;
export const SERVER_HELLO = 2;
export const CLIENT_FINISHED = 3;
export const SEALED = 4;
export const ALERT = 5;

export const CONTENT = { frames: 1, key_update: 2, ticket: 3, alert: 4, close: 5 } as const;
export type ContentType = keyof typeof CONTENT;

export interface Header {
  readonly type: number;
  readonly version?: number;
  readonly epoch?: number;
  readonly seq?: number | bigint;
  readonly length: number;
}

/** [ENV-3] */
export function headerOf({ type, version = 1, epoch = 0, seq = 0, length }: Header): Uint8Array {
  return join(big(type, 1), big(version, 1), big(epoch, 2), big(seq, 8), big(length, 4));
}

export function clearRecord(
  type: number,
  body: Uint8Array,
  header: Partial<Header> = {},
): Uint8Array {
  return join(headerOf({ type, length: body.length, ...header }), body);
}

/** [ENV-9] */
export function paddedBytes(contentBytes: number): number {
  const length = contentBytes + 1;
  if (length <= 1024) return Math.ceil(length / 64) * 64;
  const e = Math.floor(Math.log2(length));
  const s = Math.floor(Math.log2(e)) + 1;
  return Math.min(Math.ceil(length / 2 ** (e - s)) * 2 ** (e - s), 16_640);
}

/** Content, its type, and padding as the chapter has it unless told otherwise. [ENV-8] */
export function innerOf(
  type: ContentType | number,
  content: Uint8Array,
  innerBytes: number = paddedBytes(content.length),
): Uint8Array {
  const number = typeof type === "number" ? type : CONTENT[type];
  return join(content, big(number, 1), new Uint8Array(innerBytes - content.length - 1));
}

/** [ENV-5] */
export function nonceOf(iv: Uint8Array, seq: number | bigint): Uint8Array {
  const number = join(big(0, 4), big(seq, 8));
  return iv.map((byte, at) => byte ^ (number[at] as number));
}

/** One direction of a link: seals honestly, or whatever it is told. */
export class VectorDirection {
  readonly aead: AeadName;
  secret: Uint8Array;
  epoch = 1;
  seq = 0;

  constructor(aead: AeadName, secret: Uint8Array) {
    this.aead = aead;
    this.secret = secret;
  }

  get key(): Uint8Array {
    return expanded({ secret: this.secret, label: "key", length: aeadKeyBytes(this.aead) });
  }

  get iv(): Uint8Array {
    return expanded({ secret: this.secret, label: "iv", length: 12 });
  }

  /** The next record. A key update is followed by the next key. [ENV-39] */
  seal(type: ContentType, content: Uint8Array): Uint8Array {
    const record = this.sealInner(innerOf(type, content));
    if (type === "key_update") {
      this.secret = xl(this.secret, "traffic upd");
      this.epoch += 1;
      this.seq = 0;
    }
    return record;
  }

  /** A record of any inner text, under a header that may differ from what it should say. */
  sealInner(inner: Uint8Array, lie: Partial<Header> = {}): Uint8Array {
    const { epoch, seq } = { epoch: this.epoch, seq: this.seq, ...lie };
    const header = headerOf({ type: SEALED, epoch, seq, length: inner.length + 16, ...lie });
    const nonce = nonceOf(this.iv, seq);
    this.seq += 1;
    return join(header, aeadSeal({ aead: this.aead, key: this.key, nonce, header }, inner));
  }
}
