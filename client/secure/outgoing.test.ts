import assert from "node:assert/strict";
import { test } from "node:test";
import { fromBinary } from "@bufbuild/protobuf";
import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import { OperationSchema } from "../../gen/posthorn/v1/operation_pb.ts";
import type { Client } from "../client.ts";
import { RefusedError } from "../results.ts";
import { SteadyClock } from "../steady-clock.ts";
import { OutgoingPackets, WAITING_MAX } from "./outgoing.ts";

/** A service that has room for some packets, and the packets that it took, in order. */
function service(roomCount: number) {
  const code = ErrorCode.PACKET_QUEUE_FULL as ErrorCode;
  const state = { room: roomCount, taken: [] as number[], code, retryAfterMs: 0 };
  const submit = async (operation: Uint8Array) => {
    const { kind } = fromBinary(OperationSchema, operation);
    assert.ok(kind.case === "sendPacket");
    await new Promise((resolve) => setImmediate(resolve));
    if (state.room <= 0) throw new RefusedError(state.code, state.retryAfterMs);
    state.room -= 1;
    state.taken.push(kind.value.packet[0] as number);
    return { conversationSeq: 0, committedMs: 1 };
  };
  return { state, client: { submit } as unknown as Client };
}

function outgoing(client: Client) {
  const over = new AbortController();
  const gone: ErrorCode[] = [];
  const packets = new OutgoingPackets({
    client,
    clock: new SteadyClock(),
    over: over.signal,
    gaveUp: (_, code) => void gone.push(code),
  });
  const sessionId = new Uint8Array(16);
  const push = (byte: number) =>
    new Promise((resolve, reject) => {
      const to = { userId: "bob", deviceId: "phone" };
      packets.push({ sessionId, to, packet: Uint8Array.of(byte), ttlS: 60 }, { resolve, reject });
    });
  return { packets, push, gone, over, sessionId };
}

test("[SEC-42] what there is no room for is sent again, the same bytes, in order", async () => {
  const { state, client } = service(3);
  const { push, gone } = outgoing(client);
  const all = Array.from({ length: 20 }, (_, byte) => push(byte));
  await Promise.all(all.slice(0, 3));
  state.room = 100;
  await Promise.all(all);
  assert.deepEqual(
    [...state.taken].sort((a, b) => a - b),
    Array.from(all.keys()),
  );
  assert.deepEqual(state.taken.slice(0, 3), [0, 1, 2]);
  assert.deepEqual(gone, []);
});

test("[SEC-42] only so much waits, and is told before anything is sealed", async () => {
  const { client } = service(0);
  const { packets, push, over, sessionId } = outgoing(client);
  const all = Array.from({ length: WAITING_MAX }, (_, byte) => push(byte));
  assert.equal(packets.hasRoom(sessionId), false);
  assert.equal(packets.hasRoom(new Uint8Array(16).fill(1)), true);
  over.abort();
  const ends = await Promise.allSettled(all);
  assert.ok(ends.every(({ status }) => status === "rejected"));
});

test("[SEC-87] what the service will never take is given up, and the rest goes on", async () => {
  const { state, client } = service(0);
  state.code = ErrorCode.DEVICE_UNKNOWN;
  const { push, gone } = outgoing(client);
  await assert.rejects(push(1), { code: ErrorCode.DEVICE_UNKNOWN });
  assert.deepEqual(gone, [ErrorCode.DEVICE_UNKNOWN]);
  state.room = 1;
  await push(2);
  assert.deepEqual(state.taken, [2]);
});

test("[LIM-12] what was refused for now goes again when the service has said, and not before", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const rest = async () => {
    for (let turn = 0; turn < 5; turn += 1) await new Promise((resolve) => setImmediate(resolve));
  };
  const { state, client } = service(0);
  Object.assign(state, { code: ErrorCode.TOO_OFTEN, retryAfterMs: 5_000 });
  const { push } = outgoing(client);
  const sent = push(1);
  await rest();
  state.room = 1;
  t.mock.timers.tick(4_999);
  await rest();
  assert.deepEqual(state.taken, []);
  t.mock.timers.tick(1);
  await sent;
  assert.deepEqual(state.taken, [1]);
});
