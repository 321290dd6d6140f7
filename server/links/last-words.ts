import type { Duplex } from "node:stream";

/** How long a peer may take to read why it is refused. */
const LAST_WORDS_MS = 1_000;

/**
 * Sends the last bytes on a socket that belongs to no link, and sees it end: what comes meanwhile
 * is not kept, and a peer that resets or never ends the connection is cut. [LNK-6]
 */
export function endWith(socket: Duplex, bytes: Uint8Array | string): void {
  const cut = setTimeout(() => socket.destroy(), LAST_WORDS_MS);
  cut.unref();
  socket.on("close", () => clearTimeout(cut));
  socket.on("error", () => socket.destroy());
  socket.resume();
  socket.end(bytes);
}

/** An HTTP answer of its own, for where no HTTP server has the request. */
export function jsonAnswer(status: string, body: object): string {
  const text = `${JSON.stringify(body)}\n`;
  return (
    `HTTP/1.1 ${status}\r\nContent-Type: application/json\r\n` +
    `Content-Length: ${Buffer.byteLength(text)}\r\nConnection: close\r\n\r\n${text}`
  );
}
