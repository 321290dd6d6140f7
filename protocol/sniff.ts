import { PREFACE_BYTES, PREFACE_MAGIC, PREFACE_MODE_CLEAR } from "./limits.ts";

/** What the first bytes of a connection are. "more": not enough to tell. */
export type Opening = "tls" | "http" | "preface" | "unknown" | "more";

const TLS_HANDSHAKE_RECORD = 0x16;

/** Tells transports on one port apart by their first bytes alone. [LNK-2] [LNK-3] */
export function sniff(bytes: Uint8Array): Opening {
  const first = bytes[0];
  if (first === undefined) return "more";
  if (first === TLS_HANDSHAKE_RECORD) return "tls";
  if (first >= 0x41 && first <= 0x5a) return "http";
  const seen = Math.min(bytes.length, PREFACE_BYTES);
  for (let index = 0; index < seen; index += 1) {
    if (bytes[index] !== PREFACE[index]) return "unknown";
  }
  return seen === PREFACE_BYTES ? "preface" : "more";
}

/** What HTTP/2 begins with where its client knows of it (RFC 9113 section 3.4). */
const HTTP2_PREFACE = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/** Which HTTP an opening is that is "http". [LNK-3] */
export function sniffHttp(bytes: Uint8Array): "http1" | "http2" | "more" {
  const seen = Math.min(bytes.length, HTTP2_PREFACE.length);
  for (let index = 0; index < seen; index += 1) {
    if (bytes[index] !== HTTP2_PREFACE.charCodeAt(index)) return "http1";
  }
  return seen === HTTP2_PREFACE.length ? "http2" : "more";
}

/** What a raw TCP link begins with. [LNK-2] */
export const PREFACE: Uint8Array = Uint8Array.of(...PREFACE_MAGIC, PREFACE_MODE_CLEAR);
