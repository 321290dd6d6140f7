import {
  type CipherGCM,
  createCipheriv,
  createDecipheriv,
  createSecretKey,
  type DecipherGCM,
  randomBytes,
} from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { open } from "lmdb";
import { WebSocket } from "ws";
import {
  type AeadName,
  aeadKeyBytes,
  NONCE_BYTES,
  TAG_BYTES,
} from "../protocol/envelope/provider.ts";
import { NodeProcess } from "./node-process.ts";

// The bare limits of the machine, measured in the same run: what there would be without Posthorn.

const CONNECTIONS = 100;
const IN_FLIGHT = 64;
const FRAME_BYTES = 128;
const ECHO = join(import.meta.dirname, "echo-server.ts");

/** Frames a second echoed over plain sockets, 64 in flight on each of 100, written per tick. */
export async function echoLimit(kind: "tcp" | "websocket", measureMs: number): Promise<number> {
  const server = await NodeProcess.start([ECHO, kind], /port (\d+)/);
  let frames = 0;
  const payload = Buffer.alloc(FRAME_BYTES * IN_FLIGHT, 1);
  const stops: (() => void)[] = [];
  for (let index = 0; index < CONNECTIONS; index += 1) {
    const echoed = (bytes: number) => {
      frames += bytes / FRAME_BYTES;
    };
    stops.push(await (kind === "tcp" ? tcpEcho : webSocketEcho)(server.port, payload, echoed));
  }
  await wait(500);
  const before = frames;
  await wait(measureMs);
  const rate = ((frames - before) * 1000) / measureMs;
  for (const stop of stops) stop();
  await server.stop();
  return rate;
}

async function tcpEcho(port: number, payload: Buffer, echoed: (bytes: number) => void) {
  const socket: Socket = connect({ port, host: "127.0.0.1", noDelay: true });
  await new Promise((resolve) => socket.once("connect", resolve));
  socket.on("error", () => {});
  socket.on("data", (chunk) => {
    echoed(chunk.length);
    socket.write(chunk);
  });
  socket.write(payload);
  return () => socket.destroy();
}

async function webSocketEcho(port: number, payload: Buffer, echoed: (bytes: number) => void) {
  const socket = new WebSocket(`ws://127.0.0.1:${port}`, { perMessageDeflate: false });
  await new Promise((resolve) => socket.once("open", resolve));
  socket.on("error", () => {});
  socket.on("message", (data: Buffer) => {
    echoed(data.length);
    socket.send(data);
  });
  // As many frames a message as a tick gathers on a busy session.
  const half = payload.subarray(0, payload.length / 2);
  socket.send(half);
  socket.send(half);
  return () => socket.terminate();
}

/** Puts of 128 bytes a second, 1,000 waiting, each on disk before it counts. */
export async function commitLimit(measureMs: number): Promise<number> {
  const folder = await mkdtemp(join(tmpdir(), "posthorn-bench-"));
  const env = open<Buffer, Buffer>({
    path: join(folder, "store"),
    keyEncoding: "binary",
    encoding: "binary",
    noSubdir: true,
    overlappingSync: false,
  });
  const value = Buffer.alloc(FRAME_BYTES, 7);
  let puts = 0;
  const endMs = performance.now() + measureMs;
  while (performance.now() < endMs) {
    let last: Promise<boolean> | undefined;
    for (let index = 0; index < 1000; index += 1) {
      const key = Buffer.alloc(8);
      key.writeUInt32BE(puts + index, 4);
      last = env.put(key, value);
    }
    await last;
    puts += 1000;
  }
  await env.close();
  await rm(folder, { recursive: true });
  return (puts * 1000) / measureMs;
}

/** Memory of a bare connection: `count` of them, idle. */
export async function bareConnectionBytes(kind: "tcp" | "websocket", count: number) {
  const server = await NodeProcess.start([ECHO, kind], /port (\d+)/);
  const before = server.rssBytes;
  const sockets: { terminate(): void }[] = [];
  while (sockets.length < count) {
    const batch = Array.from({ length: Math.min(200, count - sockets.length) }, async () => {
      if (kind === "websocket") {
        const socket = new WebSocket(`ws://127.0.0.1:${server.port}`);
        await new Promise((resolve) => socket.once("open", resolve));
        return socket;
      }
      const socket = connect({ port: server.port, host: "127.0.0.1" });
      await new Promise((resolve) => socket.once("connect", resolve));
      return { terminate: () => socket.destroy() };
    });
    sockets.push(...(await Promise.all(batch)));
  }
  await wait(1_000);
  const bytes = (server.rssBytes - before) / count;
  for (const socket of sockets) socket.terminate();
  await server.stop();
  return bytes;
}

/**
 * Seals and opens bytes once, with a fresh nonce and nothing around them: no header, no padding, no
 * record.
 */
export function bareCipher(aead: AeadName, text: Uint8Array): () => void {
  const key = createSecretKey(randomBytes(aeadKeyBytes(aead)));
  const options = { authTagLength: TAG_BYTES };
  const gcm = aead as "aes-256-gcm";
  let seq = 0;
  return () => {
    const nonce = Buffer.alloc(NONCE_BYTES);
    nonce.writeUInt32BE(seq, NONCE_BYTES - 4);
    seq += 1;
    const cipher = createCipheriv(gcm, key, nonce, options) as CipherGCM;
    const sealed = cipher.update(text);
    cipher.final();
    const tag = cipher.getAuthTag();
    const decipher = createDecipheriv(gcm, key, nonce, options) as DecipherGCM;
    decipher.setAuthTag(tag);
    const opened = decipher.update(sealed);
    decipher.final();
    if (opened.length !== text.length) throw new Error("what was sealed does not open");
  };
}

export function wait(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
