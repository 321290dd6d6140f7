import { assert } from "../../protocol/violation.ts";

export const OPCODE = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const;

/** One frame of RFC 6455 section 5.2, legal or not. */
export interface WsFrame {
  readonly isFinal: boolean;
  readonly opcode: number;
  readonly payload: Uint8Array;
  /** The three reserved bits. */
  readonly reserved?: number;
  /** Undefined: not masked, as only a server may. */
  readonly mask?: Uint8Array;
  /** How many bytes the length takes, where not the fewest: 0, 2 or 8. */
  readonly lengthBytes?: 0 | 2 | 8;
  /** What the length says, where it does not tell the truth. */
  readonly announced?: number;
}

const LENGTH_16 = 126;
const LENGTH_64 = 127;

export function encodeWsFrame(frame: WsFrame): Buffer {
  const { isFinal, opcode, payload, reserved = 0, mask, announced = payload.length } = frame;
  const fewest = announced < LENGTH_16 ? 0 : announced < 65_536 ? 2 : 8;
  const lengthBytes = Math.max(frame.lengthBytes ?? 0, fewest);
  const head = Buffer.alloc(2 + lengthBytes);
  head[0] = (isFinal ? 0x80 : 0) | (reserved << 4) | opcode;
  const marker = lengthBytes === 0 ? announced : lengthBytes === 2 ? LENGTH_16 : LENGTH_64;
  head[1] = (mask === undefined ? 0 : 0x80) | marker;
  if (lengthBytes === 2) head.writeUInt16BE(announced, 2);
  if (lengthBytes === 8) head.writeBigUInt64BE(BigInt(announced), 2);
  if (mask === undefined) return Buffer.concat([head, payload]);
  const masked = Buffer.from(payload.map((byte, at) => byte ^ (mask[at % 4] as number)));
  return Buffer.concat([head, mask, masked]);
}

/** The upgrade that every link begins with. [LNK-5] */
export const UPGRADE =
  "GET /posthorn.v1 HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
  "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" +
  "Sec-WebSocket-Protocol: posthorn.v1\r\n\r\n";
/** RFC 6455 section 1.3 gives the answer to this key. */
const ACCEPTED = /^HTTP\/1\.1 101 [\s\S]*sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK\+xOo=\r\n/i;

/** Reads what a service sends: the answer to the upgrade, then frames. */
export class WsReader {
  isUpgraded = false;
  #rest: Buffer = Buffer.alloc(0);
  readonly #take: (frame: WsFrame) => void;

  constructor(take: (frame: WsFrame) => void) {
    this.#take = take;
  }

  take(bytes: Buffer): void {
    this.#rest = Buffer.concat([this.#rest, bytes]);
    if (!this.isUpgraded) {
      const headEnd = this.#rest.indexOf("\r\n\r\n");
      if (headEnd < 0) return;
      assert(ACCEPTED.test(this.#rest.toString("latin1", 0, headEnd + 2)), "upgraded [LNK-5]");
      this.isUpgraded = true;
      this.#rest = this.#rest.subarray(headEnd + 4);
    }
    for (;;) {
      const read = readFrame(this.#rest);
      if (read === undefined) return;
      this.#rest = this.#rest.subarray(read.length);
      this.#take(read.frame);
    }
  }
}

function readFrame(
  bytes: Buffer,
): { readonly frame: WsFrame; readonly length: number } | undefined {
  if (bytes.length < 2) return undefined;
  const [first, second] = bytes as unknown as [number, number];
  assert((first & 0x70) === 0 && second < 0x80, "no extension, and a server masks nothing");
  const lengthBytes = second === LENGTH_16 ? 2 : second === LENGTH_64 ? 8 : 0;
  const start = 2 + lengthBytes;
  if (bytes.length < start) return undefined;
  const payloadBytes =
    lengthBytes === 0 ? second : Number(BigInt(`0x${bytes.toString("hex", 2, start)}`));
  const length = start + payloadBytes;
  if (bytes.length < length) return undefined;
  const payload = bytes.subarray(start, length);
  return { frame: { isFinal: first >= 0x80, opcode: first & 0x0f, payload }, length };
}
