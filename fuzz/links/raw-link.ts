import type { LinkKind } from "../../protocol/link.ts";
import { PREFACE } from "../../protocol/sniff.ts";
import { assert } from "../../protocol/violation.ts";
import { Changes } from "./changes.ts";
import type { Doors } from "./doors.ts";
import { FrameLog } from "./frame-log.ts";
import { type HttpWire, requestBytes } from "./http.ts";
import {
  openedIn,
  openRequest,
  polledIn,
  pollRequest,
  receivedIn,
  sendRequest,
} from "./long-poll.ts";
import { encodeWsFrame, OPCODE, UPGRADE, WsReader } from "./websocket.ts";
import type { Leaving } from "./wire.ts";

export const LINK_KINDS: readonly LinkKind[] = ["tcp", "websocket", "longpoll"];

/** A link at whose device's end stands a fuzzer. */
export interface RawLink {
  readonly kind: LinkKind;
  readonly log: FrameLog;
  readonly changes: Changes;
  /** Nothing more will come. */
  readonly isOver: boolean;
  /** Sends whole frames. */
  send(bytes: Uint8Array): void;
  /** Breaks off while it sends: after this many bytes, or fewer, of what the transport sends. */
  breakOff(bytes: Uint8Array, at: number, leaving: Leaving): void;
  leave(leaving: Leaving): void;
}

export function openLink(doors: Doors, kind: LinkKind): Promise<RawLink> {
  if (kind === "tcp") return tcpLink(doors);
  return kind === "websocket" ? webSocketLink(doors) : longPollLink(doors);
}

async function tcpLink(doors: Doors): Promise<RawLink> {
  const log = new FrameLog();
  const wire = await doors.wire((bytes) => log.take(bytes));
  wire.write(PREFACE);
  return {
    kind: "tcp",
    log,
    changes: wire.changes,
    get isOver() {
      return wire.ended;
    },
    send: (bytes) => wire.write(bytes),
    breakOff: (bytes, at, leaving) => {
      wire.write(bytes.subarray(0, at));
      wire.leave(leaving);
    },
    leave: (leaving) => wire.leave(leaving),
  };
}

const MASK = Uint8Array.of(0x5a, 0x00, 0xff, 0x13);

async function webSocketLink(doors: Doors): Promise<RawLink> {
  const log = new FrameLog();
  const framed = (opcode: number, payload: Uint8Array) =>
    encodeWsFrame({ isFinal: true, opcode, payload, mask: MASK });
  let isClosed = false;
  const reader = new WsReader(({ opcode, payload }) => {
    if (opcode === OPCODE.binary) log.take(payload);
    assert(log.isWhole, "a message holds whole frames [LNK-5]");
    if (opcode !== OPCODE.close) return;
    isClosed = true;
    wire.write(framed(OPCODE.close, payload));
  });
  const wire = await doors.wire((bytes) => reader.take(bytes));
  wire.write(UPGRADE);
  await wire.changes.until(() => reader.isUpgraded, "the upgrade");
  return {
    kind: "websocket",
    log,
    changes: wire.changes,
    get isOver() {
      return isClosed || wire.ended;
    },
    send: (bytes) => wire.write(framed(OPCODE.binary, bytes)),
    breakOff: (bytes, at, leaving) => {
      wire.write(framed(OPCODE.binary, bytes).subarray(0, at));
      wire.leave(leaving);
    },
    leave: (leaving) => wire.leave(leaving),
  };
}

async function longPollLink(doors: Doors): Promise<RawLink> {
  const changes = new Changes();
  const [up, down] = [await doors.http(changes), await doors.http(changes)];
  const { linkId, sendBytesMax } = openedIn("proto", await up.call(openRequest("proto", {})));
  const log = new FrameLog();
  const state = { isOver: false, isLeft: false };
  const failed = (error: unknown) => {
    if (!state.isLeft && !state.isOver) changes.failed(error);
  };
  pollOn(down, { linkId, log, state, changes }).catch(failed);
  let offset = 0;
  let sending = Promise.resolve();
  let waiting = 0;
  const send = async (data: Uint8Array) => {
    waiting -= 1;
    const request = sendRequest("proto", { linkId, offset: BigInt(offset), data });
    offset += data.length;
    const received = receivedIn("proto", await up.call(request));
    assert(Number(received) === offset || state.isOver, "what is sent is received [LNK-7]");
  };
  const leave = (leaving: Leaving) => {
    state.isLeft = true;
    up.leave(leaving);
    down.leave(leaving);
  };
  return {
    kind: "longpoll",
    log,
    changes,
    get isOver() {
      return state.isOver;
    },
    send: (bytes) => {
      for (let at = 0; at < bytes.length; at += sendBytesMax) {
        const data = bytes.subarray(at, at + sendBytesMax);
        waiting += 1;
        sending = sending.then(() => (state.isLeft ? undefined : send(data))).catch(failed);
      }
    },
    breakOff: (bytes, at, leaving) => {
      const data = bytes.subarray(0, sendBytesMax);
      const request = requestBytes(sendRequest("proto", { linkId, offset: BigInt(offset), data }));
      // What waits behind an unanswered Send is not on its way yet: it breaks off there.
      if (waiting === 0) up.wire.write(request.subarray(0, at));
      leave(leaving);
    },
    leave,
  };
}

interface Polling {
  readonly linkId: Uint8Array;
  readonly log: FrameLog;
  readonly state: { isOver: boolean; readonly isLeft: boolean };
  readonly changes: Changes;
}

async function pollOn(http: HttpWire, { linkId, log, state, changes }: Polling): Promise<void> {
  for (let received = 0n; !state.isOver && !state.isLeft; ) {
    const answer = await http.call(pollRequest("proto", { linkId, receivedOffset: received }));
    const polled = polledIn("proto", answer);
    if (typeof polled === "number") {
      // It ended while this poll was on its way.
      state.isOver = true;
    } else {
      assert(polled.offset === received, "a poll goes on where it was acknowledged [LNK-8]");
      received += BigInt(polled.data.length);
      log.take(polled.data);
      state.isOver = polled.ended;
    }
    changes.told();
  }
}
