import { connect } from "node:net";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { WebSocket } from "ws";
import {
  OpenRequestSchema,
  OpenResponseSchema,
  PollRequestSchema,
  PollResponseSchema,
  SendRequestSchema,
} from "../../gen/posthorn/v1/longpoll_pb.ts";
import { Delimiter } from "../../protocol/delimit.ts";
import { decodeFrame, encodeFrame, type Frame, isViolation } from "../../protocol/frames.ts";
import { PREFACE } from "../../protocol/sniff.ts";

// A peer that sends whatever bytes it likes over any transport and tells what it was answered.

export type RawKind = "tcp" | "websocket" | "longpoll";

/** Sends, then collects all frames until the service closes the link. */
export interface RawPeer {
  send(bytes: Uint8Array): Promise<void>;
  /** Waits for a frame of a kind, or the end. */
  until(kind: Frame["kind"]): Promise<Frame | undefined>;
  close(): void;
}

class FrameLog {
  readonly frames: Frame[] = [];
  ended = false;
  readonly #delimiter = new Delimiter(1 << 24);
  #phase: "opening" | "open" = "opening";
  #changed: () => void = () => {};

  bytes(bytes: Uint8Array): void {
    this.#delimiter.push(bytes, (from, at, end) => {
      const frame = decodeFrame(from, { at, end }, { sender: "server", phase: this.#phase });
      if (isViolation(frame)) throw new Error(`the service sent ${frame.detail}`);
      if (frame.kind === "welcome") this.#phase = "open";
      this.frames.push(frame);
      return true;
    });
    this.#changed();
  }

  end(): void {
    this.ended = true;
    this.#changed();
  }

  async until(kind: Frame["kind"]): Promise<Frame | undefined> {
    for (;;) {
      const found = this.frames.findIndex((frame) => frame.kind === kind);
      if (found >= 0) return this.frames.splice(0, found + 1).at(-1);
      if (this.ended) return undefined;
      await new Promise<void>((resolve) => {
        this.#changed = resolve;
      });
    }
  }
}

export async function rawPeer(kind: RawKind, port: number): Promise<RawPeer> {
  const log = new FrameLog();
  const until = (wanted: Frame["kind"]) => log.until(wanted);
  if (kind === "tcp") {
    const socket = connect({ port, host: "127.0.0.1" });
    socket.on("data", (chunk) => log.bytes(chunk));
    socket.on("close", () => log.end());
    socket.on("error", () => {});
    socket.write(PREFACE);
    return {
      send: async (bytes) => void socket.write(bytes),
      until,
      close: () => socket.destroy(),
    };
  }
  if (kind === "websocket") {
    const socket = new WebSocket(`ws://127.0.0.1:${port}/posthorn.v1`, "posthorn.v1");
    socket.on("message", (data: Buffer) => log.bytes(data));
    socket.on("close", () => log.end());
    socket.on("error", () => {});
    await new Promise((resolve) => socket.once("open", resolve));
    return { send: async (bytes) => socket.send(bytes), until, close: () => socket.terminate() };
  }
  return { ...(await longPollPeer(port, log)), until };
}

async function longPollPeer(port: number, log: FrameLog) {
  const post = async (method: string, body: Uint8Array) => {
    const response = await fetch(`http://127.0.0.1:${port}/posthorn.v1.LongPollService/${method}`, {
      method: "POST",
      headers: { "Content-Type": "application/proto" },
      body: body as Uint8Array<ArrayBuffer>,
    });
    if (!response.ok) throw new Error(`${method}: ${response.status}`);
    return new Uint8Array(await response.arrayBuffer());
  };
  const open = toBinary(OpenRequestSchema, create(OpenRequestSchema));
  const { linkId } = fromBinary(OpenResponseSchema, await post("Open", open));
  let over = false;
  let sent = 0;
  const poll = async () => {
    for (let received = 0n; !over; ) {
      const request = create(PollRequestSchema, { linkId, receivedOffset: received });
      const bytes = await post("Poll", toBinary(PollRequestSchema, request));
      const { data, ended } = fromBinary(PollResponseSchema, bytes);
      received += BigInt(data.length);
      log.bytes(data);
      over ||= ended;
    }
  };
  poll().then(
    () => log.end(),
    () => log.end(),
  );
  return {
    send: async (data: Uint8Array) => {
      const request = create(SendRequestSchema, { linkId, offset: BigInt(sent), data });
      sent += data.length;
      await post("Send", toBinary(SendRequestSchema, request));
    },
    close: () => {
      over = true;
    },
  };
}

const HELLO = {
  versionMin: 1,
  versionMax: 1,
  token: "",
  userId: "mallory",
  deviceId: "d",
  outbox: { epoch: 0, resultsThrough: 0, next: 1 },
  cursor: { epoch: 0, seq: 0, start: 1 },
  deliveryWindow: { count: 16, bytes: 65_536 },
  agent: "raw",
} as const;

type Hello = Extract<Frame, { kind: "hello" }>["value"];

export function helloBytes(part: Partial<Hello> = {}): Uint8Array {
  return encodeFrame({ kind: "hello", value: { ...HELLO, ...part } });
}

/** Attaches, and answers the outbox epoch. */
export async function attachRaw(peer: RawPeer, part: Partial<Hello> = {}): Promise<number> {
  await peer.send(helloBytes(part));
  const welcome = await peer.until("welcome");
  if (welcome?.kind !== "welcome") throw new Error("no Welcome");
  await peer.send(encodeFrame({ kind: "ready", value: {} }));
  return welcome.value.outbox?.epoch ?? 0;
}
